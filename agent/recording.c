/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sums get the same differences at the same moment, so the report is the sum of its windows by
 * construction. Slots find their edges through two small tables.
 */
#include "agent/recording.h"

#include <string.h>

#include "bpf/measure.h"
#include "lib/core/alloc.h"
#include "lib/model/report_merge.h"

#define NO_EDGE UINT32_MAX

struct npt_recording {
	struct npt_report *window;
	struct npt_report *total;
	uint32_t window_edges[NPT_SLOTS_MAX]; /* by slot: index into edges, or NO_EDGE */
	uint32_t total_edges[NPT_SLOTS_MAX];
	uint64_t sequence;
};

static struct npt_report *new_report(const struct npt_report *head, enum npt_report_kind kind,
				     uint64_t start_unix_ms)
{
	struct npt_report *report = npt_report_new();

	report->kind = kind;
	report->start_unix_ms = start_unix_ms;
	report->task = head->task;
	report->pod = head->pod;
	memcpy(report->node, head->node, sizeof(report->node));
	memcpy(report->instance, head->instance, sizeof(report->instance));
	return report;
}

struct npt_recording *npt_recording_new(const struct npt_report *head, uint64_t now_unix_ms)
{
	struct npt_recording *recording = npt_alloc(1, sizeof(*recording));

	recording->window = new_report(head, NPT_REPORT_WINDOW, now_unix_ms);
	recording->total = new_report(head, NPT_REPORT_REPORT, now_unix_ms);
	memset(recording->window_edges, 0xff, sizeof(recording->window_edges));
	memset(recording->total_edges, 0xff, sizeof(recording->total_edges));
	return recording;
}

void npt_recording_free(struct npt_recording *recording)
{
	if (!recording)
		return;
	npt_report_free(recording->window);
	npt_report_free(recording->total);
	free(recording);
}

static void add(struct npt_report *report, uint32_t *index, const struct npt_edge *delta)
{
	struct npt_edge *edge;

	if (*index != NO_EDGE) {
		npt_edge_merge(&report->edges[*index], delta);
		return;
	}
	edge = npt_report_add_edge(report);
	if (!edge) {
		report->other_edges++;
		return;
	}
	*edge = *delta;
	*index = (uint32_t)(report->edges_count - 1);
}

/*
 * The scope may be older than this recording (another task names the pod, too): connections that
 * were told before are found again.
 */
static void find_earlier(struct npt_edge *first)
{
	uint64_t known =
		first->connections.opened + first->connections.found + first->connections.moved_in;
	uint64_t there =
		first->connections.open + first->connections.closed + first->connections.moved_out;

	if (there > known)
		first->connections.found += there - known;
}

void npt_recording_add(struct npt_recording *recording, uint32_t slot, const struct npt_edge *told)
{
	struct npt_edge first;
	const struct npt_edge *delta = told;

	if (recording->total_edges[slot] == NO_EDGE) {
		first = *told;
		find_earlier(&first);
		delta = &first;
	}
	add(recording->window, &recording->window_edges[slot], delta);
	add(recording->total, &recording->total_edges[slot], delta);
}

struct npt_report *npt_recording_window(struct npt_recording *recording)
{
	return recording->window;
}

struct npt_report *npt_recording_total(struct npt_recording *recording)
{
	return recording->total;
}

struct npt_report *npt_recording_cut(struct npt_recording *recording, uint64_t now_unix_ms)
{
	struct npt_report *window = recording->window;

	window->duration_ms =
		now_unix_ms > window->start_unix_ms ? now_unix_ms - window->start_unix_ms : 0;
	window->sequence = ++recording->sequence;
	recording->total->sequence = recording->sequence;
	recording->total->duration_ms =
		window->start_unix_ms + window->duration_ms - recording->total->start_unix_ms;
	recording->window =
		new_report(window, NPT_REPORT_WINDOW, window->start_unix_ms + window->duration_ms);
	memset(recording->window_edges, 0xff, sizeof(recording->window_edges));
	return window;
}

uint64_t npt_recording_sequence(const struct npt_recording *recording)
{
	return recording->sequence;
}
