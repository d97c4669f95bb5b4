/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Seal - a secret in somebody else's keeping: text that only who has the key can read or make
 * (AES-256-GCM), good until a time. Whoever keeps it can give it back, nothing else.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/core/error.h"

/*
 * purpose: what it is for; what was sealed for another one does not open. The text is base64url, a
 * third longer than the secret and 50 characters; the caller's to free.
 */
char *npt_seal(const void *key, size_t key_bytes, const char *purpose, const char *secret,
	       uint64_t expires_unix_ms);
/* *secret_ret is the caller's to free. -EACCES: not sealed so, or malformed; -ETIMEDOUT: expired.
 */
int npt_unseal(const void *key, size_t key_bytes, const char *purpose, const char *text,
	       uint64_t now_unix_ms, char **secret_ret, struct npt_error *err);
