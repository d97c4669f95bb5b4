/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SkyWalking meters - series as the meters that its Rover sends, for the rules of its server
 * (network-profiling.yaml) and so for its pages.
 *
 * All edges between two ends are one line there, so they are added up here: its server would add up
 * their averages. A line's ends are processes that it has given ids to, or an address.
 */
#include "aggregator/exports/skywalking_process.h"

/* Called for each pod's meters, a MeterDataCollection, and with data NULL for how many series have
 * none, as their process has no id. < 0 ends it. */
typedef int npt_sw_meters_fn(void *context, const void *data, size_t size_bytes, size_t meters);

int npt_sw_meters_encode(struct npt_sw_processes *processes, const struct npt_series_table *table,
			 uint64_t unix_ms, uint64_t now_ns, npt_sw_meters_fn *on_pod,
			 void *context);
