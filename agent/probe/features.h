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

/* An environment variable: measure on a kernel that may crash of it. For tests of such kernels. */
#define NPT_UNSAFE_KERNEL "NPT_UNSAFE_KERNEL"

struct npt_features;

/* The BTF tracepoints that our programs attach to. */
enum npt_tracepoint {
	NPT_TRACEPOINT_SET_STATE,     /* inet_sock_set_state */
	NPT_TRACEPOINT_SEND_LENGTH,   /* sock_send_length; sock_recv_length came with it */
	NPT_TRACEPOINT_SEND_LOCKED,   /* tcp_sendmsg_locked */
	NPT_TRACEPOINT_DATA_READY,    /* sk_data_ready */
	NPT_TRACEPOINT_SPACE_ADJUST,  /* tcp_rcv_space_adjust */
	NPT_TRACEPOINT_FREE_SKB,      /* kfree_skb */
	NPT_TRACEPOINT_SEND_RESET,    /* tcp_send_reset */
	NPT_TRACEPOINT_RECEIVE_RESET, /* tcp_receive_reset */
	NPT_TRACEPOINT_RETRANSMIT,    /* tcp_retransmit_skb */
	NPT_TRACEPOINT_COPY,          /* skb_copy_datagram_iovec */
	NPT_TRACEPOINT_COUNT,
};

/* The kernel's functions that our trampolines go to. */
enum npt_function {
	NPT_FUNCTION_SENDMSG,  /* inet_sendmsg */
	NPT_FUNCTION_SENDMSG6, /* inet6_sendmsg */
	NPT_FUNCTION_RECVMSG,  /* inet_recvmsg */
	NPT_FUNCTION_RECVMSG6, /* inet6_recvmsg */
	NPT_FUNCTION_SENDPAGE, /* inet_sendpage, gone in 6.5 */
	NPT_FUNCTION_ACCEPT,   /* inet_accept */
	NPT_FUNCTION_RELEASE,  /* inet_release */
	NPT_FUNCTION_DYNPTR,   /* bpf_dynptr_from_skb, which programs call */
	NPT_FUNCTION_COUNT,
};

/* Families of numbers that the kernel's BTF names. */
enum npt_code_family {
	NPT_CODE_DROP,  /* skb_drop_reason, and those of subsystems */
	NPT_CODE_RESET, /* sk_rst_reason */
	NPT_CODE_FAMILIES,
};

/* -EOPNOTSUPP with one line that names what is missing. */
int npt_features_new(struct npt_features **features_ret, struct npt_error *err);
void npt_features_free(struct npt_features *features);
NPT_DEFINE_AUTO(struct npt_features *, npt_features_free)

/* Its number of arguments; -1 if the kernel has no such tracepoint. */
int npt_features_tracepoint(const struct npt_features *features, enum npt_tracepoint tracepoint);
/* Its BTF id; 0 if the kernel has no such tracepoint. */
uint32_t npt_features_tracepoint_id(const struct npt_features *features,
				    enum npt_tracepoint tracepoint);
/* Its BTF id, for fentry and fexit; 0 if the kernel has no such function. */
uint32_t npt_features_function(const struct npt_features *features, enum npt_function function);
/* "NETFILTER_DROP" for its number; "REASON_4711" for one that the kernel's BTF does not name. */
void npt_features_code_name(const struct npt_features *features, enum npt_code_family family,
			    uint32_t code, char *out, size_t size_bytes);
/* The number of a drop reason by that name, 0 if the kernel does not have it. */
uint32_t npt_features_reason(const struct npt_features *features, const char *name);
