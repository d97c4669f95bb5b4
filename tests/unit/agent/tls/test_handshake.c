/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL shakes hands, and what it said is told as the kernel would: at either end, in pieces of
 * any size, with the two directions in any order. What comes out must be what OpenSSL says of it.
 */
#include "agent/tls/handshake.h"

#include <stdio.h>

#include <openssl/ssl.h>

#include "agent/tls/names.h"
#include "lib/core/cleanup.h"
#include "tests/support/test.h"
#include "tests/support/tls_peer.h"

#define TLS12 TLS1_2_VERSION
#define ANY   UINT32_MAX

static struct npt_test_ca ca;

struct expected {
	enum npt_tls_outcome outcome;
	const char *alpn;
	unsigned int flights; /* milliseconds from the first one to the one that ends it */
	bool resumed;
	enum npt_tls_answer asked;
	enum npt_quality quality;
	enum npt_bpf_protocol inner;
	uint32_t confidence;
	const char *alert; /* the only one; NULL: none */
	bool alert_by_client;
};

static void hear(const struct npt_test_tls *tls, const struct npt_test_telling *telling,
		 struct npt_tls_handshake *handshake)
{
	struct npt_test_events events;

	npt_test_tell(&tls->said, telling, &events);
	npt_tls_handshake_init(handshake);
	for (size_t i = 0; i < events.count; i++)
		npt_tls_handshake_feed(handshake, &events.events[i]);
	npt_test_events_done(&events);
}

static void check_facts(const struct npt_test_tls *tls, const struct npt_test_tls_options *options,
			const struct expected *expected, const struct npt_tls_handshake *handshake)
{
	enum npt_bpf_protocol inner = NPT_PROTOCOL_UNKNOWN;
	uint32_t confidence = 0;
	char alpn[NPT_ALPN_BYTES];

	NPT_CHECK_INT(handshake->refused, 0);
	NPT_CHECK_STR(handshake->client.messages.hello.sni, options->sni ? options->sni : "");
	if (expected->outcome != NPT_HANDSHAKE_COMPLETED)
		return;
	NPT_CHECK_INT(npt_tls_handshake_version(handshake), tls->version);
	NPT_CHECK_INT(handshake->server.messages.hello.cipher, tls->cipher);
	NPT_CHECK_INT(handshake->resumed, expected->resumed);
	NPT_CHECK_INT(handshake->resumed, tls->resumed);
	NPT_CHECK_INT(handshake->certificate_asked, expected->asked);
	NPT_CHECK_INT(handshake->certificate_quality, expected->quality);
	NPT_CHECK(handshake->timed);
	NPT_CHECK_INT(handshake->micros / 1000, expected->flights);
	npt_tls_handshake_alpn(handshake, alpn);
	NPT_CHECK_STR(alpn, expected->alpn ? expected->alpn : "");
	NPT_CHECK_INT(npt_tls_handshake_inner(handshake, &inner, &confidence),
		      expected->inner != NPT_PROTOCOL_UNKNOWN);
	NPT_CHECK_INT(inner, expected->inner);
	NPT_CHECK_INT(confidence, expected->confidence);
}

static void check_alerts(const struct expected *expected, bool at_server,
			 const struct npt_tls_handshake *handshake)
{
	char name[NPT_TLS_NAME_BYTES];

	if (!NPT_CHECK_INT(handshake->alerts_count, expected->alert != NULL) || !expected->alert)
		return;
	NPT_CHECK_STR(npt_tls_alert_name(handshake->alerts[0].code, name), expected->alert);
	NPT_CHECK_INT(handshake->alerts[0].sent, expected->alert_by_client != at_server);
}

/* At both ends, in all pieces and orders. */
static void check_told(const struct npt_test_tls *tls, const struct npt_test_tls_options *options,
		       const struct expected *expected)
{
	static const size_t pieces[] = { 0, 3, 100 };
	struct npt_tls_handshake handshake;

	for (int i = 0; i < 2 * 2 * 3 * (int)NPT_ARRAY_SIZE(pieces); i++) {
		struct npt_test_telling telling = {
			.connection = 1,
			.at_server = i % 2,
			.reveal = i / 2 % 2,
			.order = (enum npt_test_order)(i / 4 % 3),
			.piece_bytes = pieces[i / 12],
			.closed = expected->outcome != NPT_HANDSHAKE_COMPLETED,
		};

		hear(tls, &telling, &handshake);
		NPT_CHECK_INT(handshake.outcome, expected->outcome);
		check_facts(tls, options, expected, &handshake);
		check_alerts(expected, telling.at_server, &handshake);
		/* It was over before, so a close changes nothing. */
		telling.closed = true;
		hear(tls, &telling, &handshake);
		NPT_CHECK_INT(handshake.outcome, expected->outcome);
	}
}

static void check_talk(const struct npt_test_tls_options *options, const struct expected *expected)
{
	struct npt_test_tls tls;

	npt_test_tls_talk(&ca, options, &tls);
	NPT_CHECK_INT(tls.client_done && tls.server_done,
		      expected->outcome == NPT_HANDSHAKE_COMPLETED);
	check_told(&tls, options, expected);
	npt_test_conversation_done(&tls.said);
}

/* What most have in common. */
static struct expected full(unsigned int flights, enum npt_quality quality)
{
	return (struct expected){ .outcome = NPT_HANDSHAKE_COMPLETED,
				  .flights = flights,
				  .asked = NPT_TLS_ANSWER_NO,
				  .quality = quality };
}

static void reads_full_handshakes_of_every_version(void)
{
	for (int version = TLS1_VERSION; version <= TLS1_3_VERSION; version++) {
		const struct npt_test_tls_options options = { .version_max = version,
							      .sni = "server" };
		bool is_13 = version == TLS1_3_VERSION;
		struct expected expected =
			full(is_13 ? 2 : 3, is_13 ? NPT_QUALITY_ESTIMATED : NPT_QUALITY_EXACT);

		check_talk(&options, &expected);
	}
}

static void reads_every_suite_of_tls_13(void)
{
	static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
					      "TLS_CHACHA20_POLY1305_SHA256",
					      "TLS_AES_128_CCM_SHA256",
					      "TLS_AES_128_CCM_8_SHA256" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(suites); i++) {
		struct npt_test_tls_options options = { .suite = suites[i] };
		struct expected expected = full(2, NPT_QUALITY_ESTIMATED);

		check_talk(&options, &expected);
		options.client_certificate = "client";
		options.ask_certificate = true;
		expected.asked = NPT_TLS_ANSWER_YES;
		check_talk(&options, &expected);
	}
}

static void reads_names_of_hosts_and_protocols(void)
{
	static const struct {
		const char *client, *server, *alpn;
		enum npt_bpf_protocol inner;
		uint32_t confidence;
		int version;
	} cases[] = {
		{ "h2 http/1.1", "h2 http/1.1", "h2", NPT_PROTOCOL_HTTP2, 95, TLS12 },
		{ "h2 http/1.1", "http/1.1", "http/1.1", NPT_PROTOCOL_HTTP1, 95, TLS12 },
		{ "h2 http/1.1", NULL, NULL, NPT_PROTOCOL_HTTP1, 80, TLS12 },
		{ "h2", NULL, NULL, NPT_PROTOCOL_UNKNOWN, 0, TLS12 },
		{ "postgresql", NULL, NULL, NPT_PROTOCOL_POSTGRESQL, 80, TLS12 },
		{ "h2 http/1.1", "h2", "offered: h2,http/1.1", NPT_PROTOCOL_HTTP, 80, 0 },
		{ "h2", "h2", "offered: h2", NPT_PROTOCOL_HTTP2, 80, 0 },
		{ "http/1.1", "http/1.1", "offered: http/1.1", NPT_PROTOCOL_HTTP1, 80, 0 },
		{ "istio-http/1.1 istio http/1.1", "istio",
		  "offered: istio-http/1.1,istio,http/1.1", NPT_PROTOCOL_HTTP1, 80, 0 },
		{ "istio-peer-exchange istio istio-http/1.1 istio-h2", "istio",
		  "offered: istio-peer-exchange,istio,istio-http/1.1,istio-h2", NPT_PROTOCOL_HTTP,
		  80, 0 },
		{ "istio-peer-exchange istio-http/1.1 istio http/1.1 istio-http/1.0", "istio",
		  "offered: istio-peer-exchange,istio-http/1.1,istio,http/1.1,...",
		  NPT_PROTOCOL_HTTP1, 80, 0 },
		{ "istio-h2 istio h2", "istio", "offered: istio-h2,istio,h2", NPT_PROTOCOL_HTTP2,
		  80, 0 },
		{ "istio-http/1.1 istio", "istio", "istio", NPT_PROTOCOL_HTTP1, 80, TLS12 },
		{ "istio-peer-exchange istio", "istio", "offered: istio-peer-exchange,istio",
		  NPT_PROTOCOL_UNKNOWN, 0, 0 },
		{ "a-name-that-is-longer-than-any-that-somebody-has-registered-so-far h2", "h2",
		  "offered: ...", NPT_PROTOCOL_HTTP2, 80, 0 },
		{ "dot", "dot", "offered: dot", NPT_PROTOCOL_DNS, 80, 0 },
		{ "mqtt", "mqtt", "mqtt", NPT_PROTOCOL_MQTT, 95, TLS12 },
		{ "imap", "imap", "imap", NPT_PROTOCOL_UNKNOWN, 0, TLS12 },
		{ "mqtt h2", "h2", "offered: mqtt,h2", NPT_PROTOCOL_UNKNOWN, 0, 0 },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		const struct npt_test_tls_options options = { .version_max = cases[i].version,
							      .sni = "a.b_c.example",
							      .client_alpn = cases[i].client,
							      .server_alpn = cases[i].server };
		bool is_12 = cases[i].version == TLS12;
		struct expected expected =
			full(is_12 ? 3 : 2, is_12 ? NPT_QUALITY_EXACT : NPT_QUALITY_ESTIMATED);

		expected.alpn = cases[i].alpn;
		expected.inner = cases[i].inner;
		expected.confidence = cases[i].confidence;
		check_talk(&options, &expected);
	}
}

static void a_resumed_handshake_asks_for_no_certificate(void)
{
	for (int i = 0; i < 6; i++) {
		bool is_13 = i >= 4;
		void *session = NULL;
		struct npt_test_tls_options options = {
			.version_max = is_13   ? TLS1_3_VERSION
				       : i < 2 ? TLS1_VERSION
					       : TLS12,
			.no_tickets = i % 2,
			.client_certificate = "client",
			.ask_certificate = true,
			.session = &session,
		};
		struct expected expected =
			full(is_13 ? 2 : 3, is_13 ? NPT_QUALITY_ESTIMATED : NPT_QUALITY_EXACT);

		options.server = npt_test_tls_server(&ca, &options);
		expected.asked = NPT_TLS_ANSWER_YES;
		check_talk(&options, &expected);
		expected = full(2, NPT_QUALITY_EXACT);
		expected.resumed = true;
		check_talk(&options, &expected);
		npt_test_tls_session_free(session);
		npt_test_tls_server_free(options.server);
	}
}

static void a_retried_hello_is_one_handshake(void)
{
	const struct npt_test_tls_options options = { .client_groups = "X25519:P-256",
						      .server_groups = "P-256",
						      .sni = "server",
						      .client_alpn = "h2",
						      .server_alpn = "h2" };
	struct expected expected = full(4, NPT_QUALITY_ESTIMATED);

	expected.alpn = "offered: h2";
	expected.inner = NPT_PROTOCOL_HTTP2;
	expected.confidence = 80;
	check_talk(&options, &expected);
}

static void sees_that_a_client_certificate_was_asked_for(void)
{
	for (int version = TLS1_VERSION; version <= TLS1_3_VERSION; version++) {
		struct npt_test_tls_options options = { .version_max = version,
							.client_certificate = "client",
							.ask_certificate = true };
		bool is_13 = version == TLS1_3_VERSION;
		struct expected expected =
			full(is_13 ? 2 : 3, is_13 ? NPT_QUALITY_ESTIMATED : NPT_QUALITY_EXACT);

		expected.asked = NPT_TLS_ANSWER_YES;
		check_talk(&options, &expected);
		/* Messages are cut by records, and a big certificate comes before what we look for.
		 */
		options.fragment = 512;
		check_talk(&options, &expected);
		/* The client has none, and that is all right. */
		options.client_certificate = NULL;
		options.ask_certificate = false;
		options.ask_kindly = true;
		check_talk(&options, &expected);
	}
}

static void padded_records_leave_it_open(void)
{
	static const unsigned int paddings[] = { 16, 64, 512, 4096 };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(paddings); i++) {
		struct npt_test_tls_options options = { .padding = paddings[i] };
		struct expected expected = full(2, NPT_QUALITY_UNAVAILABLE);

		expected.asked = NPT_TLS_ANSWER_UNKNOWN;
		check_talk(&options, &expected);
		options.client_certificate = "client";
		options.ask_certificate = true;
		check_talk(&options, &expected);
	}
}

static void external_keys_and_early_data(void)
{
	void *session = NULL;
	struct npt_test_tls_options options = { .psk = true,
						.version_max = TLS12,
						.ciphers = "PSK-AES128-GCM-SHA256" };
	struct expected expected = full(3, NPT_QUALITY_EXACT);

	check_talk(&options, &expected);
	options.version_max = TLS1_3_VERSION;
	options.ciphers = NULL;
	options.suite = "TLS_AES_128_GCM_SHA256";
	expected = full(2, NPT_QUALITY_EXACT);
	expected.resumed = true; /* on the wire it is the same */
	check_talk(&options, &expected);

	options = (struct npt_test_tls_options){ .early_data = true, .session = &session };
	options.server = npt_test_tls_server(&ca, &options);
	expected = full(2, NPT_QUALITY_ESTIMATED);
	check_talk(&options, &expected);
	expected = full(2, NPT_QUALITY_EXACT);
	expected.resumed = true;
	check_talk(&options, &expected);
	npt_test_tls_session_free(session);
	npt_test_tls_server_free(options.server);
}

static void failures_have_the_name_of_their_alert(void)
{
	static const struct {
		struct npt_test_tls_options options;
		const char *alert;
		bool by_client;
	} cases[] = {
		{ { .version_max = TLS1_VERSION, .distrust = true }, "unknown_ca", true },
		{ { .version_max = TLS12, .distrust = true, .sni = "server" }, "unknown_ca", true },
		{ { .distrust = true }, "unknown_ca", true }, /* OpenSSL's are still in clear */
		{ { .version_max = TLS12, .ask_certificate = true }, "handshake_failure", false },
		{ { .ask_certificate = true }, "encrypted", false },
		{ { .ask_certificate = true,
		    .client_certificate = "client",
		    .client_distrusted = true },
		  "encrypted",
		  false },
		{ { .version_max = TLS12,
		    .ask_certificate = true,
		    .client_certificate = "client",
		    .client_distrusted = true },
		  "unknown_ca",
		  false },
		{ { .version_max = TLS12, .client_alpn = "h2", .server_alpn = "mqtt" },
		  "no_application_protocol",
		  false },
		{ { .client_alpn = "h2", .server_alpn = "mqtt" },
		  "no_application_protocol",
		  false },
		{ { .client_groups = "X25519", .server_groups = "P-256" },
		  "handshake_failure",
		  false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		const struct expected expected = { .outcome = NPT_HANDSHAKE_FAILED,
						   .alert = cases[i].alert,
						   .alert_by_client = cases[i].by_client };
		struct npt_test_tls tls;

		npt_test_tls_talk(&ca, &cases[i].options, &tls);
		NPT_CHECK(!tls.client_done || !tls.server_done);
		if (!tls.client_done || !tls.server_done)
			check_told(&tls, &cases[i].options, &expected);
		npt_test_conversation_done(&tls.said);
	}
}

/* As clients other than OpenSSL do it: an encrypted record of two bytes, instead of Finished. */
static void an_encrypted_record_of_two_bytes_is_an_alert(void)
{
	static const uint8_t refusal[] = { 20, 3, 3, 0, 1, 1,  23, 3,  3,  0,  19, 1,  2,  3,  4,
					   5,  6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
	const struct npt_test_tls_options options = { .sni = "server" };
	const struct expected expected = { .outcome = NPT_HANDSHAKE_FAILED,
					   .alert = "encrypted",
					   .alert_by_client = true };
	struct npt_test_tls tls;

	npt_test_tls_talk(&ca, &options, &tls);
	while (tls.said.count > 2)
		free(tls.said.flights[--tls.said.count].bytes);
	npt_test_conversation_add(&tls.said, true, tls.said.flights[1].time_ns + 1000000, refusal,
				  sizeof(refusal));
	check_told(&tls, &options, &expected);
	npt_test_conversation_done(&tls.said);
}

static void a_close_before_the_end_is_a_failure_without_alert(void)
{
	for (int version = TLS12; version <= TLS1_3_VERSION; version++) {
		const struct npt_test_tls_options options = { .version_max = version };
		const struct expected expected = { .outcome = NPT_HANDSHAKE_FAILED };
		struct npt_test_tls tls;
		size_t needed = version == TLS12 ? 4 : 3;

		npt_test_tls_talk(&ca, &options, &tls);
		while (tls.said.count > needed)
			free(tls.said.flights[--tls.said.count].bytes);
		while (tls.said.count > 1) {
			free(tls.said.flights[--tls.said.count].bytes);
			check_told(&tls, &options, &expected);
		}
		npt_test_conversation_done(&tls.said);
	}
}

/* Keeps so many flights, and lets the client say one more thing. */
static void cut(struct npt_test_tls *tls, size_t flights, const void *bytes, size_t size_bytes)
{
	while (tls->said.count > flights)
		free(tls->said.flights[--tls->said.count].bytes);
	npt_test_conversation_add(&tls->said, true, tls->said.flights[flights - 1].time_ns + 1,
				  bytes, size_bytes);
}

static void a_polite_close_before_the_end_is_a_failure_without_alert(void)
{
	static const uint8_t close_notify[] = { 21, 3, 3, 0, 2, 1, 0 };
	static const uint8_t sealed[] = { 21, 3, 3, 0, 4, 1, 2, 3, 4 };
	const struct npt_test_tls_options options = { .version_max = TLS12, .sni = "server" };
	struct expected expected = { .outcome = NPT_HANDSHAKE_FAILED };
	struct npt_test_tls tls;

	npt_test_tls_talk(&ca, &options, &tls);
	cut(&tls, 1, close_notify, sizeof(close_notify));
	check_told(&tls, &options, &expected);
	npt_test_conversation_done(&tls.said);
	/* What it said after its ChangeCipherSpec nobody can know. */
	npt_test_tls_talk(&ca, &options, &tls);
	cut(&tls, 3, sealed, sizeof(sealed));
	expected.alert = "encrypted";
	expected.alert_by_client = true;
	check_told(&tls, &options, &expected);
	npt_test_conversation_done(&tls.said);
}

static void a_warning_ends_nothing(void)
{
	static const uint8_t warning[] = { 21, 3, 3, 0, 2, 1, 112 };
	const struct npt_test_tls_options options = { .version_max = TLS12 };
	const struct npt_test_telling telling = { .connection = 1 };
	struct npt_tls_handshake handshake;
	struct npt_test_tls tls, warned = { 0 };

	npt_test_tls_talk(&ca, &options, &tls);
	for (size_t i = 0; i < tls.said.count; i++) {
		const struct npt_test_flight *flight = &tls.said.flights[i];

		if (i == 1)
			npt_test_conversation_add(&warned.said, false, flight->time_ns, warning,
						  sizeof(warning));
		npt_test_conversation_add(&warned.said, flight->from_client, flight->time_ns,
					  flight->bytes, flight->size_bytes);
	}
	hear(&warned, &telling, &handshake);
	NPT_CHECK_INT(handshake.outcome, NPT_HANDSHAKE_COMPLETED);
	NPT_CHECK_INT(handshake.alerts_count, 1);
	NPT_CHECK_INT(handshake.alerts[0].code, 112);
	NPT_CHECK(!handshake.alerts[0].sent);
	npt_test_conversation_done(&warned.said);
	npt_test_conversation_done(&tls.said);
}

/* The kernel may tell only the first pieces of a long record; certificates are long. */
static void the_end_of_a_certificate_is_not_needed(void)
{
	const struct npt_test_tls_options options = { .version_max = TLS12,
						      .client_certificate = "client",
						      .ask_certificate = true };
	const struct npt_test_telling telling = { .connection = 1, .piece_bytes = 100 };
	struct npt_tls_handshake handshake;
	struct npt_test_events events;
	struct npt_test_tls tls;
	size_t dropped = 0;

	npt_test_tls_talk(&ca, &options, &tls);
	npt_test_tell(&tls.said, &telling, &events);
	npt_tls_handshake_init(&handshake);
	for (size_t i = 0; i < events.count; i++) {
		const struct npt_bpf_tls_event *event = &events.events[i];

		if (event->kind == NPT_TLS_PIECE && event->record_bytes > 350 &&
		    event->from == NPT_FROM_SERVER)
			dropped++;
		else
			npt_tls_handshake_feed(&handshake, event);
	}
	NPT_CHECK(dropped > 0);
	NPT_CHECK_INT(handshake.outcome, NPT_HANDSHAKE_COMPLETED);
	NPT_CHECK_INT(handshake.certificate_asked, NPT_TLS_ANSWER_YES);
	NPT_CHECK_INT(handshake.certificate_quality, NPT_QUALITY_EXACT);
	NPT_CHECK(!handshake.resumed);
	npt_test_events_done(&events);
	npt_test_conversation_done(&tls.said);
}

/* Nothing that was missed may turn a handshake that went well into a failed one. */
static void what_was_missed_is_neither_completed_nor_failed(void)
{
	for (int version = TLS12; version <= TLS1_3_VERSION; version++) {
		const struct npt_test_tls_options options = { .version_max = version,
							      .client_certificate = "client",
							      .ask_certificate = true };
		struct npt_test_tls tls;

		npt_test_tls_talk(&ca, &options, &tls);
		for (size_t i = 0; i < 8 * 8 * 3; i++) {
			const struct npt_test_telling telling = { .client_records = i % 8,
								  .server_records = i / 8 % 8,
								  .order = (enum npt_test_order)(
									  i / 64),
								  .closed = true };
			struct npt_tls_handshake handshake;

			hear(&tls, &telling, &handshake);
			NPT_CHECK(handshake.outcome == NPT_HANDSHAKE_COMPLETED ||
				  handshake.outcome == NPT_HANDSHAKE_UNSEEN);
			NPT_CHECK_INT(handshake.alerts_count, 0);
			if (handshake.outcome == NPT_HANDSHAKE_COMPLETED)
				NPT_CHECK_INT(npt_tls_handshake_version(&handshake), tls.version);
		}
		npt_test_conversation_done(&tls.said);
	}
}

/* One that is over is over: whatever comes in clear after it is none of ours. */
static void nothing_changes_what_is_completed(void)
{
	static const uint8_t alert[] = { 21, 3, 3, 0, 2, 2, 40 };
	const struct npt_test_tls_options options = { .sni = "first" },
					  other = { .sni = "second", .version_max = TLS12 };
	const struct npt_test_telling telling = { .connection = 1 };
	struct npt_tls_handshake handshake;
	struct npt_test_tls tls, later;

	npt_test_tls_talk(&ca, &options, &tls);
	npt_test_tls_talk(&ca, &other, &later);
	for (size_t i = 0; i < later.said.count; i++)
		npt_test_conversation_add(&tls.said, later.said.flights[i].from_client,
					  later.said.flights[i].time_ns + 1000000000,
					  later.said.flights[i].bytes,
					  later.said.flights[i].size_bytes);
	npt_test_conversation_add(&tls.said, true, UINT64_C(9000000000), alert, sizeof(alert));
	hear(&tls, &telling, &handshake);
	NPT_CHECK_INT(handshake.outcome, NPT_HANDSHAKE_COMPLETED);
	NPT_CHECK_STR(handshake.client.messages.hello.sni, "first");
	NPT_CHECK_INT(npt_tls_handshake_version(&handshake), TLS1_3_VERSION);
	NPT_CHECK_INT(handshake.alerts_count, 0);
	npt_test_conversation_done(&later.said);
	npt_test_conversation_done(&tls.said);
}

static void connections_older_than_the_measurement_have_no_handshake(void)
{
	for (int version = TLS12; version <= TLS1_3_VERSION; version++) {
		const struct npt_test_tls_options options = { .version_max = version };
		struct npt_tls_handshake handshake;
		struct npt_test_tls tls;

		npt_test_tls_talk(&ca, &options, &tls);
		for (size_t skipped = 1; skipped <= tls.said.count; skipped++) {
			struct npt_test_conversation rest = { .count = tls.said.count - skipped };
			struct npt_test_tls late = { .said = rest };
			const struct npt_test_telling telling = { .closed = true };

			memcpy(late.said.flights, tls.said.flights + skipped,
			       rest.count * sizeof(rest.flights[0]));
			hear(&late, &telling, &handshake);
			/* Without its first flight the rest of TLS 1.2 still says how it ended. */
			if (skipped > 1)
				NPT_CHECK_INT(handshake.outcome, NPT_HANDSHAKE_NONE);
			else
				NPT_CHECK_INT(handshake.outcome, version == TLS12
									 ? NPT_HANDSHAKE_COMPLETED
									 : NPT_HANDSHAKE_UNSEEN);
			NPT_CHECK(!handshake.timed);
			NPT_CHECK_INT(handshake.alerts_count, 0);
		}
		npt_test_conversation_done(&tls.said);
	}
}

int main(int argc, char **argv)
{
	static const struct npt_test tests[] = {
		NPT_TEST(reads_full_handshakes_of_every_version),
		NPT_TEST(reads_every_suite_of_tls_13),
		NPT_TEST(reads_names_of_hosts_and_protocols),
		NPT_TEST(a_resumed_handshake_asks_for_no_certificate),
		NPT_TEST(a_retried_hello_is_one_handshake),
		NPT_TEST(sees_that_a_client_certificate_was_asked_for),
		NPT_TEST(padded_records_leave_it_open),
		NPT_TEST(external_keys_and_early_data),
		NPT_TEST(failures_have_the_name_of_their_alert),
		NPT_TEST(an_encrypted_record_of_two_bytes_is_an_alert),
		NPT_TEST(a_close_before_the_end_is_a_failure_without_alert),
		NPT_TEST(a_polite_close_before_the_end_is_a_failure_without_alert),
		NPT_TEST(a_warning_ends_nothing),
		NPT_TEST(the_end_of_a_certificate_is_not_needed),
		NPT_TEST(what_was_missed_is_neither_completed_nor_failed),
		NPT_TEST(nothing_changes_what_is_completed),
		NPT_TEST(connections_older_than_the_measurement_have_no_handshake),
	};
	int r;

	npt_test_ca_new(&ca, "npt test");
	npt_test_ca_issue(&ca, "server", "server", false);
	npt_test_ca_issue(&ca, "client", "client", false);
	r = npt_test_run(tests, NPT_ARRAY_SIZE(tests), argc, argv);
	npt_test_ca_free(&ca);
	return r;
}
