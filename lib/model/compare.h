/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Compare - two reports, edge by edge: what changed, and whether that is more than noise
 * (docs/api.md).
 *
 * An edge of one task is that edge of the other which has the same workload, container and program
 * on this side, and the same peer, port and role: process ids, pod names' random parts and
 * addresses of pods differ from run to run. Several edges that are alike are added up.
 *
 * Times are compared by rank (Mann-Whitney, on histograms, ties and all). Observations of one
 * connection are not independent, so that with many of them the smallest difference is
 * "significant": a change counts only if it is significant and not small (Cliff's delta).
 * Retransmissions are compared as two proportions. What there is too little of is unknown.
 */
#include <stddef.h>

#include "lib/model/report.h"

#define NPT_COMPARE_EDGES_MAX       1024
#define NPT_COMPARE_TIMES_MIN       20 /* of each side */
#define NPT_COMPARE_P_MAX           0.001
#define NPT_COMPARE_DELTA_MIN       0.147 /* less is negligible (Romano et al., 2006) */
#define NPT_COMPARE_RETRANSMITS_MIN 10    /* of both sides together */
#define NPT_COMPARE_SEGMENTS_MIN    1000  /* of each side */

enum npt_compare_side { NPT_COMPARE_A, NPT_COMPARE_B, NPT_COMPARE_SIDES };

enum npt_change {
	NPT_CHANGE_UNKNOWN, /* too little was seen */
	NPT_CHANGE_NONE,    /* no more than noise */
	NPT_CHANGE_LESS,    /* b is shorter, or has fewer */
	NPT_CHANGE_MORE,
};

struct npt_difference {
	enum npt_change change;
	/* Of times: how often b is longer than a, less how often it is shorter, -1 to 1. */
	double delta;
	double p; /* that chance alone makes such a difference; 1 if unknown */
};

/* b against a. */
struct npt_difference npt_compare_times(const struct npt_histogram *a,
					const struct npt_histogram *b);
/* parts of wholes, as retransmitted segments of all that were sent. */
struct npt_difference npt_compare_parts(uint64_t part_a, uint64_t whole_a, uint64_t part_b,
					uint64_t whole_b);
const char *npt_change_name(enum npt_change change); /* "unknown", "none", "less", "more" */

/*
 * The workload that a pod is of, by its name: "reviews-v1-6f5d8c7b9d-x2x4z" is of "reviews-v1",
 * "db-0" of "db"; else the name as it is.
 */
void npt_compare_workload(const char *pod, char workload_ret[static NPT_NAME_BYTES]);

struct npt_comparison;

struct npt_comparison *npt_comparison_new(void);
void npt_comparison_free(struct npt_comparison *comparison);
NPT_DEFINE_AUTO(struct npt_comparison *, npt_comparison_free)
/* Whose side it is, from a report's head: task, start, duration. */
void npt_comparison_set_head(struct npt_comparison *comparison, enum npt_compare_side side,
			     const struct npt_report *head);
/* Copies what it needs. pod: the name of the edge's pod. Beyond the maximum edges only count. */
void npt_comparison_add(struct npt_comparison *comparison, enum npt_compare_side side,
			const char *pod, const struct npt_edge *edge);
/*
 * {"kind": "Comparison", ...}: what changed first, the rest by bytes. The caller's to free.
 */
char *npt_comparison_to_json(struct npt_comparison *comparison);
