/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over /proc serves all pods: each process's control group names its pod. Children of a
 * measured process are followed in the kernel; who comes otherwise (a container that is started
 * again, kubectl exec) is taken in by the next pass.
 */
#include "agent/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/proc.h"
#include "lib/core/alloc.h"
#include "lib/core/log.h"

#define PODS_MAX      (NPT_CHANNEL_ASSIGNMENTS_MAX * NPT_CHANNEL_PODS_MAX)
#define PROCESSES_MAX 16384

struct pod {
	struct npt_watched_pod public; /* first: a watched pod is one of these */
	uint32_t edges_max;
	bool host_network;
	uint32_t pid;        /* one of its processes, as of the last look; 0: none */
	uint32_t *processes; /* all of them, if it is on the host network */
	size_t processes_count;
	struct pod *next;
};

struct npt_watch {
	struct npt_measure *measure;
	struct pod *pods;
};

struct npt_watch *npt_watch_new(struct npt_measure *measure)
{
	struct npt_watch *watch = npt_alloc(1, sizeof(*watch));

	watch->measure = measure;
	return watch;
}

static void free_pod(struct npt_watch *watch, struct pod *pod)
{
	if (pod->public.scope)
		npt_measure_forget_scope(watch->measure, pod->public.scope);
	free(pod->processes);
	free(pod);
}

void npt_watch_free(struct npt_watch *watch)
{
	struct pod *next;

	if (!watch)
		return;
	for (struct pod *pod = watch->pods; pod; pod = next) {
		next = pod->next;
		free_pod(watch, pod);
	}
	free(watch);
}

struct npt_watched_pod *npt_watch_hold(struct npt_watch *watch, const struct npt_target *target,
				       uint32_t edges_max)
{
	struct pod *pod = watch->pods;

	while (pod && strcmp(pod->public.uid, target->uid) != 0)
		pod = pod->next;
	if (!pod) {
		pod = npt_alloc(1, sizeof(*pod));
		(void)snprintf(pod->public.uid, sizeof(pod->public.uid), "%s", target->uid);
		pod->host_network = target->host_network;
		pod->edges_max = edges_max;
		pod->next = watch->pods;
		watch->pods = pod;
	}
	pod->public.holders++;
	return &pod->public;
}

void npt_watch_release(struct npt_watch *watch, struct npt_watched_pod *held)
{
	struct pod **link = &watch->pods;
	struct pod *pod;

	if (!held || --held->holders > 0)
		return;
	while (&(*link)->public != held)
		link = &(*link)->next;
	pod = *link;
	*link = pod->next;
	free_pod(watch, pod);
}

static void add_process(struct pod *pod, uint32_t pid)
{
	if (pod->processes_count >= PROCESSES_MAX)
		return;
	pod->processes =
		npt_realloc(pod->processes, pod->processes_count + 1, sizeof(*pod->processes));
	pod->processes[pod->processes_count++] = pid;
}

static bool note_process(uint32_t pid, void *context)
{
	struct npt_watch *watch = context;
	char uid[NPT_CONTAINER_ID_BYTES];

	npt_proc_pod_uid(pid, uid, sizeof(uid));
	for (struct pod *pod = watch->pods; uid[0] && pod; pod = pod->next) {
		if (strcmp(pod->public.uid, uid) != 0)
			continue;
		if (pod->pid == 0)
			pod->pid = pid;
		if (pod->host_network)
			add_process(pod, pid);
	}
	return true;
}

static void fail(struct pod *pod, const char *reason, const char *message)
{
	pod->public.state = NPT_WATCH_FAILED;
	(void)snprintf(pod->public.reason, sizeof(pod->public.reason), "%s", reason);
	(void)snprintf(pod->public.message, sizeof(pod->public.message), "%.200s", message);
	npt_log_warning("pod cannot be measured", "pod", pod->public.uid, "reason", reason,
			"message", message);
}

static void begin(struct npt_watch *watch, struct pod *pod)
{
	struct npt_scope_options options = { .edges_max = pod->edges_max,
					     .by_process = pod->host_network,
					     .members = pod->processes,
					     .members_count = pod->processes_count };
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_proc_open_netns(pod->pid, &options.netns_fd, &err);

	if (r == -ESRCH)
		return; /* it ended just now; the next look finds another */
	if (r >= 0) {
		r = npt_measure_add_scope(watch->measure, &options, &pod->public.scope, &err);
		if (r < 0)
			(void)close(options.netns_fd);
	}
	if (r == -EBUSY)
		fail(pod, "NetworkShared",
		     "the pod shares its network namespace with another target");
	else if (r == -EPERM)
		fail(pod, "PermissionDenied", err.text);
	else if (r == -EOPNOTSUPP)
		fail(pod, "UnsupportedKernel", err.text);
	else if (r < 0)
		fail(pod, "MeasureFailed", err.text);
	else
		pod->public.state = NPT_WATCH_RUNNING;
}

static void take_in(struct npt_watch *watch, const struct pod *pod)
{
	struct npt_error err = NPT_ERROR_NONE;

	for (size_t i = 0; i < pod->processes_count; i++) {
		if (npt_measure_add_member(watch->measure, pod->public.scope, pod->processes[i],
					   &err) >= 0)
			continue;
		npt_log_warning("processes of a pod are not measured", "pod", pod->public.uid,
				"error", err.text);
		return;
	}
}

static void scan(struct npt_watch *watch)
{
	for (struct pod *pod = watch->pods; pod; pod = pod->next) {
		pod->pid = 0;
		pod->processes_count = 0;
	}
	npt_proc_each(note_process, watch);
}

/* Returns whether there was something to begin. */
static bool begin_waiting(struct npt_watch *watch)
{
	bool began = false;

	for (struct pod *pod = watch->pods; pod; pod = pod->next) {
		if (pod->public.state != NPT_WATCH_WAITING || !pod->pid)
			continue;
		begin(watch, pod);
		began = true;
	}
	return began;
}

void npt_watch_look(struct npt_watch *watch)
{
	if (!watch->pods)
		return;
	scan(watch);
	/* Loading takes a while, in which those who were no members yet may have had children. */
	if (begin_waiting(watch))
		scan(watch);
	for (struct pod *pod = watch->pods; pod; pod = pod->next) {
		if (pod->public.state != NPT_WATCH_RUNNING)
			continue;
		if (pod->pid)
			take_in(watch, pod);
		else
			pod->public.state = NPT_WATCH_GONE;
	}
}
