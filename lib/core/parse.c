/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digits by hand: strtoull() takes signs, blanks and half a number, which are all mistakes here.
 */
#include "lib/core/parse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static int take_digits(const char **text, uint64_t *value_ret)
{
	const char *at = *text;
	uint64_t value = 0;

	if (*at < '0' || *at > '9')
		return -EINVAL;
	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	*text = at;
	*value_ret = value;
	return 0;
}

int npt_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value_ret)
{
	uint64_t value;
	int r = take_digits(&text, &value);

	if (r < 0)
		return r;
	if (*text != '\0')
		return -EINVAL;
	if (value < min || value > max)
		return -ERANGE;
	*value_ret = value;
	return 0;
}

static int hex_digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	if (character >= 'A' && character <= 'F')
		return character - 'A' + 10;
	return -1;
}

int npt_parse_hex_u64(const char *text, uint64_t *value_ret)
{
	uint64_t value = 0;
	size_t length = strnlen(text, 17);

	if (length == 0 || length > 16)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		int digit = hex_digit(text[i]);

		if (digit < 0)
			return -EINVAL;
		value = value << 4 | (uint64_t)digit;
	}
	*value_ret = value;
	return 0;
}

int npt_parse_duration_ms(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *ms_ret)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 }, { "h", 3600000 } };
	uint64_t value;
	int r = take_digits(&text, &value);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].unit) != 0)
			continue;
		if (value > max_ms / units[i].ms || value * units[i].ms < min_ms)
			return -ERANGE;
		*ms_ret = value * units[i].ms;
		return 0;
	}
	return -EINVAL;
}
