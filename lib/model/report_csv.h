/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Report as CSV (RFC 4180) - a line an edge, for spreadsheets and data frames: the first line has
 * the columns' names, lines end with CR LF.
 *
 * A text that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line
 * break) has ' in front. A metric that was not measured has empty cells, never 0. Times are
 * microseconds.
 */
#include "lib/core/buffer.h"
#include "lib/model/report_json_read.h"

/* Both: 0, or -EMSGSIZE when the buffer's maximum is too small (what is in it is then useless). */
int npt_csv_head(struct npt_buffer *out);
/* quantiles NULL: those of the edge's histograms. */
int npt_edge_to_csv(const struct npt_edge *edge, const struct npt_edge_quantiles *quantiles,
		    struct npt_buffer *out);
/* Head and all edges; quantiles NULL or one an edge. */
int npt_report_to_csv(const struct npt_report *report, const struct npt_edge_quantiles *quantiles,
		      struct npt_buffer *out);
