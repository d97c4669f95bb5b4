/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Config - where the API server is and how we show who we are.
 *
 * In a pod: the service account's files, by path, because they rotate. For development: a
 * kubeconfig with one cluster and one user, with files or with data in it, in YAML (block or flow)
 * or JSON; what `kubectl config view --minify --flatten --raw` prints will do. Plain value.
 */
#include "lib/core/cleanup.h"
#include "lib/core/error.h"

struct npt_kube_config {
	char *server; /* https://HOST:PORT */
	char *ca_file;
	char *token_file;
	char *cert_file;
	char *key_file;
	char *ca_pem; /* from a kubeconfig with data, instead of the files */
	char *cert_pem;
	char *key_pem;
	char *token;
	char *unix_socket;    /* of a proxy that signs in for us; server: http://localhost:80 */
	char *namespace_name; /* of this pod, or "default" */
	char *user_agent;     /* "npt-controller/0.1.0" */
};

/* kubeconfig NULL: in a pod. program: "npt-controller". */
int npt_kube_config_load(struct npt_kube_config *config_ret, const char *kubeconfig,
			 const char *program, struct npt_error *err);
void npt_kube_config_done(struct npt_kube_config *config);
NPT_DEFINE_AUTO_DONE(struct npt_kube_config, npt_kube_config_done)
/* The whole file without white space at its end; the caller's. */
int npt_kube_config_read_file(const char *path, size_t max_bytes, char **text_ret,
			      struct npt_error *err);
