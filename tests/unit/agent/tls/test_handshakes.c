/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/handshakes.h"

#include <openssl/ssl.h>

#include "agent/tls/alpn.h"
#include "lib/core/alloc.h"
#include "tests/support/test.h"
#include "tests/support/tls_peer.h"

static struct npt_test_ca ca;

static void add_all(struct npt_tls_handshakes *table, const struct npt_test_events *events)
{
	for (size_t i = 0; i < events->count; i++)
		(void)npt_tls_handshakes_add(table, &events->events[i]);
}

static void make(const struct npt_test_tls_options *options, const struct npt_test_telling *telling,
		 struct npt_test_events *events_ret)
{
	struct npt_test_tls tls;

	npt_test_tls_talk(&ca, options, &tls);
	npt_test_tell(&tls.said, telling, events_ret);
	npt_test_conversation_done(&tls.said);
}

static void talk(struct npt_tls_handshakes *table, const struct npt_test_tls_options *options,
		 const struct npt_test_telling *telling)
{
	struct npt_test_events events;

	make(options, telling, &events);
	add_all(table, &events);
	npt_test_events_done(&events);
}

static void an_edge_gets_what_is_new(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	struct npt_test_tls_options options = { .version_max = TLS1_2_VERSION,
						.sni = "server",
						.client_alpn = "h2",
						.server_alpn = "h2",
						.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384",
						.ask_certificate = true,
						.client_certificate = "client" };
	struct npt_test_telling telling = { .connection = 7, .slot = 5 };

	NPT_CHECK(!npt_tls_handshakes_take(table, 5, edge));
	edge->sent.bytes = 42;
	talk(table, &options, &telling);
	telling.connection++;
	options.ask_certificate = false;
	talk(table, &options, &telling);
	NPT_CHECK(!npt_tls_handshakes_take(table, 4, edge));
	NPT_CHECK(npt_tls_handshakes_take(table, 5, edge));
	NPT_CHECK_STR(edge->tls_facts.version, "1.2");
	NPT_CHECK_STR(edge->tls_facts.sni, "server");
	NPT_CHECK_STR(edge->tls_facts.alpn, "h2");
	NPT_CHECK_STR(edge->tls_facts.cipher, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
	NPT_CHECK_INT(edge->handshakes.count, 2);
	NPT_CHECK_INT(edge->handshakes.client_certificates, 1);
	NPT_CHECK_INT(edge->handshakes.failed + edge->handshakes.resumed, 0);
	NPT_CHECK_INT(edge->handshakes.micros.count, 2);
	NPT_CHECK_INT(edge->handshakes.micros.max_micros / 1000, 3);
	NPT_CHECK_INT(edge->sent.bytes, 42);
	NPT_CHECK(!npt_tls_handshakes_take(table, 5, edge));
}

static void failures_keep_the_facts_of_what_went_well(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	struct npt_test_tls_options good = { .sni = "good" }, bad = {
		.sni = "bad", .distrust = true, .version_max = TLS1_2_VERSION
	};
	struct npt_test_telling telling = { .connection = 1, .slot = 2, .at_server = true };

	talk(table, &bad, &telling);
	NPT_CHECK(npt_tls_handshakes_take(table, 2, edge));
	NPT_CHECK_STR(edge->tls_facts.sni, "bad");
	NPT_CHECK_STR(edge->tls_facts.version, "1.2");
	telling.connection++;
	talk(table, &good, &telling);
	telling.connection++;
	talk(table, &bad, &telling);
	NPT_CHECK(npt_tls_handshakes_take(table, 2, edge));
	NPT_CHECK_STR(edge->tls_facts.sni, "good");
	NPT_CHECK_STR(edge->tls_facts.version, "1.3");
	NPT_CHECK_INT(edge->handshakes.count, 1);
	NPT_CHECK_INT(edge->handshakes.failed, 1);
	NPT_CHECK_STR(edge->handshakes.alerts_received[0].name, "unknown_ca");
	NPT_CHECK_INT(edge->handshakes.alerts_received[0].count, 1);
	NPT_CHECK_STR(edge->handshakes.alerts_sent[0].name, "");
}

/* A connection counts for the edge that it has in the end; without one it waits. */
static void the_last_edge_counts(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	const struct npt_test_tls_options options = { .sni = "server" };
	const struct npt_test_telling telling = { .connection = 1 };
	struct npt_test_events events;

	make(&options, &telling, &events);
	for (size_t i = 0; i + 1 < events.count; i++)
		(void)npt_tls_handshakes_add(table, &events.events[i]);
	events.events[events.count - 1].slot = 9;
	(void)npt_tls_handshakes_add(table, &events.events[events.count - 1]);
	NPT_CHECK(npt_tls_handshakes_take(table, 9, edge));
	NPT_CHECK_INT(edge->handshakes.count, 1);

	for (size_t i = 0; i < events.count; i++) {
		events.events[i].connection = 2;
		events.events[i].slot = i == 0 ? 3 : 4;
		(void)npt_tls_handshakes_add(table, &events.events[i]);
	}
	NPT_CHECK(npt_tls_handshakes_take(table, 4, edge));
	NPT_CHECK_INT(edge->handshakes.count, 1);
	NPT_CHECK(npt_tls_handshakes_take(table, 3, edge));
	NPT_CHECK_INT(edge->handshakes.count, 0);
	npt_test_events_done(&events);
}

/* The hello is told before what it says moves its connection to an edge of TLS. */
static void what_a_hello_says_goes_where_its_connection_goes(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	const struct npt_test_tls_options options = { .sni = "server" };
	const struct npt_test_telling telling = { .connection = 1, .slot = 3 };
	struct npt_test_events events;

	make(&options, &telling, &events);
	(void)npt_tls_handshakes_add(table, &events.events[0]);
	edge->tls = NPT_TLS_NO;
	NPT_CHECK(!npt_tls_handshakes_take(table, 3, edge));
	events.events[0].kind = NPT_TLS_CLOSED;
	(void)npt_tls_handshakes_add(table, &events.events[0]);
	NPT_CHECK(npt_tls_handshakes_take(table, 3, edge)); /* counts, but no facts */
	NPT_CHECK_INT(edge->handshakes.failed, 1);
	NPT_CHECK_STR(edge->tls_facts.sni, "");
	events.events[0].connection = 2;
	events.events[0].kind = NPT_TLS_RECORD;
	(void)npt_tls_handshakes_add(table, &events.events[0]);
	events.events[0].kind = NPT_TLS_CLOSED;
	events.events[0].slot = 4;
	(void)npt_tls_handshakes_add(table, &events.events[0]);
	edge->tls = NPT_TLS_YES;
	NPT_CHECK(npt_tls_handshakes_take(table, 4, edge));
	NPT_CHECK_STR(edge->tls_facts.sni, "server");
	NPT_CHECK_INT(edge->handshakes.failed, 1);
	/* The port's first connection may ask for TLS yet: then they are its own. */
	NPT_CHECK(npt_tls_handshakes_take(table, 3, edge));
	NPT_CHECK_STR(edge->tls_facts.sni, "server");
	NPT_CHECK_INT(edge->handshakes.failed, 0);
	npt_test_events_done(&events);
}

static void a_slot_that_is_forgotten_has_nothing(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	const struct npt_test_tls_options options = { .client_alpn = "h2", .server_alpn = "h2" };
	const struct npt_test_telling telling = { .connection = 1, .slot = 6, .closed = true };
	struct npt_tls_handshakes_stats stats;
	enum npt_bpf_protocol protocol;
	struct npt_test_events events;
	uint32_t confidence;

	talk(table, &options, &telling);
	NPT_CHECK(npt_tls_handshakes_slot_inner(table, 6, &protocol, &confidence));
	npt_tls_handshakes_forget(table, 6);
	NPT_CHECK(!npt_tls_handshakes_take(table, 6, edge));
	NPT_CHECK(!npt_tls_handshakes_slot_inner(table, 6, &protocol, &confidence));

	make(&options, &telling, &events);
	for (size_t i = 0; i < events.count; i++) {
		if (i == events.count - 1) {
			npt_tls_handshakes_forget(table, 6);
			events.events[i].slot = NPT_SLOT_NONE;
		}
		events.events[i].connection = 2;
		(void)npt_tls_handshakes_add(table, &events.events[i]);
	}
	NPT_CHECK(!npt_tls_handshakes_take(table, 6, edge));
	npt_tls_handshakes_forget(table, NPT_SLOTS_MAX);
	NPT_CHECK(!npt_tls_handshakes_take(table, NPT_SLOTS_MAX, edge));
	npt_tls_handshakes_stats(table, &stats);
	NPT_CHECK_INT(stats.unowned, 0); /* it was credited before */
	npt_test_events_done(&events);
}

static void inner_protocols_are_told_once_they_are_known(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	const struct npt_test_tls_options options = { .version_max = TLS1_2_VERSION,
						      .client_alpn = "h2 http/1.1",
						      .server_alpn = "h2" };
	const struct npt_test_telling telling = { .connection = 5, .slot = 3 };
	enum npt_bpf_protocol protocol = NPT_PROTOCOL_UNKNOWN;
	struct npt_test_events events;
	size_t told = 0;
	uint32_t confidence = 0;

	make(&options, &telling, &events);
	for (size_t i = 0; i < events.count; i++) {
		NPT_CHECK_INT(npt_tls_handshakes_inner(table, 5, &protocol, &confidence), told);
		told += npt_tls_handshakes_add(table, &events.events[i]);
	}
	NPT_CHECK_INT(told, 1);
	NPT_CHECK_INT(protocol, NPT_PROTOCOL_HTTP2);
	NPT_CHECK_INT(confidence, NPT_TLS_INNER_AGREED);
	protocol = NPT_PROTOCOL_UNKNOWN;
	NPT_CHECK(npt_tls_handshakes_slot_inner(table, 3, &protocol, &confidence));
	NPT_CHECK_INT(protocol, NPT_PROTOCOL_HTTP2);
	NPT_CHECK(!npt_tls_handshakes_inner(table, 6, &protocol, &confidence));
	npt_test_events_done(&events);
}

/* TLS 1.3: the server's word on the client's certificate may never come. */
static void check_settled(bool forgotten)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	const struct npt_test_tls_options options = { .ask_certificate = true,
						      .client_certificate = "client" };
	const struct npt_test_telling telling = { .connection = 1, .slot = 2 };
	struct npt_test_events events;
	uint64_t last_ns = 0;

	make(&options, &telling, &events);
	for (size_t i = 0; i < events.count; i++) {
		if (events.events[i].time_ns > 1003900000)
			continue; /* all after the client's second flight */
		(void)npt_tls_handshakes_add(table, &events.events[i]);
		last_ns = events.events[i].time_ns;
	}
	(void)npt_tls_handshakes_take(table, 2, edge);
	NPT_CHECK_INT(edge->handshakes.count, 0);
	npt_tls_handshakes_settle(table, last_ns + NPT_TLS_SETTLE_NS - 1);
	NPT_CHECK(!npt_tls_handshakes_take(table, 2, edge));
	if (forgotten)
		npt_tls_handshakes_forget(table, 2); /* another edge's by now */
	npt_tls_handshakes_settle(table, last_ns + NPT_TLS_SETTLE_NS);
	if (forgotten) {
		NPT_CHECK(!npt_tls_handshakes_take(table, 2, edge));
		npt_test_events_done(&events);
		return;
	}
	NPT_CHECK(npt_tls_handshakes_take(table, 2, edge));
	NPT_CHECK_INT(edge->handshakes.count, 1);
	NPT_CHECK_INT(edge->handshakes.client_certificates, 1);
	npt_test_events_done(&events);
}

static void a_handshake_that_waits_is_settled(void)
{
	check_settled(false);
}

static void nothing_is_settled_for_an_edge_that_is_forgotten(void)
{
	check_settled(true);
}

static void the_oldest_connection_makes_room(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(8);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	const struct npt_test_tls_options options = { .sni = "server" };
	const struct npt_test_telling telling = { .slot = 2 };
	struct npt_tls_handshakes_stats stats;
	struct npt_test_events events;

	make(&options, &telling, &events);
	for (uint64_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < events.count; i++) {
			for (uint64_t connection = 0; connection < 8; connection++) {
				events.events[i].connection = 100 * round + connection;
				(void)npt_tls_handshakes_add(table, &events.events[i]);
			}
		}
	}
	npt_tls_handshakes_stats(table, &stats);
	NPT_CHECK_INT(stats.evicted, 0); /* they were over */
	NPT_CHECK(npt_tls_handshakes_take(table, 2, edge));
	NPT_CHECK_INT(edge->handshakes.count, 24);
	for (uint64_t connection = 0; connection < 20; connection++) {
		events.events[0].connection = 1000 + connection;
		(void)npt_tls_handshakes_add(table, &events.events[0]);
	}
	npt_tls_handshakes_stats(table, &stats);
	NPT_CHECK_INT(stats.evicted, 12);
	/* The eight youngest are still there: a close ends them as failed. */
	(void)npt_tls_handshakes_take(table, 2, edge);
	for (uint64_t connection = 0; connection < 20; connection++) {
		events.events[0].connection = 1000 + connection;
		events.events[0].kind = NPT_TLS_CLOSED;
		(void)npt_tls_handshakes_add(table, &events.events[0]);
	}
	NPT_CHECK(npt_tls_handshakes_take(table, 2, edge));
	NPT_CHECK_INT(edge->handshakes.failed, 8);
	npt_test_events_done(&events);
}

/* A reset overtakes what is then read: of a connection that is known, and for a while only. */
static void an_alert_is_read_after_the_close(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	npt_auto_free struct npt_bpf_tls_event *alert = npt_alloc(1, sizeof(*alert));
	const struct npt_test_tls_options options = { .sni = "server" };
	const struct npt_test_telling telling = { .connection = 1, .slot = 2, .at_server = true };
	struct npt_test_events events;
	uint64_t closed_ns;

	make(&options, &telling, &events);
	(void)npt_tls_handshakes_add(table, &events.events[0]);
	events.events[0].kind = NPT_TLS_CLOSED;
	(void)npt_tls_handshakes_add(table, &events.events[0]);
	closed_ns = events.events[0].time_ns;
	npt_tls_handshakes_settle(table, closed_ns + NPT_TLS_SETTLE_NS - 1);
	NPT_CHECK(npt_tls_handshakes_take(table, 2, edge));
	NPT_CHECK_INT(edge->handshakes.failed, 1);
	*alert = (struct npt_bpf_tls_event){ .connection = 1,
					     .time_ns = closed_ns + 1,
					     .slot = 2,
					     .record_bytes = 2,
					     .version = 0x0303,
					     .type = 21,
					     .from = NPT_FROM_CLIENT,
					     .captured_bytes = 2,
					     .bytes = { 2, 48 } };
	(void)npt_tls_handshakes_add(table, alert);
	NPT_CHECK(npt_tls_handshakes_take(table, 2, edge));
	NPT_CHECK_INT(edge->handshakes.failed, 0); /* it was counted */
	NPT_CHECK_STR(edge->handshakes.alerts_received[0].name, "unknown_ca");
	NPT_CHECK_INT(edge->handshakes.alerts_received[0].count, 1);
	npt_tls_handshakes_settle(table, closed_ns + 1 + NPT_TLS_SETTLE_NS);
	(void)npt_tls_handshakes_add(table, alert);
	alert->connection = 2;
	(void)npt_tls_handshakes_add(table, alert);
	NPT_CHECK(!npt_tls_handshakes_take(table, 2, edge));
	npt_test_events_done(&events);
}

static void what_no_kernel_tells_is_counted(void)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(16);
	npt_auto_free struct npt_bpf_tls_event *event = npt_alloc(1, sizeof(*event));
	struct npt_tls_handshakes_stats stats;

	event->slot = NPT_SLOTS_MAX;
	(void)npt_tls_handshakes_add(table, event);
	*event = (struct npt_bpf_tls_event){ .version = 0x0303, .type = 22, .from = 3, .slot = 2 };
	(void)npt_tls_handshakes_add(table, event);
	event->from = 1;
	event->captured_bytes = NPT_TLS_PIECE_BYTES + 1;
	event->record_bytes = NPT_TLS_PIECE_BYTES + 1;
	(void)npt_tls_handshakes_add(table, event);
	event->connection = 1;
	event->captured_bytes = 2;
	event->record_bytes = 1;
	(void)npt_tls_handshakes_add(table, event);
	npt_tls_handshakes_stats(table, &stats);
	NPT_CHECK_INT(stats.refused, 4);
}

int main(int argc, char **argv)
{
	static const struct npt_test tests[] = {
		NPT_TEST(an_edge_gets_what_is_new),
		NPT_TEST(failures_keep_the_facts_of_what_went_well),
		NPT_TEST(the_last_edge_counts),
		NPT_TEST(what_a_hello_says_goes_where_its_connection_goes),
		NPT_TEST(a_slot_that_is_forgotten_has_nothing),
		NPT_TEST(inner_protocols_are_told_once_they_are_known),
		NPT_TEST(a_handshake_that_waits_is_settled),
		NPT_TEST(nothing_is_settled_for_an_edge_that_is_forgotten),
		NPT_TEST(the_oldest_connection_makes_room),
		NPT_TEST(an_alert_is_read_after_the_close),
		NPT_TEST(what_no_kernel_tells_is_counted),
	};
	int r;

	npt_test_ca_new(&ca, "npt test");
	npt_test_ca_issue(&ca, "server", "server", false);
	npt_test_ca_issue(&ca, "client", "client", false);
	r = npt_test_run(tests, NPT_ARRAY_SIZE(tests), argc, argv);
	npt_test_ca_free(&ca);
	return r;
}
