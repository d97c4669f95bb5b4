/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Digest - hashes, random bytes and base64url: what NPT needs of OpenSSL's libcrypto.
 */
#include <stddef.h>
#include <stdint.h>

#define NPT_SHA256_BYTES     32
#define NPT_SHA256_HEX_BYTES 65 /* as text, with its NUL */

void npt_sha256(const void *data, size_t size_bytes, uint8_t out[NPT_SHA256_BYTES]);
/* 64 lowercase hexadecimal digits and a NUL. */
void npt_sha256_hex(const void *data, size_t size_bytes, char out[NPT_SHA256_HEX_BYTES]);
void npt_hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t size_bytes,
		     uint8_t out[NPT_SHA256_BYTES]);
/* From the kernel; ends the process if it has none to give. */
void npt_random_bytes(void *out, size_t size_bytes);
/* 16 random bytes as 32 hexadecimal digits: an id of an instance. out has 33 bytes. */
void npt_random_id(char out[33]);

/* Without padding (RFC 4648 section 5); the text is the caller's to free. */
char *npt_base64url_encode(const void *data, size_t size_bytes);
/* Strict: no padding, no other characters, no stray bits. 0 or -EINVAL; *data_ret to be freed. */
int npt_base64url_decode(const char *text, size_t length, void **data_ret, size_t *size_bytes_ret);
