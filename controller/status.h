/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Status - a task's status on its way to the API server: at most one write a second, one at a time,
 * and only what differs from the last. The controller's thread.
 */
#include "controller/api.h"
#include "controller/events.h"
#include "controller/task_run.h"

/* Writes if the status differs from what was written last and its time has come. */
void npt_status_write(struct npt_api *api, struct npt_task_run *run, uint64_t now_ns);
/* What came of it (NPT_EVENT_WRITTEN). */
void npt_status_written(struct npt_task_run *run, const struct npt_event *event);
