/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/messages.h"

#include "tests/support/test.h"

/* The shortest of hellos: TLS 1.2, no session, one suite, no extensions. */
#define CLIENT_HELLO                                                                               \
	"\1\0\0\x29\3\3"                                                                           \
	"0123456789abcdef0123456789abcdef\0\0\2\xc0\x2f\1\0"
#define SERVER_HELLO                                                                               \
	"\2\0\0\x26\3\3"                                                                           \
	"0123456789abcdef0123456789abcdef\0\xc0\x2f\0"
#define CLIENT_HELLO_BYTES (sizeof(CLIENT_HELLO) - 1)
#define SERVER_HELLO_BYTES (sizeof(SERVER_HELLO) - 1)

static void feed(struct npt_tls_messages *messages, const void *bytes, size_t size_bytes)
{
	npt_tls_messages_feed(messages, bytes, size_bytes);
}

static void a_message_may_come_byte_by_byte_and_share_a_record(void)
{
	static const char both[] = SERVER_HELLO "\x0b\0\0\3abc\x0d\0\0\1x\x0e\0\0\0";
	struct npt_tls_messages messages;

	for (size_t piece = 1; piece < sizeof(both); piece++) {
		npt_tls_messages_init(&messages, true);
		for (size_t at = 0; at < sizeof(both) - 1; at += piece)
			feed(&messages, both + at,
			     sizeof(both) - 1 - at < piece ? sizeof(both) - 1 - at : piece);
		NPT_CHECK(messages.hello.complete && !messages.lost);
		NPT_CHECK_INT(messages.hello.cipher, 0xc02f);
		NPT_CHECK(npt_tls_messages_has(&messages, NPT_TLS_CERTIFICATE));
		NPT_CHECK(npt_tls_messages_has(&messages, NPT_TLS_CERTIFICATE_REQUEST));
		NPT_CHECK(npt_tls_messages_has(&messages, NPT_TLS_SERVER_HELLO_DONE));
		NPT_CHECK(!npt_tls_messages_has(&messages, NPT_TLS_CLIENT_HELLO));
	}
}

static void what_does_not_begin_with_a_hello_is_lost(void)
{
	struct npt_tls_messages messages;

	npt_tls_messages_init(&messages, true);
	feed(&messages, "\x0b\0\0\3abc" SERVER_HELLO, 7 + SERVER_HELLO_BYTES);
	NPT_CHECK(messages.lost && messages.hellos == 0 && messages.heads == 0);
	npt_tls_messages_init(&messages, true);
	feed(&messages, CLIENT_HELLO, CLIENT_HELLO_BYTES);
	NPT_CHECK(messages.lost && messages.hellos == 0);
	npt_tls_messages_init(&messages, true);
	feed(&messages, "\0\0\0\0" SERVER_HELLO, 4 + SERVER_HELLO_BYTES);
	NPT_CHECK(!messages.lost && messages.hello.complete); /* HelloRequest comes before it */
}

static void holes_do_no_harm_within_a_message(void)
{
	struct npt_tls_messages messages;

	npt_tls_messages_init(&messages, true);
	feed(&messages, SERVER_HELLO "\x0b\0\4\0", SERVER_HELLO_BYTES + 4);
	feed(&messages, NULL, 1024);
	feed(&messages, "\x0d\0\0\0", 4);
	NPT_CHECK(!messages.lost);
	NPT_CHECK(npt_tls_messages_has(&messages, NPT_TLS_CERTIFICATE_REQUEST));
	feed(&messages, "\x0c\0\0\5", 4);
	feed(&messages, NULL, 6); /* one byte of the next head, too */
	NPT_CHECK(messages.lost);
	feed(&messages, "\x0e\0\0\0", 4);
	NPT_CHECK(!npt_tls_messages_has(&messages, NPT_TLS_SERVER_HELLO_DONE));
}

static void a_second_hello_has_to_be_asked_for(void)
{
	struct npt_tls_messages messages;

	npt_tls_messages_init(&messages, true);
	feed(&messages, SERVER_HELLO SERVER_HELLO, 2 * SERVER_HELLO_BYTES);
	NPT_CHECK(messages.lost && messages.hellos == 1 && messages.hello.complete);
	npt_tls_messages_init(&messages, false);
	feed(&messages, CLIENT_HELLO CLIENT_HELLO, 2 * CLIENT_HELLO_BYTES);
	NPT_CHECK(!messages.lost && messages.hellos == 2 && messages.hello.complete);
	feed(&messages, CLIENT_HELLO, CLIENT_HELLO_BYTES);
	NPT_CHECK(messages.lost && messages.hellos == 2 && messages.hello.complete);
}

static const struct npt_test tests[] = {
	NPT_TEST(a_message_may_come_byte_by_byte_and_share_a_record),
	NPT_TEST(what_does_not_begin_with_a_hello_is_lost),
	NPT_TEST(holes_do_no_harm_within_a_message),
	NPT_TEST(a_second_hello_has_to_be_asked_for),
};

NPT_TEST_MAIN(tests)
