/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two children: `kubectl config view`, which ends, for the namespace (and a token, if there is
 * one), then `kubectl proxy`, which stays.
 */
#include "cli/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/interrupt.h"
#include "lib/core/alloc.h"
#include "lib/kube/list.h"

#define KUBECONFIG_BYTES_MAX (1024U * 1024)
#define PROXY_START_MS       20000
#define WORDS_MAX            (NPT_CLI_KUBECTL_MAX + 16)
#define NAME_CHARACTERS      "abcdefghijklmnopqrstuvwxyz0123456789-."

int npt_cluster_start_kubectl(const struct npt_cli_options *options, const char *const *words,
			      struct npt_child *child_ret, struct npt_error *err)
{
	const char *argv[WORDS_MAX + 1] = { "kubectl" };
	size_t count = 1;

	for (; *words && count < WORDS_MAX; words++)
		argv[count++] = *words;
	for (size_t i = 0; i < options->kubectl_count && count < WORDS_MAX; i++)
		argv[count++] = options->kubectl[i];
	return npt_child_start(argv, child_ret, err);
}

const json_t *npt_cluster_at(const json_t *object, const char *path)
{
	while (object && *path) {
		size_t length = strcspn(path, "/");
		char key[128];

		if (length >= sizeof(key))
			return NULL;
		(void)snprintf(key, sizeof(key), "%.*s", (int)length, path);
		object = json_object_get(object, key);
		path += length + (path[length] == '/');
	}
	return object;
}

const char *npt_cluster_text(const json_t *object, const char *path)
{
	const char *text = json_string_value(npt_cluster_at(object, path));

	return text ? text : "";
}

bool npt_cluster_is_name(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length < NPT_NAME_BYTES &&
	       text[strspn(text, NAME_CHARACTERS)] == '\0' && text[0] != '.' && text[0] != '-';
}

/* What the minified kubeconfig says of the namespace, and of a token. */
static void take_view(struct npt_cluster *cluster, const char *text)
{
	json_t *view = json_loads(text, 0, NULL);
	const json_t *context = json_array_get(json_object_get(view, "contexts"), 0);
	const json_t *user = json_array_get(json_object_get(view, "users"), 0);
	const char *namespace_name = npt_cluster_text(context, "context/namespace");
	const char *token = npt_cluster_text(user, "user/token");
	const char *token_file = npt_cluster_text(user, "user/tokenFile");

	(void)snprintf(cluster->namespace_name, sizeof(cluster->namespace_name), "%s",
		       namespace_name);
	if (token[0])
		cluster->token = npt_strdup(token);
	else if (token_file[0])
		(void)npt_kube_config_read_file(token_file, KUBECONFIG_BYTES_MAX, &cluster->token,
						NULL);
	json_decref(view);
}

/* In a pod without a kubeconfig kubectl finds the way by itself. */
static int view_config(struct npt_cluster *cluster, struct npt_error *err)
{
	static const char *const words[] = { "config", "view", "--minify", "--raw",
					     "-o",     "json", NULL };
	npt_auto(npt_child_stop) struct npt_child child = NPT_CHILD_NONE;
	char *text = NULL;
	int r = npt_cluster_start_kubectl(cluster->options, words, &child, err);

	if (r == 0)
		r = npt_child_finish(&child, KUBECONFIG_BYTES_MAX, &text, err);
	if (r < 0 && getenv("KUBERNETES_SERVICE_HOST"))
		r = 0;
	if (r < 0 && err && strstr(err->text, "current-context"))
		r = npt_error_set(err, EINVAL,
				  "kubectl knows no cluster: set KUBECONFIG, or give --kubeconfig "
				  "or --context");
	if (text) {
		take_view(cluster, text);
		explicit_bzero(text, strlen(text));
	}
	free(text);
	if (cluster->options->namespace_name)
		(void)snprintf(cluster->namespace_name, sizeof(cluster->namespace_name), "%s",
			       cluster->options->namespace_name);
	if (cluster->namespace_name[0] == '\0')
		(void)snprintf(cluster->namespace_name, sizeof(cluster->namespace_name), "default");
	if (r == 0 && !npt_cluster_is_name(cluster->namespace_name))
		r = npt_error_set(err, EINVAL, "'%.60s' is no name of a namespace",
				  cluster->namespace_name);
	return r;
}

static int make_directory(struct npt_cluster *cluster, struct npt_error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat there;

	if (!runtime || runtime[0] != '/' || strlen(runtime) > 60 || stat(runtime, &there) < 0 ||
	    !S_ISDIR(there.st_mode) || access(runtime, W_OK) < 0)
		runtime = "/tmp";
	(void)snprintf(cluster->directory, sizeof(cluster->directory), "%s/kubectl-npt-XXXXXX",
		       runtime);
	if (!mkdtemp(cluster->directory)) {
		int code = errno;

		cluster->directory[0] = '\0';
		return npt_error_set(err, code, "cannot make a folder in %s: %s", runtime,
				     strerror(code));
	}
	(void)snprintf(cluster->socket, sizeof(cluster->socket), "%s/api", cluster->directory);
	npt_interrupt_set_socket(cluster->socket, cluster->directory);
	return 0;
}

static int start_proxy(struct npt_cluster *cluster, struct npt_error *err)
{
	npt_auto_free char *socket_word = npt_format("--unix-socket=%s", cluster->socket);
	const char *const words[] = { "proxy", socket_word, NULL };
	char line[256] = "";
	int r = npt_cluster_start_kubectl(cluster->options, words, &cluster->proxy, err);

	if (r == 0)
		r = npt_child_read_line(&cluster->proxy, PROXY_START_MS, line, sizeof(line), err);
	if (r < 0)
		return r;
	if (!strstr(line, "Starting to serve on"))
		return npt_error_set(err, EPROTO, "kubectl proxy said '%.200s'", line);
	return 0;
}

int npt_cluster_open(struct npt_cluster *cluster, const struct npt_cli_options *options,
		     struct npt_error *err)
{
	int r;

	*cluster = (struct npt_cluster){ .options = options, .proxy = NPT_CHILD_NONE };
	r = view_config(cluster, err);
	if (r == 0)
		r = make_directory(cluster, err);
	if (r == 0)
		r = start_proxy(cluster, err);
	if (r < 0)
		return r;
	cluster->config.server = npt_strdup("http://localhost:80");
	cluster->config.unix_socket = npt_strdup(cluster->socket);
	cluster->config.user_agent = npt_strdup("kubectl-npt/" NPT_VERSION);
	r = npt_kube_client_new(&cluster->client, &cluster->config, err);
	if (r == 0)
		npt_kube_client_set_timeout(cluster->client, options->request_timeout_ms);
	return r;
}

void npt_cluster_close(struct npt_cluster *cluster)
{
	npt_kube_client_free(npt_take(cluster->client));
	npt_kube_config_done(&cluster->config);
	npt_child_stop(&cluster->proxy);
	npt_interrupt_set_socket(NULL, NULL);
	if (cluster->directory[0]) {
		(void)unlink(cluster->socket);
		(void)rmdir(cluster->directory);
		cluster->directory[0] = '\0';
	}
	if (cluster->token)
		explicit_bzero(cluster->token, strlen(cluster->token));
	free(npt_take(cluster->token));
}

/* The API server's own words, which npt_kube_call() puts behind the path and the status. */
static const char *server_words(const struct npt_error *err)
{
	const char *words = strstr(err->text, ": ");

	words = words ? words + 2 : err->text;
	words += strspn(words, "0123456789");
	return words + strspn(words, " ");
}

static int say_unreachable(const struct npt_cluster *cluster, const char *what,
			   struct npt_error *err)
{
	char words[300];
	const char *reason;

	npt_child_last_error(&cluster->proxy, words, sizeof(words));
	reason = strstr(words, "] ") ? strstr(words, "] ") + 2 : words;
	return npt_error_set(err, EIO,
			     "cannot %s: the API server does not answer (%.250s); try: kubectl "
			     "get nodes",
			     what, reason[0] ? reason : server_words(err));
}

static bool is_installed(struct npt_cluster *cluster)
{
	return npt_kube_call(cluster->client, "GET", "/apis/netprof.io/v1alpha1", NULL, NULL,
			     NULL) != NPT_KUBE_NOT_FOUND;
}

static int explain(struct npt_cluster *cluster, int outcome, const char *what, const char *path,
		   struct npt_error *err)
{
	npt_auto_free char *words = npt_strdup(server_words(err));
	bool ours = strncmp(path, "/apis/netprof.io/", 17) == 0;

	switch (outcome) {
	case NPT_KUBE_NOT_FOUND:
		if (ours && !is_installed(cluster))
			return npt_error_set(err, ENOENT,
					     "cannot %s: NPT is not installed in this cluster "
					     "(it has no NetworkProfilingTask): helm install npt "
					     "helm/npt -n npt-system --create-namespace",
					     what);
		(void)npt_error_set(err, ENOENT, "cannot %s: %.300s", what, words);
		return outcome;
	case NPT_KUBE_FORBIDDEN:
		(void)npt_error_set(err, EACCES, "cannot %s: %.300s%s", what, words,
				    ours ? "; ask for the ClusterRole npt-edit (or edit) in that "
					   "namespace, npt-view to read"
					 : "");
		return outcome;
	case NPT_KUBE_UNAUTHORIZED:
		(void)npt_error_set(
			err, EACCES,
			"cannot %s: you are not signed in to the cluster (%.200s); try: "
			"kubectl auth whoami",
			what, words);
		return outcome;
	case NPT_KUBE_BUSY:
		return say_unreachable(cluster, what, err);
	default:
		if (outcome < 0 && outcome != -EBADMSG && outcome != -EMSGSIZE)
			return say_unreachable(cluster, what, err);
		(void)npt_error_set(err, EPROTO, "cannot %s: %.400s", what, words);
		return outcome;
	}
}

int npt_cluster_call(struct npt_cluster *cluster, const char *what, const char *method,
		     const char *path, const json_t *body, json_t **object_ret,
		     struct npt_error *err)
{
	struct npt_error nobody_asks = NPT_ERROR_NONE;
	int r;

	if (!err)
		err = &nobody_asks;
	r = npt_kube_call(cluster->client, method, path, body, object_ret, err);
	return r == NPT_KUBE_OK ? r : explain(cluster, r, what, path, err);
}

int npt_cluster_get(struct npt_cluster *cluster, const char *what, json_t **object_ret,
		    struct npt_error *err, const char *path_format, ...)
{
	npt_auto_free char *path = NULL;
	va_list args;

	va_start(args, path_format);
	path = npt_vformat(path_format, args);
	va_end(args);
	return npt_cluster_call(cluster, what, "GET", path, NULL, object_ret, err);
}

struct collection {
	json_t *array;
	json_t *(*keep)(const json_t *object);
};

static int collect(void *context, json_t *object)
{
	struct collection *collection = context;
	json_t *kept = collection->keep ? collection->keep(object) : json_incref(object);

	(void)json_array_append_new(collection->array, kept);
	return 0;
}

static void collect_again(void *context)
{
	struct collection *collection = context;

	(void)json_array_clear(collection->array);
}

int npt_cluster_list(struct npt_cluster *cluster, const char *what, const char *path,
		     const char *selector, json_t *(*keep)(const json_t *object),
		     json_t **array_ret, struct npt_error *err)
{
	struct collection collection = { .array = json_array(), .keep = keep };
	struct npt_kube_list list = {
		.path = path,
		.selector = selector,
		.on_object = collect,
		.on_restart = collect_again,
		.context = &collection,
	};
	int r = npt_kube_list(cluster->client, &list, err);

	if (r == NPT_KUBE_OK) {
		*array_ret = collection.array;
		return r;
	}
	json_decref(collection.array);
	return explain(cluster, r, what, path, err);
}
