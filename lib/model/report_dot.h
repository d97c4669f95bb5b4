/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Report as a graph in DOT, for Graphviz: measured pods are boxes with their processes inside, the
 * rest of the world stands around them, an arrow goes from who opened the connections to who
 * answers. What is wrong is red, with its verdict.
 */
#include "lib/core/buffer.h"
#include "lib/model/report_json_read.h"

/*
 * 0, or -EMSGSIZE when the buffer's maximum is too small (what is in it is then useless). quantiles
 * NULL: those of the histograms.
 */
int npt_report_to_dot(const struct npt_report *report, const struct npt_edge_quantiles *quantiles,
		      struct npt_buffer *out);
