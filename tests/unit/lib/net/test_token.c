/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/net/digest.h"
#include "tests/support/test.h"

static const char key[] = "0123456789abcdef0123456789abcdef";

static const struct npt_token example = {
	.task_uid = "9d0c8f3e-0a51-4c5e-8a3d-2f1b7c6d5e4f",
	.namespace_name = "shop",
	.name = "slow-reviews",
	.node = "node-1.example",
	.expires_unix_ms = 1767225600000,
};

static char *mint(const struct npt_token *token)
{
	char *text = NULL;

	NPT_CHECK_INT(npt_token_mint(key, 32, token, &text, NULL), 0);
	return text;
}

static void says_again_what_was_minted_until_it_expires(void)
{
	npt_auto_free char *text = mint(&example);
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_token token = { 0 };

	NPT_CHECK_INT(npt_token_verify(key, 32, text, 1767225599999, &token, &err), 0);
	NPT_CHECK_STR(token.task_uid, example.task_uid);
	NPT_CHECK_STR(token.namespace_name, "shop");
	NPT_CHECK_STR(token.name, "slow-reviews");
	NPT_CHECK_STR(token.node, "node-1.example");
	NPT_CHECK_INT(token.expires_unix_ms, example.expires_unix_ms);
	NPT_CHECK_INT(npt_token_verify(key, 32, text, 1767225600000, &token, &err), -ETIMEDOUT);
	NPT_CHECK_INT(npt_token_verify(key, 32, text, 1767225607000, &token, &err), -ETIMEDOUT);
	NPT_CHECK_STR(err.text, "ingest token expired 7 s ago");
}

static void refuses_another_key(void)
{
	npt_auto_free char *text = mint(&example);
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_token token = { 0 };

	NPT_CHECK_INT(
		npt_token_verify("0123456789abcdef0123456789abcdeF", 32, text, 0, &token, &err),
		-EACCES);
	NPT_CHECK_STR(err.text, "ingest token was not made with this aggregator's key");
	NPT_CHECK_STR(token.task_uid, "");
}

static void refuses_every_text_that_differs_in_one_character(void)
{
	npt_auto_free char *text = mint(&example);
	struct npt_token token = { 0 };
	size_t refused = 0, length = strlen(text);

	for (size_t i = 0; i < length; i++) {
		char kept = text[i];

		text[i] = kept == 'A' ? 'B' : 'A';
		refused += npt_token_verify(key, 32, text, 0, &token, NULL) == -EACCES;
		text[i] = kept;
	}
	NPT_CHECK_INT(refused, length);
	for (size_t i = 0; i < length; i++) {
		npt_auto_free char *cut = npt_strndup(text, i);

		NPT_CHECK_INT(npt_token_verify(key, 32, cut, 0, &token, NULL), -EACCES);
	}
}

/* Signed with the right key, but not what mint writes: a later version, or our own mistake. */
static void refuses_signed_text_with_other_fields(void)
{
	static const char *const fields[] = {
		"",
		"npt2\nu\nns\nn\nnode\n99",
		"npt1\nu\nns\nn\nnode",
		"npt1\nu\nns\nn\nnode\n99\n",
		"npt1\nu\nns\nn\nnode\n99\nmore",
		"npt1\nu\nns\nn\nnode\n-1",
		"npt1\nu\nns\nn\nnode\n99x",
		"npt1\n\nns\nn\nnode\n99",
		"npt1\nu\nns\nn\nnode\n99999999999999999999999",
	};
	struct npt_token token = { 0 };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(fields); i++) {
		npt_auto_free char *payload = npt_base64url_encode(fields[i], strlen(fields[i]));
		npt_auto_free char *text = NULL, *signature = NULL;
		uint8_t mac[NPT_SHA256_BYTES];

		npt_hmac_sha256(key, 32, payload, strlen(payload), mac);
		signature = npt_base64url_encode(mac, sizeof(mac));
		text = npt_format("%s.%s", payload, signature);
		if (!NPT_CHECK_INT(npt_token_verify(key, 32, text, 0, &token, NULL), -EACCES))
			printf("fields: %s\n", fields[i]);
	}
}

static void mints_nothing_from_impossible_fields(void)
{
	struct npt_token token = example;
	struct npt_error err = NPT_ERROR_NONE;
	char *text = NULL;

	token.node[0] = '\0';
	NPT_CHECK_INT(npt_token_mint(key, 32, &token, &text, &err), -EINVAL);
	NPT_CHECK_STR(err.text, "ingest token: the node is empty");
	token = example;
	token.name[4] = '\n';
	NPT_CHECK_INT(npt_token_mint(key, 32, &token, &text, &err), -EINVAL);
	NPT_CHECK_STR(err.text, "ingest token: the name has a line break");
	NPT_CHECK_INT(npt_token_mint(key, 31, &example, &text, &err), -EINVAL);
	NPT_CHECK(text == NULL);
}

static void reads_a_key_file_and_refuses_a_short_one(void)
{
	char path[] = "/tmp/npt-test-key-XXXXXX";
	npt_auto_close int fd = mkstemp(path);
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free void *read_key = NULL;
	size_t size = 0;

	NPT_CHECK(write(fd, key, 31) == 31);
	NPT_CHECK_INT(npt_token_read_key(path, &read_key, &size, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "has 31 bytes, needs 32") != NULL);
	NPT_CHECK(write(fd, "f", 1) == 1);
	NPT_CHECK_INT(npt_token_read_key(path, &read_key, &size, &err), 0);
	NPT_CHECK(size == 32 && memcmp(read_key, "0123456789abcdef0123456789abcdef", 31) == 0);
	(void)unlink(path);
	NPT_CHECK_INT(npt_token_read_key(path, &read_key, &size, &err), -ENOENT);
}

static const struct npt_test tests[] = {
	NPT_TEST(says_again_what_was_minted_until_it_expires),
	NPT_TEST(refuses_another_key),
	NPT_TEST(refuses_every_text_that_differs_in_one_character),
	NPT_TEST(refuses_signed_text_with_other_fields),
	NPT_TEST(mints_nothing_from_impossible_fields),
	NPT_TEST(reads_a_key_file_and_refuses_a_short_one),
};
NPT_TEST_MAIN(tests)
