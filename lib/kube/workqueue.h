/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Workqueue - which keys are to be reconciled: each at most once in the queue and never by two
 * workers at a time.
 *
 * A key that is added while it is worked on comes again when it is done. A key that is ready, or
 * comes again, forgets its delay: whoever works on it sets the next. Keys are text
 * ("namespace/name"), copied. Any thread may call anything.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"

struct npt_workqueue;

struct npt_workqueue_options {
	size_t max_keys;           /* queued, waiting or worked on, together */
	uint64_t backoff_ms_first; /* 0: 5 ms */
	uint64_t backoff_ms_max;   /* 0: 60 s */
	uint64_t (*now_ns)(void);  /* NULL: CLOCK_MONOTONIC; a test's clock never waits */
};

struct npt_workqueue_stats {
	size_t depth; /* ready to be taken */
	size_t waiting;
	size_t working;
	uint64_t adds;
	uint64_t retries;
	uint64_t refused;            /* because max_keys were there */
	uint64_t longest_working_ms; /* a stuck worker shows here */
};

struct npt_workqueue *npt_workqueue_new(const struct npt_workqueue_options *options);
void npt_workqueue_free(struct npt_workqueue *queue);
NPT_DEFINE_AUTO(struct npt_workqueue *, npt_workqueue_free)

/* All three: 0; -ENOSPC: max_keys are there; -EPIPE: shut down. */
int npt_workqueue_add(struct npt_workqueue *queue, const char *key);
/* Ready in delay_ms; of two delays the one that ends first counts. */
int npt_workqueue_add_after(struct npt_workqueue *queue, const char *key, uint64_t delay_ms);
/* After a failure: later each time, until npt_workqueue_forget(); at most 10 a second overall. */
int npt_workqueue_retry(struct npt_workqueue *queue, const char *key);
/* The key succeeded: its next failure starts from the first delay. */
void npt_workqueue_forget(struct npt_workqueue *queue, const char *key);

/*
 * The key that has been ready longest, the caller's to free and to hand back by
 * npt_workqueue_done(). NULL: none within timeout_ms (-1: for ever), or shut down.
 */
char *npt_workqueue_take(struct npt_workqueue *queue, int timeout_ms);
void npt_workqueue_done(struct npt_workqueue *queue, const char *key);
/* No key is given out any more; waiters wake up. What is worked on may still be done. */
void npt_workqueue_shut_down(struct npt_workqueue *queue);
void npt_workqueue_stats(struct npt_workqueue *queue, struct npt_workqueue_stats *stats_ret);
