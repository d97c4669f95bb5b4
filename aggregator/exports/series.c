/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels decide, not the edge's identity: same-named workers of a pod add up where pids are no
 * label, and a peer that gets its name late has two series, each of which only grows.
 *
 * A gauge is a sum over the edges of one window, then that of the next: the first edge of a window
 * that is newer than what a series shows begins anew. A late window (from a spool) changes none.
 */
#include "aggregator/exports/series.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"

#define TASKS_MAX   4096
#define REASONS_MAX 32 /* per series; what is more is "other" */

struct npt_series_table {
	struct npt_series_options options;
	struct npt_strmap *tasks;       /* namespace/name -> struct npt_series_task */
	struct npt_series_task *others; /* of tasks that found no room; in the map, too */
	size_t count;
	uint64_t overflowed;
	uint64_t windows; /* added so far: numbers them, for gauges */
};

static void add(uint64_t *into, uint64_t value)
{
	*into = value > NPT_NUMBER_MAX - *into ? NPT_NUMBER_MAX : *into + value;
}

uint64_t npt_series_bound_micros(size_t bound)
{
	assert(bound < NPT_SERIES_BOUNDS);
	return UINT64_C(1) << (bound + NPT_SERIES_FIRST_BOUND_LOG2);
}

static void free_series(void *value)
{
	struct npt_series *series = value;

	npt_labels_done(&series->labels);
	for (size_t i = 0; i < NPT_TIMES_COUNT; i++) {
		if (series->times[i])
			free(series->times[i]->fine);
		free(series->times[i]);
	}
	free(series->reasons);
	free(series);
}

static void free_task(void *value)
{
	struct npt_series_task *task = value;

	npt_strmap_free(task->series);
	free(task);
}

struct npt_series_table *npt_series_table_new(const struct npt_series_options *options)
{
	struct npt_series_table *table = npt_alloc(1, sizeof(*table));

	table->options = *options;
	table->tasks = npt_strmap_new(TASKS_MAX + 1, free_task);
	return table;
}

void npt_series_table_free(struct npt_series_table *table)
{
	if (!table)
		return;
	npt_strmap_free(table->tasks);
	free(table);
}

static struct npt_series_task *add_task(struct npt_series_table *table, const char *key)
{
	struct npt_series_task *task = npt_alloc(1, sizeof(*task));

	task->series = npt_strmap_new(table->options.max_series + 1, free_series);
	if (npt_strmap_set(table->tasks, key, task) == 0)
		return task;
	free_task(task);
	return NULL;
}

/* NULL: there are too many. */
static struct npt_series_task *find_task(struct npt_series_table *table,
					 const struct npt_report *window)
{
	npt_auto_free char *key =
		npt_format("%s/%s", window->task.namespace_name, window->task.name);
	struct npt_series_task *task = npt_strmap_get(table->tasks, key);

	if (task || npt_strmap_count(table->tasks) >= TASKS_MAX ||
	    table->count >= table->options.max_series)
		return task;
	return add_task(table, key);
}

/* labels are taken over. */
static struct npt_series *add_series(struct npt_series_table *table, struct npt_series_task *task,
				     struct npt_labels *labels)
{
	struct npt_series *series = npt_alloc(1, sizeof(*series));

	series->labels = *labels;
	*labels = (struct npt_labels){ .key = NULL };
	if (npt_strmap_set(task->series, series->labels.key, series) < 0) {
		free_series(series);
		return NULL;
	}
	table->count++;
	return series;
}

static struct npt_series *others_of(struct npt_series_table *table, struct npt_series_task *task,
				    const struct npt_report *window)
{
	npt_auto(npt_labels_done) struct npt_labels labels = { .key = NULL };

	table->overflowed++;
	if (task && !task->others && table->count < table->options.max_series) {
		npt_labels_of_others(window->task.namespace_name, window->task.name, &labels);
		task->others = add_series(table, task, &labels);
	} else if ((!task || !task->others) && !table->others) {
		npt_labels_of_others(NULL, NULL, &labels);
		table->others = add_task(table, NPT_LABEL_OTHER);
		table->others->others = add_series(table, table->others, &labels);
	}
	if (!task || !task->others)
		task = table->others;
	task->others->others = true;
	return task->others;
}

static struct npt_series *find_series(struct npt_series_table *table, struct npt_series_task *task,
				      const struct npt_report *window, const struct npt_edge *edge)
{
	npt_auto(npt_labels_done) struct npt_labels labels = { .key = NULL };
	struct npt_series *series;

	if (!task)
		return others_of(table, NULL, window);
	npt_labels_of_edge(window, edge, table->options.labels, &labels);
	series = npt_strmap_get(task->series, labels.key);
	if (series)
		return series;
	/* One place less, for the others. */
	if (npt_strmap_count(task->series) + 1 >= table->options.max_series_per_task ||
	    table->count + 1 >= table->options.max_series)
		return others_of(table, task, window);
	return add_series(table, task, &labels);
}

static void add_times(struct npt_series_times **into, const struct npt_histogram *micros, bool fine)
{
	struct npt_series_times *times = *into;
	size_t bound = 0;

	if (micros->count == 0)
		return;
	if (!times)
		times = *into = npt_alloc(1, sizeof(*times));
	if (fine && !times->fine)
		times->fine = npt_alloc(NPT_HISTOGRAM_BUCKETS, sizeof(*times->fine));
	add(&times->count, micros->count);
	add(&times->sum_micros, micros->sum_micros);
	if (times->max_micros < micros->max_micros)
		times->max_micros = micros->max_micros;
	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		while (bound < NPT_SERIES_BOUNDS &&
		       npt_histogram_lower_micros(i) >= npt_series_bound_micros(bound))
			bound++;
		add(&times->buckets[bound], micros->buckets[i]);
		if (fine)
			add(&times->fine[i], micros->buckets[i]);
	}
}

static struct npt_series_reason *find_reason(struct npt_series *series,
					     enum npt_series_reason_kind kind, const char *name)
{
	struct npt_series_reason *reason;

	for (size_t i = 0; i < series->reasons_count; i++) {
		reason = &series->reasons[i];
		if (reason->kind == kind && strcmp(reason->name, name) == 0)
			return reason;
	}
	/* The last places are for the "other" of each kind. */
	if (series->reasons_count >= REASONS_MAX - NPT_REASON_KIND_COUNT &&
	    strcmp(name, NPT_LABEL_OTHER) != 0)
		return find_reason(series, kind, NPT_LABEL_OTHER);
	series->reasons =
		npt_realloc(series->reasons, series->reasons_count + 1, sizeof(*series->reasons));
	reason = &series->reasons[series->reasons_count++];
	*reason = (struct npt_series_reason){ .kind = kind };
	(void)snprintf(reason->name, sizeof(reason->name), "%s", name);
	return reason;
}

static void add_reasons(struct npt_series *series, enum npt_series_reason_kind kind,
			const struct npt_named_count *counts, size_t max)
{
	char name[NPT_REASON_BYTES];

	for (size_t i = 0; i < max && counts[i].name[0]; i++) {
		npt_label_clean(counts[i].name, name, sizeof(name));
		add(&find_reason(series, kind, name)->count, counts[i].count);
	}
}

static void add_counters(struct npt_series *series, const struct npt_edge *edge)
{
	const struct npt_metric *writes = &edge->metrics[NPT_METRIC_WRITE];
	const struct npt_metric *reads = &edge->metrics[NPT_METRIC_READ];
	const uint64_t values[NPT_COUNTER_COUNT] = {
		[NPT_COUNTER_SENT_BYTES] = edge->sent.bytes,
		[NPT_COUNTER_SENT_SEGMENTS] = edge->sent.segments,
		[NPT_COUNTER_RECEIVED_BYTES] = edge->received.bytes,
		[NPT_COUNTER_RECEIVED_SEGMENTS] = edge->received.segments,
		[NPT_COUNTER_CONNECTIONS_OPENED] = edge->connections.opened,
		[NPT_COUNTER_CONNECTIONS_FOUND] = edge->connections.found,
		[NPT_COUNTER_CONNECTIONS_CLOSED] = edge->connections.closed,
		[NPT_COUNTER_WRITES] = writes->count,
		[NPT_COUNTER_WRITTEN_BYTES] = writes->bytes,
		[NPT_COUNTER_READS] = reads->count,
		[NPT_COUNTER_READ_BYTES] = reads->bytes,
		[NPT_COUNTER_RETRANSMIT_SEGMENTS] = edge->retransmit.segments,
		[NPT_COUNTER_RETRANSMIT_BYTES] = edge->retransmit.bytes,
		[NPT_COUNTER_RETRANSMIT_SYN] = edge->retransmit.syn,
		[NPT_COUNTER_RETRANSMIT_TAIL_LOSS] = edge->retransmit.tail_loss,
		[NPT_COUNTER_RETRANSMIT_SPURIOUS] = edge->retransmit.spurious,
		[NPT_COUNTER_LIMITED_APPLICATION] = edge->limited.application_micros,
		[NPT_COUNTER_LIMITED_RECEIVE_WINDOW] = edge->limited.receive_window_micros,
		[NPT_COUNTER_LIMITED_SEND_BUFFER] = edge->limited.send_buffer_micros,
		[NPT_COUNTER_LIMITED_NETWORK] = edge->limited.network_micros,
		[NPT_COUNTER_LISTEN_DROPS] = edge->queue.listen_drops,
		[NPT_COUNTER_TLS_HANDSHAKES] = edge->handshakes.count,
		[NPT_COUNTER_TLS_RESUMED] = edge->handshakes.resumed,
		[NPT_COUNTER_TLS_FAILED] = edge->handshakes.failed,
	};

	for (size_t i = 0; i < NPT_COUNTER_COUNT; i++)
		add(&series->counters[i], values[i]);
}

/* number: of the window, in the order in which they came. */
static void set_gauges(struct npt_series *series, const struct npt_edge *edge, uint64_t number,
		       uint64_t end_unix_ms)
{
	const uint64_t values[NPT_GAUGE_COUNT] = {
		[NPT_GAUGE_CONNECTIONS_OPEN] = edge->connections.open,
		[NPT_GAUGE_UNREAD_BYTES] = edge->queue.unread_bytes,
		[NPT_GAUGE_UNSENT_BYTES] = edge->queue.unsent_bytes,
		[NPT_GAUGE_ACCEPT_BACKLOG] = edge->queue.accept_backlog,
		[NPT_GAUGE_SYN_BACKLOG] = edge->queue.syn_backlog,
	};

	if (series->others)
		return;
	if (series->window != number) {
		if (end_unix_ms < series->end_unix_ms)
			return;
		memset(series->gauges, 0, sizeof(series->gauges));
		series->verdict = NPT_VERDICT_UNKNOWN;
		series->window = number;
	}
	for (size_t i = 0; i < NPT_GAUGE_COUNT; i++)
		add(&series->gauges[i], values[i]);
	if (npt_verdict_severity(edge->finding.verdict) > npt_verdict_severity(series->verdict))
		series->verdict = edge->finding.verdict;
}

static void add_edge(const struct npt_series_table *table, struct npt_series *series,
		     const struct npt_report *window, const struct npt_edge *edge)
{
	uint64_t end = window->start_unix_ms + window->duration_ms;

	set_gauges(series, edge, table->windows, end);
	if (series->end_unix_ms == 0 || window->start_unix_ms < series->begin_unix_ms)
		series->begin_unix_ms = window->start_unix_ms;
	if (series->end_unix_ms < end)
		series->end_unix_ms = end;
	add_counters(series, edge);
	for (int i = 0; i < NPT_METRIC_COUNT; i++) {
		const struct npt_metric *metric = &edge->metrics[i];

		if (npt_metric_quality((enum npt_metric_id)i, metric) != NPT_QUALITY_UNAVAILABLE)
			add_times(&series->times[i], &metric->micros, table->options.fine);
	}
	add_times(&series->times[NPT_TIMES_HANDSHAKE], &edge->handshakes.micros,
		  table->options.fine);
	add_reasons(series, NPT_REASON_CONNECT_FAILED, edge->connections.failed,
		    NPT_EDGE_FAILED_MAX);
	add_reasons(series, NPT_REASON_DROP, edge->drops, NPT_EDGE_DROPS_MAX);
	add_reasons(series, NPT_REASON_RESET_SENT, edge->resets_sent, NPT_EDGE_RESETS_MAX);
	add_reasons(series, NPT_REASON_RESET_RECEIVED, edge->resets_received, NPT_EDGE_RESETS_MAX);
}

void npt_series_add(struct npt_series_table *table, const struct npt_report *window,
		    uint64_t now_ns)
{
	struct npt_series_task *task = find_task(table, window);

	table->windows++;
	for (size_t i = 0; i < window->edges_count; i++) {
		const struct npt_edge *edge = &window->edges[i];

		add_edge(table, find_series(table, task, window, edge), window, edge);
	}
	if (task) {
		uint64_t end = window->start_unix_ms + window->duration_ms;

		task->seen_ns = now_ns;
		task->end_unix_ms = end > task->end_unix_ms ? end : task->end_unix_ms;
	}
	if (table->others)
		table->others->seen_ns = now_ns;
}

size_t npt_series_expire(struct npt_series_table *table, uint64_t now_ns)
{
	size_t removed = 0;

	for (size_t i = npt_strmap_count(table->tasks); i-- > 0;) {
		const struct npt_series_task *task = npt_strmap_value_at(table->tasks, i);

		if (table->options.keep_ns == 0 || now_ns - task->seen_ns < table->options.keep_ns)
			continue;
		removed += npt_strmap_count(task->series);
		if (task == table->others)
			table->others = NULL;
		npt_strmap_remove(table->tasks, npt_strmap_key_at(table->tasks, i));
	}
	table->count -= removed;
	return removed;
}

struct npt_series_table *npt_series_take(struct npt_series_table *table)
{
	struct npt_series_table *taken = npt_series_table_new(&table->options);
	struct npt_series_table old = *table;

	table->tasks = taken->tasks;
	table->others = NULL;
	table->count = 0;
	*taken = old;
	return taken;
}

static struct npt_series *copy_series(const struct npt_series *series)
{
	struct npt_series *copy = npt_memdup(series, sizeof(*series));

	npt_labels_copy(&series->labels, &copy->labels);
	for (size_t i = 0; i < NPT_TIMES_COUNT; i++) {
		if (!series->times[i])
			continue;
		copy->times[i] = npt_memdup(series->times[i], sizeof(*copy->times[i]));
		if (copy->times[i]->fine)
			copy->times[i]->fine =
				npt_memdup(series->times[i]->fine,
					   NPT_HISTOGRAM_BUCKETS * sizeof(*copy->times[i]->fine));
	}
	copy->reasons = npt_memdup(series->reasons, series->reasons_count * sizeof(*copy->reasons));
	return copy;
}

struct npt_series_table *npt_series_copy(const struct npt_series_table *table)
{
	struct npt_series_table *copy = npt_series_table_new(&table->options);

	copy->count = table->count;
	copy->overflowed = table->overflowed;
	copy->windows = table->windows;
	for (size_t i = 0; i < npt_strmap_count(table->tasks); i++) {
		const struct npt_series_task *from = npt_strmap_value_at(table->tasks, i);
		struct npt_series_task *task = add_task(copy, npt_strmap_key_at(table->tasks, i));

		task->seen_ns = from->seen_ns;
		task->end_unix_ms = from->end_unix_ms;
		for (size_t k = 0; k < npt_strmap_count(from->series); k++) {
			struct npt_series *series =
				copy_series(npt_strmap_value_at(from->series, k));

			(void)npt_strmap_set(task->series, series->labels.key, series);
			if (npt_strmap_value_at(from->series, k) == from->others)
				task->others = series;
		}
		if (from == table->others)
			copy->others = task;
	}
	return copy;
}

size_t npt_series_count(const struct npt_series_table *table)
{
	return table->count;
}

uint64_t npt_series_overflowed(const struct npt_series_table *table)
{
	return table->overflowed;
}

const struct npt_series_task *npt_series_task_at(const struct npt_series_table *table, size_t index)
{
	return npt_strmap_value_at(table->tasks, index);
}
