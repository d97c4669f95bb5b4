/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS calls - the layer TLS: which processes are probed, and what a report says of each.
 *
 * A process is looked at when the kernel tells of it: when it listens, at its first connection, as
 * a worker of one that is known, and while it begins TLS connections, since it may have loaded a
 * library just now.
 * A busy one that stays the same is looked at ever more rarely. Owned by the measurement; its
 * thread.
 */
#include <stdint.h>

#include "agent/probe/probe.h"
#include "lib/core/cleanup.h"
#include "lib/model/report.h"

#define NPT_TLS_PROCESSES_MAX 1024 /* probed at a time; further ones say so */

struct npt_tls_calls;

/* The probe is borrowed and outlives it. */
struct npt_tls_calls *npt_tls_calls_new(struct npt_probe *probe);
/* Takes all probes away. */
void npt_tls_calls_free(struct npt_tls_calls *calls);
NPT_DEFINE_AUTO(struct npt_tls_calls *, npt_tls_calls_free)

/*
 * Sets probes in what the kernel has told of; whenever npt_probe_tls_processes_fd() is readable,
 * and at the time (CLOCK_MONOTONIC, 0: never) of a look that was put off.
 */
void npt_tls_calls_attend(struct npt_tls_calls *calls);
uint64_t npt_tls_calls_due_ns(const struct npt_tls_calls *calls);
/* Once a second: the same, and processes that ended. */
void npt_tls_calls_tick(struct npt_tls_calls *calls);
/* After its end in the kernel: takes the probes of a scope's processes away; what was found is
 * still told. */
void npt_tls_calls_end_scope(struct npt_tls_calls *calls, uint32_t scope);
/* What a call costs that process, as measured on this machine; 0: none are seen. */
uint32_t npt_tls_calls_ns_per_call(const struct npt_tls_calls *calls, uint32_t pid,
				   uint64_t start_ns);
/* A line for each TLS library of the processes in the report's edges. */
void npt_tls_calls_describe(const struct npt_tls_calls *calls, struct npt_report *report);
