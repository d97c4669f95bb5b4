/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests: from the headers to the last byte of the answer.
 *
 * An exchange belongs to the service thread until its handler is called, to the handler until
 * npt_request_respond() queues it back, and then to the service thread again. When the client goes
 * away in between, the connection forgets the exchange and the answer is dropped on its return.
 *
 * A refused request's body is read and thrown away before the answer is written, so that the
 * client can read why; only one that is far too long gets its answer at once and is cut off.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/net/gzip.h"
#include "lib/net/server_exchange.h"

#define DRAIN_BYTES_MAX (16UL * 1024 * 1024)
#define CHUNK_BYTES     16384
#define WRITE_SECONDS   30
#define GZIP_BYTES_MIN  1024
#define HEADERS_BYTES   8192

static const char *title_of(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *title;
	} titles[] = {
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(titles); i++) {
		if (titles[i].status == status)
			return titles[i].title;
	}
	return "Error";
}

/* No text from outside gets in, so nothing needs quoting. */
static char *refusal_body(unsigned int status)
{
	return npt_format("{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u}\n",
			  title_of(status), status);
}

void npt_exchange_free(struct npt_exchange *exchange)
{
	if (!exchange)
		return;
	if (exchange->handed_out)
		atomic_fetch_sub(&exchange->server->outstanding, 1);
	atomic_fetch_sub(&exchange->server->bodies_bytes, exchange->body.size_bytes);
	for (size_t i = 0; i < exchange->query_count; i++) {
		free(exchange->query[i].name);
		free(exchange->query[i].value);
	}
	npt_buffer_done(&exchange->body);
	free(exchange->response.body);
	free(exchange->response.etag);
	free(exchange->response.set_cookie);
	free(exchange->path);
	free(exchange->segments);
	free(exchange->authorization);
	free(exchange->content_type);
	free(exchange->if_none_match);
	free(exchange->cookie);
	free(exchange->origin);
	free(exchange->host);
	free(exchange);
}

/* Answers by ourselves. The first refusal stands. */
static void refuse(struct npt_exchange *exchange, unsigned int status)
{
	if (exchange->answered)
		return;
	exchange->answered = true;
	exchange->response.status = status;
	exchange->response.content_type = "application/problem+json";
	exchange->response.body = refusal_body(status);
	exchange->response.body_bytes = strlen(exchange->response.body);
	if (status == 503)
		exchange->response.retry_after_seconds = 1;
	atomic_fetch_add(&exchange->server->stats.refused_requests, 1);
}

static void hand_out(struct npt_exchange *exchange)
{
	struct npt_server *server = exchange->server;
	struct npt_request *request = &exchange->request;

	if (atomic_load(&server->outstanding) >= server->options.max_requests) {
		refuse(exchange, 503);
		return;
	}
	lws_set_timeout(exchange->connection->wsi, NO_PENDING_TIMEOUT, 0);
	memcpy(exchange->client, exchange->connection->client, sizeof(exchange->client));
	request->path = exchange->path;
	request->authorization = exchange->authorization;
	request->content_type = exchange->content_type;
	request->if_none_match = exchange->if_none_match;
	request->cookie = exchange->cookie;
	request->origin = exchange->origin;
	request->host = exchange->host;
	request->client = exchange->client;
	request->body = exchange->body.data ? exchange->body.data : "";
	request->body_bytes = exchange->body.size_bytes;
	exchange->handed_out = true;
	atomic_fetch_add(&server->outstanding, 1);
	exchange->route->handler(exchange->route->context, request);
}

/* Everything of it is here: to the handler, or out with the refusal. */
static int request_complete(struct npt_exchange *exchange)
{
	if (!exchange->answered)
		hand_out(exchange);
	if (exchange->answered)
		(void)lws_callback_on_writable(exchange->connection->wsi);
	return 0;
}

int npt_exchange_begin(struct npt_connection *connection, const char *path, size_t path_bytes)
{
	struct npt_server *server = connection->server;
	struct npt_exchange *exchange = npt_alloc(1, sizeof(*exchange));
	unsigned int status;

	npt_exchange_connection_gone(connection); /* of an earlier request: there is none */
	exchange->server = server;
	exchange->connection = connection;
	connection->exchange = exchange;
	status = npt_exchange_read(exchange, path, path_bytes);
	npt_buffer_init(&exchange->body, exchange->route ? exchange->route->max_body_bytes : 0);
	exchange->body_deadline_ns =
		npt_clock_monotonic_ns() + 2 * server->options.header_seconds * NPT_NS_PER_SECOND;
	if (status == 411 || status == 400 ||
	    (status != 0 && exchange->content_length != NPT_NO_CONTENT_LENGTH &&
	     exchange->content_length > DRAIN_BYTES_MAX)) {
		atomic_fetch_add(&server->stats.refused_requests, 1);
		(void)npt_exchange_refuse_now(connection, status, 0);
		return -1;
	}
	if (status != 0)
		refuse(exchange, status);
	/* lws expects a body of a POST, PUT or PATCH in any case, and answers for one of 0 bytes.
	 */
	if (exchange->content_length == NPT_NO_CONTENT_LENGTH ||
	    (exchange->content_length == 0 && strcmp(exchange->request.method, "POST") != 0))
		return request_complete(exchange);
	return 0;
}

int npt_exchange_body(struct npt_connection *connection, const char *data, size_t size_bytes)
{
	struct npt_exchange *exchange = connection->exchange;
	struct npt_server *server = connection->server;

	if (!exchange || npt_clock_monotonic_ns() > exchange->body_deadline_ns)
		return -1;
	if (exchange->answered || size_bytes == 0)
		return 0;
	if (atomic_load(&server->bodies_bytes) + size_bytes > server->options.max_bodies_bytes) {
		refuse(exchange, 503);
		return 0;
	}
	if (npt_buffer_append(&exchange->body, data, size_bytes) < 0) {
		refuse(exchange, 413);
		return 0;
	}
	atomic_fetch_add(&server->bodies_bytes, size_bytes);
	return 0;
}

/*
 * Some bytes after the body, while its answer is being made, bring libwebsockets 4.1.6 here again
 * and again: no client may say more before it has the answer to a request with a body.
 */
int npt_exchange_complete(struct npt_connection *connection)
{
	struct npt_exchange *exchange = connection->exchange;

	if (!exchange || exchange->body_complete)
		return -1;
	exchange->body_complete = true;
	return request_complete(exchange);
}

/* Where the headers of an answer are put together. */
struct head {
	struct lws *wsi;
	unsigned char *at;
	unsigned char *end;
	bool failed;
};

static void add_header(struct head *head, const char *name, const char *value)
{
	if (lws_add_http_header_by_name(head->wsi, (const unsigned char *)name,
					(const unsigned char *)value, (int)strlen(value), &head->at,
					head->end))
		head->failed = true;
}

static int write_headers(struct lws *wsi, const struct npt_response *response,
			 const struct npt_extra_headers *extra)
{
	unsigned char buffer[LWS_PRE + HEADERS_BYTES], *start = buffer + LWS_PRE;
	struct head head = { .wsi = wsi, .at = start, .end = buffer + sizeof(buffer) - 1 };
	char seconds[16];

	if (lws_add_http_common_headers(wsi, response->status,
					response->content_type ? response->content_type
							       : "application/json",
					response->status == 304 || response->status == 204
						? LWS_ILLEGAL_HTTP_CONTENT_LEN
						: response->body_bytes,
					&head.at, head.end))
		return -1;
	add_header(&head, "cache-control:", response->etag ? "private, no-cache" : "no-store");
	add_header(&head, "vary:", "accept-encoding, authorization, cookie");
	/* Nothing of this is a page: a browser is to show or run none of it. */
	add_header(&head, "x-content-type-options:", "nosniff");
	add_header(&head, "content-security-policy:", "default-src 'none'; frame-ancestors 'none'");
	if (response->set_cookie)
		add_header(&head, "set-cookie:", response->set_cookie);
	if (response->etag)
		add_header(&head, "etag:", response->etag);
	if (extra->is_gzip)
		add_header(&head, "content-encoding:", "gzip");
	if (extra->allow[0])
		add_header(&head, "allow:", extra->allow);
	if (response->status == 401)
		add_header(&head, "www-authenticate:", "Bearer");
	if (response->retry_after_seconds > 0) {
		(void)snprintf(seconds, sizeof(seconds), "%u", response->retry_after_seconds);
		add_header(&head, "retry-after:", seconds);
	}
	if (head.failed)
		return -1;
	return lws_finalize_write_http_header(wsi, start, &head.at, head.end) ? -1 : 0;
}

/* The next piece of the body. 1: that was the last, 0: more, -1: broken. */
static int write_piece(struct lws *wsi, const struct npt_response *response, size_t *written_bytes)
{
	unsigned char buffer[LWS_PRE + CHUNK_BYTES];
	size_t left = response->body_bytes - *written_bytes;
	size_t size = left < CHUNK_BYTES ? left : CHUNK_BYTES;
	bool last = size == left;

	if (left == 0)
		return 1;
	memcpy(buffer + LWS_PRE, response->body + *written_bytes, size);
	if (lws_write(wsi, buffer + LWS_PRE, size, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) <
	    (int)size)
		return -1;
	*written_bytes += size;
	return last ? 1 : 0;
}

int npt_exchange_writeable(struct npt_connection *connection)
{
	struct npt_exchange *exchange = connection->exchange;
	struct lws *wsi = connection->wsi;
	bool close_after;
	int r;

	if (!exchange || !exchange->answered)
		return 0;
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, WRITE_SECONDS);
	if (!exchange->headers_written) {
		exchange->headers_written = true;
		if (write_headers(wsi, &exchange->response, &exchange->extra) < 0)
			return -1;
		(void)lws_callback_on_writable(wsi);
		return 0;
	}
	r = write_piece(wsi, &exchange->response, &exchange->written_bytes);
	if (r < 0)
		return -1;
	if (r == 0) {
		(void)lws_callback_on_writable(wsi);
		return 0;
	}
	close_after = exchange->close_after || connection->server->draining;
	connection->exchange = NULL;
	npt_exchange_free(exchange);
	atomic_fetch_add(&connection->server->stats.requests, 1);
	return close_after || lws_http_transaction_completed(wsi) ? -1 : 0;
}

int npt_exchange_refuse_now(struct npt_connection *connection, unsigned int status,
			    unsigned int retry_after_seconds)
{
	npt_auto_free char *body = refusal_body(status);
	const struct npt_extra_headers none = { .is_gzip = false };
	struct npt_response response = {
		.status = status,
		.content_type = "application/problem+json",
		.body = body,
		.body_bytes = strlen(body),
		.retry_after_seconds = retry_after_seconds,
	};
	size_t written = 0;

	if (write_headers(connection->wsi, &response, &none) < 0)
		return -1;
	return write_piece(connection->wsi, &response, &written) == 1 ? 0 : -1;
}

void npt_exchange_answered(struct npt_exchange *exchange)
{
	exchange->answered = true;
	if (!exchange->connection) {
		npt_exchange_free(exchange);
		return;
	}
	(void)lws_callback_on_writable(exchange->connection->wsi);
}

void npt_exchange_connection_gone(struct npt_connection *connection)
{
	struct npt_exchange *exchange = connection->exchange;

	connection->exchange = NULL;
	if (!exchange)
		return;
	exchange->connection = NULL;
	if (!exchange->handed_out || exchange->answered)
		npt_exchange_free(exchange);
}

void npt_request_respond(struct npt_request *request, struct npt_response response)
{
	struct npt_exchange *exchange = (struct npt_exchange *)request;
	struct npt_server *server = exchange->server;

	exchange->response = response;
	if (request->accepts_gzip && response.body_bytes >= GZIP_BYTES_MIN)
		exchange->extra.is_gzip =
			npt_gzip_take(&exchange->response.body, &exchange->response.body_bytes);
	if (npt_queue_push(server->answered, exchange) == 0)
		npt_server_wake(server);
	else
		npt_exchange_free(exchange); /* stopped meanwhile: nobody reads it any more */
}
