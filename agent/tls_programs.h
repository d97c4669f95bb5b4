/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS programs - which TLS libraries a program had when it was looked at: the next process that
 * executes it is probed at once, before it has mapped them.
 *
 * Setting probes takes some 10 ms, as long as many a program lives. Bounded; who was not seen for
 * longest goes.
 */
#include "agent/tls/library.h"

struct npt_tls_programs;

struct npt_tls_programs *npt_tls_programs_new(void);
void npt_tls_programs_free(struct npt_tls_programs *programs);
NPT_DEFINE_AUTO(struct npt_tls_programs *, npt_tls_programs_free)

/* What this process, which runs for a while already, was found to use. */
void npt_tls_programs_learn(struct npt_tls_programs *programs, uint32_t pid,
			    const struct npt_tls_found *found, size_t count);
/* False: the program is not known. found_ret, borrowed until the next call, may have none. */
bool npt_tls_programs_recall(struct npt_tls_programs *programs, uint32_t pid,
			     const struct npt_tls_found **found_ret, size_t *count_ret);
