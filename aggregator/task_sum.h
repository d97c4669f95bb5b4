/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Task sum - the windows of a task, added up pod by pod: what every answer about a task is made of.
 */
#include "aggregator/store.h"
#include "lib/core/error.h"

/* What of a task; all 0 or NULL: everything. */
struct npt_task_part {
	const char *pod_uid;
	uint64_t from_unix_ms; /* windows that have part of this time */
	uint64_t until_unix_ms;
};

/*
 * One pod: its Report, with findings and hops, to be read or changed at will. Nonzero ends the sum
 * with that error.
 */
typedef int npt_task_pod_fn(void *context, struct npt_report *pod);

struct npt_task_sum {
	struct npt_report *head; /* what is said besides edges, of all pods together */
	struct npt_stored_stream *streams;
	size_t streams_count;
};

/* -ENOENT: there is no such pod. on_pod is called in order of the pods' names. */
int npt_task_sum(struct npt_store_reader *reader, const struct npt_stored_task *task,
		 const struct npt_task_part *part, npt_task_pod_fn *on_pod, void *context,
		 struct npt_task_sum *sum_ret, struct npt_error *err);
void npt_task_sum_done(struct npt_task_sum *sum);
NPT_DEFINE_AUTO_DONE(struct npt_task_sum, npt_task_sum_done)
