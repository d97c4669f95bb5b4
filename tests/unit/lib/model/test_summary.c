/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/summary.h"

#include <stdio.h>

#include "tests/support/test.h"

/* What an agent says of a pod, and what its predecessor said. */
static struct npt_pod_summary now, earlier;

static void begin(void)
{
	memset(&now, 0, sizeof(now));
	memset(&earlier, 0, sizeof(earlier));
}

static struct npt_edge_summary *add_edge(struct npt_pod_summary *pod, uint32_t pid, uint64_t bytes,
					 enum npt_verdict verdict)
{
	struct npt_edge_summary *edge = &pod->top[pod->top_count++];

	pod->edges++;
	pod->edges_judged += verdict != NPT_VERDICT_UNKNOWN;
	edge->process.pid = pid;
	edge->bytes_sent = bytes;
	edge->verdict = verdict;
	edge->confidence_permille = pid;
	(void)snprintf(edge->finding, sizeof(edge->finding), "of %u", pid);
	return edge;
}

static void an_edge_that_both_know_is_one(void)
{
	begin();
	add_edge(&now, 1, 10, NPT_VERDICT_NONE);
	add_edge(&now, 2, 20, NPT_VERDICT_NONE);
	add_edge(&earlier, 1, 100, NPT_VERDICT_NONE);
	add_edge(&earlier, 2, 200, NPT_VERDICT_UNKNOWN);
	add_edge(&earlier, 3, 1, NPT_VERDICT_NONE)->connections_open = 5;
	npt_pod_summary_add(&now, &earlier);
	NPT_CHECK_INT(now.edges, 3);
	NPT_CHECK_INT(now.edges_judged, 3);
	NPT_CHECK_INT(now.top_count, 3);
	NPT_CHECK_INT(now.top[0].bytes_sent, 220);
	NPT_CHECK_INT(now.top[1].bytes_sent, 110);
	NPT_CHECK_INT(now.top[2].bytes_sent, 1);
	/* Whoever held them is gone. */
	NPT_CHECK_INT(now.top[2].connections_open, 0);
}

static void transports_are_edges_of_their_own(void)
{
	begin();
	(void)snprintf(add_edge(&now, 1, 10, NPT_VERDICT_NONE)->transport, 8, "tcp");
	(void)snprintf(add_edge(&earlier, 1, 100, NPT_VERDICT_NONE)->transport, 8, "udp");
	npt_pod_summary_add(&now, &earlier);
	NPT_CHECK_INT(now.edges, 2);
	NPT_CHECK_INT(now.top_count, 2);
}

static void labels_are_edges_of_their_own(void)
{
	begin();
	add_edge(&now, 1, 10, NPT_VERDICT_NONE)->label = 1;
	(void)add_edge(&earlier, 1, 100, NPT_VERDICT_NONE);
	npt_pod_summary_add(&now, &earlier);
	NPT_CHECK_INT(now.top_count, 2);
}

/* An agent that has just begun does not know yet what its predecessor had found out. */
static void what_an_edge_speaks_is_kept_until_it_is_known_again(void)
{
	struct npt_edge_summary *edge;

	begin();
	(void)snprintf(add_edge(&now, 1, 10, NPT_VERDICT_NONE)->protocol, NPT_PROTOCOL_BYTES,
		       "unknown");
	edge = add_edge(&now, 2, 9, NPT_VERDICT_NONE);
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "grpc");
	edge->tls = NPT_TLS_NO;
	for (uint32_t pid = 1; pid <= 2; pid++) {
		edge = add_edge(&earlier, pid, 0, NPT_VERDICT_NONE);
		(void)snprintf(edge->protocol, sizeof(edge->protocol), "http2");
		edge->protocol_confidence_permille = 900;
		edge->tls = NPT_TLS_YES;
		(void)snprintf(edge->tls_version, sizeof(edge->tls_version), "1.3");
		(void)snprintf(edge->sni, sizeof(edge->sni), "a.example");
	}
	npt_pod_summary_add(&now, &earlier);
	NPT_CHECK_STR(now.top[0].protocol, "http2");
	NPT_CHECK_INT(now.top[0].protocol_confidence_permille, 900);
	NPT_CHECK_INT(now.top[0].tls, NPT_TLS_YES);
	NPT_CHECK_STR(now.top[0].sni, "a.example");
	NPT_CHECK_STR(now.top[1].protocol, "grpc");
	NPT_CHECK_INT(now.top[1].protocol_confidence_permille, 0);
	NPT_CHECK_INT(now.top[1].tls, NPT_TLS_NO);
	NPT_CHECK_STR(now.top[1].tls_version, "1.3");
}

static void speak(struct npt_edge_summary *edge, const char *protocol, bool by_hop)
{
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "%s", protocol);
	edge->protocol_confidence_permille = by_hop ? 700 : 900;
	edge->protocol_by_hop = by_hop;
}

static void a_name_that_was_read_is_kept_before_one_by_a_hop(void)
{
	static const struct {
		const char *later;
		bool later_by_hop;
		const char *earlier;
		bool earlier_by_hop;
		const char *then;
		bool then_by_hop;
	} cases[] = {
		{ "http", true, "http1", false, "http1", false },
		{ "http1", false, "http", true, "http1", false },
		{ "http", true, "redis", true, "http", true },
		{ "http2", false, "http1", false, "http2", false },
		{ "http", true, "unknown", false, "http", true },
		{ "unknown", false, "http", true, "http", true },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		begin();
		speak(add_edge(&now, 1, 1, NPT_VERDICT_NONE), cases[i].later,
		      cases[i].later_by_hop);
		speak(add_edge(&earlier, 1, 1, NPT_VERDICT_NONE), cases[i].earlier,
		      cases[i].earlier_by_hop);
		npt_pod_summary_add(&now, &earlier);
		NPT_CHECK_STR(now.top[0].protocol, cases[i].then);
		NPT_CHECK_INT(now.top[0].protocol_by_hop, cases[i].then_by_hop);
		NPT_CHECK_INT(now.top[0].protocol_confidence_permille,
			      cases[i].then_by_hop ? 700 : 900);
	}
}

static void what_is_seen_of_tls_is_as_the_later_agent_says(void)
{
	begin();
	earlier.tls_count = 2;
	earlier.tls[1].processes = 7;
	npt_pod_summary_add(&now, &earlier);
	NPT_CHECK_INT(now.tls_count, 2);
	NPT_CHECK_INT(now.tls[1].processes, 7);
	now.tls_count = 1;
	now.tls[0].processes = 3;
	npt_pod_summary_add(&now, &earlier);
	NPT_CHECK_INT(now.tls_count, 1);
	NPT_CHECK_INT(now.tls[0].processes, 3);
}

static void the_worse_finding_of_an_edge_stays(void)
{
	static const struct {
		enum npt_verdict now, earlier, left;
	} cases[] = {
		{ NPT_VERDICT_NONE, NPT_VERDICT_SERVER, NPT_VERDICT_SERVER },
		{ NPT_VERDICT_SERVER, NPT_VERDICT_NONE, NPT_VERDICT_SERVER },
		{ NPT_VERDICT_UNKNOWN, NPT_VERDICT_NONE, NPT_VERDICT_NONE },
		{ NPT_VERDICT_NONE, NPT_VERDICT_UNKNOWN, NPT_VERDICT_NONE },
		{ NPT_VERDICT_UNKNOWN, NPT_VERDICT_UNKNOWN, NPT_VERDICT_UNKNOWN },
		{ NPT_VERDICT_LISTENER, NPT_VERDICT_SERVER, NPT_VERDICT_LISTENER },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct npt_edge_summary *edge;

		begin();
		edge = add_edge(&now, 1, 1, cases[i].now);
		(void)snprintf(edge->finding, sizeof(edge->finding), "%d", cases[i].now);
		edge->confidence_permille = cases[i].now;
		edge = add_edge(&earlier, 1, 1, cases[i].earlier);
		(void)snprintf(edge->finding, sizeof(edge->finding), "%d", cases[i].earlier);
		edge->confidence_permille = cases[i].earlier;
		npt_pod_summary_add(&now, &earlier);
		NPT_CHECK_INT(now.top[0].verdict, cases[i].left);
		NPT_CHECK_INT(now.top[0].confidence_permille, cases[i].left);
		NPT_CHECK_INT(now.top[0].finding[0] - '0', cases[i].left % 10);
		NPT_CHECK_INT(now.edges_judged, cases[i].left != NPT_VERDICT_UNKNOWN);
	}
}

static void the_worst_of_both_are_listed(void)
{
	begin();
	for (uint32_t i = 0; i < NPT_SUMMARY_EDGES_MAX; i++) {
		add_edge(&now, i, 1000 + i, NPT_VERDICT_NONE);
		add_edge(&earlier, 100 + i, 1 + i,
			 i < 2 ? NPT_VERDICT_SERVER : NPT_VERDICT_UNKNOWN);
	}
	npt_pod_summary_add(&now, &earlier);
	NPT_CHECK_INT(now.edges, 20);
	NPT_CHECK_INT(now.edges_judged, 12);
	NPT_CHECK_INT(now.top_count, NPT_SUMMARY_EDGES_MAX);
	NPT_CHECK_INT(now.top[0].process.pid, 101);
	NPT_CHECK_INT(now.top[1].process.pid, 100);
	for (uint32_t i = 2; i < NPT_SUMMARY_EDGES_MAX; i++)
		NPT_CHECK_INT(now.top[i].process.pid, NPT_SUMMARY_EDGES_MAX + 1 - i);
}

static const struct npt_test tests[] = {
	NPT_TEST(an_edge_that_both_know_is_one),
	NPT_TEST(transports_are_edges_of_their_own),
	NPT_TEST(labels_are_edges_of_their_own),
	NPT_TEST(what_an_edge_speaks_is_kept_until_it_is_known_again),
	NPT_TEST(a_name_that_was_read_is_kept_before_one_by_a_hop),
	NPT_TEST(what_is_seen_of_tls_is_as_the_later_agent_says),
	NPT_TEST(the_worse_finding_of_an_edge_stays),
	NPT_TEST(the_worst_of_both_are_listed),
};
NPT_TEST_MAIN(tests)
