/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Local service - npt-agent run --serve: the aggregation service for this run alone, as a child
 * (npt-aggregator --insecure-local), with the same API as in a cluster and a store that goes with
 * it. A child, since that is the program as it is: with its own threads, and nothing of it in an
 * agent that runs in a cluster.
 */
#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/model/report.h"

struct npt_local_service;

/*
 * listen: a loopback ADDRESS:PORT. Returns when it answers; -ENOENT: npt-aggregator is neither
 * beside this program nor in PATH. Signals that the caller has blocked are not blocked in it.
 */
int npt_local_service_start(const char *listen, struct npt_local_service **service_ret,
			    struct npt_error *err);
/* Ends it, and removes what it stored. */
void npt_local_service_free(struct npt_local_service *service);
NPT_DEFINE_AUTO(struct npt_local_service *, npt_local_service_free)

/* Names task, pod and node in the window, as a cluster would have, and sends it. */
void npt_local_service_push(struct npt_local_service *service, struct npt_report *window);
/* Waits a few seconds for what was pushed to be stored. */
void npt_local_service_drain(struct npt_local_service *service);
/* Where this run's Report is; borrowed. */
const char *npt_local_service_url(const struct npt_local_service *service);
