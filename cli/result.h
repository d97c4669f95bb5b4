/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Result - a task as the cluster has it, and its Report: the aggregation service's, or else what
 * the status says, with the reason why it is only that.
 */
#include "cli/cluster.h"
#include "lib/model/report_json_read.h"

struct npt_result {
	json_t *task; /* the NetworkProfilingTask */
	char *text;   /* the Report's JSON, as it came */
	size_t size_bytes;
	struct npt_report *report;
	struct npt_edge_quantiles *quantiles; /* one an edge */
	const struct npt_edge **sorted; /* edges, worst first: the order in which they are shown */
	bool from_status;
	char why[NPT_ERROR_TEXT_BYTES]; /* not more than the status */
};

/* GET of a task; the caller's. -ENOENT says which are there. */
int npt_result_find_task(struct npt_cluster *cluster, const char *namespace_name, const char *name,
			 json_t **task_ret, struct npt_error *err);
/* The Report of a task, which is taken over (borrowed if it fails). */
int npt_result_fetch(struct npt_cluster *cluster, json_t *task, struct npt_result *result_ret,
		     struct npt_error *err);
/* Both in one. */
int npt_result_open(struct npt_cluster *cluster, const char *namespace_name, const char *name,
		    struct npt_result *result_ret, struct npt_error *err);
void npt_result_done(struct npt_result *result);
NPT_DEFINE_AUTO_DONE(struct npt_result, npt_result_done)
/* Says on the standard error that this is the status' summary, and how to get all. */
void npt_result_say_source(const struct npt_result *result);
const struct npt_edge_quantiles *npt_result_quantiles(const struct npt_result *result,
						      const struct npt_edge *edge);
