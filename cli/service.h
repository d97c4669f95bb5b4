/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Service - the aggregation service's REST, through `kubectl port-forward` as a child, over TLS
 * that is checked with the cluster's own CA.
 */
#include "cli/cluster.h"
#include "lib/net/http_client.h"

struct npt_service {
	struct npt_child forward;
	struct npt_http_client *http;
	char *token;
	char *base; /* "https://npt-aggregator.NAMESPACE.svc:8444" */
};

/*
 * Finds a token (--token, --service-account, the kubeconfig's) and opens the way. Fails with the
 * reason why there is none, which says what would help.
 */
int npt_service_open(struct npt_service *service, struct npt_cluster *cluster,
		     struct npt_error *err);
void npt_service_close(struct npt_service *service);
NPT_DEFINE_AUTO_DONE(struct npt_service, npt_service_close)
/* GET; the body is the caller's. -ENOENT: 404; -EACCES: 401, 403. */
int npt_service_get(struct npt_service *service, const char *path, char **body_ret,
		    size_t *size_ret, struct npt_error *err);
