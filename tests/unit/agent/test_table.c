/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/table.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"

static void add_edge(struct npt_report *report, const char *name, uint64_t bytes)
{
	struct npt_edge *edge = npt_report_add_edge(report);

	edge->role = NPT_ROLE_CLIENT;
	(void)snprintf(edge->transport, sizeof(edge->transport), "tcp");
	(void)snprintf(edge->process.name, sizeof(edge->process.name), "%s", name);
	(void)snprintf(edge->peer.address, sizeof(edge->peer.address), "10.0.0.1");
	edge->peer.port = 80;
	edge->sent.bytes = bytes;
}

static void render(const struct npt_report *report, size_t rows, size_t details,
		   struct npt_buffer *out)
{
	const struct npt_table_size size = { .rows = rows, .details = details };

	npt_table_render(report, &size, out);
}

static void shows_most_bytes_first_and_says_what_it_leaves_out(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);

	add_edge(report, "small", 5);
	add_edge(report, "big", 12345678);
	add_edge(report, "middle", 9999);
	render(report, 2, 0, &out);
	NPT_CHECK(strstr(out.data, "big"));
	NPT_CHECK(strstr(out.data, "12.3M"));
	NPT_CHECK(strstr(out.data, "10.0.0.1:80"));
	NPT_CHECK(strstr(out.data, "big") < strstr(out.data, "middle"));
	NPT_CHECK(!strstr(out.data, "small"));
	NPT_CHECK(strstr(out.data, "(1 more)"));
}

static void shows_connects_that_failed(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);

	add_edge(report, "curl", 0);
	npt_named_count_add(report->edges[0].connections.failed, NPT_EDGE_FAILED_MAX,
			    "ECONNREFUSED", 17);
	render(report, 10, 0, &out);
	NPT_CHECK(strstr(out.data, "FAILED"));
	NPT_CHECK(strstr(out.data, " 17 "));
}

static void shows_findings_and_says_what_is_wrong_if_there_is_room(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);
	npt_auto(npt_buffer_done) struct npt_buffer crowded = NPT_BUFFER(100000);

	add_edge(report, "slow", 1);
	add_edge(report, "fine", 1);
	add_edge(report, "silent", 1);
	report->edges[0].finding.verdict = NPT_VERDICT_NETWORK_LOSS;
	report->edges[1].finding.verdict = NPT_VERDICT_NONE;
	for (size_t i = 0; i < 3; i++)
		(void)snprintf(report->edges[i].finding.text, NPT_TEXT_BYTES, "sentence %zu", i);
	render(report, 4, 0, &out);
	NPT_CHECK(strstr(out.data, " FINDING\n"));
	NPT_CHECK(strstr(out.data, " Network/loss\n"));
	NPT_CHECK(strstr(out.data, " None\n"));
	NPT_CHECK(strstr(out.data, " -\n"));
	NPT_CHECK(strstr(out.data, "slow[0]: Network/loss: sentence 0\n"));
	NPT_CHECK(!strstr(out.data, "sentence 1"));
	NPT_CHECK(!strstr(out.data, "sentence 2"));
	render(report, 3, 0, &crowded);
	NPT_CHECK(!strstr(crowded.data, "sentence"));
}

static void details_have_every_metric_that_there_is(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);
	struct npt_edge *edge;

	add_edge(report, "curl", 1000);
	edge = &report->edges[0];
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++) {
		edge->metrics[i].count = 7;
		npt_histogram_add(&edge->metrics[i].micros, 42);
	}
	edge->metrics[NPT_METRIC_READ].quality = NPT_QUALITY_SAMPLED;
	edge->metrics[NPT_METRIC_ACCEPT].quality = NPT_QUALITY_UNAVAILABLE;
	edge->metrics[NPT_METRIC_RESPONSE].overlapped = 100;
	edge->metrics[NPT_METRIC_RTT].min_micros = 13;
	edge->limited.application_micros = 3;
	edge->limited.receive_window_micros = 1;
	npt_named_count_add(edge->resets_received, NPT_EDGE_RESETS_MAX, "ECONNRESET", 2);
	npt_report_set_unavailable(report, "drops", "because");
	render(report, 10, 1, &out);
	NPT_CHECK(strstr(out.data, "curl[0] -> 10.0.0.1:80 (tcp)\n"));
	NPT_CHECK(strstr(out.data, "  write      7  p50 42us"));
	NPT_CHECK(strstr(out.data, "(sampled, 1 timed)"));
	NPT_CHECK(strstr(out.data, "  min 13us\n"));
	NPT_CHECK(!strstr(out.data, "  accept "));
	NPT_CHECK(strstr(out.data, "  response   unavailable: 100 messages crossed each other\n"));
	NPT_CHECK(strstr(out.data, "application 75 %, receive window 25 %"));
	NPT_CHECK(strstr(out.data, "  was reset  ECONNRESET 2\n"));
	NPT_CHECK(strstr(out.data, "not measured: drops (because)\n"));
}

static void each_edge_says_what_is_spoken(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);

	add_edge(report, "plain", 4);
	add_edge(report, "secret", 3);
	add_edge(report, "query", 2);
	add_edge(report, "no", 1);
	(void)snprintf(report->edges[0].protocol, NPT_PROTOCOL_BYTES, "http1");
	(void)snprintf(report->edges[1].protocol, NPT_PROTOCOL_BYTES, "http1");
	report->edges[1].tls = NPT_TLS_YES;
	(void)snprintf(report->edges[2].protocol, NPT_PROTOCOL_BYTES, "postgresql");
	report->edges[2].tls = NPT_TLS_YES;
	render(report, 10, 0, &out);
	NPT_CHECK(strstr(out.data, " PROTOCOL "));
	NPT_CHECK(strstr(out.data, "10.0.0.1:80                        HTTP   "));
	NPT_CHECK(strstr(out.data, "10.0.0.1:80                        HTTPS  "));
	NPT_CHECK(strstr(out.data, "10.0.0.1:80                        PostgreSQL (TLS) "));
	NPT_CHECK(strstr(out.data, "10.0.0.1:80                        TCP   "));
}

static void details_have_what_tls_shows(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);
	struct npt_edge *edge;

	add_edge(report, "curl", 1000);
	edge = &report->edges[0];
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "http2");
	edge->protocol_confidence_permille = 990;
	edge->tls = NPT_TLS_YES;
	(void)snprintf(edge->tls_facts.version, sizeof(edge->tls_facts.version), "1.3");
	(void)snprintf(edge->tls_facts.sni, sizeof(edge->tls_facts.sni), "a\033[2J\xff.example");
	(void)snprintf(edge->tls_facts.alpn, sizeof(edge->tls_facts.alpn), "h2");
	(void)snprintf(edge->tls_facts.cipher, sizeof(edge->tls_facts.cipher), "TLS_X");
	edge->handshakes.count = 3;
	edge->handshakes.resumed = 2;
	edge->handshakes.failed = 1;
	npt_histogram_add(&edge->handshakes.micros, 42);
	npt_named_count_add(edge->handshakes.alerts_received, NPT_EDGE_ALERTS_MAX, "unknown_ca", 1);
	edge->tls_calls.writes = 7;
	edge->tls_calls.written_bytes = 70;
	edge->connections.moved_in = 4;
	edge->connections.kernel_tls = 6;
	render(report, 10, 1, &out);
	NPT_CHECK(strstr(out.data, "  protocol   HTTP/2 (TLS) (confidence 0.990), TLS 1.3, cipher "
				   "TLS_X, SNI a?[2J?.example, ALPN h2\n"));
	NPT_CHECK(strstr(out.data, "  handshakes 3, 2 resumed, 0 asked for a client certificate, 1 "
				   "failed  p50 42us"));
	NPT_CHECK(strstr(out.data, "  was alerted unknown_ca 1\n"));
	NPT_CHECK(strstr(out.data, "  tls calls  write 7, 70 bytes, read 0, 0 bytes\n"));
	NPT_CHECK(strstr(out.data, " closed, 4 moved in, 0 moved out, 6 with TLS by the kernel\n"));
}

static void what_the_plain_hop_tells_says_so(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);
	struct npt_edge *edge;

	add_edge(report, "envoy", 1000);
	edge = &report->edges[0];
	edge->tls = NPT_TLS_YES;
	(void)snprintf(edge->hop.name, sizeof(edge->hop.name), "http");
	(void)snprintf(edge->hop.protocol, sizeof(edge->hop.protocol), "http1");
	(void)snprintf(edge->hop.process, sizeof(edge->hop.process), "python");
	edge->hop.pid = 77;
	edge->hop.port = 15001;
	render(report, 10, 1, &out);
	NPT_CHECK(strstr(out.data, "10.0.0.1:80                        HTTPS  "));
	NPT_CHECK(strstr(out.data, "  protocol   HTTPS (confidence 0.700, by its hop)\n"));
	NPT_CHECK(strstr(out.data, "  hop        http1 with python[77], port 15001\n"));
}

static void what_is_not_there_has_no_line(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);
	static const char *const words[] = { "protocol ", "handshakes", "alerted", "tls",
					     "moved in",  "hop ",       "TLS by" };

	add_edge(report, "curl", 1000);
	render(report, 10, 1, &out);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(words); i++) {
		if (!NPT_CHECK(!strstr(out.data, words[i])))
			printf("%s\n", words[i]);
	}
}

static void each_library_has_a_line(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);
	npt_auto(npt_buffer_done) struct npt_buffer brief = NPT_BUFFER(100000);

	for (uint32_t i = 0; i < 25; i++) {
		struct npt_tls_use *use = npt_report_add_tls(report);

		use->pid = i;
		(void)snprintf(use->process, sizeof(use->process), "nginx");
		(void)snprintf(use->library, sizeof(use->library), "OpenSSL");
		(void)snprintf(use->version, sizeof(use->version), "3.0.17");
		use->coverage = NPT_COVERAGE_METADATA;
		(void)snprintf(use->why, sizeof(use->why), "it is stripped");
		use->unassigned_calls = i == 3 ? 17 : 0;
	}
	report->tls_other = 2;
	render(report, 10, 1, &out);
	NPT_CHECK(strstr(out.data, "\ntls: nginx[0] OpenSSL: metadata, version 3.0.17, since it is "
				   "stripped\n"));
	NPT_CHECK(strstr(out.data, "tls: nginx[3] OpenSSL: metadata, version 3.0.17, since it is "
				   "stripped, 17 calls of no known connection\n"));
	NPT_CHECK(strstr(out.data, "nginx[19]") && !strstr(out.data, "nginx[20]"));
	NPT_CHECK(strstr(out.data, "tls: (7 more)\n"));
	render(report, 10, 0, &brief);
	NPT_CHECK(!strstr(brief.data, "tls:"));
}

static void says_that_there_is_nothing(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);

	render(report, 10, 0, &out);
	NPT_CHECK(strstr(out.data, "(no connection yet)"));
}

static const struct npt_test tests[] = {
	NPT_TEST(shows_most_bytes_first_and_says_what_it_leaves_out),
	NPT_TEST(shows_connects_that_failed),
	NPT_TEST(shows_findings_and_says_what_is_wrong_if_there_is_room),
	NPT_TEST(details_have_every_metric_that_there_is),
	NPT_TEST(each_edge_says_what_is_spoken),
	NPT_TEST(details_have_what_tls_shows),
	NPT_TEST(what_the_plain_hop_tells_says_so),
	NPT_TEST(what_is_not_there_has_no_line),
	NPT_TEST(each_library_has_a_line),
	NPT_TEST(says_that_there_is_nothing),
};
NPT_TEST_MAIN(tests)
