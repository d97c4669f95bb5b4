/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Summary - a pod's report so far, in the few numbers that its status needs. Pure.
 */
#include "lib/model/report.h"
#include "lib/model/summary.h"

/* Fills the numbers, the top edges and the cost; who and which state is the caller's. */
void npt_summary_of_report(const struct npt_report *total, struct npt_pod_summary *summary);
