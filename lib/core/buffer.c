/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubles until it fits; the maximum is part of the object, so that no reader can forget it.
 */
#include "lib/core/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lib/core/alloc.h"

void npt_buffer_init(struct npt_buffer *buffer, size_t max_bytes)
{
	*buffer = (struct npt_buffer)NPT_BUFFER(max_bytes);
}

void npt_buffer_done(struct npt_buffer *buffer)
{
	free(buffer->data);
	buffer->data = NULL;
	buffer->size_bytes = 0;
	buffer->capacity_bytes = 0;
}

void npt_buffer_clear(struct npt_buffer *buffer)
{
	buffer->size_bytes = 0;
	if (buffer->data)
		buffer->data[0] = '\0';
}

static int reserve(struct npt_buffer *buffer, size_t more)
{
	size_t needed;

	if (more > buffer->max_bytes - buffer->size_bytes)
		return -EMSGSIZE;
	needed = buffer->size_bytes + more + 1;
	if (needed > buffer->capacity_bytes) {
		size_t capacity = buffer->capacity_bytes ? buffer->capacity_bytes : 64;

		while (capacity < needed)
			capacity *= 2;
		buffer->data = npt_realloc(buffer->data, capacity, 1);
		buffer->capacity_bytes = capacity;
	}
	return 0;
}

int npt_buffer_append(struct npt_buffer *buffer, const void *data, size_t size_bytes)
{
	int r = reserve(buffer, size_bytes);

	if (r < 0)
		return r;
	if (size_bytes > 0)
		memcpy(buffer->data + buffer->size_bytes, data, size_bytes);
	buffer->size_bytes += size_bytes;
	buffer->data[buffer->size_bytes] = '\0';
	return 0;
}

int npt_buffer_append_text(struct npt_buffer *buffer, const char *text)
{
	return npt_buffer_append(buffer, text, strlen(text));
}

int npt_buffer_appendf(struct npt_buffer *buffer, const char *format, ...)
{
	npt_auto_free char *text = NULL;
	va_list args;

	va_start(args, format);
	text = npt_vformat(format, args);
	va_end(args);
	return npt_buffer_append_text(buffer, text);
}

char *npt_buffer_take(struct npt_buffer *buffer)
{
	char *data = buffer->data ? buffer->data : npt_alloc(1, 1);

	buffer->data = NULL;
	buffer->size_bytes = 0;
	buffer->capacity_bytes = 0;
	return data;
}
