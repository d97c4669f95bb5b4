/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Prometheus - series as its text format (0.0.4). Pure.
 *
 * Counts in a bucket are exact, since its bound is one of our own: a time is told in whole
 * microseconds, rounded down, so le="0.001024" holds whatever took less than 1024 us.
 */
#include "aggregator/exports/series.h"
#include "lib/core/buffer.h"

#define NPT_PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* -EMSGSIZE: it does not fit. */
int npt_prometheus_write(const struct npt_series_table *table, struct npt_buffer *out);

/* One number of our own. type: "counter" or "gauge". */
int npt_prometheus_write_number(struct npt_buffer *out, const char *name, const char *type,
				const char *help, uint64_t value);
/* The same by one label; the first of a metric has its help. */
struct npt_prometheus_value {
	const char *label; /* its value, without anything to escape */
	uint64_t value;
};
int npt_prometheus_write_numbers(struct npt_buffer *out, const char *name, const char *type,
				 const char *help, const char *label,
				 const struct npt_prometheus_value *values, size_t count);
