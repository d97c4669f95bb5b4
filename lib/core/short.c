/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/short.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

const char *npt_short_number(uint64_t value, char out[static NPT_SHORT_BYTES])
{
	static const char units[] = { 'k', 'M', 'G', 'T', 'P', 'E' };
	uint64_t scale = 1000;
	size_t unit = 0;

	if (value < 10000) {
		(void)snprintf(out, NPT_SHORT_BYTES, "%" PRIu64, value);
		return out;
	}
	while (unit + 1 < sizeof(units) && value / scale >= 1000) {
		scale *= 1000;
		unit++;
	}
	(void)snprintf(out, NPT_SHORT_BYTES, "%" PRIu64 ".%" PRIu64 "%c", value / scale,
		       value % scale / (scale / 10), units[unit]);
	return out;
}

const char *npt_short_micros(uint64_t micros, char out[static NPT_SHORT_BYTES])
{
	if (micros < 10000)
		(void)snprintf(out, NPT_SHORT_BYTES, "%" PRIu64 "us", micros);
	else if (micros < 10000000)
		(void)snprintf(out, NPT_SHORT_BYTES, "%" PRIu64 "ms", micros / 1000);
	else
		(void)snprintf(out, NPT_SHORT_BYTES, "%" PRIu64 "s", micros / 1000000);
	return out;
}
