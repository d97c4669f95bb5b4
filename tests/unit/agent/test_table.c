/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/table.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"

static void add_edge(struct npt_report *report, const char *name, uint64_t bytes)
{
	struct npt_edge *edge = npt_report_add_edge(report);

	edge->role = NPT_ROLE_CLIENT;
	(void)snprintf(edge->process.name, sizeof(edge->process.name), "%s", name);
	(void)snprintf(edge->peer.address, sizeof(edge->peer.address), "10.0.0.1");
	edge->peer.port = 80;
	edge->sent.bytes = bytes;
}

static void shows_most_bytes_first_and_says_what_it_leaves_out(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);

	add_edge(report, "small", 5);
	add_edge(report, "big", 12345678);
	add_edge(report, "middle", 9999);
	npt_table_render(report, 2, &out);
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
	npt_table_render(report, 10, &out);
	NPT_CHECK(strstr(out.data, "FAILED"));
	NPT_CHECK(strstr(out.data, " 17 "));
}

static void says_that_there_is_nothing(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(100000);

	npt_table_render(report, 10, &out);
	NPT_CHECK(strstr(out.data, "(no connection yet)"));
}

static const struct npt_test tests[] = {
	NPT_TEST(shows_most_bytes_first_and_says_what_it_leaves_out),
	NPT_TEST(shows_connects_that_failed),
	NPT_TEST(says_that_there_is_nothing),
};
NPT_TEST_MAIN(tests)
