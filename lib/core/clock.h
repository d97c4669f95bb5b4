/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Clock - one place for time.
 *
 * Inside: nanoseconds of CLOCK_MONOTONIC (what BPF stamps) or CLOCK_BOOTTIME (deadlines, goes on in
 * suspend). Wall time exists only at the edge: milliseconds of the Unix epoch, RFC 3339 in text.
 */
#include <stddef.h>
#include <stdint.h>

#define NPT_NS_PER_SECOND 1000000000ULL
#define NPT_NS_PER_MS     1000000ULL
#define NPT_RFC3339_BYTES 32

uint64_t npt_clock_monotonic_ns(void);
/* The kernel's HZ: the resolution of its coarse clocks is one jiffy. 0 if it does not say. */
uint32_t npt_clock_ticks_per_second(void);
uint64_t npt_clock_boottime_ns(void);
uint64_t npt_clock_unix_ns(void);
uint64_t npt_clock_unix_ms(void);
/* "2026-01-01T00:00:00.000Z"; out has NPT_RFC3339_BYTES. */
void npt_rfc3339_ms(uint64_t unix_ms, char *out);
/* "2026-01-01T00:00:00Z", as Kubernetes' metav1.Time wants it. */
void npt_rfc3339_seconds(uint64_t unix_ms, char *out);
/* Takes both forms, "Z" only. 0 or -EINVAL. */
int npt_rfc3339_parse(const char *text, uint64_t *unix_ms_ret);
