/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server's own proxy to a service will not do: it keeps the Authorization header, by which
 * the service knows who asks.
 */
#include "cli/service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/parse.h"

#define AUDIENCE          "npt-aggregator"
#define PORT              8444
#define TOKEN_SECONDS     600
#define FORWARD_START_MS  15000
#define ANSWER_BYTES_MAX  (64UL * 1024 * 1024)
#define ANSWER_TIMEOUT_MS 60000

static void free_token(char *token)
{
	if (token)
		explicit_bzero(token, strlen(token));
	free(token);
}

void npt_service_close(struct npt_service *service)
{
	npt_http_client_free(npt_take(service->http));
	npt_child_stop(&service->forward);
	free_token(npt_take(service->token));
	free(npt_take(service->base));
}

/* A TokenRequest, for "NAMESPACE/NAME" or a name in the task's namespace. */
static int ask_for_token(struct npt_service *service, struct npt_cluster *cluster,
			 struct npt_error *err)
{
	const char *account = cluster->options->service_account, *slash = strchr(account, '/');
	npt_auto_free char *namespace_name = slash ? npt_strndup(account, (size_t)(slash - account))
						   : npt_strdup(cluster->namespace_name);
	const char *name = slash ? slash + 1 : account;
	npt_auto_free char *path =
		npt_format("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace_name, name);
	json_t *request, *answer = NULL;
	int r;

	if (!npt_cluster_is_name(name) || !npt_cluster_is_name(namespace_name))
		return npt_error_set(err, EINVAL, "--service-account %.100s is no [NAMESPACE/]NAME",
				     account);
	request = json_pack("{s:s, s:s, s:{s:[s], s:i}}", "apiVersion", "authentication.k8s.io/v1",
			    "kind", "TokenRequest", "spec", "audiences", AUDIENCE,
			    "expirationSeconds", TOKEN_SECONDS);
	r = npt_cluster_call(cluster, "get a token", "POST", path, request, &answer, err);
	json_decref(request);
	if (r == 0)
		service->token = npt_strdup(npt_cluster_text(answer, "status/token"));
	json_decref(answer);
	return r > 0 ? -EACCES : r;
}

static int find_token(struct npt_service *service, struct npt_cluster *cluster,
		      struct npt_error *err)
{
	if (cluster->options->token)
		service->token = npt_strdup(cluster->options->token);
	else if (cluster->options->service_account)
		return ask_for_token(service, cluster, err);
	else if (cluster->token)
		service->token = npt_strdup(cluster->token);
	else
		return npt_error_set(err, ENOENT,
				     "there is no token for the aggregation service: give "
				     "--service-account or --token");
	return 0;
}

/* "Forwarding from 127.0.0.1:40123 -> 8444" */
static int parse_port(const char *line, uint64_t *port_ret)
{
	static const char before[] = "Forwarding from 127.0.0.1:";
	char digits[8] = "";
	size_t length;

	if (strncmp(line, before, sizeof(before) - 1) != 0)
		return -EINVAL;
	line += sizeof(before) - 1;
	length = strspn(line, "0123456789");
	if (length == 0 || length >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, line, length);
	return npt_parse_u64(digits, 1, 65535, port_ret);
}

static int start_forward(struct npt_service *service, const struct npt_cli_options *options,
			 uint64_t *port_ret, struct npt_error *err)
{
	const char *const words[] = { "port-forward",
				      "--address=127.0.0.1",
				      "-n",
				      options->system_namespace,
				      "service/npt-aggregator",
				      ":8444",
				      NULL };
	char line[256] = "";
	int r = npt_cluster_start_kubectl(options, words, &service->forward, err);

	if (r == 0)
		r = npt_child_read_line(&service->forward, FORWARD_START_MS, line, sizeof(line),
					err);
	if (r < 0)
		return npt_error_wrap(err, "the aggregation service cannot be reached");
	if (parse_port(line, port_ret) < 0)
		return npt_error_set(err, EPROTO, "kubectl port-forward said '%.150s'", line);
	return 0;
}

static int read_ca(struct npt_cluster *cluster, char **pem_ret, struct npt_error *err)
{
	json_t *map = NULL;
	int r = npt_cluster_get(cluster, "read the certificate of the aggregation service", &map,
				err, "/api/v1/namespaces/%s/configmaps/npt-ca",
				cluster->options->system_namespace);

	if (r == 0)
		*pem_ret = npt_strdup(npt_cluster_text(json_object_get(map, "data"), "ca.crt"));
	json_decref(map);
	return r > 0 ? -EACCES : r;
}

int npt_service_open(struct npt_service *service, struct npt_cluster *cluster,
		     struct npt_error *err)
{
	const char *system_namespace = cluster->options->system_namespace;
	npt_auto_free char *pem = NULL, *address = NULL;
	struct npt_http_client_options options = { .user_agent = "kubectl-npt/" NPT_VERSION };
	uint64_t port = 0;
	int r;

	*service = (struct npt_service){ .forward = NPT_CHILD_NONE };
	if (!npt_cluster_is_name(system_namespace))
		return npt_error_set(err, EINVAL, "'%.60s' is no name of a namespace",
				     system_namespace);
	r = find_token(service, cluster, err);
	if (r == 0)
		r = read_ca(cluster, &pem, err);
	if (r == 0)
		r = start_forward(service, cluster->options, &port, err);
	if (r < 0)
		return r;
	address = npt_format("127.0.0.1:%u", (unsigned int)port);
	service->base = npt_format("https://npt-aggregator.%s.svc:%d", system_namespace, PORT);
	options.ca_pem = pem;
	options.connect_to = address;
	return npt_http_client_new(&options, &service->http, err);
}

/* What a problem+json says. */
static int refuse(const struct npt_http_response *response, struct npt_error *err)
{
	json_t *problem = json_loadb(response->body, response->body_bytes, 0, NULL);
	const char *detail = npt_cluster_text(problem, "detail");
	int code = response->status == 404                              ? ENOENT
		   : response->status == 401 || response->status == 403 ? EACCES
									: EPROTO;

	(void)npt_error_set(err, code, "the aggregation service answers %u%s%.300s",
			    response->status, detail[0] ? ": " : "", detail);
	json_decref(problem);
	return -code;
}

int npt_service_get(struct npt_service *service, const char *path, char **body_ret,
		    size_t *size_ret, struct npt_error *err)
{
	npt_auto_free char *url = npt_format("%s%s", service->base, path);
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	const struct npt_http_request request = {
		.method = "GET",
		.url = url,
		.bearer = service->token,
		.accept = "application/json",
		.accept_gzip = true,
		.timeout_ms = ANSWER_TIMEOUT_MS,
		.max_response_bytes = ANSWER_BYTES_MAX,
	};
	int r = npt_http_perform(service->http, &request, &response, err);

	if (r < 0)
		return r;
	if (response.status != 200)
		return refuse(&response, err);
	*size_ret = response.body_bytes;
	*body_ret = npt_take(response.body);
	return 0;
}
