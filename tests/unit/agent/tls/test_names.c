/* SPDX-License-Identifier: Apache-2.0 */
/* Every suite that OpenSSL knows has the name that OpenSSL says the registry gives it. */
#include "agent/tls/names.h"

#include <openssl/ssl.h>

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static void suites_have_the_names_of_the_registry(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	STACK_OF(SSL_CIPHER) * ciphers;
	char name[NPT_TLS_NAME_BYTES];
	SSL *ssl;

	NPT_CHECK(SSL_CTX_set_cipher_list(context, "ALL:COMPLEMENTOFALL:@SECLEVEL=0") == 1);
	ssl = SSL_new(context);
	ciphers = SSL_get_ciphers(ssl);
	NPT_CHECK(sk_SSL_CIPHER_num(ciphers) > 100);
	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);

		NPT_CHECK_STR(npt_tls_cipher_name(SSL_CIPHER_get_protocol_id(cipher), name),
			      SSL_CIPHER_standard_name(cipher));
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
}

static void suites_that_openssl_lacks(void)
{
	static const struct {
		uint16_t id;
		const char *name;
	} cases[] = {
		{ 0x1304, "TLS_AES_128_CCM_SHA256" },
		{ 0x1305, "TLS_AES_128_CCM_8_SHA256" },
		{ 0x00c6, "TLS_SM4_GCM_SM3" },
		{ 0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA" },
		{ 0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA" },
		{ 0xc025, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256" },
		{ 0xc032, "TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384" },
		{ 0xc04d, "TLS_ECDHE_RSA_WITH_ARIA_256_CBC_SHA384" },
		{ 0xc08b, "TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384" },
		{ 0xd001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256" },
		{ 0xd005, "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256" },
		{ 0xc0ff, "0xC0FF" },
		{ 0x0a0a, "0x0A0A" },
		{ 0x0000, "0x0000" },
		{ 0xffff, "0xFFFF" },
	};
	char name[NPT_TLS_NAME_BYTES];

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		NPT_CHECK_STR(npt_tls_cipher_name(cases[i].id, name), cases[i].name);
		NPT_CHECK_INT(npt_tls_cipher_known(cases[i].id), cases[i].name[1] != 'x');
	}
}

/* A table out of order would hide suites from the search. */
static void as_many_suites_are_found_as_the_table_has(void)
{
	size_t found = 0;

	for (uint32_t id = 0; id <= UINT16_MAX; id++)
		found += npt_tls_cipher_known((uint16_t)id);
	NPT_CHECK_INT(found, 273);
}

static void versions_and_alerts_have_names(void)
{
	char name[NPT_TLS_NAME_BYTES];

	NPT_CHECK_STR(npt_tls_version_name(0x0304, name), "1.3");
	NPT_CHECK_STR(npt_tls_version_name(0x7f1c, name), "1.3");
	NPT_CHECK_STR(npt_tls_version_name(0x0303, name), "1.2");
	NPT_CHECK_STR(npt_tls_version_name(0x0301, name), "1.0");
	NPT_CHECK_STR(npt_tls_version_name(0x0300, name), "3.0");
	NPT_CHECK_STR(npt_tls_version_name(0x0305, name), "0x0305");
	NPT_CHECK_STR(npt_tls_version_name(0xfefd, name), "0xFEFD");
	NPT_CHECK_STR(npt_tls_alert_name(0, name), "close_notify");
	NPT_CHECK_STR(npt_tls_alert_name(40, name), "handshake_failure");
	NPT_CHECK_STR(npt_tls_alert_name(48, name), "unknown_ca");
	NPT_CHECK_STR(npt_tls_alert_name(120, name), "no_application_protocol");
	NPT_CHECK_STR(npt_tls_alert_name(1, name), "alert 1");
	NPT_CHECK_STR(npt_tls_alert_name(255, name), "alert 255");
	NPT_CHECK_STR(npt_tls_alert_name(NPT_TLS_ALERT_ENCRYPTED, name), "encrypted");
	NPT_CHECK_STR(npt_tls_alert_name(UINT16_MAX, name), "alert 65535");
}

static const struct npt_test tests[] = {
	NPT_TEST(suites_have_the_names_of_the_registry),
	NPT_TEST(suites_that_openssl_lacks),
	NPT_TEST(as_many_suites_are_found_as_the_table_has),
	NPT_TEST(versions_and_alerts_have_names),
};

NPT_TEST_MAIN(tests)
