/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Compare - a Comparison (docs/api.md) for eyes: what has changed in words, then the numbers of
 * both tasks and what is thought of each pair.
 */
#include <stdbool.h>

#include <jansson.h>

#include "lib/core/buffer.h"

void npt_compare_append(struct npt_buffer *out, const json_t *comparison, bool colour);
