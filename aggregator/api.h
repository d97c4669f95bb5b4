/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Api - what people and programs read: GET /v1/tasks, /v1/tasks/{uid}, /v1/tasks/{uid}/windows.
 *
 * Requests are handed to a few threads; each has a connection to the API server and a reader of the
 * store of its own.
 */
#include "aggregator/store.h"
#include "lib/core/cleanup.h"
#include "lib/kube/config.h"
#include "lib/net/server.h"

struct npt_api;

/* config and store are borrowed. */
int npt_api_start(const struct npt_kube_config *config, struct npt_store *store,
		  struct npt_api **api_ret, struct npt_error *err);
/* After the server has stopped. */
void npt_api_free(struct npt_api *api);
NPT_DEFINE_AUTO(struct npt_api *, npt_api_free)
/* Ends what waits for the API server. */
void npt_api_cancel(struct npt_api *api);

/* Handlers of struct npt_route; context is the npt_api. */
void npt_api_handle_tasks(void *context, struct npt_request *request);
void npt_api_handle_task(void *context, struct npt_request *request);
void npt_api_handle_windows(void *context, struct npt_request *request);
