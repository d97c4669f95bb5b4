/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells are kept as text, one after another; widths are known when all have come. The last column
 * is not padded, so that no line has blanks at its end.
 */
#include "cli/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"

#define GAP        3
#define TEXT_BYTES (64UL * 1024 * 1024)

struct row {
	enum npt_table_style style;
	char *cells[NPT_TABLE_COLUMNS_MAX];
	size_t count;
};

struct npt_cli_table {
	struct row *rows; /* the first one is the head */
	size_t rows_count;
	size_t columns;
	bool right[NPT_TABLE_COLUMNS_MAX];
};

struct npt_cli_table *npt_cli_table_new(const char *const *head)
{
	struct npt_cli_table *table = npt_alloc(1, sizeof(*table));

	npt_cli_table_row(table, NPT_TABLE_PLAIN);
	for (; *head && table->columns < NPT_TABLE_COLUMNS_MAX; head++) {
		bool right = (*head)[0] == '>';

		table->right[table->columns++] = right;
		npt_cli_table_cell(table, *head + right);
	}
	return table;
}

void npt_cli_table_free(struct npt_cli_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->rows_count; i++) {
		for (size_t k = 0; k < table->rows[i].count; k++)
			free(table->rows[i].cells[k]);
	}
	free(table->rows);
	free(table);
}

void npt_cli_table_row(struct npt_cli_table *table, enum npt_table_style style)
{
	size_t count = table->rows_count;

	if ((count & (count - 1)) == 0)
		table->rows = npt_realloc(table->rows, count ? count * 2 : 1, sizeof(*table->rows));
	table->rows[table->rows_count++] = (struct row){ .style = style };
}

void npt_cli_text_append(struct npt_buffer *out, const char *text)
{
	for (; *text; text++)
		(void)npt_buffer_append(out, *text >= ' ' && *text <= '~' ? text : "?", 1);
}

void npt_cli_table_cell(struct npt_cli_table *table, const char *text)
{
	struct npt_buffer safe = NPT_BUFFER(TEXT_BYTES);
	struct row *row = &table->rows[table->rows_count - 1];

	if (row->count == NPT_TABLE_COLUMNS_MAX)
		return;
	npt_cli_text_append(&safe, text);
	row->cells[row->count++] = npt_buffer_take(&safe);
}

void npt_cli_table_cellf(struct npt_cli_table *table, const char *format, ...)
{
	npt_auto_free char *text = NULL;
	va_list args;

	va_start(args, format);
	text = npt_vformat(format, args);
	va_end(args);
	npt_cli_table_cell(table, text);
}

static const char *cell_at(const struct row *row, size_t column)
{
	return column < row->count ? row->cells[column] : "";
}

static size_t width_of(const struct npt_cli_table *table, size_t column)
{
	size_t width = 0;

	for (size_t i = 0; i < table->rows_count; i++) {
		size_t length = strlen(cell_at(&table->rows[i], column));

		width = length > width ? length : width;
	}
	return width;
}

static void render_row(const struct npt_cli_table *table, const struct row *row,
		       const size_t *widths, struct npt_buffer *line)
{
	for (size_t i = 0; i < table->columns; i++) {
		const char *text = cell_at(row, i);
		int width = (int)widths[i];

		if (table->right[i])
			(void)npt_buffer_appendf(line, "%*s", width, text);
		else
			(void)npt_buffer_appendf(line, "%-*s", width, text);
		if (i + 1 < table->columns)
			(void)npt_buffer_appendf(line, "%*s", GAP, "");
	}
	while (line->size_bytes > 0 && line->data[line->size_bytes - 1] == ' ')
		line->data[--line->size_bytes] = '\0';
}

void npt_cli_table_render(const struct npt_cli_table *table, bool colour, size_t width,
			  struct npt_buffer *out)
{
	static const char *const begin[] = { "", "\033[31m", "\033[32m", "\033[33m" };
	size_t widths[NPT_TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < table->columns; i++)
		widths[i] = width_of(table, i);
	for (size_t i = 0; i < table->rows_count; i++) {
		npt_auto(npt_buffer_done) struct npt_buffer line = NPT_BUFFER(TEXT_BYTES);
		const struct row *row = &table->rows[i];
		bool styled = colour && row->style != NPT_TABLE_PLAIN;

		render_row(table, row, widths, &line);
		(void)npt_buffer_append_text(out, styled ? begin[row->style] : "");
		(void)npt_buffer_append(out, line.data ? line.data : "",
					width && line.size_bytes > width ? width : line.size_bytes);
		(void)npt_buffer_append_text(out, styled ? "\033[0m\n" : "\n");
	}
}
