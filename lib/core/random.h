/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Random - for jitter and phases; not for secrets (lib/net/digest.h has those).
 */
#include <stdint.h>

/* 0 .. limit - 1; 0 for a limit of 0. */
uint64_t npt_random_below(uint64_t limit);
