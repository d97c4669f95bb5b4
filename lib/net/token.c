/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields are lines: "npt1", task UID, namespace, name, node, expiry in decimal milliseconds.
 * None of them may hold a line break, so there is one text for one meaning. The signature is over
 * the encoded text, which is checked before anything in it is looked at.
 */
#include "lib/net/token.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/core/parse.h"
#include "lib/net/digest.h"

#define VERSION     "npt1"
#define FIELD_LINES 6

static int check_key(size_t key_bytes, struct npt_error *err)
{
	if (key_bytes < NPT_TOKEN_KEY_BYTES_MIN || key_bytes > NPT_TOKEN_KEY_BYTES_MAX)
		return npt_error_set(err, EINVAL, "ingest key has %zu bytes, needs %d to %d",
				     key_bytes, NPT_TOKEN_KEY_BYTES_MIN, NPT_TOKEN_KEY_BYTES_MAX);
	return 0;
}

static int check_field(const char *name, const char *value, struct npt_error *err)
{
	if (value[0] == '\0')
		return npt_error_set(err, EINVAL, "ingest token: the %s is empty", name);
	if (strchr(value, '\n'))
		return npt_error_set(err, EINVAL, "ingest token: the %s has a line break", name);
	return 0;
}

static int check_fields(const struct npt_token *token, struct npt_error *err)
{
	const struct {
		const char *name;
		const char *value;
	} fields[] = {
		{ "task UID", token->task_uid },
		{ "namespace", token->namespace_name },
		{ "name", token->name },
		{ "node", token->node },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(fields); i++) {
		int r = check_field(fields[i].name, fields[i].value, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static char *sign(const void *key, size_t key_bytes, const char *payload, size_t length)
{
	uint8_t signature[NPT_SHA256_BYTES];

	npt_hmac_sha256(key, key_bytes, payload, length, signature);
	return npt_base64url_encode(signature, sizeof(signature));
}

int npt_token_mint(const void *key, size_t key_bytes, const struct npt_token *token,
		   char **text_ret, struct npt_error *err)
{
	npt_auto_free char *fields = NULL, *payload = NULL, *signature = NULL;
	int r = check_key(key_bytes, err);

	if (r < 0)
		return r;
	r = check_fields(token, err);
	if (r < 0)
		return r;
	fields =
		npt_format(VERSION "\n%s\n%s\n%s\n%s\n%" PRIu64, token->task_uid,
			   token->namespace_name, token->name, token->node, token->expires_unix_ms);
	payload = npt_base64url_encode(fields, strlen(fields));
	signature = sign(key, key_bytes, payload, strlen(payload));
	*text_ret = npt_format("%s.%s", payload, signature);
	return 0;
}

static int malformed(struct npt_error *err)
{
	return npt_error_set(err, EACCES, "ingest token is malformed");
}

/* Cuts the fields into lines; each must fit and none may be left over. */
static int split_fields(const char *fields, size_t size_bytes,
			char lines[FIELD_LINES][NPT_TOKEN_FIELD_BYTES])
{
	const char *at = fields, *end = fields + size_bytes;

	for (size_t i = 0; i < FIELD_LINES; i++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t length;

		if ((stop == NULL) != (i + 1 == FIELD_LINES))
			return -EINVAL;
		length = (size_t)((stop ? stop : end) - at);
		if (length == 0 || length >= NPT_TOKEN_FIELD_BYTES || memchr(at, '\0', length))
			return -EINVAL;
		memcpy(lines[i], at, length);
		lines[i][length] = '\0';
		at += length + 1;
	}
	return 0;
}

static int parse_payload(const char *payload, size_t length, struct npt_token *token_ret,
			 struct npt_error *err)
{
	char lines[FIELD_LINES][NPT_TOKEN_FIELD_BYTES];
	npt_auto_free void *fields = NULL;
	struct npt_token token = { 0 };
	size_t size_bytes;

	if (npt_base64url_decode(payload, length, &fields, &size_bytes) < 0)
		return malformed(err);
	if (split_fields(fields, size_bytes, lines) < 0)
		return malformed(err);
	if (strcmp(lines[0], VERSION) != 0)
		return npt_error_set(err, EACCES, "ingest token is of another version (%.8s)",
				     lines[0]);
	if (npt_parse_u64(lines[5], 0, UINT64_MAX, &token.expires_unix_ms) < 0)
		return malformed(err);
	memcpy(token.task_uid, lines[1], sizeof(token.task_uid));
	memcpy(token.namespace_name, lines[2], sizeof(token.namespace_name));
	memcpy(token.name, lines[3], sizeof(token.name));
	memcpy(token.node, lines[4], sizeof(token.node));
	*token_ret = token;
	return 0;
}

int npt_token_verify(const void *key, size_t key_bytes, const char *text, uint64_t now_unix_ms,
		     struct npt_token *token_ret, struct npt_error *err)
{
	npt_auto_free char *expected = NULL;
	struct npt_token token;
	const char *dot = strchr(text, '.');
	int r = check_key(key_bytes, err);

	if (r < 0)
		return r;
	if (!dot || strnlen(text, NPT_TOKEN_TEXT_BYTES) >= NPT_TOKEN_TEXT_BYTES)
		return malformed(err);
	expected = sign(key, key_bytes, text, (size_t)(dot - text));
	if (strlen(dot + 1) != strlen(expected) ||
	    CRYPTO_memcmp(dot + 1, expected, strlen(expected)) != 0)
		return npt_error_set(err, EACCES,
				     "ingest token was not made with this aggregator's key");
	r = parse_payload(text, (size_t)(dot - text), &token, err);
	if (r < 0)
		return r;
	if (token.expires_unix_ms <= now_unix_ms)
		return npt_error_set(err, ETIMEDOUT, "ingest token expired %" PRIu64 " s ago",
				     (now_unix_ms - token.expires_unix_ms) / 1000);
	*token_ret = token;
	return 0;
}

int npt_token_read_key(const char *path, void **key_ret, size_t *key_bytes_ret,
		       struct npt_error *err)
{
	npt_auto_fclose FILE *file = fopen(path, "re");
	npt_auto_free char *key = NULL;
	size_t size_bytes;
	int r;

	if (!file)
		return npt_error_set(err, errno, "cannot read the ingest key %s: %s", path,
				     strerror(errno));
	key = npt_alloc(NPT_TOKEN_KEY_BYTES_MAX + 1, 1);
	size_bytes = fread(key, 1, NPT_TOKEN_KEY_BYTES_MAX + 1, file);
	if (ferror(file))
		return npt_error_set(err, EIO, "cannot read the ingest key %s", path);
	r = check_key(size_bytes, err);
	if (r < 0)
		return npt_error_wrap(err, "%s", path);
	*key_ret = npt_take(key);
	*key_bytes_ret = size_bytes;
	return 0;
}
