/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Probes - which instructions of a library's file are probed for the layer TLS, and with what
 * program.
 *
 * Plain values, no state. The file is somebody else's: it is read within bounds, and what cannot be
 * probed safely is left out, with the reason.
 */
#include "agent/tls/library.h"

enum npt_tls_probe_kind {
	/*
	 * Begin and result of a read or write: a uprobe and a return probe. The
	 * caller's address is where the kernel expects it (npt_site.returns), always.
	 */
	NPT_TLS_PROBE_CALL,
	NPT_TLS_PROBE_GO_WRITE, /* a uprobe in crypto/tls.(*Conn).Write, behind its stack check */
	NPT_TLS_PROBE_FREE,     /* a uprobe; the session is still in its register */
};

struct npt_tls_probe {
	enum npt_tls_probe_kind kind;
	uint64_t offset;   /* in the file */
	uint64_t cookie;   /* NPT_TLS_COOKIE(form, writes) of bpf/measure.h, for CALL; else 0 */
	bool stepped;      /* the kernel single-steps it: about 10 us in a virtual machine */
	char function[48]; /* whose it is, to be shown: "SSL_free+0x3", "behind SSL_read,
			      SSL_read_ex" */
};

#define NPT_TLS_PROBES_MAX 16

struct npt_tls_probes {
	struct npt_tls_probe probes[NPT_TLS_PROBES_MAX]; /* no two at one offset */
	size_t count;
	char how[NPT_TLS_TEXT_BYTES]; /* for people: each function and its instruction; cut */
	char why[NPT_TLS_TEXT_BYTES]; /* why there are none, or not all; "" if all; cut */
};

struct npt_tls_probes_options {
	bool long_nops; /* this kernel emulates NPT_UPROBE_LONG_NOP */
	bool naive;     /* at the functions' entries, whatever it costs: for comparison */
};

/*
 * library: as npt_tls_libraries_of() found it; fd: its file, open, borrowed. Never fails as a
 * whole; count 0: there are only metadata of this library.
 */
void npt_tls_probes_choose(const struct npt_tls_library *library, int fd,
			   const struct npt_tls_probes_options *options,
			   struct npt_tls_probes *probes_ret);
