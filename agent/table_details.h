/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Table details - every metric of a few edges, for eyes: a block an edge, then how much is seen of
 * each process's TLS, what is not measured and what the budget has cost.
 */
#include <stddef.h>

#include "lib/core/buffer.h"
#include "lib/model/report.h"

/* How many lines a block has, about: for who must know how many fit. */
#define NPT_TABLE_BLOCK_LINES 16

void npt_table_details(const struct npt_edge *const *edges, size_t count, struct npt_buffer *out);
/* A line for each library of each process, as many as are good for eyes. */
void npt_table_tls(const struct npt_report *report, struct npt_buffer *out);
void npt_table_reasons(const struct npt_report *report, struct npt_buffer *out);
/* "name[pid]:port", "name:port", "address:port" or "*:port" for whoever comes. */
void npt_table_peer(const struct npt_peer *peer, struct npt_buffer *out);
