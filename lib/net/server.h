/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Server - HTTPS and WebSocket for the programs that listen: one libwebsockets context, one service
 * thread.
 *
 * Handlers and socket callbacks run on the service thread and must not block: whoever needs time
 * hands the request (or the socket's id) to a thread of its own by lib/core/queue and answers from
 * there. npt_request_*() and npt_server_socket_*() may be called from any thread.
 *
 * What the server refuses by itself, with a small application/problem+json body: an unknown path
 * (404), an unknown method of a known path (405), a body without Content-Length (411), a body that
 * is too large (413) or of another type (415), and everything beyond its bounds (503 with
 * Retry-After). HTTP/1.1 only; TLS 1.2 or newer.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

#define NPT_SERVER_PARAMS_MAX     4
#define NPT_SERVER_QUERY_MAX      16
#define NPT_SERVER_ADDRESS_BYTES  48
#define NPT_SERVER_PATH_BYTES_MAX 1024

struct npt_server;

/*
 * A request that is complete: headers and body. It belongs to the handler, and to whoever the
 * handler gives it to, until npt_request_respond(); it stays valid if the client goes away.
 */
struct npt_request {
	const char *method;                 /* "GET", "POST" ... */
	const char *path;                   /* decoded, without the query */
	const char *authorization;          /* the header, or "" */
	const char *content_type;           /* the header, or "" */
	const char *if_none_match;          /* the header, or "" */
	const char *cookie, *origin, *host; /* likewise */
	bool accepts_gzip;
	const char *client;                        /* its address as text */
	const char *params[NPT_SERVER_PARAMS_MAX]; /* what each {..} of the pattern stands for */
	const char *body;                          /* never NULL; a NUL follows, not counted */
	size_t body_bytes;
};

struct npt_response {
	unsigned int status;
	const char *content_type; /* static; NULL: application/json */
	char *body;               /* taken over and freed; may be NULL */
	size_t body_bytes;
	unsigned int retry_after_seconds; /* 0: no such header */
	/*
	 * What the content is known by, in quotes (RFC 9110, 8.8.3), taken over and freed; with it
	 * the client may keep the answer, and asks each time whether it is still good. NULL: it may
	 * not be kept.
	 */
	char *etag;
	char *set_cookie; /* the header's value, taken over and freed; or NULL */
};

/* The value of ?name=value, decoded, "" if it has none; NULL if the query does not name it. */
const char *npt_request_query(const struct npt_request *request, const char *name);
/* The n-th name of the query, NULL beyond the last: to refuse unknown ones. */
const char *npt_request_query_name(const struct npt_request *request, size_t index);
/* Whether the client has the answer with this etag already: then it is 304, without a body. */
bool npt_request_has(const struct npt_request *request, const char *etag);
/* The token of "Authorization: Bearer TOKEN", or NULL. */
const char *npt_bearer_token(const char *authorization);
/*
 * Ends the request, frees it, takes what the response owns. Any thread, exactly once. A
 * body of some size is compressed, here, for a client that takes gzip.
 */
void npt_request_respond(struct npt_request *request, struct npt_response response);

struct npt_route {
	const char *method;
	const char *path; /* "/v1/tasks/{uid}/windows"; a {name} stands for one segment */
	void (*handler)(void *context, struct npt_request *request);
	void *context;
	/* Of a method with a body: */
	const char *content_type; /* without parameters; NULL: any */
	size_t max_body_bytes;    /* 0: no body is taken */
};

/*
 * WebSocket connections are named by a number that is never used again, so that a thread which
 * answers late can only miss. All callbacks on the service thread; those left NULL are not called.
 */
struct npt_opening {
	const char *authorization;                 /* the header, or "" */
	const char *cookie, *origin, *host;        /* likewise */
	const char *client;                        /* its address as text */
	const char *params[NPT_SERVER_PARAMS_MAX]; /* what each {..} of the path stands for */
	const char *query;                         /* "a=1&b=2", decoded; or "" */
};

struct npt_endpoint {
	const char *path;        /* as of a route */
	size_t max_frame_bytes;  /* a longer message closes the connection with 1009 */
	size_t max_queued_bytes; /* to one peer that does not read: beyond it, it is closed (1008)
				  */
	void *context;
	/*
	 * Before the upgrade: 0 to go on, or the HTTP status that refuses it (401, 503 ...), then
	 * *retry_after_seconds_ret > 0 adds Retry-After.
	 */
	unsigned int (*on_upgrade)(void *context, const char *authorization,
				   unsigned int *retry_after_seconds_ret);
	/*
	 * After the upgrade. Decide now or later by npt_server_socket_accept() or
	 * npt_server_socket_close(); until then nothing of it is read, and after 15 s it is closed.
	 * Without this callback every connection is accepted.
	 */
	void (*on_open)(void *context, uint64_t socket, const struct npt_opening *opening);
	/* One whole text or binary message; data is followed by a NUL. Only after accept. */
	void (*on_message)(void *context, uint64_t socket, const char *data, size_t size_bytes);
	/* A message was too large; the connection is being closed. */
	void (*on_refused)(void *context, uint64_t socket, const char *reason);
	/* Once for each on_open. */
	void (*on_close)(void *context, uint64_t socket);
};

struct npt_server_options {
	const char
		*listen; /* "ADDRESS:PORT", "[IPv6]:PORT" or ":PORT" (all addresses); port 0: any */
	const char *tls_cert; /* PEM files, read again when they change; both NULL: plain HTTP, */
	const char *tls_key;  /* which only a loopback address may speak, unless it is */
	bool plain_anywhere;  /* said here: for the health port, which tells nothing */
	/*
	 * Only a loopback address, and only for requests that name one as their host: else a page
	 * of anybody's could have its own name lead here, and read.
	 */
	bool loopback_only;
	const struct npt_route *routes; /* borrowed until the server is freed */
	size_t routes_count;
	const struct npt_endpoint *endpoints; /* borrowed likewise */
	size_t endpoints_count;
	size_t max_connections;      /* 0: 1024 */
	size_t max_requests;         /* being worked on; beyond it 503; 0: 256 */
	size_t max_bodies_bytes;     /* all bodies together; beyond it 503; 0: 64 MiB */
	size_t max_queued_bytes;     /* on their way to all sockets; 0: no limit but each one's */
	unsigned int ping_seconds;   /* 0: 10 */
	unsigned int dead_seconds;   /* 0: 30 */
	unsigned int header_seconds; /* for a client to say its request and its body; 0: 20 */
};

/* What was refused or dropped since the start. */
struct npt_server_stats {
	uint64_t connections; /* open now */
	uint64_t sockets;     /* of them WebSockets */
	uint64_t requests;    /* answered */
	uint64_t refused_connections;
	uint64_t refused_requests;  /* 4xx and 503 by the server itself */
	uint64_t closed_slow_peers; /* max_queued_bytes */
	uint64_t refused_frames;    /* max_frame_bytes */
	uint64_t certificate_reloads;
	uint64_t certificate_failures; /* the files changed but could not be used */
};

/* Listens when it returns; its thread runs. */
int npt_server_start(const struct npt_server_options *options, struct npt_server **server_ret,
		     struct npt_error *err);
/*
 * Takes no more connections or requests (503), closes WebSockets with 1001, waits up to timeout_ms
 * for the requests that are being worked on, ends the thread. Requests not yet answered stay valid.
 */
void npt_server_stop(struct npt_server *server, unsigned int timeout_ms);
/* After npt_server_stop() (or does it, with 0 ms) and after the last request was answered. */
void npt_server_free(struct npt_server *server);
NPT_DEFINE_AUTO(struct npt_server *, npt_server_free)

unsigned int npt_server_port(const struct npt_server *server);
void npt_server_stats(struct npt_server *server, struct npt_server_stats *stats_ret);

/* 0, or -ENOSPC when too much is on its way. An unknown socket is no error. */
int npt_server_socket_accept(struct npt_server *server, uint64_t socket);
/* A text message, copied. */
int npt_server_socket_send(struct npt_server *server, uint64_t socket, const char *data,
			   size_t size_bytes);
/* code: 1000, 1008, 4000..4999; reason is cut to 123 bytes. */
int npt_server_socket_close(struct npt_server *server, uint64_t socket, unsigned int code,
			    const char *reason);
/* What was sent and waits for this socket to read: who looks first need not make more for it. */
size_t npt_server_socket_queued_bytes(const struct npt_server *server, uint64_t socket);
