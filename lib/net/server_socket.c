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
#include "lib/net/server_private.h"

#define SLOT_BITS        24
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

static const struct npt_endpoint *find_endpoint(const struct npt_server *server, const char *path)
{
	for (size_t i = 0; i < server->options.endpoints_count; i++) {
		if (strcmp(server->options.endpoints[i].path, path) == 0)
			return &server->options.endpoints[i];
	}
	return NULL;
}

int npt_socket_check_upgrade(struct npt_connection *connection, const char *protocol)
{
	struct npt_server *server = connection->server;
	const struct npt_endpoint *endpoint;
	unsigned int status = 0, retry_after = 0;
	npt_auto_free char *path = NULL, *host = NULL;

	if (strcasecmp(protocol, "websocket") != 0)
		return -1;
	free(connection->authorization);
	connection->authorization = npt_connection_header(connection, WSI_TOKEN_HTTP_AUTHORIZATION);
	path = npt_connection_header(connection, WSI_TOKEN_GET_URI);
	host = npt_connection_header(connection, WSI_TOKEN_HOST);
	if (!connection->authorization || !path || !host)
		return -1;
	endpoint = find_endpoint(server, path);
	if (server->options.loopback_only && !npt_is_loopback_host(host)) {
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
	socket->id = server->next_generation++ << SLOT_BITS | socket->slot;
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
	endpoint->on_open(endpoint->context, socket->id, connection->authorization,
			  connection->client);
	free(connection->authorization);
	connection->authorization = NULL;
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
	int written;

	if (!socket)
		return -1;
	message = STAILQ_FIRST(&socket->outgoing);
	if (!message)
		return socket->closing ? close_now(socket, socket->close_code, socket->close_reason)
				       : 0;
	STAILQ_REMOVE_HEAD(&socket->outgoing, entry);
	socket->outgoing_bytes -= message->size_bytes;
	written = lws_write(connection->wsi, message->data + LWS_PRE, message->size_bytes,
			    LWS_WRITE_TEXT);
	if (written < (int)message->size_bytes) {
		free(message);
		return -1;
	}
	free(message);
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
		free(message);
	}
	npt_buffer_done(&socket->incoming);
	free(socket);
}

static struct npt_socket *find_socket(const struct npt_server *server, uint64_t id)
{
	uint64_t slot = id & ((1U << SLOT_BITS) - 1);
	struct npt_socket *socket =
		slot < server->options.max_connections ? server->sockets[slot] : NULL;

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
	size_t max = socket->endpoint->max_queued_bytes;

	if (socket->closing) {
		free(command);
		return;
	}
	if (max > 0 && socket->outgoing_bytes + command->size_bytes > max) {
		struct npt_command *message;

		atomic_fetch_add(&socket->connection->server->stats.closed_slow_peers, 1);
		free(command);
		while ((message = STAILQ_FIRST(&socket->outgoing))) {
			STAILQ_REMOVE_HEAD(&socket->outgoing, entry);
			free(message);
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
		free(command);
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
	free(command);
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
	struct npt_command *command = command_new(socket, LWS_PRE + size_bytes);

	command->kind = NPT_COMMAND_SEND;
	command->size_bytes = size_bytes;
	memcpy(command->data + LWS_PRE, data, size_bytes);
	return push(server, command);
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
