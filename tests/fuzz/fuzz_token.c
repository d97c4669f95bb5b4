/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exactly one text is valid, the one that was minted; corpus/token/minted is it. What follows a "+"
 * is signed first, so that the fields behind the signature are reached, too.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/net/digest.h"
#include "lib/net/token.h"

#define NOW_UNIX_MS UINT64_C(1767225600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key[] = "0123456789abcdef0123456789abcdef";

static const struct npt_token example = {
	.task_uid = "9d0c8f3e-0a51-4c5e-8a3d-2f1b7c6d5e4f",
	.namespace_name = "shop",
	.name = "slow-reviews",
	.node = "node-1.example",
	.expires_unix_ms = UINT64_C(4102444800000),
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static int verify(const char *text, uint64_t now_unix_ms, struct npt_token *token_ret)
{
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_token_verify(key, sizeof(key) - 1, text, now_unix_ms, token_ret, &err);

	must(r == -err.code && (r == 0 || r == -EACCES || r == -ETIMEDOUT));
	return r;
}

static char *mint(const struct npt_token *token)
{
	char *text = NULL;

	must(npt_token_mint(key, sizeof(key) - 1, token, &text, NULL) == 0);
	return text;
}

static bool ends(const char field[NPT_TOKEN_FIELD_BYTES])
{
	return memchr(field, '\0', NPT_TOKEN_FIELD_BYTES) != NULL;
}

static bool same(const struct npt_token *a, const struct npt_token *b)
{
	return strcmp(a->task_uid, b->task_uid) == 0 &&
	       strcmp(a->namespace_name, b->namespace_name) == 0 && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->node, b->node) == 0 && a->expires_unix_ms == b->expires_unix_ms;
}

static void check_text(const char *text)
{
	npt_auto_free char *minted = mint(&example);
	struct npt_token token = { 0 };

	if (verify(text, NOW_UNIX_MS, &token) < 0) {
		must(strcmp(text, minted) != 0 && token.task_uid[0] == '\0');
		return;
	}
	must(strcmp(text, minted) == 0 && same(&token, &example));
	must(verify(text, example.expires_unix_ms, &token) == -ETIMEDOUT);
}

/* Signed fields that are taken must mean the same when they are minted again. */
static void check_fields(const void *fields, size_t size)
{
	npt_auto_free char *payload = npt_base64url_encode(fields, size);
	npt_auto_free char *signature = NULL, *text = NULL, *minted = NULL;
	struct npt_token token = { 0 }, again = { 0 };
	uint8_t mac[NPT_SHA256_BYTES];

	npt_hmac_sha256(key, sizeof(key) - 1, payload, strlen(payload), mac);
	signature = npt_base64url_encode(mac, sizeof(mac));
	text = npt_format("%s.%s", payload, signature);
	if (verify(text, NOW_UNIX_MS, &token) < 0)
		return;
	must(ends(token.task_uid) && ends(token.namespace_name) && ends(token.name) &&
	     ends(token.node));
	minted = mint(&token);
	must(verify(minted, NOW_UNIX_MS, &again) == 0 && same(&token, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto_free char *text = npt_strndup((const char *)data, size);

	if (size > 0 && data[0] == '+')
		check_fields(data + 1, size - 1);
	else
		check_text(text);
	return 0;
}
