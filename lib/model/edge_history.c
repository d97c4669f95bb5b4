/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text is made step by step. There is no finding in it: that is made of both ends of a connection,
 * and stands in the report.
 */
#include "lib/model/edge_history.h"

#include <errno.h>
#include <stdio.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/model/json.h"
#include "lib/model/report_merge.h"

#define TEXT_BYTES_MAX (64UL * 1024 * 1024)

struct npt_edge_history {
	struct npt_edge_history_options options;
	struct npt_edge total;
	struct npt_edge step;
	uint64_t step_start_unix_ms;
	uint64_t step_end_unix_ms;
	uint64_t windows;      /* in the total */
	uint64_t step_windows; /* in the step; 0: there is none */
	size_t steps;
	struct npt_buffer text; /* of the steps that are complete */
	bool full;
};

struct npt_edge_history *npt_edge_history_new(const struct npt_edge_history_options *options)
{
	struct npt_edge_history *history = npt_alloc(1, sizeof(*history));

	history->options = *options;
	npt_buffer_init(&history->text, TEXT_BYTES_MAX);
	return history;
}

void npt_edge_history_free(struct npt_edge_history *history)
{
	if (!history)
		return;
	npt_buffer_done(&history->text);
	free(history);
}

static json_t *quantiles_json(const struct npt_edge_history *history,
			      const struct npt_histogram *micros)
{
	const uint32_t *permille = history->options.quantiles_permille;
	json_t *object = json_object();
	char name[16];

	for (size_t i = 0; i < NPT_HISTORY_QUANTILES_MAX && permille[i]; i++) {
		(void)snprintf(name, sizeof(name), "%u.%03u", permille[i] / 1000,
			       permille[i] % 1000);
		npt_json_set_number(object, name,
				    npt_histogram_quantile_micros(micros, permille[i]));
	}
	return object;
}

static char *histogram_text(const struct npt_edge_history *history, const struct npt_edge *edge)
{
	const struct npt_metric *metric = &edge->metrics[history->options.metric];
	json_t *object = json_object();
	char *text;

	npt_json_set_number(object, "count", metric->micros.count);
	npt_json_set_number(object, "sum", metric->micros.sum_micros);
	npt_json_set_number(object, "max", metric->micros.max_micros);
	npt_json_set_text(object, "quality",
			  npt_quality_name(npt_metric_quality(history->options.metric, metric)));
	npt_json_set(object, "quantiles", quantiles_json(history, &metric->micros));
	npt_json_set(object, "buckets", npt_json_buckets(&metric->micros));
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

static char *counters_text(const struct npt_edge_history *history, const struct npt_edge *edge)
{
	return history->options.is_histogram ? histogram_text(history, edge)
					     : npt_edge_counters_to_json(edge);
}

/* {"start": ..., "durationMillis": ..., and what was counted} */
static void end_step(struct npt_edge_history *history)
{
	npt_auto_free char *counters = NULL;
	char start[NPT_RFC3339_BYTES];

	if (history->step_windows == 0)
		return;
	counters = counters_text(history, &history->step);
	npt_rfc3339_ms(history->step_start_unix_ms, start);
	if (npt_buffer_appendf(
		    &history->text, "%s{\"start\":\"%s\",\"durationMillis\":%llu,%s",
		    history->steps ? "," : "", start,
		    (unsigned long long)(history->step_end_unix_ms - history->step_start_unix_ms),
		    counters + 1) < 0)
		history->full = true;
	history->steps++;
	history->step_windows = 0;
}

static void begin_step(struct npt_edge_history *history, uint64_t start_unix_ms)
{
	uint64_t length = history->options.step_ms;

	history->step_start_unix_ms = length ? start_unix_ms / length * length : start_unix_ms;
	history->step_end_unix_ms = history->step_start_unix_ms + length;
}

static void add_to(struct npt_edge *sum, uint64_t *windows, const struct npt_edge *edge)
{
	if (*windows == 0)
		*sum = *edge;
	else
		npt_edge_merge(sum, edge);
	++*windows;
}

int npt_edge_history_add(struct npt_edge_history *history, uint64_t start_unix_ms,
			 uint64_t duration_ms, const struct npt_edge *edge)
{
	uint64_t before = history->step_start_unix_ms;
	bool is_first = history->step_windows == 0;

	if (!is_first && (history->options.step_ms ? start_unix_ms >= history->step_end_unix_ms
						   : start_unix_ms != before)) {
		end_step(history);
		is_first = true;
	}
	if (history->full || history->steps == NPT_HISTORY_STEPS_MAX)
		return -EMSGSIZE;
	if (is_first)
		begin_step(history, start_unix_ms);
	if (!history->options.step_ms && start_unix_ms + duration_ms > history->step_end_unix_ms)
		history->step_end_unix_ms = start_unix_ms + duration_ms;
	add_to(&history->step, &history->step_windows, edge);
	add_to(&history->total, &history->windows, edge);
	return 0;
}

char *npt_edge_history_to_json(struct npt_edge_history *history)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(2 * TEXT_BYTES_MAX);
	npt_auto_free char *edge = NULL, *total = NULL;

	end_step(history);
	edge = npt_edge_identity_to_json(&history->total);
	total = counters_text(history, &history->total);
	(void)npt_buffer_appendf(&text, "{\"kind\":\"%s\",\"apiVersion\":\"netprof.io/v1alpha1\",",
				 history->options.is_histogram ? "Histogram" : "EdgeHistory");
	if (history->options.is_histogram)
		(void)npt_buffer_appendf(&text, "\"metric\":\"%s\",\"unit\":\"microseconds\",",
					 npt_metric_name(history->options.metric));
	(void)npt_buffer_appendf(&text, "\"stepMillis\":%llu,",
				 (unsigned long long)history->options.step_ms);
	/* Appended, not formatted: they are of any length. */
	(void)npt_buffer_append_text(&text, "\"edge\":");
	(void)npt_buffer_append_text(&text, edge);
	(void)npt_buffer_append_text(&text, ",\"total\":");
	(void)npt_buffer_append_text(&text, total);
	(void)npt_buffer_append_text(&text, ",\"windows\":[");
	if (history->text.data)
		(void)npt_buffer_append_text(&text, history->text.data);
	(void)npt_buffer_append_text(&text, "]}");
	return npt_buffer_take(&text);
}
