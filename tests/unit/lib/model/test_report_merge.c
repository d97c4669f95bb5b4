/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/report_merge.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

static struct npt_edge *edge_of(struct npt_report *report, uint32_t pid, uint64_t bytes)
{
	struct npt_edge *edge = npt_report_add_edge(report);

	edge->process.pid = pid;
	edge->sent.bytes = bytes;
	return edge;
}

static uint64_t count_of(const struct npt_named_count *counts, size_t max, const char *name)
{
	for (size_t i = 0; i < max && counts[i].name[0]; i++) {
		if (strcmp(counts[i].name, name) == 0)
			return counts[i].count;
	}
	return 0;
}

/* Counters small enough to be added without a carry. */
static void fill(struct npt_edge *edge, uint64_t base)
{
	edge->connections.open = base;
	edge->connections.opened = base + 1;
	edge->connections.found = base + 2;
	edge->connections.closed = base + 3;
	edge->sent.bytes = base + 4;
	edge->sent.segments = base + 5;
	edge->received.bytes = base + 6;
	edge->received.segments = base + 7;
	edge->retransmit.segments = base + 8;
	edge->retransmit.bytes = base + 9;
	edge->retransmit.syn = base + 10;
	edge->retransmit.spurious = base + 11;
	edge->drops_unspecified = base + 12;
	edge->retransmit.tail_loss = base + 13;
	edge->limited.application_micros = base + 14;
	edge->limited.receive_window_micros = base + 15;
	edge->limited.send_buffer_micros = base + 16;
	edge->limited.network_micros = base + 17;
	edge->queue.unread_bytes = base + 18;
	edge->queue.unsent_bytes = base + 19;
	edge->queue.accept_backlog = base + 20;
	edge->queue.accept_backlog_max = base + 21;
	edge->queue.syn_backlog = base + 22;
	edge->queue.listen_drops = base + 23;
	edge->connections.moved_in = base + 24;
	edge->connections.moved_out = base + 25;
	edge->handshakes.count = base + 26;
	edge->handshakes.resumed = base + 27;
	edge->handshakes.client_certificates = base + 28;
	edge->handshakes.failed = base + 29;
	edge->tls_calls.writes = base + 30;
	edge->tls_calls.written_bytes = base + 31;
	edge->tls_calls.reads = base + 32;
	edge->tls_calls.read_bytes = base + 33;
	npt_histogram_add(&edge->handshakes.micros, base + 34);
	edge->connections.kernel_tls = base + 35;
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++) {
		edge->metrics[i].count = base + i;
		edge->metrics[i].bytes = base + 2 * i;
		edge->metrics[i].overlapped = base + 3 * i;
		npt_histogram_add(&edge->metrics[i].micros, base + i);
	}
}

static void counters_and_times_add_up(void)
{
	struct npt_edge into = { 0 }, later = { 0 };

	fill(&into, 100);
	fill(&later, 1000);
	npt_edge_merge(&into, &later);
	NPT_CHECK_INT(into.connections.opened, 1102);
	NPT_CHECK_INT(into.connections.found, 1104);
	NPT_CHECK_INT(into.connections.closed, 1106);
	NPT_CHECK_INT(into.sent.bytes, 1108);
	NPT_CHECK_INT(into.sent.segments, 1110);
	NPT_CHECK_INT(into.received.bytes, 1112);
	NPT_CHECK_INT(into.received.segments, 1114);
	NPT_CHECK_INT(into.retransmit.segments, 1116);
	NPT_CHECK_INT(into.retransmit.bytes, 1118);
	NPT_CHECK_INT(into.retransmit.syn, 1120);
	NPT_CHECK_INT(into.retransmit.spurious, 1122);
	NPT_CHECK_INT(into.drops_unspecified, 1124);
	NPT_CHECK_INT(into.retransmit.tail_loss, 1126);
	NPT_CHECK_INT(into.limited.application_micros, 1128);
	NPT_CHECK_INT(into.limited.receive_window_micros, 1130);
	NPT_CHECK_INT(into.limited.send_buffer_micros, 1132);
	NPT_CHECK_INT(into.limited.network_micros, 1134);
	NPT_CHECK_INT(into.queue.listen_drops, 1146);
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++) {
		NPT_CHECK_INT(into.metrics[i].count, 1100 + 2 * i);
		NPT_CHECK_INT(into.metrics[i].bytes, 1100 + 4 * i);
		NPT_CHECK_INT(into.metrics[i].overlapped, 1100 + 6 * i);
		NPT_CHECK_INT(into.metrics[i].micros.count, 2);
		NPT_CHECK_INT(into.metrics[i].micros.sum_micros, 1100 + 2 * i);
		NPT_CHECK_INT(into.metrics[i].micros.max_micros, 1000 + i);
	}
}

static void handshakes_and_calls_add_up(void)
{
	struct npt_edge into = { 0 }, later = { 0 };

	fill(&into, 100);
	fill(&later, 1000);
	npt_named_count_add(into.handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX, "unknown_ca", 1);
	npt_named_count_add(later.handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX, "close_notify", 2);
	npt_named_count_add(later.handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX, "unknown_ca", 3);
	npt_named_count_add(later.handshakes.alerts_received, NPT_EDGE_ALERTS_MAX, "unknown_ca", 5);
	npt_edge_merge(&into, &later);
	NPT_CHECK_INT(into.connections.moved_in, 1148);
	NPT_CHECK_INT(into.connections.moved_out, 1150);
	NPT_CHECK_INT(into.connections.kernel_tls, 1170);
	NPT_CHECK_INT(into.handshakes.count, 1152);
	NPT_CHECK_INT(into.handshakes.resumed, 1154);
	NPT_CHECK_INT(into.handshakes.client_certificates, 1156);
	NPT_CHECK_INT(into.handshakes.failed, 1158);
	NPT_CHECK_INT(into.tls_calls.writes, 1160);
	NPT_CHECK_INT(into.tls_calls.written_bytes, 1162);
	NPT_CHECK_INT(into.tls_calls.reads, 1164);
	NPT_CHECK_INT(into.tls_calls.read_bytes, 1166);
	NPT_CHECK_INT(into.handshakes.micros.count, 2);
	NPT_CHECK_INT(into.handshakes.micros.max_micros, 1034);
	NPT_CHECK_INT(count_of(into.handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX, "unknown_ca"), 4);
	NPT_CHECK_INT(count_of(into.handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX, "close_notify"),
		      2);
	NPT_CHECK_INT(count_of(into.handshakes.alerts_received, NPT_EDGE_ALERTS_MAX, "unknown_ca"),
		      5);
}

static void set_label(struct npt_edge *edge, const char *protocol, enum npt_tls tls,
		      const char *version, const char *sni)
{
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "%s", protocol);
	edge->protocol_confidence_permille = npt_protocol_is_known(protocol) ? 900 : 0;
	edge->tls = tls;
	(void)snprintf(edge->tls_facts.version, sizeof(edge->tls_facts.version), "%s", version);
	(void)snprintf(edge->tls_facts.sni, sizeof(edge->tls_facts.sni), "%s", sni);
}

static void what_is_known_of_an_edge_is_kept_until_something_else_is(void)
{
	static const struct {
		const char *protocol;
		enum npt_tls tls;
		const char *version;
		const char *sni;
	} cases[][3] = {
		/* first, later, sum */
		{ { "unknown", NPT_TLS_UNKNOWN, "", "" },
		  { "http1", NPT_TLS_YES, "1.3", "a" },
		  { "http1", NPT_TLS_YES, "1.3", "a" } },
		{ { "http1", NPT_TLS_YES, "1.3", "a" },
		  { "unknown", NPT_TLS_UNKNOWN, "", "" },
		  { "http1", NPT_TLS_YES, "1.3", "a" } },
		{ { "http1", NPT_TLS_YES, "1.3", "a" },
		  { "", NPT_TLS_UNKNOWN, "", "" },
		  { "http1", NPT_TLS_YES, "1.3", "a" } },
		{ { "http2", NPT_TLS_NO, "1.2", "a" },
		  { "grpc", NPT_TLS_YES, "1.3", "" },
		  { "grpc", NPT_TLS_YES, "1.3", "a" } },
		{ { "", NPT_TLS_UNKNOWN, "", "" },
		  { "unknown", NPT_TLS_NO, "", "" },
		  { "unknown", NPT_TLS_NO, "", "" } },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_edge edges[3] = { 0 };

		for (size_t k = 0; k < 3; k++)
			set_label(&edges[k], cases[i][k].protocol, cases[i][k].tls,
				  cases[i][k].version, cases[i][k].sni);
		npt_edge_merge(&edges[0], &edges[1]);
		NPT_CHECK_STR(edges[0].protocol, edges[2].protocol);
		NPT_CHECK_INT(edges[0].protocol_confidence_permille,
			      edges[2].protocol_confidence_permille);
		NPT_CHECK_INT(edges[0].tls, edges[2].tls);
		NPT_CHECK_STR(edges[0].tls_facts.version, edges[2].tls_facts.version);
		NPT_CHECK_STR(edges[0].tls_facts.sni, edges[2].tls_facts.sni);
	}
}

static void an_edge_whose_protocol_becomes_known_late_stays_one(void)
{
	npt_auto(npt_report_free) struct npt_report *into = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *later = npt_report_new();

	set_label(edge_of(into, 1, 10), "unknown", NPT_TLS_UNKNOWN, "", "");
	set_label(edge_of(later, 1, 5), "http1", NPT_TLS_YES, "1.3", "a");
	edge_of(later, 1, 7)->label = 1;
	npt_report_merge(into, later);
	NPT_CHECK_INT(into->edges_count, 2);
	NPT_CHECK_INT(into->edges[0].sent.bytes, 15);
	NPT_CHECK_STR(into->edges[0].protocol, "http1");
	NPT_CHECK_INT(into->edges[1].sent.bytes, 7);
}

static struct npt_tls_use *use_of(struct npt_report *report, uint32_t pid, uint64_t start_ns,
				  const char *library, enum npt_tls_coverage coverage)
{
	struct npt_tls_use *use = npt_report_add_tls(report);

	use->pid = pid;
	use->start_ns = start_ns;
	(void)snprintf(use->library, sizeof(use->library), "%s", library);
	use->coverage = coverage;
	return use;
}

static void a_line_of_tls_is_replaced_by_the_later_one_of_the_same_library(void)
{
	npt_auto(npt_report_free) struct npt_report *into = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *later = npt_report_new();

	use_of(into, 1, 10, "OpenSSL", NPT_COVERAGE_NONE)->unassigned_calls = 9;
	(void)use_of(into, 2, 10, "OpenSSL", NPT_COVERAGE_NONE);
	(void)use_of(later, 1, 10, "GnuTLS", NPT_COVERAGE_FULL);
	(void)use_of(later, 1, 11, "OpenSSL", NPT_COVERAGE_METADATA);
	use_of(later, 1, 10, "OpenSSL", NPT_COVERAGE_FULL)->unassigned_calls = 4;
	later->tls_other = 4;
	npt_report_merge(into, later);
	npt_report_merge(into, later);
	NPT_CHECK_INT(into->tls_count, 4);
	NPT_CHECK_INT(into->tls[0].coverage, NPT_COVERAGE_FULL);
	NPT_CHECK_INT(into->tls[0].unassigned_calls, 4); /* as of the end */
	NPT_CHECK_INT(into->tls[1].coverage, NPT_COVERAGE_NONE);
	NPT_CHECK_STR(into->tls[2].library, "GnuTLS");
	NPT_CHECK_INT(into->tls[3].start_ns, 11);
	NPT_CHECK_INT(into->tls_other, 4);
}

static void lines_of_tls_that_do_not_fit_are_counted(void)
{
	npt_auto(npt_report_free) struct npt_report *into = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *later = npt_report_new();

	for (uint32_t i = 0; i < NPT_REPORT_TLS_MAX; i++)
		(void)use_of(into, 1 + i, 0, "OpenSSL", NPT_COVERAGE_FULL);
	(void)use_of(later, 1000, 0, "OpenSSL", NPT_COVERAGE_FULL);
	(void)use_of(later, 7, 0, "OpenSSL", NPT_COVERAGE_NONE);
	npt_report_merge(into, later);
	npt_report_merge(into, later);
	NPT_CHECK_INT(into->tls_count, NPT_REPORT_TLS_MAX);
	NPT_CHECK_INT(into->tls_other, 1);
	NPT_CHECK_INT(into->tls[6].coverage, NPT_COVERAGE_NONE);
}

static void what_is_open_and_who_it_is_comes_from_the_later_one(void)
{
	struct npt_edge into = { .connections.open = 7, .tls = NPT_TLS_UNKNOWN };
	struct npt_edge later = { .connections.open = 2, .tls = NPT_TLS_YES };

	(void)snprintf(into.process.name, sizeof(into.process.name), "sh");
	(void)snprintf(later.process.name, sizeof(later.process.name), "nginx");
	(void)snprintf(later.peer.name, sizeof(later.peer.name), "db");
	(void)snprintf(into.protocol, sizeof(into.protocol), "unknown");
	(void)snprintf(later.protocol, sizeof(later.protocol), "http1");
	npt_edge_merge(&into, &later);
	NPT_CHECK_INT(into.connections.open, 2);
	NPT_CHECK_INT(into.tls, NPT_TLS_YES);
	NPT_CHECK_STR(into.process.name, "nginx");
	NPT_CHECK_STR(into.peer.name, "db");
	NPT_CHECK_STR(into.protocol, "http1");
}

static void a_queue_is_as_long_as_it_was_last(void)
{
	struct npt_edge into = { 0 }, later = { 0 };

	fill(&into, 1000);
	fill(&later, 100);
	npt_edge_merge(&into, &later);
	NPT_CHECK_INT(into.queue.unread_bytes, 118);
	NPT_CHECK_INT(into.queue.unsent_bytes, 119);
	NPT_CHECK_INT(into.queue.accept_backlog, 120);
	NPT_CHECK_INT(into.queue.accept_backlog_max, 121);
	NPT_CHECK_INT(into.queue.syn_backlog, 122);
}

/* It would be of a part, beside numbers of the whole. */
static void a_sum_has_no_finding_yet(void)
{
	npt_auto(npt_report_free) struct npt_report *into = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *later = npt_report_new();
	struct npt_edge *edges[] = { edge_of(into, 1, 10), edge_of(later, 1, 10),
				     edge_of(later, 2, 10) };

	edges[1] = &later->edges[0]; /* the array has grown since */
	for (size_t i = 0; i < NPT_ARRAY_SIZE(edges); i++) {
		edges[i]->finding.verdict = NPT_VERDICT_SERVER;
		edges[i]->finding.confidence_permille = 900;
		(void)snprintf(edges[i]->finding.text, sizeof(edges[i]->finding.text), "slow");
	}
	npt_report_merge(into, later);
	NPT_CHECK_INT(into->edges_count, 2);
	for (size_t i = 0; i < into->edges_count; i++) {
		NPT_CHECK_INT(into->edges[i].finding.verdict, NPT_VERDICT_UNKNOWN);
		NPT_CHECK_INT(into->edges[i].finding.confidence_permille, 0);
		NPT_CHECK_STR(into->edges[i].finding.text, "");
	}
}

static void resets_add_up_by_name(void)
{
	struct npt_edge into = { 0 }, later = { 0 };

	npt_named_count_add(into.resets_sent, NPT_EDGE_RESETS_MAX, "TCP_ABORT_ON_DATA", 1);
	npt_named_count_add(into.resets_received, NPT_EDGE_RESETS_MAX, "EPIPE", 2);
	npt_named_count_add(later.resets_sent, NPT_EDGE_RESETS_MAX, "TCP_TIMEOUT", 3);
	npt_named_count_add(later.resets_sent, NPT_EDGE_RESETS_MAX, "TCP_ABORT_ON_DATA", 4);
	npt_named_count_add(later.resets_received, NPT_EDGE_RESETS_MAX, "EPIPE", 5);
	npt_edge_merge(&into, &later);
	NPT_CHECK_INT(count_of(into.resets_sent, NPT_EDGE_RESETS_MAX, "TCP_ABORT_ON_DATA"), 5);
	NPT_CHECK_INT(count_of(into.resets_sent, NPT_EDGE_RESETS_MAX, "TCP_TIMEOUT"), 3);
	NPT_CHECK_INT(count_of(into.resets_received, NPT_EDGE_RESETS_MAX, "EPIPE"), 7);
}

static void reasons_add_up_by_name_and_overflow_into_other(void)
{
	struct npt_edge into = { 0 }, later = { 0 };

	npt_named_count_add(into.drops, NPT_EDGE_DROPS_MAX, "NO_SOCKET", 1);
	npt_named_count_add(into.connections.failed, NPT_EDGE_FAILED_MAX, "ETIMEDOUT", 1);
	npt_named_count_add(later.drops, NPT_EDGE_DROPS_MAX, "TCP_CSUM", 2);
	npt_named_count_add(later.drops, NPT_EDGE_DROPS_MAX, "NO_SOCKET", 3);
	npt_named_count_add(later.connections.failed, NPT_EDGE_FAILED_MAX, "ETIMEDOUT", 4);
	npt_edge_merge(&into, &later);
	NPT_CHECK_INT(count_of(into.drops, NPT_EDGE_DROPS_MAX, "NO_SOCKET"), 4);
	NPT_CHECK_INT(count_of(into.drops, NPT_EDGE_DROPS_MAX, "TCP_CSUM"), 2);
	NPT_CHECK_INT(count_of(into.connections.failed, NPT_EDGE_FAILED_MAX, "ETIMEDOUT"), 5);
	memset(&later, 0, sizeof(later));
	for (unsigned int i = 0; i < NPT_EDGE_DROPS_MAX; i++) {
		npt_auto_free char *name = npt_format("REASON_%u", i);

		npt_named_count_add(later.drops, NPT_EDGE_DROPS_MAX, name, 10);
	}
	npt_edge_merge(&into, &later);
	NPT_CHECK_INT(count_of(into.drops, NPT_EDGE_DROPS_MAX, "REASON_0"), 10);
	NPT_CHECK_INT(count_of(into.drops, NPT_EDGE_DROPS_MAX, "NO_SOCKET"), 4);
	NPT_CHECK_INT(count_of(into.drops, NPT_EDGE_DROPS_MAX, "other"), 30);
}

static void a_sum_is_only_as_good_as_its_worst_part(void)
{
	for (unsigned int a = 0; a <= NPT_QUALITY_UNAVAILABLE; a++) {
		for (unsigned int b = 0; b <= NPT_QUALITY_UNAVAILABLE; b++) {
			struct npt_edge into = { 0 }, later = { 0 };

			into.metrics[NPT_METRIC_READ].quality = (enum npt_quality)a;
			later.metrics[NPT_METRIC_READ].quality = (enum npt_quality)b;
			npt_edge_merge(&into, &later);
			NPT_CHECK_INT(into.metrics[NPT_METRIC_READ].quality, a > b ? a : b);
		}
	}
}

static void edges_are_the_same_by_process_role_peer_and_transport(void)
{
	struct npt_edge edge = { .process = { .pid = 1, .start_ns = 2 },
				 .role = NPT_ROLE_CLIENT,
				 .peer = { .port = 80, .pid = 3 } };
	struct npt_edge others[] = { edge, edge, edge, edge, edge, edge, edge, edge, edge, edge };

	NPT_CHECK(npt_edge_same(&edge, &others[0]));
	others[0].process.pid++;
	others[1].process.start_ns++; /* the pid was used again */
	others[2].role = NPT_ROLE_SERVER;
	others[3].peer.port++;
	others[4].peer.pid++;
	others[5].process.pod[0] = 'p';
	others[6].peer.address[0] = '1';
	others[7].peer.asked[0] = '1';
	others[8].transport[0] = 'u';
	others[9].label++;
	for (size_t i = 0; i < NPT_ARRAY_SIZE(others); i++) {
		if (!NPT_CHECK(!npt_edge_same(&edge, &others[i]) &&
			       npt_edge_key(&edge) != npt_edge_key(&others[i])))
			printf("edge %zu\n", i);
	}
	/* Names are found out later, counters differ always. */
	others[0] = edge;
	others[0].process.name[0] = 'n';
	others[0].peer.name[0] = 'd';
	others[0].peer.kind = NPT_PEER_SERVICE;
	others[0].tls = NPT_TLS_NO;
	others[0].protocol[0] = 'h';
	others[0].sent.bytes = 9;
	NPT_CHECK(npt_edge_same(&edge, &others[0]));
	NPT_CHECK(npt_edge_key(&edge) == npt_edge_key(&others[0]));
}

static void an_edge_has_an_id_that_people_can_keep(void)
{
	struct npt_edge edge = { .process = { .pid = 4711, .start_ns = 123456789 },
				 .role = NPT_ROLE_SERVER,
				 .peer = { .address = "10.0.0.1", .port = 80, .asked = "x" },
				 .transport = "tcp" };
	char id[NPT_EDGE_ID_BYTES];
	uint64_t key = 0;

	npt_edge_id(&edge, id);
	NPT_CHECK_STR(id, "dca9aef853fb60f5");
	NPT_CHECK(npt_edge_key_from_id(id, &key));
	NPT_CHECK(key == npt_edge_key(&edge));
	edge.peer.asked[0] = 'y'; /* of a server, what the client asked for is no part of it */
	NPT_CHECK(key == npt_edge_key(&edge));
	NPT_CHECK(!npt_edge_key_from_id("", &key));
	NPT_CHECK(!npt_edge_key_from_id("0123456789abcde", &key));
	NPT_CHECK(!npt_edge_key_from_id("0123456789abcdef0", &key));
	NPT_CHECK(!npt_edge_key_from_id("0123456789ABCDEF", &key));
	NPT_CHECK(!npt_edge_key_from_id(" 123456789abcdef", &key));
}

static void windows_with_edges_in_any_order_add_up_edge_by_edge(void)
{
	npt_auto(npt_report_free) struct npt_report *into = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *later = npt_report_new();

	(void)edge_of(into, 1, 10);
	(void)edge_of(into, 2, 20);
	(void)edge_of(later, 3, 300);
	(void)edge_of(later, 2, 200);
	(void)edge_of(later, 1, 100);
	npt_report_merge(into, later);
	NPT_CHECK_INT(into->edges_count, 3);
	NPT_CHECK_INT(into->edges[0].sent.bytes, 110);
	NPT_CHECK_INT(into->edges[1].sent.bytes, 220);
	NPT_CHECK_INT(into->edges[2].sent.bytes, 300);
	NPT_CHECK_INT(into->other_edges, 0);
}

static void a_sum_begins_with_the_first_and_ends_with_the_last(void)
{
	npt_auto(npt_report_free) struct npt_report *into = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *later = npt_report_new();

	into->start_unix_ms = 1000;
	into->duration_ms = 500;
	into->sequence = 1;
	into->lost.events = 5;
	later->start_unix_ms = 6000; /* one window between them never came */
	later->duration_ms = 5000;
	later->sequence = 3;
	later->lost.events = 7;
	later->cost.cpu_ms = 8;
	npt_report_set_unavailable(into, "drops", "not yet");
	npt_report_set_unavailable(later, "accept", "no slices");
	npt_report_merge(into, later);
	NPT_CHECK_INT(into->start_unix_ms, 1000);
	NPT_CHECK_INT(into->duration_ms, 10000);
	NPT_CHECK_INT(into->sequence, 3);
	/* Totals of the agent, not of the window. */
	NPT_CHECK_INT(into->lost.events, 7);
	NPT_CHECK_INT(into->cost.cpu_ms, 8);
	NPT_CHECK_STR(into->unavailable[0].name, "accept");
	NPT_CHECK_STR(into->unavailable[1].name, "");
}

static void edges_that_do_not_fit_are_counted(void)
{
	npt_auto(npt_report_free) struct npt_report *into = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *later = npt_report_new();

	for (uint32_t i = 0; i < NPT_REPORT_EDGES_MAX; i++)
		(void)edge_of(into, i, 1);
	(void)edge_of(later, NPT_REPORT_EDGES_MAX, 1);
	(void)edge_of(later, NPT_REPORT_EDGES_MAX - 1, 1);
	(void)edge_of(later, NPT_REPORT_EDGES_MAX + 1, 1);
	npt_report_merge(into, later);
	NPT_CHECK_INT(into->edges_count, NPT_REPORT_EDGES_MAX);
	NPT_CHECK_INT(into->other_edges, 2);
	NPT_CHECK_INT(into->edges[NPT_REPORT_EDGES_MAX - 1].sent.bytes, 2);
}

/* Where windows are cut must not matter: (a + b) + c is a + (b + c). */
static void the_sum_does_not_depend_on_how_it_is_grouped(void)
{
	uint64_t seed = npt_test_seed();

	for (size_t round = 0; round < 20; round++) {
		struct npt_edge parts[3], left, right;

		for (size_t i = 0; i < 3; i++) {
			npt_test_random_edge(&seed, 1, &parts[i]);
			memset(parts[i].drops, 0, sizeof(parts[i].drops));
			memset(parts[i].connections.failed, 0, sizeof(parts[i].connections.failed));
		}
		left = parts[0];
		npt_edge_merge(&left, &parts[1]);
		npt_edge_merge(&left, &parts[2]);
		right = parts[1];
		npt_edge_merge(&right, &parts[2]);
		NPT_CHECK_INT(left.sent.bytes, parts[0].sent.bytes + right.sent.bytes);
		npt_edge_merge(&parts[0], &right);
		NPT_CHECK(memcmp(&left.metrics, &parts[0].metrics, sizeof(left.metrics)) == 0);
		NPT_CHECK(memcmp(&left.connections, &parts[0].connections,
				 sizeof(left.connections)) == 0);
		NPT_CHECK(memcmp(&left.limited, &parts[0].limited, sizeof(left.limited)) == 0);
		NPT_CHECK(memcmp(&left.queue, &parts[0].queue, sizeof(left.queue)) == 0);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(counters_and_times_add_up),
	NPT_TEST(handshakes_and_calls_add_up),
	NPT_TEST(what_is_known_of_an_edge_is_kept_until_something_else_is),
	NPT_TEST(an_edge_whose_protocol_becomes_known_late_stays_one),
	NPT_TEST(a_line_of_tls_is_replaced_by_the_later_one_of_the_same_library),
	NPT_TEST(lines_of_tls_that_do_not_fit_are_counted),
	NPT_TEST(what_is_open_and_who_it_is_comes_from_the_later_one),
	NPT_TEST(a_queue_is_as_long_as_it_was_last),
	NPT_TEST(a_sum_has_no_finding_yet),
	NPT_TEST(resets_add_up_by_name),
	NPT_TEST(reasons_add_up_by_name_and_overflow_into_other),
	NPT_TEST(a_sum_is_only_as_good_as_its_worst_part),
	NPT_TEST(edges_are_the_same_by_process_role_peer_and_transport),
	NPT_TEST(an_edge_has_an_id_that_people_can_keep),
	NPT_TEST(windows_with_edges_in_any_order_add_up_edge_by_edge),
	NPT_TEST(a_sum_begins_with_the_first_and_ends_with_the_last),
	NPT_TEST(edges_that_do_not_fit_are_counted),
	NPT_TEST(the_sum_does_not_depend_on_how_it_is_grouped),
};
NPT_TEST_MAIN(tests)
