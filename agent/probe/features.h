/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Features - what the running kernel can do for us, read from its BTF: tracepoints and their
 * arguments, names of drop reasons. Decided by looking, never by version numbers.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

struct npt_features;

/* The BTF tracepoints that our programs attach to. */
enum npt_tracepoint {
	NPT_TRACEPOINT_SET_STATE,   /* inet_sock_set_state */
	NPT_TRACEPOINT_SEND_LENGTH, /* sock_send_length */
	NPT_TRACEPOINT_SEND_LOCKED, /* tcp_sendmsg_locked */
	NPT_TRACEPOINT_FREE_SKB,    /* kfree_skb */
	NPT_TRACEPOINT_COUNT,
};

/* -EOPNOTSUPP with one line that names what is missing. */
int npt_features_new(struct npt_features **features_ret, struct npt_error *err);
void npt_features_free(struct npt_features *features);
NPT_DEFINE_AUTO(struct npt_features *, npt_features_free)

/* Its number of arguments; -1 if the kernel has no such tracepoint. */
int npt_features_tracepoint(const struct npt_features *features, enum npt_tracepoint tracepoint);
/* "NETFILTER_DROP" for its number; "REASON_4711" for one that the kernel's BTF does not name. */
void npt_features_reason_name(const struct npt_features *features, uint32_t reason, char *out,
			      size_t size_bytes);
/* The number of a drop reason by that name, 0 if the kernel does not have it. */
uint32_t npt_features_reason(const struct npt_features *features, const char *name);
