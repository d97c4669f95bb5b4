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
	NPT_TEST(says_that_there_is_nothing),
};
NPT_TEST_MAIN(tests)
