/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fact that may not be read is a warning that names the right that is missing, never a verdict on
 * what it would have said.
 */
#include "cli/examine.h"

#include <stdio.h>
#include <string.h>

#include "cli/cluster.h"
#include "lib/core/alloc.h"
#include "lib/model/channel.h"

static void add_check(json_t *report, const char *check, const char *state, const char *detail)
{
	(void)json_array_append_new(
		json_object_get(report, "checks"),
		json_pack("{s:s, s:s, s:s}", "check", check, "state", state, "detail", detail));
}

static const char *error_of(const json_t *fact)
{
	return json_string_value(json_object_get(fact, "error"));
}

static bool is_absent(const json_t *fact)
{
	return json_is_true(json_object_get(fact, "absent"));
}

static int count_at(const json_t *object, const char *path)
{
	return (int)json_integer_value(npt_cluster_at(object, path));
}

static void examine_server(json_t *report, const json_t *facts)
{
	const json_t *version = json_object_get(facts, "version");
	const json_t *resource = json_object_get(facts, "resource");

	if (error_of(version))
		add_check(report, "API server", "broken", error_of(version));
	else
		add_check(report, "API server", "ok", npt_cluster_text(version, "gitVersion"));
	if (!error_of(resource))
		add_check(report, "resource", "ok", "netprof.io/v1alpha1 NetworkProfilingTask");
	else
		add_check(report, "resource", "broken",
			  is_absent(resource)
				  ? "the cluster has no NetworkProfilingTask: helm install npt "
				    "helm/npt -n npt-system --create-namespace"
				  : error_of(resource));
}

/* Why a container is not running, in the kubelet's words; "" if it is. */
static const char *container_trouble(const json_t *pod)
{
	const json_t *statuses = npt_cluster_at(pod, "status/containerStatuses");
	size_t i;
	json_t *status;

	json_array_foreach(statuses, i, status)
	{
		const char *reason = npt_cluster_text(status, "state/waiting/reason");

		if (!reason[0])
			reason = npt_cluster_text(status, "state/terminated/reason");
		if (reason[0])
			return reason;
		if (!json_is_true(json_object_get(status, "ready")))
			return "NotReady";
	}
	return "";
}

static void examine_deployment(json_t *report, const json_t *facts, const char *name,
			       const char *without)
{
	const json_t *deployment = json_object_get(facts, name);
	int wanted = count_at(deployment, "spec/replicas");
	int ready = count_at(deployment, "status/readyReplicas");
	npt_auto_free char *detail = NULL;

	if (is_absent(deployment)) {
		add_check(report, name, strcmp(name, "controller") == 0 ? "broken" : "warning",
			  without);
		return;
	}
	if (error_of(deployment)) {
		add_check(report, name, "warning", error_of(deployment));
		return;
	}
	detail = npt_format("%d of %d pods are ready%s%s%s", ready, wanted,
			    ready < wanted || wanted == 0 ? ": kubectl describe deploy/npt-" : "",
			    ready < wanted || wanted == 0 ? name : "",
			    ready < wanted || wanted == 0 ? " -n npt-system" : "");
	add_check(report, name, ready >= wanted && wanted > 0 ? "ok" : "broken", detail);
}

static const json_t *pod_on(const json_t *facts, const char *node)
{
	const json_t *pods = npt_cluster_at(facts, "pods/items");
	size_t i;
	json_t *pod;

	json_array_foreach(pods, i, pod)
	{
		if (strcmp(npt_cluster_text(pod, "spec/nodeName"), node) == 0)
			return pod;
	}
	return NULL;
}

static const json_t *kind_of(const json_t *facts, const char *node)
{
	const json_t *number = json_object_get(npt_cluster_at(facts, "kinds/nodes"), node);

	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return NULL;
	return json_array_get(npt_cluster_at(facts, "kinds/kinds"),
			      (size_t)json_integer_value(number));
}

static void set_layers(json_t *entry, const json_t *kind)
{
	json_t *layers = json_object(), *said = json_object_get(kind, "layers");
	json_t *reasons = json_object_get(kind, "unavailable");

	for (unsigned int i = 0; i < NPT_LAYER_COUNT; i++) {
		const char *name = npt_layer_name((enum npt_layer)i);
		bool works = false;

		for (size_t k = 0; k < json_array_size(said); k++) {
			const char *text = json_string_value(json_array_get(said, k));

			works = works || (text && strcmp(text, name) == 0);
		}
		(void)json_object_set_new(layers, name, json_boolean(works));
	}
	(void)json_object_set_new(entry, "layers", layers);
	(void)json_object_set(entry, "unavailable", reasons);
	(void)json_object_set(entry, "version", json_object_get(kind, "version"));
	(void)json_object_set(entry, "kernel", json_object_get(kind, "kernel"));
}

/* The agent of a node: its pod first, then its connection. */
static void judge_agent(json_t *entry, const json_t *facts, const json_t *pod, const json_t *kind)
{
	bool pods_known = !error_of(json_object_get(facts, "pods"));
	bool kinds_known = !error_of(json_object_get(facts, "kinds"));
	const char *agent = "connected", *detail = "";

	if (pods_known && !pod) {
		agent = "missing";
		detail = "no agent's pod is on this node: agent.nodeSelector and agent.tolerations "
			 "of "
			 "the chart say where they run";
	} else if (pods_known && container_trouble(pod)[0]) {
		agent = "not running";
		detail = container_trouble(pod);
	} else if (kinds_known && !kind) {
		agent = "not connected";
		detail = "its pod runs, but the controller has no connection from it: kubectl logs "
			 "-n npt-system ds/npt-agent";
	} else if (!kind) {
		agent = pods_known ? "running" : "unknown";
	}
	(void)json_object_set_new(entry, "agent", json_string(agent));
	(void)json_object_set_new(entry, "detail", json_string(detail));
}

static bool has_node(const json_t *entries, const char *node)
{
	size_t i;
	json_t *entry;

	json_array_foreach(entries, i, entry)
	{
		if (strcmp(npt_cluster_text(entry, "node"), node) == 0)
			return true;
	}
	return false;
}

static void add_node(json_t *report, const json_t *facts, const char *node, const char *kernel)
{
	json_t *entries = json_object_get(report, "nodes"), *entry;
	const json_t *kind = kind_of(facts, node);

	if (node[0] == '\0' || has_node(entries, node))
		return;
	entry = json_pack("{s:s, s:s}", "node", node, "kernel", kernel);
	judge_agent(entry, facts, pod_on(facts, node), kind);
	if (kind)
		set_layers(entry, kind);
	(void)json_array_append_new(entries, entry);
}

/* All that somebody knows of: nodes, agents' pods, connections. */
static void examine_nodes(json_t *report, const json_t *facts)
{
	json_t *nodes = json_object_get(json_object_get(facts, "kinds"), "nodes"), *item;
	const char *name;
	size_t i;

	json_array_foreach(npt_cluster_at(facts, "nodes/items"), i, item)
		add_node(report, facts, npt_cluster_text(item, "metadata/name"),
			 npt_cluster_text(item, "status/nodeInfo/kernelVersion"));
	json_array_foreach(npt_cluster_at(facts, "pods/items"), i, item)
		add_node(report, facts, npt_cluster_text(item, "spec/nodeName"), "");
	json_object_foreach(nodes, name, item) add_node(report, facts, name, "");
}

static bool is_trouble(const json_t *entry)
{
	const char *agent = npt_cluster_text(entry, "agent");

	return strcmp(agent, "missing") == 0 || strcmp(agent, "not running") == 0 ||
	       strcmp(agent, "not connected") == 0;
}

static void examine_agents(json_t *report, const json_t *facts)
{
	const json_t *agents = json_object_get(facts, "agents");
	const json_t *entries = json_object_get(report, "nodes");
	npt_auto_free char *detail = NULL;
	size_t bad = 0, i;
	json_t *entry;

	if (is_absent(agents)) {
		add_check(report, "agents", "broken", "there is no DaemonSet npt-agent");
		return;
	}
	json_array_foreach(entries, i, entry) bad += is_trouble(entry);
	if (error_of(agents) && json_array_size(entries) == 0) {
		add_check(report, "agents", "warning", error_of(agents));
		return;
	}
	detail = npt_format("on %zu of %zu nodes%s", json_array_size(entries) - bad,
			    json_array_size(entries), bad ? "; see below" : "");
	add_check(report, "agents", bad ? "broken" : "ok", detail);
}

static void examine_rights(json_t *report, const json_t *facts)
{
	static const struct {
		const char *key, *words;
	} rights[] = {
		{ "create", "create tasks" },
		{ "get", "read tasks" },
		{ "patch", "end tasks" },
		{ "portforward", "reach the aggregation service (pods/portforward)" },
		{ "ca", "read its certificate (ConfigMap npt-ca)" },
	};
	const json_t *known = json_object_get(facts, "rights");
	char lacking[512] = "";

	for (size_t i = 0; i < NPT_ARRAY_SIZE(rights); i++) {
		size_t length = strlen(lacking);

		if (!json_is_true(json_object_get(known, rights[i].key)))
			(void)snprintf(lacking + length, sizeof(lacking) - length, "%s%s",
				       length ? ", " : "you may not: ", rights[i].words);
	}
	if (error_of(known))
		add_check(report, "your rights", "warning", error_of(known));
	else
		add_check(report, "your rights", lacking[0] ? "warning" : "ok",
			  lacking[0] ? lacking : "create, read and end tasks; reach the service");
}

static void examine_history(json_t *report, const json_t *facts)
{
	const json_t *history = json_object_get(facts, "history");

	add_check(report, "history", error_of(history) ? "warning" : "ok",
		  error_of(history) ? error_of(history)
				    : "the aggregation service answers, and knows you");
	if (error_of(json_object_get(facts, "kinds")))
		add_check(report, "layers", "warning", error_of(json_object_get(facts, "kinds")));
}

json_t *npt_examine(const json_t *facts)
{
	json_t *report = json_pack("{s:s, s:s, s:[], s:[]}", "kind", "Doctor", "apiVersion",
				   "netprof.io/v1alpha1", "checks", "nodes");

	examine_server(report, facts);
	examine_deployment(report, facts, "controller",
			   "there is no Deployment npt-controller in that namespace: is NPT "
			   "installed elsewhere (--npt-namespace)?");
	examine_deployment(report, facts, "aggregator",
			   "there is none (aggregator.enabled of the chart): results are the "
			   "summary in the status");
	examine_nodes(report, facts);
	examine_agents(report, facts);
	examine_rights(report, facts);
	examine_history(report, facts);
	return report;
}

bool npt_examine_is_broken(const json_t *report)
{
	size_t i;
	json_t *check;

	json_array_foreach(json_object_get(report, "checks"), i, check)
	{
		if (strcmp(npt_cluster_text(check, "state"), "broken") == 0)
			return true;
	}
	return false;
}
