/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/summary.h"

#include <stdio.h>

#include "lib/core/alloc.h"
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

static const struct npt_test tests[] = {
	NPT_TEST(lists_the_worst_findings_then_the_most_bytes),
	NPT_TEST(a_bad_edge_with_few_bytes_is_not_lost_among_many),
	NPT_TEST(carries_the_finding_and_the_times_that_can_be_trusted),
};
NPT_TEST_MAIN(tests)
