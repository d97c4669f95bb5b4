/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/header_file.h"

#include <errno.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

static int parse(const char *text, struct npt_headers *headers)
{
	return npt_headers_parse(npt_strdup(text), headers, NULL);
}

static void headers_are_read_line_by_line(void)
{
	npt_auto(npt_headers_done) struct npt_headers headers = { .text = NULL };

	NPT_CHECK_INT(parse("# words\n\nA: b\r\nX-Scope-OrgID: shop", &headers), 0);
	NPT_CHECK_STR(headers.lines[0], "A: b");
	NPT_CHECK_STR(headers.lines[1], "X-Scope-OrgID: shop");
	NPT_CHECK(headers.lines[2] == NULL);
}

static void what_would_be_two_headers_or_none_is_refused(void)
{
	static const char *const bad[] = { "no header", ": b", "a b: c", "A: b\rC: d", "A: \x7f" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(bad); i++) {
		struct npt_headers headers = { .text = NULL };

		NPT_CHECK_INT(parse(bad[i], &headers), -EINVAL);
		NPT_CHECK(headers.text == NULL);
	}
}

static void there_are_at_most_sixteen(void)
{
	npt_auto(npt_headers_done) struct npt_headers headers = { .text = NULL };

	NPT_CHECK_INT(
		parse("A:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\n", &headers),
		0);
	NPT_CHECK(headers.lines[15] && !headers.lines[16]);
	npt_headers_done(&headers);
	NPT_CHECK_INT(parse("A:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\nA:\n",
			    &headers),
		      -EINVAL);
}

static const struct npt_test tests[] = {
	NPT_TEST(headers_are_read_line_by_line),
	NPT_TEST(what_would_be_two_headers_or_none_is_refused),
	NPT_TEST(there_are_at_most_sixteen),
};
NPT_TEST_MAIN(tests)
