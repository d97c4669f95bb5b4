/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Table - rows of cells, as wide as what is in them, three blanks between, as kubectl's.
 *
 * Texts come from other machines: what a terminal would obey, and what is no ASCII, becomes "?".
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buffer.h"

#define NPT_TABLE_COLUMNS_MAX 16

enum npt_table_style { NPT_TABLE_PLAIN, NPT_TABLE_RED, NPT_TABLE_GREEN, NPT_TABLE_YELLOW };

struct npt_cli_table;

/* head: the columns' names, NULL ends; one that begins with ">" (not shown) is set to the right. */
struct npt_cli_table *npt_cli_table_new(const char *const *head);
void npt_cli_table_free(struct npt_cli_table *table);
NPT_DEFINE_AUTO(struct npt_cli_table *, npt_cli_table_free)
/* A row; its cells follow from left to right, those that do not come are empty. */
void npt_cli_table_row(struct npt_cli_table *table, enum npt_table_style style);
void npt_cli_table_cell(struct npt_cli_table *table, const char *text);
void npt_cli_table_cellf(struct npt_cli_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* width 0: as wide as it is; else lines are cut there. */
void npt_cli_table_render(const struct npt_cli_table *table, bool colour, size_t width,
			  struct npt_buffer *out);

/* Text that is safe on a terminal. */
void npt_cli_text_append(struct npt_buffer *out, const char *text);
