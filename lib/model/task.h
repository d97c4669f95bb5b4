/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Task - a NetworkProfilingTask: what its spec asks for, what its status says.
 *
 * Plain values with bounds of the CRD. The status is written whole, by one writer.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/core/error.h"
#include "lib/core/histogram.h"
#include "lib/model/channel.h"
#include "lib/model/report.h"
#include "lib/model/summary.h"

#define NPT_TASK_NAMES_MAX      64
#define NPT_TASK_CONTAINERS_MAX 16
#define NPT_TASK_SELECTOR_BYTES 16384
#define NPT_STATUS_EDGES_MAX    10
#define NPT_STATUS_PODS_MAX     100
#define NPT_STATUS_BYTES_MAX    (128U * 1024)

enum npt_task_phase {
	NPT_TASK_PENDING,
	NPT_TASK_RESOLVING,
	NPT_TASK_RUNNING,
	NPT_TASK_COLLECTING,
	NPT_TASK_SUCCEEDED,
	NPT_TASK_PARTIALLY_SUCCEEDED,
	NPT_TASK_FAILED,
	NPT_TASK_CANCELLED,
	NPT_TASK_PHASES,
};

struct npt_task {
	char namespace_name[NPT_NAME_BYTES];
	char name[NPT_NAME_BYTES];
	char uid[NPT_UID_BYTES];
	char resource_version[NPT_UID_BYTES];
	int64_t generation;
	uint64_t created_unix_ms;
	char *selector; /* Kubernetes' text form ("app=web,tier in (a,b)"), or NULL: by names */
	char names[NPT_TASK_NAMES_MAX][NPT_NAME_BYTES]; /* "" ends */
	char containers[NPT_TASK_CONTAINERS_MAX][64];
	uint32_t duration_seconds;
	uint32_t interval_seconds;
	bool layers[NPT_LAYER_COUNT];
	uint32_t max_targets;
	uint32_t max_edges_per_pod;
	uint32_t budget_cpu_millicores;
	uint32_t budget_memory_mib;
	uint32_t start_deadline_seconds;
	bool cancel;
	char invalid[NPT_TEXT_BYTES]; /* why this spec cannot be carried out; "": it can */
	/* of the status: what a new controller needs to go on */
	uint64_t started_unix_ms; /* 0: not yet */
	bool finished;
};

/* Fails only if it is not known which task it is; what is wrong with the spec is in invalid. */
int npt_task_from_json(const json_t *object, struct npt_task *task_ret, struct npt_error *err);
void npt_task_done(struct npt_task *task);
const char *npt_task_phase_name(enum npt_task_phase phase);

enum npt_condition_type {
	NPT_CONDITION_ACCEPTED,
	NPT_CONDITION_TARGETS_RESOLVED,
	NPT_CONDITION_RUNNING,
	NPT_CONDITION_RESULTS_STORED,
	NPT_CONDITION_COMPLETE,
	NPT_CONDITION_FAILED,
	NPT_CONDITION_COUNT,
};

enum npt_condition_value { NPT_CONDITION_UNKNOWN, NPT_CONDITION_TRUE, NPT_CONDITION_FALSE };

struct npt_condition {
	enum npt_condition_value value;
	char reason[64];
	char message[NPT_TEXT_BYTES];
	uint64_t changed_unix_ms; /* when value changed last */
};

struct npt_pod_status {
	const struct npt_pod_summary *summary; /* borrowed; NULL: the agent said nothing yet */
	char name[NPT_NAME_BYTES];
	char uid[NPT_UID_BYTES];
	char node[NPT_NAME_BYTES];
	enum npt_pod_state state;
	char reason[NPT_REASON_BYTES];
	char message[NPT_TEXT_BYTES];
};

struct npt_task_status {
	enum npt_task_phase phase;
	bool finished;
	int64_t observed_generation;
	uint64_t started_unix_ms;
	uint64_t completed_unix_ms;
	char target[128];
	char message[NPT_TEXT_BYTES];
	char result_url[NPT_TEXT_BYTES];
	uint64_t nodes, skipped;
	struct npt_pod_status *pods; /* in any order; the encoder puts failing ones first */
	size_t pods_count;
	bool layers[NPT_LAYER_COUNT]; /* asked for */
	struct npt_condition conditions[NPT_CONDITION_COUNT];
};

/* Sums over the pods' summaries. */
struct npt_task_totals {
	uint64_t running, failed, edges, edges_judged, connections;
	uint64_t bytes_sent, bytes_received, segments_sent, retransmit_segments;
	uint64_t drops, lost, windows, windows_stored, windows_dropped;
	struct npt_histogram rtt;
};
void npt_task_totals(const struct npt_task_status *status, struct npt_task_totals *totals_ret);

/* The status object; integers only, at most NPT_STATUS_BYTES_MAX as text (rows are dropped). */
json_t *npt_task_status_to_json(const struct npt_task_status *status);
