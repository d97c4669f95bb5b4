/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Task json - what REST says of one task: the sum of its windows, and the windows themselves.
 *
 * Texts are the caller's to free. -EMSGSIZE: more than one answer holds; err says how to ask less.
 */
#include "aggregator/store.h"
#include "lib/core/error.h"

/* The Report. pod_uid NULL: all pods; -ENOENT: the task has no such pod. */
int npt_task_report_json(struct npt_store_reader *reader, const struct npt_stored_task *task,
			 const char *pod_uid, char **text_ret, struct npt_error *err);
/* A page of windows; "next" is there if more may follow. */
int npt_task_windows_json(struct npt_store_reader *reader, const struct npt_store_filter *filter,
			  char **text_ret, struct npt_error *err);
