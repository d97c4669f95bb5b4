/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's kind is kept as the text of its JSON: equal kinds have equal texts.
 */
#include "controller/nodes.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/core/clock.h"
#include "lib/core/alloc.h"
#include "lib/core/log.h"

#define PERIOD_NS  (2 * NPT_NS_PER_SECOND)
#define TROUBLE_NS (60 * NPT_NS_PER_SECOND)
#define KINDS_MAX  64
#define BYTES_MAX  (800U * 1024) /* an object of Kubernetes may have a MiB or so */
#define NODE_BYTES 8             /* of a node's line, beside its name */

void npt_nodes_done(struct npt_nodes *nodes)
{
	free(nodes->text);
}

/* The number of the text among the kinds, which grow by it; -1: there are too many. */
static int number_of(json_t *kinds, const char **texts, const char *text)
{
	size_t count = json_array_size(kinds);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(texts[i], text) == 0)
			return (int)i;
	}
	if (count == KINDS_MAX)
		return -1;
	texts[count] = text;
	(void)json_array_append_new(kinds, json_loads(text, 0, NULL));
	return (int)count;
}

char *npt_nodes_to_json(const struct npt_agents *agents)
{
	json_t *object = json_object(), *places = json_object(), *kinds = json_array();
	const char *texts[KINDS_MAX];
	size_t more = 0, bytes = 0;
	char *text;

	for (size_t i = 0; i < npt_agents_count(agents); i++) {
		const char *node = npt_agents_node_at(agents, i);
		const char *kind = npt_agents_kind(agents, node);
		size_t before = json_array_size(kinds);
		int number = kind && bytes < BYTES_MAX ? number_of(kinds, texts, kind) : -1;

		if (!kind)
			continue;
		if (number < 0) {
			more++;
			continue;
		}
		bytes += strlen(node) + NODE_BYTES;
		bytes += json_array_size(kinds) > before ? strlen(kind) : 0;
		(void)json_object_set_new(places, node, json_integer(number));
	}
	(void)json_object_set_new(object, "nodes", places);
	(void)json_object_set_new(object, "kinds", kinds);
	if (more > 0)
		(void)json_object_set_new(object, "more", json_integer((json_int_t)more));
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

void npt_nodes_publish(struct npt_nodes *nodes, const struct npt_agents *agents,
		       struct npt_api *api, const char *namespace_name)
{
	uint64_t now_ns = npt_clock_boottime_ns(), version = npt_agents_version(agents);
	npt_auto_free char *path = NULL;
	npt_auto_free char *text = NULL;

	if (now_ns < nodes->next_ns || (nodes->text && nodes->version == version))
		return;
	nodes->next_ns = now_ns + PERIOD_NS;
	nodes->version = version;
	text = npt_nodes_to_json(agents);
	if (nodes->text && strcmp(nodes->text, text) == 0)
		return;
	path = npt_format("/api/v1/namespaces/%s/configmaps/npt-nodes", namespace_name);
	if (npt_api_publish(api, path, json_pack("{s:{s:s}}", "data", "nodes.json", text)) < 0)
		return;
	free(nodes->text);
	nodes->text = npt_take(text);
}

void npt_nodes_published(struct npt_nodes *nodes, const struct npt_event *event)
{
	if (event->outcome == NPT_KUBE_OK)
		return;
	free(npt_take(nodes->text));
	nodes->next_ns = npt_clock_boottime_ns() + TROUBLE_NS;
	npt_log_warning("what the nodes can do is not published; it is tried again", "error",
			event->text);
}
