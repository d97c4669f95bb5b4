/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/histogram.h"

#include <stdlib.h>

#include "tests/support/test.h"

static void every_bucket_begins_with_its_lower_bound(void)
{
	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		uint64_t lower = npt_histogram_lower_micros(i);

		NPT_CHECK_INT(npt_histogram_bucket(lower), i);
		if (i > 0)
			NPT_CHECK_INT(npt_histogram_bucket(lower - 1), i - 1);
	}
	NPT_CHECK_INT(npt_histogram_lower_micros(NPT_HISTOGRAM_OVERFLOW), 1LL << 32);
	NPT_CHECK_INT(npt_histogram_bucket(UINT64_MAX), NPT_HISTOGRAM_OVERFLOW);
}

static void midpoint_is_within_an_eighth_of_each_value(void)
{
	uint64_t state = npt_test_seed();

	for (int i = 0; i < 100000; i++) {
		uint64_t value = npt_test_random(&state) >> (32 + npt_test_random(&state) % 32);
		uint64_t middle = npt_histogram_midpoint_micros(npt_histogram_bucket(value));
		uint64_t distance = middle > value ? middle - value : value - middle;

		if (!NPT_CHECK(distance * 8 <= value))
			return;
	}
}

static void quantiles_follow_the_rank_rule(void)
{
	struct npt_histogram histogram = { 0 };

	NPT_CHECK_INT(npt_histogram_quantile_micros(&histogram, 500), 0);
	npt_histogram_add(&histogram, 1);
	npt_histogram_add(&histogram, 2);
	npt_histogram_add(&histogram, 3);
	npt_histogram_add(&histogram, 100);
	NPT_CHECK_INT(npt_histogram_quantile_micros(&histogram, 500), 2);
	NPT_CHECK_INT(npt_histogram_quantile_micros(&histogram, 750), 3);
	NPT_CHECK_INT(npt_histogram_quantile_micros(&histogram, 751), 100);
	NPT_CHECK_INT(npt_histogram_quantile_micros(&histogram, 0), 1);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void quantiles_of_random_values_are_within_an_eighth(void)
{
	static uint64_t values[5000];
	static const uint32_t permilles[] = { 10, 500, 950, 990, 999, 1000 };
	uint64_t state = npt_test_seed();
	struct npt_histogram histogram = { 0 };

	for (size_t i = 0; i < 5000; i++) {
		values[i] = npt_test_random(&state) >> (40 + npt_test_random(&state) % 24);
		npt_histogram_add(&histogram, values[i]);
	}
	qsort(values, 5000, sizeof(values[0]), compare);
	for (size_t i = 0; i < sizeof(permilles) / sizeof(permilles[0]); i++) {
		uint64_t truth = values[(5000 * permilles[i] + 999) / 1000 - 1];
		uint64_t found = npt_histogram_quantile_micros(&histogram, permilles[i]);
		uint64_t distance = truth > found ? truth - found : found - truth;

		NPT_CHECK(distance * 8 <= truth);
	}
}

static void merging_is_addition(void)
{
	struct npt_histogram a = { 0 }, b = { 0 };

	npt_histogram_add(&a, 7);
	npt_histogram_add(&b, 7);
	npt_histogram_add(&b, 9000);
	npt_histogram_merge(&a, &b);
	NPT_CHECK_INT(a.count, 3);
	NPT_CHECK_INT(a.sum_micros, 9014);
	NPT_CHECK_INT(a.max_micros, 9000);
	NPT_CHECK_INT(a.buckets[npt_histogram_bucket(7)], 2);
}

static const struct npt_test tests[] = {
	NPT_TEST(every_bucket_begins_with_its_lower_bound),
	NPT_TEST(midpoint_is_within_an_eighth_of_each_value),
	NPT_TEST(quantiles_follow_the_rank_rule),
	NPT_TEST(quantiles_of_random_values_are_within_an_eighth),
	NPT_TEST(merging_is_addition),
};
NPT_TEST_MAIN(tests)
