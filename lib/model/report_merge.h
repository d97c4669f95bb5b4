/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Merge - the Report is the sum of its Windows; everybody who adds uses this.
 */
#include "lib/model/report.h"

/*
 * Adds counters and histograms, takes gauges (open, queue) and identity from the later one. There
 * is no finding afterwards: it is made of the sum, when the sum is complete.
 */
void npt_edge_merge(struct npt_edge *into, const struct npt_edge *later);
/*
 * Adds a later window: edges that are the same (npt_edge_same) are merged, others are appended.
 * start stays, durationMillis grows to the later one's end, sequence, cost, lost and unavailable
 * become the later one's (they are totals).
 */
void npt_report_merge(struct npt_report *into, const struct npt_report *later);
/* Same process, role, peer and transport: the identity of an edge. */
bool npt_edge_same(const struct npt_edge *a, const struct npt_edge *b);
