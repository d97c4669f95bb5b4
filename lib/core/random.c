/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel; without it 0, which is a jitter like any other.
 */
#include "lib/core/random.h"

#include <sys/random.h>

uint64_t npt_random_below(uint64_t limit)
{
	uint64_t value = 0;

	if (limit == 0 || getrandom(&value, sizeof(value), 0) < 0)
		return 0;
	return value % limit;
}
