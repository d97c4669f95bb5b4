/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Rowbinary - ClickHouse's format of that name: values one after the other, numbers in little
 * endian, text behind its length as a varint. No names and no types: who writes and who reads agree
 * on the columns.
 *
 * What is read came over a network: bounded, and refused if it is not of the columns asked for.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buffer.h"

#define NPT_ROWBINARY_COLUMNS_MAX    16
#define NPT_ROWBINARY_TEXT_BYTES_MAX (1024UL * 1024)

/* A value of a row that was read; text is borrowed from the bytes that were given. */
struct npt_rowbinary_value {
	uint64_t number;
	const char *text; /* no NUL behind it */
	size_t size_bytes;
};

/* A buffer that is full stays as it is: say -EMSGSIZE of it once, with npt_buffer's maximum. */
int npt_rowbinary_put_number8(struct npt_buffer *out, uint8_t value);
int npt_rowbinary_put_number(struct npt_buffer *out, uint64_t value);
int npt_rowbinary_put_text(struct npt_buffer *out, const void *text, size_t size_bytes);

/*
 * Reads one row; types has a letter for each column: 'n' UInt64, 's' String. 0 and *used_ret;
 * -EAGAIN: the row goes on behind these bytes; -EBADMSG: no such row can begin like this.
 */
int npt_rowbinary_row(const char *types, const void *data, size_t size_bytes,
		      struct npt_rowbinary_value values[static NPT_ROWBINARY_COLUMNS_MAX],
		      size_t *used_ret);
/* Copies text, cut to what fits, with a NUL. */
void npt_rowbinary_copy(const struct npt_rowbinary_value *value, char *out, size_t out_bytes);
