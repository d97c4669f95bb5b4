/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of one direction come in order and whole, or the kernel says that bytes are gone. What is
 * in clear goes to the messages; of what is encrypted, length and time are kept.
 *
 * When a direction is encrypted: in TLS 1.2 and older after its ChangeCipherSpec. In TLS 1.3 that
 * record means nothing, handshake records are always in clear, and encrypted ones look like
 * application data. A client's direction alone does not say which version it is: if what follows
 * its ChangeCipherSpec is taken for the Finished of TLS 1.2, but was a second ClientHello of
 * TLS 1.3, no harm is done: it repeats the first one, and the time of that Finished is not looked
 * at.
 */
#include "agent/tls/handshake.h"

#include <string.h>

#include "agent/tls/judge.h"
#include "agent/tls/names.h"

#define RECORD_BYTES_MAX (16384 + 2048) /* RFC 5246 6.2.3 */
#define TLS13            0x0304
#define LEVEL_WARNING    1
#define LEVEL_FATAL      2
#define USER_CANCELED    90

enum record_type {
	RECORD_CHANGE = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
	RECORD_HEARTBEAT = 24,
};

void npt_tls_handshake_init(struct npt_tls_handshake *handshake)
{
	memset(handshake, 0, sizeof(*handshake));
	npt_tls_messages_init(&handshake->server.messages, true);
	handshake->certificate_quality = NPT_QUALITY_UNAVAILABLE;
}

static bool is_13(const struct npt_tls_handshake *handshake)
{
	return npt_tls_handshake_version(handshake) >= TLS13;
}

uint16_t npt_tls_handshake_version(const struct npt_tls_handshake *handshake)
{
	const struct npt_tls_hello *hello = &handshake->server.messages.hello;

	return hello->complete ? hello->version : 0;
}

static void remember(struct npt_tls_handshake *handshake, struct npt_tls_side *side,
		     const struct npt_bpf_tls_event *event)
{
	if (side->sealed_count == NPT_TLS_SEALED_MAX) {
		/* Early data comes first, and Finished after it. */
		if (side != &handshake->client || !side->messages.hello.early_data)
			return;
		side->sealed_count--;
		memmove(side->sealed, side->sealed + 1,
			side->sealed_count * sizeof(side->sealed[0]));
	}
	side->sealed[side->sealed_count].time_ns = event->time_ns;
	side->sealed[side->sealed_count++].record_bytes = event->record_bytes;
}

static void take_alert(struct npt_tls_handshake *handshake, const struct npt_tls_side *side,
		       bool sent)
{
	uint8_t level = side->alert[0], code = side->alert[1];

	if (level != LEVEL_WARNING && level != LEVEL_FATAL) {
		handshake->refused++;
		return;
	}
	if (code == NPT_TLS_ALERT_CLOSE_NOTIFY)
		return;
	npt_tls_judge_alert(handshake, code, sent);
	if (level == LEVEL_FATAL || (is_13(handshake) && code != USER_CANCELED))
		handshake->fatal = true;
}

/* Bytes of the current record, of a handshake message or of an alert. */
static void take_bytes(struct npt_tls_handshake *handshake, struct npt_tls_side *side,
		       const struct npt_bpf_tls_event *event)
{
	struct npt_tls_messages *messages = &side->messages;
	bool ready = npt_tls_judge_ready(handshake);

	side->record_left = (uint16_t)(side->record_left - event->captured_bytes);
	if (side->type == RECORD_HANDSHAKE) {
		npt_tls_messages_feed(messages, event->bytes, event->captured_bytes);
		if (!ready && npt_tls_judge_ready(handshake))
			handshake->server.answer_ns = event->time_ns;
	}
	for (size_t i = 0; i < event->captured_bytes && side->type == RECORD_ALERT; i++) {
		side->alert[side->alert_bytes++] = event->bytes[i];
		if (side->alert_bytes == sizeof(side->alert)) {
			side->type = 0;
			take_alert(handshake, side, event->sent);
		}
	}
}

static void take_handshake(struct npt_tls_handshake *handshake, struct npt_tls_side *side,
			   const struct npt_bpf_tls_event *event)
{
	if (!side->hello_ns)
		side->hello_ns = event->time_ns;
	if (side->changed && !is_13(handshake)) {
		if (!side->finished_ns)
			side->finished_ns = event->time_ns;
		return;
	}
	if (side->messages.hello.complete && side->messages.hello.retry && !event->captured_bytes) {
		side->blind = true;
		side->answer_ns = event->time_ns;
	}
	side->type = RECORD_HANDSHAKE;
	side->record_left = event->record_bytes;
	take_bytes(handshake, side, event);
}

static void take_record(struct npt_tls_handshake *handshake, struct npt_tls_side *side,
			const struct npt_bpf_tls_event *event)
{
	if (side->type == RECORD_HANDSHAKE && side->record_left > 0)
		npt_tls_messages_feed(&side->messages, NULL, side->record_left);
	side->type = 0;
	side->record_left = 0;
	if (handshake->outcome == NPT_HANDSHAKE_FAILED && event->type != RECORD_ALERT)
		return;
	if (event->type == RECORD_HANDSHAKE) {
		take_handshake(handshake, side, event);
	} else if (event->type == RECORD_ALERT && event->record_bytes == sizeof(side->alert)) {
		side->type = RECORD_ALERT;
		side->alert_bytes = 0;
		side->record_left = event->record_bytes;
		take_bytes(handshake, side, event);
	} else if (side->messages.hellos == 0) {
		side->gone = true; /* not its begin */
	} else if (event->type == RECORD_CHANGE) {
		side->changed = true;
	} else if (event->type == RECORD_ALERT) {
		side->sealed_alert = true;
	} else if (event->type == RECORD_DATA) {
		remember(handshake, side, event);
	}
}

static bool is_sane(const struct npt_bpf_tls_event *event)
{
	return event->captured_bytes <= NPT_TLS_PIECE_BYTES && event->type >= RECORD_CHANGE &&
	       event->type <= RECORD_HEARTBEAT && event->version >> 8 == 3 &&
	       event->record_bytes <= RECORD_BYTES_MAX &&
	       event->captured_bytes <= event->record_bytes;
}

static void feed_side(struct npt_tls_handshake *handshake, struct npt_tls_side *side,
		      const struct npt_bpf_tls_event *event)
{
	if (side->gone)
		return;
	if (event->kind == NPT_TLS_GONE) {
		side->gone = true;
	} else if (event->kind == NPT_TLS_RECORD && event->version >> 8 == 0xfe) {
		handshake->foreign = true;
	} else if (event->kind == NPT_TLS_RECORD && is_sane(event)) {
		take_record(handshake, side, event);
	} else if (event->kind == NPT_TLS_PIECE && event->captured_bytes <= NPT_TLS_PIECE_BYTES) {
		if (side->type == 0)
			return;
		if (event->captured_bytes <= side->record_left)
			take_bytes(handshake, side, event);
		else
			side->gone = true;
	} else {
		side->gone = true;
		handshake->refused++;
	}
}

static void note_sealed_alert(struct npt_tls_handshake *handshake, const struct npt_tls_side *side)
{
	bool by_client = side == &handshake->client;

	if (side->sealed_alert)
		npt_tls_judge_alert(handshake, NPT_TLS_ALERT_ENCRYPTED,
				    by_client == handshake->client_here);
}

/* Early data and missing pieces leave it open whether Finished was among what came. */
static void end(struct npt_tls_handshake *handshake)
{
	const struct npt_tls_side *client = &handshake->client, *server = &handshake->server;

	npt_tls_judge(handshake, true);
	if (handshake->outcome != NPT_HANDSHAKE_RUNNING)
		return;
	handshake->outcome = NPT_HANDSHAKE_UNSEEN;
	if (client->gone || server->gone || client->messages.hellos == 0 ||
	    (server->messages.lost && !npt_tls_judge_ready(handshake)) ||
	    (is_13(handshake) && client->messages.hello.early_data && client->sealed_count > 0))
		return;
	handshake->outcome = NPT_HANDSHAKE_FAILED;
	note_sealed_alert(handshake, client);
	note_sealed_alert(handshake, server);
}

void npt_tls_handshake_feed(struct npt_tls_handshake *handshake,
			    const struct npt_bpf_tls_event *event)
{
	/* What was found out stays: of one that failed, only further alerts are of interest. */
	if (handshake->foreign || handshake->outcome == NPT_HANDSHAKE_COMPLETED ||
	    handshake->outcome == NPT_HANDSHAKE_UNSEEN)
		return;
	if (event->kind == NPT_TLS_CLOSED) {
		end(handshake);
		return;
	}
	if (event->from != NPT_FROM_CLIENT && event->from != NPT_FROM_SERVER) {
		handshake->refused++;
		return;
	}
	handshake->client_here = (event->sent != 0) == (event->from == NPT_FROM_CLIENT);
	feed_side(handshake,
		  event->from == NPT_FROM_CLIENT ? &handshake->client : &handshake->server, event);
	if (handshake->outcome == NPT_HANDSHAKE_NONE &&
	    (handshake->client.messages.hellos || handshake->server.messages.hellos))
		handshake->outcome = NPT_HANDSHAKE_RUNNING;
	if (handshake->outcome == NPT_HANDSHAKE_RUNNING && handshake->fatal)
		handshake->outcome = NPT_HANDSHAKE_FAILED;
	npt_tls_judge(handshake, false);
}

bool npt_tls_handshake_waits(const struct npt_tls_handshake *handshake)
{
	return handshake->outcome == NPT_HANDSHAKE_RUNNING && npt_tls_judge_ready(handshake) &&
	       is_13(handshake) && handshake->client.sealed_count > 0 &&
	       !handshake->client.messages.hello.early_data;
}

void npt_tls_handshake_settle(struct npt_tls_handshake *handshake)
{
	if (npt_tls_handshake_waits(handshake))
		npt_tls_judge(handshake, true);
}

/* The choice is in clear in TLS 1.2 and older only; a server without ALPN chooses nothing. */
static bool choice_hidden(const struct npt_tls_handshake *handshake)
{
	return !npt_tls_judge_ready(handshake) || is_13(handshake);
}

bool npt_tls_handshake_inner(const struct npt_tls_handshake *handshake,
			     enum npt_bpf_protocol *protocol_ret, uint32_t *confidence_ret)
{
	const struct npt_tls_alpn *offered = &handshake->client.messages.hello.alpn;
	const struct npt_tls_alpn *chosen = &handshake->server.messages.hello.alpn;
	bool ready = npt_tls_judge_ready(handshake);
	enum npt_bpf_protocol protocol = npt_tls_alpn_protocol(offered);
	uint32_t confidence = NPT_TLS_INNER_OFFERED;

	if (!ready && !handshake->server.gone)
		return false;
	if (ready && npt_tls_alpn_protocol(chosen) != NPT_PROTOCOL_UNKNOWN) {
		protocol = npt_tls_alpn_protocol(chosen);
		confidence = NPT_TLS_INNER_AGREED;
	} else if (!choice_hidden(handshake) && !chosen->count) {
		/* Nothing was agreed on: no HTTP/2, which needs it. */
		if (protocol == NPT_PROTOCOL_HTTP)
			protocol = NPT_PROTOCOL_HTTP1;
		else if (protocol == NPT_PROTOCOL_HTTP2)
			protocol = NPT_PROTOCOL_UNKNOWN;
	}
	if (protocol == NPT_PROTOCOL_UNKNOWN)
		return false;
	*protocol_ret = protocol;
	*confidence_ret = confidence;
	return true;
}

/* Whole names only, and "..." where some are missing. */
static void write_names(const char *lead, const struct npt_tls_alpn *alpn,
			char text_ret[NPT_ALPN_BYTES])
{
	size_t used = strlen(lead), room = NPT_ALPN_BYTES - 1 - used, length = strlen(alpn->text);
	bool all = length <= room && !alpn->more;
	const char *rest = "";

	if (length == 0)
		return;
	if (!all) {
		room -= strlen(",...");
		if (length > room)
			length = room;
		while (length > 0 && alpn->text[length] != ',' && alpn->text[length] != '\0')
			length--;
		rest = length ? ",..." : "...";
	}
	memcpy(text_ret, lead, used);
	memcpy(text_ret + used, alpn->text, length);
	memcpy(text_ret + used + length, rest, strlen(rest) + 1);
}

void npt_tls_handshake_alpn(const struct npt_tls_handshake *handshake,
			    char text_ret[NPT_ALPN_BYTES])
{
	text_ret[0] = '\0';
	if (choice_hidden(handshake))
		write_names("offered: ", &handshake->client.messages.hello.alpn, text_ret);
	else
		write_names("", &handshake->server.messages.hello.alpn, text_ret);
}
