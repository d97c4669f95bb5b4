/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod's edges are in memory while its windows are added up, one pod at a time, since ten thousand
 * edges are a hundred megabytes.
 *
 * Within a stream (one agent process and one pod), windows are added in order of their sequence,
 * whenever they came. What is a total in a window (lost, cost) is the stream's last value; streams
 * add up.
 */
#include "aggregator/task_sum.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/model/finding.h"
#include "lib/model/hops.h"
#include "lib/model/report_merge.h"

struct running {
	struct npt_store_reader *reader;
	const struct npt_task_part *part;
	npt_task_pod_fn *on_pod;
	void *context;
	struct npt_report *head;
	struct npt_report *stream; /* being added up, NULL before its first window */
	struct npt_report *pod;    /* its streams so far, NULL before the first */
	uint64_t start_unix_ms;    /* of all windows that were read; 0 before the first */
	uint64_t end_unix_ms;
};

/* A report without edges that begins as the window does. */
static struct npt_report *begin_sum(const struct npt_report *window)
{
	struct npt_report *sum = npt_report_new();

	*sum = *window;
	sum->kind = NPT_REPORT_REPORT;
	sum->edges = NULL;
	sum->edges_count = sum->edges_room = 0;
	sum->tls = NULL;
	sum->tls_count = 0;
	return sum;
}

static int add_window(void *context, uint64_t id, struct npt_report *window)
{
	struct running *running = context;
	uint64_t end = window->start_unix_ms + window->duration_ms;

	(void)id;
	if (!running->stream)
		running->stream = begin_sum(window);
	npt_report_merge(running->stream, window);
	running->stream->other_edges = window->other_edges;
	if (!running->start_unix_ms || window->start_unix_ms < running->start_unix_ms)
		running->start_unix_ms = window->start_unix_ms;
	if (end > running->end_unix_ms)
		running->end_unix_ms = end;
	return 0;
}

/* What is wrong with any of them is wrong with the sum. */
static void add_reasons(struct npt_report *into, const struct npt_report *from)
{
	for (size_t i = 0; i < NPT_REPORT_UNAVAILABLE_MAX && from->unavailable[i].name[0]; i++)
		npt_report_set_unavailable(into, from->unavailable[i].name,
					   from->unavailable[i].reason);
	for (size_t i = 0; i < NPT_REPORT_DEGRADED_MAX && from->cost.degraded[i][0]; i++) {
		for (size_t k = 0; k < NPT_REPORT_DEGRADED_MAX; k++) {
			if (strcmp(into->cost.degraded[k], from->cost.degraded[i]) == 0)
				break;
			if (into->cost.degraded[k][0])
				continue;
			memcpy(into->cost.degraded[k], from->cost.degraded[i],
			       sizeof(into->cost.degraded[k]));
			break;
		}
	}
}

/* Adds what is no edge. Memory and the cost of an operation do not add up: the largest counts. */
static void add_head(struct npt_report *into, const struct npt_report *stream)
{
	uint64_t tls_other = into->tls_other;

	npt_report_merge_tls(into, stream);
	into->tls_other += tls_other;
	into->other_edges += stream->other_edges;
	into->lost.events += stream->lost.events;
	into->lost.edges += stream->lost.edges;
	into->cost.cpu_ms += stream->cost.cpu_ms;
	if (stream->cost.ns_per_operation > into->cost.ns_per_operation)
		into->cost.ns_per_operation = stream->cost.ns_per_operation;
	if (stream->cost.memory_kib > into->cost.memory_kib)
		into->cost.memory_kib = stream->cost.memory_kib;
	add_reasons(into, stream);
}

static void end_stream(struct running *running)
{
	if (!running->stream)
		return;
	add_head(running->head, running->stream);
	if (running->pod) {
		npt_report_merge(running->pod, running->stream);
		npt_report_free(running->stream);
	} else {
		running->pod = running->stream;
	}
	running->stream = NULL;
}

static int end_pod(struct running *running)
{
	npt_auto(npt_report_free) struct npt_report *pod = npt_take(running->pod);

	if (!pod)
		return 0;
	npt_hops_link(pod);
	npt_findings_set(pod);
	return running->on_pod(running->context, pod);
}

static void running_done(struct running *running)
{
	npt_report_free(running->head);
	npt_report_free(running->stream);
	npt_report_free(running->pod);
}
NPT_DEFINE_AUTO_DONE(struct running, running_done)

/* streams are sorted by pod. */
static int add_streams(struct running *running, uint64_t task_id,
		       const struct npt_stored_stream *streams, size_t count, struct npt_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct npt_store_filter filter = { .task_id = task_id,
						   .stream_id = streams[i].id,
						   .from_unix_ms = running->part->from_unix_ms,
						   .until_unix_ms = running->part->until_unix_ms };

		if (i > 0 && strcmp(streams[i].pod_uid, streams[i - 1].pod_uid) != 0)
			r = end_pod(running);
		if (r == 0)
			r = npt_store_read_windows(running->reader, &filter, add_window, running,
						   err);
		if (r == 0)
			end_stream(running);
	}
	return r < 0 ? r : end_pod(running);
}

/* Keeps the streams of one pod; the list stays sorted. */
static size_t keep_pod(struct npt_stored_stream *streams, size_t count, const char *pod_uid)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(streams[i].pod_uid, pod_uid) == 0)
			streams[kept++] = streams[i];
	}
	return kept;
}

static struct npt_report *head_of(const struct npt_stored_task *task)
{
	struct npt_report *head = npt_report_new();

	head->kind = NPT_REPORT_REPORT;
	head->start_unix_ms = task->start_unix_ms;
	head->duration_ms = task->end_unix_ms - task->start_unix_ms;
	(void)snprintf(head->task.uid, sizeof(head->task.uid), "%s", task->uid);
	(void)snprintf(head->task.namespace_name, sizeof(head->task.namespace_name), "%s",
		       task->namespace_name);
	(void)snprintf(head->task.name, sizeof(head->task.name), "%s", task->name);
	return head;
}

/* Of a part the time is that of its windows; of one without any, the time that was asked for. */
static void set_time(struct running *running)
{
	const struct npt_task_part *part = running->part;

	if (!part->from_unix_ms && !part->until_unix_ms)
		return;
	if (!running->start_unix_ms) {
		running->start_unix_ms = part->from_unix_ms;
		running->end_unix_ms = part->from_unix_ms;
	}
	running->head->start_unix_ms = running->start_unix_ms;
	running->head->duration_ms = running->end_unix_ms - running->start_unix_ms;
}

int npt_task_sum(struct npt_store_reader *reader, const struct npt_stored_task *task,
		 const struct npt_task_part *part, npt_task_pod_fn *on_pod, void *context,
		 struct npt_task_sum *sum_ret, struct npt_error *err)
{
	npt_auto(running_done) struct running running = {
		.reader = reader, .part = part, .on_pod = on_pod, .context = context
	};
	npt_auto_free struct npt_stored_stream *streams = NULL;
	size_t count = 0;
	int r = npt_store_list_streams(reader, task->id, &streams, &count, err);

	if (r < 0)
		return r;
	if (part->pod_uid)
		count = keep_pod(streams, count, part->pod_uid);
	if (part->pod_uid && count == 0)
		return npt_error_set(err, ENOENT, "no window of a pod with this uid is stored");
	running.head = head_of(task);
	r = add_streams(&running, task->id, streams, count, err);
	if (r < 0)
		return r;
	set_time(&running);
	*sum_ret = (struct npt_task_sum){ .head = npt_take(running.head),
					  .streams = npt_take(streams),
					  .streams_count = count };
	return 0;
}

void npt_task_sum_done(struct npt_task_sum *sum)
{
	npt_report_free(sum->head);
	free(sum->streams);
}
