/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/random.h"

#include "tests/support/test.h"

static void stays_below_its_limit_and_reaches_all_of_it(void)
{
	unsigned int seen[4] = { 0 };

	NPT_CHECK_INT(npt_random_below(0), 0);
	for (int i = 0; i < 1000; i++) {
		uint64_t value = npt_random_below(4);

		if (!NPT_CHECK(value < 4))
			return;
		seen[value]++;
	}
	for (int i = 0; i < 4; i++)
		NPT_CHECK(seen[i] > 0);
}

static const struct npt_test tests[] = {
	NPT_TEST(stays_below_its_limit_and_reaches_all_of_it),
};
NPT_TEST_MAIN(tests)
