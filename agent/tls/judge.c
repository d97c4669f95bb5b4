/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3, where only lengths are left (RFC 8446 4.4, 5.2). A record has its content, one byte of
 * type, and a tag. With the suite's hash and tag known, these are certain unless records are
 * padded: Finished                   4 + hash + 1 + tag      53 or 69 bytes Alert 2 + 1 + tag 19;
 * no handshake message is that short an empty Certificate       4 + 4 + 1 + tag         25, and
 * with Finished in one record 61 or 77 The client's first encrypted record is its Finished, or it
 * was asked for a certificate: its Certificate and CertificateVerify then come first, in records of
 * their own (OpenSSL, GnuTLS, Go) or in one with Finished (BoringSSL). What the server thinks of a
 * certificate comes after that, so that one is waited for: an alert as its next record is a
 * refusal. Since a certificate fills CERTIFICATE_BYTES at least, what is longer than Finished and
 * shorter than that is padded, and so may be what is a multiple of 16. A server that knows the
 * client by a pre-shared key may not ask (RFC 8446 4.3.2).
 *
 * With early data (0-RTT) records of any length precede the client's Finished: it is then the first
 * one of its length that comes after the ServerHello.
 */
#include "agent/tls/judge.h"

#include "agent/tls/names.h"
#include "lib/core/cleanup.h"

#define TLS13 0x0304
#define CERTIFICATE_BYTES                                                                          \
	200 /* a record with a certificate: none is smaller, compressed or not                     \
	     */
#define PADDING_BLOCK  16
#define FLIGHT_RECORDS 6 /* of a client: its certificate's pieces, its proof, Finished */

/* Lengths of records that a suite of TLS 1.3 makes; finished 0: unknown suite. */
struct lengths {
	uint16_t tag, finished, alert, empty, empty_finished;
};

static const struct {
	uint16_t cipher;
	uint8_t hash_bytes;
	uint8_t tag_bytes;
} suites[] = {
	{ 0x1301, 32, 16 }, { 0x1302, 48, 16 }, { 0x1303, 32, 16 },
	{ 0x1304, 32, 16 }, { 0x1305, 32, 8 },  { 0x00c6, 32, 16 },
	{ 0x00c7, 32, 16 }, { 0xc0b4, 32, 32 }, { 0xc0b5, 48, 48 },
};

static struct lengths lengths_of(uint16_t cipher)
{
	struct lengths lengths = { 0 };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(suites); i++) {
		uint16_t more = (uint16_t)(1 + suites[i].tag_bytes), hash = suites[i].hash_bytes;

		if (suites[i].cipher != cipher)
			continue;
		lengths.tag = suites[i].tag_bytes;
		lengths.finished = (uint16_t)(4 + hash + more);
		lengths.alert = (uint16_t)(2 + more);
		lengths.empty = (uint16_t)(8 + more);
		lengths.empty_finished = (uint16_t)(8 + 4 + hash + more);
	}
	return lengths;
}

bool npt_tls_judge_ready(const struct npt_tls_handshake *handshake)
{
	const struct npt_tls_hello *hello = &handshake->server.messages.hello;

	return hello->complete && (!hello->retry || handshake->server.blind);
}

void npt_tls_judge_alert(struct npt_tls_handshake *handshake, uint16_t code, bool sent)
{
	if (handshake->alerts_count == NPT_TLS_ALERTS_MAX)
		return;
	handshake->alerts[handshake->alerts_count].code = code;
	handshake->alerts[handshake->alerts_count++].sent = sent;
}

static void complete(struct npt_tls_handshake *handshake, uint64_t end_ns)
{
	const struct npt_tls_side *client = &handshake->client;
	uint64_t begin_ns = client->messages.hellos > 0 ? client->hello_ns : 0;

	handshake->outcome = NPT_HANDSHAKE_COMPLETED;
	handshake->timed = begin_ns > 0 && end_ns >= begin_ns;
	if (handshake->timed)
		handshake->micros = (end_ns - begin_ns) / 1000;
}

static void asked(struct npt_tls_handshake *handshake, enum npt_tls_answer answer,
		  enum npt_quality quality)
{
	handshake->certificate_asked = answer;
	handshake->certificate_quality = quality;
}

static void fail_encrypted(struct npt_tls_handshake *handshake, bool by_client)
{
	npt_tls_judge_alert(handshake, NPT_TLS_ALERT_ENCRYPTED,
			    by_client == handshake->client_here);
	handshake->outcome = NPT_HANDSHAKE_FAILED;
}

/* A server that resumes goes from its hello to ChangeCipherSpec, without being done in between. */
static void judge_12(struct npt_tls_handshake *handshake)
{
	const struct npt_tls_side *client = &handshake->client, *server = &handshake->server;
	bool full = npt_tls_messages_has(&server->messages, NPT_TLS_SERVER_HELLO_DONE);
	bool certificate = npt_tls_messages_has(&server->messages, NPT_TLS_CERTIFICATE_REQUEST);

	if (!server->finished_ns || !(client->finished_ns || (client->gone && full)))
		return;
	handshake->resumed = !full && !server->messages.lost;
	if (certificate || full || handshake->resumed)
		asked(handshake, certificate ? NPT_TLS_ANSWER_YES : NPT_TLS_ANSWER_NO,
		      NPT_QUALITY_EXACT);
	complete(handshake, client->finished_ns > server->finished_ns ? client->finished_ns
								      : server->finished_ns);
}

/* NULL if none has its length; length 0: not known. */
static const struct npt_tls_sealed *find_finished(const struct npt_tls_side *side, uint16_t length)
{
	for (size_t i = 0; i < side->sealed_count && i < FLIGHT_RECORDS && length; i++) {
		if (side->sealed[i].record_bytes == length)
			return &side->sealed[i];
	}
	return NULL;
}

static const struct npt_tls_sealed *first_after(const struct npt_tls_side *side, uint64_t time_ns)
{
	for (size_t i = 0; i < side->sealed_count; i++) {
		if (side->sealed[i].time_ns > time_ns)
			return &side->sealed[i];
	}
	return NULL;
}

static void judge_certificate(struct npt_tls_handshake *handshake, const struct lengths *lengths,
			      bool finished_apart)
{
	uint16_t first = handshake->client.sealed[0].record_bytes;
	bool empty = first == lengths->empty || first == lengths->empty_finished;
	bool padded = (first - lengths->tag) % PADDING_BLOCK == 0 && !finished_apart;

	if (handshake->server.messages.hello.psk)
		asked(handshake, NPT_TLS_ANSWER_NO, NPT_QUALITY_EXACT);
	else if (first == lengths->finished)
		asked(handshake, NPT_TLS_ANSWER_NO, NPT_QUALITY_ESTIMATED);
	else if (lengths->finished && (empty || (first >= CERTIFICATE_BYTES && !padded)))
		asked(handshake, NPT_TLS_ANSWER_YES, NPT_QUALITY_ESTIMATED);
}

/* The answer to early data that was offered: what the client's Finished looks like is all we have.
 */
static void judge_early(struct npt_tls_handshake *handshake, const struct lengths *lengths)
{
	const struct npt_tls_sealed *finished = NULL;

	for (size_t i = 0; i < handshake->client.sealed_count && lengths->finished; i++) {
		const struct npt_tls_sealed *record = &handshake->client.sealed[i];

		if (!finished && record->record_bytes == lengths->finished &&
		    record->time_ns >= handshake->server.answer_ns)
			finished = record;
	}
	if (!finished)
		return;
	if (handshake->server.messages.hello.psk)
		asked(handshake, NPT_TLS_ANSWER_NO, NPT_QUALITY_EXACT);
	complete(handshake, finished->time_ns);
}

static bool ends_in_alert(const struct npt_tls_side *side, uint16_t length)
{
	return side->sealed_count > 0 &&
	       side->sealed[side->sealed_count - 1].record_bytes == length;
}

static void judge_13(struct npt_tls_handshake *handshake, bool final)
{
	const struct npt_tls_side *client = &handshake->client, *server = &handshake->server;
	struct lengths lengths = lengths_of(server->messages.hello.cipher);
	const struct npt_tls_sealed *finished, *verdict, *first = &client->sealed[0];
	bool alone;

	handshake->resumed = server->messages.hello.psk;
	if (client->messages.hello.early_data) {
		judge_early(handshake, &lengths);
		return;
	}
	if (client->sealed_count == 0) {
		if (final && lengths.finished && !client->gone &&
		    ends_in_alert(server, lengths.alert))
			fail_encrypted(handshake, false);
		return;
	}
	if (lengths.finished && first->record_bytes == lengths.alert) {
		fail_encrypted(handshake, true);
		return;
	}
	alone = lengths.finished && first->record_bytes == lengths.finished;
	finished = first;
	if (first->record_bytes != lengths.empty_finished)
		finished = find_finished(client, lengths.finished);
	verdict = first_after(server, first->time_ns);
	if (!alone && !verdict && !final)
		return;
	if (!alone && lengths.finished && verdict && verdict->record_bytes == lengths.alert) {
		fail_encrypted(handshake, false);
		return;
	}
	judge_certificate(handshake, &lengths, finished != NULL);
	complete(handshake, finished ? finished->time_ns : first->time_ns);
}

void npt_tls_judge(struct npt_tls_handshake *handshake, bool final)
{
	if (handshake->outcome != NPT_HANDSHAKE_RUNNING || !npt_tls_judge_ready(handshake))
		return;
	if (npt_tls_handshake_version(handshake) < TLS13)
		judge_12(handshake);
	else
		judge_13(handshake, final);
}
