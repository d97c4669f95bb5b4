/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles by rank: DESIGN section 13 fixes the rule, so that every program says the same number.
 */
#include "lib/core/histogram.h"

#include <assert.h>

uint64_t npt_histogram_lower_micros(uint32_t bucket)
{
	uint32_t power, part;

	assert(bucket < NPT_HISTOGRAM_BUCKETS);
	if (bucket < NPT_HISTOGRAM_EXACT)
		return bucket;
	power = (bucket - NPT_HISTOGRAM_EXACT) >> NPT_HISTOGRAM_SUB_BITS;
	part = (bucket - NPT_HISTOGRAM_EXACT) & 3;
	return (uint64_t)(NPT_HISTOGRAM_EXACT + part) << power;
}

uint64_t npt_histogram_midpoint_micros(uint32_t bucket)
{
	uint64_t lower = npt_histogram_lower_micros(bucket);

	if (bucket + 1 >= NPT_HISTOGRAM_BUCKETS)
		return lower;
	return lower + (npt_histogram_lower_micros(bucket + 1) - 1 - lower) / 2;
}

void npt_histogram_add(struct npt_histogram *histogram, uint64_t micros)
{
	histogram->count++;
	histogram->sum_micros += micros;
	if (micros > histogram->max_micros)
		histogram->max_micros = micros;
	histogram->buckets[npt_histogram_bucket(micros)]++;
}

void npt_histogram_merge(struct npt_histogram *into, const struct npt_histogram *from)
{
	into->count += from->count;
	into->sum_micros += from->sum_micros;
	if (from->max_micros > into->max_micros)
		into->max_micros = from->max_micros;
	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

uint64_t npt_histogram_quantile_micros(const struct npt_histogram *histogram, uint32_t permille)
{
	uint64_t rank, seen = 0;

	if (histogram->count == 0)
		return 0;
	rank = (histogram->count / 1000) * permille +
	       ((histogram->count % 1000) * permille + 999) / 1000;
	if (rank == 0)
		rank = 1;
	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		uint64_t value;

		seen += histogram->buckets[i];
		if (seen < rank)
			continue;
		value = npt_histogram_midpoint_micros(i);
		return value < histogram->max_micros ? value : histogram->max_micros;
	}
	return histogram->max_micros;
}
