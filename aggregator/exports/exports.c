/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue is bounded by edges, which are what windows are made of, and takes one window of any
 * size when it is empty.
 */
#include "aggregator/exports/exports.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/queue.h"
#include "lib/model/finding.h"
#include "lib/model/hops.h"

#define EXPORTERS_MAX      4
#define QUEUED_WINDOWS_MAX 1024
#define QUEUED_EDGES_MAX   4096 /* a decoded edge is 10 KiB */

struct npt_exports {
	struct npt_exporter exporters[EXPORTERS_MAX];
	size_t count;
	struct npt_queue *windows;
	pthread_t thread;
	bool started;
	atomic_bool dropping; /* said once, until the queue was empty again */
	struct {
		atomic_uint_least64_t windows, dropped, queued, edges;
	} stats;
};

static void drop(struct npt_exports *exports, struct npt_report *window)
{
	atomic_fetch_add(&exports->stats.dropped, 1);
	if (!atomic_exchange(&exports->dropping, true))
		npt_log_warning("windows are stored faster than exports take them; some are not "
				"exported");
	npt_report_free(window);
}

void npt_exports_take(struct npt_exports *exports, struct npt_report *window)
{
	uint64_t edges = window->edges_count;
	uint64_t before = atomic_fetch_add(&exports->stats.edges, edges);

	atomic_fetch_add(&exports->stats.queued, 1);
	if ((before == 0 || before + edges <= QUEUED_EDGES_MAX) &&
	    npt_queue_push(exports->windows, window) == 0)
		return;
	atomic_fetch_sub(&exports->stats.edges, edges);
	atomic_fetch_sub(&exports->stats.queued, 1);
	drop(exports, window);
}

static void *run(void *argument)
{
	struct npt_exports *exports = argument;
	struct npt_report *window;

	while ((window = npt_queue_wait(exports->windows, -1))) {
		npt_hops_link(window);
		npt_findings_set(window);
		for (size_t i = 0; i < exports->count; i++)
			exports->exporters[i].add(exports->exporters[i].context, window);
		atomic_fetch_add(&exports->stats.windows, 1);
		atomic_fetch_sub(&exports->stats.edges, window->edges_count);
		if (atomic_fetch_sub(&exports->stats.queued, 1) == 1)
			atomic_store(&exports->dropping, false);
		npt_report_free(window);
	}
	return NULL;
}

static void free_window(void *item)
{
	npt_report_free(item);
}

int npt_exports_start(const struct npt_exporter *exporters, size_t count,
		      struct npt_exports **exports_ret, struct npt_error *err)
{
	npt_auto(npt_exports_free) struct npt_exports *exports = npt_alloc(1, sizeof(*exports));
	int r;

	exports->count = count < EXPORTERS_MAX ? count : EXPORTERS_MAX;
	memcpy(exports->exporters, exporters, exports->count * sizeof(*exporters));
	exports->windows = npt_queue_new(QUEUED_WINDOWS_MAX, free_window);
	r = pthread_create(&exports->thread, NULL, run, exports);
	if (r != 0)
		return npt_error_set(err, r, "cannot start a thread: %s", strerror(r));
	exports->started = true;
	*exports_ret = npt_take(exports);
	return 0;
}

void npt_exports_free(struct npt_exports *exports)
{
	if (!exports)
		return;
	npt_queue_close(exports->windows);
	if (exports->started)
		(void)pthread_join(exports->thread, NULL);
	npt_queue_free(exports->windows);
	free(exports);
}

void npt_exports_stats(struct npt_exports *exports, struct npt_exports_stats *stats_ret)
{
	*stats_ret = (struct npt_exports_stats){
		.windows = atomic_load(&exports->stats.windows),
		.dropped_windows = atomic_load(&exports->stats.dropped),
		.queued_windows = atomic_load(&exports->stats.queued),
	};
}
