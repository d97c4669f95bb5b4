/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Budget - what measuring may cost, and the ladder down which it goes rather than cost more.
 *
 * Pure: usage goes in once a second, a step comes out when the usage has been over the budget for a
 * few seconds on end. Steps are not taken back: what was given up is missing in the rest of the
 * measurement, and says so, with time and cause.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/model/report.h"

#define NPT_BUDGET_PATIENCE 3 /* seconds on end over the budget before a step */

enum npt_rung {
	NPT_RUNG_FULL,
	NPT_RUNG_NO_TLS,        /* no calls of TLS libraries */
	NPT_RUNG_SHORT_SLICES,  /* execution times from a quarter of the slices' time */
	NPT_RUNG_NO_SLICES,     /* no execution times but those of writes */
	NPT_RUNG_NO_OPERATIONS, /* no reads and writes: connections only */
	NPT_RUNG_SLOW_SAMPLING, /* sockets are walked every 5 s */
	NPT_RUNG_COUNT,
};

struct npt_usage {
	uint64_t now_ns;      /* CLOCK_MONOTONIC */
	uint64_t now_unix_ms; /* for the text */
	uint64_t cpu_ns;      /* of this process, since its start */
	uint64_t hooks_ns;    /* of our hooks in others, by calibration, since the start */
	uint64_t memory_kib;
};

struct npt_budget {
	uint32_t cpu_millicores; /* 0: no limit */
	uint32_t memory_mib;     /* 0: no limit */
	struct npt_usage last;
	uint32_t seconds_over;
	uint32_t seconds_over_memory;
	enum npt_rung rung;
	bool no_new_edges; /* the memory's own step: further edges go to "other" */
	char degraded[NPT_REPORT_DEGRADED_MAX][NPT_TEXT_BYTES]; /* "" ends */
};

/* Rungs that mean nothing here (no slices where there are trampolines, a layer that is off) are
 * passed over. */
struct npt_ladder {
	bool tls;
	bool slices;
	bool operations;
};

/* True if a step was taken: rung or no_new_edges changed, and degraded says why. */
bool npt_budget_check(struct npt_budget *budget, const struct npt_ladder *ladder,
		      const struct npt_usage *usage);
