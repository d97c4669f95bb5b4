/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Http client - requests over HTTPS with libcurl: bounded, timed, with one CA file trusted and no
 * other. Knows nothing of who it talks to.
 *
 * A client keeps its connection between requests. One thread at a time, but for
 * npt_http_client_cancel(); clients are independent.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

struct npt_http_client;

struct npt_http_client_options {
	const char *ca_file;   /* PEM, read again for each connection; NULL only for plain http */
	const char *cert_file; /* client certificate and key, or NULL */
	const char *key_file;
	const char *ca_pem; /* the same as text; a file of the same kind comes first */
	const char *cert_pem;
	const char *key_pem;
	const char *unix_socket; /* dialled whatever the URL says; NULL: the URL's host */
	/* "127.0.0.1:PORT": dialled instead of the URL's host, whose name is checked */
	const char *connect_to;
	bool system_trust;   /* without a CA: what the machine trusts, instead of nobody */
	bool plain_anywhere; /* http:// to any host: whoever gave the URL said so */
	bool http2; /* nothing but HTTP/2, over plain http without asking; a connection per request
		     */
	const char *user_agent; /* NULL: "npt/VERSION" */
};

struct npt_http_request {
	const char *method; /* "GET", "POST", "PATCH", "DELETE" */
	const char *url;    /* https://...; http:// only to 127.0.0.1, [::1] or localhost */
	const char *bearer; /* NULL: no Authorization header */
	const char *content_type;
	const char *accept;
	const char *const *headers; /* further ones, "Name: value", NULL at the end; or NULL */
	const void *body;
	size_t body_bytes;
	uint64_t timeout_ms;       /* of the whole request; 0: 30 s */
	uint64_t silence_seconds;  /* streams: give up after so long without a byte; 0: not */
	size_t max_response_bytes; /* a longer body is -EMSGSIZE; 0: 4 MiB, of a stream no limit */
	bool accept_gzip;          /* the caller sees the unpacked body; limits are of that */
	/* A stream: called for each piece instead of keeping the body; < 0 ends the request. */
	int (*on_data)(void *context, const char *data, size_t size_bytes);
	/* Each line of the headers and, after the body, of the trailers; not NUL-terminated. */
	void (*on_header)(void *context, const char *line, size_t size_bytes);
	/* Asked about once a second while the request runs; true ends it with -ECANCELED. */
	bool (*is_cancelled)(void *context);
	void *context; /* of on_data, on_header and is_cancelled */
};

struct npt_http_response {
	unsigned int status;
	char *body; /* NUL-terminated, the caller's; for streams what came with a status >= 300 */
	size_t body_bytes;
	unsigned int retry_after_seconds; /* 0: the server did not say */
};

int npt_http_client_new(const struct npt_http_client_options *options,
			struct npt_http_client **client_ret, struct npt_error *err);
void npt_http_client_free(struct npt_http_client *client);
NPT_DEFINE_AUTO(struct npt_http_client *, npt_http_client_free)

/*
 * From any thread, for good: the request that runs, and each later one, ends with -ECANCELED at
 * once. The client is still to be freed, by its own thread.
 */
void npt_http_client_cancel(struct npt_http_client *client);
/* Waits, as before another try. 0, or -ECANCELED at once when the client is cancelled. */
int npt_http_client_pause(struct npt_http_client *client, uint64_t ms);

/*
 * 0 when the server answered, whatever the status. -ECONNREFUSED: nobody there; -ECONNRESET: cut
 * on the way; -ETIMEDOUT; -ECANCELED; -EMSGSIZE; what on_data returned; or -EIO with the reason
 * (name not found, certificate not trusted, ...).
 */
int npt_http_perform(struct npt_http_client *client, const struct npt_http_request *request,
		     struct npt_http_response *response_ret, struct npt_error *err);
void npt_http_response_done(struct npt_http_response *response);
NPT_DEFINE_AUTO_DONE(struct npt_http_response, npt_http_response_done)
/* Percent-encodes everything but unreserved characters (RFC 3986); the caller's to free. */
char *npt_http_escape(const char *text);
