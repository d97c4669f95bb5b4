/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Table details - every metric of a few edges, for eyes: a block an edge, then what is not measured
 * and what the budget has cost.
 */
#include <stddef.h>

#include "lib/core/buffer.h"
#include "lib/model/report.h"

/* How many lines a block has, about: for who must know how many fit. */
#define NPT_TABLE_BLOCK_LINES 14

void npt_table_details(const struct npt_report *report, const struct npt_edge *const *edges,
		       size_t count, struct npt_buffer *out);
/* "name[pid]:port", "name:port", "address:port" or "*:port" for whoever comes. */
void npt_table_peer(const struct npt_peer *peer, struct npt_buffer *out);
