/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/seal.h"

#include <errno.h>
#include <string.h>

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static const char key[] = "0123456789abcdef0123456789abcdef";
#define KEY key, sizeof(key) - 1

static void what_was_sealed_opens_with_the_same_key_only(void)
{
	npt_auto_free char *text = npt_seal(KEY, "session", "a token", 1000);
	npt_auto_free char *again = npt_seal(KEY, "session", "a token", 1000);
	npt_auto_free char *secret = NULL;
	char *none = NULL;

	NPT_CHECK(strcmp(text, again) != 0); /* nobody sees that it is the same */
	NPT_CHECK(strstr(text, "token") == NULL);
	NPT_CHECK_INT(npt_unseal(KEY, "session", text, 999, &secret, NULL), 0);
	NPT_CHECK_STR(secret, "a token");
	NPT_CHECK_INT(npt_unseal(KEY, "session", text, 1000, &none, NULL), -ETIMEDOUT);
	NPT_CHECK_INT(npt_unseal(KEY, "other", text, 999, &none, NULL), -EACCES);
	NPT_CHECK_INT(npt_unseal(key + 1, 31, "session", text, 999, &none, NULL), -EACCES);
}

static void a_character_that_is_changed_or_missing_opens_nothing(void)
{
	npt_auto_free char *text = npt_seal(KEY, "session", "a token", 1000);
	size_t length = strlen(text);
	char *none = NULL;

	for (size_t i = 0; i < length; i++) {
		char before = text[i];

		text[i] = before == 'A' ? 'B' : 'A';
		NPT_CHECK_INT(npt_unseal(KEY, "session", text, 1, &none, NULL), -EACCES);
		text[i] = before;
	}
	for (size_t cut = length; cut-- > 0;) {
		text[cut] = '\0';
		NPT_CHECK_INT(npt_unseal(KEY, "session", text, 1, &none, NULL), -EACCES);
	}
	NPT_CHECK_INT(npt_unseal(KEY, "session", "%%%", 1, &none, NULL), -EACCES);
}

static void an_empty_secret_is_one_too(void)
{
	npt_auto_free char *text = npt_seal(KEY, "", "", UINT64_MAX);
	npt_auto_free char *secret = NULL;

	NPT_CHECK_INT(npt_unseal(KEY, "", text, UINT64_MAX - 1, &secret, NULL), 0);
	NPT_CHECK_STR(secret, "");
}

static const struct npt_test tests[] = {
	NPT_TEST(what_was_sealed_opens_with_the_same_key_only),
	NPT_TEST(a_character_that_is_changed_or_missing_opens_nothing),
	NPT_TEST(an_empty_secret_is_one_too),
};
NPT_TEST_MAIN(tests)
