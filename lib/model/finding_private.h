/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the rules share: an opinion, to which the first that is sure gives its verdict; a suspicion
 * (NPT_VERDICT_UNKNOWN with a sentence) stays only if nobody is sure, and keeps away "nothing is
 * wrong".
 */
#include <stdbool.h>

#include "lib/model/finding.h"

struct npt_ends {
	const struct npt_edge *client; /* NULL: not in this report */
	const struct npt_edge *server;
};

struct npt_opinion {
	enum npt_verdict verdict;
	uint32_t confidence_permille;
	char text[NPT_TEXT_BYTES];
};

/* A time or a number of bytes as people say it, and a process by its name. */
struct npt_phrase {
	char text[64];
};

void npt_opinion_say(struct npt_opinion *opinion, enum npt_verdict verdict, uint32_t confidence,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* There is a verdict or a suspicion. */
bool npt_opinion_given(const struct npt_opinion *opinion);

struct npt_phrase npt_phrase_micros(uint64_t micros);
struct npt_phrase npt_phrase_bytes(uint64_t bytes);
/* "nginx[4711]", or the words for a process that is not in this report. */
struct npt_phrase npt_phrase_process(const struct npt_edge *edge, const char *otherwise);

/* part * 1000 / whole; 0 of 0 is 0. */
uint64_t npt_permille(uint64_t part, uint64_t whole);
uint64_t npt_edge_time_micros(const struct npt_edge *edge);
/* The smallest smoothed RTT. If connections were opened, no delayed ACK is in it: it is the path's.
 */
uint64_t npt_edge_rtt_micros(const struct npt_edge *edge);
uint64_t npt_edge_connections(const struct npt_edge *edge);
uint32_t npt_confidence(bool pair, uint64_t evidence, uint64_t minimum);

/* What holds up the data that goes one way; either end may be NULL, not both. */
void npt_judge_flow(const struct npt_edge *sender, const struct npt_edge *receiver,
		    struct npt_opinion *opinion);
/* After all others: is it the sender's program that sets the pace, or is it a healthy stream? */
void npt_judge_stream(const struct npt_edge *sender, const struct npt_edge *receiver,
		      struct npt_opinion *opinion);
/* Where the time between a request and its response goes. */
void npt_judge_turns(const struct npt_ends *ends, struct npt_opinion *opinion);
/* That responses are quick, or why nothing can be said. */
void npt_judge_calm(const struct npt_ends *ends, struct npt_opinion *opinion);
