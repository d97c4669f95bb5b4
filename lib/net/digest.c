/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL fails here only when it is broken or out of memory: both end the process, so that no
 * caller can go on with a digest that was never computed.
 */
#include "lib/net/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"

static _Noreturn void broken(const char *what)
{
	fprintf(stderr, "npt: %s failed: this machine's OpenSSL or kernel is broken\n", what);
	abort();
}

void npt_sha256(const void *data, size_t size_bytes, uint8_t out[NPT_SHA256_BYTES])
{
	if (EVP_Digest(data, size_bytes, out, NULL, EVP_sha256(), NULL) != 1)
		broken("SHA-256");
}

static void to_hex(const uint8_t *data, size_t size_bytes, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size_bytes; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * size_bytes] = '\0';
}

void npt_sha256_hex(const void *data, size_t size_bytes, char out[NPT_SHA256_HEX_BYTES])
{
	uint8_t digest[NPT_SHA256_BYTES];

	npt_sha256(data, size_bytes, digest);
	to_hex(digest, sizeof(digest), out);
}

void npt_hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t size_bytes,
		     uint8_t out[NPT_SHA256_BYTES])
{
	unsigned int length = 0;

	if (!HMAC(EVP_sha256(), key, (int)key_bytes, data, size_bytes, out, &length) ||
	    length != NPT_SHA256_BYTES)
		broken("HMAC-SHA-256");
}

void npt_random_bytes(void *out, size_t size_bytes)
{
	uint8_t *at = out;

	while (size_bytes > 0) {
		ssize_t got = getrandom(at, size_bytes, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			broken("getrandom()");
		at += got;
		size_bytes -= (size_t)got;
	}
}

void npt_random_id(char out[33])
{
	uint8_t random[16];

	npt_random_bytes(random, sizeof(random));
	to_hex(random, sizeof(random), out);
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *npt_base64url_encode(const void *data, size_t size_bytes)
{
	const uint8_t *at = data;
	char *text = npt_alloc(size_bytes / 3 * 4 + 5, 1);
	size_t length = 0;

	for (size_t i = 0; i < size_bytes; i += 3) {
		size_t left = size_bytes - i;
		uint32_t group = (uint32_t)at[i] << 16;

		if (left > 1)
			group |= (uint32_t)at[i + 1] << 8;
		if (left > 2)
			group |= at[i + 2];
		text[length++] = alphabet[group >> 18];
		text[length++] = alphabet[group >> 12 & 63];
		if (left > 1)
			text[length++] = alphabet[group >> 6 & 63];
		if (left > 2)
			text[length++] = alphabet[group & 63];
	}
	return text;
}

static int digit_value(char digit)
{
	const char *found = digit ? strchr(alphabet, digit) : NULL;

	return found ? (int)(found - alphabet) : -1;
}

int npt_base64url_decode(const char *text, size_t length, void **data_ret, size_t *size_bytes_ret)
{
	npt_auto_free uint8_t *data = NULL;
	size_t size_bytes = 0;
	uint32_t bits = 0, bits_count = 0;

	if (length % 4 == 1)
		return -EINVAL;
	data = npt_alloc(length / 4 * 3 + 4, 1);
	for (size_t i = 0; i < length; i++) {
		int value = digit_value(text[i]);

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		bits_count += 6;
		if (bits_count >= 8) {
			bits_count -= 8;
			data[size_bytes++] = (uint8_t)(bits >> bits_count);
		}
	}
	if (bits & ((1U << bits_count) - 1))
		return -EINVAL;
	*data_ret = npt_take(data);
	*size_bytes_ret = size_bytes;
	return 0;
}
