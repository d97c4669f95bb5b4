/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Alloc - memory that is there or ends the process.
 *
 * A memory cgroup kills us long before malloc() says no, so a branch that handles NULL could never
 * be tested. Sizes that come from outside are bounded by their reader before they get here.
 */
#include <stdarg.h>
#include <stddef.h>

/* Zeroed; count * size must not overflow (it is an abort, not a wrap). */
void *npt_alloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* Grows or shrinks; the new part is not zeroed. */
void *npt_realloc(void *memory, size_t count, size_t size) __attribute__((returns_nonnull));
char *npt_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *npt_strndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
void *npt_memdup(const void *memory, size_t size) __attribute__((malloc, returns_nonnull));
char *npt_format(const char *format, ...)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 2)));
char *npt_vformat(const char *format, va_list args)
	__attribute__((malloc, returns_nonnull, format(printf, 1, 0)));
