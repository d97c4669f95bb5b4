/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks for everything, whatever fails; what it means is examine.c's.
 */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/examine.h"
#include "cli/print.h"
#include "cli/service.h"
#include "cli/terminal.h"
#include "lib/core/alloc.h"

#define OUTPUT_BYTES_MAX (16UL * 1024 * 1024)

/* "cannot WHAT: ..." or the object itself. */
static void set_fact(json_t *facts, const char *name, int r, json_t *object,
		     const struct npt_error *err)
{
	if (r == 0) {
		(void)json_object_set_new(facts, name, object);
		return;
	}
	(void)json_object_set_new(facts, name,
				  json_pack("{s:s, s:b}", "error", err->text, "absent",
					    r == NPT_KUBE_NOT_FOUND || r == -ENOENT));
}

static void ask(struct npt_cluster *cluster, json_t *facts, const char *name, const char *what,
		const char *path_format)
{
	npt_auto_free char *path = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	const char *place = strstr(path_format, "NAMESPACE");
	json_t *object = NULL;
	int r;

	if (place)
		path = npt_format("%.*s%s%s", (int)(place - path_format), path_format,
				  cluster->options->system_namespace, place + strlen("NAMESPACE"));
	else
		path = npt_strdup(path_format);
	r = npt_cluster_call(cluster, what, "GET", path, NULL, &object, &err);
	set_fact(facts, name, r, object, &err);
}

/* Of thousands only what is looked at. */
static json_t *keep_node(const json_t *node)
{
	return json_pack("{s:{s:s}, s:{s:{s:s}}}", "metadata", "name",
			 npt_cluster_text(node, "metadata/name"), "status", "nodeInfo",
			 "kernelVersion", npt_cluster_text(node, "status/nodeInfo/kernelVersion"));
}

static json_t *keep_pod(const json_t *pod)
{
	json_t *statuses = json_deep_copy(npt_cluster_at(pod, "status/containerStatuses"));

	return json_pack("{s:{s:s}, s:{s:o}}", "spec", "nodeName",
			 npt_cluster_text(pod, "spec/nodeName"), "status", "containerStatuses",
			 statuses ? statuses : json_array());
}

static void ask_all(struct npt_cluster *cluster, json_t *facts, const char *name, const char *what,
		    const char *path, const char *selector, json_t *(*keep)(const json_t *object))
{
	struct npt_error err = NPT_ERROR_NONE;
	json_t *items = NULL;
	int r = npt_cluster_list(cluster, what, path, selector, keep, &items, &err);

	set_fact(facts, name, r, r == 0 ? json_pack("{s:o}", "items", items) : NULL, &err);
}

/* What the agents said, out of the text in the ConfigMap. */
static void ask_kinds(struct npt_cluster *cluster, json_t *facts)
{
	struct npt_error err = NPT_ERROR_NONE;
	json_t *map = NULL, *kinds = NULL;
	int r = npt_cluster_get(cluster, "read what the agents say of their nodes", &map, &err,
				"/api/v1/namespaces/%s/configmaps/npt-nodes",
				cluster->options->system_namespace);

	if (r == 0) {
		const char *text = npt_cluster_text(json_object_get(map, "data"), "nodes.json");

		kinds = json_loads(text, 0, NULL);
		if (!json_is_object(kinds))
			r = npt_error_set(&err, EBADMSG,
					  "the controller has not published yet what the nodes can "
					  "do (ConfigMap npt-nodes)");
	}
	json_decref(map);
	if (r != 0)
		json_decref(kinds);
	set_fact(facts, "kinds", r, kinds, &err);
}

struct right {
	const char *key, *verb, *group, *resource, *subresource, *name;
	bool of_system; /* in NPT's namespace */
};

static bool may(struct npt_cluster *cluster, const struct right *right, struct npt_error *err)
{
	const char *place =
		right->of_system ? cluster->options->system_namespace : cluster->namespace_name;
	json_t *review = json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s, s:s, s:s, s:s}}}", "apiVersion",
				   "authorization.k8s.io/v1", "kind", "SelfSubjectAccessReview",
				   "spec", "resourceAttributes", "namespace", place, "verb",
				   right->verb, "group", right->group, "resource", right->resource,
				   "subresource", right->subresource, "name", right->name);
	json_t *answer = NULL;
	bool allowed = npt_cluster_call(cluster, "ask what you may do", "POST",
					"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
					review, &answer, err) == 0 &&
		       json_is_true(npt_cluster_at(answer, "status/allowed"));

	json_decref(answer);
	json_decref(review);
	return allowed;
}

static void ask_rights(struct npt_cluster *cluster, json_t *facts)
{
	static const struct right rights[] = {
		{ "create", "create", "netprof.io", "networkprofilingtasks", "", "", false },
		{ "get", "get", "netprof.io", "networkprofilingtasks", "", "", false },
		{ "patch", "patch", "netprof.io", "networkprofilingtasks", "", "", false },
		{ "portforward", "create", "", "pods", "portforward", "", true },
		{ "ca", "get", "", "configmaps", "", "npt-ca", true },
	};
	struct npt_error err = NPT_ERROR_NONE;
	json_t *known = json_object();

	for (size_t i = 0; i < NPT_ARRAY_SIZE(rights); i++)
		(void)json_object_set_new(known, rights[i].key,
					  json_boolean(may(cluster, &rights[i], &err)));
	if (err.code)
		(void)json_object_set_new(known, "error", json_string(err.text));
	(void)json_object_set_new(facts, "rights", known);
}

static void ask_history(struct npt_cluster *cluster, json_t *facts)
{
	npt_auto(npt_service_close) struct npt_service service = { .forward = NPT_CHILD_NONE };
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free char *body = NULL;
	npt_auto_free char *path =
		npt_format("/v1/tasks?limit=1&namespace=%s", cluster->namespace_name);
	size_t size = 0;
	int r = npt_service_open(&service, cluster, &err);

	if (r == 0)
		r = npt_service_get(&service, path, &body, &size, &err);
	set_fact(facts, "history", r, r == 0 ? json_object() : NULL, &err);
}

static json_t *gather(struct npt_cluster *cluster)
{
	npt_auto_free char *pods =
		npt_format("/api/v1/namespaces/%s/pods", cluster->options->system_namespace);
	json_t *facts = json_object();

	ask(cluster, facts, "version", "ask the API server for its version", "/version");
	ask(cluster, facts, "resource", "see the resource", "/apis/netprof.io/v1alpha1");
	ask(cluster, facts, "controller", "see the controller",
	    "/apis/apps/v1/namespaces/NAMESPACE/deployments/npt-controller");
	ask(cluster, facts, "aggregator", "see the aggregation service",
	    "/apis/apps/v1/namespaces/NAMESPACE/deployments/npt-aggregator");
	ask(cluster, facts, "agents", "see the agents",
	    "/apis/apps/v1/namespaces/NAMESPACE/daemonsets/npt-agent");
	ask_all(cluster, facts, "pods", "see the agents' pods", pods,
		"labelSelector=app.kubernetes.io%2Fname%3Dnpt-agent", keep_pod);
	ask_all(cluster, facts, "nodes", "see the nodes", "/api/v1/nodes", NULL, keep_node);
	ask_kinds(cluster, facts);
	ask_rights(cluster, facts);
	ask_history(cluster, facts);
	return facts;
}

static int print(const json_t *report, enum npt_cli_output output, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(OUTPUT_BYTES_MAX);

	if (output != NPT_CLI_TABLE)
		return npt_print_tree(report, output, err);
	npt_examine_append(&out, report, npt_terminal_has_colour(stdout));
	return npt_print_text(out.data, out.size_bytes, err);
}

int npt_command_doctor(const struct npt_cli_options *options, struct npt_error *err)
{
	npt_auto(npt_cluster_close) struct npt_cluster cluster = { .proxy = NPT_CHILD_NONE };
	json_t *facts, *report;
	int r;

	if (!npt_cluster_is_name(options->system_namespace))
		return npt_error_set(err, EINVAL, "'%.60s' is no name of a namespace",
				     options->system_namespace);
	r = npt_cluster_open(&cluster, options, err);
	if (r < 0)
		return r;
	facts = gather(&cluster);
	report = npt_examine(facts);
	r = print(report, options->output, err);
	if (r == 0 && npt_examine_is_broken(report))
		r = NPT_CLI_ERROR;
	json_decref(report);
	json_decref(facts);
	return r;
}
