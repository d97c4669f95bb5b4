/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Delivery - what pushes have in common: a table that windows are added to, and a thread that takes
 * what came in each interval and sends it.
 *
 * A receiver that is away costs no memory: while the thread tries again, windows add up in the
 * table. When the program ends, what is left is sent within some seconds, or dropped.
 */
#include <stdbool.h>
#include <stdint.h>

#include "aggregator/exports/exports.h"
#include "aggregator/exports/series.h"

struct npt_delivery;

struct npt_delivery_options {
	struct npt_series_options series;
	uint64_t interval_ms;
	bool cumulative; /* what came since the start, rather than since the last time */
	/* On the thread, with what came since the last time; may take long, and asks
	 * npt_delivery_pause() before it tries again. */
	void (*send)(void *context, const struct npt_series_table *table);
	void *context;
};

int npt_delivery_start(const struct npt_delivery_options *options,
		       struct npt_delivery **delivery_ret, struct npt_error *err);
/* After the exports that feed it: sends what is left. */
void npt_delivery_free(struct npt_delivery *delivery);
NPT_DEFINE_AUTO(struct npt_delivery *, npt_delivery_free)
struct npt_exporter npt_delivery_exporter(struct npt_delivery *delivery);

/* Waits before another try; false: there is none, the program ends. */
bool npt_delivery_pause(struct npt_delivery *delivery, uint64_t ms);
/* How long a request may take: shorter when the program ends, 0 when there is no time left. */
uint64_t npt_delivery_timeout_ms(struct npt_delivery *delivery, uint64_t usual_ms);
/* For a request's is_cancelled(): the program ended, and so did the time for last words. */
bool npt_delivery_is_over(struct npt_delivery *delivery);
