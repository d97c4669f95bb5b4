/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each answer is made pod by pod while the task is added up (task_sum.h): a pod's edges are text,
 * or few numbers, when the next pod's come.
 */
#include "aggregator/api/task_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/model/compare.h"
#include "lib/model/finding.h"
#include "lib/model/hops.h"
#include "lib/model/report_csv.h"
#include "lib/model/report_dot.h"
#include "lib/model/topology.h"

#define REPORT_BYTES_MAX (64UL * 1024 * 1024)
#define PAGE_BYTES       (8UL * 1024 * 1024) /* a page ends early beyond it */
#define GRAPH_EDGES_MAX  2048
#define LIVE_BYTES       (256UL * 1024)

static int too_large(struct npt_error *err)
{
	return npt_error_set(err, EMSGSIZE,
			     "the report is too large for one answer: ask pod by pod, with "
			     "?pod=UID");
}

static int add_edges(void *context, struct npt_report *pod)
{
	struct npt_buffer *edges = context;

	for (size_t i = 0; i < pod->edges_count; i++) {
		npt_auto_free char *text = npt_edge_to_json(&pod->edges[i]);

		if (edges->size_bytes > 0 && npt_buffer_append_text(edges, ",") < 0)
			return -EMSGSIZE;
		if (npt_buffer_append_text(edges, text) < 0)
			return -EMSGSIZE;
	}
	return 0;
}

int npt_task_report_json(struct npt_store_reader *reader, const struct npt_stored_task *task,
			 const struct npt_task_part *part, char **text_ret, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer edges = NPT_BUFFER(REPORT_BYTES_MAX);
	npt_auto(npt_task_sum_done) struct npt_task_sum sum = { .head = NULL };
	npt_auto_free char *before = NULL, *after = NULL, *pods = NULL;
	int r = npt_task_sum(reader, task, part, add_edges, &edges, &sum, err);

	if (r == -EMSGSIZE)
		return too_large(err);
	if (r < 0)
		return r;
	npt_report_json_frame(sum.head, &before, &after);
	pods = npt_stored_streams_to_json(sum.streams, sum.streams_count);
	*text_ret = npt_task_report_json_text(before, edges.data, after, pods);
	return 0;
}

static int add_lines(void *context, struct npt_report *pod)
{
	for (size_t i = 0; i < pod->edges_count; i++) {
		if (npt_edge_to_csv(&pod->edges[i], NULL, context) < 0)
			return -EMSGSIZE;
	}
	return 0;
}

int npt_task_report_csv(struct npt_store_reader *reader, const struct npt_stored_task *task,
			const struct npt_task_part *part, char **text_ret, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer lines = NPT_BUFFER(REPORT_BYTES_MAX);
	npt_auto(npt_task_sum_done) struct npt_task_sum sum = { .head = NULL };
	int r = npt_csv_head(&lines);

	if (r == 0)
		r = npt_task_sum(reader, task, part, add_lines, &lines, &sum, err);
	if (r == -EMSGSIZE)
		return too_large(err);
	if (r == 0)
		*text_ret = npt_buffer_take(&lines);
	return r;
}

/* A graph is made of all pods together: so many edges are a picture still, and 20 MB. */
static int add_to_graph(void *context, struct npt_report *pod)
{
	struct npt_report *all = context;

	for (size_t i = 0; i < pod->edges_count; i++) {
		if (all->edges_count == GRAPH_EDGES_MAX)
			return -EMSGSIZE;
		*npt_report_add_edge(all) = pod->edges[i];
	}
	return 0;
}

int npt_task_report_dot(struct npt_store_reader *reader, const struct npt_stored_task *task,
			const struct npt_task_part *part, char **text_ret, struct npt_error *err)
{
	npt_auto(npt_report_free) struct npt_report *all = npt_report_new();
	npt_auto(npt_buffer_done) struct npt_buffer graph = NPT_BUFFER(REPORT_BYTES_MAX);
	npt_auto(npt_task_sum_done) struct npt_task_sum sum = { .head = NULL };
	int r = npt_task_sum(reader, task, part, add_to_graph, all, &sum, err);

	if (r == 0) {
		all->task = sum.head->task;
		r = npt_report_to_dot(all, NULL, &graph);
	}
	if (r == -EMSGSIZE)
		return too_large(err);
	if (r == 0)
		*text_ret = npt_buffer_take(&graph);
	return r;
}

static int add_to_topology(void *context, struct npt_report *pod)
{
	npt_topology_add_pod(context, pod);
	return 0;
}

int npt_task_topology_json(struct npt_store_reader *reader, const struct npt_stored_task *task,
			   const struct npt_task_part *part, char **text_ret, struct npt_error *err)
{
	npt_auto(npt_topology_free) struct npt_topology *topology = npt_topology_new();
	npt_auto(npt_task_sum_done) struct npt_task_sum sum = { .head = NULL };
	int r = npt_task_sum(reader, task, part, add_to_topology, topology, &sum, err);

	if (r == 0)
		*text_ret = npt_topology_to_json(topology, sum.head);
	return r;
}

static int add_findings(void *context, struct npt_report *pod)
{
	npt_finding_list_add_pod(context, pod);
	return 0;
}

int npt_task_findings_json(struct npt_store_reader *reader, const struct npt_stored_task *task,
			   const struct npt_task_part *part, char **text_ret, struct npt_error *err)
{
	npt_auto(npt_finding_list_free) struct npt_finding_list *list = npt_finding_list_new();
	npt_auto(npt_task_sum_done) struct npt_task_sum sum = { .head = NULL };
	int r = npt_task_sum(reader, task, part, add_findings, list, &sum, err);

	if (r == 0)
		*text_ret = npt_finding_list_to_json(list, sum.head);
	return r;
}

struct compared {
	struct npt_comparison *comparison;
	enum npt_compare_side side;
};

static int add_compared(void *context, struct npt_report *pod)
{
	struct compared *compared = context;

	for (size_t i = 0; i < pod->edges_count; i++)
		npt_comparison_add(compared->comparison, compared->side, pod->pod.name,
				   &pod->edges[i]);
	return 0;
}

int npt_tasks_comparison_json(struct npt_store_reader *reader,
			      const struct npt_stored_task tasks[2], char **text_ret,
			      struct npt_error *err)
{
	npt_auto(npt_comparison_free) struct npt_comparison *comparison = npt_comparison_new();

	for (int side = NPT_COMPARE_A; side < NPT_COMPARE_SIDES; side++) {
		npt_auto(npt_task_sum_done) struct npt_task_sum sum = { .head = NULL };
		struct compared compared = { comparison, (enum npt_compare_side)side };
		const struct npt_task_part all = { .pod_uid = NULL };
		int r = npt_task_sum(reader, &tasks[side], &all, add_compared, &compared, &sum,
				     err);

		if (r < 0)
			return r;
		npt_comparison_set_head(comparison, (enum npt_compare_side)side, sum.head);
	}
	*text_ret = npt_comparison_to_json(comparison);
	return 0;
}

struct history {
	struct npt_edge_history *history;
	size_t windows;
	int result;
};

static int add_to_history(void *context, const struct npt_stored_edge_window *window)
{
	struct history *history = context;

	history->windows++;
	history->result = npt_edge_history_add(history->history, window->start_unix_ms,
					       window->duration_ms, window->edge);
	return history->result;
}

int npt_task_edge_json(struct npt_store_reader *reader, const struct npt_store_edge_filter *filter,
		       const struct npt_edge_history_options *options, char **text_ret,
		       struct npt_error *err)
{
	npt_auto(npt_edge_history_free) struct npt_edge_history *history =
		npt_edge_history_new(options);
	struct history adding = { .history = history };
	int r = npt_store_read_edge(reader, filter, add_to_history, &adding, err);

	if (r < 0)
		return r;
	if (adding.result < 0)
		return npt_error_set(err, EMSGSIZE,
				     "more steps than one answer holds: ask for a "
				     "part, with from and to, or for longer steps, with step");
	if (adding.windows == 0)
		return npt_error_set(err, ENOENT, "nothing of this edge is stored of that time");
	*text_ret = npt_edge_history_to_json(history);
	return 0;
}

struct page {
	struct npt_buffer text;
	size_t count;
	size_t limit;
	size_t max_bytes;
	uint64_t last_id;
	bool more;
};

static int add_to_page(void *context, uint64_t id, struct npt_report *window)
{
	struct page *page = context;
	npt_auto_free char *text = NULL;

	if (page->count == page->limit || page->text.size_bytes > page->max_bytes) {
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

static int read_page(struct npt_store_reader *reader, const struct npt_store_filter *filter,
		     size_t max_bytes, struct page *page, struct npt_error *err)
{
	struct npt_store_filter one_more = *filter;

	*page = (struct page){ .text = NPT_BUFFER(SIZE_MAX / 4),
			       .limit = filter->limit,
			       .max_bytes = max_bytes,
			       .last_id = filter->after };
	one_more.limit++; /* to know whether there are more */
	return npt_store_read_windows(reader, &one_more, add_to_page, page, err);
}

static char *page_text(const struct page *page, bool has_next)
{
	char next[24] = "";

	if (has_next)
		(void)snprintf(next, sizeof(next), "%" PRIu64, page->last_id);
	return npt_window_list_json_text(page->text.data, next);
}

int npt_task_windows_json(struct npt_store_reader *reader, const struct npt_store_filter *filter,
			  char **text_ret, struct npt_error *err)
{
	struct page page;
	int r = read_page(reader, filter, PAGE_BYTES, &page, err);

	if (r == 0)
		*text_ret = page_text(&page, page.more);
	npt_buffer_done(&page.text);
	return r;
}

int npt_task_live_json(struct npt_store_reader *reader, const struct npt_store_filter *filter,
		       char **text_ret, size_t *count_ret, uint64_t *next_ret,
		       struct npt_error *err)
{
	struct page page;
	int r = read_page(reader, filter, LIVE_BYTES, &page, err);

	if (r == 0) {
		*text_ret = page_text(&page, true);
		*count_ret = page.count;
		*next_ret = page.last_id;
	}
	npt_buffer_done(&page.text);
	return r;
}
