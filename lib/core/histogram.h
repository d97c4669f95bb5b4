/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Histogram - counts per bucket of microseconds; merged by addition.
 *
 * The layout is bpf/histogram.h's. Plain value, no ownership.
 */
#include <stdint.h>

#include "bpf/histogram.h"

struct npt_histogram {
	uint64_t count; /* of all buckets */
	uint64_t sum_micros;
	uint64_t max_micros; /* largest value seen; since the start, not of one window */
	uint64_t buckets[NPT_HISTOGRAM_BUCKETS];
};

/* The smallest value that falls into the bucket. */
uint64_t npt_histogram_lower_micros(uint32_t bucket);
/* Between the smallest and the largest; the overflow bucket's is its lower bound. */
uint64_t npt_histogram_midpoint_micros(uint32_t bucket);
void npt_histogram_add(struct npt_histogram *histogram, uint64_t micros);
void npt_histogram_merge(struct npt_histogram *into, const struct npt_histogram *from);
/*
 * The midpoint of the bucket that holds rank ceil(q * count), at most max; q in permille.
 * 0 for an empty histogram.
 */
uint64_t npt_histogram_quantile_micros(const struct npt_histogram *histogram, uint32_t permille);
