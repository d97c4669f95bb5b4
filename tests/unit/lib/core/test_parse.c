/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/parse.h"

#include <errno.h>

#include "tests/support/test.h"

static void takes_whole_numbers_only(void)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },         { "100", 0, 100 },
		{ "101", -ERANGE, 0 }, { "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },  { " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },  { "+1", -EINVAL, 0 },
		{ "0x1", -EINVAL, 0 }, { "18446744073709551616", -ERANGE, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;

		NPT_CHECK_INT(npt_parse_u64(cases[i].text, 0, 100, &value), cases[i].result);
		NPT_CHECK_INT(value, cases[i].value);
	}
}

static void takes_durations_with_units(void)
{
	uint64_t ms = 0;

	NPT_CHECK(npt_parse_duration_ms("5", 1, 10000, &ms) == 0 && ms == 5000);
	NPT_CHECK(npt_parse_duration_ms("500ms", 1, 10000, &ms) == 0 && ms == 500);
	NPT_CHECK(npt_parse_duration_ms("2m", 1, 1000000, &ms) == 0 && ms == 120000);
	NPT_CHECK(npt_parse_duration_ms("11s", 1, 10000, &ms) == -ERANGE);
	NPT_CHECK(npt_parse_duration_ms("0", 1, 10000, &ms) == -ERANGE);
	NPT_CHECK(npt_parse_duration_ms("5x", 1, 10000, &ms) == -EINVAL);
	NPT_CHECK(npt_parse_duration_ms("s", 1, 10000, &ms) == -EINVAL);
}

static void takes_hexadecimal(void)
{
	uint64_t value = 0;

	NPT_CHECK(npt_parse_hex_u64("ff", &value) == 0 && value == 255);
	NPT_CHECK(npt_parse_hex_u64("ffffffffffffffff", &value) == 0 && value == UINT64_MAX);
	NPT_CHECK(npt_parse_hex_u64("10000000000000000", &value) == -EINVAL);
	NPT_CHECK(npt_parse_hex_u64("", &value) == -EINVAL);
	NPT_CHECK(npt_parse_hex_u64("g", &value) == -EINVAL);
}

static const struct npt_test tests[] = {
	NPT_TEST(takes_whole_numbers_only),
	NPT_TEST(takes_durations_with_units),
	NPT_TEST(takes_hexadecimal),
};
NPT_TEST_MAIN(tests)
