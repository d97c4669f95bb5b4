/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's thread decodes (and refuses) frames, so that a hostile agent costs the controller's
 * thread nothing.
 */
#include "controller/agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/log.h"
#include "lib/core/strmap.h"

#define CLOSE_POLICY  1008
#define CLOSE_GOING   4001 /* another connection of the same node took its place */
#define PATH_ENDPOINT NPT_CHANNEL_PATH

struct agent {
	uint64_t socket;
	char instance[NPT_UID_BYTES];
	char *kind;   /* what it said of its node */
	char *sent;   /* the wanted state as it was sent last, without times */
	bool greeted; /* it said hello: before that it is told nothing */
	/* What it holds by its hello, until the first wanted state that answers it. */
	char (*held)[NPT_UID_BYTES];
	size_t held_count;
};

struct npt_agents {
	struct npt_server *server;
	struct npt_endpoint endpoint;
	struct npt_queue *events;
	struct npt_strmap *by_node;
	uint64_t version;
};

static void free_agent(void *item)
{
	struct agent *agent = item;

	free(agent->kind);
	free(agent->sent);
	free(agent->held);
	free(agent);
}

/* --- the server's thread --- */

static void on_open(void *context, uint64_t socket, const struct npt_opening *opening)
{
	struct npt_agents *agents = context;
	const char *token = npt_bearer_token(opening->authorization);
	struct npt_event *event;

	if (!token) {
		npt_log_warning("connection without a token refused", "client", opening->client);
		(void)npt_server_socket_close(agents->server, socket, CLOSE_POLICY,
					      "a bearer token is needed");
		return;
	}
	event = npt_event_new(NPT_EVENT_AGENT_OPEN);
	event->socket = socket;
	event->text = npt_strdup(token);
	npt_event_push(agents->events, event);
}

static void on_message(void *context, uint64_t socket, const char *data, size_t size_bytes)
{
	struct npt_agents *agents = context;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_channel_message *message = NULL;
	struct npt_event *event;

	if (npt_channel_decode(data, size_bytes, &message, &err) < 0) {
		npt_log_warning("frame refused", "error", err.text);
		(void)npt_server_socket_close(agents->server, socket, CLOSE_POLICY, err.text);
		return;
	}
	event = npt_event_new(NPT_EVENT_AGENT_FRAME);
	event->socket = socket;
	event->message = message;
	npt_event_push(agents->events, event);
}

static void on_refused(void *context, uint64_t socket, const char *reason)
{
	(void)context;
	(void)socket;
	npt_log_warning("frame refused", "error", reason);
}

static void on_close(void *context, uint64_t socket)
{
	struct npt_agents *agents = context;
	struct npt_event *event = npt_event_new(NPT_EVENT_AGENT_CLOSED);

	event->socket = socket;
	npt_event_push(agents->events, event);
}

/* --- the controller's thread --- */

int npt_agents_start(struct npt_agents **agents_ret, const struct npt_agents_options *options,
		     struct npt_error *err)
{
	npt_auto(npt_agents_free) struct npt_agents *agents = npt_alloc(1, sizeof(*agents));
	struct npt_server_options server_options = {
		.listen = options->listen,
		.tls_cert = options->tls_cert,
		.tls_key = options->tls_key,
		.endpoints = &agents->endpoint,
		.endpoints_count = 1,
		.max_connections = NPT_AGENTS_MAX,
	};
	int r;

	agents->events = options->events;
	agents->by_node = npt_strmap_new(NPT_AGENTS_MAX, free_agent);
	agents->endpoint = (struct npt_endpoint){
		.path = PATH_ENDPOINT,
		.max_frame_bytes = NPT_CHANNEL_FRAME_BYTES,
		.max_queued_bytes = 4U * NPT_CHANNEL_FRAME_BYTES,
		.context = agents,
		.on_open = on_open,
		.on_message = on_message,
		.on_refused = on_refused,
		.on_close = on_close,
	};
	r = npt_server_start(&server_options, &agents->server, err);
	if (r < 0)
		return r;
	*agents_ret = npt_take(agents);
	return 0;
}

void npt_agents_free(struct npt_agents *agents)
{
	if (!agents)
		return;
	npt_server_free(agents->server);
	npt_strmap_free(agents->by_node);
	free(agents);
}

void npt_agents_admit(struct npt_agents *agents, uint64_t socket, const char *node)
{
	struct agent *agent = npt_strmap_get(agents->by_node, node);

	if (agent) {
		(void)npt_server_socket_close(agents->server, agent->socket, CLOSE_GOING,
					      "a newer connection of this node");
	} else {
		agent = npt_alloc(1, sizeof(*agent));
		if (npt_strmap_set(agents->by_node, node, agent) < 0) {
			free_agent(agent);
			npt_agents_refuse(agents, socket, "too many agents");
			return;
		}
	}
	agent->socket = socket;
	agent->greeted = false;
	free(npt_take(agent->sent));
	(void)npt_server_socket_accept(agents->server, socket);
	npt_log_info("agent connected", "node", node);
}

void npt_agents_refuse(struct npt_agents *agents, uint64_t socket, const char *reason)
{
	npt_log_warning("agent refused", "reason", reason);
	(void)npt_server_socket_close(agents->server, socket, CLOSE_POLICY, reason);
}

const char *npt_agents_node(const struct npt_agents *agents, uint64_t socket)
{
	for (size_t i = 0; i < npt_strmap_count(agents->by_node); i++) {
		const struct agent *agent = npt_strmap_value_at(agents->by_node, i);

		if (agent->socket == socket)
			return npt_strmap_key_at(agents->by_node, i);
	}
	return NULL;
}

void npt_agents_closed(struct npt_agents *agents, uint64_t socket)
{
	const char *node = npt_agents_node(agents, socket);

	if (!node)
		return;
	npt_log_info("agent disconnected", "node", node);
	npt_strmap_remove(agents->by_node, node);
	agents->version++;
}

const char *npt_agents_instance(const struct npt_agents *agents, const char *node)
{
	const struct agent *agent = npt_strmap_get(agents->by_node, node);

	return agent ? agent->instance : "";
}

void npt_agents_hello(struct npt_agents *agents, const char *node,
		      const struct npt_channel_message *hello)
{
	struct agent *agent = npt_strmap_get(agents->by_node, node);

	if (!agent)
		return;
	npt_log_info("agent says hello", "node", node, "version", hello->version, "kernel",
		     hello->kernel);
	agent->greeted = true;
	free(agent->kind);
	agent->kind = npt_channel_kind_to_json(hello);
	agents->version++;
	memcpy(agent->instance, hello->instance, sizeof(agent->instance));
	free(agent->held);
	agent->held = npt_alloc(hello->held_count, sizeof(*agent->held));
	agent->held_count = hello->held_count;
	for (size_t i = 0; i < hello->held_count; i++)
		memcpy(agent->held[i], hello->held[i].task_uid, sizeof(agent->held[i]));
}

const char *npt_agents_kind(const struct npt_agents *agents, const char *node)
{
	const struct agent *agent = npt_strmap_get(agents->by_node, node);

	return agent ? agent->kind : NULL;
}

uint64_t npt_agents_version(const struct npt_agents *agents)
{
	return agents->version;
}

bool npt_agents_is_greeted(const struct npt_agents *agents, const char *node)
{
	const struct agent *agent = npt_strmap_get(agents->by_node, node);

	return agent && agent->greeted;
}

const char *npt_agents_held_at(const struct npt_agents *agents, const char *node, size_t index)
{
	const struct agent *agent = npt_strmap_get(agents->by_node, node);

	return agent && index < agent->held_count ? agent->held[index] : NULL;
}

bool npt_agents_is_connected(const struct npt_agents *agents, const char *node)
{
	return npt_strmap_get(agents->by_node, node) != NULL;
}

size_t npt_agents_count(const struct npt_agents *agents)
{
	return npt_strmap_count(agents->by_node);
}

const char *npt_agents_node_at(const struct npt_agents *agents, size_t index)
{
	return npt_strmap_key_at(agents->by_node, index);
}

void npt_agents_send(struct npt_agents *agents, uint64_t socket,
		     const struct npt_channel_message *message)
{
	npt_auto_free char *frame = npt_channel_encode(message);

	(void)npt_server_socket_send(agents->server, socket, frame, strlen(frame));
}

/* Which pods and containers of which tasks: what makes one wanted state differ from another. */
static char *fingerprint(const struct npt_channel_message *wanted)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(16U * 1024 * 1024);

	for (size_t i = 0; i < wanted->assignments_count; i++) {
		const struct npt_assignment *assignment = &wanted->assignments[i];

		(void)npt_buffer_appendf(&text, "%s\n", assignment->id);
		for (size_t j = 0; j < assignment->targets_count; j++) {
			const struct npt_target *target = &assignment->targets[j];

			(void)npt_buffer_appendf(&text, " %s", target->uid);
			for (size_t k = 0; k < target->containers_count; k++)
				(void)npt_buffer_appendf(&text, ",%s", target->containers[k].id);
		}
	}
	return npt_buffer_take(&text);
}

void npt_agents_want(struct npt_agents *agents, const char *node,
		     const struct npt_channel_message *wanted, bool again)
{
	struct agent *agent = npt_strmap_get(agents->by_node, node);
	npt_auto_free char *now = fingerprint(wanted);

	if (!agent || !agent->greeted || (!again && agent->sent && strcmp(agent->sent, now) == 0))
		return;
	npt_agents_send(agents, agent->socket, wanted);
	free(agent->sent);
	agent->sent = npt_take(now);
	agent->held_count = 0;
}
