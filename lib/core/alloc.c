/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation that fails ends here, with one line and an abort.
 */
#include "lib/core/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size)
{
	fprintf(stderr, "npt: out of memory (%zu bytes)\n", size);
	abort();
}

void *npt_alloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	if (!memory)
		out_of_memory(size);
	return memory;
}

void *npt_realloc(void *memory, size_t count, size_t size)
{
	void *grown = reallocarray(memory, count ? count : 1, size ? size : 1);

	if (!grown)
		out_of_memory(size);
	return grown;
}

void *npt_memdup(const void *memory, size_t size)
{
	void *copy = npt_alloc(1, size);

	if (size > 0)
		memcpy(copy, memory, size);
	return copy;
}

char *npt_strndup(const char *text, size_t length)
{
	size_t size = strnlen(text, length);
	char *copy = npt_alloc(size + 1, 1);

	memcpy(copy, text, size);
	return copy;
}

char *npt_strdup(const char *text)
{
	return npt_strndup(text, SIZE_MAX - 1);
}

char *npt_vformat(const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		out_of_memory(0);
	return text;
}

char *npt_format(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = npt_vformat(format, args);
	va_end(args);
	return text;
}
