/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are put together by shifts: the same on every machine.
 */
#include "aggregator/store/rowbinary.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define VARINT_BYTES_MAX 10

int npt_rowbinary_put_number8(struct npt_buffer *out, uint8_t value)
{
	return npt_buffer_append(out, &value, 1);
}

int npt_rowbinary_put_number(struct npt_buffer *out, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	return npt_buffer_append(out, bytes, sizeof(bytes));
}

int npt_rowbinary_put_text(struct npt_buffer *out, const void *text, size_t size_bytes)
{
	uint8_t length[VARINT_BYTES_MAX];
	size_t used = 0, left = size_bytes;
	int r;

	while (left > 0x7f) {
		length[used++] = (uint8_t)(left & 0x7f) | 0x80;
		left >>= 7;
	}
	length[used++] = (uint8_t)left;
	r = npt_buffer_append(out, length, used);
	return r < 0 || size_bytes == 0 ? r : npt_buffer_append(out, text, size_bytes);
}

static int read_number(const uint8_t *data, size_t size_bytes, struct npt_rowbinary_value *value,
		       size_t *used)
{
	if (size_bytes - *used < 8)
		return -EAGAIN;
	value->number = 0;
	for (unsigned int i = 0; i < 8; i++)
		value->number |= (uint64_t)data[*used + i] << (8 * i);
	*used += 8;
	return 0;
}

static int read_length(const uint8_t *data, size_t size_bytes, size_t *length_ret, size_t *used)
{
	uint64_t length = 0;

	for (unsigned int i = 0; i < VARINT_BYTES_MAX; i++) {
		uint8_t byte;

		if (*used == size_bytes)
			return -EAGAIN;
		byte = data[(*used)++];
		length |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (length > NPT_ROWBINARY_TEXT_BYTES_MAX)
			return -EBADMSG;
		if (byte < 0x80) {
			*length_ret = (size_t)length;
			return 0;
		}
	}
	return -EBADMSG;
}

static int read_text(const uint8_t *data, size_t size_bytes, struct npt_rowbinary_value *value,
		     size_t *used)
{
	int r = read_length(data, size_bytes, &value->size_bytes, used);

	if (r < 0)
		return r;
	if (size_bytes - *used < value->size_bytes)
		return -EAGAIN;
	value->text = (const char *)data + *used;
	*used += value->size_bytes;
	return 0;
}

int npt_rowbinary_row(const char *types, const void *data, size_t size_bytes,
		      struct npt_rowbinary_value values[static NPT_ROWBINARY_COLUMNS_MAX],
		      size_t *used_ret)
{
	size_t used = 0;

	assert(strlen(types) <= NPT_ROWBINARY_COLUMNS_MAX);
	for (size_t i = 0; types[i]; i++) {
		struct npt_rowbinary_value *value = &values[i];
		int r;

		*value = (struct npt_rowbinary_value){ .text = "" };
		r = types[i] == 'n' ? read_number(data, size_bytes, value, &used)
				    : read_text(data, size_bytes, value, &used);
		if (r < 0)
			return r;
	}
	*used_ret = used;
	return 0;
}

void npt_rowbinary_copy(const struct npt_rowbinary_value *value, char *out, size_t out_bytes)
{
	size_t size = value->size_bytes < out_bytes ? value->size_bytes : out_bytes - 1;

	if (size > 0)
		memcpy(out, value->text, size);
	out[size] = '\0';
}
