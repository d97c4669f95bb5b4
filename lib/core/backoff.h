/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Backoff - how long to wait before another try: anything up to a bound that doubles with each
 * failure ("full jitter"), so that many clients of one server that was away do not come at once.
 */
#include <stdint.h>

/* failures: how many tries failed so far; 0 and 1 have the first bound. At least 1. */
uint64_t npt_backoff_ms(unsigned int failures, uint64_t first_ms, uint64_t max_ms);
