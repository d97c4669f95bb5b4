/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Gzip - bodies of answers, compressed whole.
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * Replaces *data (freed) by what it is compressed, a malloc()ed buffer of *size_bytes. False: it
 * would not be smaller, and stays as it is.
 */
bool npt_gzip_take(char **data, size_t *size_bytes);
