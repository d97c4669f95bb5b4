/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Table - edges for eyes: one row an edge, the worst and then the largest first; what is wrong in
 * words; all metrics of the first ones.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/core/buffer.h"
#include "lib/model/report.h"

struct npt_table_size {
	size_t rows;    /* edges with a row; of the rest their number is said */
	size_t details; /* edges with all their metrics */
};

/* Appends the table of a report's edges. */
void npt_table_render(const struct npt_report *report, const struct npt_table_size *size,
		      struct npt_buffer *out);
