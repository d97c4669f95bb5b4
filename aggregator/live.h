/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Live - windows of a task as they come: WebSocket /v1/tasks/{uid}/live (docs/api.md).
 *
 * A connection gets all windows from ?after=CURSOR on (without: from the first one), as pages of
 * the WindowList that /windows answers, whose "next" is the cursor to go on from. One thread asks
 * the store twice a second for what came: so it sees what other replicas stored, too, ingest waits
 * for nobody who watches, and a connection that is slow loses nothing: it gets it later.
 */
#include "aggregator/api.h"
#include "lib/core/cleanup.h"
#include "lib/net/server.h"

struct npt_live;

/* Of the options of the API; what they name is borrowed. */
int npt_live_start(const struct npt_api_options *options, struct npt_live **live_ret,
		   struct npt_error *err);
/* Before the server is freed, after it has stopped. */
void npt_live_free(struct npt_live *live);
NPT_DEFINE_AUTO(struct npt_live *, npt_live_free)
/* Ends what waits for the API server. */
void npt_live_cancel(struct npt_live *live);

/* Its endpoint, for the server's options. */
struct npt_endpoint npt_live_endpoint(struct npt_live *live);
/* Before it nobody is let in. The server is borrowed. */
void npt_live_set_server(struct npt_live *live, struct npt_server *server);
