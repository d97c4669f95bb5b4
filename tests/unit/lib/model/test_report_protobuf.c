/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/report_protobuf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

static struct npt_report *decode(const void *data, size_t size)
{
	struct npt_report *report = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (!NPT_CHECK_INT(npt_report_from_protobuf(data, size, &report, &err), 0))
		printf("%s\n", err.text);
	return report;
}

/* Both are zeroed before they are filled, so equal values are equal bytes, but for padding. */
static bool same_head(const struct npt_report *a, const struct npt_report *b)
{
	struct npt_report left = *a, right = *b;

	left.edges = right.edges = NULL;
	left.tls = right.tls = NULL;
	return memcmp(&left, &right, sizeof(left)) == 0 &&
	       (a->tls_count == 0 || memcmp(a->tls, b->tls, a->tls_count * sizeof(*a->tls)) == 0);
}

static void says_again_what_was_said(void)
{
	uint64_t seed = npt_test_seed();

	for (size_t round = 0; round < 50; round++) {
		size_t edges = round < 40 ? round % 7 : 300;
		npt_auto(npt_report_free) struct npt_report *report =
			npt_test_random_report(&seed, edges);
		npt_auto(npt_report_free) struct npt_report *again = NULL;
		npt_auto_free void *data = NULL;
		size_t size = 0;

		npt_report_to_protobuf(report, &data, &size);
		again = decode(data, size);
		if (!again)
			return;
		NPT_CHECK(same_head(report, again));
		NPT_CHECK_INT(again->edges_count, edges);
		for (size_t i = 0; i < edges && i < again->edges_count; i++)
			NPT_CHECK(memcmp(&report->edges[i], &again->edges[i],
					 sizeof(report->edges[i])) == 0);
		/* The decoded array grows as one that was made by npt_report_add_edge(). */
		for (size_t i = 0; i < 5; i++)
			NPT_CHECK(npt_report_add_edge(again) != NULL);
	}
}

static void keeps_identity_label_and_counters_of_an_edge_apart(void)
{
	uint64_t seed = npt_test_seed();
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	npt_auto_free struct npt_edge *again = npt_alloc(1, sizeof(*again));
	npt_auto(npt_buffer_done) struct npt_buffer both = NPT_BUFFER(1000000);

	npt_test_random_edge(&seed, 7, edge);
	npt_edge_identity_to_protobuf(edge, &both);
	NPT_CHECK_INT(npt_edge_from_protobuf(both.data, both.size_bytes, again, NULL), 0);
	NPT_CHECK_STR(again->peer.name, edge->peer.name);
	NPT_CHECK_INT(again->sent.bytes, 0);
	NPT_CHECK_STR(again->protocol, "unknown");
	NPT_CHECK_INT(again->label, edge->label);
	npt_edge_label_to_protobuf(edge, &both);
	NPT_CHECK_INT(npt_edge_from_protobuf(both.data, both.size_bytes, again, NULL), 0);
	NPT_CHECK_STR(again->protocol, edge->protocol);
	NPT_CHECK_STR(again->tls_facts.sni, edge->tls_facts.sni);
	NPT_CHECK_INT(again->handshakes.count, 0);
	npt_edge_counters_to_protobuf(edge, &both);
	NPT_CHECK_INT(npt_edge_from_protobuf(both.data, both.size_bytes, again, NULL), 0);
	NPT_CHECK(memcmp(edge, again, sizeof(*edge)) == 0);
}

static void has_the_same_identity_whatever_it_turns_out_to_speak(void)
{
	uint64_t seed = npt_test_seed();
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	npt_auto(npt_buffer_done) struct npt_buffer before = NPT_BUFFER(100000);
	npt_auto(npt_buffer_done) struct npt_buffer after = NPT_BUFFER(100000);

	npt_test_random_edge(&seed, 7, edge);
	npt_edge_identity_to_protobuf(edge, &before);
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "redis");
	edge->protocol_confidence_permille = 987;
	edge->tls = edge->tls == NPT_TLS_YES ? NPT_TLS_NO : NPT_TLS_YES;
	(void)snprintf(edge->tls_facts.sni, sizeof(edge->tls_facts.sni), "another.example");
	edge->handshakes.count++;
	npt_edge_identity_to_protobuf(edge, &after);
	NPT_CHECK(before.size_bytes == after.size_bytes &&
		  memcmp(before.data, after.data, after.size_bytes) == 0);
	edge->label++;
	npt_buffer_clear(&after);
	npt_edge_identity_to_protobuf(edge, &after);
	NPT_CHECK(before.size_bytes != after.size_bytes ||
		  memcmp(before.data, after.data, after.size_bytes) != 0);
}

static void takes_the_later_of_two_labels(void)
{
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);

	(void)snprintf(edge->protocol, sizeof(edge->protocol), "http2");
	(void)snprintf(edge->tls_facts.sni, sizeof(edge->tls_facts.sni), "a.example");
	edge->tls = NPT_TLS_YES;
	npt_edge_label_to_protobuf(edge, &out);
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "grpc");
	(void)snprintf(edge->tls_facts.sni, sizeof(edge->tls_facts.sni), "b.example");
	npt_edge_label_to_protobuf(edge, &out);
	memset(edge, 0, sizeof(*edge));
	NPT_CHECK_INT(npt_edge_from_protobuf(out.data, out.size_bytes, edge, NULL), 0);
	NPT_CHECK_STR(edge->protocol, "grpc");
	NPT_CHECK_STR(edge->tls_facts.sni, "b.example");
	NPT_CHECK_INT(edge->tls, NPT_TLS_YES);
}

static void says_nothing_of_a_label_that_is_not_known(void)
{
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);

	(void)snprintf(edge->protocol, sizeof(edge->protocol), "unknown");
	npt_edge_label_to_protobuf(edge, &out);
	NPT_CHECK_INT(out.size_bytes, 0);
}

static void is_compact(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	struct npt_edge *edge = npt_report_add_edge(report);
	npt_auto_free void *data = NULL;
	size_t size = 0;

	(void)snprintf(edge->process.name, sizeof(edge->process.name), "nginx");
	(void)snprintf(edge->peer.address, sizeof(edge->peer.address), "10.0.0.1");
	edge->sent.bytes = 123456;
	for (size_t i = 0; i < 100; i++)
		npt_histogram_add(&edge->metrics[NPT_METRIC_WRITE].micros, 100 + i);
	npt_report_to_protobuf(report, &data, &size);
	NPT_CHECK(size < 100);
}

static void saturates_numbers_that_json_could_not_carry(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *again = NULL;
	npt_auto_free void *data = NULL;
	size_t size = 0;

	npt_report_add_edge(report)->sent.bytes = UINT64_MAX;
	npt_report_to_protobuf(report, &data, &size);
	again = decode(data, size);
	NPT_CHECK(again && again->edges[0].sent.bytes == NPT_NUMBER_MAX);
}

/* reset_received, each with a name of one letter */
/* alert_sent, with a name of one letter */
#define AN_ALERT    "\xd2\x03\x03\x0a\x01x"
#define FOUR_ALERTS AN_ALERT AN_ALERT AN_ALERT AN_ALERT
#define A_RESET     "\xb2\x02\x03\x0a\x01x"
#define FIVE_RESETS A_RESET A_RESET A_RESET A_RESET A_RESET
#define SIX_RESETS  FIVE_RESETS A_RESET

/* Field numbers and wire types by hand: what no writer of ours would say. */
static void refuses_what_no_agent_says(void)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t size;
	} cases[] = {
#define CASE(what, bytes) { what, bytes, sizeof(bytes) - 1 }
		CASE("cut varint", "\x08\xff"),
		CASE("length beyond the end", "\x22\x7f"
					      "abc"),
		CASE("wire type 7", "\x0f"),
		CASE("sequence 2^53", "\x28\x80\x80\x80\x80\x80\x80\x80\x10"),
		CASE("unknown kind", "\x08\x02"),
		CASE("edge with role 3", "\x7a\x02\x38\x03"),
		CASE("edge with peer kind 5", "\x7a\x02\x40\x05"),
		CASE("edge with port 65536", "\x7a\x04\x68\x80\x80\x04"),
		CASE("edge with tls 3", "\x7a\x03\x90\x01\x03"),
		CASE("metric with quality 4", "\x7a\x05\xea\x01\x02\x10\x04"),
		CASE("the same metric twice", "\x7a\x0a\xea\x01\x02\x08\x01\xea\x01\x02\x08\x01"),
		CASE("bucket without count", "\x7a\x06\xea\x01\x03\x3a\x01\x05"),
		CASE("bucket 125", "\x7a\x09\xea\x01\x06\x3a\x01\x7d\x42\x01\x01"),
		CASE("empty bucket", "\x7a\x09\xea\x01\x06\x3a\x01\x05\x42\x01\x00"),
		CASE("buckets not ascending",
		     "\x7a\x0b\xea\x01\x08\x3a\x02\x05\x05\x42\x02\x01\x01"),
		CASE("failed without a name", "\x7a\x05\xc2\x01\x02\x10\x01"),
		CASE("overlapped 2^53", "\x7a\x0c\xea\x01\x09\x48\x80\x80\x80\x80\x80\x80\x80\x10"),
		CASE("tail loss 2^53", "\x7a\x0a\xa0\x02\x80\x80\x80\x80\x80\x80\x80\x10"),
		CASE("unread bytes 2^53", "\x7a\x0a\xd8\x02\x80\x80\x80\x80\x80\x80\x80\x10"),
		CASE("reset without a name", "\x7a\x05\xaa\x02\x02\x10\x01"),
		CASE("six names of resets", "\x7a\x24" SIX_RESETS),
		CASE("confidence 1001", "\x7a\x04\x88\x03\xe9\x07"),
		CASE("tls version of 8 bytes", "\x7a\x0b\x92\x03\x08"
					       "12345678"),
		CASE("sni with a NUL", "\x7a\x06\x9a\x03\x03"
				       "a\0b"),
		CASE("handshakes 2^53", "\x7a\x0a\xb0\x03\x80\x80\x80\x80\x80\x80\x80\x10"),
		CASE("moved 2^53", "\x7a\x0a\x88\x04\x80\x80\x80\x80\x80\x80\x80\x10"),
		CASE("alert without a name", "\x7a\x05\xd2\x03\x02\x10\x01"),
		CASE("five names of alerts", "\x7a\x1e" FOUR_ALERTS AN_ALERT),
		CASE("handshake in bucket 125", "\x7a\x09\xe2\x03\x06\x3a\x01\x7d\x42\x01\x01"),
		CASE("coverage 3", "\xc2\x01\x02\x38\x03"),
		CASE("library of 40 bytes", "\xc2\x01\x2a\x22\x28"
					    "0123456789012345678901234567890123456789"),
		CASE("version with a NUL", "\xc2\x01\x05\x2a\x03"
					   "a\0b"),
		CASE("tls other 2^53", "\xc8\x01\x80\x80\x80\x80\x80\x80\x80\x10"),
		CASE("comm of 16 bytes", "\x7a\x12\x22\x10"
					 "0123456789abcdef"),
		CASE("comm with a NUL", "\x7a\x05\x22\x03"
					"a\0b"),
		CASE("unavailable without a name", "\x8a\x01\x00"),
		CASE("degraded without a text", "\xaa\x01\x00"),
#undef CASE
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_report *report = NULL;
		struct npt_error err = NPT_ERROR_NONE;
		int r = npt_report_from_protobuf(cases[i].bytes, cases[i].size, &report, &err);

		if (!NPT_CHECK(r == -EBADMSG || r == -EMSGSIZE))
			printf("%s: %d\n", cases[i].what, r);
		NPT_CHECK(report == NULL);
		NPT_CHECK(strstr(err.text, "protobuf: ") == err.text);
	}
}

static void accepts_the_nearest_neighbours_of_what_it_refuses(void)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
#define CASE(bytes) { bytes, sizeof(bytes) - 1 }
		CASE(""),
		CASE("\x28\xff\xff\xff\xff\xff\xff\xff\x0f"), /* sequence 2^53-1 */
		CASE("\x08\x01"),
		CASE("\x7a\x0a\xd8\x02\xff\xff\xff\xff\xff\xff\xff\x0f"), /* unread bytes 2^53-1 */
		CASE("\x7a\x1e" FIVE_RESETS),
		CASE("\x7a\x02\x38\x02"),
		CASE("\x7a\x02\x40\x04"),
		CASE("\x7a\x04\x68\xff\xff\x03"),
		CASE("\x7a\x05\xea\x01\x02\x10\x03"),
		CASE("\x7a\x05\xea\x01\x02\x08\x20"), /* a metric of a later version */
		CASE("\x7a\x09\xea\x01\x06\x3a\x01\x7c\x42\x01\x01"),
		CASE("\x7a\x11\x22\x0f"
		     "0123456789abcde"),
		CASE("\x7a\x04\x88\x03\xe8\x07"),
		CASE("\x7a\x0a\x92\x03\x07"
		     "1234567"),
		CASE("\x7a\x0a\xb0\x03\xff\xff\xff\xff\xff\xff\xff\x0f"),
		CASE("\x7a\x18" FOUR_ALERTS),
		CASE("\x7a\x09\xe2\x03\x06\x3a\x01\x7c\x42\x01\x01"),
		CASE("\xc2\x01\x02\x38\x02"),
		CASE("\xc2\x01\x29\x22\x27"
		     "012345678901234567890123456789012345678"),
		CASE("\xf8\x07\x01"), /* an unknown field */
#undef CASE
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_report_free) struct npt_report *report =
			decode(cases[i].bytes, cases[i].size);

		if (!NPT_CHECK(report != NULL))
			printf("case %zu\n", i);
	}
}

static void refuses_more_than_a_report_can_hold(void)
{
	size_t size = 2 * (NPT_REPORT_EDGES_MAX + 1);
	npt_auto_free char *edges = npt_alloc(size, 1);
	struct npt_report *report = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	for (size_t i = 0; i < size; i += 2)
		edges[i] = '\x7a'; /* an edge of no bytes */
	NPT_CHECK_INT(npt_report_from_protobuf(edges, size, &report, &err), -EMSGSIZE);
	NPT_CHECK_INT(npt_report_from_protobuf(edges, size - 2, &report, &err), 0);
	NPT_CHECK_INT(report->edges_count, NPT_REPORT_EDGES_MAX);
	npt_report_free(report);
}

static void refuses_more_lines_of_tls_than_a_report_can_hold(void)
{
	size_t size = 3 * (NPT_REPORT_TLS_MAX + 1);
	npt_auto_free char *lines = npt_alloc(size, 1);
	struct npt_report *report = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	for (size_t i = 0; i < size; i += 3)
		memcpy(lines + i, "\xc2\x01", 3); /* a line of no bytes */
	NPT_CHECK_INT(npt_report_from_protobuf(lines, size, &report, &err), -EMSGSIZE);
	NPT_CHECK_INT(npt_report_from_protobuf(lines, size - 3, &report, &err), 0);
	NPT_CHECK_INT(report->tls_count, NPT_REPORT_TLS_MAX);
	npt_report_free(report);
}

/* Two bytes of message that would become hundreds in memory, four million times. */
static void does_not_let_a_message_swell(void)
{
	size_t size = NPT_REPORT_PROTOBUF_BYTES_MAX;
	npt_auto_free char *edges = npt_alloc(size + 1, 1);
	struct npt_report *report = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	for (size_t i = 0; i < size; i += 2)
		edges[i] = '\x7a';
	NPT_CHECK_INT(npt_report_from_protobuf(edges, size, &report, &err), -EMSGSIZE);
	NPT_CHECK(strstr(err.text, "unpack to too much") != NULL);
	NPT_CHECK_INT(npt_report_from_protobuf(edges, size + 1, &report, &err), -EMSGSIZE);
	NPT_CHECK(strstr(err.text, "are too many") != NULL);
}

static const struct npt_test tests[] = {
	NPT_TEST(says_again_what_was_said),
	NPT_TEST(keeps_identity_label_and_counters_of_an_edge_apart),
	NPT_TEST(has_the_same_identity_whatever_it_turns_out_to_speak),
	NPT_TEST(takes_the_later_of_two_labels),
	NPT_TEST(says_nothing_of_a_label_that_is_not_known),
	NPT_TEST(is_compact),
	NPT_TEST(saturates_numbers_that_json_could_not_carry),
	NPT_TEST(refuses_what_no_agent_says),
	NPT_TEST(accepts_the_nearest_neighbours_of_what_it_refuses),
	NPT_TEST(refuses_more_than_a_report_can_hold),
	NPT_TEST(refuses_more_lines_of_tls_than_a_report_can_hold),
	NPT_TEST(does_not_let_a_message_swell),
};
NPT_TEST_MAIN(tests)
