/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lanes, each with a thread and a connection: a server that asks us to wait with our writes
 * does not keep agents out. Names are cached for half a minute, so that a thousand agents that ask
 * for the same address cost one call; there is no cache of all pods.
 */
#include "controller/api.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/strmap.h"
#include "lib/kube/review.h"
#include "lib/net/http_client.h"

#define JOBS_MAX    4096
#define NAMES_MAX   20000
#define NAME_FOR_NS (30 * NPT_NS_PER_SECOND)
#define AUDIENCE    "npt-controller"

enum job_kind { JOB_REVIEW, JOB_WRITE, JOB_PUBLISH, JOB_RESOLVE };

struct job {
	enum job_kind kind;
	uint64_t socket;
	char *token;
	char *path;
	char uid[NPT_UID_BYTES];
	json_t *patch;
	struct npt_channel_message *resolve;
};

struct cached_name {
	struct npt_resolved_name name;
	uint64_t until_ns;
};

enum lane_id { LANE_QUESTIONS, LANE_WRITES, LANE_COUNT };

struct lane {
	struct npt_api *api;
	struct npt_kube_client *client;
	struct npt_queue *jobs;
	pthread_t thread;
	bool running;
};

struct npt_api {
	struct lane lanes[LANE_COUNT];
	struct npt_queue *events;
	struct npt_strmap *names; /* of the questions' lane */
	char *agent_user;
};

static void free_job(void *item)
{
	struct job *job = item;

	json_decref(job->patch);
	npt_channel_message_free(job->resolve);
	free(job->token);
	free(job->path);
	free(job);
}

/* Who says so is an agent, on the node that its token names. */
static void review(struct npt_api *api, const struct job *job)
{
	struct npt_event *event = npt_event_new(NPT_EVENT_REVIEWED);
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free struct npt_identity *identity = npt_alloc(1, sizeof(*identity));

	event->socket = job->socket;
	event->outcome = npt_token_review(api->lanes[LANE_QUESTIONS].client, job->token, AUDIENCE,
					  identity, &err);
	if (event->outcome == 0 && strcmp(identity->username, api->agent_user) != 0)
		event->outcome = npt_error_set(&err, EACCES, "%.200s is no agent (%.200s)",
					       identity->username, api->agent_user);
	if (event->outcome == 0 && identity->node_name[0] == '\0')
		event->outcome = npt_error_set(&err, EACCES,
					       "the token names no node: it is not a pod's, or the "
					       "cluster is older than 1.30");
	event->text = npt_strdup(event->outcome == 0 ? identity->node_name : err.text);
	npt_event_push(api->events, event);
}

static void write_patch(struct npt_api *api, const struct job *job)
{
	struct npt_event *event =
		npt_event_new(job->kind == JOB_WRITE ? NPT_EVENT_WRITTEN : NPT_EVENT_PUBLISHED);
	struct npt_error err = NPT_ERROR_NONE;

	memcpy(event->uid, job->uid, sizeof(event->uid));
	event->outcome = npt_kube_call(api->lanes[LANE_WRITES].client, "PATCH", job->path,
				       job->patch, NULL, &err);
	event->text = npt_strdup(err.text);
	npt_event_push(api->events, event);
}

/* The first item of a list that a field selector finds; NULL if there is none. */
static json_t *find_one(struct npt_api *api, const char *resource, const char *field,
			const char *value, json_t **list_ret)
{
	npt_auto_free char *escaped = npt_http_escape(value);
	npt_auto_free char *path =
		npt_format("/api/v1/%s?fieldSelector=%s%%3D%s&limit=2", resource, field, escaped);
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_kube_call(api->lanes[LANE_QUESTIONS].client, "GET", path, NULL, list_ret, &err) !=
	    0) {
		npt_log_debug("cannot look an address up", "error", err.text);
		return NULL;
	}
	return json_array_get(json_object_get(*list_ret, "items"), 0);
}

static void take_name(struct npt_resolved_name *name, enum npt_peer_kind kind, const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *namespace_name = json_string_value(json_object_get(metadata, "namespace"));
	const char *text = json_string_value(json_object_get(metadata, "name"));

	name->kind = kind;
	(void)snprintf(name->namespace_name, sizeof(name->namespace_name), "%s",
		       namespace_name ? namespace_name : "");
	(void)snprintf(name->name, sizeof(name->name), "%s", text ? text : "");
}

/* A node's address is also that of its host-network pods, so the node's name stands for them. */
static void look_up(struct npt_api *api, struct npt_resolved_name *name)
{
	json_t *list = NULL, *item = find_one(api, "pods", "status.podIP", name->address, &list);
	const json_t *spec = json_object_get(item, "spec");
	const char *node = json_string_value(json_object_get(spec, "nodeName"));

	name->kind = NPT_PEER_ADDRESS;
	if (item && json_is_true(json_object_get(spec, "hostNetwork"))) {
		name->kind = NPT_PEER_NODE;
		(void)snprintf(name->name, sizeof(name->name), "%s", node ? node : "");
	} else if (item) {
		take_name(name, NPT_PEER_POD, item);
	}
	json_decref(list);
	if (name->kind != NPT_PEER_ADDRESS)
		return;
	list = NULL;
	item = find_one(api, "services", "spec.clusterIP", name->address, &list);
	if (item)
		take_name(name, NPT_PEER_SERVICE, item);
	json_decref(list);
}

static void name_address(struct npt_api *api, struct npt_resolved_name *name)
{
	struct cached_name *cached = npt_strmap_get(api->names, name->address);
	uint64_t now = npt_clock_boottime_ns();

	if (cached && now < cached->until_ns) {
		*name = cached->name;
		return;
	}
	look_up(api, name);
	if (npt_strmap_count(api->names) >= NAMES_MAX) {
		npt_strmap_free(api->names);
		api->names = npt_strmap_new(NAMES_MAX, free);
	}
	cached = npt_alloc(1, sizeof(*cached));
	cached->name = *name;
	cached->until_ns = now + NAME_FOR_NS;
	if (npt_strmap_set(api->names, name->address, cached) < 0)
		free(cached);
}

static void resolve(struct npt_api *api, const struct job *job)
{
	struct npt_event *event = npt_event_new(NPT_EVENT_NAMED);
	struct npt_channel_message *names = npt_channel_message_new(NPT_CHANNEL_NAMES);

	names->names = npt_alloc(job->resolve->addresses_count, sizeof(*names->names));
	names->names_count = job->resolve->addresses_count;
	for (size_t i = 0; i < names->names_count; i++) {
		memcpy(names->names[i].address, job->resolve->addresses[i], NPT_ADDRESS_BYTES);
		name_address(api, &names->names[i]);
	}
	event->socket = job->socket;
	event->message = names;
	npt_event_push(api->events, event);
}

static void *work(void *context)
{
	struct lane *lane = context;
	struct job *job;

	while ((job = npt_queue_wait(lane->jobs, -1))) {
		if (job->kind == JOB_REVIEW)
			review(lane->api, job);
		else if (job->kind == JOB_RESOLVE)
			resolve(lane->api, job);
		else
			write_patch(lane->api, job);
		free_job(job);
	}
	return NULL;
}

static int start_lane(struct npt_api *api, struct lane *lane, const struct npt_kube_config *config,
		      struct npt_error *err)
{
	int r = npt_kube_client_new(&lane->client, config, err);

	lane->api = api;
	lane->jobs = npt_queue_new(JOBS_MAX, free_job);
	if (r < 0)
		return r;
	if (pthread_create(&lane->thread, NULL, work, lane) != 0)
		return npt_error_set(err, EAGAIN, "cannot start a thread");
	lane->running = true;
	return 0;
}

int npt_api_start(struct npt_api **api_ret, const struct npt_kube_config *config,
		  struct npt_queue *events, const char *agent_account, struct npt_error *err)
{
	npt_auto(npt_api_free) struct npt_api *api = npt_alloc(1, sizeof(*api));

	api->events = events;
	api->agent_user =
		npt_format("system:serviceaccount:%s:%s", config->namespace_name, agent_account);
	api->names = npt_strmap_new(NAMES_MAX, free);
	for (size_t i = 0; i < LANE_COUNT; i++) {
		int r = start_lane(api, &api->lanes[i], config, err);

		if (r < 0)
			return r;
	}
	*api_ret = npt_take(api);
	return 0;
}

static void end_lane(struct lane *lane)
{
	if (lane->client)
		npt_kube_client_cancel(lane->client);
	if (lane->jobs)
		npt_queue_close(lane->jobs);
	if (lane->running)
		(void)pthread_join(lane->thread, NULL);
	npt_queue_free(lane->jobs);
	npt_kube_client_free(lane->client);
}

void npt_api_free(struct npt_api *api)
{
	if (!api)
		return;
	for (size_t i = 0; i < LANE_COUNT; i++)
		end_lane(&api->lanes[i]);
	npt_strmap_free(api->names);
	free(api->agent_user);
	free(api);
}

static int push(struct npt_api *api, enum lane_id lane, struct job *job)
{
	int r = npt_queue_push(api->lanes[lane].jobs, job);

	if (r < 0)
		free_job(job);
	return r;
}

int npt_api_review(struct npt_api *api, uint64_t socket, const char *token)
{
	struct job *job = npt_alloc(1, sizeof(*job));

	*job = (struct job){ .kind = JOB_REVIEW, .socket = socket, .token = npt_strdup(token) };
	return push(api, LANE_QUESTIONS, job);
}

int npt_api_write_status(struct npt_api *api, const struct npt_task *task, json_t *patch)
{
	struct job *job = npt_alloc(1, sizeof(*job));

	*job = (struct job){ .kind = JOB_WRITE, .patch = patch };
	memcpy(job->uid, task->uid, sizeof(job->uid));
	job->path = npt_format(
		"/apis/netprof.io/v1alpha1/namespaces/%s/networkprofilingtasks/%s/status",
		task->namespace_name, task->name);
	return push(api, LANE_WRITES, job);
}

int npt_api_publish(struct npt_api *api, const char *path, json_t *patch)
{
	struct job *job = npt_alloc(1, sizeof(*job));

	*job = (struct job){ .kind = JOB_PUBLISH, .patch = patch, .path = npt_strdup(path) };
	return push(api, LANE_WRITES, job);
}

int npt_api_resolve(struct npt_api *api, uint64_t socket, struct npt_channel_message *message)
{
	struct job *job = npt_alloc(1, sizeof(*job));

	*job = (struct job){ .kind = JOB_RESOLVE, .socket = socket, .resolve = message };
	return push(api, LANE_QUESTIONS, job);
}
