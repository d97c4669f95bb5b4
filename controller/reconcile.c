/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status as a function of spec, targets, what agents said, and time. Phases only go forward;
 * conditions change their time only when their value changes.
 */
#include "controller/task_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"

#define COLLECT_MS 30000
/* After a restart agents need a moment to dial again before they are missed. */
#define AGENT_GRACE_NS (15 * NPT_NS_PER_SECOND)

struct tally {
	size_t targets; /* present or heard of */
	size_t running;
	size_t finished; /* reported to the end, failed or gone */
	size_t failed;
	size_t restarted;
	bool results_dropped;
	bool results_pending;
};

static void set_condition(struct npt_task_run *run, enum npt_condition_type type,
			  enum npt_condition_value value, const char *reason, const char *message,
			  uint64_t now_unix_ms)
{
	struct npt_condition *condition = &run->status.conditions[type];

	if (condition->value != value || condition->changed_unix_ms == 0)
		condition->changed_unix_ms = now_unix_ms;
	condition->value = value;
	(void)snprintf(condition->reason, sizeof(condition->reason), "%s", reason);
	(void)snprintf(condition->message, sizeof(condition->message), "%s", message);
}

static void set_pod(struct npt_pod_status *pod, enum npt_pod_state state, const char *reason,
		    const char *message)
{
	pod->state = state;
	(void)snprintf(pod->reason, sizeof(pod->reason), "%s", reason);
	(void)snprintf(pod->message, sizeof(pod->message), "%s", message);
}

static void describe_pod(const struct npt_target_row *row, bool connected, bool agent_is_late,
			 struct npt_pod_status *pod)
{
	memset(pod, 0, sizeof(*pod));
	memcpy(pod->name, row->pod.name, sizeof(pod->name));
	memcpy(pod->uid, row->pod.uid, sizeof(pod->uid));
	memcpy(pod->node, row->pod.node, sizeof(pod->node));
	if (row->heard) {
		pod->summary = &row->summary;
		set_pod(pod, row->summary.state, row->summary.reason, row->summary.message);
		if (row->restarts > 0 && pod->reason[0] == '\0')
			set_pod(pod, pod->state, "AgentRestarted",
				"the node's agent restarted; what happened meanwhile is missing");
		if (!row->present && pod->state != NPT_POD_FAILED)
			set_pod(pod, NPT_POD_GONE, "TargetGone",
				"the pod left; its numbers up to then are kept");
		else if (!connected && pod->state == NPT_POD_RUNNING)
			set_pod(pod, NPT_POD_RUNNING, "AgentUnreachable",
				"the node's agent is not connected; numbers are the last ones");
		return;
	}
	if (!row->present)
		set_pod(pod, NPT_POD_GONE, "TargetGone", "the pod left before it was measured");
	else if (!connected && agent_is_late)
		set_pod(pod, NPT_POD_FAILED, "NoAgentOnNode", "no agent of this node is connected");
	else
		set_pod(pod, NPT_POD_PENDING, "", "");
}

static size_t count_nodes(const struct npt_task_run *run)
{
	size_t nodes = 0;

	for (size_t i = 0; i < run->rows_count; i++) {
		bool first = true;

		for (size_t j = 0; j < i && first; j++)
			first = strcmp(run->rows[i]->pod.node, run->rows[j]->pod.node) != 0;
		nodes += first;
	}
	return nodes;
}

static void describe_pods(struct npt_task_run *run, uint64_t now_ns, npt_is_connected *is_connected,
			  const void *context, struct tally *tally)
{
	bool agent_is_late = now_ns > run->seen_ns + AGENT_GRACE_NS;

	run->status.pods =
		npt_realloc(run->status.pods, run->rows_count, sizeof(*run->status.pods));
	run->status.pods_count = run->rows_count;
	run->status.nodes = count_nodes(run);
	run->status.skipped = run->skipped;
	for (size_t i = 0; i < run->rows_count; i++) {
		const struct npt_target_row *row = run->rows[i];
		struct npt_pod_status *pod = &run->status.pods[i];
		bool reported = row->heard && row->assignment >= NPT_ASSIGNMENT_FINISHED;

		describe_pod(row, is_connected(context, row->pod.node), agent_is_late, pod);
		tally->targets += row->present || row->heard;
		tally->running += pod->state == NPT_POD_RUNNING;
		tally->failed += pod->state == NPT_POD_FAILED;
		tally->restarted += row->restarts > 0;
		tally->finished +=
			reported || pod->state == NPT_POD_FAILED || pod->state == NPT_POD_GONE;
		tally->results_dropped |= row->summary.windows_dropped > 0;
		tally->results_pending |= row->summary.windows_stored < row->summary.windows;
	}
}

static void finish(struct npt_task_run *run, enum npt_task_phase phase, const char *reason,
		   const char *message, uint64_t now_unix_ms)
{
	bool complete = phase == NPT_TASK_SUCCEEDED || phase == NPT_TASK_PARTIALLY_SUCCEEDED;

	run->status.phase = phase;
	run->status.finished = true;
	run->status.completed_unix_ms = now_unix_ms;
	(void)snprintf(run->status.message, sizeof(run->status.message), "%s", message);
	set_condition(run, NPT_CONDITION_RUNNING, NPT_CONDITION_FALSE, "Finished", "", now_unix_ms);
	set_condition(run, NPT_CONDITION_COMPLETE,
		      complete ? NPT_CONDITION_TRUE : NPT_CONDITION_FALSE, reason, message,
		      now_unix_ms);
	set_condition(run, NPT_CONDITION_FAILED,
		      complete ? NPT_CONDITION_FALSE : NPT_CONDITION_TRUE, reason, message,
		      now_unix_ms);
}

static void resolve(struct npt_task_run *run, const struct tally *tally, uint64_t now_unix_ms)
{
	uint64_t deadline =
		run->task.created_unix_ms + run->task.start_deadline_seconds * UINT64_C(1000);
	char message[NPT_TEXT_BYTES];

	if (tally->targets > 0) {
		(void)snprintf(message, sizeof(message), "%zu pods on %llu nodes", tally->targets,
			       (unsigned long long)run->status.nodes);
		set_condition(run, NPT_CONDITION_TARGETS_RESOLVED, NPT_CONDITION_TRUE,
			      run->skipped ? "PartiallyResolved" : "Resolved", message,
			      now_unix_ms);
		if (run->task.started_unix_ms == 0)
			run->task.started_unix_ms = now_unix_ms;
		run->status.phase = NPT_TASK_RUNNING;
		run->status.message[0] = '\0';
		return;
	}
	run->status.phase = NPT_TASK_RESOLVING;
	(void)snprintf(run->status.message, sizeof(run->status.message),
		       "no pod in namespace %.100s matches (%.100s)", run->task.namespace_name,
		       run->status.target);
	set_condition(run, NPT_CONDITION_TARGETS_RESOLVED, NPT_CONDITION_FALSE,
		      run->rows_count > 0 ? "NoEligibleTargets" : "NoMatchingPods",
		      run->status.message, now_unix_ms);
	(void)snprintf(message, sizeof(message), "%s", run->status.message);
	if (now_unix_ms >= deadline)
		finish(run, NPT_TASK_FAILED, "NoEligibleTargets", message, now_unix_ms);
}

static void wait_for_pods(struct npt_task_run *run, uint64_t now_unix_ms)
{
	run->status.phase = NPT_TASK_PENDING;
	memcpy(run->status.message, run->pods_trouble, sizeof(run->status.message));
	if (run->pods_trouble[0])
		set_condition(run, NPT_CONDITION_TARGETS_RESOLVED, NPT_CONDITION_UNKNOWN,
			      "PodsUnknown", run->pods_trouble, now_unix_ms);
}

static void judge_results(struct npt_task_run *run, const struct tally *tally, bool ended,
			  uint64_t now_unix_ms)
{
	if (!run->status.result_url[0])
		set_condition(run, NPT_CONDITION_RESULTS_STORED, NPT_CONDITION_FALSE, "NoHistory",
			      "no aggregation service is configured", now_unix_ms);
	else if (tally->results_dropped)
		set_condition(run, NPT_CONDITION_RESULTS_STORED, NPT_CONDITION_FALSE, "Truncated",
			      "some windows were dropped before they were stored", now_unix_ms);
	else if (!tally->results_pending)
		set_condition(run, NPT_CONDITION_RESULTS_STORED, NPT_CONDITION_TRUE, "Stored", "",
			      now_unix_ms);
	else if (ended)
		set_condition(run, NPT_CONDITION_RESULTS_STORED, NPT_CONDITION_FALSE,
			      "AggregatorUnavailable", "windows wait in the agents' spools",
			      now_unix_ms);
	else
		set_condition(run, NPT_CONDITION_RESULTS_STORED, NPT_CONDITION_UNKNOWN, "Storing",
			      "", now_unix_ms);
}

static void conclude(struct npt_task_run *run, const struct tally *tally, uint64_t now_unix_ms)
{
	size_t measured = 0;

	for (size_t i = 0; i < run->rows_count; i++)
		measured += run->rows[i]->heard && run->rows[i]->summary.windows > 0;
	if (measured == 0)
		finish(run, NPT_TASK_FAILED, "AllNodesFailed", "no pod could be measured",
		       now_unix_ms);
	else if (tally->failed > 0 || tally->finished < run->rows_count)
		finish(run, NPT_TASK_PARTIALLY_SUCCEEDED, "PartialResults",
		       "not every pod reported to the end", now_unix_ms);
	else if (tally->restarted > 0)
		finish(run, NPT_TASK_PARTIALLY_SUCCEEDED, "PartialResults",
		       "an agent restarted; what happened meanwhile is missing", now_unix_ms);
	else
		finish(run, NPT_TASK_SUCCEEDED, "AllNodesReported", "", now_unix_ms);
}

static void run_on(struct npt_task_run *run, const struct tally *tally, uint64_t now_unix_ms)
{
	uint64_t end = run->task.started_unix_ms + run->task.duration_seconds * UINT64_C(1000);
	bool all = tally->running >= tally->targets;

	if (now_unix_ms < end) {
		run->status.phase = NPT_TASK_RUNNING;
		set_condition(run, NPT_CONDITION_RUNNING,
			      tally->running ? NPT_CONDITION_TRUE : NPT_CONDITION_FALSE,
			      tally->running == 0 ? "Dispatching"
			      : all               ? "AllNodesRunning"
						  : "SomeNodesRunning",
			      "", now_unix_ms);
		judge_results(run, tally, false, now_unix_ms);
		return;
	}
	run->status.phase = NPT_TASK_COLLECTING;
	judge_results(run, tally, true, now_unix_ms);
	if (tally->finished >= run->rows_count || now_unix_ms >= end + COLLECT_MS)
		conclude(run, tally, now_unix_ms);
}

static void describe_target(struct npt_task_run *run)
{
	if (run->task.selector)
		(void)snprintf(run->status.target, sizeof(run->status.target), "%.120s",
			       run->task.selector);
	else
		(void)snprintf(run->status.target, sizeof(run->status.target), "%.100s%s",
			       run->task.names[0], run->task.names[1][0] ? ",..." : "");
}

void npt_task_run_reconcile(struct npt_task_run *run, uint64_t now_unix_ms, uint64_t now_ns,
			    npt_is_connected *is_connected, const void *context)
{
	struct tally tally = { 0 };

	run->dirty = false;
	if (run->task.finished || run->status.finished)
		return;
	run->status.observed_generation = run->task.generation;
	memcpy(run->status.layers, run->task.layers, sizeof(run->status.layers));
	describe_target(run);
	describe_pods(run, now_ns, is_connected, context, &tally);
	if (run->task.invalid[0]) {
		set_condition(run, NPT_CONDITION_ACCEPTED, NPT_CONDITION_FALSE, "InvalidSpec",
			      run->task.invalid, now_unix_ms);
		finish(run, NPT_TASK_FAILED, "InvalidSpec", run->task.invalid, now_unix_ms);
		return;
	}
	set_condition(run, NPT_CONDITION_ACCEPTED, NPT_CONDITION_TRUE, "Valid", "", now_unix_ms);
	if (run->task.cancel)
		finish(run, NPT_TASK_CANCELLED, "Cancelled", "spec.cancel was set", now_unix_ms);
	else if (!run->pods_synced)
		wait_for_pods(run, now_unix_ms);
	else if (run->task.started_unix_ms == 0)
		resolve(run, &tally, now_unix_ms);
	if (!run->status.finished && run->task.started_unix_ms)
		run_on(run, &tally, now_unix_ms);
	run->status.started_unix_ms = run->task.started_unix_ms;
}
