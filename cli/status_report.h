/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Status report - a task's status in the shape of a Report, for those who cannot ask the
 * aggregation service: at most 10 edges, quantiles without histograms. "from": "status" says so;
 * what a status does not have is left out.
 */
#include <jansson.h>

/* task: the NetworkProfilingTask. The caller's to decref. */
json_t *npt_status_report(const json_t *task);
