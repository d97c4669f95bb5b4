/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A metric's samples have to stand together, so the series are gone through once for each metric;
 * their labels are put into words once.
 */
#include "aggregator/exports/prometheus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "aggregator/exports/metrics.h"
#include "lib/core/alloc.h"

#define LABELS_BYTES_MAX (8U * 1024)
#define FINDING_OLD_MS   120000 /* behind the task's last window: says nothing about now */

struct line {
	const struct npt_series_task *task;
	const struct npt_series *series;
	char *labels; /* without braces */
};

struct page {
	struct line *lines;
	size_t count;
	struct npt_buffer *out;
	int result; /* the first -EMSGSIZE stands */
};

static void put(struct page *page, int r)
{
	if (r < 0)
		page->result = r;
}

#define PUT(page, ...) put(page, npt_buffer_appendf((page)->out, __VA_ARGS__))

static void put_escaped(struct npt_buffer *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			(void)npt_buffer_append(out, "\\", 1);
		(void)npt_buffer_append(out, text, 1);
	}
}

static char *labels_text(const struct npt_series *series)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(LABELS_BYTES_MAX);

	for (int i = 0; i < NPT_LABEL_COUNT; i++) {
		const char *name = npt_label_prometheus_name((enum npt_label)i);

		if (!name || series->labels.texts[i][0] == '\0')
			continue;
		(void)npt_buffer_appendf(&out, "%s%s=\"", out.size_bytes ? "," : "", name);
		put_escaped(&out, series->labels.texts[i]);
		(void)npt_buffer_append(&out, "\"", 1);
	}
	return npt_buffer_take(&out);
}

static void collect(const struct npt_series_table *table, struct page *page)
{
	const struct npt_series_task *task;

	page->lines = npt_alloc(npt_series_count(table) + 1, sizeof(*page->lines));
	for (size_t i = 0; (task = npt_series_task_at(table, i)); i++) {
		const struct npt_series *series;

		for (size_t k = 0; (series = npt_strmap_value_at(task->series, k)); k++)
			page->lines[page->count++] = (struct line){
				.task = task,
				.series = series,
				.labels = labels_text(series),
			};
	}
}

static void put_head(struct page *page, const char *name, const char *type, const char *help)
{
	PUT(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_seconds(struct page *page, uint64_t micros)
{
	PUT(page, "%" PRIu64 ".%06" PRIu64 "\n", micros / 1000000, micros % 1000000);
}

static void put_number(struct page *page, const struct npt_export_metric *metric,
		       const struct npt_export_part *part, const struct line *line)
{
	uint64_t value = metric->kind == NPT_EXPORT_GAUGE ? line->series->gauges[part->index]
							  : line->series->counters[part->index];

	if ((metric->kind == NPT_EXPORT_GAUGE && line->series->others) ||
	    (metric->sparse && value == 0))
		return;
	PUT(page, "%s{%s", metric->name, line->labels);
	if (metric->label)
		PUT(page, ",%s=\"%s\"", metric->label, part->label);
	PUT(page, "} ");
	if (metric->micros)
		put_seconds(page, value);
	else
		PUT(page, "%" PRIu64 "\n", value);
}

static void put_reasons(struct page *page, const struct npt_export_metric *metric,
			const struct npt_export_part *part, const struct line *line)
{
	for (size_t i = 0; i < line->series->reasons_count; i++) {
		const struct npt_series_reason *reason = &line->series->reasons[i];

		if (reason->kind != (enum npt_series_reason_kind)part->index)
			continue;
		PUT(page, "%s{%s", metric->name, line->labels);
		if (metric->label)
			PUT(page, ",%s=\"%s\"", metric->label, part->label);
		PUT(page, ",reason=\"");
		put_escaped(page->out, reason->name);
		PUT(page, "\"} %" PRIu64 "\n", reason->count);
	}
}

static void put_times(struct page *page, const struct npt_export_metric *metric,
		      const struct npt_export_part *part, const struct line *line)
{
	const struct npt_series_times *times = line->series->times[part->index];
	uint64_t below = 0;

	if (!times)
		return;
	for (size_t i = 0; i < NPT_SERIES_BOUNDS; i++) {
		uint64_t bound = npt_series_bound_micros(i);

		below += times->buckets[i];
		PUT(page, "%s_bucket{%s,le=\"%" PRIu64 ".%06" PRIu64 "\"} %" PRIu64 "\n",
		    metric->name, line->labels, bound / 1000000, bound % 1000000, below);
	}
	PUT(page, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n%s_sum{%s} ", metric->name, line->labels,
	    below + times->buckets[NPT_SERIES_BOUNDS], metric->name, line->labels);
	put_seconds(page, times->sum_micros);
	PUT(page, "%s_count{%s} %" PRIu64 "\n", metric->name, line->labels,
	    below + times->buckets[NPT_SERIES_BOUNDS]);
}

static void put_metric(struct page *page, const struct npt_export_metric *metric)
{
	static const char *const types[] = {
		[NPT_EXPORT_COUNTER] = "counter",
		[NPT_EXPORT_REASONS] = "counter",
		[NPT_EXPORT_GAUGE] = "gauge",
		[NPT_EXPORT_TIMES] = "histogram",
	};

	put_head(page, metric->name, types[metric->kind], metric->help);
	for (size_t i = 0; i < page->count; i++) {
		for (size_t k = 0; k < metric->parts_count; k++) {
			const struct npt_export_part *part = &metric->parts[k];

			if (metric->kind == NPT_EXPORT_TIMES)
				put_times(page, metric, part, &page->lines[i]);
			else if (metric->kind == NPT_EXPORT_REASONS)
				put_reasons(page, metric, part, &page->lines[i]);
			else
				put_number(page, metric, part, &page->lines[i]);
		}
	}
}

static void put_findings(struct page *page)
{
	put_head(page, "npt_finding", "gauge",
		 "1 for what the last window of an edge says is wrong.");
	for (size_t i = 0; i < page->count; i++) {
		const struct line *line = &page->lines[i];
		enum npt_verdict verdict = line->series->verdict;

		if (npt_verdict_severity(verdict) == 0 ||
		    line->series->end_unix_ms + FINDING_OLD_MS < line->task->end_unix_ms)
			continue;
		PUT(page, "npt_finding{%s,verdict=\"%s\",cause=\"%s\"} 1\n", line->labels,
		    npt_verdict_name(verdict), npt_verdict_cause(verdict));
	}
}

int npt_prometheus_write(const struct npt_series_table *table, struct npt_buffer *out)
{
	struct page page = { .out = out };

	collect(table, &page);
	for (size_t i = 0; i < npt_export_metrics_count && page.count > 0; i++)
		put_metric(&page, &npt_export_metrics[i]);
	if (page.count > 0)
		put_findings(&page);
	for (size_t i = 0; i < page.count; i++)
		free(page.lines[i].labels);
	free(page.lines);
	return page.result;
}

int npt_prometheus_write_numbers(struct npt_buffer *out, const char *name, const char *type,
				 const char *help, const char *label,
				 const struct npt_prometheus_value *values, size_t count)
{
	struct page page = { .out = out };

	put_head(&page, name, type, help);
	for (size_t i = 0; i < count; i++)
		PUT(&page, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, values[i].label,
		    values[i].value);
	return page.result;
}

int npt_prometheus_write_number(struct npt_buffer *out, const char *name, const char *type,
				const char *help, uint64_t value)
{
	struct page page = { .out = out };

	put_head(&page, name, type, help);
	PUT(&page, "%s %" PRIu64 "\n", name, value);
	return page.result;
}
