/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Short - numbers and times in few characters, for tables that people read.
 */
#include <stdint.h>

#define NPT_SHORT_BYTES 48 /* more than it takes: compilers cannot know */

/* "0" to "9999", then "10.0k", "1.2M": at most 6 characters. Returns out. */
const char *npt_short_number(uint64_t value, char out[static NPT_SHORT_BYTES]);
/* "412us", "36ms", "12s". Returns out. */
const char *npt_short_micros(uint64_t micros, char out[static NPT_SHORT_BYTES]);
