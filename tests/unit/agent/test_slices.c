/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/slices.h"

#include "tests/support/test.h"

static void a_slice_is_a_tenth_of_the_period_at_most(void)
{
	NPT_CHECK_INT(npt_slices_length_ns(2000000000, 0), 200000000);
	NPT_CHECK_INT(npt_slices_length_ns(2000000000, 200), 200000000);
}

static void a_dear_tax_shortens_the_slice_to_20_ns_on_average(void)
{
	NPT_CHECK_INT(npt_slices_length_ns(2000000000, 400), 100000000);
	NPT_CHECK(npt_slices_length_ns(2000000000, UINT32_MAX) < 10000);
}

static const struct npt_test tests[] = {
	NPT_TEST(a_slice_is_a_tenth_of_the_period_at_most),
	NPT_TEST(a_dear_tax_shortens_the_slice_to_20_ns_on_average),
};
NPT_TEST_MAIN(tests)
