/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request says: method, path, query, the headers that we need, and whether any route wants
 * it. libwebsockets has parsed it; here it is bounded and copied, so that it outlives the wsi.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/parse.h"
#include "lib/net/headers.h"
#include "lib/net/server_exchange.h"

static const char *method_of(struct lws *wsi)
{
	static const char *const names[] = {
		[LWSHUMETH_GET] = "GET",         [LWSHUMETH_POST] = "POST",
		[LWSHUMETH_OPTIONS] = "OPTIONS", [LWSHUMETH_PUT] = "PUT",
		[LWSHUMETH_PATCH] = "PATCH",     [LWSHUMETH_DELETE] = "DELETE",
		[LWSHUMETH_CONNECT] = "CONNECT", [LWSHUMETH_HEAD] = "HEAD",
	};
	char *uri = NULL;
	int length = 0;
	int method = lws_http_get_uri_and_method(wsi, &uri, &length);

	if (method < 0 || (size_t)method >= NPT_ARRAY_SIZE(names))
		return "";
	return names[method];
}

static void allow(struct npt_exchange *exchange, const char *method)
{
	char *text = exchange->extra.allow;
	size_t length = strlen(text);

	(void)snprintf(text + length, sizeof(exchange->extra.allow) - length, "%s%s",
		       length ? ", " : "", method);
}

/* 0, or the status that refuses it. */
static unsigned int find_route(struct npt_exchange *exchange)
{
	const struct npt_server_options *options = &exchange->server->options;
	bool path_known = false;

	for (size_t i = 0; i < options->routes_count; i++) {
		const struct npt_route *route = &options->routes[i];
		const char *params[NPT_SERVER_PARAMS_MAX] = { NULL };

		if (!npt_path_match(route->path, exchange->segments, params))
			continue;
		path_known = true;
		if (strcmp(route->method, exchange->request.method) != 0) {
			allow(exchange, route->method);
			continue;
		}
		exchange->extra.allow[0] = '\0';
		exchange->route = route;
		memcpy(exchange->request.params, params, sizeof(params));
		npt_path_cut(exchange->segments, params);
		return 0;
	}
	return path_known ? 405 : 404;
}

static bool same_type(const char *header, const char *type)
{
	size_t length = strcspn(header, "; \t");

	return length == strlen(type) && strncasecmp(header, type, length) == 0;
}

static unsigned int check_body(const struct npt_exchange *exchange)
{
	const struct npt_route *route = exchange->route;
	bool has_length = exchange->content_length != NPT_NO_CONTENT_LENGTH;

	if (lws_hdr_total_length(exchange->connection->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
		return 411;
	if (route->max_body_bytes == 0)
		return has_length && exchange->content_length > 0 ? 413 : 0;
	if (!has_length)
		return 411;
	if (exchange->content_length > route->max_body_bytes)
		return 413;
	if (route->content_type && !same_type(exchange->content_type, route->content_type))
		return 415;
	return 0;
}

/* lws has decoded the query and cut it at "&". */
static unsigned int read_query(struct npt_exchange *exchange)
{
	struct lws *wsi = exchange->connection->wsi;

	for (int i = 0;; i++) {
		char text[NPT_SERVER_PATH_BYTES_MAX];
		int length =
			lws_hdr_copy_fragment(wsi, text, sizeof(text), WSI_TOKEN_HTTP_URI_ARGS, i);
		char *equals;

		if (length < 0 &&
		    lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) >= (int)sizeof(text))
			return 400;
		if (length <= 0)
			return 0;
		if (exchange->query_count == NPT_SERVER_QUERY_MAX)
			return 400;
		equals = strchr(text, '=');
		if (equals)
			*equals = '\0';
		exchange->query[exchange->query_count++] = (struct npt_parameter){
			.name = npt_strdup(text),
			.value = npt_strdup(equals ? equals + 1 : ""),
		};
	}
}

/* Copies of what may be asked of the request; false: one of them is too long. */
static bool copy_headers(struct npt_exchange *exchange)
{
	const struct {
		char **into;
		enum lws_token_indexes token;
	} headers[] = {
		{ &exchange->authorization, WSI_TOKEN_HTTP_AUTHORIZATION },
		{ &exchange->content_type, WSI_TOKEN_HTTP_CONTENT_TYPE },
		{ &exchange->if_none_match, WSI_TOKEN_HTTP_IF_NONE_MATCH },
		{ &exchange->cookie, WSI_TOKEN_HTTP_COOKIE },
		{ &exchange->origin, WSI_TOKEN_ORIGIN },
		{ &exchange->host, WSI_TOKEN_HOST },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(headers); i++) {
		*headers[i].into = npt_connection_header(exchange->connection, headers[i].token);
		if (!*headers[i].into)
			return false;
	}
	return true;
}

static unsigned int read_headers(struct npt_exchange *exchange)
{
	struct npt_connection *connection = exchange->connection;
	npt_auto_free char *length = NULL, *encodings = NULL;

	if (lws_hdr_total_length(connection->wsi, WSI_TOKEN_HTTP) <= 0)
		return 400; /* a request line without a version */
	length = npt_connection_header(connection, WSI_TOKEN_HTTP_CONTENT_LENGTH);
	encodings = npt_connection_header(connection, WSI_TOKEN_HTTP_ACCEPT_ENCODING);
	if (!copy_headers(exchange) || !length || !encodings)
		return 400;
	exchange->request.accepts_gzip = npt_header_takes_gzip(encodings);
	exchange->content_length = NPT_NO_CONTENT_LENGTH;
	if (length[0] && npt_parse_u64(length, 0, INT64_MAX, &exchange->content_length) < 0)
		return 400;
	return read_query(exchange);
}

static unsigned int check_host(const struct npt_exchange *exchange)
{
	return !exchange->server->options.loopback_only || npt_is_loopback_host(exchange->host)
		       ? 0
		       : 403;
}

unsigned int npt_exchange_read(struct npt_exchange *exchange, const char *path, size_t path_bytes)
{
	unsigned int status;

	if (path_bytes >= NPT_SERVER_PATH_BYTES_MAX || memchr(path, '\0', path_bytes))
		return 400;
	exchange->path = npt_strndup(path, path_bytes);
	exchange->segments = npt_strndup(path, path_bytes);
	exchange->request.method = method_of(exchange->connection->wsi);
	status = read_headers(exchange);
	if (status == 0)
		status = check_host(exchange);
	if (status == 0)
		status = find_route(exchange);
	if (status == 0)
		status = check_body(exchange);
	if (status == 0 &&
	    (exchange->server->draining ||
	     atomic_load(&exchange->server->outstanding) >= exchange->server->options.max_requests))
		status = 503;
	return status;
}

const char *npt_request_query(const struct npt_request *request, const char *name)
{
	const struct npt_exchange *exchange = (const struct npt_exchange *)request;

	for (size_t i = 0; i < exchange->query_count; i++) {
		if (strcmp(exchange->query[i].name, name) == 0)
			return exchange->query[i].value;
	}
	return NULL;
}

const char *npt_request_query_name(const struct npt_request *request, size_t index)
{
	const struct npt_exchange *exchange = (const struct npt_exchange *)request;

	return index < exchange->query_count ? exchange->query[index].name : NULL;
}

bool npt_request_has(const struct npt_request *request, const char *etag)
{
	return npt_header_names_etag(request->if_none_match, etag);
}
