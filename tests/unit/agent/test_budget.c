/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/budget.h"

#include <string.h>

#include "lib/core/clock.h"
#include "tests/support/test.h"

static const struct npt_ladder whole = { .slices = true, .operations = true };

/* One second in which so many millicores were used. */
static bool second(struct npt_budget *budget, const struct npt_ladder *ladder, uint64_t millicores,
		   uint64_t memory_mib)
{
	struct npt_usage usage = budget->last;

	usage.now_ns += NPT_NS_PER_SECOND;
	usage.now_unix_ms = 1767225600000 + usage.now_ns / NPT_NS_PER_MS;
	usage.cpu_ns += millicores * 500000;
	usage.hooks_ns += millicores * 500000;
	usage.memory_kib = memory_mib * 1024;
	return npt_budget_check(budget, ladder, &usage);
}

static void a_step_is_taken_when_the_budget_was_exceeded_for_a_while(void)
{
	struct npt_budget budget = { .cpu_millicores = 100, .memory_mib = 64 };

	NPT_CHECK(!second(&budget, &whole, 5000, 10)); /* loading */
	NPT_CHECK(!second(&budget, &whole, 101, 10));
	NPT_CHECK(!second(&budget, &whole, 101, 10));
	NPT_CHECK(!second(&budget, &whole, 100, 10)); /* within it: counted anew */
	NPT_CHECK(!second(&budget, &whole, 200, 10));
	NPT_CHECK(!second(&budget, &whole, 200, 10));
	NPT_CHECK_INT(budget.rung, NPT_RUNG_FULL);
	NPT_CHECK(second(&budget, &whole, 200, 10));
	NPT_CHECK_INT(budget.rung, NPT_RUNG_SHORT_SLICES);
	NPT_CHECK_STR(budget.degraded[0],
		      "since 2026-01-01T00:00:07.000Z execution times are sampled in a quarter of "
		      "the time: 200 of 100 millicores used");
}

static void the_ladder_goes_down_step_by_step_and_ends(void)
{
	static const struct npt_ladder all = { .tls = true, .slices = true, .operations = true };
	static const enum npt_rung steps[] = { NPT_RUNG_NO_TLS, NPT_RUNG_SHORT_SLICES,
					       NPT_RUNG_NO_SLICES, NPT_RUNG_NO_OPERATIONS,
					       NPT_RUNG_SLOW_SAMPLING };
	struct npt_budget budget = { .cpu_millicores = 100 };
	size_t taken = 0;

	(void)second(&budget, &all, 0, 0);
	for (int i = 0; i < 40; i++) {
		if (second(&budget, &all, 1000, 0) && taken < NPT_ARRAY_SIZE(steps))
			NPT_CHECK_INT(budget.rung, steps[taken++]);
	}
	NPT_CHECK_INT(taken, NPT_ARRAY_SIZE(steps));
	NPT_CHECK_INT(budget.rung, NPT_RUNG_SLOW_SAMPLING);
	NPT_CHECK(budget.degraded[4][0] != '\0' && budget.degraded[5][0] == '\0');
}

static void rungs_that_mean_nothing_here_are_passed_over(void)
{
	static const struct npt_ladder trampolines = { .operations = true }, base = { 0 };
	struct npt_budget first = { .cpu_millicores = 1 }, second_one = { .cpu_millicores = 1 };

	for (int i = 0; i <= NPT_BUDGET_PATIENCE; i++) {
		(void)second(&first, &trampolines, 1000, 0);
		(void)second(&second_one, &base, 1000, 0);
	}
	NPT_CHECK_INT(first.rung, NPT_RUNG_NO_OPERATIONS);
	NPT_CHECK_INT(second_one.rung, NPT_RUNG_SLOW_SAMPLING);
}

static void memory_has_a_step_of_its_own(void)
{
	struct npt_budget budget = { .memory_mib = 64 };

	for (int i = 0; i < NPT_BUDGET_PATIENCE; i++)
		NPT_CHECK(!second(&budget, &whole, 4000, 65));
	NPT_CHECK(second(&budget, &whole, 4000, 65));
	NPT_CHECK(budget.no_new_edges);
	NPT_CHECK_INT(budget.rung, NPT_RUNG_FULL);
	NPT_CHECK(strstr(budget.degraded[0], "new edges are counted in other: 65 of 64 MiB used"));
	NPT_CHECK(!second(&budget, &whole, 4000, 65));
}

static void without_a_budget_nothing_is_given_up(void)
{
	struct npt_budget budget = { 0 };

	for (int i = 0; i < 10; i++)
		NPT_CHECK(!second(&budget, &whole, 100000, 100000));
	NPT_CHECK_STR(budget.degraded[0], "");
}

static const struct npt_test tests[] = {
	NPT_TEST(a_step_is_taken_when_the_budget_was_exceeded_for_a_while),
	NPT_TEST(the_ladder_goes_down_step_by_step_and_ends),
	NPT_TEST(rungs_that_mean_nothing_here_are_passed_over),
	NPT_TEST(memory_has_a_step_of_its_own),
	NPT_TEST(without_a_budget_nothing_is_given_up),
};
NPT_TEST_MAIN(tests)
