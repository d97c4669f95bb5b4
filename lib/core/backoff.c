/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubling stops at the bound, so that no number of failures overflows.
 */
#include "lib/core/backoff.h"

#include "lib/core/random.h"

uint64_t npt_backoff_ms(unsigned int failures, uint64_t first_ms, uint64_t max_ms)
{
	uint64_t bound = first_ms;

	for (unsigned int i = 1; i < failures && bound < max_ms; i++)
		bound *= 2;
	if (bound > max_ms)
		bound = max_ms;
	return npt_random_below(bound) + 1;
}
