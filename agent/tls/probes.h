/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Probes - which instructions of a library's file are probed for the layer TLS, and with what
 * program.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tls/library.h"

#define NPT_TLS_PROBES_MAX 16

enum npt_tls_probe_kind {
	/*
	 * Begin and result of a read or write: uprobe.session, or a uprobe and a return probe, at
	 * an offset where the caller's address is at the stack pointer.
	 */
	NPT_TLS_PROBE_CALL,
	NPT_TLS_PROBE_GO_WRITE, /* in crypto/tls.(*Conn).Write, behind its stack check */
	NPT_TLS_PROBE_FREE,     /* where the first argument (session) is still in its register */
};

struct npt_tls_probe {
	enum npt_tls_probe_kind kind;
	uint64_t offset;   /* in the file */
	uint64_t cookie;   /* NPT_TLS_COOKIE() of a CALL; else 0 */
	bool stepped;      /* single-stepped: some 10 us in a virtual machine */
	char function[48]; /* whose it is, to be shown */
};

struct npt_tls_probes {
	struct npt_tls_probe probes[NPT_TLS_PROBES_MAX];
	size_t count;
	char how[NPT_TLS_TEXT_BYTES]; /* functions and sites, for people */
	char why[NPT_TLS_TEXT_BYTES]; /* why there are none, or not all; "" if all */
};

struct npt_tls_probes_options {
	bool long_nops; /* this kernel emulates long nops (npt_site_options) */
	bool naive;     /* at the functions' own entries: for comparison */
};

/*
 * library: as npt_tls_libraries_of() found it; fd: its open file. Never fails as a whole: what
 * cannot be probed is left out, with why. No probes: only metadata is to be had.
 */
void npt_tls_probes_choose(const struct npt_tls_library *library, int fd,
			   const struct npt_tls_probes_options *options,
			   struct npt_tls_probes *probes_ret);
