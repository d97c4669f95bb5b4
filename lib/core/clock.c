/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thin over clock_gettime(); the RFC 3339 forms are fixed, so no locale gets in.
 */
#include "lib/core/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec now = { 0 };

	(void)clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * NPT_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t npt_clock_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint32_t npt_clock_ticks_per_second(void)
{
	struct timespec jiffy = { 0 };

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &jiffy) < 0 || jiffy.tv_nsec <= 0)
		return 0;
	return (uint32_t)((NPT_NS_PER_SECOND + (uint64_t)jiffy.tv_nsec / 2) /
			  (uint64_t)jiffy.tv_nsec);
}

uint64_t npt_clock_boottime_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

uint64_t npt_clock_unix_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t npt_clock_unix_ms(void)
{
	return npt_clock_unix_ns() / NPT_NS_PER_MS;
}

static void format_utc(uint64_t unix_ms, char *out, int with_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm utc = { 0 };
	size_t length;

	(void)gmtime_r(&seconds, &utc);
	length = strftime(out, NPT_RFC3339_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
	if (with_ms)
		(void)snprintf(out + length, NPT_RFC3339_BYTES - length, ".%03uZ",
			       (unsigned int)(unix_ms % 1000));
	else
		(void)snprintf(out + length, NPT_RFC3339_BYTES - length, "Z");
}

void npt_rfc3339_ms(uint64_t unix_ms, char *out)
{
	format_utc(unix_ms, out, 1);
}

void npt_rfc3339_seconds(uint64_t unix_ms, char *out)
{
	format_utc(unix_ms, out, 0);
}

int npt_rfc3339_parse(const char *text, uint64_t *unix_ms_ret)
{
	struct tm utc = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
	uint64_t ms = 0;
	time_t seconds;

	if (!rest)
		return -EINVAL;
	if (*rest == '.') {
		uint64_t scale = 100;

		for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
			ms += (uint64_t)(*rest - '0') * scale;
	}
	if (strcmp(rest, "Z") != 0)
		return -EINVAL;
	seconds = timegm(&utc);
	if (seconds < 0)
		return -EINVAL;
	*unix_ms_ret = (uint64_t)seconds * 1000 + ms;
	return 0;
}
