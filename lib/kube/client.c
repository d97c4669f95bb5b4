/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token is read for each call through a cache of a minute: kubelet rewrites the file long
 * before it expires. After a 401 it is read at once and the call tried once more.
 */
#include "lib/kube/client.h"

#include <errno.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/net/http_client.h"

#define SERVICE_ACCOUNT  "/var/run/secrets/kubernetes.io/serviceaccount"
#define TOKEN_CACHE_NS   (60 * NPT_NS_PER_SECOND)
#define TOKEN_BYTES_MAX  (64U * 1024)
#define KUBECONFIG_LINE  4096
#define OBJECT_BYTES_MAX (4U * 1024 * 1024)

struct npt_kube_client {
	const struct npt_kube_config *config;
	struct npt_http_client *http;
	char *token;
	uint64_t token_read_ns;
};

static int read_file(const char *path, size_t max_bytes, char **text_ret, struct npt_error *err)
{
	npt_auto_fclose FILE *file = fopen(path, "re");
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(max_bytes);
	char piece[4096];
	size_t size;

	if (!file)
		return npt_error_set(err, errno, "cannot read %s: %s", path, npt_errno_name(errno));
	while ((size = fread(piece, 1, sizeof(piece), file)) > 0) {
		if (npt_buffer_append(&text, piece, size) < 0)
			return npt_error_set(err, EMSGSIZE, "%s is larger than %zu bytes", path,
					     max_bytes);
	}
	while (text.size_bytes > 0 && strchr(" \r\n\t", text.data[text.size_bytes - 1]))
		text.data[--text.size_bytes] = '\0';
	*text_ret = npt_buffer_take(&text);
	return 0;
}

static int load_in_pod(struct npt_kube_config *config, struct npt_error *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!host || !port)
		return npt_error_set(err, ENOENT,
				     "not in a pod (KUBERNETES_SERVICE_HOST is not set): give "
				     "--kubeconfig FILE");
	config->server =
		npt_format(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	config->ca_file = npt_strdup(SERVICE_ACCOUNT "/ca.crt");
	config->token_file = npt_strdup(SERVICE_ACCOUNT "/token");
	if (read_file(SERVICE_ACCOUNT "/namespace", 256, &config->namespace_name, NULL) < 0)
		config->namespace_name = npt_strdup("default");
	return 0;
}

/* "    key: value" -> value, or NULL. */
static char *value_of(const char *line, const char *key)
{
	size_t length = strlen(key);

	line += strspn(line, " -");
	if (strncmp(line, key, length) != 0 || line[length] != ':')
		return NULL;
	line += length + 1;
	line += strspn(line, " ");
	return npt_strndup(line, strcspn(line, "\r\n"));
}

/* A path in a kubeconfig is relative to the kubeconfig's folder. */
static char *beside(const char *kubeconfig, char *path)
{
	const char *slash = strrchr(kubeconfig, '/');
	char *full;

	if (path[0] == '/' || !slash)
		return path;
	full = npt_format("%.*s/%s", (int)(slash - kubeconfig), kubeconfig, path);
	free(path);
	return full;
}

static void take_line(struct npt_kube_config *config, const char *kubeconfig, const char *line)
{
	const struct {
		const char *key;
		char **field;
		bool is_path;
	} keys[] = {
		{ "server", &config->server, false },
		{ "certificate-authority", &config->ca_file, true },
		{ "client-certificate", &config->cert_file, true },
		{ "client-key", &config->key_file, true },
		{ "tokenFile", &config->token_file, true },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(keys); i++) {
		char *value = value_of(line, keys[i].key);

		if (!value)
			continue;
		free(*keys[i].field);
		*keys[i].field = keys[i].is_path ? beside(kubeconfig, value) : value;
	}
}

static int load_kubeconfig(struct npt_kube_config *config, const char *kubeconfig,
			   struct npt_error *err)
{
	npt_auto_fclose FILE *file = fopen(kubeconfig, "re");
	npt_auto_free char *line = npt_alloc(KUBECONFIG_LINE, 1);

	if (!file)
		return npt_error_set(err, errno, "cannot read %s: %s", kubeconfig,
				     npt_errno_name(errno));
	while (fgets(line, KUBECONFIG_LINE, file))
		take_line(config, kubeconfig, line);
	if (!config->server || !config->ca_file)
		return npt_error_set(err, EINVAL,
				     "%s names no server and certificate-authority file (data in "
				     "the file itself is not supported)",
				     kubeconfig);
	config->namespace_name = npt_strdup("default");
	return 0;
}

int npt_kube_config_load(struct npt_kube_config *config_ret, const char *kubeconfig,
			 const char *program, struct npt_error *err)
{
	struct npt_kube_config config = { 0 };
	int r = kubeconfig ? load_kubeconfig(&config, kubeconfig, err) : load_in_pod(&config, err);

	config.user_agent = npt_format("%s/%s", program, NPT_VERSION);
	if (r < 0)
		npt_kube_config_done(&config);
	else
		*config_ret = config;
	return r;
}

void npt_kube_config_done(struct npt_kube_config *config)
{
	free(config->server);
	free(config->ca_file);
	free(config->token_file);
	free(config->cert_file);
	free(config->key_file);
	free(config->namespace_name);
	free(config->user_agent);
	*config = (struct npt_kube_config){ 0 };
}

int npt_kube_client_new(struct npt_kube_client **client_ret, const struct npt_kube_config *config,
			struct npt_error *err)
{
	npt_auto(npt_kube_client_free) struct npt_kube_client *client =
		npt_alloc(1, sizeof(*client));
	struct npt_http_client_options options = {
		.ca_file = config->ca_file,
		.cert_file = config->cert_file,
		.key_file = config->key_file,
		.user_agent = config->user_agent,
	};
	int r = npt_http_client_new(&options, &client->http, err);

	if (r < 0)
		return r;
	client->config = config;
	*client_ret = npt_take(client);
	return 0;
}

void npt_kube_client_free(struct npt_kube_client *client)
{
	if (!client)
		return;
	npt_http_client_free(client->http);
	free(client->token);
	free(client);
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
	if (read_file(client->config->token_file, TOKEN_BYTES_MAX, &token, NULL) < 0)
		return;
	free(client->token);
	client->token = token;
	client->token_read_ns = time_ns;
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
	};
	const char *reason = json_string_value(json_object_get(status, "reason"));
	json_int_t code = json_integer_value(json_object_get(status, "code"));

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
		.max_response_bytes = OBJECT_BYTES_MAX,
		.content_type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json"
							     : "application/json",
	};
	json_t *object;
	int r = perform(client, &request, &response, err);

	if (r < 0)
		return r;
	if (response.status >= 300)
		return refuse(&response, path, err);
	object = json_loadb(response.body, response.body_bytes, 0, NULL);
	if (!object)
		return npt_error_set(err, EBADMSG, "%.120s: the answer is no JSON", path);
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
