/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Edge history - the windows of one edge over time, added up to steps; and one of its histograms,
 * the same way.
 *
 * Windows come by time. A step begins at a multiple of its length; without one, windows that begin
 * at the same time are a step. One step is in memory at a time.
 */
#include "lib/model/report.h"

#define NPT_HISTORY_STEPS_MAX     10000
#define NPT_HISTORY_QUANTILES_MAX 16

struct npt_edge_history;

struct npt_edge_history_options {
	uint64_t step_ms; /* 0: as stored */
	/* A histogram of this alone, rather than all counters: */
	bool is_histogram;
	enum npt_metric_id metric;
	uint32_t quantiles_permille[NPT_HISTORY_QUANTILES_MAX]; /* 0 ends */
};

struct npt_edge_history *npt_edge_history_new(const struct npt_edge_history_options *options);
void npt_edge_history_free(struct npt_edge_history *history);
NPT_DEFINE_AUTO(struct npt_edge_history *, npt_edge_history_free)
/* -EMSGSIZE: more steps than there may be. */
int npt_edge_history_add(struct npt_edge_history *history, uint64_t start_unix_ms,
			 uint64_t duration_ms, const struct npt_edge *edge);
/*
 * {"kind": "EdgeHistory", "edge": {...}, "windows": [...]}: the sum of all, and each step's
 * counters without what says which edge it is; or {"kind": "Histogram", "metric": ..., "total":
 * {...}, "windows": [...]}. The caller's to free.
 */
char *npt_edge_history_to_json(struct npt_edge_history *history);
