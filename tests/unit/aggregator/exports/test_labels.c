/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/labels.h"

#include <string.h>

#include "tests/support/random_report.h"
#include "tests/support/test.h"

static void what_is_no_text_becomes_question_marks(void)
{
	static const struct {
		const char *raw, *clean;
	} cases[] = {
		{ "plain", "plain" },
		{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		  "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "a\nb\tc\x1f", "a?b?c?" },
		{ "\xff\xfe", "??" },
		{ "\xc0\xaf", "??" },           /* overlong */
		{ "\xed\xa0\x80", "???" },      /* a surrogate */
		{ "\xf4\x90\x80\x80", "????" }, /* beyond Unicode */
		{ "\xe2\x82", "??" },           /* cut off */
		{ "\xc2\x85", "??" },           /* a control of Latin-1 */
		{ "", "" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		char clean[64];

		npt_label_clean(cases[i].raw, clean, sizeof(clean));
		NPT_CHECK_STR(clean, cases[i].clean);
	}
}

static void a_text_is_cut_between_characters(void)
{
	char clean[4];

	npt_label_clean("ab\xc3\xa9", clean, sizeof(clean));
	NPT_CHECK_STR(clean, "ab");
	npt_label_clean("abcd", clean, sizeof(clean));
	NPT_CHECK_STR(clean, "abc");
}

static void equal_keys_are_equal_labels(void)
{
	uint64_t state = npt_test_seed();
	npt_auto(npt_report_free) struct npt_report *window = npt_test_random_report(&state, 2);
	npt_auto(npt_labels_done) struct npt_labels one = { .key = NULL };
	npt_auto(npt_labels_done) struct npt_labels other = { .key = NULL };
	npt_auto(npt_labels_done) struct npt_labels few = { .key = NULL };

	npt_labels_of_edge(window, &window->edges[0], NPT_LABELS_ALL, &one);
	npt_labels_of_edge(window, &window->edges[1], NPT_LABELS_ALL, &other);
	NPT_CHECK(strcmp(one.key, other.key) != 0);
	npt_labels_of_edge(window, &window->edges[0], NPT_LABELS_FEW, &few);
	NPT_CHECK_STR(few.texts[NPT_LABEL_PID], "");
	NPT_CHECK_STR(few.texts[NPT_LABEL_ROLE], one.texts[NPT_LABEL_ROLE]);
	window->edges[0].process.pid++;
	npt_labels_done(&other);
	npt_labels_of_edge(window, &window->edges[0], NPT_LABELS_FEW, &other);
	NPT_CHECK_STR(other.key, few.key);
}

static const struct npt_test tests[] = {
	NPT_TEST(what_is_no_text_becomes_question_marks),
	NPT_TEST(a_text_is_cut_between_characters),
	NPT_TEST(equal_keys_are_equal_labels),
};
NPT_TEST_MAIN(tests)
