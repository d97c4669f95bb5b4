/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of a report: names that others rely on (docs/api.md). Integers only, saturated at 2^53-1
 * so that no reader rounds them; what was not measured is absent and named in "unavailable".
 */
#include "lib/model/report.h"

#include <jansson.h>

#include "lib/core/clock.h"

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)(value < NPT_NUMBER_MAX ? value : NPT_NUMBER_MAX));
}

/* Bytes from a kernel (comm) need not be UTF-8; what is not becomes "?". */
static json_t *text(const char *value)
{
	json_t *string = json_string(value);
	char clean[NPT_NAME_BYTES];
	size_t length = 0;

	if (string)
		return string;
	for (; value[length] && length < sizeof(clean) - 1; length++)
		clean[length] = (unsigned char)value[length] < 0x80 ? value[length] : '?';
	clean[length] = '\0';
	return json_string(clean);
}

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static void set_if(json_t *object, const char *key, const char *value)
{
	if (value[0] != '\0')
		set(object, key, text(value));
}

static json_t *named_counts(const struct npt_named_count *counts, size_t max)
{
	json_t *object = json_object();

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		set(object, counts[i].name, number(counts[i].count));
	return object;
}

static json_t *buckets(const struct npt_histogram *histogram)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		json_t *pair;

		if (histogram->buckets[i] == 0)
			continue;
		pair = json_array();
		(void)json_array_append_new(pair, number(npt_histogram_lower_micros(i)));
		(void)json_array_append_new(pair, number(histogram->buckets[i]));
		(void)json_array_append_new(array, pair);
	}
	return array;
}

static json_t *histogram_json(const struct npt_histogram *histogram)
{
	json_t *object = json_object();

	set(object, "count", number(histogram->count));
	set(object, "sum", number(histogram->sum_micros));
	set(object, "p50", number(npt_histogram_quantile_micros(histogram, 500)));
	set(object, "p95", number(npt_histogram_quantile_micros(histogram, 950)));
	set(object, "p99", number(npt_histogram_quantile_micros(histogram, 990)));
	set(object, "max", number(histogram->max_micros));
	set(object, "buckets", buckets(histogram));
	return object;
}

static json_t *metric_json(enum npt_metric_id id, const struct npt_metric *metric)
{
	json_t *object = json_object();

	set(object, "count", number(metric->count));
	if (id == NPT_METRIC_WRITE || id == NPT_METRIC_READ)
		set(object, "bytes", number(metric->bytes));
	set(object, "quality", text(npt_quality_name(metric->quality)));
	set(object, "micros", histogram_json(&metric->micros));
	return object;
}

static json_t *process_json(const struct npt_process *process)
{
	json_t *object = json_object();

	set(object, "pid", number(process->pid));
	set(object, "startNanos", number(process->start_ns));
	set(object, "name", text(process->name));
	set(object, "comm", text(process->comm));
	set(object, "container", text(process->container));
	set(object, "pod", text(process->pod));
	return object;
}

static json_t *peer_json(const struct npt_peer *peer)
{
	json_t *object = json_object();

	set(object, "kind", text(npt_peer_kind_name(peer->kind)));
	set(object, "name", text(peer->name));
	set_if(object, "namespace", peer->namespace_name);
	if (peer->kind == NPT_PEER_PROCESS)
		set(object, "pid", number(peer->pid));
	set(object, "address", text(peer->address));
	set(object, "port", number(peer->port));
	set_if(object, "asked", peer->asked);
	set_if(object, "reached", peer->reached);
	return object;
}

static json_t *connections_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	set(object, "open", number(edge->connections.open));
	set(object, "opened", number(edge->connections.opened));
	set(object, "found", number(edge->connections.found));
	set(object, "closed", number(edge->connections.closed));
	set(object, "failed", named_counts(edge->connections.failed, NPT_EDGE_FAILED_MAX));
	return object;
}

static json_t *transfer_json(uint64_t bytes, uint64_t segments)
{
	json_t *object = json_object();

	set(object, "bytes", number(bytes));
	set(object, "segments", number(segments));
	return object;
}

static json_t *retransmit_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	set(object, "segments", number(edge->retransmit.segments));
	set(object, "bytes", number(edge->retransmit.bytes));
	set(object, "syn", number(edge->retransmit.syn));
	set(object, "spurious", number(edge->retransmit.spurious));
	return object;
}

static json_t *edge_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	set(object, "process", process_json(&edge->process));
	set(object, "role", text(npt_role_name(edge->role)));
	set(object, "peer", peer_json(&edge->peer));
	set(object, "transport", text(edge->transport));
	set(object, "protocol", text(edge->protocol));
	set(object, "tls", text(npt_tls_name(edge->tls)));
	set(object, "connections", connections_json(edge));
	set(object, "sent", transfer_json(edge->sent.bytes, edge->sent.segments));
	set(object, "received", transfer_json(edge->received.bytes, edge->received.segments));
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++) {
		if (edge->metrics[i].quality != NPT_QUALITY_UNAVAILABLE)
			set(object, npt_metric_name((enum npt_metric_id)i),
			    metric_json((enum npt_metric_id)i, &edge->metrics[i]));
	}
	set(object, "retransmit", retransmit_json(edge));
	set(object, "drops", named_counts(edge->drops, NPT_EDGE_DROPS_MAX));
	set(object, "dropsUnspecified", number(edge->drops_unspecified));
	return object;
}

static json_t *reference_json(const char *namespace_name, const char *name, const char *uid)
{
	json_t *object = json_object();

	set(object, "namespace", text(namespace_name));
	set(object, "name", text(name));
	set(object, "uid", text(uid));
	return object;
}

static json_t *unavailable_json(const struct npt_report *report)
{
	json_t *object = json_object();

	for (size_t i = 0; i < NPT_REPORT_UNAVAILABLE_MAX && report->unavailable[i].name[0]; i++)
		set(object, report->unavailable[i].name, text(report->unavailable[i].reason));
	return object;
}

static json_t *cost_json(const struct npt_report *report)
{
	json_t *object = json_object();
	json_t *degraded = json_array();

	set(object, "cpuMillis", number(report->cost.cpu_ms));
	set(object, "nanosPerOperation", number(report->cost.ns_per_operation));
	set(object, "memoryKiB", number(report->cost.memory_kib));
	for (size_t i = 0; i < NPT_REPORT_DEGRADED_MAX && report->cost.degraded[i][0]; i++)
		(void)json_array_append_new(degraded, text(report->cost.degraded[i]));
	set(object, "degraded", degraded);
	return object;
}

static void set_head(json_t *object, const struct npt_report *report)
{
	char start[NPT_RFC3339_BYTES];

	npt_rfc3339_ms(report->start_unix_ms, start);
	set(object, "kind", text(report->kind == NPT_REPORT_WINDOW ? "Window" : "Report"));
	set(object, "apiVersion", text("netprof.io/v1alpha1"));
	set(object, "start", text(start));
	set(object, "durationMillis", number(report->duration_ms));
	set(object, "instance", text(report->instance));
	set(object, "sequence", number(report->sequence));
	set(object, "task",
	    reference_json(report->task.namespace_name, report->task.name, report->task.uid));
	if (report->pod.uid[0])
		set(object, "pod",
		    reference_json(report->pod.namespace_name, report->pod.name, report->pod.uid));
	set_if(object, "node", report->node);
}

char *npt_report_to_json(const struct npt_report *report)
{
	json_t *object = json_object();
	json_t *edges = json_array();
	json_t *other = json_object(), *lost = json_object();
	char *line;

	set_head(object, report);
	for (size_t i = 0; i < report->edges_count; i++)
		(void)json_array_append_new(edges, edge_json(&report->edges[i]));
	set(object, "edges", edges);
	set(other, "edges", number(report->other_edges));
	set(object, "other", other);
	set(lost, "events", number(report->lost.events));
	set(lost, "edges", number(report->lost.edges));
	set(object, "lost", lost);
	set(object, "unavailable", unavailable_json(report));
	set(object, "cost", cost_json(report));
	line = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return line;
}
