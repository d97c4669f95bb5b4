/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/buffer.h"

#include <errno.h>

#include "tests/support/test.h"

static void refuses_what_passes_its_maximum_and_stays_as_it_was(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer buffer = NPT_BUFFER(5);

	NPT_CHECK(npt_buffer_append_text(&buffer, "abc") == 0);
	NPT_CHECK(npt_buffer_append_text(&buffer, "def") == -EMSGSIZE);
	NPT_CHECK_STR(buffer.data, "abc");
	NPT_CHECK(npt_buffer_append_text(&buffer, "de") == 0);
	NPT_CHECK_STR(buffer.data, "abcde");
}

static void appends_what_a_format_says(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer buffer = NPT_BUFFER(100);

	NPT_CHECK(npt_buffer_appendf(&buffer, "%d-%s", 42, "x") == 0);
	NPT_CHECK_STR(buffer.data, "42-x");
}

static void hands_over_an_empty_text_when_nothing_was_added(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer buffer = NPT_BUFFER(1);
	npt_auto_free char *text = npt_buffer_take(&buffer);

	NPT_CHECK_STR(text, "");
}

static const struct npt_test tests[] = {
	NPT_TEST(refuses_what_passes_its_maximum_and_stays_as_it_was),
	NPT_TEST(appends_what_a_format_says),
	NPT_TEST(hands_over_an_empty_text_when_nothing_was_added),
};
NPT_TEST_MAIN(tests)
