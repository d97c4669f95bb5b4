/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Server, inside: what server.c (life, thread, TLS), server_http.c (requests) and server_socket.c
 * (WebSockets) share. Everything here is the service thread's, but what says otherwise.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <libwebsockets.h>

#include "lib/core/buffer.h"
#include "lib/core/queue.h"
#include "lib/net/server.h"
#include "lib/net/tls.h"

struct npt_exchange;
struct npt_socket;

/* One accepted TCP connection; lives as long as its wsi. */
struct npt_connection {
	LIST_ENTRY(npt_connection) entry;
	struct npt_server *server;
	struct lws *wsi;
	char client[NPT_SERVER_ADDRESS_BYTES];
	struct npt_exchange *exchange; /* the request in progress, or NULL */
	struct npt_socket *socket;     /* after an upgrade */
	/* between the check of an upgrade and its end: */
	const struct npt_endpoint *endpoint;
	char *authorization;
	char *cookie;
	char *origin;
	char *host;
	char *segments; /* the path, cut into opening_params */
	const char *opening_params[NPT_SERVER_PARAMS_MAX];
	char *query;
};

/* What another thread wants of a socket. A send becomes the socket's outgoing message as it is. */
struct npt_command {
	STAILQ_ENTRY(npt_command) entry;
	enum { NPT_COMMAND_ACCEPT, NPT_COMMAND_SEND, NPT_COMMAND_CLOSE } kind;
	uint64_t socket;
	unsigned int code;
	size_t size_bytes;
	unsigned char data[]; /* LWS_PRE, then size_bytes */
};

struct npt_server {
	struct npt_server_options options; /* defaults filled in; strings are owned below */
	char *cert_file;
	char *key_file;
	char *iface;
	struct lws_protocols protocols[2];
	lws_retry_bo_t idle;
	struct lws_context *context;
	struct lws_vhost *vhost;
	SSL_CTX *ssl;
	SSL_CTX *unused_client_ssl; /* else lws makes one, with all of the system's authorities */
	struct npt_tls_stamp stamp;
	lws_sorted_usec_list_t reload_timer;
	unsigned int port;
	pthread_t thread;
	bool started;
	bool draining;

	struct npt_queue *answered; /* of npt_exchange, from any thread */
	struct npt_queue *commands; /* of npt_command, from any thread */
	atomic_bool stop;           /* from the stopping thread */
	atomic_bool drain;
	atomic_size_t outstanding;  /* exchanges in handlers' hands; any thread */
	atomic_size_t bodies_bytes; /* any thread */
	atomic_size_t queued_bytes; /* any thread */

	LIST_HEAD(, npt_connection) connections;
	struct npt_socket **sockets;   /* by slot; NULL: free */
	atomic_size_t *queued_by_slot; /* bytes on their way; any thread */
	uint32_t *free_slots;
	size_t free_slots_count;
	uint64_t next_generation;

	struct { /* counted here, read by any thread */
		atomic_uint_least64_t connections, sockets, requests, refused_connections,
			refused_requests, closed_slow_peers, refused_frames, certificate_reloads,
			certificate_failures;
	} stats;
};

void npt_server_wake(struct npt_server *server);
/* The connection of a wsi, or NULL (listening and internal ones). */
struct npt_connection *npt_connection_of(struct lws *wsi);
/* A header's value, "" if it is not there; the caller's to free. NULL: too long or malformed. */
char *npt_connection_header(struct npt_connection *connection, enum lws_token_indexes token);

/* server_http.c */
int npt_exchange_begin(struct npt_connection *connection, const char *path, size_t path_bytes);
int npt_exchange_body(struct npt_connection *connection, const char *data, size_t size_bytes);
int npt_exchange_complete(struct npt_connection *connection);
int npt_exchange_writeable(struct npt_connection *connection);
void npt_exchange_connection_gone(struct npt_connection *connection);
void npt_exchange_answered(struct npt_exchange *exchange);
void npt_exchange_free(struct npt_exchange *exchange);
/* A whole refusal at once, for where no exchange exists: nonzero if it could not be written. */
int npt_exchange_refuse_now(struct npt_connection *connection, unsigned int status,
			    unsigned int retry_after_seconds);

/* A socket's number: a generation above, the slot below. */
#define NPT_SLOT_BITS 24

/* server_socket.c: what was kept of an upgrade. */
void npt_connection_opening_done(struct npt_connection *connection);
/* The int ones return nonzero to close the connection. */
int npt_socket_check_upgrade(struct npt_connection *connection, const char *protocol);
int npt_socket_opened(struct npt_connection *connection);
int npt_socket_received(struct npt_connection *connection, const char *data, size_t size_bytes);
int npt_socket_writeable(struct npt_connection *connection);
int npt_socket_timer(struct npt_connection *connection);
void npt_socket_connection_gone(struct npt_connection *connection);
void npt_socket_command(struct npt_server *server, struct npt_command *command);
void npt_socket_command_free(struct npt_server *server, struct npt_command *command);
void npt_socket_close_all(struct npt_server *server);
