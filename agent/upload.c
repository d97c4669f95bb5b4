/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread posts the oldest window until it is acknowledged. What the aggregator refuses for good
 * (a 4xx that another try cannot change) is dropped and counted; everything else is tried again
 * with a growing pause, whatever it takes. A repeat is harmless: the aggregator knows a window by
 * task, pod, instance and sequence.
 */
#include "agent/upload.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/spool.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/random.h"
#include "lib/core/strmap.h"
#include "lib/net/http_client.h"

#define MAX_BYTES_DEFAULT (64U * 1024 * 1024)
#define RETRY_MS_FIRST    500
#define RETRY_MS_MAX      10000
#define TIMEOUT_MS        20000
#define PODS_MAX          65536
#define CONTENT_TYPE      "application/x-protobuf"

/* The newest way to the aggregator that a task was given. */
struct route {
	char *url, *token;
};

struct npt_upload {
	struct npt_upload_options options;
	char *ca_file;
	struct npt_http_client *http;
	pthread_mutex_t lock; /* spool, stats, routes */
	pthread_cond_t changed;
	struct npt_spool *spool;
	struct npt_strmap *stats;  /* "task/pod" -> npt_upload_stats */
	struct npt_strmap *routes; /* task -> route */
	bool sending; /* the oldest is on its way, and may be stored already: it is not dropped */
	pthread_t thread;
	bool started;
	atomic_bool stop;
};

static void free_route(void *item)
{
	struct route *route = item;

	free(route->url);
	free(route->token);
	free(route);
}

/* With the lock held. NULL when there are too many pods to count apart. */
static struct npt_upload_stats *stats_of(struct npt_upload *upload, const char *task_uid,
					 const char *pod_uid)
{
	npt_auto_free char *key = npt_format("%s/%s", task_uid, pod_uid);
	struct npt_upload_stats *stats = npt_strmap_get(upload->stats, key);

	if (stats)
		return stats;
	stats = npt_alloc(1, sizeof(*stats));
	if (npt_strmap_set(upload->stats, key, stats) == 0)
		return stats;
	free(stats);
	return NULL;
}

enum outcome { STORED, DROPPED, FAILED };

static void settle_one(struct npt_upload_stats *stats, enum outcome outcome, const char *error)
{
	if (!stats)
		return;
	(void)snprintf(stats->last_error, sizeof(stats->last_error), "%s", error);
	if (outcome == FAILED)
		return;
	stats->pending -= stats->pending > 0;
	stats->stored += outcome == STORED;
	stats->dropped += outcome == DROPPED;
}

/* With the lock held. */
static void settle(struct npt_upload *upload, const char *task_uid, const char *pod_uid,
		   enum outcome outcome, const char *error)
{
	settle_one(stats_of(upload, task_uid, pod_uid), outcome, error);
}

static void drop(struct npt_upload *upload, size_t index, const char *why)
{
	const struct npt_spool_entry *entry = npt_spool_at(upload->spool, index);

	npt_log_warning("window dropped", "task", entry->task_uid, "pod", entry->pod_uid, "reason",
			why);
	settle(upload, entry->task_uid, entry->pod_uid, DROPPED, why);
	npt_spool_remove(upload->spool, index);
}

static bool is_final(unsigned int status)
{
	return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

static bool is_stopped(void *context)
{
	return atomic_load(&((struct npt_upload *)context)->stop);
}

static enum outcome post(struct npt_upload *upload, const struct npt_upload_window *window,
			 const struct route *route, unsigned int *retry_after_ret,
			 struct npt_error *err)
{
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	struct npt_http_request request = {
		.method = "POST",
		.url = route->url,
		.bearer = route->token,
		.content_type = CONTENT_TYPE,
		.body = window->data,
		.body_bytes = window->size_bytes,
		.timeout_ms = upload->options.timeout_ms,
		.max_response_bytes = 65536,
		.is_cancelled = is_stopped,
		.context = upload,
	};
	int r = npt_http_perform(upload->http, &request, &response, err);

	if (r < 0)
		return FAILED;
	*retry_after_ret = response.retry_after_seconds;
	if (response.status < 300)
		return STORED;
	(void)npt_error_set(err, EPROTO, "%u %.150s", response.status, response.body);
	return is_final(response.status) ? DROPPED : FAILED;
}

/* With the lock held: the route that this window's task was given last, or its own. */
static struct route route_of(struct npt_upload *upload, const struct npt_upload_window *window)
{
	const struct route *newest = npt_strmap_get(upload->routes, window->task_uid);

	return (struct route){ .url = npt_strdup(newest ? newest->url : window->url),
			       .token = npt_strdup(newest ? newest->token : window->token) };
}

/* Posts the oldest window; the lock is held, but not while the network is waited for. */
static enum outcome send_oldest(struct npt_upload *upload, unsigned int *retry_after_ret)
{
	const struct npt_spool_entry *entry = npt_spool_at(upload->spool, 0);
	npt_auto_free char *block = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_upload_window window;
	struct route route;
	enum outcome outcome;

	if (npt_spool_read(entry, &window, &block, &err) < 0) {
		drop(upload, 0, err.text);
		return DROPPED;
	}
	route = route_of(upload, &window);
	upload->sending = true;
	(void)pthread_mutex_unlock(&upload->lock);
	outcome = post(upload, &window, &route, retry_after_ret, &err);
	(void)pthread_mutex_lock(&upload->lock);
	upload->sending = false;
	free(route.url);
	free(route.token);
	if (outcome == DROPPED) {
		drop(upload, 0, err.text);
		return outcome;
	}
	settle(upload, window.task_uid, window.pod_uid, outcome, err.text);
	if (outcome == STORED)
		npt_spool_remove(upload->spool, 0);
	return outcome;
}

/* With the lock held: sleeps until something changes or the time is over. */
static void wait_ms(struct npt_upload *upload, uint64_t ms)
{
	uint64_t end_ns = npt_clock_monotonic_ns() + ms * NPT_NS_PER_MS;
	struct timespec end = { .tv_sec = (time_t)(end_ns / NPT_NS_PER_SECOND),
				.tv_nsec = (long)(end_ns % NPT_NS_PER_SECOND) };

	(void)pthread_cond_timedwait(&upload->changed, &upload->lock, &end);
}

/* A new window does not cut a pause short: the server is to be left alone meanwhile. */
static void pause_ms(struct npt_upload *upload, uint64_t ms)
{
	uint64_t end_ns = npt_clock_monotonic_ns() + ms * NPT_NS_PER_MS;

	while (!is_stopped(upload) && npt_clock_monotonic_ns() < end_ns)
		wait_ms(upload, (end_ns - npt_clock_monotonic_ns()) / NPT_NS_PER_MS + 1);
}

static void *run(void *context)
{
	struct npt_upload *upload = context;
	uint64_t bound_ms = upload->options.retry_ms_first;

	(void)pthread_mutex_lock(&upload->lock);
	while (!is_stopped(upload)) {
		unsigned int retry_after = 0;

		if (npt_spool_count(upload->spool) == 0) {
			(void)pthread_cond_broadcast(&upload->changed);
			wait_ms(upload, 1000);
		} else if (send_oldest(upload, &retry_after) == FAILED) {
			pause_ms(upload, retry_after * UINT64_C(1000) + bound_ms / 2 +
						 npt_random_below(bound_ms));
			bound_ms = bound_ms * 2 < upload->options.retry_ms_max
					   ? bound_ms * 2
					   : upload->options.retry_ms_max;
		} else {
			bound_ms = upload->options.retry_ms_first;
			(void)pthread_cond_broadcast(&upload->changed);
		}
	}
	(void)pthread_mutex_unlock(&upload->lock);
	return NULL;
}

static void set_defaults(struct npt_upload_options *options)
{
	if (options->max_bytes == 0)
		options->max_bytes = MAX_BYTES_DEFAULT;
	if (options->retry_ms_first == 0)
		options->retry_ms_first = RETRY_MS_FIRST;
	if (options->retry_ms_max == 0)
		options->retry_ms_max = RETRY_MS_MAX;
	if (options->timeout_ms == 0)
		options->timeout_ms = TIMEOUT_MS;
}

/* What an earlier process left is pending. */
static void count_found(struct npt_upload *upload)
{
	for (size_t i = 0; i < npt_spool_count(upload->spool); i++) {
		const struct npt_spool_entry *entry = npt_spool_at(upload->spool, i);
		struct npt_upload_stats *stats = stats_of(upload, entry->task_uid, entry->pod_uid);

		if (stats)
			stats->pending++;
	}
}

static void init_lock(struct npt_upload *upload)
{
	pthread_condattr_t attributes;

	(void)pthread_mutex_init(&upload->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&upload->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}

int npt_upload_new(const struct npt_upload_options *options, struct npt_upload **upload_ret,
		   struct npt_error *err)
{
	npt_auto(npt_upload_free) struct npt_upload *upload = npt_alloc(1, sizeof(*upload));
	struct npt_http_client_options http_options;
	int r;

	init_lock(upload);
	upload->options = *options;
	set_defaults(&upload->options);
	upload->ca_file = options->ca_file ? npt_strdup(options->ca_file) : NULL;
	upload->stats = npt_strmap_new(PODS_MAX, free);
	upload->routes = npt_strmap_new(PODS_MAX, free_route);
	http_options = (struct npt_http_client_options){ .ca_file = upload->ca_file,
							 .user_agent = "npt-agent/" NPT_VERSION };
	r = npt_http_client_new(&http_options, &upload->http, err);
	if (r >= 0)
		r = npt_spool_open(&upload->spool, options->directory, upload->options.max_bytes,
				   err);
	if (r < 0)
		return r;
	count_found(upload);
	if (pthread_create(&upload->thread, NULL, run, upload) != 0)
		return npt_error_set(err, EAGAIN, "cannot start a thread");
	upload->started = true;
	*upload_ret = npt_take(upload);
	return 0;
}

void npt_upload_free(struct npt_upload *upload)
{
	if (!upload)
		return;
	atomic_store(&upload->stop, true);
	(void)pthread_mutex_lock(&upload->lock);
	(void)pthread_cond_broadcast(&upload->changed);
	(void)pthread_mutex_unlock(&upload->lock);
	if (upload->started)
		(void)pthread_join(upload->thread, NULL);
	npt_http_client_free(upload->http);
	npt_spool_free(upload->spool);
	npt_strmap_free(upload->stats);
	npt_strmap_free(upload->routes);
	(void)pthread_cond_destroy(&upload->changed);
	(void)pthread_mutex_destroy(&upload->lock);
	free(upload->ca_file);
	free(upload);
}

static void remember_route(struct npt_upload *upload, const struct npt_upload_window *window)
{
	struct route *route = npt_alloc(1, sizeof(*route));

	route->url = npt_strdup(window->url);
	route->token = npt_strdup(window->token);
	if (npt_strmap_set(upload->routes, window->task_uid, route) < 0)
		free_route(route);
}

static int push(struct npt_upload *upload, const struct npt_upload_window *window,
		struct npt_error *err)
{
	struct npt_upload_stats *stats = stats_of(upload, window->task_uid, window->pod_uid);
	int r;

	if (window->size_bytes > upload->options.max_bytes)
		return npt_error_set(err, EMSGSIZE,
				     "a window of %zu bytes is larger than the spool",
				     window->size_bytes);
	while (!npt_spool_has_room(upload->spool, window->size_bytes)) {
		if (npt_spool_count(upload->spool) <= upload->sending)
			return npt_error_set(err, ENOSPC, "the spool is full");
		drop(upload, upload->sending, "the spool is full");
	}
	r = npt_spool_append(upload->spool, window, err);
	if (r < 0)
		return r;
	remember_route(upload, window);
	if (stats)
		stats->pending++;
	(void)pthread_cond_broadcast(&upload->changed);
	return 0;
}

int npt_upload_push(struct npt_upload *upload, const struct npt_upload_window *window,
		    struct npt_error *err)
{
	int r;

	(void)pthread_mutex_lock(&upload->lock);
	r = push(upload, window, err);
	if (r < 0) {
		struct npt_upload_stats *stats =
			stats_of(upload, window->task_uid, window->pod_uid);

		if (stats)
			stats->dropped++;
	}
	(void)pthread_mutex_unlock(&upload->lock);
	return r;
}

void npt_upload_stats(struct npt_upload *upload, const char *task_uid, const char *pod_uid,
		      struct npt_upload_stats *stats_ret)
{
	const struct npt_upload_stats *stats;

	*stats_ret = (struct npt_upload_stats){ 0 };
	(void)pthread_mutex_lock(&upload->lock);
	stats = stats_of(upload, task_uid, pod_uid);
	if (stats)
		*stats_ret = *stats;
	(void)pthread_mutex_unlock(&upload->lock);
}

void npt_upload_forget(struct npt_upload *upload, const char *task_uid)
{
	npt_auto_free char *prefix = npt_format("%s/", task_uid);

	(void)pthread_mutex_lock(&upload->lock);
	for (size_t i = npt_strmap_count(upload->stats); i > 0; i--) {
		npt_auto_free char *key = npt_strdup(npt_strmap_key_at(upload->stats, i - 1));

		if (strncmp(key, prefix, strlen(prefix)) == 0)
			npt_strmap_remove(upload->stats, key);
	}
	npt_strmap_remove(upload->routes, task_uid);
	(void)pthread_mutex_unlock(&upload->lock);
}

static bool has_pending(struct npt_upload *upload, const char *task_uid)
{
	for (size_t i = 0; i < npt_spool_count(upload->spool); i++) {
		if (!task_uid || strcmp(npt_spool_at(upload->spool, i)->task_uid, task_uid) == 0)
			return true;
	}
	return false;
}

bool npt_upload_drain(struct npt_upload *upload, const char *task_uid, uint64_t timeout_ms)
{
	uint64_t end_ns = npt_clock_monotonic_ns() + timeout_ms * NPT_NS_PER_MS;
	bool pending;

	(void)pthread_mutex_lock(&upload->lock);
	while ((pending = has_pending(upload, task_uid)) && npt_clock_monotonic_ns() < end_ns)
		wait_ms(upload, (end_ns - npt_clock_monotonic_ns()) / NPT_NS_PER_MS + 1);
	(void)pthread_mutex_unlock(&upload->lock);
	return !pending;
}
