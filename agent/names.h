/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names - who an address is, as the controller said: a bounded cache, and the list of questions.
 *
 * Answers hold for a minute, "nobody knows it" for ten seconds. Owned by the service; its thread.
 */
#include "lib/core/cleanup.h"
#include "lib/model/channel.h"

struct npt_names;

struct npt_names *npt_names_new(void);
void npt_names_free(struct npt_names *names);
NPT_DEFINE_AUTO(struct npt_names *, npt_names_free)

/* Puts names to the peers of a report; what it does not know becomes a question. */
void npt_names_apply(struct npt_names *names, struct npt_report *report, uint64_t now_ns);
/* Takes up to max questions; each is asked again only after a second without an answer. */
size_t npt_names_questions(struct npt_names *names, uint64_t now_ns,
			   char (*addresses)[NPT_ADDRESS_BYTES], size_t max);
void npt_names_learn(struct npt_names *names, const struct npt_resolved_name *answers, size_t count,
		     uint64_t now_ns);
