/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Explain - which edges a word of the user means.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/model/report.h"

/* number: of the edge, from 1, as tables show it. A word that is a number means just that. */
bool npt_explain_matches(const struct npt_edge *edge, size_t number, const char *word);
