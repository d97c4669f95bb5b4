/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/backoff.h"

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static void doubles_its_bound_up_to_the_last_and_jitters_below_it(void)
{
	static const struct {
		unsigned int failures;
		uint64_t bound;
	} cases[] = { { 0, 1000 },  { 1, 1000 },  { 2, 2000 },       { 3, 4000 },
		      { 5, 16000 }, { 6, 30000 }, { 1000000, 30000 } };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		uint64_t least = UINT64_MAX, most = 0;

		for (size_t round = 0; round < 400; round++) {
			uint64_t ms = npt_backoff_ms(cases[i].failures, 1000, 30000);

			least = ms < least ? ms : least;
			most = ms > most ? ms : most;
		}
		NPT_CHECK(least >= 1 && least < cases[i].bound / 8);
		NPT_CHECK(most <= cases[i].bound && most > cases[i].bound / 8 * 7);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(doubles_its_bound_up_to_the_last_and_jitters_below_it),
};
NPT_TEST_MAIN(tests)
