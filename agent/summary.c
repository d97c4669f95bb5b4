/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The top edges are those with most bytes; how many there are in all is said beside them.
 */
#include "agent/summary.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

static uint64_t sum_counts(const struct npt_named_count *counts, size_t max)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		sum += counts[i].count;
	return sum;
}

static void add_totals(const struct npt_edge *edge, struct npt_pod_summary *summary)
{
	summary->connections += edge->connections.opened + edge->connections.found;
	summary->bytes_sent += edge->sent.bytes;
	summary->bytes_received += edge->received.bytes;
	summary->segments_sent += edge->sent.segments;
	summary->retransmit_segments += edge->retransmit.segments;
	summary->drops += sum_counts(edge->drops, NPT_EDGE_DROPS_MAX);
	npt_histogram_merge(&summary->rtt, &edge->metrics[NPT_METRIC_RTT].micros);
}

static void summarize_edge(const struct npt_edge *edge, struct npt_edge_summary *out)
{
	const struct npt_histogram *rtt = &edge->metrics[NPT_METRIC_RTT].micros;
	const struct npt_histogram *write = &edge->metrics[NPT_METRIC_WRITE].micros;
	const struct npt_histogram *read = &edge->metrics[NPT_METRIC_READ].micros;

	memset(out, 0, sizeof(*out));
	out->process = edge->process;
	out->role = edge->role;
	out->peer = edge->peer;
	memcpy(out->protocol, edge->protocol, sizeof(out->protocol));
	out->tls = edge->tls;
	out->connections_open = edge->connections.open;
	out->connections_opened = edge->connections.opened + edge->connections.found;
	out->connections_failed = sum_counts(edge->connections.failed, NPT_EDGE_FAILED_MAX);
	out->bytes_sent = edge->sent.bytes;
	out->bytes_received = edge->received.bytes;
	out->writes = edge->metrics[NPT_METRIC_WRITE].count;
	out->reads = edge->metrics[NPT_METRIC_READ].count;
	out->retransmit_segments = edge->retransmit.segments;
	out->drops = sum_counts(edge->drops, NPT_EDGE_DROPS_MAX);
	out->rtt_micros.p50 = npt_histogram_quantile_micros(rtt, 500);
	out->rtt_micros.p95 = npt_histogram_quantile_micros(rtt, 950);
	out->rtt_micros.p99 = npt_histogram_quantile_micros(rtt, 990);
	out->write_micros.p50 = npt_histogram_quantile_micros(write, 500);
	out->write_micros.p95 = npt_histogram_quantile_micros(write, 950);
	out->write_micros.p99 = npt_histogram_quantile_micros(write, 990);
	out->read_micros.p50 = npt_histogram_quantile_micros(read, 500);
	out->read_micros.p95 = npt_histogram_quantile_micros(read, 950);
	out->read_micros.p99 = npt_histogram_quantile_micros(read, 990);
}

static int by_bytes(const void *left, const void *right)
{
	const struct npt_edge *a = *(const struct npt_edge *const *)left;
	const struct npt_edge *b = *(const struct npt_edge *const *)right;
	uint64_t bytes_a = a->sent.bytes + a->received.bytes;
	uint64_t bytes_b = b->sent.bytes + b->received.bytes;

	return bytes_a < bytes_b ? 1 : -(bytes_a > bytes_b);
}

static int by_number(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

static uint64_t count_processes(const struct npt_report *total)
{
	npt_auto_free uint32_t *pids = npt_alloc(total->edges_count, sizeof(*pids));
	uint64_t distinct = 0;

	for (size_t i = 0; i < total->edges_count; i++)
		pids[i] = total->edges[i].process.pid;
	qsort(pids, total->edges_count, sizeof(*pids), by_number);
	for (size_t i = 0; i < total->edges_count; i++)
		distinct += i == 0 || pids[i] != pids[i - 1];
	return distinct;
}

void npt_summary_of_report(const struct npt_report *total, struct npt_pod_summary *summary)
{
	npt_auto_free const struct npt_edge **sorted =
		npt_alloc(total->edges_count, sizeof(*sorted));

	for (size_t i = 0; i < total->edges_count; i++) {
		sorted[i] = &total->edges[i];
		add_totals(&total->edges[i], summary);
	}
	qsort(sorted, total->edges_count, sizeof(*sorted), by_bytes);
	for (size_t i = 0; i < total->edges_count && i < NPT_SUMMARY_EDGES_MAX; i++)
		summarize_edge(sorted[i], &summary->top[summary->top_count++]);
	summary->processes = count_processes(total);
	summary->edges = total->edges_count;
	summary->lost_events = total->lost.events;
	summary->lost_edges = total->lost.edges;
	summary->cost.cpu_ms = total->cost.cpu_ms;
	summary->cost.ns_per_operation = total->cost.ns_per_operation;
	summary->cost.memory_kib = total->cost.memory_kib;
	memcpy(summary->cost.degraded, total->cost.degraded, sizeof(summary->cost.degraded));
	memcpy(summary->unavailable, total->unavailable, sizeof(summary->unavailable));
}
