/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Cluster - the user's cluster, reached as kubectl reaches it.
 *
 * `kubectl proxy` runs as a child on a socket in a folder that only this user can enter; so every
 * way to sign in that kubectl knows works here, and its secrets stay in it (docs/ARCHITECTURE.md
 * has the reason). One thread.
 */
#include <jansson.h>

#include "cli/child.h"
#include "cli/options.h"
#include "lib/kube/client.h"
#include "lib/model/report.h"

#define NPT_CLUSTER_PATH_BYTES 1024

struct npt_cluster {
	const struct npt_cli_options *options;
	char directory[128], socket[160];
	struct npt_child proxy;
	struct npt_kube_config config;
	struct npt_kube_client *client;
	char namespace_name[NPT_NAME_BYTES];
	char *token; /* the kubeconfig's, if it holds one; for the aggregation service only */
};

int npt_cluster_open(struct npt_cluster *cluster, const struct npt_cli_options *options,
		     struct npt_error *err);
void npt_cluster_close(struct npt_cluster *cluster);
NPT_DEFINE_AUTO_DONE(struct npt_cluster, npt_cluster_close)

/* kubectl with the user's options, as a child: words of kubectl first, NULL ends them. */
int npt_cluster_start_kubectl(const struct npt_cli_options *options, const char *const *words,
			      struct npt_child *child_ret, struct npt_error *err);

/*
 * npt_kube_call() whose error is a sentence that says what to do next. What: "create the task",
 * "see the pods". Positive outcomes as there.
 */
int npt_cluster_call(struct npt_cluster *cluster, const char *what, const char *method,
		     const char *path, const json_t *body, json_t **object_ret,
		     struct npt_error *err);
/* The same for a GET without a wish for the object's absence: NOT_FOUND is an outcome. */
int npt_cluster_get(struct npt_cluster *cluster, const char *what, json_t **object_ret,
		    struct npt_error *err, const char *path_format, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * All objects of a path, page by page. keep() takes what is wanted of one (borrowed) and returns
 * what is put into the array; NULL: the object itself. Outcomes as npt_cluster_call().
 */
int npt_cluster_list(struct npt_cluster *cluster, const char *what, const char *path,
		     const char *selector, json_t *(*keep)(const json_t *object),
		     json_t **array_ret, struct npt_error *err);

/* Whether a text can be the name of an object: of a path's part it must be sure. */
bool npt_cluster_is_name(const char *text);
/* The text at a path of keys, separated by "/"; "" if it is none. Borrowed. */
const char *npt_cluster_text(const json_t *object, const char *path);
const json_t *npt_cluster_at(const json_t *object, const char *path);
