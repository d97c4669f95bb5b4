/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/kube as a program, for test_kube.py: says in lines what a reflector tells its owner, or what
 * one call returns.
 *
 *	npt-test-kube KUBECONFIG watch PATH SELECTOR KIND BACKOFF_MS MAX_OBJECTS   until stdin ends
 *	npt-test-kube KUBECONFIG call METHOD PATH [BODY]
 *	npt-test-kube KUBECONFIG review TOKEN AUDIENCE
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/parse.h"
#include "lib/kube/client.h"
#include "lib/kube/reflector.h"
#include "lib/kube/review.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void on_object(void *context, json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");

	(void)context;
	printf("object %s/%s %s %s%s\n", text_of(metadata, "namespace"), text_of(metadata, "name"),
	       text_of(metadata, "uid"), text_of(metadata, "resourceVersion"),
	       json_object_get(metadata, "managedFields") ? " managed" : "");
}

static void on_delete(void *context, const char *namespace_name, const char *name, const char *uid)
{
	(void)context;
	printf("delete %s/%s %s\n", namespace_name, name, uid);
}

static void on_synced(void *context)
{
	(void)context;
	printf("synced\n");
}

static void on_trouble(void *context, const char *text)
{
	(void)context;
	printf("trouble %s\n", text);
}

static int watch(const struct npt_kube_config *config, char **arguments)
{
	struct npt_reflector_options options = {
		.config = config,
		.path = arguments[0],
		.selector = arguments[1][0] ? arguments[1] : NULL,
		.kind = arguments[2][0] ? arguments[2] : NULL,
		.on_object = on_object,
		.on_delete = on_delete,
		.on_synced = on_synced,
		.on_trouble = on_trouble,
	};
	struct npt_reflector *reflector = NULL;
	struct npt_reflector_stats stats;
	struct npt_error err = NPT_ERROR_NONE;
	uint64_t max_objects = 0;
	char byte;

	if (npt_parse_u64(arguments[3], 0, 60000, &options.backoff_ms_first) < 0 ||
	    npt_parse_u64(arguments[4], 0, 100000, &max_objects) < 0)
		return 2;
	options.max_objects = (size_t)max_objects;
	if (npt_reflector_start(&reflector, &options, &err) < 0) {
		printf("failed %s\n", err.text);
		return 1;
	}
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	npt_reflector_stats(reflector, &stats);
	npt_reflector_free(reflector);
	printf("stats lists=%llu watches=%llu short=%llu failures=%llu events=%llu skipped=%llu\n",
	       (unsigned long long)stats.lists, (unsigned long long)stats.watches,
	       (unsigned long long)stats.short_watches, (unsigned long long)stats.failures,
	       (unsigned long long)stats.events, (unsigned long long)stats.skipped);
	return 0;
}

static int call(struct npt_kube_client *client, char **arguments, int count)
{
	json_t *body = count > 2 ? json_loads(arguments[2], 0, NULL) : NULL, *object = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_kube_call(client, arguments[0], arguments[1], body, &object, &err);

	printf("outcome %d %s\n", r, err.text);
	if (object)
		(void)json_dumpf(object, stdout, JSON_COMPACT);
	json_decref(object);
	json_decref(body);
	return 0;
}

static int review(struct npt_kube_client *client, char **arguments)
{
	static struct npt_identity identity;
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto(npt_review_cache_free) struct npt_review_cache *cache =
		npt_review_cache_new(4, 60000, NULL);
	int r = npt_token_review_cached(cache, client, arguments[0], arguments[1], &identity, &err);
	struct npt_access access = {
		.verb = "get",
		.group = "netprof.io",
		.resource = "networkprofilingtasks",
		.namespace_name = "shop",
		.name = "",
	};

	printf("review %d %s\n", r, err.text);
	if (r != 0)
		return 0;
	r = npt_token_review_cached(cache, client, arguments[0], arguments[1], &identity, &err);
	printf("again %d\n", r);
	printf("identity %s %s %s %s\n", identity.username, identity.node_name, identity.pod_name,
	       identity.groups[0]);
	r = npt_access_review(client, &identity, &access, &err);
	printf("access %d %s\n", r, err.text);
	return 0;
}

int main(int argc, char **argv)
{
	npt_auto(npt_kube_config_done) struct npt_kube_config config = { 0 };
	npt_auto(npt_kube_client_free) struct npt_kube_client *client = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 5 || npt_kube_config_load(&config, argv[1], "npt-test", &err) < 0 ||
	    npt_kube_client_new(&client, &config, &err) < 0) {
		printf("failed %s\n", err.text);
		return 1;
	}
	if (strcmp(argv[2], "watch") == 0 && argc == 8)
		return watch(&config, argv + 3);
	if (strcmp(argv[2], "call") == 0)
		return call(client, argv + 3, argc - 3);
	if (strcmp(argv[2], "review") == 0)
		return review(client, argv + 3);
	return 2;
}
