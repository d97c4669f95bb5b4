/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kubeconfig is read as a row of words: every key that matters here is unique when there is one
 * cluster and one user, so nesting need not be understood, and block YAML, flow YAML and JSON look
 * the same. Two servers are refused rather than guessed between.
 */
#include "lib/kube/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/net/digest.h"

#define SERVICE_ACCOUNT      "/var/run/secrets/kubernetes.io/serviceaccount"
#define KUBECONFIG_BYTES_MAX (1024U * 1024)

int npt_kube_config_read_file(const char *path, size_t max_bytes, char **text_ret,
			      struct npt_error *err)
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
	if (ferror(file))
		return npt_error_set(err, EIO, "cannot read %s", path);
	while (text.size_bytes > 0 && isspace((unsigned char)text.data[text.size_bytes - 1]))
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
	config->server = strchr(host, ':') ? npt_format("https://[%s]:%s", host, port)
					   : npt_format("https://%s:%s", host, port);
	config->ca_file = npt_strdup(SERVICE_ACCOUNT "/ca.crt");
	config->token_file = npt_strdup(SERVICE_ACCOUNT "/token");
	if (npt_kube_config_read_file(SERVICE_ACCOUNT "/namespace", 256, &config->namespace_name,
				      NULL) < 0)
		config->namespace_name = npt_strdup("default");
	return 0;
}

/* The next word, quoted or bare, or NULL; is_key: a colon follows it. Moves *at behind it. */
static char *next_word(const char **at, bool *is_key)
{
	const char *from = *at + strspn(*at, " \t\r\n,[]{}"), *end;
	char *word;

	while (*from == '#') {
		from += strcspn(from, "\n");
		from += strspn(from, " \t\r\n,[]{}");
	}
	if (*from == '\0')
		return NULL;
	if (*from == '"' || *from == '\'') {
		end = strchr(from + 1, *from);
		if (!end)
			return NULL;
		word = npt_strndup(from + 1, (size_t)(end - from - 1));
		end++;
		end += strspn(end, " ");
		*is_key = *end == ':';
		*at = end + (*is_key ? 1 : 0);
		return word;
	}
	end = from + strcspn(from, " \t\r\n,]}");
	*at = end;
	*is_key = end > from && end[-1] == ':';
	return npt_strndup(from, (size_t)(end - from) - (*is_key ? 1 : 0));
}

/* A path in a kubeconfig is relative to the kubeconfig's folder. */
static char *beside(const char *kubeconfig, const char *path)
{
	const char *slash = strrchr(kubeconfig, '/');

	if (path[0] == '/' || !slash)
		return npt_strdup(path);
	return npt_format("%.*s/%s", (int)(slash - kubeconfig), kubeconfig, path);
}

/* Standard base64, padded, as kubectl writes it. */
static char *decode(const char *text)
{
	npt_auto_free char *url = npt_strndup(text, strcspn(text, "="));
	npt_auto_free void *data = NULL;
	size_t size = 0;

	for (char *at = url; *at; at++) {
		if (*at == '+')
			*at = '-';
		else if (*at == '/')
			*at = '_';
	}
	if (npt_base64url_decode(url, strlen(url), &data, &size) < 0 || size == 0)
		return NULL;
	return npt_strndup(data, size);
}

enum form { IS_TEXT, IS_PATH, IS_DATA };

static int take_value(struct npt_kube_config *config, const char *kubeconfig, const char *key,
		      const char *value, struct npt_error *err)
{
	const struct {
		const char *key;
		char **field;
		enum form form;
	} keys[] = {
		{ "server", &config->server, IS_TEXT },
		{ "certificate-authority", &config->ca_file, IS_PATH },
		{ "certificate-authority-data", &config->ca_pem, IS_DATA },
		{ "client-certificate", &config->cert_file, IS_PATH },
		{ "client-certificate-data", &config->cert_pem, IS_DATA },
		{ "client-key", &config->key_file, IS_PATH },
		{ "client-key-data", &config->key_pem, IS_DATA },
		{ "token", &config->token, IS_TEXT },
		{ "tokenFile", &config->token_file, IS_PATH },
		{ "namespace", &config->namespace_name, IS_TEXT },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(keys); i++) {
		if (strcmp(key, keys[i].key) != 0)
			continue;
		if (*keys[i].field)
			return npt_error_set(err, EINVAL,
					     "%s has more than one %s: give what `kubectl config "
					     "view --minify --flatten --raw` prints",
					     kubeconfig, key);
		*keys[i].field = keys[i].form == IS_PATH   ? beside(kubeconfig, value)
				 : keys[i].form == IS_DATA ? decode(value)
							   : npt_strdup(value);
		if (!*keys[i].field)
			return npt_error_set(err, EINVAL, "%s: %s is not base64", kubeconfig, key);
	}
	return 0;
}

static int take_words(struct npt_kube_config *config, const char *kubeconfig, const char *text,
		      struct npt_error *err)
{
	npt_auto_free char *key = NULL;
	char *word;
	bool is_key;
	int r = 0;

	while (r == 0 && (word = next_word(&text, &is_key))) {
		if (!is_key && key)
			r = take_value(config, kubeconfig, key, word, err);
		free(key);
		key = is_key ? word : NULL;
		if (!is_key)
			free(word);
	}
	return r;
}

static int load_kubeconfig(struct npt_kube_config *config, const char *kubeconfig,
			   struct npt_error *err)
{
	npt_auto_free char *text = NULL;
	int r = npt_kube_config_read_file(kubeconfig, KUBECONFIG_BYTES_MAX, &text, err);

	if (r == 0)
		r = take_words(config, kubeconfig, text, err);
	if (text)
		explicit_bzero(text, strlen(text));
	if (r < 0)
		return r;
	if (!config->server || (!config->ca_file && !config->ca_pem))
		return npt_error_set(err, EINVAL,
				     "%s names no server and certificate-authority: give what "
				     "`kubectl config view --minify --flatten --raw` prints",
				     kubeconfig);
	if (!config->namespace_name)
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

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void npt_kube_config_done(struct npt_kube_config *config)
{
	free(config->server);
	free(config->ca_file);
	free(config->token_file);
	free(config->cert_file);
	free(config->key_file);
	free(config->ca_pem);
	free(config->cert_pem);
	free_secret(config->key_pem);
	free_secret(config->token);
	free(config->unix_socket);
	free(config->namespace_name);
	free(config->user_agent);
	*config = (struct npt_kube_config){ 0 };
}
