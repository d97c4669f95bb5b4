/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written is read back the same, for reports of any content; what is wrong is refused.
 */
#include "lib/model/report_json_read.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

#define RANDOM_REPORTS 200

static struct npt_report *read_text(const char *text, struct npt_edge_quantiles **quantiles)
{
	struct npt_report *report = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (!NPT_CHECK(npt_report_from_json(text, strlen(text), &report, quantiles, &err) == 0))
		printf("%s\n", err.text);
	return report;
}

/* An edge's id is made of what it is, in full: of numbers beyond 2^53-1 the JSON does not have it.
 */
static void forget_ids(char *text)
{
	static const char key[] = "{\"id\":\"";

	while ((text = strstr(text, key))) {
		text += sizeof(key) - 1;
		memset(text, 'x', strspn(text, "0123456789abcdef"));
	}
}

static bool check_same(const char *actual, const char *expected)
{
	size_t same = 0;

	while (actual[same] && actual[same] == expected[same])
		same++;
	if (NPT_CHECK(actual[same] == expected[same]))
		return true;
	printf("...%.80s\n...%.80s\n", actual + same, expected + same);
	return false;
}

static void what_is_written_is_read_back_the_same(void)
{
	uint64_t state = npt_test_seed();

	for (unsigned int i = 0; i < RANDOM_REPORTS; i++) {
		npt_auto(npt_report_free) struct npt_report *report =
			npt_test_random_report(&state, npt_test_random(&state) % 6);
		npt_auto_free char *text = npt_report_to_json(report);
		npt_auto(npt_report_free) struct npt_report *back = read_text(text, NULL);
		npt_auto_free char *again = NULL;

		if (!back)
			return;
		again = npt_report_to_json(back);
		forget_ids(text);
		forget_ids(again);
		if (!check_same(again, text))
			return;
	}
}

static void quantiles_are_those_that_are_said(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	struct npt_edge *edge = npt_report_add_edge(report);
	npt_auto_free struct npt_edge_quantiles *quantiles = NULL;
	npt_auto(npt_report_free) struct npt_report *back = NULL;
	npt_auto_free char *text = NULL;
	struct npt_edge_quantiles own;

	for (uint64_t i = 1; i <= 100; i++)
		npt_histogram_add(&edge->metrics[NPT_METRIC_RTT].micros, i * 10);
	text = npt_report_to_json(report);
	back = read_text(text, &quantiles);
	npt_edge_quantiles_of(edge, &own);
	NPT_CHECK(quantiles[0].known[NPT_METRIC_RTT] && own.known[NPT_METRIC_RTT]);
	NPT_CHECK_INT(quantiles[0].micros[NPT_METRIC_RTT].p95, own.micros[NPT_METRIC_RTT].p95);
	NPT_CHECK(own.micros[NPT_METRIC_RTT].p95 > 800 && own.micros[NPT_METRIC_RTT].p95 < 1000);
	NPT_CHECK(!quantiles[0].known[NPT_METRIC_READ]);
	NPT_CHECK(!quantiles[0].is_summary);
}

static void a_summary_has_quantiles_without_histograms(void)
{
	npt_auto_free struct npt_edge_quantiles *quantiles = NULL;
	npt_auto(npt_report_free) struct npt_report *report = read_text(
		"{\"kind\": \"Report\", \"from\": \"status\", \"edges\": [{\"process\": {\"name\": "
		"\"x\"}, \"rtt\": {\"micros\": {\"p50\": 1, \"p95\": 2, \"p99\": 3}}}]}",
		&quantiles);

	NPT_CHECK(quantiles[0].is_summary);
	NPT_CHECK(quantiles[0].known[NPT_METRIC_RTT]);
	NPT_CHECK_INT(quantiles[0].micros[NPT_METRIC_RTT].p99, 3);
	NPT_CHECK_INT(report->edges[0].metrics[NPT_METRIC_RTT].micros.count, 0);
	NPT_CHECK_INT(report->edges[0].metrics[NPT_METRIC_READ].quality, NPT_QUALITY_UNAVAILABLE);
}

static void words_of_a_later_version_are_passed_over(void)
{
	npt_auto(npt_report_free) struct npt_report *report = read_text(
		"{\"kind\": \"Report\", \"mood\": {\"is\": [1]}, \"edges\": [{\"role\": "
		"\"arbiter\", \"finding\": {\"verdict\": \"Gremlins\", \"text\": \"t\"}}]}",
		NULL);

	NPT_CHECK_INT(report->edges[0].role, NPT_ROLE_UNKNOWN);
	NPT_CHECK_INT(report->edges[0].finding.verdict, NPT_VERDICT_UNKNOWN);
	NPT_CHECK_STR(report->edges[0].finding.text, "t");
}

static void refuses_what_is_no_report(void)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "is no JSON object" },
		{ "[]", "is no JSON object" },
		{ "{\"kind\": \"Report\"", "is no JSON object" },
		{ "{}", "kind is neither" },
		{ "{\"kind\": \"Pod\"}", "kind is neither" },
		{ "{\"kind\": \"Report\", \"start\": \"yesterday\"}", "start is no time" },
		{ "{\"kind\": \"Report\", \"edges\": {}}", "edges is not an array" },
		{ "{\"kind\": \"Report\", \"edges\": [7]}", "edges has something that is no edge" },
		{ "{\"kind\": \"Report\", \"edges\": [{\"sent\": {\"bytes\": -1}}]}",
		  "bytes is not a number" },
		{ "{\"kind\": \"Report\", \"edges\": [{\"peer\": {\"port\": 65536}}]}",
		  "port is not a number" },
		{ "{\"kind\": \"Report\", \"edges\": [{\"drops\": {\"X\": \"1\"}}]}",
		  "drops has something that is no count" },
		{ "{\"kind\": \"Report\", \"edges\": [{\"rtt\": {\"micros\": {\"buckets\": "
		  "[[5]]}}}]}",
		  "buckets has something" },
		{ "{\"kind\": \"Report\", \"edges\": [{\"rtt\": {\"micros\": {\"buckets\": "
		  "[[9, 1]]}}}]}",
		  "buckets has a bound that no bucket has" },
		{ "{\"kind\": \"Report\", \"edges\": [{\"finding\": {\"confidence\": 1.5}}]}",
		  "confidence is not a number from 0 to 1" },
		{ "{\"kind\": \"Report\", \"unavailable\": {\"a\": 1}}", "is no reason" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_error err = NPT_ERROR_NONE;
		struct npt_report *report = NULL;
		int r = npt_report_from_json(cases[i].text, strlen(cases[i].text), &report, NULL,
					     &err);

		if (!NPT_CHECK(r < 0 && !report && strstr(err.text, cases[i].why)))
			printf("%s: %s\n", cases[i].text, err.text);
	}
}

static void edges_beyond_the_maximum_are_counted(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(1024U * 1024);
	npt_auto(npt_report_free) struct npt_report *report = NULL;

	(void)npt_buffer_append_text(&text, "{\"kind\":\"Report\",\"edges\":[{}");
	for (size_t i = 0; i < NPT_REPORT_EDGES_MAX + 2; i++)
		(void)npt_buffer_append_text(&text, ",{}");
	(void)npt_buffer_append_text(&text, "],\"other\":{\"edges\":4}}");
	report = read_text(text.data, NULL);
	NPT_CHECK_INT(report->edges_count, NPT_REPORT_EDGES_MAX);
	NPT_CHECK_INT(report->other_edges, 7);
}

static const struct npt_test tests[] = {
	NPT_TEST(what_is_written_is_read_back_the_same),
	NPT_TEST(quantiles_are_those_that_are_said),
	NPT_TEST(a_summary_has_quantiles_without_histograms),
	NPT_TEST(words_of_a_later_version_are_passed_over),
	NPT_TEST(refuses_what_is_no_report),
	NPT_TEST(edges_beyond_the_maximum_are_counted),
};
NPT_TEST_MAIN(tests)
