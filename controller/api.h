/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Api - calls to the API server that somebody waits for, on a thread of their own: reviews of
 * agents' tokens, writes of status, names of addresses. Answers come back as events.
 */
#include "controller/events.h"
#include "lib/kube/client.h"

struct npt_api;

/* config and events are borrowed. agent_account: of the agents, in the config's namespace. */
int npt_api_start(struct npt_api **api_ret, const struct npt_kube_config *config,
		  struct npt_queue *events, const char *agent_account, struct npt_error *err);
void npt_api_free(struct npt_api *api);
NPT_DEFINE_AUTO(struct npt_api *, npt_api_free)

/* -> NPT_EVENT_REVIEWED. -ENOSPC: too many are waiting. */
int npt_api_review(struct npt_api *api, uint64_t socket, const char *token);
/* -> NPT_EVENT_WRITTEN. patch is taken over. */
int npt_api_write_status(struct npt_api *api, const struct npt_task *task, json_t *patch);
/* -> NPT_EVENT_PUBLISHED. A PATCH of what people may read; taken over. */
int npt_api_publish(struct npt_api *api, const char *path, json_t *patch);
/* -> NPT_EVENT_NAMED. The message is taken over. */
int npt_api_resolve(struct npt_api *api, uint64_t socket, struct npt_channel_message *resolve);
