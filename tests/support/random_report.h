/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Random reports - windows that an agent could have made, from a seed.
 */
#include <stdint.h>

#include "lib/model/report.h"

/* Fills an edge; index makes it another edge than those with other indices. */
void npt_test_random_edge(uint64_t *state, uint32_t index, struct npt_edge *edge);
/* A window with that many edges and everything else filled. The caller's to free. */
struct npt_report *npt_test_random_report(uint64_t *state, size_t edges);
