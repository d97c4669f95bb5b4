/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says how: with its highest bit, what follows are events as no kernel tells them,
 * else a conversation of flights {from and what, 2 bytes of length, bytes}, which is told at either
 * end, in pieces and orders. However it is cut, the same facts come out; a connection counts for
 * its edge once; texts are texts.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/tls/handshake.h"
#include "agent/tls/handshakes.h"
#include "lib/core/alloc.h"
#include "tests/support/tls_events.h"

#define SLOT 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_text(const char *text, size_t size_bytes)
{
	const char *end = memchr(text, '\0', size_bytes);

	must(end != NULL);
	for (; *text; text++)
		must(*text > ' ' && *text <= '~');
}

static void check_handshake(const struct npt_tls_handshake *handshake)
{
	enum npt_bpf_protocol protocol;
	char alpn[NPT_ALPN_BYTES];
	uint32_t confidence;

	check_text(handshake->client.messages.hello.sni, NPT_TLS_SNI_BYTES);
	must(handshake->alerts_count <= NPT_TLS_ALERTS_MAX);
	must(handshake->client.sealed_count <= NPT_TLS_SEALED_MAX);
	must(handshake->server.sealed_count <= NPT_TLS_SEALED_MAX);
	npt_tls_handshake_alpn(handshake, alpn);
	must(memchr(alpn, '\0', sizeof(alpn)) != NULL);
	if (npt_tls_handshake_inner(handshake, &protocol, &confidence))
		must(protocol > NPT_PROTOCOL_UNKNOWN && protocol < NPT_PROTOCOL_COUNT &&
		     confidence > 0 && confidence <= 100);
	if (handshake->outcome == NPT_HANDSHAKE_COMPLETED)
		must(npt_tls_handshake_version(handshake) != 0);
}

static void check_edge(struct npt_tls_handshakes *table, uint64_t connections)
{
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));

	npt_tls_handshakes_settle(table, UINT64_MAX);
	if (!npt_tls_handshakes_take(table, SLOT, edge))
		return;
	check_text(edge->tls_facts.version, sizeof(edge->tls_facts.version));
	check_text(edge->tls_facts.cipher, sizeof(edge->tls_facts.cipher));
	check_text(edge->tls_facts.sni, sizeof(edge->tls_facts.sni));
	must(edge->handshakes.count + edge->handshakes.failed <= connections);
	must(edge->handshakes.resumed <= edge->handshakes.count);
	must(edge->handshakes.client_certificates <= edge->handshakes.count);
	must(edge->handshakes.micros.count <= edge->handshakes.count);
	must(!npt_tls_handshakes_take(table, SLOT, edge));
}

/* Of what does not depend on the pieces. */
static bool same(const struct npt_tls_handshake *left, const struct npt_tls_handshake *right)
{
	const struct npt_tls_hello *one = &left->client.messages.hello;
	const struct npt_tls_hello *other = &right->client.messages.hello;

	return left->outcome == right->outcome && left->resumed == right->resumed &&
	       left->certificate_asked == right->certificate_asked &&
	       left->micros == right->micros && left->alerts_count == right->alerts_count &&
	       npt_tls_handshake_version(left) == npt_tls_handshake_version(right) &&
	       strcmp(one->sni, other->sni) == 0 && strcmp(one->alpn.text, other->alpn.text) == 0;
}

static void hear(const struct npt_test_conversation *said, const struct npt_test_telling *telling,
		 struct npt_tls_handshakes *table, struct npt_tls_handshake *handshake)
{
	struct npt_test_events events;

	npt_test_tell(said, telling, &events);
	npt_tls_handshake_init(handshake);
	for (size_t i = 0; i < events.count; i++) {
		npt_tls_handshake_feed(handshake, &events.events[i]);
		(void)npt_tls_handshakes_add(table, &events.events[i]);
		check_handshake(handshake);
	}
	npt_test_events_done(&events);
}

static void run_conversation(const uint8_t *data, size_t size)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(4);
	struct npt_test_telling telling = { .slot = SLOT,
					    .at_server = data[0] & 1,
					    .reveal = data[0] & 2,
					    .closed = data[0] & 4,
					    .order = (enum npt_test_order)(data[0] >> 3 & 3) % 3 };
	struct npt_test_conversation said = { 0 };
	struct npt_tls_handshake whole, split;

	for (size_t at = 1; at + 3 <= size;) {
		size_t length = (size_t)(data[at + 1] << 8 | data[at + 2]);

		if (length > size - at - 3)
			length = size - at - 3;
		npt_test_conversation_add(&said, data[at] & 1, 1000000 * (at + 1), data + at + 3,
					  length);
		at += 3 + length;
	}
	hear(&said, &telling, table, &whole);
	telling.connection = 1;
	telling.piece_bytes = 3U + (data[0] >> 5 & 3) * 13U;
	hear(&said, &telling, table, &split);
	must(same(&whole, &split));
	check_edge(table, 2);
	npt_test_conversation_done(&said);
}

/* {kind and sides, type, version, connection, 2 bytes of length, captured} and so many bytes. */
static void run_events(const uint8_t *data, size_t size)
{
	npt_auto(npt_tls_handshakes_free) struct npt_tls_handshakes *table =
		npt_tls_handshakes_new(2);
	npt_auto_free struct npt_bpf_tls_event *event = npt_alloc(1, sizeof(*event));
	struct npt_tls_handshake handshake;
	uint64_t connections = 0;

	npt_tls_handshake_init(&handshake);
	for (size_t at = 1; at + 7 <= size;) {
		const uint8_t *head = data + at;
		size_t captured = head[6], there = size - at - 7;

		memset(event, 0, sizeof(*event));
		event->kind = head[0] & 7;
		event->from = head[0] >> 3 & 3;
		event->sent = head[0] >> 5 & 1;
		event->slot = head[0] & 0x40 ? NPT_SLOT_NONE : SLOT;
		event->type = head[1];
		event->version = (uint16_t)(0x0300 + (head[2] & 7) + (head[2] & 0x80 ? 0xfb00 : 0));
		event->connection = head[3] & 3;
		event->record_bytes = (uint16_t)(head[4] << 8 | head[5]);
		event->captured_bytes = (uint16_t)(captured == 255 ? 5000 : captured);
		event->time_ns = at;
		memcpy(event->bytes, head + 7, captured < there ? captured : there);
		npt_tls_handshake_feed(&handshake, event);
		check_handshake(&handshake);
		(void)npt_tls_handshakes_add(table, event);
		connections++; /* at most one begins with each event */
		if (head[3] == 0xff)
			npt_tls_handshakes_forget(table, SLOT);
		at += 7 + (captured < there ? captured : there);
	}
	check_edge(table, connections);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] & 0x80)
		run_events(data, size);
	else if (size > 0)
		run_conversation(data, size);
	return 0;
}
