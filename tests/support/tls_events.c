/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tls_events.h"

#include <stdlib.h>
#include <string.h>

#include "bpf/protocol.h"
#include "lib/core/alloc.h"

#define HEAD_BYTES 5

/* A direction that is being told: its bytes, where it is, and when what was written. */
struct direction {
	const struct npt_test_conversation *conversation;
	const struct npt_test_telling *telling;
	bool client;
	bool changed;
	uint8_t *bytes;
	size_t size_bytes;
};

void npt_test_conversation_add(struct npt_test_conversation *conversation, bool from_client,
			       uint64_t time_ns, const void *bytes, size_t size_bytes)
{
	struct npt_test_flight *flight = &conversation->flights[conversation->count];

	if (conversation->count == NPT_TEST_FLIGHTS_MAX || size_bytes == 0)
		return;
	flight->from_client = from_client;
	flight->time_ns = time_ns;
	flight->bytes = npt_memdup(bytes, size_bytes);
	flight->size_bytes = size_bytes;
	conversation->count++;
}

void npt_test_conversation_done(struct npt_test_conversation *conversation)
{
	for (size_t i = 0; i < conversation->count; i++)
		free(conversation->flights[i].bytes);
	conversation->count = 0;
}

static void gather(struct direction *direction)
{
	for (size_t i = 0; i < direction->conversation->count; i++) {
		const struct npt_test_flight *flight = &direction->conversation->flights[i];

		if (flight->from_client != direction->client)
			continue;
		direction->bytes = npt_realloc(direction->bytes,
					       direction->size_bytes + flight->size_bytes, 1);
		memcpy(direction->bytes + direction->size_bytes, flight->bytes, flight->size_bytes);
		direction->size_bytes += flight->size_bytes;
	}
}

/* When the flight that holds this byte was written, and some ns for the bytes before it. */
static uint64_t time_at(const struct direction *direction, size_t at)
{
	size_t begin = 0;

	for (size_t i = 0; i < direction->conversation->count; i++) {
		const struct npt_test_flight *flight = &direction->conversation->flights[i];

		if (flight->from_client != direction->client)
			continue;
		if (at < begin + flight->size_bytes)
			return flight->time_ns + (at - begin);
		begin += flight->size_bytes;
	}
	return 0;
}

static struct npt_bpf_tls_event *next_event(struct npt_test_events *events,
					    const struct direction *direction,
					    enum npt_bpf_tls_kind kind, size_t at)
{
	const struct npt_test_telling *telling = direction->telling;
	struct npt_bpf_tls_event *event;

	if ((events->count & (events->count - 1)) == 0) /* full at each power of two */
		events->events = npt_realloc(events->events, 2 * events->count + 1, sizeof(*event));
	event = &events->events[events->count++];
	memset(event, 0, sizeof(*event));
	event->connection = telling->connection;
	event->slot = telling->slot;
	event->kind = (uint8_t)kind;
	event->from = direction->client ? NPT_FROM_CLIENT : NPT_FROM_SERVER;
	event->sent = direction->client != telling->at_server;
	event->time_ns = time_at(direction, at);
	return event;
}

static void tell_record(struct direction *direction, size_t at, struct npt_test_events *events)
{
	const struct npt_test_telling *telling = direction->telling;
	const uint8_t *head = direction->bytes + at;
	size_t whole = (size_t)(head[3] << 8 | head[4]), told = 0;
	size_t most = telling->piece_bytes ? telling->piece_bytes : NPT_TLS_PIECE_BYTES;
	bool sealed = head[0] == 23 || (head[0] == 22 && direction->changed && !telling->reveal) ||
		      (head[0] == 21 && whole != 2);

	do {
		struct npt_bpf_tls_event *event =
			next_event(events, direction, told ? NPT_TLS_PIECE : NPT_TLS_RECORD, at);
		size_t now = whole - told < most ? whole - told : most;

		event->type = head[0];
		event->version = (uint16_t)(head[1] << 8 | head[2]);
		event->record_bytes = (uint16_t)whole;
		if (sealed)
			break;
		event->captured_bytes = (uint16_t)now;
		memcpy(event->bytes, head + HEAD_BYTES + told, now);
		told += now;
	} while (told < whole);
	direction->changed = direction->changed || head[0] == 20;
}

static void tell_direction(const struct npt_test_conversation *conversation,
			   const struct npt_test_telling *telling, bool client,
			   struct npt_test_events *events)
{
	struct direction direction = { .conversation = conversation,
				       .telling = telling,
				       .client = client };
	size_t at = 0, records = 0,
	       most = client ? telling->client_records : telling->server_records;

	gather(&direction);
	while (at + HEAD_BYTES <= direction.size_bytes) {
		const uint8_t *head = direction.bytes + at;
		size_t whole = HEAD_BYTES + (size_t)(head[3] << 8 | head[4]);

		if (at + whole > direction.size_bytes)
			break;
		if (most && records++ == most) {
			(void)next_event(events, &direction, NPT_TLS_GONE, at);
			break;
		}
		tell_record(&direction, at, events);
		at += whole;
	}
	free(direction.bytes);
}

/* Two directions, each in its order, become one in the order of time. */
static void merge_by_time(struct npt_test_events *events, size_t second)
{
	struct npt_bpf_tls_event *merged = npt_alloc(2 * events->count + 1, sizeof(*merged));
	size_t left = 0, right = second;

	for (size_t i = 0; i < events->count; i++) {
		bool from_right = left == second ||
				  (right < events->count &&
				   events->events[right].time_ns < events->events[left].time_ns);

		merged[i] = events->events[from_right ? right++ : left++];
	}
	free(events->events);
	events->events = merged;
}

void npt_test_tell(const struct npt_test_conversation *conversation,
		   const struct npt_test_telling *telling, struct npt_test_events *events_ret)
{
	const struct direction none = { .conversation = conversation, .telling = telling };
	size_t second;
	bool first_client = telling->order != NPT_TEST_SERVER_FIRST;

	memset(events_ret, 0, sizeof(*events_ret));
	tell_direction(conversation, telling, first_client, events_ret);
	second = events_ret->count;
	tell_direction(conversation, telling, !first_client, events_ret);
	if (telling->order == NPT_TEST_BY_TIME)
		merge_by_time(events_ret, second);
	if (telling->closed)
		next_event(events_ret, &none, NPT_TLS_CLOSED, 0)->from = NPT_FROM_UNKNOWN;
}

void npt_test_events_done(struct npt_test_events *events)
{
	free(events->events);
	memset(events, 0, sizeof(*events));
}
