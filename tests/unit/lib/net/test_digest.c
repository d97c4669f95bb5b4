/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/digest.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static void hashes_as_the_standards_examples(void)
{
	static const uint8_t expected[] = { /* RFC 4231, case 2 */
					    0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
					    0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
					    0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
					    0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43
	};
	char hex[NPT_SHA256_HEX_BYTES];
	uint8_t mac[NPT_SHA256_BYTES];

	npt_sha256_hex("abc", 3, hex);
	NPT_CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	npt_sha256_hex("", 0, hex);
	NPT_CHECK_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	npt_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
	NPT_CHECK(memcmp(mac, expected, sizeof(mac)) == 0);
}

static void writes_base64url_without_padding(void)
{
	static const struct {
		const char *data;
		const char *text;
	} cases[] = {
		{ "", "" },
		{ "f", "Zg" },
		{ "fo", "Zm8" },
		{ "foo", "Zm9v" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xbe", "-_--" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto_free char *text =
			npt_base64url_encode(cases[i].data, strlen(cases[i].data));
		npt_auto_free char *data = NULL;
		size_t size = 0;

		NPT_CHECK_STR(text, cases[i].text);
		NPT_CHECK_INT(npt_base64url_decode(text, strlen(text), (void **)&data, &size), 0);
		NPT_CHECK(size == strlen(cases[i].data) && memcmp(data, cases[i].data, size) == 0);
	}
}

static void refuses_base64url_that_has_a_second_spelling(void)
{
	static const char *const cases[] = { "Zg==", "Z",     "Zh",    "Zm9",      "Zm+v",
					     "Zm/v", "Zm 9v", "Zm9vY", "Z\xc3\xa4" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		void *data = NULL;
		size_t size;

		NPT_CHECK_INT(npt_base64url_decode(cases[i], strlen(cases[i]), &data, &size),
			      -EINVAL);
		NPT_CHECK(data == NULL);
	}
	NPT_CHECK_INT(npt_base64url_decode("Zm\0v", 4, &(void *){ NULL }, &(size_t){ 0 }), -EINVAL);
}

static void random_ids_differ(void)
{
	char a[33], b[33];

	npt_random_id(a);
	npt_random_id(b);
	NPT_CHECK(strlen(a) == 32);
	NPT_CHECK(strcmp(a, b) != 0);
}

static const struct npt_test tests[] = {
	NPT_TEST(hashes_as_the_standards_examples),
	NPT_TEST(writes_base64url_without_padding),
	NPT_TEST(refuses_base64url_that_has_a_second_spelling),
	NPT_TEST(random_ids_differ),
};
NPT_TEST_MAIN(tests)
