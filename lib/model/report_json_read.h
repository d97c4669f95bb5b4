/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Report from JSON - reads back what npt_report_to_json() and the aggregation service write.
 *
 * The bytes come from a network: wrong types, texts that are too long and numbers out of range are
 * refused; fields and words of a later version are passed over. What does not fit (edges beyond the
 * maximum) is counted, not lost in silence.
 */
#include "lib/model/report.h"
#include "lib/model/summary.h"

#define NPT_REPORT_JSON_BYTES_MAX (64UL * 1024 * 1024)

/*
 * The quantiles of an edge as they are said in the JSON. A report that was made of a status has
 * these and no histograms; else they equal the histograms'.
 */
struct npt_edge_quantiles {
	struct npt_quantiles micros[NPT_METRIC_COUNT];
	bool known[NPT_METRIC_COUNT];
	/* Of a status, which says nothing of segments, of how connections ended, nor of waits. */
	bool is_summary;
};

/*
 * *report_ret is the caller's. quantiles_ret may be NULL; else one element an edge, the caller's to
 * free. -EBADMSG: not JSON, or not a Report (or Window) that can be read.
 */
int npt_report_from_json(const char *text, size_t size_bytes, struct npt_report **report_ret,
			 struct npt_edge_quantiles **quantiles_ret, struct npt_error *err);

/* The same of the histograms. */
void npt_edge_quantiles_of(const struct npt_edge *edge, struct npt_edge_quantiles *quantiles_ret);
