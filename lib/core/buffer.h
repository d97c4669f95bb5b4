/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Buffer - bytes that grow, up to the maximum that was named at the start.
 *
 * An append that would pass the maximum adds nothing, returns -EMSGSIZE and leaves the buffer as it
 * was. The content is always followed by a NUL that does not count.
 */
#include "lib/core/cleanup.h"

#include <stddef.h>

struct npt_buffer {
	char *data;
	size_t size_bytes;
	size_t capacity_bytes;
	size_t max_bytes;
};

#define NPT_BUFFER(max)                                                                            \
	{                                                                                          \
		.max_bytes = (max)                                                                 \
	}

void npt_buffer_init(struct npt_buffer *buffer, size_t max_bytes);
void npt_buffer_done(struct npt_buffer *buffer);
void npt_buffer_clear(struct npt_buffer *buffer);
int npt_buffer_append(struct npt_buffer *buffer, const void *data, size_t size_bytes);
int npt_buffer_append_text(struct npt_buffer *buffer, const char *text);
int npt_buffer_appendf(struct npt_buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Hands the content over (never NULL); the buffer is empty and usable. */
char *npt_buffer_take(struct npt_buffer *buffer);
NPT_DEFINE_AUTO_DONE(struct npt_buffer, npt_buffer_done)
