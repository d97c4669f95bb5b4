/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/cleanup.h"
#include "lib/model/report_json_read.h"
#include "tests/support/test.h"

static const char task[] =
	"{\"metadata\": {\"name\": \"t\", \"namespace\": \"shop\", \"uid\": \"u\"}, \"status\": {"
	"\"startTime\": \"2026-01-01T00:00:00Z\", \"completionTime\": \"2026-01-01T00:01:00Z\","
	"\"summary\": {\"edges\": 12, \"lost\": 3}, \"unavailable\": {\"read\": \"why\"},"
	"\"edges\": [{\"pod\": \"p\", \"process\": \"nginx\", \"pid\": 7, \"container\": \"c\","
	"\"role\": \"server\", \"peer\": {\"kind\": \"pod\", \"name\": \"q\", \"port\": 80},"
	"\"transport\": \"tcp\", \"protocol\": \"http1\", \"protocolConfidencePermille\": 900,"
	"\"tls\": \"no\", \"connections\": 5, \"open\": 1, \"failed\": 2, \"bytesSent\": 10,"
	"\"bytesReceived\": 20, \"writes\": 3, \"reads\": 4, \"retransmits\": 6, \"drops\": 8,"
	"\"rttMicros\": {\"p50\": 1, \"p95\": 2, \"p99\": 3}, \"responseMicros\": {\"p50\": 0,"
	"\"p95\": 0, \"p99\": 0}, \"verdict\": \"Network\", \"cause\": \"loss\","
	"\"confidencePermille\": 800, \"finding\": \"it loses\"}]}}";

static struct npt_report *read_status(const char *json, struct npt_edge_quantiles **quantiles)
{
	json_t *object = json_loads(json, 0, NULL), *made = npt_status_report(object);
	npt_auto_free char *text = json_dumps(made, JSON_COMPACT);
	struct npt_report *report = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (!NPT_CHECK(npt_report_from_json(text, strlen(text), &report, quantiles, &err) == 0))
		printf("%s\n%s\n", err.text, text);
	json_decref(made);
	json_decref(object);
	return report;
}

static void each_number_of_a_status_has_its_place_in_the_report(void)
{
	npt_auto_free struct npt_edge_quantiles *quantiles = NULL;
	npt_auto(npt_report_free) struct npt_report *report = read_status(task, &quantiles);
	const struct npt_edge *edge = &report->edges[0];

	NPT_CHECK_INT(report->edges_count, 1);
	NPT_CHECK_STR(report->task.name, "t");
	NPT_CHECK_INT(report->duration_ms, 60000);
	NPT_CHECK_INT(report->other_edges, 11);
	NPT_CHECK_INT(report->lost.events, 3);
	NPT_CHECK_STR(report->unavailable[0].name, "read");
	NPT_CHECK_STR(edge->process.pod, "p");
	NPT_CHECK_STR(edge->process.name, "nginx");
	NPT_CHECK_INT(edge->process.pid, 7);
	NPT_CHECK_INT(edge->role, NPT_ROLE_SERVER);
	NPT_CHECK_INT(edge->peer.kind, NPT_PEER_POD);
	NPT_CHECK_INT(edge->peer.port, 80);
	NPT_CHECK_STR(npt_edge_protocol(edge), "http1");
	NPT_CHECK_INT(edge->protocol_confidence_permille, 900);
	NPT_CHECK_INT(edge->tls, NPT_TLS_NO);
	NPT_CHECK_INT(edge->connections.opened, 5);
	NPT_CHECK_INT(edge->connections.open, 1);
	NPT_CHECK_INT(edge->connections.failed[0].count, 2);
	NPT_CHECK_INT(edge->sent.bytes, 10);
	NPT_CHECK_INT(edge->received.bytes, 20);
	NPT_CHECK_INT(edge->metrics[NPT_METRIC_WRITE].count, 3);
	NPT_CHECK_INT(edge->metrics[NPT_METRIC_READ].count, 4);
	NPT_CHECK_INT(edge->retransmit.segments, 6);
	NPT_CHECK_INT(edge->drops[0].count, 8);
	NPT_CHECK_INT(edge->finding.verdict, NPT_VERDICT_NETWORK_LOSS);
	NPT_CHECK_INT(edge->finding.confidence_permille, 800);
	NPT_CHECK_STR(edge->finding.text, "it loses");
}

static void quantiles_are_known_where_something_was_timed(void)
{
	npt_auto_free struct npt_edge_quantiles *quantiles = NULL;
	npt_auto(npt_report_free) struct npt_report *report = read_status(task, &quantiles);

	NPT_CHECK(quantiles[0].is_summary);
	NPT_CHECK(quantiles[0].known[NPT_METRIC_RTT]);
	NPT_CHECK_INT(quantiles[0].micros[NPT_METRIC_RTT].p95, 2);
	NPT_CHECK(!quantiles[0].known[NPT_METRIC_RESPONSE]);
	NPT_CHECK_INT(report->edges[0].metrics[NPT_METRIC_RESPONSE].quality,
		      NPT_QUALITY_UNAVAILABLE);
}

static void a_task_without_a_status_is_an_empty_report(void)
{
	npt_auto(npt_report_free) struct npt_report *report =
		read_status("{\"metadata\": {\"name\": \"t\"}}", NULL);

	NPT_CHECK_INT(report->edges_count, 0);
	NPT_CHECK_INT(report->other_edges, 0);
	NPT_CHECK_INT(report->duration_ms, 0);
}

static const struct npt_test tests[] = {
	NPT_TEST(each_number_of_a_status_has_its_place_in_the_report),
	NPT_TEST(quantiles_are_known_where_something_was_timed),
	NPT_TEST(a_task_without_a_status_is_an_empty_report),
};
NPT_TEST_MAIN(tests)
