/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/report_dot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

#define BYTES_MAX (4U * 1024 * 1024)

static struct npt_edge *add(struct npt_report *report, const char *pod, const char *process,
			    uint32_t pid, enum npt_role role)
{
	struct npt_edge *edge = npt_report_add_edge(report);

	(void)snprintf(edge->process.pod, sizeof(edge->process.pod), "%s", pod);
	(void)snprintf(edge->process.name, sizeof(edge->process.name), "%s", process);
	(void)snprintf(edge->transport, sizeof(edge->transport), "tcp");
	edge->process.pid = pid;
	edge->role = role;
	edge->peer.port = 80;
	return edge;
}

static void to_pod(struct npt_edge *edge, const char *pod)
{
	edge->peer.kind = NPT_PEER_POD;
	(void)snprintf(edge->peer.name, sizeof(edge->peer.name), "%s", pod);
}

static char *dot(const struct npt_report *report)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(BYTES_MAX);

	NPT_CHECK_INT(npt_report_to_dot(report, NULL, &out), 0);
	return npt_buffer_take(&out);
}

static size_t count(const char *text, const char *what)
{
	size_t found = 0;

	while ((text = strstr(text, what))) {
		found++;
		text += strlen(what);
	}
	return found;
}

static void an_arrow_goes_from_the_client_to_the_server(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free char *text = NULL;
	struct npt_edge *edge = add(report, "web-1", "nginx", 7, NPT_ROLE_SERVER);

	(void)snprintf(edge->peer.address, sizeof(edge->peer.address), "10.0.0.1");
	edge = add(report, "web-1", "nginx", 7, NPT_ROLE_CLIENT);
	to_pod(edge, "db-0");
	text = dot(report);
	NPT_CHECK(strstr(text, "\"address/10.0.0.1\" -> \"process/web-1/nginx/7\""));
	NPT_CHECK(strstr(text, "\"process/web-1/nginx/7\" -> \"pod//db-0\""));
	NPT_CHECK(strstr(text, "subgraph \"cluster_web-1\""));
	NPT_CHECK_INT(count(text, "subgraph"), 1);
}

static void two_ends_that_were_both_measured_are_one_arrow(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free char *text = NULL;

	to_pod(add(report, "a", "curl", 1, NPT_ROLE_CLIENT), "b");
	to_pod(add(report, "b", "nginx", 2, NPT_ROLE_SERVER), "a");
	text = dot(report);
	NPT_CHECK_INT(count(text, " -> "), 1);
	NPT_CHECK(strstr(text, "\"process/a/curl/1\" -> \"process/b/nginx/2\""));
	NPT_CHECK(!strstr(text, "ellipse"));
}

static void which_of_several_ends_is_meant_is_not_guessed(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free char *text = NULL;

	to_pod(add(report, "a", "curl", 1, NPT_ROLE_CLIENT), "b");
	to_pod(add(report, "b", "nginx", 2, NPT_ROLE_SERVER), "a");
	to_pod(add(report, "b", "nginx", 3, NPT_ROLE_SERVER), "a");
	text = dot(report);
	NPT_CHECK(strstr(text, "\"process/a/curl/1\" -> \"pod//b\""));
}

static void what_is_wrong_is_red(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free char *text = NULL, *fine = NULL;
	struct npt_edge *edge = add(report, "a", "curl", 1, NPT_ROLE_CLIENT);

	fine = dot(report);
	NPT_CHECK(!strstr(fine, "red"));
	edge->finding.verdict = NPT_VERDICT_SERVER;
	(void)snprintf(edge->finding.text, sizeof(edge->finding.text), "it is \"slow\"");
	text = dot(report);
	NPT_CHECK(strstr(text, "color=red"));
	NPT_CHECK(strstr(text, "tooltip=\"it is \\\"slow\\\"\""));
}

/* Outside of quotes nothing may be but our own words, whatever the names are. */
static void no_name_breaks_out_of_its_quotes(void)
{
	static const char *const names[] = { "\"", "\\",  "\\\"",       "x\"];evil[a=\"",
					     "\n", "a\\", "\x01\x1b[2J" };
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzLR_=[]{};,-> \n";

	for (size_t i = 0; i < NPT_ARRAY_SIZE(names); i++) {
		npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
		struct npt_edge *edge = add(report, names[i], names[i], 1, NPT_ROLE_CLIENT);
		npt_auto_free char *text = NULL;
		bool quoted = false;

		to_pod(edge, names[i]);
		(void)snprintf(report->task.name, sizeof(report->task.name), "%s", names[i]);
		text = dot(report);
		for (const char *at = text; *at; at++) {
			if (quoted && *at == '\\')
				at++;
			else if (*at == '"')
				quoted = !quoted;
			else if (!quoted && !NPT_CHECK(strchr(allowed, *at) != NULL))
				break;
			if (quoted && !NPT_CHECK((unsigned char)*at >= ' '))
				break;
		}
		NPT_CHECK(!quoted);
		NPT_CHECK(!strstr(text, "];evil") || strstr(text, "\\\"];evil"));
	}
}

static void says_that_it_does_not_fit(void)
{
	uint64_t state = npt_test_seed();
	npt_auto(npt_report_free) struct npt_report *report = npt_test_random_report(&state, 3);
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(300);

	NPT_CHECK_INT(npt_report_to_dot(report, NULL, &out), -EMSGSIZE);
}

static const struct npt_test tests[] = {
	NPT_TEST(an_arrow_goes_from_the_client_to_the_server),
	NPT_TEST(two_ends_that_were_both_measured_are_one_arrow),
	NPT_TEST(which_of_several_ends_is_meant_is_not_guessed),
	NPT_TEST(what_is_wrong_is_red),
	NPT_TEST(no_name_breaks_out_of_its_quotes),
	NPT_TEST(says_that_it_does_not_fit),
};
NPT_TEST_MAIN(tests)
