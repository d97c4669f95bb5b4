/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/test.h"

/* Loads a kubeconfig of that text, from /tmp. */
static int load(struct npt_kube_config *config, const char *text, struct npt_error *err)
{
	char path[] = "/tmp/npt-test-config-XXXXXX";
	int fd = mkstemp(path), r;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	(void)close(fd);
	r = npt_kube_config_load(config, path, "npt-test", err);
	(void)unlink(path);
	return r;
}

/* R1 */
static void in_a_pod_the_address_comes_from_the_environment(void)
{
	static const struct {
		const char *host, *server;
	} cases[] = {
		{ "10.96.0.1", "https://10.96.0.1:6443" },
		{ "fd00::1", "https://[fd00::1]:6443" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_kube_config_done) struct npt_kube_config config = { 0 };

		(void)setenv("KUBERNETES_SERVICE_HOST", cases[i].host, 1);
		(void)setenv("KUBERNETES_SERVICE_PORT", "6443", 1);
		NPT_CHECK_INT(npt_kube_config_load(&config, NULL, "npt-test", NULL), 0);
		NPT_CHECK_STR(config.server, cases[i].server);
		NPT_CHECK_STR(config.token_file,
			      "/var/run/secrets/kubernetes.io/serviceaccount/token");
		NPT_CHECK_STR(config.user_agent, "npt-test/" NPT_VERSION);
	}
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
}

static void outside_a_pod_it_says_what_to_do(void)
{
	struct npt_kube_config config = { 0 };
	struct npt_error err = NPT_ERROR_NONE;

	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	NPT_CHECK_INT(npt_kube_config_load(&config, NULL, "npt-test", &err), -ENOENT);
	NPT_CHECK(strstr(err.text, "give --kubeconfig FILE"));
}

static void a_kubeconfig_may_be_block_yaml_flow_yaml_or_json(void)
{
	static const char *const texts[] = {
		"# comment: server: https://no:1\napiVersion: v1\nclusters:\n- cluster:\n"
		"    certificate-authority: ca.crt\n    server: https://h:6443\n  name: x\n"
		"users:\n- name: u\n  user:\n    client-certificate: /pki/u.crt\n"
		"    client-key: u.key\n",
		"clusters: [{name: x, cluster: {server: \"https://h:6443\", certificate-authority: "
		"ca.crt}}]\nusers: [{name: u, user: {client-certificate: /pki/u.crt, client-key: "
		"'u.key'}}]\n",
		"{\"clusters\": [{\"name\": \"x\", \"cluster\": {\"server\": \"https://h:6443\","
		"\"certificate-authority\":\"ca.crt\"}}],\n\"users\":[{\"user\" : {"
		"\"client-certificate\" : \"/pki/u.crt\", \"client-key\": \"u.key\"}}]}",
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(texts); i++) {
		npt_auto(npt_kube_config_done) struct npt_kube_config config = { 0 };

		NPT_CHECK_INT(load(&config, texts[i], NULL), 0);
		NPT_CHECK_STR(config.server, "https://h:6443");
		NPT_CHECK_STR(config.ca_file, "/tmp/ca.crt");
		NPT_CHECK_STR(config.cert_file, "/pki/u.crt");
		NPT_CHECK_STR(config.key_file, "/tmp/u.key");
		NPT_CHECK_STR(config.namespace_name, "default");
	}
}

static void data_in_a_kubeconfig_is_decoded(void)
{
	npt_auto(npt_kube_config_done) struct npt_kube_config config = { 0 };

	NPT_CHECK_INT(load(&config,
			   "server: https://h\ncertificate-authority-data: LS0tPz8+/w==\n"
			   "token: abc.def\nnamespace: shop\n",
			   NULL),
		      0);
	NPT_CHECK_STR(config.ca_pem, "---?"
				     "?>\xff");
	NPT_CHECK_STR(config.token, "abc.def");
	NPT_CHECK_STR(config.namespace_name, "shop");
}

static void what_is_no_kubeconfig_is_refused_with_a_way_out(void)
{
	static const char *const texts[] = {
		"",
		"server: https://h\n",
		"certificate-authority: ca.crt\n",
		"server: https://h\nserver: https://i\ncertificate-authority: ca.crt\n",
		"server: https://h\ncertificate-authority-data: '*'\n",
		"server: \"https://h\ncertificate-authority: ca.crt\n",
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(texts); i++) {
		struct npt_kube_config config = { 0 };
		struct npt_error err = NPT_ERROR_NONE;

		if (!NPT_CHECK_INT(load(&config, texts[i], &err), -EINVAL))
			printf("case %s\n", texts[i]);
		NPT_CHECK(strstr(err.text, "kubectl config view") || strstr(err.text, "base64"));
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(in_a_pod_the_address_comes_from_the_environment),
	NPT_TEST(outside_a_pod_it_says_what_to_do),
	NPT_TEST(a_kubeconfig_may_be_block_yaml_flow_yaml_or_json),
	NPT_TEST(data_in_a_kubeconfig_is_decoded),
	NPT_TEST(what_is_no_kubeconfig_is_refused_with_a_way_out),
};
NPT_TEST_MAIN(tests)
