/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Api - what people and programs read (docs/api.md).
 *
 * Requests are handed to a few threads; each has a connection to the API server and a reader of the
 * store of its own.
 */
#include "aggregator/session.h"
#include "aggregator/store.h"
#include "lib/core/cleanup.h"
#include "lib/kube/config.h"
#include "lib/net/server.h"

struct npt_api;

#define NPT_API_ROUTES_MAX 16

struct npt_api_options {
	const struct npt_kube_config *config; /* NULL: everybody may read everything */
	struct npt_store *store;
	struct npt_session_key session_key;
};

/* What options name is borrowed. */
int npt_api_start(const struct npt_api_options *options, struct npt_api **api_ret,
		  struct npt_error *err);
/* After the server has stopped. */
void npt_api_free(struct npt_api *api);
NPT_DEFINE_AUTO(struct npt_api *, npt_api_free)
/* Ends what waits for the API server. */
void npt_api_cancel(struct npt_api *api);

/* Its routes, at most max; how many there are. */
size_t npt_api_routes(struct npt_api *api, struct npt_route *routes, size_t max);
