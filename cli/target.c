/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload is measured by its selector, not by the pods that it has now: so those that come while
 * the task runs are measured, too.
 */
#include "cli/target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/selector.h"
#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/net/http_client.h"

#define NAME_PREFIX_MAX                                                                            \
	50 /* generateName adds 5 characters; names may have 63 to be labels, too                  \
	    */

struct kind {
	const char *words[5];
	const char *group; /* of its path */
	const char *plural;
};

static const struct kind kinds[] = {
	{ { "pod", "pods", "po", NULL }, "/api/v1", NULL },
	{ { "deploy", "deployment", "deployments", "deployments.apps", NULL },
	  "/apis/apps/v1",
	  "deployments" },
	{ { "svc", "service", "services", NULL }, "/api/v1", "services" },
	{ { "sts", "statefulset", "statefulsets", NULL }, "/apis/apps/v1", "statefulsets" },
	{ { "ds", "daemonset", "daemonsets", NULL }, "/apis/apps/v1", "daemonsets" },
};

static const struct kind *find_kind(const char *word, size_t length)
{
	for (size_t i = 0; i < NPT_ARRAY_SIZE(kinds); i++) {
		for (size_t k = 0; kinds[i].words[k]; k++) {
			if (strlen(kinds[i].words[k]) == length &&
			    strncmp(kinds[i].words[k], word, length) == 0)
				return &kinds[i];
		}
	}
	return NULL;
}

int npt_target_parse_word(const char *word, const char **group_ret, const char **plural_ret,
			  const char **name_ret, struct npt_error *err)
{
	const char *slash = strchr(word, '/');
	const struct kind *kind = slash ? find_kind(word, (size_t)(slash - word)) : &kinds[0];
	const char *name = slash ? slash + 1 : word;

	if (!kind)
		return npt_error_set(err, EINVAL,
				     "'%.100s' cannot be measured: name a pod, deploy/NAME, "
				     "svc/NAME, sts/NAME or ds/NAME",
				     word);
	if (!npt_cluster_is_name(name))
		return npt_error_set(err, EINVAL, "'%.100s' is no name of an object", name);
	*group_ret = kind->group;
	*plural_ret = kind->plural;
	*name_ret = name;
	return 0;
}

static void set_name(struct npt_target_words *target, const char *name)
{
	size_t length = strcspn(name, ".");

	(void)snprintf(target->name, sizeof(target->name), "%.*s",
		       (int)(length < NAME_PREFIX_MAX ? length : NAME_PREFIX_MAX), name);
}

static int find_pods(struct npt_cluster *cluster, struct npt_target_words *target,
		     struct npt_error *err)
{
	const struct npt_cli_options *options = cluster->options;
	json_t *names = json_array();

	target->target = json_pack("{s:o}", "podNames", names);
	for (size_t i = 0; i < options->arguments_count; i++) {
		const char *group, *plural, *name;
		int r = npt_target_parse_word(options->arguments[i], &group, &plural, &name, err);

		if (r == 0 && plural)
			r = npt_error_set(err, EINVAL,
					  "'%.100s' stands alone: one workload, or pods by name",
					  options->arguments[i]);
		if (r == 0)
			r = npt_cluster_get(cluster, "find the pod", NULL, err,
					    "/api/v1/namespaces/%s/pods/%s",
					    cluster->namespace_name, name);
		/* Who may not read pods may profile them all the same. */
		if (r == NPT_KUBE_NOT_FOUND)
			return npt_error_set(err, ENOENT,
					     "there is no pod %s in namespace %s; see: kubectl get "
					     "pods -n %s",
					     name, cluster->namespace_name,
					     cluster->namespace_name);
		if (r < 0)
			return r;
		if (i == 0)
			set_name(target, name);
		(void)json_array_append_new(names, json_string(name));
	}
	return 0;
}

static int find_workload(struct npt_cluster *cluster, struct npt_target_words *target,
			 struct npt_error *err)
{
	const char *group, *plural, *name, *word = cluster->options->arguments[0];
	json_t *object = NULL, *selector;
	int r = npt_target_parse_word(word, &group, &plural, &name, err);

	if (r < 0)
		return r;
	r = npt_cluster_get(cluster, "read its selector", &object, err, "%s/namespaces/%s/%s/%s",
			    group, cluster->namespace_name, plural, name);
	if (r == NPT_KUBE_NOT_FOUND)
		return npt_error_set(err, ENOENT, "there is no %s in namespace %s", word,
				     cluster->namespace_name);
	if (r != 0)
		return r < 0 ? r : -EIO;
	selector = json_deep_copy(npt_cluster_at(object, "spec/selector"));
	json_decref(object);
	if (json_object_size(selector) == 0) {
		json_decref(selector);
		return npt_error_set(err, EINVAL, "%s selects no pods by labels: name pods, or -l",
				     word);
	}
	if (strcmp(plural, "services") == 0)
		selector = json_pack("{s:o}", "matchLabels", selector);
	target->target = json_pack("{s:o}", "podSelector", selector);
	set_name(target, name);
	return 0;
}

static int find_labels(struct npt_cluster *cluster, struct npt_target_words *target,
		       struct npt_error *err)
{
	json_t *selector = NULL;
	int r = npt_selector_parse(cluster->options->selector, &selector, err);

	if (r < 0)
		return r;
	target->target = json_pack("{s:o}", "podSelector", selector);
	set_name(target, "npt");
	return 0;
}

int npt_target_resolve(struct npt_cluster *cluster, struct npt_target_words *target_ret,
		       struct npt_error *err)
{
	const struct npt_cli_options *options = cluster->options;
	struct npt_target_words target = { .target = NULL };
	const char *group, *plural = NULL, *name;
	int r;

	if (options->selector)
		r = find_labels(cluster, &target, err);
	else if (options->arguments_count == 1 &&
		 npt_target_parse_word(options->arguments[0], &group, &plural, &name, NULL) == 0 &&
		 plural)
		r = find_workload(cluster, &target, err);
	else
		r = find_pods(cluster, &target, err);
	if (r == 0 && options->containers[0]) {
		json_t *containers = json_array();

		for (size_t i = 0; i < NPT_CLI_CONTAINERS_MAX && options->containers[i]; i++)
			(void)json_array_append_new(containers,
						    json_string(options->containers[i]));
		(void)json_object_set_new(target.target, "containers", containers);
	}
	if (r == 0)
		*target_ret = target;
	else
		json_decref(target.target);
	return r;
}

/* The text form again, for the API server's query. */
static void append_selector(struct npt_buffer *out, const json_t *selector)
{
	json_t *value;
	const char *key;
	size_t i;

	json_object_foreach(json_object_get(selector, "matchLabels"), key, value)(void)
		npt_buffer_appendf(out, "%s%s=%s", out->size_bytes ? "," : "", key,
				   json_string_value(value));
	json_array_foreach(json_object_get(selector, "matchExpressions"), i, value)
	{
		const char *operator= npt_cluster_text(value, "operator");
		const json_t *values = json_object_get(value, "values");

		(void)npt_buffer_appendf(out, "%s%s%s", out->size_bytes ? "," : "",
					 strcmp(operator, "DoesNotExist") == 0 ? "!" : "",
					 npt_cluster_text(value, "key"));
		if (json_array_size(values) == 0)
			continue;
		(void)npt_buffer_append_text(out,
					     strcmp(operator, "In") == 0 ? " in (" : " notin (");
		for (size_t k = 0; k < json_array_size(values); k++)
			(void)npt_buffer_appendf(out, "%s%s", k ? "," : "",
						 json_string_value(json_array_get(values, k)));
		(void)npt_buffer_append_text(out, ")");
	}
}

int npt_target_count(struct npt_cluster *cluster, const json_t *target)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(16384);
	npt_auto_free char *query = NULL;
	const json_t *selector = json_object_get(target, "podSelector");
	json_t *list = NULL;
	int count = -1;

	if (!selector)
		return (int)json_array_size(json_object_get(target, "podNames"));
	append_selector(&text, selector);
	query = npt_http_escape(text.data ? text.data : "");
	if (npt_cluster_get(cluster, "see the pods", &list, NULL,
			    "/api/v1/namespaces/%s/pods?limit=100&labelSelector=%s",
			    cluster->namespace_name, query) == 0)
		count = (int)json_array_size(json_object_get(list, "items"));
	json_decref(list);
	return count;
}
