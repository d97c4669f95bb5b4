/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Load windows - windows as agents of a mesh post them, for benchmarks: a task of a minute has
 * windows of five seconds; an edge has five metrics with a few buckets each, as one of a sidecar.
 */
#include <stdint.h>

#include "lib/model/report.h"

#define NPT_LOAD_PODS        5
#define NPT_LOAD_EDGES       50
#define NPT_LOAD_WINDOWS     12
#define NPT_LOAD_INTERVAL_MS 5000

/* The index-th edge of a pod; *state makes its numbers. */
void npt_load_edge(struct npt_edge *edge, unsigned int index, uint64_t *state);
/* A window without edges, of now; the caller's. */
struct npt_report *npt_load_head(uint64_t task, unsigned int pod, unsigned int window);
