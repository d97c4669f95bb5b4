/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/delivery.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"

#define LAST_WORDS_NS (5 * NPT_NS_PER_SECOND)

struct npt_delivery {
	struct npt_delivery_options options;
	pthread_mutex_t lock;
	pthread_cond_t stopped;
	bool stop;
	uint64_t over_ns; /* set with stop */
	struct npt_series_table *table;
	pthread_t thread;
	bool started;
};

static void add(void *context, const struct npt_report *window)
{
	struct npt_delivery *delivery = context;

	(void)pthread_mutex_lock(&delivery->lock);
	npt_series_add(delivery->table, window, npt_clock_monotonic_ns());
	(void)pthread_mutex_unlock(&delivery->lock);
}

struct npt_exporter npt_delivery_exporter(struct npt_delivery *delivery)
{
	return (struct npt_exporter){ .context = delivery, .add = add };
}

bool npt_delivery_pause(struct npt_delivery *delivery, uint64_t ms)
{
	uint64_t until_ns = npt_clock_monotonic_ns() + ms * NPT_NS_PER_MS;
	const struct timespec until = { .tv_sec = (time_t)(until_ns / NPT_NS_PER_SECOND),
					.tv_nsec = (long)(until_ns % NPT_NS_PER_SECOND) };
	bool stop;
	int r = 0;

	(void)pthread_mutex_lock(&delivery->lock);
	while (!delivery->stop && r == 0)
		r = pthread_cond_timedwait(&delivery->stopped, &delivery->lock, &until);
	stop = delivery->stop;
	(void)pthread_mutex_unlock(&delivery->lock);
	return !stop;
}

uint64_t npt_delivery_timeout_ms(struct npt_delivery *delivery, uint64_t usual_ms)
{
	uint64_t now = npt_clock_monotonic_ns(), left_ms;

	(void)pthread_mutex_lock(&delivery->lock);
	if (!delivery->stop)
		left_ms = usual_ms;
	else
		left_ms = delivery->over_ns > now ? (delivery->over_ns - now) / NPT_NS_PER_MS : 0;
	(void)pthread_mutex_unlock(&delivery->lock);
	return left_ms < usual_ms ? left_ms : usual_ms;
}

bool npt_delivery_is_over(struct npt_delivery *delivery)
{
	return npt_delivery_timeout_ms(delivery, 1000) == 0;
}

static void send(struct npt_delivery *delivery)
{
	npt_auto(npt_series_table_free) struct npt_series_table *sent = NULL;

	(void)pthread_mutex_lock(&delivery->lock);
	if (delivery->options.cumulative) {
		(void)npt_series_expire(delivery->table, npt_clock_monotonic_ns());
		sent = npt_series_copy(delivery->table);
	} else {
		sent = npt_series_take(delivery->table);
	}
	(void)pthread_mutex_unlock(&delivery->lock);
	if (npt_series_count(sent) > 0)
		delivery->options.send(delivery->options.context, sent);
}

static void *run(void *argument)
{
	struct npt_delivery *delivery = argument;

	while (npt_delivery_pause(delivery, delivery->options.interval_ms))
		send(delivery);
	send(delivery);
	return NULL;
}

int npt_delivery_start(const struct npt_delivery_options *options,
		       struct npt_delivery **delivery_ret, struct npt_error *err)
{
	npt_auto(npt_delivery_free) struct npt_delivery *delivery = npt_alloc(1, sizeof(*delivery));
	pthread_condattr_t attributes;
	int r;

	delivery->options = *options;
	delivery->table = npt_series_table_new(&options->series);
	(void)pthread_mutex_init(&delivery->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&delivery->stopped, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	*delivery_ret = delivery; /* the thread may ask for it at once */
	r = pthread_create(&delivery->thread, NULL, run, delivery);
	if (r != 0) {
		*delivery_ret = NULL;
		return npt_error_set(err, r, "cannot start a thread: %s", strerror(r));
	}
	delivery->started = true;
	(void)npt_take(delivery);
	return 0;
}

void npt_delivery_free(struct npt_delivery *delivery)
{
	if (!delivery)
		return;
	(void)pthread_mutex_lock(&delivery->lock);
	delivery->stop = true;
	delivery->over_ns = npt_clock_monotonic_ns() + LAST_WORDS_NS;
	(void)pthread_cond_broadcast(&delivery->stopped);
	(void)pthread_mutex_unlock(&delivery->lock);
	if (delivery->started)
		(void)pthread_join(delivery->thread, NULL);
	npt_series_table_free(delivery->table);
	(void)pthread_cond_destroy(&delivery->stopped);
	(void)pthread_mutex_destroy(&delivery->lock);
	free(delivery);
}
