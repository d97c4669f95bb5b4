/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Histogram - the one bucket layout, used by the kernel side and by user space alike.
 *
 * Values are microseconds, rounded down. 0..3 have a bucket each; from 4 on each power of two is
 * cut into 4 equal parts, up to 2^32 us (71 minutes); one more bucket takes what is longer. So a
 * bucket is at most 25 % wide and its midpoint at most 12.5 % away from any value in it.
 */
#include <linux/types.h>

#define NPT_HISTOGRAM_EXACT    4  /* buckets 0..3 hold one value each */
#define NPT_HISTOGRAM_SUB_BITS 2  /* 4 parts per power of two */
#define NPT_HISTOGRAM_MAX_BITS 32 /* values from 2^32 us on overflow */
#define NPT_HISTOGRAM_OVERFLOW                                                                     \
	(NPT_HISTOGRAM_EXACT +                                                                     \
	 ((NPT_HISTOGRAM_MAX_BITS - NPT_HISTOGRAM_SUB_BITS) << NPT_HISTOGRAM_SUB_BITS))
#define NPT_HISTOGRAM_BUCKETS (NPT_HISTOGRAM_OVERFLOW + 1)

_Static_assert(NPT_HISTOGRAM_BUCKETS == 125, "4 exact + 30 powers of 4 parts + overflow");

/* Position of the highest set bit; value > 0. By halves: BPF has no instruction for it. */
static inline __attribute__((always_inline)) __u32 npt_histogram_log2(__u32 value)
{
	__u32 bits = 0;

	if (value >> 16) {
		value >>= 16;
		bits += 16;
	}
	if (value >> 8) {
		value >>= 8;
		bits += 8;
	}
	if (value >> 4) {
		value >>= 4;
		bits += 4;
	}
	if (value >> 2) {
		value >>= 2;
		bits += 2;
	}
	return bits + (value >> 1);
}

static inline __attribute__((always_inline)) __u32 npt_histogram_bucket(__u64 micros)
{
	__u32 log2, part;

	if (micros < NPT_HISTOGRAM_EXACT)
		return (__u32)micros;
	if (micros >> NPT_HISTOGRAM_MAX_BITS)
		return NPT_HISTOGRAM_OVERFLOW;
	log2 = npt_histogram_log2((__u32)micros);
	part = (__u32)(micros >> (log2 - NPT_HISTOGRAM_SUB_BITS)) & 3;
	return NPT_HISTOGRAM_EXACT + ((log2 - NPT_HISTOGRAM_SUB_BITS) << NPT_HISTOGRAM_SUB_BITS) +
	       part;
}
