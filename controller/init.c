/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Create-if-absent, three times: whoever comes second finds everything there and changes nothing.
 * The CA's ConfigMap is made from the Secret, so that a run that was cut in the middle is made good
 * by the next.
 */
#include "controller/init.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/core/log.h"
#include "lib/kube/client.h"
#include "lib/net/certificate.h"
#include "lib/net/digest.h"

#define KEY_BYTES 32

static char *base64(const char *data, size_t size_bytes)
{
	/* Kubernetes wants padding and the standard alphabet; ours is the URL one. */
	char *url = npt_base64url_encode(data, size_bytes);
	size_t length = strlen(url);
	char *text = npt_alloc(length + 4, 1);

	for (size_t i = 0; i < length; i++)
		text[i] = (char)(url[i] == '-' ? '+' : url[i] == '_' ? '/' : url[i]);
	while (length % 4)
		text[length++] = '=';
	free(url);
	return text;
}

static int create(struct npt_kube_client *client, const char *namespace_name, const char *plural,
		  json_t *object, struct npt_error *err)
{
	npt_auto_free char *path = npt_format("/api/v1/namespaces/%s/%s", namespace_name, plural);
	const char *name =
		json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
	int r = npt_kube_call(client, "POST", path, object, NULL, err);

	if (r == 0)
		npt_log_info("created", "kind", plural, "name", name);
	else if (r == NPT_KUBE_ALREADY_EXISTS)
		npt_log_info("is there already", "kind", plural, "name", name);
	json_decref(object);
	if (r == NPT_KUBE_ALREADY_EXISTS)
		return 0;
	return r > 0 ? -EIO : r;
}

static int create_certificates(struct npt_kube_client *client, const char *namespace_name,
			       struct npt_error *err)
{
	static const char *const services[] = { "npt-controller", "npt-controller-agents",
						"npt-aggregator" };
	const char *names[3 * NPT_ARRAY_SIZE(services) + 1] = { NULL };
	struct npt_certificates made = { 0 };
	size_t count = 0;
	int r;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(services); i++) {
		names[count++] = services[i];
		names[count++] = npt_format("%s.%s.svc", services[i], namespace_name);
		names[count++] = npt_format("%s.%s.svc.cluster.local", services[i], namespace_name);
	}
	r = npt_certificates_make(names, &made, err);
	if (r >= 0)
		r = create(client, namespace_name, "secrets",
			   json_pack("{s:s, s:s, s:{s:s}, s:s, s:{s:s, s:s, s:s, s:s}}",
				     "apiVersion", "v1", "kind", "Secret", "metadata", "name",
				     "npt-tls", "type", "Opaque", "stringData", "tls.crt",
				     made.cert, "tls.key", made.key, "ca.key", made.ca_key,
				     "ca.crt", made.ca_cert),
			   err);
	npt_certificates_done(&made);
	for (size_t i = 0; i < count; i++) {
		if (i % 3)
			free((void *)(uintptr_t)names[i]);
	}
	return r;
}

/* ca.crt of the Secret that is really there. */
static int create_ca(struct npt_kube_client *client, const char *namespace_name,
		     struct npt_error *err)
{
	npt_auto_free char *path =
		npt_format("/api/v1/namespaces/%s/secrets/npt-tls", namespace_name);
	npt_auto_free void *ca = NULL;
	npt_auto_free char *url = NULL, *text = NULL;
	json_t *secret = NULL;
	const char *encoded;
	size_t size_bytes = 0;
	int r = npt_kube_call(client, "GET", path, NULL, &secret, err);

	if (r != 0)
		return r > 0 ? -EIO : r;
	encoded = json_string_value(json_object_get(json_object_get(secret, "data"), "ca.crt"));
	url = npt_strdup(encoded ? encoded : "");
	json_decref(secret);
	url[strcspn(url, "=")] = '\0';
	for (char *at = url; *at; at++)
		*at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
	if (url[0] == '\0' || npt_base64url_decode(url, strlen(url), &ca, &size_bytes) < 0)
		return npt_error_set(err, EBADMSG, "Secret npt-tls has no ca.crt");
	text = npt_strndup(ca, size_bytes);
	return create(client, namespace_name, "configmaps",
		      json_pack("{s:s, s:s, s:{s:s}, s:{s:s}}", "apiVersion", "v1", "kind",
				"ConfigMap", "metadata", "name", "npt-ca", "data", "ca.crt", text),
		      err);
}

static int create_ingest_key(struct npt_kube_client *client, const char *namespace_name,
			     struct npt_error *err)
{
	char key[KEY_BYTES];
	npt_auto_free char *text = NULL;

	npt_random_bytes(key, sizeof(key));
	text = base64(key, sizeof(key));
	return create(client, namespace_name, "secrets",
		      json_pack("{s:s, s:s, s:{s:s}, s:s, s:{s:s}}", "apiVersion", "v1", "kind",
				"Secret", "metadata", "name", "npt-ingest-key", "type", "Opaque",
				"data", "key", text),
		      err);
}

int npt_init(const struct npt_controller_options *options, struct npt_error *err)
{
	npt_auto(npt_kube_client_free) struct npt_kube_client *client = NULL;
	struct npt_kube_config config = { 0 };
	const char *namespace_name;
	int r = npt_kube_config_load(&config, options->kubeconfig, "npt-controller", err);

	if (r < 0)
		return r;
	namespace_name = options->namespace_name ? options->namespace_name : config.namespace_name;
	r = npt_kube_client_new(&client, &config, err);
	if (r >= 0)
		r = create_certificates(client, namespace_name, err);
	if (r >= 0)
		r = create_ca(client, namespace_name, err);
	if (r >= 0)
		r = create_ingest_key(client, namespace_name, err);
	npt_kube_client_free(npt_take(client));
	npt_kube_config_done(&config);
	return r;
}
