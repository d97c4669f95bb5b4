/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Recording - what one task gets of one scope: the window that runs and the report so far.
 *
 * A scope is measured once and recorded for each task that names it. Pure: it is given differences
 * and times. Owned by a local run or by an assignment; measurement thread only.
 */
#include "lib/core/cleanup.h"
#include "lib/model/report.h"

struct npt_recording;

/* head: task, pod, node and instance are copied into every window. */
struct npt_recording *npt_recording_new(const struct npt_report *head, uint64_t now_unix_ms);
void npt_recording_free(struct npt_recording *recording);
NPT_DEFINE_AUTO(struct npt_recording *, npt_recording_free)

/* Adds differences of the edge in this slot; identity is taken from delta each time. */
void npt_recording_add(struct npt_recording *recording, uint32_t slot,
		       const struct npt_edge *delta);
/* Edges of the running window, so that names can be put in before it is cut; borrowed. */
struct npt_report *npt_recording_window(struct npt_recording *recording);
/* The sum of all windows, the running one included; borrowed, until the next call. */
struct npt_report *npt_recording_total(struct npt_recording *recording);
/* Ends the window, gives it away and begins the next. */
struct npt_report *npt_recording_cut(struct npt_recording *recording, uint64_t now_unix_ms);
/* How many windows were cut. */
uint64_t npt_recording_sequence(const struct npt_recording *recording);
