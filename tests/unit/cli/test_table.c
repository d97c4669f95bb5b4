/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "tests/support/test.h"

static struct npt_cli_table *two_rows(void)
{
	static const char *const head[] = { "NAME", ">N", "WHAT", NULL };
	struct npt_cli_table *table = npt_cli_table_new(head);

	npt_cli_table_row(table, NPT_TABLE_PLAIN);
	npt_cli_table_cell(table, "a-long-name");
	npt_cli_table_cellf(table, "%d", 7);
	npt_cli_table_cell(table, "x");
	npt_cli_table_row(table, NPT_TABLE_RED);
	npt_cli_table_cell(table, "b");
	npt_cli_table_cell(table, "1234");
	return table;
}

static void columns_are_as_wide_as_what_is_in_them(void)
{
	npt_auto(npt_cli_table_free) struct npt_cli_table *table = two_rows();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(4096);

	npt_cli_table_render(table, false, 0, &out);
	NPT_CHECK_STR(out.data, "NAME             N   WHAT\n"
				"a-long-name      7   x\n"
				"b             1234\n");
}

static void colour_is_only_where_it_is_wanted(void)
{
	npt_auto(npt_cli_table_free) struct npt_cli_table *table = two_rows();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(4096);

	npt_cli_table_render(table, true, 0, &out);
	NPT_CHECK(strstr(out.data, "\033[31mb             1234\033[0m\n"));
	NPT_CHECK(strstr(out.data, "\na-long-name"));
}

static void lines_are_cut_at_the_width_of_the_terminal(void)
{
	npt_auto(npt_cli_table_free) struct npt_cli_table *table = two_rows();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(4096);

	npt_cli_table_render(table, false, 8, &out);
	NPT_CHECK_STR(out.data, "NAME    \na-long-n\nb       \n");
}

static void what_a_terminal_would_obey_is_not_shown(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(4096);

	npt_cli_text_append(&out, "a\033[2J\r\n\tb\x7f\xc3\xa4");
	NPT_CHECK_STR(out.data, "a?[2J???b???");
}

static const struct npt_test tests[] = {
	NPT_TEST(columns_are_as_wide_as_what_is_in_them),
	NPT_TEST(colour_is_only_where_it_is_wanted),
	NPT_TEST(lines_are_cut_at_the_width_of_the_terminal),
	NPT_TEST(what_a_terminal_would_obey_is_not_shown),
};
NPT_TEST_MAIN(tests)
