/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Own offset - where in its file a function of this very program is, so that it can be probed.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

/* 0, and a failed check, if it is in no mapping. */
static inline uint64_t npt_test_own_offset(uintptr_t place)
{
	npt_auto_fclose FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t begin, end, offset;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &begin, &end, &offset) ==
			    3 &&
		    place >= begin && place < end)
			return place - begin + offset;
	}
	NPT_CHECK_STR("not in the maps", "");
	return 0;
}
