/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token is read for each call through a cache of a minute: kubelet rewrites the file long
 * before it expires. After a 401 it is read at once and the call tried once more.
 */
#include "lib/kube/client.h"

#include <errno.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/net/http_client.h"

#define TOKEN_CACHE_NS     (60 * NPT_NS_PER_SECOND)
#define TOKEN_BYTES_MAX    (64U * 1024)
#define OBJECT_BYTES_MAX   (4U * 1024 * 1024)
#define TIMEOUT_MS_DEFAULT 30000
#define TRIES_MAX          10
#define WAIT_MS_MAX        30000

struct npt_kube_client {
	const struct npt_kube_config *config;
	struct npt_http_client *http;
	uint64_t timeout_ms;
	char *token;
	uint64_t token_read_ns;
};

int npt_kube_client_new(struct npt_kube_client **client_ret, const struct npt_kube_config *config,
			struct npt_error *err)
{
	npt_auto(npt_kube_client_free) struct npt_kube_client *client =
		npt_alloc(1, sizeof(*client));
	struct npt_http_client_options options = {
		.ca_file = config->ca_file,
		.cert_file = config->cert_file,
		.key_file = config->key_file,
		.ca_pem = config->ca_pem,
		.cert_pem = config->cert_pem,
		.key_pem = config->key_pem,
		.unix_socket = config->unix_socket,
		.user_agent = config->user_agent,
	};
	int r = npt_http_client_new(&options, &client->http, err);

	if (r < 0)
		return r;
	client->config = config;
	client->timeout_ms = TIMEOUT_MS_DEFAULT;
	if (config->token)
		client->token = npt_strdup(config->token);
	*client_ret = npt_take(client);
	return 0;
}

static void free_token(char *token)
{
	if (token)
		explicit_bzero(token, strlen(token));
	free(token);
}

void npt_kube_client_free(struct npt_kube_client *client)
{
	if (!client)
		return;
	npt_http_client_free(client->http);
	free_token(client->token);
	free(client);
}

void npt_kube_client_cancel(struct npt_kube_client *client)
{
	npt_http_client_cancel(client->http);
}

int npt_kube_client_pause(struct npt_kube_client *client, uint64_t ms)
{
	return npt_http_client_pause(client->http, ms);
}

void npt_kube_client_set_timeout(struct npt_kube_client *client, uint64_t timeout_ms)
{
	client->timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_MS_DEFAULT;
}

/* Keeps the old token if the file cannot be read. */
static void refresh_token(struct npt_kube_client *client, bool now)
{
	uint64_t time_ns = npt_clock_boottime_ns();
	char *token = NULL;

	if (!client->config->token_file)
		return;
	if (!now && client->token && time_ns < client->token_read_ns + TOKEN_CACHE_NS)
		return;
	if (npt_kube_config_read_file(client->config->token_file, TOKEN_BYTES_MAX, &token, NULL) <
	    0)
		return;
	free_token(client->token);
	client->token = token;
	client->token_read_ns = time_ns;
}

/* A lagging API server has not got that version yet: as useless to us as one that is too old. */
static bool is_version_too_large(const json_t *status)
{
	size_t i;
	json_t *cause;

	json_array_foreach(json_object_get(json_object_get(status, "details"), "causes"), i, cause)
	{
		const char *reason = json_string_value(json_object_get(cause, "reason"));

		if (reason && strcmp(reason, "ResourceVersionTooLarge") == 0)
			return true;
	}
	return false;
}

enum npt_kube_outcome npt_kube_outcome_of_status(const json_t *status)
{
	static const struct {
		const char *reason;
		json_int_t code;
		enum npt_kube_outcome outcome;
	} table[] = {
		{ "AlreadyExists", 0, NPT_KUBE_ALREADY_EXISTS },
		{ "Expired", 0, NPT_KUBE_GONE },
		{ "Gone", 410, NPT_KUBE_GONE },
		{ "NotFound", 404, NPT_KUBE_NOT_FOUND },
		{ "Conflict", 409, NPT_KUBE_CONFLICT },
		{ "Forbidden", 403, NPT_KUBE_FORBIDDEN },
		{ "Unauthorized", 401, NPT_KUBE_UNAUTHORIZED },
		{ "Invalid", 422, NPT_KUBE_INVALID },
		{ "BadRequest", 400, NPT_KUBE_INVALID },
		{ "TooManyRequests", 429, NPT_KUBE_BUSY },
		{ "InternalError", 500, NPT_KUBE_BUSY },
		{ "ServiceUnavailable", 503, NPT_KUBE_BUSY },
		{ "Timeout", 504, NPT_KUBE_BUSY },
	};
	const char *reason = json_string_value(json_object_get(status, "reason"));
	json_int_t code = json_integer_value(json_object_get(status, "code"));

	if (is_version_too_large(status))
		return NPT_KUBE_GONE;
	for (size_t i = 0; reason && i < NPT_ARRAY_SIZE(table); i++) {
		if (strcmp(reason, table[i].reason) == 0)
			return table[i].outcome;
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(table); i++) {
		if (table[i].code && table[i].code == code)
			return table[i].outcome;
	}
	return NPT_KUBE_BUSY;
}

static int refuse(const struct npt_http_response *response, const char *path, struct npt_error *err)
{
	json_t *status = json_loadb(response->body, response->body_bytes, 0, NULL);
	const char *message = json_string_value(json_object_get(status, "message"));
	enum npt_kube_outcome outcome;

	if (!json_object_get(status, "code")) {
		if (!json_is_object(status)) {
			json_decref(status);
			status = json_object();
		}
		(void)json_object_set_new(status, "code", json_integer(response->status));
	}
	outcome = npt_kube_outcome_of_status(status);
	(void)npt_error_set(err, EPROTO, "%.120s: %u %s", path, response->status,
			    message ? message : "");
	json_decref(status);
	return (int)outcome;
}

/* With the token as it is; after a 401 once more with what the file holds then. */
static int perform(struct npt_kube_client *client, struct npt_http_request *request,
		   struct npt_http_response *response, struct npt_error *err)
{
	int r;

	refresh_token(client, false);
	request->bearer = client->token;
	r = npt_http_perform(client->http, request, response, err);
	if (r < 0 || response->status != 401 || !client->config->token_file)
		return r;
	npt_http_response_done(response);
	refresh_token(client, true);
	request->bearer = client->token;
	return npt_http_perform(client->http, request, response, err);
}

/* What was refused before it was done may be asked again; a POST that failed may have been done. */
static bool is_retriable(const struct npt_http_request *request,
			 const struct npt_http_response *response)
{
	if (response->retry_after_seconds == 0)
		return false;
	return response->status == 429 ||
	       (response->status >= 500 && strcmp(request->method, "POST") != 0);
}

static int perform_patiently(struct npt_kube_client *client, struct npt_http_request *request,
			     struct npt_http_response *response, struct npt_error *err)
{
	uint64_t waited_ms = 0;

	for (unsigned int tries = 1;; tries++) {
		int r = perform(client, request, response, err);
		uint64_t wait_ms = response->retry_after_seconds * 1000ULL;

		if (r < 0 || !is_retriable(request, response) || tries >= TRIES_MAX ||
		    waited_ms + wait_ms > WAIT_MS_MAX)
			return r;
		npt_http_response_done(response);
		r = npt_http_client_pause(client->http, wait_ms);
		if (r < 0)
			return npt_error_set(err, ECANCELED, "cancelled");
		waited_ms += wait_ms;
	}
}

int npt_kube_call(struct npt_kube_client *client, const char *method, const char *path,
		  const json_t *body, json_t **object_ret, struct npt_error *err)
{
	npt_auto_free char *url = npt_format("%s%s", client->config->server, path);
	npt_auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	struct npt_http_request request = {
		.method = method,
		.url = url,
		.accept = "application/json",
		.body = text,
		.body_bytes = text ? strlen(text) : 0,
		.timeout_ms = client->timeout_ms,
		.max_response_bytes = OBJECT_BYTES_MAX,
		.content_type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json"
							     : "application/json",
	};
	json_t *object;
	int r = perform_patiently(client, &request, &response, err);

	if (r < 0)
		return r;
	if (response.status >= 300)
		return refuse(&response, path, err);
	object = json_loadb(response.body, response.body_bytes, 0, NULL);
	if (!json_is_object(object)) {
		json_decref(object);
		return npt_error_set(err, EBADMSG, "%.120s: the answer is no JSON object", path);
	}
	if (object_ret)
		*object_ret = object;
	else
		json_decref(object);
	return NPT_KUBE_OK;
}

int npt_kube_stream(struct npt_kube_client *client, struct npt_kube_stream *stream,
		    struct npt_error *err)
{
	npt_auto_free char *url = npt_format("%s%s", client->config->server, stream->path);
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	struct npt_http_request request = {
		.method = "GET",
		.url = url,
		.accept = "application/json",
		.timeout_ms = stream->timeout_ms,
		.silence_seconds = stream->silence_seconds,
		.max_response_bytes = stream->max_bytes,
		.accept_gzip = stream->accept_gzip,
		.on_data = stream->on_data,
		.is_cancelled = stream->is_cancelled,
		.context = stream->context,
	};
	int r = perform(client, &request, &response, err);

	if (r < 0)
		return r;
	stream->retry_after_seconds = response.retry_after_seconds;
	return response.status >= 300 ? refuse(&response, stream->path, err) : NPT_KUBE_OK;
}
