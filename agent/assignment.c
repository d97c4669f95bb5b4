/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod that leaves keeps its recording until the assignment is gone, so its numbers stay in every
 * summary. At the deadline the scopes end at once; what is left are windows on their way to the
 * aggregator, for which an assignment waits (drains) a bounded time.
 */
#include "agent/assignment.h"

#include <stdio.h>
#include <string.h>

#include "agent/recording.h"
#include "agent/summary.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/model/finding.h"
#include "lib/model/hops.h"
#include "lib/model/report_protobuf.h"

#define DRAIN_NS (20 * NPT_NS_PER_SECOND)

struct pod_run {
	struct npt_target target;        /* containers and only: owned copies */
	struct npt_watched_pod *watched; /* NULL once released */
	uint32_t scope;
	enum npt_watch_state state;
	char reason[NPT_REASON_BYTES];
	char message[NPT_TEXT_BYTES];
	struct npt_recording *recording; /* NULL until it is measured */
	bool wanted;
};

struct npt_assigned {
	struct npt_assignment_tools tools;
	struct npt_assignment wanted; /* without targets; ingest_token owned */
	struct pod_run *pods;
	size_t pods_count;
	enum npt_assignment_state state;
	uint64_t deadline_ns;
	uint64_t drain_until_ns;
	uint64_t next_cut_unix_ms;
};

static void copy_target(struct npt_target *into, const struct npt_target *from)
{
	free(into->containers);
	*into = *from;
	into->containers =
		npt_memdup(from->containers, from->containers_count * sizeof(*from->containers));
}

static struct pod_run *find_pod(struct npt_assigned *assigned, const char *uid)
{
	for (size_t i = 0; i < assigned->pods_count; i++) {
		if (strcmp(assigned->pods[i].target.uid, uid) == 0)
			return &assigned->pods[i];
	}
	return NULL;
}

static void add_pod(struct npt_assigned *assigned, const struct npt_target *target)
{
	struct pod_run *pod;

	if (assigned->pods_count >= NPT_CHANNEL_PODS_MAX)
		return;
	assigned->pods =
		npt_realloc(assigned->pods, assigned->pods_count + 1, sizeof(*assigned->pods));
	pod = &assigned->pods[assigned->pods_count++];
	memset(pod, 0, sizeof(*pod));
	copy_target(&pod->target, target);
	pod->watched =
		npt_watch_hold(assigned->tools.watch, target, assigned->wanted.max_edges_per_pod);
	pod->wanted = true;
}

static void release_pod(struct npt_assigned *assigned, struct pod_run *pod)
{
	npt_watch_release(assigned->tools.watch, npt_take(pod->watched));
	pod->scope = 0;
}

static void take_settings(struct npt_assigned *assigned, const struct npt_assignment *wanted)
{
	free(assigned->wanted.ingest_token);
	assigned->wanted = *wanted;
	assigned->wanted.targets = NULL;
	assigned->wanted.targets_count = 0;
	assigned->wanted.ingest_token =
		wanted->ingest_token ? npt_strdup(wanted->ingest_token) : NULL;
}

static uint64_t next_cut(const struct npt_assigned *assigned, uint64_t now_unix_ms)
{
	uint64_t interval_ms = assigned->wanted.interval_seconds * UINT64_C(1000);

	return (now_unix_ms / interval_ms + 1) * interval_ms;
}

struct npt_assigned *npt_assigned_new(const struct npt_assignment_tools *tools,
				      const struct npt_assignment *wanted)
{
	struct npt_assigned *assigned = npt_alloc(1, sizeof(*assigned));

	assigned->tools = *tools;
	take_settings(assigned, wanted);
	assigned->deadline_ns = npt_clock_boottime_ns() + wanted->remaining_ms * NPT_NS_PER_MS;
	assigned->next_cut_unix_ms = next_cut(assigned, npt_clock_unix_ms());
	for (size_t i = 0; i < wanted->targets_count; i++)
		add_pod(assigned, &wanted->targets[i]);
	npt_log_info("assignment", "task", wanted->task.name, "namespace",
		     wanted->task.namespace_name, "uid", wanted->task.uid, "pods",
		     npt_log_u64(wanted->targets_count), "remaining_ms",
		     npt_log_u64(wanted->remaining_ms));
	return assigned;
}

void npt_assigned_free(struct npt_assigned *assigned)
{
	if (!assigned)
		return;
	for (size_t i = 0; i < assigned->pods_count; i++) {
		release_pod(assigned, &assigned->pods[i]);
		npt_recording_free(assigned->pods[i].recording);
		free(assigned->pods[i].target.containers);
	}
	if (assigned->tools.upload)
		npt_upload_forget(assigned->tools.upload, assigned->wanted.task.uid);
	free(assigned->pods);
	free(assigned->wanted.ingest_token);
	free(assigned);
}

void npt_assigned_add_budget(const struct npt_assigned *assigned, uint64_t *cpu_millicores,
			     uint64_t *memory_mib)
{
	*cpu_millicores += assigned->wanted.budget_cpu_millicores;
	*memory_mib += assigned->wanted.budget_memory_mib;
}

void npt_assigned_add_layers(const struct npt_assigned *assigned, bool layers[NPT_LAYER_COUNT])
{
	if (assigned->state >= NPT_ASSIGNMENT_DRAINING)
		return;
	for (size_t i = 0; i < NPT_LAYER_COUNT; i++)
		layers[i] = layers[i] || assigned->wanted.layers[i];
}

const char *npt_assigned_id(const struct npt_assigned *assigned)
{
	return assigned->wanted.id;
}

void npt_assigned_update(struct npt_assigned *assigned, const struct npt_assignment *wanted)
{
	take_settings(assigned, wanted);
	if (assigned->state >= NPT_ASSIGNMENT_DRAINING)
		return;
	for (size_t i = 0; i < assigned->pods_count; i++)
		assigned->pods[i].wanted = false;
	for (size_t i = 0; i < wanted->targets_count; i++) {
		struct pod_run *pod = find_pod(assigned, wanted->targets[i].uid);

		if (!pod) {
			add_pod(assigned, &wanted->targets[i]);
			continue;
		}
		pod->wanted = true;
		copy_target(&pod->target, &wanted->targets[i]);
	}
}

static const char *container_name(const struct pod_run *pod, const char *container_id)
{
	for (size_t i = 0; i < pod->target.containers_count; i++) {
		if (strcmp(pod->target.containers[i].id, container_id) == 0)
			return pod->target.containers[i].name;
	}
	return "";
}

static bool is_asked_for(const struct pod_run *pod, const char *container)
{
	if (pod->target.only[0][0] == '\0')
		return true;
	for (size_t i = 0; i < NPT_CHANNEL_CONTAINERS_MAX && pod->target.only[i][0]; i++) {
		if (strcmp(pod->target.only[i], container) == 0)
			return true;
	}
	return false;
}

void npt_assigned_tell(struct npt_assigned *assigned, uint32_t scope, uint32_t slot,
		       const struct npt_edge *delta)
{
	for (size_t i = 0; i < assigned->pods_count; i++) {
		struct pod_run *pod = &assigned->pods[i];
		struct npt_edge named;
		const char *container;

		if (pod->scope != scope || !pod->recording)
			continue;
		container = container_name(pod, delta->process.container);
		if (!is_asked_for(pod, container))
			continue;
		named = *delta;
		(void)snprintf(named.process.container, sizeof(named.process.container), "%s",
			       container);
		memcpy(named.process.pod, pod->target.name, sizeof(named.process.pod));
		npt_recording_add(pod->recording, slot, &named);
	}
}

static void begin_recording(struct npt_assigned *assigned, struct pod_run *pod)
{
	npt_auto(npt_report_free) struct npt_report *head = npt_report_new();

	memcpy(&head->task, &assigned->wanted.task, sizeof(head->task));
	memcpy(head->pod.namespace_name, pod->target.namespace_name,
	       sizeof(head->pod.namespace_name));
	memcpy(head->pod.name, pod->target.name, sizeof(head->pod.name));
	memcpy(head->pod.uid, pod->target.uid, sizeof(head->pod.uid));
	(void)snprintf(head->node, sizeof(head->node), "%s", assigned->tools.node);
	(void)snprintf(head->instance, sizeof(head->instance), "%s", assigned->tools.instance);
	pod->recording = npt_recording_new(head, npt_clock_unix_ms());
}

/* Takes over what the watch knows of the pod. */
static void follow(struct npt_assigned *assigned, struct pod_run *pod)
{
	if (!pod->watched)
		return;
	pod->state = pod->watched->state;
	memcpy(pod->reason, pod->watched->reason, sizeof(pod->reason));
	memcpy(pod->message, pod->watched->message, sizeof(pod->message));
	pod->scope = pod->watched->scope;
	if (pod->scope && !pod->recording)
		begin_recording(assigned, pod);
}

void npt_assigned_follow(struct npt_assigned *assigned)
{
	for (size_t i = 0; assigned->state < NPT_ASSIGNMENT_DRAINING && i < assigned->pods_count;
	     i++)
		follow(assigned, &assigned->pods[i]);
}

static void upload(struct npt_assigned *assigned, struct npt_report *window)
{
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free void *data = NULL;
	size_t size_bytes = 0;
	struct npt_upload_window item = {
		.url = assigned->wanted.ingest_url,
		.token = assigned->wanted.ingest_token,
		.task_uid = assigned->wanted.task.uid,
		.pod_uid = window->pod.uid,
		.instance = window->instance,
		.sequence = window->sequence,
	};

	if (!assigned->tools.upload || !assigned->wanted.ingest_token)
		return;
	npt_report_to_protobuf(window, &data, &size_bytes);
	item.data = data;
	item.size_bytes = size_bytes;
	if (npt_upload_push(assigned->tools.upload, &item, &err) < 0)
		npt_log_warning("window dropped", "pod", window->pod.name, "error", err.text);
}

static void cut(struct npt_assigned *assigned, struct pod_run *pod, uint64_t now_unix_ms)
{
	npt_auto(npt_report_free) struct npt_report *window = NULL;

	if (!pod->recording)
		return;
	npt_names_apply(assigned->tools.names, npt_recording_window(pod->recording),
			npt_clock_monotonic_ns());
	window = npt_recording_cut(pod->recording, now_unix_ms);
	npt_measure_describe(assigned->tools.measure, pod->scope, window);
	upload(assigned, window);
}

static void cut_all(struct npt_assigned *assigned, uint64_t now_unix_ms)
{
	for (size_t i = 0; i < assigned->pods_count; i++) {
		if (assigned->pods[i].watched)
			cut(assigned, &assigned->pods[i], now_unix_ms);
	}
	assigned->next_cut_unix_ms = next_cut(assigned, now_unix_ms);
}

void npt_assigned_cut(struct npt_assigned *assigned, uint64_t now_unix_ms)
{
	if (assigned->state < NPT_ASSIGNMENT_DRAINING)
		cut_all(assigned, now_unix_ms);
}

/* A target that the controller no longer names: its last window, then let go. */
static void let_go_unwanted(struct npt_assigned *assigned, uint64_t now_unix_ms)
{
	for (size_t i = 0; i < assigned->pods_count; i++) {
		struct pod_run *pod = &assigned->pods[i];

		if (pod->wanted || !pod->watched)
			continue;
		cut(assigned, pod, now_unix_ms);
		release_pod(assigned, pod);
		pod->state = NPT_WATCH_GONE;
	}
}

static bool is_over(const struct npt_assigned *assigned)
{
	return assigned->state < NPT_ASSIGNMENT_DRAINING &&
	       npt_clock_boottime_ns() >= assigned->deadline_ns;
}

static void end(struct npt_assigned *assigned, uint64_t now_unix_ms)
{
	cut_all(assigned, now_unix_ms);
	for (size_t i = 0; i < assigned->pods_count; i++)
		release_pod(assigned, &assigned->pods[i]);
	assigned->state = NPT_ASSIGNMENT_DRAINING;
	assigned->drain_until_ns = npt_clock_boottime_ns() + DRAIN_NS;
}

static void drain(struct npt_assigned *assigned)
{
	bool drained = !assigned->tools.upload ||
		       npt_upload_drain(assigned->tools.upload, assigned->wanted.task.uid, 0);

	if (drained || npt_clock_boottime_ns() >= assigned->drain_until_ns)
		assigned->state = NPT_ASSIGNMENT_FINISHED;
}

void npt_assigned_step(struct npt_assigned *assigned, uint64_t now_unix_ms)
{
	if (assigned->state == NPT_ASSIGNMENT_DRAINING)
		drain(assigned);
	if (assigned->state >= NPT_ASSIGNMENT_DRAINING)
		return;
	assigned->state = NPT_ASSIGNMENT_RUNNING;
	let_go_unwanted(assigned, now_unix_ms);
	if (is_over(assigned))
		end(assigned, now_unix_ms);
	else if (now_unix_ms >= assigned->next_cut_unix_ms)
		cut_all(assigned, now_unix_ms);
}

static enum npt_pod_state pod_state(const struct npt_assigned *assigned, const struct pod_run *pod)
{
	if (pod->state == NPT_WATCH_FAILED)
		return NPT_POD_FAILED;
	if (pod->state == NPT_WATCH_GONE)
		return NPT_POD_GONE;
	if (assigned->state >= NPT_ASSIGNMENT_DRAINING)
		return pod->recording ? NPT_POD_FINISHED : NPT_POD_FAILED;
	return pod->state == NPT_WATCH_RUNNING ? NPT_POD_RUNNING : NPT_POD_PENDING;
}

static void describe_pod(struct npt_assigned *assigned, struct pod_run *pod,
			 struct npt_pod_summary *summary)
{
	struct npt_upload_stats stats = { 0 };
	struct npt_report *total;

	memcpy(summary->uid, pod->target.uid, sizeof(summary->uid));
	memcpy(summary->namespace_name, pod->target.namespace_name,
	       sizeof(summary->namespace_name));
	memcpy(summary->name, pod->target.name, sizeof(summary->name));
	summary->state = pod_state(assigned, pod);
	memcpy(summary->reason, pod->reason, sizeof(summary->reason));
	memcpy(summary->message, pod->message, sizeof(summary->message));
	if (summary->state == NPT_POD_FAILED && summary->reason[0] == '\0') {
		(void)snprintf(summary->reason, sizeof(summary->reason), "NeverSeen");
		(void)snprintf(summary->message, sizeof(summary->message),
			       "no process of the pod was seen on this node");
	}
	if (!pod->recording)
		return;
	total = npt_recording_total(pod->recording);
	npt_names_apply(assigned->tools.names, total, npt_clock_monotonic_ns());
	npt_measure_describe(assigned->tools.measure, pod->scope, total);
	npt_hops_link(total);
	npt_findings_set(total);
	npt_summary_of_report(total, summary);
	summary->windows = npt_recording_sequence(pod->recording);
	if (assigned->tools.upload)
		npt_upload_stats(assigned->tools.upload, assigned->wanted.task.uid, pod->target.uid,
				 &stats);
	summary->windows_stored = stats.stored;
	summary->windows_dropped = stats.dropped;
}

void npt_assigned_describe(struct npt_assigned *assigned, bool with_pods,
			   struct npt_held_assignment *held)
{
	memcpy(held->id, assigned->wanted.id, sizeof(held->id));
	memcpy(held->task_uid, assigned->wanted.task.uid, sizeof(held->task_uid));
	held->state = assigned->state;
	if (!with_pods)
		return;
	held->pods = npt_alloc(assigned->pods_count, sizeof(*held->pods));
	held->pods_count = assigned->pods_count;
	for (size_t i = 0; i < assigned->pods_count; i++)
		describe_pod(assigned, &assigned->pods[i], &held->pods[i]);
}
