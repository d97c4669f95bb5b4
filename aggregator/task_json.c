/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums are made pod by pod: a pod's edges are in memory while its windows are added up, as text
 * after that, since ten thousand edges are a hundred megabytes.
 *
 * Within a stream (one agent process and one pod), windows are added in order of their sequence,
 * whenever they came. What is a total in a window (lost, cost) is the stream's last value; streams
 * add up.
 */
#include "aggregator/task_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/model/finding.h"
#include "lib/model/hops.h"
#include "lib/model/report_merge.h"

#define REPORT_BYTES_MAX (64UL * 1024 * 1024)
#define PAGE_BYTES       (8UL * 1024 * 1024) /* a page ends early beyond it */

struct sum {
	struct npt_store_reader *reader;
	struct npt_report *head;   /* of the task: all but edges */
	struct npt_report *stream; /* being added up, NULL before its first window */
	struct npt_report *pod;    /* its streams so far, NULL before the first */
	struct npt_buffer edges;   /* the text of finished pods' edges */
	bool full;
};

/* A report without edges that begins as the window does. */
static struct npt_report *begin_sum(const struct npt_report *window)
{
	struct npt_report *sum = npt_report_new();

	*sum = *window;
	sum->kind = NPT_REPORT_REPORT;
	sum->edges = NULL;
	sum->edges_count = 0;
	sum->tls = NULL;
	sum->tls_count = 0;
	return sum;
}

static int add_window(void *context, uint64_t id, struct npt_report *window)
{
	struct sum *sum = context;

	(void)id;
	if (!sum->stream)
		sum->stream = begin_sum(window);
	npt_report_merge(sum->stream, window);
	sum->stream->other_edges = window->other_edges;
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

static void add_edges(struct sum *sum, const struct npt_report *pod)
{
	for (size_t i = 0; i < pod->edges_count; i++) {
		npt_auto_free char *text = npt_edge_to_json(&pod->edges[i]);

		if (sum->edges.size_bytes > 0 && npt_buffer_append_text(&sum->edges, ",") < 0)
			sum->full = true;
		if (npt_buffer_append_text(&sum->edges, text) < 0)
			sum->full = true;
	}
}

static void end_stream(struct sum *sum)
{
	if (!sum->stream)
		return;
	add_head(sum->head, sum->stream);
	if (sum->pod) {
		npt_report_merge(sum->pod, sum->stream);
		npt_report_free(sum->stream);
	} else {
		sum->pod = sum->stream;
	}
	sum->stream = NULL;
}

static void end_pod(struct sum *sum)
{
	if (sum->pod) {
		npt_hops_link(sum->pod);
		npt_findings_set(sum->pod);
		add_edges(sum, sum->pod);
	}
	npt_report_free(sum->pod);
	sum->pod = NULL;
}

static void sum_done(struct sum *sum)
{
	npt_report_free(sum->head);
	npt_report_free(sum->stream);
	npt_report_free(sum->pod);
	npt_buffer_done(&sum->edges);
}
NPT_DEFINE_AUTO_DONE(struct sum, sum_done)

/* streams are sorted by pod. */
static int add_streams(struct sum *sum, uint64_t task_id, const struct npt_stored_stream *streams,
		       size_t count, struct npt_error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct npt_store_filter filter = { .task_id = task_id, .stream_id = streams[i].id };
		int r;

		if (i > 0 && strcmp(streams[i].pod_uid, streams[i - 1].pod_uid) != 0)
			end_pod(sum);
		r = npt_store_read_windows(sum->reader, &filter, add_window, sum, err);
		if (r < 0)
			return r;
		end_stream(sum);
		if (sum->full)
			break;
	}
	end_pod(sum);
	if (sum->full)
		return npt_error_set(err, EMSGSIZE,
				     "the report is too large for one answer: ask "
				     "pod by pod, with ?pod=UID");
	return 0;
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

static char *report_text(const struct sum *sum, const struct npt_stored_stream *streams,
			 size_t count)
{
	npt_auto_free char *before = NULL, *after = NULL, *pods = NULL;

	npt_report_json_frame(sum->head, &before, &after);
	pods = npt_stored_streams_to_json(streams, count);
	return npt_task_report_json_text(before, sum->edges.data, after, pods);
}

int npt_task_report_json(struct npt_store_reader *reader, const struct npt_stored_task *task,
			 const char *pod_uid, char **text_ret, struct npt_error *err)
{
	npt_auto(sum_done) struct sum sum = { .reader = reader,
					      .edges = NPT_BUFFER(REPORT_BYTES_MAX) };
	npt_auto_free struct npt_stored_stream *streams = NULL;
	size_t count = 0;
	int r = npt_store_list_streams(reader, task->id, &streams, &count, err);

	if (r < 0)
		return r;
	if (pod_uid)
		count = keep_pod(streams, count, pod_uid);
	if (pod_uid && count == 0)
		return npt_error_set(err, ENOENT, "no window of a pod with this uid is stored");
	sum.head = head_of(task);
	r = add_streams(&sum, task->id, streams, count, err);
	if (r < 0)
		return r;
	*text_ret = report_text(&sum, streams, count);
	return 0;
}

struct page {
	struct npt_buffer text;
	size_t count;
	size_t limit;
	uint64_t last_id;
	bool more;
};

static int add_to_page(void *context, uint64_t id, struct npt_report *window)
{
	struct page *page = context;
	npt_auto_free char *text = NULL;

	if (page->count == page->limit || page->text.size_bytes > PAGE_BYTES) {
		page->more = true;
		return 1;
	}
	npt_hops_link(window);
	npt_findings_set(window);
	text = npt_report_to_json(window);
	if (page->count > 0)
		(void)npt_buffer_append_text(&page->text, ",");
	(void)npt_buffer_append_text(&page->text, text);
	page->count++;
	page->last_id = id;
	return 0;
}

int npt_task_windows_json(struct npt_store_reader *reader, const struct npt_store_filter *filter,
			  char **text_ret, struct npt_error *err)
{
	struct page page = { .text = NPT_BUFFER(SIZE_MAX / 4), .limit = filter->limit };
	struct npt_store_filter one_more = *filter;
	char next[24] = "";
	int r;

	one_more.limit++; /* to know whether there are more */
	r = npt_store_read_windows(reader, &one_more, add_to_page, &page, err);
	if (r == 0) {
		if (page.more)
			(void)snprintf(next, sizeof(next), "%" PRIu64, page.last_id);
		*text_ret = npt_window_list_json_text(page.text.data, next);
	}
	npt_buffer_done(&page.text);
	return r;
}
