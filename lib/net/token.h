/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Token - the ingest token: which node may post windows of which task, until when.
 *
 * base64url(fields).base64url(HMAC-SHA256(key, base64url(fields))). The controller mints, the
 * aggregator verifies; both read the key from the Secret npt-ingest-key. Plain values.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/core/error.h"

#define NPT_TOKEN_KEY_BYTES_MIN 32
#define NPT_TOKEN_KEY_BYTES_MAX 4096
#define NPT_TOKEN_TEXT_BYTES    2048
#define NPT_TOKEN_FIELD_BYTES   254 /* a Kubernetes name (253) and its NUL */

struct npt_token {
	char task_uid[NPT_TOKEN_FIELD_BYTES];
	char namespace_name[NPT_TOKEN_FIELD_BYTES];
	char name[NPT_TOKEN_FIELD_BYTES];
	char node[NPT_TOKEN_FIELD_BYTES];
	uint64_t expires_unix_ms;
};

/* The text is the caller's to free. -EINVAL: an empty or impossible field, a short key. */
int npt_token_mint(const void *key, size_t key_bytes, const struct npt_token *token,
		   char **text_ret, struct npt_error *err);
/*
 * -EACCES: not made with this key, or malformed; -ETIMEDOUT: expired at now_unix_ms. The time that
 * the check takes does not depend on where a wrong signature differs.
 */
int npt_token_verify(const void *key, size_t key_bytes, const char *text, uint64_t now_unix_ms,
		     struct npt_token *token_ret, struct npt_error *err);
/* The whole file, as it is (32 random bytes from the Secret). *key_ret is the caller's to free. */
int npt_token_read_key(const char *path, void **key_ret, size_t *key_bytes_ret,
		       struct npt_error *err);
