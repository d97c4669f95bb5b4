/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Edges - a result for eyes: what is wrong in words, then a line for each edge.
 */
#include "cli/result.h"
#include "lib/core/buffer.h"

/* "reviews-1/envoy[12] -> ratings:9080", from who opened the connections to who answers. */
void npt_edges_append_name(struct npt_buffer *out, const struct npt_edge *edge);
/* Sentences, worst first; or one that says what was looked at. */
void npt_edges_append_findings(struct npt_buffer *out, const struct npt_result *result,
			       bool colour);
/* The table; width 0: not cut. */
void npt_edges_append_table(struct npt_buffer *out, const struct npt_result *result, bool colour,
			    size_t width);
