/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Task json - what REST says of one task: the sum of its windows in several views, the windows
 * themselves, the history of an edge; and of two tasks, how they differ.
 *
 * Texts are the caller's to free. -ENOENT: there is no such pod, edge or time; -EMSGSIZE: more than
 * one answer holds; err says how to ask less.
 */
#include "aggregator/store/store.h"
#include "aggregator/api/task_sum.h"
#include "lib/core/error.h"
#include "lib/model/edge_history.h"

/* The Report. */
int npt_task_report_json(struct npt_store_reader *reader, const struct npt_stored_task *task,
			 const struct npt_task_part *part, char **text_ret, struct npt_error *err);
/* The same for spreadsheets (lib/model/report_csv.h), and for Graphviz (report_dot.h). */
int npt_task_report_csv(struct npt_store_reader *reader, const struct npt_stored_task *task,
			const struct npt_task_part *part, char **text_ret, struct npt_error *err);
int npt_task_report_dot(struct npt_store_reader *reader, const struct npt_stored_task *task,
			const struct npt_task_part *part, char **text_ret, struct npt_error *err);
int npt_task_topology_json(struct npt_store_reader *reader, const struct npt_stored_task *task,
			   const struct npt_task_part *part, char **text_ret,
			   struct npt_error *err);
int npt_task_findings_json(struct npt_store_reader *reader, const struct npt_stored_task *task,
			   const struct npt_task_part *part, char **text_ret,
			   struct npt_error *err);
int npt_task_edge_json(struct npt_store_reader *reader, const struct npt_store_edge_filter *filter,
		       const struct npt_edge_history_options *options, char **text_ret,
		       struct npt_error *err);
int npt_tasks_comparison_json(struct npt_store_reader *reader,
			      const struct npt_stored_task tasks[2], char **text_ret,
			      struct npt_error *err);
/* A page of windows; "next" is there if more may follow. */
int npt_task_windows_json(struct npt_store_reader *reader, const struct npt_store_filter *filter,
			  char **text_ret, struct npt_error *err);
/* The same for who waits for more: "next", *next_ret, is always there. *count_ret windows. */
int npt_task_live_json(struct npt_store_reader *reader, const struct npt_store_filter *filter,
		       char **text_ret, size_t *count_ret, uint64_t *next_ret,
		       struct npt_error *err);
