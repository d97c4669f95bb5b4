/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What tls_calls.c (which processes are probed) and tls_lines.c (what is said of them) share.
 */
#include "agent/tls_attachment.h"
#include "agent/tls_calls.h"
#include "agent/tls_programs.h"

#define NPT_TLS_RECORDS_MAX NPT_TLS_UNASSIGNED_MAX /* of processes, those that ended included */
#define NPT_TLS_BUCKETS     1024

struct npt_tls_process {
	uint32_t pid;
	uint32_t scope;
	uint64_t start_ns;
	uint64_t look_at_ns; /* CLOCK_MONOTONIC: not before */
	uint64_t look_period_ns;
	struct npt_tls_process *next;           /* in its bucket, by pid: the next older one */
	bool put_off;                           /* a look is due then */
	bool told;                              /* has its lines in the report that is made */
	bool detached;                          /* ended, or its scope did */
	bool kernel_tls;                        /* it has, or had, a connection with such */
	char why[NPT_TEXT_BYTES];               /* why it could not be looked at; "" if it was */
	struct npt_tls_attachment *attachments; /* up to NPT_TLS_PROCESS_LIBRARIES */
	size_t count;
};

struct npt_tls_calls {
	struct npt_probe *probe;
	struct npt_tls_file_cache *files;
	struct npt_tls_attacher *attacher;
	struct npt_tls_programs *programs;
	uint64_t due_ns; /* the next look that was put off; 0: none */
	struct npt_tls_process *processes[NPT_TLS_RECORDS_MAX]; /* the oldest first */
	struct npt_tls_process *buckets[NPT_TLS_BUCKETS];
	size_t count;
	size_t probed;                                         /* with at least one link */
	struct npt_tls_found found[NPT_TLS_PROCESS_LIBRARIES]; /* of the process at hand */
};

/* NULL: there is no record of it. */
struct npt_tls_process *npt_tls_calls_find(const struct npt_tls_calls *calls, uint32_t pid,
					   uint64_t start_ns);
