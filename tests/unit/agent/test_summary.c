/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/summary.h"

#include <stdio.h>

#include "lib/core/alloc.h"
#include "lib/model/hops.h"
#include "tests/support/test.h"

static struct npt_edge *add_edge(struct npt_report *report, uint64_t bytes,
				 enum npt_verdict verdict)
{
	struct npt_edge *edge = npt_report_add_edge(report);

	edge->process.pid = (uint32_t)report->edges_count;
	edge->received.bytes = bytes;
	edge->finding.verdict = verdict;
	return edge;
}

static void lists_the_worst_findings_then_the_most_bytes(void)
{
	static const struct {
		uint64_t bytes;
		enum npt_verdict verdict;
		uint32_t place;
	} edges[] = {
		{ 10, NPT_VERDICT_NONE, 4 },    { 20, NPT_VERDICT_UNKNOWN, 3 },
		{ 1, NPT_VERDICT_LISTENER, 0 }, { 2, NPT_VERDICT_SERVER, 2 },
		{ 3, NPT_VERDICT_SERVER, 1 },
	};
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free struct npt_pod_summary *summary = npt_alloc(1, sizeof(*summary));

	for (size_t i = 0; i < NPT_ARRAY_SIZE(edges); i++)
		add_edge(report, edges[i].bytes, edges[i].verdict);
	npt_summary_of_report(report, summary);
	NPT_CHECK_INT(summary->edges, 5);
	NPT_CHECK_INT(summary->edges_judged, 4);
	NPT_CHECK_INT(summary->top_count, 5);
	for (uint32_t i = 0; i < NPT_ARRAY_SIZE(edges); i++)
		NPT_CHECK_INT(summary->top[edges[i].place].process.pid, i + 1);
	/* The controller, which sorts those of all pods, has the same order. */
	for (size_t i = 1; i < summary->top_count; i++)
		NPT_CHECK(npt_edge_summary_compare(&summary->top[i - 1], &summary->top[i]) < 0);
}

static void a_bad_edge_with_few_bytes_is_not_lost_among_many(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free struct npt_pod_summary *summary = npt_alloc(1, sizeof(*summary));

	for (uint64_t i = 0; i < 50; i++)
		add_edge(report, 1000 + i, i == 0 ? NPT_VERDICT_CONNECT_FAILURE : NPT_VERDICT_NONE);
	npt_summary_of_report(report, summary);
	NPT_CHECK_INT(summary->edges, 50);
	NPT_CHECK_INT(summary->top_count, NPT_SUMMARY_EDGES_MAX);
	NPT_CHECK_INT(summary->top[0].process.pid, 1);
	NPT_CHECK_INT(summary->top[1].process.pid, 50);
}

static void carries_the_finding_and_the_times_that_can_be_trusted(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free struct npt_pod_summary *summary = npt_alloc(1, sizeof(*summary));
	struct npt_edge *edge = add_edge(report, 1, NPT_VERDICT_SERVER);
	struct npt_metric *response = &edge->metrics[NPT_METRIC_RESPONSE];

	edge->finding.confidence_permille = 870;
	(void)snprintf(edge->finding.text, sizeof(edge->finding.text), "slow");
	(void)snprintf(edge->transport, sizeof(edge->transport), "tcp");
	response->count = 100;
	for (uint64_t i = 1; i <= 100; i++)
		npt_histogram_add(&response->micros, 7);
	npt_histogram_add(&edge->metrics[NPT_METRIC_RTT].micros, 5);
	npt_summary_of_report(report, summary);
	NPT_CHECK_INT(summary->top[0].verdict, NPT_VERDICT_SERVER);
	NPT_CHECK_INT(summary->top[0].confidence_permille, 870);
	NPT_CHECK_STR(summary->top[0].finding, "slow");
	NPT_CHECK_STR(summary->top[0].transport, "tcp");
	NPT_CHECK_INT(summary->top[0].response_micros.p95, 7);
	NPT_CHECK_INT(summary->top[0].rtt_micros.p99, 5);
	response->overlapped = 6;
	memset(summary, 0, sizeof(*summary));
	npt_summary_of_report(report, summary);
	NPT_CHECK_INT(summary->top[0].response_micros.p95, 0);
	NPT_CHECK_INT(summary->top[0].rtt_micros.p99, 5);
}

static void carries_what_is_spoken(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free struct npt_pod_summary *summary = npt_alloc(1, sizeof(*summary));
	struct npt_edge *edge = add_edge(report, 1, NPT_VERDICT_NONE);

	(void)snprintf(edge->protocol, sizeof(edge->protocol), "http1");
	edge->protocol_confidence_permille = 990;
	edge->label = 4;
	edge->connections.opened = 5;
	edge->connections.moved_in = 6;
	edge->tls = NPT_TLS_YES;
	(void)snprintf(edge->tls_facts.version, sizeof(edge->tls_facts.version), "1.2");
	(void)snprintf(edge->tls_facts.sni, sizeof(edge->tls_facts.sni), "a.example");
	(void)snprintf(edge->tls_facts.alpn, sizeof(edge->tls_facts.alpn), "http/1.1");
	(void)snprintf(edge->tls_facts.cipher, sizeof(edge->tls_facts.cipher), "TLS_X");
	npt_summary_of_report(report, summary);
	NPT_CHECK_STR(summary->top[0].protocol, "http1");
	NPT_CHECK_INT(summary->top[0].protocol_confidence_permille, 990);
	NPT_CHECK(!summary->top[0].protocol_by_hop);
	NPT_CHECK_INT(summary->top[0].label, 4);
	/* What moved from one edge to another is one connection of the pod, and of each of the two.
	 */
	NPT_CHECK_INT(summary->top[0].connections_opened, 11);
	NPT_CHECK_INT(summary->connections, 5);
	NPT_CHECK_INT(summary->top[0].tls, NPT_TLS_YES);
	NPT_CHECK_STR(summary->top[0].tls_version, "1.2");
	NPT_CHECK_STR(summary->top[0].sni, "a.example");
	NPT_CHECK_STR(summary->top[0].alpn, "http/1.1");
	NPT_CHECK_STR(summary->top[0].cipher, "TLS_X");
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "unknown");
	edge->protocol_confidence_permille = 0;
	(void)snprintf(edge->hop.name, sizeof(edge->hop.name), "http");
	memset(summary, 0, sizeof(*summary));
	npt_summary_of_report(report, summary);
	NPT_CHECK_STR(summary->top[0].protocol, "http");
	NPT_CHECK_INT(summary->top[0].protocol_confidence_permille, NPT_HOPS_CONFIDENCE);
	NPT_CHECK(summary->top[0].protocol_by_hop);
}

static void add_uses(struct npt_report *report, const char *library, const char *version,
		     enum npt_tls_coverage coverage, size_t processes)
{
	for (size_t i = 0; i < processes; i++) {
		struct npt_tls_use *use = npt_report_add_tls(report);

		use->pid = (uint32_t)report->tls_count;
		(void)snprintf(use->library, sizeof(use->library), "%s", library);
		(void)snprintf(use->version, sizeof(use->version), "%s", version);
		(void)snprintf(use->why, sizeof(use->why), "%s",
			       coverage == NPT_COVERAGE_FULL ? "" : "because");
		use->coverage = coverage;
	}
}

static void counts_processes_by_library_and_how_much_of_it_is_seen(void)
{
	static const struct {
		const char *library, *version;
		enum npt_tls_coverage coverage;
		uint64_t processes;
	} expected[] = {
		{ "unknown", "", NPT_COVERAGE_NONE, 1 },
		{ "OpenSSL", "3.0", NPT_COVERAGE_METADATA, 4 },
		{ "Go crypto/tls", "1.24", NPT_COVERAGE_METADATA, 2 },
		{ "OpenSSL", "3.0", NPT_COVERAGE_FULL, 6 },
		{ "OpenSSL", "3.5", NPT_COVERAGE_FULL, 3 },
	};
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free struct npt_pod_summary *summary = npt_alloc(1, sizeof(*summary));

	add_uses(report, "OpenSSL", "3.5", NPT_COVERAGE_FULL, 3);
	add_uses(report, "OpenSSL", "3.0", NPT_COVERAGE_FULL, 5);
	add_uses(report, "Go crypto/tls", "1.24", NPT_COVERAGE_METADATA, 2);
	add_uses(report, "unknown", "", NPT_COVERAGE_NONE, 1);
	add_uses(report, "OpenSSL", "3.0", NPT_COVERAGE_METADATA, 4);
	add_uses(report, "OpenSSL", "3.0", NPT_COVERAGE_FULL, 1);
	npt_summary_of_report(report, summary);
	NPT_CHECK_INT(summary->tls_count, NPT_ARRAY_SIZE(expected));
	for (size_t i = 0; i < NPT_ARRAY_SIZE(expected); i++) {
		NPT_CHECK_STR(summary->tls[i].library, expected[i].library);
		NPT_CHECK_STR(summary->tls[i].version, expected[i].version);
		NPT_CHECK_INT(summary->tls[i].coverage, expected[i].coverage);
		NPT_CHECK_INT(summary->tls[i].processes, expected[i].processes);
	}
	NPT_CHECK_STR(summary->tls[0].why, "because");
}

static void says_of_which_tls_least_is_seen_where_not_all_fits(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free struct npt_pod_summary *summary = npt_alloc(1, sizeof(*summary));

	for (size_t i = 0; i < 20; i++) {
		npt_auto_free char *version = npt_format("%zu", i);

		add_uses(report, "OpenSSL", version,
			 i == 19 ? NPT_COVERAGE_NONE : NPT_COVERAGE_FULL, 1);
	}
	npt_summary_of_report(report, summary);
	NPT_CHECK_INT(summary->tls_count, NPT_SUMMARY_TLS_MAX);
	NPT_CHECK_STR(summary->tls[0].version, "19");
}

static const struct npt_test tests[] = {
	NPT_TEST(lists_the_worst_findings_then_the_most_bytes),
	NPT_TEST(a_bad_edge_with_few_bytes_is_not_lost_among_many),
	NPT_TEST(carries_the_finding_and_the_times_that_can_be_trusted),
	NPT_TEST(carries_what_is_spoken),
	NPT_TEST(counts_processes_by_library_and_how_much_of_it_is_seen),
	NPT_TEST(says_of_which_tls_least_is_seen_where_not_all_fits),
};
NPT_TEST_MAIN(tests)
