/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Otlp encode - series as requests of OpenTelemetry's protocol, and what a receiver answers. Pure.
 *
 * A resource is a process of a pod. A histogram's bounds are some
 * of our own buckets' bounds, so its counts are exact; exponential histograms have other bounds
 * than ours and would be guesses.
 */
#include <stddef.h>
#include <stdint.h>

#include "aggregator/exports/series.h"
#include "lib/core/error.h"

struct npt_otlp_request {
	void *data; /* protobuf, gzip'd; the caller's to free */
	size_t size_bytes;
	uint64_t points;
};

/* As OpenTelemetry numbers them. */
enum npt_otlp_temporality { NPT_OTLP_DELTA = 1, NPT_OTLP_CUMULATIVE = 2 };

/* All series of the table in as many requests as it takes; *requests_ret is the caller's. */
void npt_otlp_encode(const struct npt_series_table *table, enum npt_otlp_temporality temporality,
		     struct npt_otlp_request **requests_ret, size_t *count_ret);

struct npt_otlp_answer {
	uint64_t rejected_points;
	char message[256]; /* clean text; "" if it said nothing */
};

/* Of a status of 200. -EBADMSG: it is none. */
int npt_otlp_decode_answer(const void *data, size_t size_bytes, struct npt_otlp_answer *answer_ret,
			   struct npt_error *err);
/* The words of an error; "" if it has none. */
void npt_otlp_decode_status(const void *data, size_t size_bytes, char *out, size_t out_bytes);
