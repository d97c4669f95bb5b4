/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/examine.h"

#include <stdio.h>
#include <string.h>

#include "cli/cluster.h"
#include "tests/support/test.h"

#define POD(node, state)                                                                           \
	"{\"spec\": {\"nodeName\": \"" node "\"}, \"status\": {\"containerStatuses\": [" state "]" \
	"}"                                                                                        \
	"}"
#define READY "{\"ready\": true, \"state\": {\"running\": {}}}"
#define KIND                                                                                       \
	"{\"version\": \"0.1.0\", \"kernel\": \"6.1.0\", \"layers\": [\"Base\", \"Operations\"],"  \
	"\"unavailable\": {\"protocol\": \"needs 6.12\"}}"
#define DEPLOYMENT "{\"spec\": {\"replicas\": 1}, \"status\": {\"readyReplicas\": 1}}"

/* A cluster of two nodes in which all is well. */
static json_t *healthy(void)
{
	json_error_t where;
	json_t *facts = json_loads(
		"{\"version\": {\"gitVersion\": \"v1.35.4\"}, \"resource\": {}, "
		"\"controller\": " DEPLOYMENT ", \"aggregator\": " DEPLOYMENT
		", \"agents\": {}, \"pods\": {\"items\": [" POD("n1", READY) "," POD(
			"n2",
			READY) "]}, \"nodes\": {\"items\": [{\"metadata\": {\"name\": \"n1\"}, "
			       "\"status\": {\"nodeInfo\": "
			       "{\"kernelVersion\": \"6.1.0\"}}}, {\"metadata\": {\"name\": "
			       "\"n2\"}}]},"
			       "\"kinds\": {\"nodes\": {\"n1\": 0, \"n2\": 0}, \"kinds\": [" KIND
			       "]},"
			       "\"rights\": {\"create\": true, \"get\": true, \"patch\": true, "
			       "\"portforward\": true,"
			       "\"ca\": true}, \"history\": {}}",
		0, &where);

	if (!facts)
		printf("%s\n", where.text);
	return facts;
}

static void set(json_t *facts, const char *key, const char *json)
{
	(void)json_object_set_new(facts, key, json_loads(json, 0, NULL));
}

/* "STATE: DETAIL" of a check. */
static char *check_of(const json_t *facts, const char *name)
{
	json_t *report = npt_examine(facts), *check;
	static char text[1024];
	size_t i;

	(void)snprintf(text, sizeof(text), "(no such check)");
	json_array_foreach(json_object_get(report, "checks"), i, check)
	{
		if (strcmp(npt_cluster_text(check, "check"), name) == 0)
			(void)snprintf(text, sizeof(text), "%s: %s",
				       npt_cluster_text(check, "state"),
				       npt_cluster_text(check, "detail"));
	}
	json_decref(report);
	return text;
}

static bool is_broken(const json_t *facts)
{
	json_t *report = npt_examine(facts);
	bool broken = npt_examine_is_broken(report);

	json_decref(report);
	return broken;
}

static void a_healthy_cluster_is_not_broken(void)
{
	json_t *facts = healthy();

	NPT_CHECK(!is_broken(facts));
	NPT_CHECK_STR(check_of(facts, "API server"), "ok: v1.35.4");
	NPT_CHECK_STR(check_of(facts, "agents"), "ok: on 2 of 2 nodes");
	NPT_CHECK(strncmp(check_of(facts, "your rights"), "ok: ", 4) == 0);
	NPT_CHECK(strncmp(check_of(facts, "history"), "ok: ", 4) == 0);
	NPT_CHECK_STR(check_of(facts, "layers"), "(no such check)");
	json_decref(facts);
}

static void each_thing_that_is_wrong_is_named(void)
{
	static const struct {
		const char *key, *json, *check, *said;
		bool is_broken;
	} cases[] = {
		{ "resource", "{\"error\": \"x\", \"absent\": true}", "resource",
		  "broken: the cluster has no NetworkProfilingTask: helm install", true },
		{ "controller", "{\"error\": \"x\", \"absent\": true}", "controller",
		  "broken: there is no Deployment npt-controller", true },
		{ "controller", "{\"spec\": {\"replicas\": 1}, \"status\": {}}", "controller",
		  "broken: 0 of 1 pods are ready: kubectl describe", true },
		{ "controller", "{\"error\": \"you may not\", \"absent\": false}", "controller",
		  "warning: you may not", false },
		{ "aggregator", "{\"error\": \"x\", \"absent\": true}", "aggregator",
		  "warning: there is none", false },
		{ "agents", "{\"error\": \"x\", \"absent\": true}", "agents",
		  "broken: there is no DaemonSet", true },
		{ "rights",
		  "{\"create\": false, \"get\": true, \"patch\": true, \"portforward\": "
		  "false, \"ca\": true}",
		  "your rights", "warning: you may not: create tasks, reach the aggregation",
		  false },
		{ "history", "{\"error\": \"no token\"}", "history", "warning: no token", false },
		{ "kinds", "{\"error\": \"may not read\"}", "layers", "warning: may not read",
		  false },
		{ "pods", "{\"items\": []}", "agents", "broken: on 0 of 2 nodes", true },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		json_t *facts = healthy();
		const char *said;

		set(facts, cases[i].key, cases[i].json);
		said = check_of(facts, cases[i].check);
		if (!NPT_CHECK(strncmp(said, cases[i].said, strlen(cases[i].said)) == 0))
			printf("%s: %s\n", cases[i].key, said);
		NPT_CHECK(is_broken(facts) == cases[i].is_broken);
		json_decref(facts);
	}
}

static const json_t *node_of(const json_t *report, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_object_get(report, "nodes"), i, entry)
	{
		if (strcmp(npt_cluster_text(entry, "node"), name) == 0)
			return entry;
	}
	return NULL;
}

static void a_node_says_its_layers_and_what_is_missing(void)
{
	json_t *facts = healthy(), *report = npt_examine(facts);
	const json_t *node = node_of(report, "n1");

	NPT_CHECK_STR(npt_cluster_text(node, "agent"), "connected");
	NPT_CHECK_STR(npt_cluster_text(node, "kernel"), "6.1.0");
	NPT_CHECK(json_is_true(npt_cluster_at(node, "layers/Operations")));
	NPT_CHECK(json_is_false(npt_cluster_at(node, "layers/TLS")));
	NPT_CHECK_STR(npt_cluster_text(node, "unavailable/protocol"), "needs 6.12");
	json_decref(report);
	json_decref(facts);
}

static void an_agent_that_is_not_there_says_why(void)
{
	json_t *facts = healthy(), *report;

	set(facts, "pods",
	    "{\"items\": [" POD("n1", "{\"ready\": false, \"state\": {\"waiting\": {\"reason\": "
				      "\"ImagePullBackOff\"}}}") "," POD("n3", READY) "]}");
	report = npt_examine(facts);
	NPT_CHECK_STR(npt_cluster_text(node_of(report, "n1"), "agent"), "not running");
	NPT_CHECK_STR(npt_cluster_text(node_of(report, "n1"), "detail"), "ImagePullBackOff");
	NPT_CHECK_STR(npt_cluster_text(node_of(report, "n2"), "agent"), "missing");
	NPT_CHECK_STR(npt_cluster_text(node_of(report, "n3"), "agent"), "not connected");
	json_decref(report);
	json_decref(facts);
}

static void one_reason_of_many_nodes_is_said_once(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536);
	json_t *facts = healthy(), *report = npt_examine(facts);

	npt_examine_append(&out, report, false);
	NPT_CHECK(strstr(out.data, "\nn1, n2: not measured: protocol (needs 6.12)\n"));
	NPT_CHECK(strstr(out.data, "CHECK"));
	NPT_CHECK(!strchr(out.data, '\033'));
	json_decref(report);
	json_decref(facts);
}

/* What the ConfigMap holds may be anything. */
static void strange_facts_are_survived(void)
{
	static const char *const kinds[] = {
		"{}",
		"{\"nodes\": [], \"kinds\": {}}",
		"{\"nodes\": {\"n1\": -1, \"n2\": 99}, \"kinds\": []}",
		"{\"nodes\": {\"n1\": \"x\"}, \"kinds\": [7]}",
		"{\"nodes\": {\"n1\": 0}, \"kinds\": [{\"layers\": 7,"
		"\"unavailable\": \"x\", \"version\": 1}]}",
		"{\"nodes\": {\"n1\": 0}, \"kinds\": [{\"layers\": [7],"
		"\"unavailable\": {\"a\": 5}}]}"
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(kinds); i++) {
		npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536);
		json_t *facts = healthy(), *report;

		set(facts, "kinds", kinds[i]);
		report = npt_examine(facts);
		npt_examine_append(&out, report, true);
		NPT_CHECK_INT(json_array_size(json_object_get(report, "nodes")), 2);
		json_decref(report);
		json_decref(facts);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(a_healthy_cluster_is_not_broken),
	NPT_TEST(each_thing_that_is_wrong_is_named),
	NPT_TEST(a_node_says_its_layers_and_what_is_missing),
	NPT_TEST(an_agent_that_is_not_there_says_why),
	NPT_TEST(one_reason_of_many_nodes_is_said_once),
	NPT_TEST(strange_facts_are_survived),
};
NPT_TEST_MAIN(tests)
