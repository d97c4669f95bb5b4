/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Report details - every metric of an edge, for eyes: a block an edge, then how much is seen of
 * each process's TLS, what is not measured and what the budget has cost.
 */
#include <stddef.h>

#include "lib/core/buffer.h"
#include "lib/model/report_json_read.h"

/* How many lines a block has, about: for who must know how many fit. */
#define NPT_EDGE_DETAILS_LINES 16

/* A block. quantiles: what is known without histograms (npt_report_from_json()), or NULL. */
void npt_edge_details(const struct npt_edge *edge, const struct npt_edge_quantiles *quantiles,
		      struct npt_buffer *out);
/* A line for each library of each process, as many as are good for eyes. */
void npt_report_append_tls(const struct npt_report *report, struct npt_buffer *out);
void npt_report_append_reasons(const struct npt_report *report, struct npt_buffer *out);
/* "name[pid]:port", "name:port", "address:port" or "*:port" for whoever comes. */
void npt_peer_append(const struct npt_peer *peer, struct npt_buffer *out);
/* "Server", "Network/loss"; "-" if the numbers do not say. */
const char *npt_verdict_title(enum npt_verdict verdict);
