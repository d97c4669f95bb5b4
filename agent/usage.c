/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/usage.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/core/cleanup.h"
#include "lib/core/clock.h"

uint64_t npt_usage_rss_bytes(void)
{
	npt_auto_fclose FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long size = 0, resident = 0;

	if (!file || fscanf(file, "%llu %llu", &size, &resident) != 2)
		return 0;
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t ns_of(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * NPT_NS_PER_SECOND + (uint64_t)time->tv_usec * 1000;
}

uint64_t npt_usage_cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0;
	return ns_of(&usage.ru_utime) + ns_of(&usage.ru_stime);
}
