/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry a key, in one of the states of client-go's queue: ready (in a FIFO), waiting for a
 * time, worked on, and "dirty" = worked on and wanted again. An entry lives as long as it is in any
 * of them or remembers failures. Everything is under one mutex; times are looked at when somebody
 * takes, so there is no timer thread.
 *
 * Retries of all keys together pass a leaky bucket (10 a second, 100 at once), as client-go's
 * default limiter does: it is full when `bucket_ns` runs a burst ahead of the clock.
 */
#include "lib/kube/workqueue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/strmap.h"

#define BACKOFF_MS_FIRST 5
#define BACKOFF_MS_MAX   60000
#define RETRY_EVERY_NS   (NPT_NS_PER_SECOND / 10)
#define RETRY_BURST      100

struct entry {
	char *key;
	struct entry *next;    /* in the FIFO */
	uint64_t ready_ns;     /* when a waiting one becomes ready */
	uint64_t taken_ns;     /* when its worker took it */
	unsigned int failures; /* in a row */
	bool is_ready;
	bool is_waiting;
	bool is_working;
	bool is_dirty;
};

struct npt_workqueue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct npt_workqueue_options options;
	struct npt_strmap *entries; /* key -> entry */
	struct entry *first, *last; /* ready ones */
	uint64_t bucket_ns;
	bool is_shut_down;
	struct npt_workqueue_stats stats;
};

static void free_entry(void *value)
{
	struct entry *entry = value;

	free(entry->key);
	free(entry);
}

struct npt_workqueue *npt_workqueue_new(const struct npt_workqueue_options *options)
{
	struct npt_workqueue *queue = npt_alloc(1, sizeof(*queue));
	pthread_condattr_t attributes;

	assert(options->max_keys > 0);
	queue->options = *options;
	if (!queue->options.now_ns)
		queue->options.now_ns = npt_clock_monotonic_ns;
	if (queue->options.backoff_ms_first == 0)
		queue->options.backoff_ms_first = BACKOFF_MS_FIRST;
	if (queue->options.backoff_ms_max == 0)
		queue->options.backoff_ms_max = BACKOFF_MS_MAX;
	queue->entries = npt_strmap_new(options->max_keys, free_entry);
	(void)pthread_mutex_init(&queue->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&queue->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return queue;
}

void npt_workqueue_free(struct npt_workqueue *queue)
{
	if (!queue)
		return;
	npt_strmap_free(queue->entries);
	(void)pthread_cond_destroy(&queue->changed);
	(void)pthread_mutex_destroy(&queue->lock);
	free(queue);
}

/* The key's entry, made if it is not there; NULL: no room. */
static struct entry *get_entry(struct npt_workqueue *queue, const char *key)
{
	struct entry *entry = npt_strmap_get(queue->entries, key);

	if (entry)
		return entry;
	entry = npt_alloc(1, sizeof(*entry));
	entry->key = npt_strdup(key);
	if (npt_strmap_set(queue->entries, key, entry) == 0)
		return entry;
	free_entry(entry);
	queue->stats.refused++;
	return NULL;
}

static void drop_if_idle(struct npt_workqueue *queue, const struct entry *entry)
{
	if (!entry->is_ready && !entry->is_waiting && !entry->is_working && entry->failures == 0)
		npt_strmap_remove(queue->entries, entry->key);
}

static void make_ready(struct npt_workqueue *queue, struct entry *entry)
{
	if (entry->is_waiting) {
		entry->is_waiting = false;
		queue->stats.waiting--;
	}
	if (entry->is_working) {
		entry->is_dirty = true;
		return;
	}
	if (entry->is_ready)
		return;
	entry->is_ready = true;
	entry->next = NULL;
	if (queue->last)
		queue->last->next = entry;
	else
		queue->first = entry;
	queue->last = entry;
	queue->stats.depth++;
	queue->stats.adds++;
}

static void make_waiting(struct npt_workqueue *queue, struct entry *entry, uint64_t ready_ns)
{
	if (entry->is_ready || entry->is_dirty ||
	    (entry->is_waiting && entry->ready_ns <= ready_ns))
		return;
	if (!entry->is_waiting)
		queue->stats.waiting++;
	entry->is_waiting = true;
	entry->ready_ns = ready_ns;
}

static int add(struct npt_workqueue *queue, const char *key, uint64_t delay_ns)
{
	struct entry *entry;

	if (queue->is_shut_down)
		return -EPIPE;
	entry = get_entry(queue, key);
	if (!entry)
		return -ENOSPC;
	if (delay_ns)
		make_waiting(queue, entry, queue->options.now_ns() + delay_ns);
	else
		make_ready(queue, entry);
	(void)pthread_cond_broadcast(&queue->changed);
	return 0;
}

int npt_workqueue_add(struct npt_workqueue *queue, const char *key)
{
	return npt_workqueue_add_after(queue, key, 0);
}

int npt_workqueue_add_after(struct npt_workqueue *queue, const char *key, uint64_t delay_ms)
{
	int r;

	(void)pthread_mutex_lock(&queue->lock);
	r = add(queue, key, delay_ms * NPT_NS_PER_MS);
	(void)pthread_mutex_unlock(&queue->lock);
	return r;
}

static uint64_t own_delay_ns(const struct npt_workqueue *queue, unsigned int failures)
{
	uint64_t ms = queue->options.backoff_ms_first;

	while (failures-- > 0 && ms < queue->options.backoff_ms_max)
		ms *= 2;
	if (ms > queue->options.backoff_ms_max)
		ms = queue->options.backoff_ms_max;
	return ms * NPT_NS_PER_MS;
}

static uint64_t bucket_delay_ns(struct npt_workqueue *queue, uint64_t now_ns)
{
	uint64_t burst_ns = RETRY_BURST * RETRY_EVERY_NS;

	if (queue->bucket_ns < now_ns)
		queue->bucket_ns = now_ns;
	queue->bucket_ns += RETRY_EVERY_NS;
	return queue->bucket_ns > now_ns + burst_ns ? queue->bucket_ns - now_ns - burst_ns : 0;
}

int npt_workqueue_retry(struct npt_workqueue *queue, const char *key)
{
	struct entry *entry;
	uint64_t own, bucket;
	int r = -EPIPE;

	(void)pthread_mutex_lock(&queue->lock);
	entry = queue->is_shut_down ? NULL : get_entry(queue, key);
	if (entry) {
		own = own_delay_ns(queue, entry->failures++);
		bucket = bucket_delay_ns(queue, queue->options.now_ns());
		queue->stats.retries++;
		r = add(queue, key, own > bucket ? own : bucket);
	} else if (!queue->is_shut_down) {
		r = -ENOSPC;
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return r;
}

void npt_workqueue_forget(struct npt_workqueue *queue, const char *key)
{
	struct entry *entry;

	(void)pthread_mutex_lock(&queue->lock);
	entry = npt_strmap_get(queue->entries, key);
	if (entry) {
		entry->failures = 0;
		drop_if_idle(queue, entry);
	}
	(void)pthread_mutex_unlock(&queue->lock);
}

/* Makes ready whose time has come, earliest first. Returns when the next one's is; 0: none waits.
 */
static uint64_t ripen(struct npt_workqueue *queue, uint64_t now_ns)
{
	uint64_t next_ns;
	bool more = queue->stats.waiting > 0;

	do {
		struct entry *earliest = NULL;

		for (size_t i = 0; more && i < npt_strmap_count(queue->entries); i++) {
			struct entry *entry = npt_strmap_value_at(queue->entries, i);

			if (entry->is_waiting &&
			    (!earliest || entry->ready_ns < earliest->ready_ns))
				earliest = entry;
		}
		next_ns = earliest ? earliest->ready_ns : 0;
		more = earliest && earliest->ready_ns <= now_ns;
		if (more)
			make_ready(queue, earliest);
	} while (more);
	return next_ns;
}

static char *take_first(struct npt_workqueue *queue, uint64_t now_ns)
{
	struct entry *entry = queue->first;

	queue->first = entry->next;
	if (!queue->first)
		queue->last = NULL;
	entry->next = NULL;
	entry->is_ready = false;
	entry->is_working = true;
	entry->taken_ns = now_ns;
	queue->stats.depth--;
	queue->stats.working++;
	return npt_strdup(entry->key);
}

/* Sleeps until something changes or the time comes; false: until_ns is past, or the clock is a
 * test's. */
static bool sleep_until(struct npt_workqueue *queue, uint64_t until_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / NPT_NS_PER_SECOND),
		.tv_nsec = (long)(until_ns % NPT_NS_PER_SECOND),
	};

	if (queue->options.now_ns != npt_clock_monotonic_ns)
		return false;
	if (until_ns == 0)
		(void)pthread_cond_wait(&queue->changed, &queue->lock);
	else
		(void)pthread_cond_timedwait(&queue->changed, &queue->lock, &until);
	return true;
}

char *npt_workqueue_take(struct npt_workqueue *queue, int timeout_ms)
{
	uint64_t now, next, deadline = 0;
	char *key = NULL;

	(void)pthread_mutex_lock(&queue->lock);
	if (timeout_ms >= 0)
		deadline = queue->options.now_ns() + (unsigned int)timeout_ms * NPT_NS_PER_MS;
	for (;;) {
		now = queue->options.now_ns();
		next = ripen(queue, now);
		if (queue->is_shut_down)
			break;
		if (queue->first) {
			key = take_first(queue, now);
			break;
		}
		if (deadline && (next == 0 || next > deadline))
			next = deadline;
		if ((deadline && now >= deadline) || !sleep_until(queue, next))
			break;
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return key;
}

void npt_workqueue_done(struct npt_workqueue *queue, const char *key)
{
	struct entry *entry;

	(void)pthread_mutex_lock(&queue->lock);
	entry = npt_strmap_get(queue->entries, key);
	if (entry && entry->is_working) {
		entry->is_working = false;
		queue->stats.working--;
		if (entry->is_dirty) {
			entry->is_dirty = false;
			make_ready(queue, entry);
		}
		drop_if_idle(queue, entry);
		(void)pthread_cond_broadcast(&queue->changed);
	}
	(void)pthread_mutex_unlock(&queue->lock);
}

void npt_workqueue_shut_down(struct npt_workqueue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	queue->is_shut_down = true;
	(void)pthread_cond_broadcast(&queue->changed);
	(void)pthread_mutex_unlock(&queue->lock);
}

void npt_workqueue_stats(struct npt_workqueue *queue, struct npt_workqueue_stats *stats_ret)
{
	uint64_t now;

	(void)pthread_mutex_lock(&queue->lock);
	now = queue->options.now_ns();
	*stats_ret = queue->stats;
	stats_ret->longest_working_ms = 0;
	for (size_t i = 0; i < npt_strmap_count(queue->entries); i++) {
		const struct entry *entry = npt_strmap_value_at(queue->entries, i);
		uint64_t ms = (now - entry->taken_ns) / NPT_NS_PER_MS;

		if (entry->is_working && ms > stats_ret->longest_working_ms)
			stats_ret->longest_working_ms = ms;
	}
	(void)pthread_mutex_unlock(&queue->lock);
}
