/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Closer - closes links of uprobes in the background. The kernel waits for grace periods while it
 * takes a probe away, some 40 ms for each link; links that are closed at the same time wait
 * together.
 */
#include "lib/core/cleanup.h"

struct npt_closer;

struct npt_closer *npt_closer_new(void);
/* Waits until all is closed. */
void npt_closer_free(struct npt_closer *closer);
NPT_DEFINE_AUTO(struct npt_closer *, npt_closer_free)
/* Takes the descriptor over; returns at once. */
void npt_closer_close(struct npt_closer *closer, int fd);
