/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Table - edges for eyes: one row an edge, most bytes first, then what is wrong in words.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/core/buffer.h"
#include "lib/model/report.h"

/* Appends the table of a report's edges, at most rows_max of them (the rest is said as a number).
 */
void npt_table_render(const struct npt_report *report, size_t rows_max, struct npt_buffer *out);
