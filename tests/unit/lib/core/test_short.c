/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/short.h"

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static void numbers_have_at_most_six_characters(void)
{
	static const struct {
		uint64_t value;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 9999, "9999" },
		{ 10000, "10.0k" },
		{ 999999, "999.9k" },
		{ 1000000, "1.0M" },
		{ 12345678, "12.3M" },
		{ 1000000000, "1.0G" },
		{ UINT64_MAX, "18.4E" },
	};
	char text[NPT_SHORT_BYTES];

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		NPT_CHECK_STR(npt_short_number(cases[i].value, text), cases[i].text);
		NPT_CHECK(strlen(text) <= 6);
	}
}

static void times_have_the_unit_that_they_fit(void)
{
	char text[NPT_SHORT_BYTES];

	NPT_CHECK_STR(npt_short_micros(9999, text), "9999us");
	NPT_CHECK_STR(npt_short_micros(10000, text), "10ms");
	NPT_CHECK_STR(npt_short_micros(9999999, text), "9999ms");
	NPT_CHECK_STR(npt_short_micros(10000000, text), "10s");
}

static const struct npt_test tests[] = {
	NPT_TEST(numbers_have_at_most_six_characters),
	NPT_TEST(times_have_the_unit_that_they_fit),
};
NPT_TEST_MAIN(tests)
