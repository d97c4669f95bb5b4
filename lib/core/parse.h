/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Parse - numbers from text that somebody else wrote. The whole text must be the number.
 */
#include <stdint.h>

/* Decimal digits only, min <= value <= max. 0, -EINVAL or -ERANGE. */
int npt_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value_ret);
/* Hexadecimal digits only, at most 16. 0 or -EINVAL. */
int npt_parse_hex_u64(const char *text, uint64_t *value_ret);
/* "5", "5s", "500ms", "2m" in milliseconds; a bare number is seconds. 0, -EINVAL or -ERANGE. */
int npt_parse_duration_ms(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *ms_ret);
