/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Code - machine code that a test writes as hexadecimal digits; blanks are skipped. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* How many bytes there are now; more than size_bytes is a mistake of the test. */
static inline size_t npt_test_code(const char *hex, uint8_t *bytes, size_t size_bytes)
{
	size_t digits = 0;

	for (; *hex; hex++) {
		uint8_t value = (uint8_t)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);

		if (*hex == ' ')
			continue;
		if (value >= 16 || digits / 2 >= size_bytes)
			abort();
		bytes[digits / 2] = (uint8_t)(digits % 2 ? bytes[digits / 2] << 4 | value : value);
		digits++;
	}
	if (digits % 2)
		abort();
	return digits / 2;
}
