/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSockets. A socket's number is (generation, slot): the slot finds it at once, the generation
 * makes sure that it is the same one still.
 *
 * Between the upgrade and accept nothing is read from the peer (flow control of libwebsockets, so
 * the kernel's buffer fills and the peer waits): a decision that takes time costs no memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/net/headers.h"
#include "lib/net/server_private.h"

#define DECISION_SECONDS 15
#define REASON_BYTES     124
#define TIMER_OFF        ((lws_usec_t)-1)

struct npt_socket {
	uint64_t id;
	uint32_t slot;
	struct npt_connection *connection;
	const struct npt_endpoint *endpoint;
	struct npt_buffer incoming;
	STAILQ_HEAD(, npt_command) outgoing;
	size_t outgoing_bytes;
	bool accepted;
	bool closing;
	unsigned int close_code;
	char close_reason[REASON_BYTES];
};

/* Of the path in connection->segments. */
static const struct npt_endpoint *find_endpoint(struct npt_connection *connection)
{
	const struct npt_server_options *options = &connection->server->options;

	for (size_t i = 0; i < options->endpoints_count; i++) {
		const char *params[NPT_SERVER_PARAMS_MAX] = { NULL };

		if (!npt_path_match(options->endpoints[i].path, connection->segments, params))
			continue;
		npt_path_cut(connection->segments, params);
		memcpy(connection->opening_params, params, sizeof(params));
		return &options->endpoints[i];
	}
	return NULL;
}

/* What the socket's owner will ask of; false: it cannot be read. */
static bool read_opening(struct npt_connection *connection)
{
	npt_connection_opening_done(connection);
	connection->authorization = npt_connection_header(connection, WSI_TOKEN_HTTP_AUTHORIZATION);
	connection->segments = npt_connection_header(connection, WSI_TOKEN_GET_URI);
	connection->query = npt_connection_header(connection, WSI_TOKEN_HTTP_URI_ARGS);
	connection->cookie = npt_connection_header(connection, WSI_TOKEN_HTTP_COOKIE);
	connection->origin = npt_connection_header(connection, WSI_TOKEN_ORIGIN);
	connection->host = npt_connection_header(connection, WSI_TOKEN_HOST);
	return connection->authorization && connection->segments && connection->query &&
	       connection->cookie && connection->origin && connection->host;
}

void npt_connection_opening_done(struct npt_connection *connection)
{
	free(connection->authorization);
	free(connection->segments);
	free(connection->query);
	free(connection->cookie);
	free(connection->origin);
	free(connection->host);
	connection->authorization = connection->segments = connection->query = NULL;
	connection->cookie = connection->origin = connection->host = NULL;
	memset(connection->opening_params, 0, sizeof(connection->opening_params));
}

int npt_socket_check_upgrade(struct npt_connection *connection, const char *protocol)
{
	struct npt_server *server = connection->server;
	const struct npt_endpoint *endpoint;
	unsigned int status = 0, retry_after = 0;

	if (strcasecmp(protocol, "websocket") != 0)
		return -1;
	if (!read_opening(connection))
		return -1;
	endpoint = find_endpoint(connection);
	if (server->options.loopback_only && !npt_is_loopback_host(connection->host)) {
		status = 403;
	} else if (!endpoint) {
		status = 404;
	} else if (server->draining || server->free_slots_count == 0) {
		status = 503;
		retry_after = 1;
	} else if (endpoint->on_upgrade) {
		status = endpoint->on_upgrade(endpoint->context, connection->authorization,
					      &retry_after);
	}
	connection->endpoint = endpoint;
	if (status == 0)
		return 0;
	atomic_fetch_add(&server->stats.refused_requests, 1);
	return npt_exchange_refuse_now(connection, status, retry_after) < 0 ? -1 : 1;
}

static struct npt_socket *socket_new(struct npt_connection *connection)
{
	struct npt_server *server = connection->server;
	struct npt_socket *socket = npt_alloc(1, sizeof(*socket));

	socket->slot = server->free_slots[--server->free_slots_count];
	socket->id = server->next_generation++ << NPT_SLOT_BITS | socket->slot;
	socket->connection = connection;
	socket->endpoint = connection->endpoint;
	npt_buffer_init(&socket->incoming, socket->endpoint->max_frame_bytes);
	STAILQ_INIT(&socket->outgoing);
	server->sockets[socket->slot] = socket;
	connection->socket = socket;
	atomic_fetch_add(&server->stats.sockets, 1);
	return socket;
}

int npt_socket_opened(struct npt_connection *connection)
{
	struct npt_server *server = connection->server;
	const struct npt_endpoint *endpoint = connection->endpoint;
	struct npt_opening opening;
	struct npt_socket *socket;

	if (!endpoint || server->free_slots_count == 0)
		return -1;
	socket = socket_new(connection);
	if (!endpoint->on_open) {
		socket->accepted = true;
		return 0;
	}
	(void)lws_rx_flow_control(connection->wsi, 0);
	lws_set_timer_usecs(connection->wsi, DECISION_SECONDS * LWS_US_PER_SEC);
	opening.authorization = connection->authorization;
	opening.client = connection->client;
	opening.query = connection->query;
	opening.cookie = connection->cookie;
	opening.origin = connection->origin;
	opening.host = connection->host;
	memcpy(opening.params, connection->opening_params, sizeof(opening.params));
	endpoint->on_open(endpoint->context, socket->id, &opening);
	npt_connection_opening_done(connection);
	return 0;
}

static void begin_close(struct npt_socket *socket, unsigned int code, const char *reason)
{
	if (socket->closing)
		return;
	socket->closing = true;
	socket->close_code = code;
	(void)snprintf(socket->close_reason, sizeof(socket->close_reason), "%s", reason);
	if (!socket->accepted) /* to read its answer to the close frame */
		(void)lws_rx_flow_control(socket->connection->wsi, 1);
	(void)lws_callback_on_writable(socket->connection->wsi);
}

/* Puts the close frame on its way; returning nonzero from the callback sends it. */
static int close_now(struct npt_socket *socket, unsigned int code, const char *reason)
{
	unsigned char text[REASON_BYTES];
	size_t length = strnlen(reason, sizeof(text) - 1);

	memcpy(text, reason, length);
	lws_close_reason(socket->connection->wsi, (enum lws_close_status)code, text, length);
	return -1;
}

int npt_socket_received(struct npt_connection *connection, const char *data, size_t size_bytes)
{
	struct npt_socket *socket = connection->socket;
	const struct npt_endpoint *endpoint;

	if (!socket)
		return -1;
	if (socket->closing)
		return 0;
	endpoint = socket->endpoint;
	if (npt_buffer_append(&socket->incoming, data, size_bytes) < 0) {
		atomic_fetch_add(&connection->server->stats.refused_frames, 1);
		if (endpoint->on_refused)
			endpoint->on_refused(endpoint->context, socket->id, "message too large");
		return close_now(socket, 1009, "message too large");
	}
	if (!lws_is_final_fragment(connection->wsi))
		return 0;
	if (endpoint->on_message)
		endpoint->on_message(endpoint->context, socket->id, socket->incoming.data,
				     socket->incoming.size_bytes);
	npt_buffer_done(&socket->incoming);
	return 0;
}

int npt_socket_writeable(struct npt_connection *connection)
{
	struct npt_socket *socket = connection->socket;
	struct npt_command *message;
	int written, size;

	if (!socket)
		return -1;
	message = STAILQ_FIRST(&socket->outgoing);
	if (!message)
		return socket->closing ? close_now(socket, socket->close_code, socket->close_reason)
				       : 0;
	STAILQ_REMOVE_HEAD(&socket->outgoing, entry);
	socket->outgoing_bytes -= message->size_bytes;
	size = (int)message->size_bytes;
	written = lws_write(connection->wsi, message->data + LWS_PRE, message->size_bytes,
			    LWS_WRITE_TEXT);
	npt_socket_command_free(connection->server, message);
	if (written < size)
		return -1;
	if (!STAILQ_EMPTY(&socket->outgoing) || socket->closing)
		(void)lws_callback_on_writable(connection->wsi);
	return 0;
}

int npt_socket_timer(struct npt_connection *connection)
{
	struct npt_socket *socket = connection->socket;

	if (!socket || socket->accepted)
		return 0;
	return close_now(socket, 1008, "no decision about this connection in time");
}

void npt_socket_connection_gone(struct npt_connection *connection)
{
	struct npt_socket *socket = connection->socket;
	struct npt_server *server = connection->server;
	struct npt_command *message;

	connection->socket = NULL;
	if (!socket)
		return;
	server->sockets[socket->slot] = NULL;
	server->free_slots[server->free_slots_count++] = socket->slot;
	atomic_fetch_sub(&server->stats.sockets, 1);
	if (socket->endpoint->on_close)
		socket->endpoint->on_close(socket->endpoint->context, socket->id);
	while ((message = STAILQ_FIRST(&socket->outgoing))) {
		STAILQ_REMOVE_HEAD(&socket->outgoing, entry);
		npt_socket_command_free(server, message);
	}
	npt_buffer_done(&socket->incoming);
	free(socket);
}

/* A number beyond all slots is nobody's: it counts as the first, which harms nothing. */
static size_t slot_of(const struct npt_server *server, uint64_t id)
{
	uint64_t slot = id & ((1U << NPT_SLOT_BITS) - 1);

	return slot < server->options.max_connections ? slot : 0;
}

static struct npt_socket *find_socket(const struct npt_server *server, uint64_t id)
{
	struct npt_socket *socket = server->sockets[slot_of(server, id)];

	return socket && socket->id == id ? socket : NULL;
}

static void accept_socket(struct npt_socket *socket)
{
	if (socket->accepted || socket->closing)
		return;
	socket->accepted = true;
	lws_set_timer_usecs(socket->connection->wsi, TIMER_OFF);
	(void)lws_rx_flow_control(socket->connection->wsi, 1);
}

static void queue_message(struct npt_socket *socket, struct npt_command *command)
{
	struct npt_server *server = socket->connection->server;
	size_t max = socket->endpoint->max_queued_bytes;

	if (socket->closing) {
		npt_socket_command_free(server, command);
		return;
	}
	if (max > 0 && socket->outgoing_bytes + command->size_bytes > max) {
		struct npt_command *message;

		atomic_fetch_add(&server->stats.closed_slow_peers, 1);
		npt_socket_command_free(server, command);
		while ((message = STAILQ_FIRST(&socket->outgoing))) {
			STAILQ_REMOVE_HEAD(&socket->outgoing, entry);
			npt_socket_command_free(server, message);
		}
		/* It does not read, so a close frame would wait, too. */
		lws_set_timeout(socket->connection->wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_ASYNC);
		return;
	}
	socket->outgoing_bytes += command->size_bytes;
	STAILQ_INSERT_TAIL(&socket->outgoing, command, entry);
	(void)lws_callback_on_writable(socket->connection->wsi);
}

void npt_socket_command(struct npt_server *server, struct npt_command *command)
{
	struct npt_socket *socket = find_socket(server, command->socket);

	if (!socket) {
		npt_socket_command_free(server, command);
		return;
	}
	switch (command->kind) {
	case NPT_COMMAND_ACCEPT:
		accept_socket(socket);
		break;
	case NPT_COMMAND_CLOSE:
		begin_close(socket, command->code, (const char *)command->data);
		break;
	case NPT_COMMAND_SEND:
		queue_message(socket, command);
		return;
	}
	npt_socket_command_free(server, command);
}

/* Unsigned numbers wrap: adding 0 - n takes n away. */
static void count_queued(struct npt_server *server, uint64_t socket, size_t bytes)
{
	atomic_fetch_add(&server->queued_bytes, bytes);
	atomic_fetch_add(&server->queued_by_slot[slot_of(server, socket)], bytes);
}

void npt_socket_command_free(struct npt_server *server, struct npt_command *command)
{
	if (command->kind == NPT_COMMAND_SEND)
		count_queued(server, command->socket, 0 - command->size_bytes);
	free(command);
}

void npt_socket_close_all(struct npt_server *server)
{
	for (size_t i = 0; i < server->options.max_connections; i++) {
		if (server->sockets[i])
			begin_close(server->sockets[i], 1001, "server is stopping");
	}
}

static int push(struct npt_server *server, struct npt_command *command)
{
	int r = npt_queue_push(server->commands, command);

	if (r == 0) {
		npt_server_wake(server);
		return 0;
	}
	npt_socket_command_free(server, command);
	return r == -EPIPE ? 0 : r;
}

static struct npt_command *command_new(uint64_t socket, size_t data_bytes)
{
	struct npt_command *command = npt_alloc(1, sizeof(*command) + data_bytes);

	command->socket = socket;
	return command;
}

int npt_server_socket_accept(struct npt_server *server, uint64_t socket)
{
	struct npt_command *command = command_new(socket, 0);

	command->kind = NPT_COMMAND_ACCEPT;
	return push(server, command);
}

int npt_server_socket_send(struct npt_server *server, uint64_t socket, const char *data,
			   size_t size_bytes)
{
	size_t max = server->options.max_queued_bytes;
	struct npt_command *command;

	if (max > 0 && atomic_load(&server->queued_bytes) + size_bytes > max)
		return -ENOSPC;
	count_queued(server, socket, size_bytes);
	command = command_new(socket, LWS_PRE + size_bytes);
	command->kind = NPT_COMMAND_SEND;
	command->size_bytes = size_bytes;
	memcpy(command->data + LWS_PRE, data, size_bytes);
	return push(server, command);
}

size_t npt_server_socket_queued_bytes(const struct npt_server *server, uint64_t socket)
{
	return atomic_load(&server->queued_by_slot[slot_of(server, socket)]);
}

int npt_server_socket_close(struct npt_server *server, uint64_t socket, unsigned int code,
			    const char *reason)
{
	size_t length = strnlen(reason, REASON_BYTES - 1);
	struct npt_command *command = command_new(socket, length + 1);

	command->kind = NPT_COMMAND_CLOSE;
	command->code = code;
	memcpy(command->data, reason, length);
	return push(server, command);
}
