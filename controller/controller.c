/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread owns everything and sleeps on one queue. Whatever happens makes a task dirty; a dirty
 * task is reconciled at once, and every task that is not over once a second. Status is written at
 * most once a second per task, and only if it differs from what was written last.
 *
 * Agents get the whole wanted state of their node whenever it changes, and again every ten seconds,
 * so nothing depends on one message.
 */
#include "controller/controller.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/agents.h"
#include "controller/api.h"
#include "controller/ingest.h"
#include "controller/nodes.h"
#include "controller/status.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/strmap.h"
#include "lib/kube/reflector.h"
#include "lib/net/health.h"
#include "lib/net/http_client.h"

#define EVENTS_MAX      8192
#define TASKS_MAX       2000
#define PATH_TASKS      "/apis/netprof.io/v1alpha1/networkprofilingtasks"
#define AGAIN_PERIOD_NS (10 * NPT_NS_PER_SECOND)

/* A task with the watch of its pods. */
struct entry {
	struct controller *controller;
	struct npt_task_run *run;
	struct npt_reflector *pods; /* while the task is not over */
};

struct controller {
	const struct npt_controller_options *options;
	struct npt_kube_config config;
	struct npt_queue *events;
	struct npt_agents *agents;
	struct npt_nodes nodes;
	struct npt_api *api;
	struct npt_reflector *tasks_reflector;
	struct npt_server *health;
	struct npt_strmap *tasks; /* uid -> entry */
	struct npt_ingest ingest;
	uint64_t again_ns;
	atomic_bool synced; /* of the health server: the tasks were listed */
	bool tasks_known;   /* the same, and what was listed has been taken */
};

static atomic_bool stop_asked;

static void ask_stop(int signal_number)
{
	(void)signal_number;
	atomic_store(&stop_asked, true);
}

static void free_entry(void *item)
{
	struct entry *entry = item;

	npt_reflector_free(entry->pods);
	npt_task_run_free(entry->run);
	free(entry);
}

/* --- reflectors' threads --- */

static void on_task(void *context, json_t *object)
{
	struct controller *controller = context;
	struct npt_event *event = npt_event_new(NPT_EVENT_TASK);
	struct npt_error err = NPT_ERROR_NONE;

	event->task = npt_alloc(1, sizeof(*event->task));
	if (npt_task_from_json(object, event->task, &err) < 0) {
		npt_log_warning("task is not understood", "error", err.text);
		npt_event_free(event);
		return;
	}
	npt_event_push(controller->events, event);
}

static void on_task_deleted(void *context, const char *namespace_name, const char *name,
			    const char *uid)
{
	struct controller *controller = context;
	struct npt_event *event = npt_event_new(NPT_EVENT_TASK_GONE);

	(void)namespace_name;
	(void)name;
	(void)snprintf(event->uid, sizeof(event->uid), "%s", uid);
	npt_event_push(controller->events, event);
}

static void on_tasks_synced(void *context)
{
	struct controller *controller = context;

	atomic_store(&controller->synced, true);
	npt_event_push(controller->events, npt_event_new(NPT_EVENT_TASKS_SYNCED));
}

static void on_trouble(void *context, const char *text)
{
	(void)context;
	npt_log_warning("the API server is tried again", "error", text);
}

static struct npt_event *pod_event(struct entry *entry, enum npt_event_kind kind)
{
	struct npt_event *event = npt_event_new(kind);

	memcpy(event->uid, entry->run->task.uid, sizeof(event->uid));
	return event;
}

static void on_pod(void *context, json_t *object)
{
	struct entry *entry = context;
	struct npt_event *event = pod_event(entry, NPT_EVENT_POD);

	event->pod = npt_alloc(1, sizeof(*event->pod));
	npt_pod_from_json(object, event->pod);
	npt_event_push(entry->controller->events, event);
}

static void on_pod_deleted(void *context, const char *namespace_name, const char *name,
			   const char *uid)
{
	struct entry *entry = context;
	struct npt_event *event = pod_event(entry, NPT_EVENT_POD_GONE);

	(void)namespace_name;
	(void)name;
	event->text = npt_strdup(uid);
	npt_event_push(entry->controller->events, event);
}

static void on_pods_trouble(void *context, const char *text)
{
	struct entry *entry = context;
	struct npt_event *event = pod_event(entry, NPT_EVENT_PODS_TROUBLE);

	on_trouble(context, text);
	event->text = npt_strdup(text);
	npt_event_push(entry->controller->events, event);
}

static void on_pods_synced(void *context)
{
	struct entry *entry = context;

	npt_event_push(entry->controller->events, pod_event(entry, NPT_EVENT_PODS_SYNCED));
}

/* --- the controller's thread --- */

static bool is_connected(const void *agents, const char *node)
{
	return npt_agents_is_connected(agents, node);
}

static void watch_pods(struct controller *controller, struct entry *entry)
{
	const struct npt_task *task = &entry->run->task;
	npt_auto_free char *path = npt_format("/api/v1/namespaces/%s/pods", task->namespace_name);
	npt_auto_free char *escaped = task->selector ? npt_http_escape(task->selector) : NULL;
	npt_auto_free char *selector = escaped ? npt_format("labelSelector=%s", escaped) : NULL;
	struct npt_reflector_options options = {
		.config = &controller->config,
		.path = path,
		.selector = selector,
		.context = entry,
		.on_object = on_pod,
		.on_delete = on_pod_deleted,
		.on_synced = on_pods_synced,
		.on_trouble = on_pods_trouble,
	};
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_reflector_start(&entry->pods, &options, &err) < 0)
		npt_log_error("cannot watch pods", "task", task->name, "error", err.text);
}

static void take_task(struct controller *controller, struct npt_task *task)
{
	struct entry *entry = npt_strmap_get(controller->tasks, task->uid);

	if (entry) {
		npt_task_run_update(entry->run, task);
		task->selector = NULL;
		return;
	}
	if (task->finished)
		return;
	entry = npt_alloc(1, sizeof(*entry));
	entry->controller = controller;
	entry->run = npt_task_run_new(task);
	task->selector = NULL;
	if (npt_strmap_set(controller->tasks, task->uid, entry) < 0) {
		npt_log_error("too many tasks at once; one waits", "task", entry->run->task.name);
		free_entry(entry);
		return;
	}
	npt_log_info("task", "namespace", task->namespace_name, "name", task->name, "uid",
		     task->uid);
	if (controller->options->result_url && controller->ingest.key)
		(void)snprintf(entry->run->status.result_url, sizeof(entry->run->status.result_url),
			       "%s/%s", controller->options->result_url, task->uid);
	if (entry->run->task.invalid[0] == '\0')
		watch_pods(controller, entry);
}

/*
 * Whether it is known of all that the agent holds if it is still wanted. What a wanted state does
 * not name, an agent lets go of, with its numbers; so a controller that has just begun says nothing
 * before its tasks and their pods were listed.
 */
static bool knows_what_is_wanted(const struct controller *controller, const char *node)
{
	const char *uid;

	for (size_t i = 0; (uid = npt_agents_held_at(controller->agents, node, i)); i++) {
		const struct entry *entry = npt_strmap_get(controller->tasks, uid);

		if (entry && npt_task_run_is_undecided(entry->run))
			return false;
	}
	return controller->tasks_known;
}

static void want(struct controller *controller, const char *node, bool again)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *wanted =
		npt_channel_message_new(NPT_CHANNEL_WANTED);
	uint64_t now_unix_ms = npt_clock_unix_ms();

	if (!knows_what_is_wanted(controller, node))
		return;
	(void)snprintf(wanted->epoch, sizeof(wanted->epoch), "1");
	wanted->assignments = npt_alloc(NPT_CHANNEL_ASSIGNMENTS_MAX, sizeof(*wanted->assignments));
	for (size_t i = 0; i < npt_strmap_count(controller->tasks); i++) {
		const struct entry *entry = npt_strmap_value_at(controller->tasks, i);
		struct npt_assignment *assignment;

		if (!npt_task_run_wants(entry->run, node) ||
		    wanted->assignments_count >= NPT_CHANNEL_ASSIGNMENTS_MAX)
			continue;
		assignment = &wanted->assignments[wanted->assignments_count++];
		npt_task_run_assign(entry->run, node, now_unix_ms, assignment);
		npt_ingest_add_token(&controller->ingest, assignment, node, now_unix_ms);
	}
	npt_agents_want(controller->agents, node, wanted, again);
}

static void want_all(struct controller *controller, bool again)
{
	for (size_t i = npt_agents_count(controller->agents); i > 0; i--)
		want(controller, npt_agents_node_at(controller->agents, i - 1), again);
}

static void reconcile_all(struct controller *controller, bool everything)
{
	uint64_t now_ns = npt_clock_boottime_ns();
	bool changed = false;

	for (size_t i = 0; i < npt_strmap_count(controller->tasks); i++) {
		struct entry *entry = npt_strmap_value_at(controller->tasks, i);
		struct npt_task_run *run = entry->run;

		if (everything || run->dirty) {
			npt_task_run_reconcile(run, npt_clock_unix_ms(), now_ns, is_connected,
					       controller->agents);
			changed = true;
		}
		if (run->status.finished)
			npt_reflector_free(npt_take(entry->pods));
		npt_status_write(controller->api, run, now_ns);
	}
	if (changed)
		want_all(controller, now_ns >= controller->again_ns);
	if (now_ns >= controller->again_ns)
		controller->again_ns = now_ns + AGAIN_PERIOD_NS;
}

/* Before its hello it is not known which process of the agent speaks. */
static void take_summary(struct controller *controller, const char *node,
			 const struct npt_channel_message *message)
{
	if (!npt_agents_is_greeted(controller->agents, node))
		return;
	for (size_t i = 0; i < message->held_count; i++) {
		struct entry *entry = npt_strmap_get(controller->tasks, message->held[i].task_uid);

		if (entry)
			npt_task_run_hear(entry->run, node,
					  npt_agents_instance(controller->agents, node),
					  &message->held[i]);
	}
}

static void take_frame(struct controller *controller, struct npt_event *event)
{
	const char *node = npt_agents_node(controller->agents, event->socket);
	const struct npt_channel_message *message = event->message;

	if (!node)
		return;
	if (message->type == NPT_CHANNEL_HELLO) {
		npt_agents_hello(controller->agents, node, message);
		want(controller, node, true);
	} else if (message->type == NPT_CHANNEL_SUMMARY) {
		take_summary(controller, node, message);
	} else if (message->type == NPT_CHANNEL_RESOLVE) {
		(void)npt_api_resolve(controller->api, event->socket, npt_take(event->message));
	}
}

static void take_task_event(struct controller *controller, struct npt_event *event)
{
	struct entry *entry = npt_strmap_get(controller->tasks, event->uid);

	if (!entry)
		return;
	switch ((int)event->kind) {
	case NPT_EVENT_POD:
		npt_task_run_pod(entry->run, event->pod);
		break;
	case NPT_EVENT_POD_GONE:
		npt_task_run_pod_gone(entry->run, event->text);
		break;
	case NPT_EVENT_PODS_TROUBLE:
		npt_task_run_pods_trouble(entry->run, event->text);
		break;
	case NPT_EVENT_PODS_SYNCED:
		npt_task_run_pods_synced(entry->run);
		break;
	case NPT_EVENT_WRITTEN:
		npt_status_written(entry->run, event);
		break;
	default:
		npt_strmap_remove(controller->tasks, event->uid); /* NPT_EVENT_TASK_GONE */
		controller->again_ns = 0;
		break;
	}
}

static void take_agent_event(struct controller *controller, struct npt_event *event)
{
	switch ((int)event->kind) {
	case NPT_EVENT_AGENT_OPEN:
		if (npt_api_review(controller->api, event->socket, event->text) < 0)
			npt_agents_refuse(controller->agents, event->socket, "too busy");
		break;
	case NPT_EVENT_REVIEWED:
		if (event->outcome == 0)
			npt_agents_admit(controller->agents, event->socket, event->text);
		else
			npt_agents_refuse(controller->agents, event->socket, event->text);
		break;
	case NPT_EVENT_AGENT_CLOSED:
		npt_agents_closed(controller->agents, event->socket);
		break;
	case NPT_EVENT_NAMED:
		npt_agents_send(controller->agents, event->socket, event->message);
		break;
	default:
		take_frame(controller, event);
		break;
	}
}

static void take_event(struct controller *controller, struct npt_event *event)
{
	if (event->kind == NPT_EVENT_TASK) {
		take_task(controller, event->task);
	} else if (event->kind == NPT_EVENT_PUBLISHED) {
		npt_nodes_published(&controller->nodes, event);
	} else if (event->kind == NPT_EVENT_TASKS_SYNCED) {
		controller->tasks_known = true;
		want_all(controller, false);
	} else if (event->kind <= NPT_EVENT_PODS_SYNCED || event->kind == NPT_EVENT_WRITTEN) {
		take_task_event(controller, event);
	} else {
		take_agent_event(controller, event);
	}
}

static void loop(struct controller *controller)
{
	uint64_t next_ns = 0;

	while (!atomic_load(&stop_asked)) {
		struct npt_event *event = npt_queue_wait(controller->events, 200);
		uint64_t now_ns;

		while (event) {
			take_event(controller, event);
			npt_event_free(event);
			event = npt_queue_pop(controller->events);
		}
		now_ns = npt_clock_boottime_ns();
		reconcile_all(controller, now_ns >= next_ns);
		npt_nodes_publish(&controller->nodes, controller->agents, controller->api,
				  controller->config.namespace_name);
		if (now_ns >= next_ns)
			next_ns = now_ns + NPT_NS_PER_SECOND;
	}
}

static int start(struct controller *controller, struct npt_error *err)
{
	const struct npt_controller_options *options = controller->options;
	struct npt_agents_options agents_options = {
		.listen = options->listen,
		.tls_cert = options->tls_cert,
		.tls_key = options->tls_key,
		.events = controller->events,
	};
	struct npt_reflector_options tasks = {
		.config = &controller->config,
		.path = PATH_TASKS,
		.max_objects = 100000,
		.context = controller,
		.on_object = on_task,
		.on_delete = on_task_deleted,
		.on_synced = on_tasks_synced,
		.on_trouble = on_trouble,
	};
	int r = npt_kube_config_load(&controller->config, options->kubeconfig, "npt-controller",
				     err);

	if (r < 0)
		return r;
	if (options->namespace_name) {
		free(controller->config.namespace_name);
		controller->config.namespace_name = npt_strdup(options->namespace_name);
	}
	r = npt_ingest_open(&controller->ingest, options->ingest_key, options->ingest_url, err);
	if (r >= 0)
		r = npt_health_serve(options->health, &controller->synced, &controller->health,
				     err);
	if (r >= 0)
		r = npt_api_start(&controller->api, &controller->config, controller->events,
				  options->agent_account, err);
	if (r >= 0)
		r = npt_agents_start(&controller->agents, &agents_options, err);
	if (r >= 0)
		r = npt_reflector_start(&controller->tasks_reflector, &tasks, err);
	return r;
}

static void end(struct controller *controller)
{
	npt_queue_close(controller->events);
	npt_reflector_free(controller->tasks_reflector);
	npt_strmap_free(controller->tasks);
	npt_agents_free(controller->agents);
	npt_nodes_done(&controller->nodes);
	npt_api_free(controller->api);
	npt_server_free(controller->health);
	npt_queue_free(controller->events);
	npt_kube_config_done(&controller->config);
	npt_ingest_done(&controller->ingest);
}

int npt_controller_run(const struct npt_controller_options *options, struct npt_error *err)
{
	npt_auto_free struct controller *controller = npt_alloc(1, sizeof(*controller));
	const struct sigaction action = { .sa_handler = ask_stop };
	int r;

	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	controller->options = options;
	controller->events = npt_event_queue_new(EVENTS_MAX);
	controller->tasks = npt_strmap_new(TASKS_MAX, free_entry);
	r = start(controller, err);
	if (r >= 0) {
		npt_log_info("controller started", "version", NPT_VERSION, "listen",
			     options->listen);
		loop(controller);
		npt_log_info("controller stopping");
	}
	end(controller);
	return r;
}
