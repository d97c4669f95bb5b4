/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Ingest - windows in: POST /v1/ingest. A post is answered with 200 only after the window is on
 * disk; one that was stored before is answered with 200, too, and changes nothing.
 *
 * The handler checks the token on the service thread; a thread of its own decodes and stores, as
 * many windows in one transaction as have come meanwhile. It is also the one that trims the store.
 */
#include <stdint.h>

#include "aggregator/store/store.h"
#include "lib/core/error.h"
#include "lib/net/server.h"

struct npt_ingest;

struct npt_ingest_options {
	const void *key; /* of the ingest tokens; borrowed, as is the store */
	size_t key_bytes;
	struct npt_store *store;
	struct npt_store_limits limits;
	/* Takes over each window that was added to the store, once, after that; NULL: nobody. */
	void (*on_added)(void *context, struct npt_report *window);
	void *context;
};

struct npt_ingest_stats {
	uint64_t stored;     /* windows */
	uint64_t duplicates; /* of windows that were there already */
	uint64_t refused;    /* token or window not acceptable */
	uint64_t failed;     /* could not be stored; the agent comes again */
	uint64_t waiting;    /* to be stored, now */
};

int npt_ingest_start(const struct npt_ingest_options *options, struct npt_ingest **ingest_ret,
		     struct npt_error *err);
/* Stores what has been taken in, then ends; after the server has stopped. */
void npt_ingest_free(struct npt_ingest *ingest);
NPT_DEFINE_AUTO(struct npt_ingest *, npt_ingest_free)
/* A handler of struct npt_route; context is the npt_ingest. */
void npt_ingest_handle(void *context, struct npt_request *request);
void npt_ingest_stats(struct npt_ingest *ingest, struct npt_ingest_stats *stats_ret);
