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

bool npt_path_match(const char *pattern, const char *path,
		    const char *params[NPT_SERVER_PARAMS_MAX])
{
	size_t count = 0;

	while (*pattern == '/' && *path == '/') {
		size_t pattern_length = strcspn(++pattern, "/");
		size_t length = strcspn(++path, "/");
		bool last = path[length] == '\0';

		if ((pattern[pattern_length] == '\0') != last)
			return false;
		if (pattern[0] == '{') {
			if (length == 0 || count == NPT_SERVER_PARAMS_MAX)
				return false;
			params[count++] = path;
		} else if (length != pattern_length || strncmp(pattern, path, length) != 0) {
			return false;
		}
		pattern += pattern_length;
		path += length;
		if (last)
			return true;
	}
	return false;
}

void npt_path_cut(char *path, const char *const params[NPT_SERVER_PARAMS_MAX])
{
	for (size_t i = 0; i < NPT_SERVER_PARAMS_MAX && params[i]; i++) {
		size_t at = (size_t)(params[i] - path);

		path[at + strcspn(path + at, "/")] = '\0';
	}
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

/* "q=0", "q=0.000" */
static bool weighs_nothing(const char *weight)
{
	return strncasecmp(weight, "q=0", 3) == 0 &&
	       strspn(weight + 3, ".0") == strcspn(weight + 3, ", \t");
}

/* "deflate, gzip;q=0.5": named, and not with a weight of 0 (RFC 9110, 12.5.3). */
static bool takes_gzip(const char *encodings)
{
	while (*encodings) {
		size_t length = strcspn(encodings, ",");
		const char *at = encodings + strspn(encodings, " \t");
		size_t name = strcspn(at, ",; \t");

		if (name == 4 && strncasecmp(at, "gzip", name) == 0) {
			at += name;
			return !weighs_nothing(at + strspn(at, "; \t"));
		}
		encodings += length + (encodings[length] == ',');
	}
	return false;
}

static unsigned int read_headers(struct npt_exchange *exchange)
{
	struct npt_connection *connection = exchange->connection;
	npt_auto_free char *length = NULL, *encodings = NULL;

	if (lws_hdr_total_length(connection->wsi, WSI_TOKEN_HTTP) <= 0)
		return 400; /* a request line without a version */
	exchange->authorization = npt_connection_header(connection, WSI_TOKEN_HTTP_AUTHORIZATION);
	exchange->content_type = npt_connection_header(connection, WSI_TOKEN_HTTP_CONTENT_TYPE);
	exchange->if_none_match = npt_connection_header(connection, WSI_TOKEN_HTTP_IF_NONE_MATCH);
	length = npt_connection_header(connection, WSI_TOKEN_HTTP_CONTENT_LENGTH);
	encodings = npt_connection_header(connection, WSI_TOKEN_HTTP_ACCEPT_ENCODING);
	if (!exchange->authorization || !exchange->content_type || !exchange->if_none_match ||
	    !length || !encodings)
		return 400;
	exchange->request.accepts_gzip = takes_gzip(encodings);
	exchange->content_length = NPT_NO_CONTENT_LENGTH;
	if (length[0] && npt_parse_u64(length, 0, INT64_MAX, &exchange->content_length) < 0)
		return 400;
	return read_query(exchange);
}

bool npt_is_loopback_host(const char *host)
{
	static const char *const names[] = { "127.0.0.1", "localhost", "[::1]" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(names); i++) {
		size_t length = strlen(names[i]);

		if (strncasecmp(host, names[i], length) == 0 &&
		    (host[length] == '\0' || host[length] == ':'))
			return true;
	}
	return false;
}

static unsigned int check_host(const struct npt_exchange *exchange)
{
	npt_auto_free char *host = NULL;

	if (!exchange->server->options.loopback_only)
		return 0;
	host = npt_connection_header(exchange->connection, WSI_TOKEN_HOST);
	return host && npt_is_loopback_host(host) ? 0 : 403;
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
	const char *known = request->if_none_match;

	while (*known) {
		size_t length;

		known += strspn(known, ", \t");
		if (strncmp(known, "W/", 2) == 0)
			known += 2;
		length = strcspn(known, ", \t");
		if (length == strlen(etag) && strncmp(known, etag, length) == 0)
			return true;
		known += length;
	}
	return false;
}

const char *npt_bearer_token(const char *authorization)
{
	static const char scheme[] = "Bearer ";

	if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	authorization += sizeof(scheme) - 1;
	authorization += strspn(authorization, " ");
	return *authorization ? authorization : NULL;
}
