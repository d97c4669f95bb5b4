/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Exports - stored windows on their way out: from ingest to everybody who shows or sends them.
 *
 * Ingest hands over what was added to the store, each window once, and never waits: a bounded queue
 * takes it, one thread gives it to each exporter. Exporters keep sums (aggregator/exports/series.h)
 * and talk to the world on threads of their own. What does not fit is dropped, counted and said
 * once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/model/report.h"

struct npt_exports;

/* add() is called on one thread, does not block for long, and borrows the window. */
struct npt_exporter {
	void *context;
	void (*add)(void *context, const struct npt_report *window);
};

struct npt_exports_stats {
	uint64_t windows;         /* given to the exporters */
	uint64_t dropped_windows; /* found no room in the queue */
	uint64_t queued_windows;  /* now */
};

/* The exporters are copied; their contexts must outlive it. */
int npt_exports_start(const struct npt_exporter *exporters, size_t count,
		      struct npt_exports **exports_ret, struct npt_error *err);
/* Gives out what is queued, then ends; nobody may hand over windows any more. */
void npt_exports_free(struct npt_exports *exports);
NPT_DEFINE_AUTO(struct npt_exports *, npt_exports_free)
/* Takes the window over. Any thread; never waits. */
void npt_exports_take(struct npt_exports *exports, struct npt_report *window);
void npt_exports_stats(struct npt_exports *exports, struct npt_exports_stats *stats_ret);
