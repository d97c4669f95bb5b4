/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/clock.h"

#include <errno.h>

#include "tests/support/test.h"

static void writes_and_reads_rfc3339(void)
{
	char text[NPT_RFC3339_BYTES];
	uint64_t ms = 0;

	npt_rfc3339_ms(1767225600123ULL, text);
	NPT_CHECK_STR(text, "2026-01-01T00:00:00.123Z");
	NPT_CHECK(npt_rfc3339_parse(text, &ms) == 0);
	NPT_CHECK_INT(ms, 1767225600123LL);
	npt_rfc3339_seconds(ms, text);
	NPT_CHECK_STR(text, "2026-01-01T00:00:00Z");
	NPT_CHECK(npt_rfc3339_parse("2026-01-01T00:00:00.123456Z", &ms) == 0);
	NPT_CHECK_INT(ms, 1767225600123LL);
}

static void refuses_other_forms_of_time(void)
{
	uint64_t ms;

	NPT_CHECK(npt_rfc3339_parse("", &ms) == -EINVAL);
	NPT_CHECK(npt_rfc3339_parse("2026-01-01", &ms) == -EINVAL);
	NPT_CHECK(npt_rfc3339_parse("2026-01-01T00:00:00", &ms) == -EINVAL);
	NPT_CHECK(npt_rfc3339_parse("2026-01-01T00:00:00+01:00", &ms) == -EINVAL);
}

static const struct npt_test tests[] = {
	NPT_TEST(writes_and_reads_rfc3339),
	NPT_TEST(refuses_other_forms_of_time),
};
NPT_TEST_MAIN(tests)
