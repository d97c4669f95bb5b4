/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Slices - when the hooks on every system call are on: a short part of each period, at a random
 * phase, no longer than their measured tax allows.
 *
 * Pure timing over npt_probe_slice_begin/end; owned by the measurement.
 */
#include <stdint.h>

#include "agent/probe/probe.h"

struct npt_slices {
	struct npt_probe *probe; /* borrowed */
	uint64_t period_ns;
	uint64_t length_ns;
	uint64_t due_ns; /* next begin or end; CLOCK_MONOTONIC */
	uint64_t period_begin_ns;
	uint32_t tax_ns; /* per system call of anybody, while a slice is on */
	bool on;
};

/* Measures the tax (some 10 ms) and plans the first slice. period_ms 0: the default. */
void npt_slices_start(struct npt_slices *slices, struct npt_probe *probe, uint64_t period_ms);
/* Begins or ends a slice if it is due. */
void npt_slices_run(struct npt_slices *slices, uint64_t now_ns);
/* From now on each lasts a quarter as long. */
void npt_slices_shorten(struct npt_slices *slices);
void npt_slices_stop(struct npt_slices *slices);
/* The length that keeps the average tax at 20 ns per call: pure. */
uint64_t npt_slices_length_ns(uint64_t period_ns, uint32_t tax_ns);
