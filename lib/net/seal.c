/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonce (12 random bytes), then what was encrypted: the time in 8 bytes, the secret; then the tag.
 * With random nonces a key may seal 2^32 times (NIST SP 800-38D, 8.3): a session a second for a
 * century. Each purpose has a key of its own, made of the one that is given.
 */
#include "lib/net/seal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/net/digest.h"

#define NONCE_BYTES  12
#define TAG_BYTES    16
#define EXPIRY_BYTES 8
#define SECRET_MAX   65536

NPT_DEFINE_AUTO(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

static void make_key(const void *key, size_t key_bytes, const char *purpose,
		     uint8_t out[NPT_SHA256_BYTES])
{
	npt_hmac_sha256(key, key_bytes, purpose, strlen(purpose), out);
}

static void put_u64(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return value;
}

char *npt_seal(const void *key, size_t key_bytes, const char *purpose, const char *secret,
	       uint64_t expires_unix_ms)
{
	npt_auto(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	size_t plain_bytes = EXPIRY_BYTES + strlen(secret);
	npt_auto_free uint8_t *plain = npt_alloc(1, plain_bytes);
	npt_auto_free uint8_t *out = npt_alloc(1, NONCE_BYTES + plain_bytes + TAG_BYTES);
	uint8_t own_key[NPT_SHA256_BYTES];
	int length = 0, rest = 0;
	bool ok;

	put_u64(plain, expires_unix_ms);
	memcpy(plain + EXPIRY_BYTES, secret, plain_bytes - EXPIRY_BYTES);
	make_key(key, key_bytes, purpose, own_key);
	npt_random_bytes(out, NONCE_BYTES);
	ok = context && EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, own_key, out) == 1 &&
	     EVP_EncryptUpdate(context, out + NONCE_BYTES, &length, plain, (int)plain_bytes) == 1 &&
	     EVP_EncryptFinal_ex(context, out + NONCE_BYTES + length, &rest) == 1 &&
	     EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES,
				 out + NONCE_BYTES + plain_bytes) == 1;
	OPENSSL_cleanse(own_key, sizeof(own_key));
	OPENSSL_cleanse(plain, plain_bytes);
	if (!ok)
		abort(); /* out of memory: nothing else can fail */
	return npt_base64url_encode(out, NONCE_BYTES + plain_bytes + TAG_BYTES);
}

static bool decrypt(const uint8_t *own_key, uint8_t *sealed, size_t plain_bytes, uint8_t *plain)
{
	npt_auto(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int length = 0, rest = 0;

	return context &&
	       EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, own_key, sealed) == 1 &&
	       EVP_DecryptUpdate(context, plain, &length, sealed + NONCE_BYTES, (int)plain_bytes) ==
		       1 &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES,
				   sealed + NONCE_BYTES + plain_bytes) == 1 &&
	       EVP_DecryptFinal_ex(context, plain + length, &rest) == 1;
}

int npt_unseal(const void *key, size_t key_bytes, const char *purpose, const char *text,
	       uint64_t now_unix_ms, char **secret_ret, struct npt_error *err)
{
	npt_auto_free void *sealed = NULL;
	npt_auto_free char *plain = NULL;
	uint8_t own_key[NPT_SHA256_BYTES];
	size_t sealed_bytes, plain_bytes, text_bytes = strnlen(text, 2 * SECRET_MAX);
	bool ok;

	if (text_bytes == 2 * SECRET_MAX ||
	    npt_base64url_decode(text, text_bytes, &sealed, &sealed_bytes) < 0 ||
	    sealed_bytes < NONCE_BYTES + EXPIRY_BYTES + TAG_BYTES)
		return npt_error_set(err, EACCES, "it is malformed");
	plain_bytes = sealed_bytes - NONCE_BYTES - TAG_BYTES;
	plain = npt_alloc(1, plain_bytes + 1);
	make_key(key, key_bytes, purpose, own_key);
	ok = decrypt(own_key, sealed, plain_bytes, (uint8_t *)plain);
	OPENSSL_cleanse(own_key, sizeof(own_key));
	if (!ok)
		return npt_error_set(err, EACCES, "it was not made here");
	if (get_u64((const uint8_t *)plain) <= now_unix_ms)
		return npt_error_set(err, ETIMEDOUT, "it has expired");
	*secret_ret = npt_strdup(plain + EXPIRY_BYTES);
	return 0;
}
