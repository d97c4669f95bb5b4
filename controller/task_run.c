/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets and their evidence. A row stays when its pod leaves: its numbers are part of the result.
 */
#include "controller/task_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/net/digest.h"

struct npt_task_run *npt_task_run_new(const struct npt_task *task)
{
	struct npt_task_run *run = npt_alloc(1, sizeof(*run));

	run->task = *task;
	run->start_written = task->started_unix_ms != 0;
	run->seen_ns = npt_clock_boottime_ns();
	run->dirty = true;
	return run;
}

void npt_task_run_free(struct npt_task_run *run)
{
	if (!run)
		return;
	for (size_t i = 0; i < run->rows_count; i++) {
		free(run->rows[i]->earlier);
		free(run->rows[i]);
	}
	free(run->rows);
	free(run->status.pods);
	free(run->written);
	npt_task_done(&run->task);
	free(run);
}

void npt_task_run_update(struct npt_task_run *run, const struct npt_task *task)
{
	uint64_t started = run->task.started_unix_ms;

	npt_task_done(&run->task);
	run->task = *task;
	/* An event from before our own write must not unset the start. */
	if (run->task.started_unix_ms == 0)
		run->task.started_unix_ms = started;
	run->dirty = true;
}

static struct npt_target_row *find_row(struct npt_task_run *run, const char *uid)
{
	for (size_t i = 0; i < run->rows_count; i++) {
		if (strcmp(run->rows[i]->pod.uid, uid) == 0)
			return run->rows[i];
	}
	return NULL;
}

static bool is_named(const struct npt_task *task, const char *name)
{
	if (task->selector)
		return true;
	for (size_t i = 0; i < NPT_TASK_NAMES_MAX && task->names[i][0]; i++) {
		if (strcmp(task->names[i], name) == 0)
			return true;
	}
	return false;
}

static bool is_target(const struct npt_task *task, const struct npt_pod *pod)
{
	return is_named(task, pod->name) && pod->node[0] && !pod->deleting &&
	       strcmp(pod->phase, "Succeeded") != 0 && strcmp(pod->phase, "Failed") != 0;
}

void npt_task_run_pod(struct npt_task_run *run, const struct npt_pod *pod)
{
	struct npt_target_row *row = find_row(run, pod->uid);
	bool target = is_target(&run->task, pod);

	if (!row) {
		if (!target)
			return;
		if (run->rows_count >= run->task.max_targets) {
			run->skipped++;
			return;
		}
		row = npt_alloc(1, sizeof(*row));
		run->rows = npt_realloc(run->rows, run->rows_count + 1,
					sizeof(struct npt_target_row *));
		run->rows[run->rows_count++] = row;
	}
	row->pod = *pod;
	row->present = target;
	run->dirty = true;
}

void npt_task_run_pod_gone(struct npt_task_run *run, const char *uid)
{
	struct npt_target_row *row = find_row(run, uid);

	if (!row)
		return;
	row->present = false;
	run->dirty = true;
}

void npt_task_run_pods_synced(struct npt_task_run *run)
{
	run->pods_synced = true;
	run->pods_trouble[0] = '\0';
	run->dirty = true;
}

void npt_task_run_pods_trouble(struct npt_task_run *run, const char *text)
{
	(void)snprintf(run->pods_trouble, sizeof(run->pods_trouble),
		       "pods cannot be watched, it is tried again: %.180s", text);
	run->dirty = true;
}

static void take_restart(struct npt_target_row *row, const char *instance)
{
	if (row->heard && strcmp(row->instance, instance) != 0) {
		free(row->earlier);
		row->earlier = npt_memdup(&row->summary, sizeof(row->summary));
		row->restarts++;
	}
	(void)snprintf(row->instance, sizeof(row->instance), "%s", instance);
}

void npt_task_run_hear(struct npt_task_run *run, const char *node, const char *instance,
		       const struct npt_held_assignment *held)
{
	for (size_t i = 0; i < held->pods_count; i++) {
		struct npt_target_row *row = find_row(run, held->pods[i].uid);

		if (!row || strcmp(row->pod.node, node) != 0)
			continue;
		take_restart(row, instance);
		row->summary = held->pods[i];
		if (row->earlier)
			npt_pod_summary_add(&row->summary, row->earlier);
		row->assignment = held->state;
		row->heard = true;
	}
	run->dirty = true;
}

static bool is_over(const struct npt_task_run *run)
{
	return run->status.finished || run->task.cancel || run->task.finished;
}

bool npt_task_run_wants(const struct npt_task_run *run, const char *node)
{
	if (is_over(run) || !run->start_written)
		return false;
	for (size_t i = 0; i < run->rows_count; i++) {
		const struct npt_target_row *row = run->rows[i];

		if ((row->present || row->heard) && strcmp(row->pod.node, node) == 0)
			return true;
	}
	return false;
}

bool npt_task_run_is_undecided(const struct npt_task_run *run)
{
	return !is_over(run) && run->start_written && !run->pods_synced;
}

static void assignment_id(const struct npt_task_run *run, const char *node, char *out)
{
	npt_auto_free char *text = npt_format("%s/%s", run->task.uid, node);
	char digest[NPT_SHA256_HEX_BYTES];

	npt_sha256_hex(text, strlen(text), digest);
	(void)snprintf(out, NPT_UID_BYTES, "%.32s", digest);
}

static void fill_target(const struct npt_task *task, const struct npt_pod *pod,
			struct npt_target *target)
{
	memset(target, 0, sizeof(*target));
	memcpy(target->uid, pod->uid, sizeof(target->uid));
	memcpy(target->namespace_name, pod->namespace_name, sizeof(target->namespace_name));
	memcpy(target->name, pod->name, sizeof(target->name));
	memcpy(target->ip, pod->ip, sizeof(target->ip));
	target->host_network = pod->host_network;
	target->containers =
		npt_memdup(pod->containers, pod->containers_count * sizeof(pod->containers[0]));
	target->containers_count = pod->containers_count;
	for (size_t i = 0; i < NPT_TASK_CONTAINERS_MAX && task->containers[i][0]; i++)
		memcpy(target->only[i], task->containers[i], sizeof(target->only[i]));
}

void npt_task_run_assign(const struct npt_task_run *run, const char *node, uint64_t now_unix_ms,
			 struct npt_assignment *assignment)
{
	const struct npt_task *task = &run->task;
	uint64_t end = task->started_unix_ms + task->duration_seconds * UINT64_C(1000);

	memset(assignment, 0, sizeof(*assignment));
	assignment_id(run, node, assignment->id);
	memcpy(assignment->task.namespace_name, task->namespace_name,
	       sizeof(assignment->task.namespace_name));
	memcpy(assignment->task.name, task->name, sizeof(assignment->task.name));
	memcpy(assignment->task.uid, task->uid, sizeof(assignment->task.uid));
	assignment->remaining_ms = end > now_unix_ms ? end - now_unix_ms : 0;
	assignment->interval_seconds = task->interval_seconds;
	memcpy(assignment->layers, task->layers, sizeof(assignment->layers));
	assignment->max_edges_per_pod = task->max_edges_per_pod;
	assignment->budget_cpu_millicores = task->budget_cpu_millicores;
	assignment->budget_memory_mib = task->budget_memory_mib;
	assignment->targets = npt_alloc(run->rows_count, sizeof(*assignment->targets));
	for (size_t i = 0; i < run->rows_count; i++) {
		const struct npt_target_row *row = run->rows[i];

		if (row->present && assignment->targets_count < NPT_CHANNEL_PODS_MAX &&
		    strcmp(row->pod.node, node) == 0)
			fill_target(task, &row->pod,
				    &assignment->targets[assignment->targets_count++]);
	}
}
