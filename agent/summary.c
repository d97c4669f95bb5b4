/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The top edges are those with the worst findings, then those with most bytes; how many there are
 * in all is said beside them. Of TLS that comes first of which least is seen.
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
	summary->edges_judged += edge->finding.verdict != NPT_VERDICT_UNKNOWN;
	npt_histogram_merge(&summary->rtt, &edge->metrics[NPT_METRIC_RTT].micros);
}

/* All 0 where the times are not to be trusted. */
static struct npt_quantiles quantiles_of(const struct npt_edge *edge, enum npt_metric_id id)
{
	const struct npt_metric *metric = &edge->metrics[id];

	if (npt_metric_quality(id, metric) == NPT_QUALITY_UNAVAILABLE)
		return (struct npt_quantiles){ 0 };
	return (struct npt_quantiles){
		.p50 = npt_histogram_quantile_micros(&metric->micros, 500),
		.p95 = npt_histogram_quantile_micros(&metric->micros, 950),
		.p99 = npt_histogram_quantile_micros(&metric->micros, 990),
	};
}

static void summarize_edge(const struct npt_edge *edge, struct npt_edge_summary *out)
{
	memset(out, 0, sizeof(*out));
	out->process = edge->process;
	out->role = edge->role;
	out->peer = edge->peer;
	memcpy(out->transport, edge->transport, sizeof(out->transport));
	out->label = edge->label;
	memcpy(out->protocol, npt_edge_protocol(edge), sizeof(out->protocol));
	out->protocol_confidence_permille = npt_edge_protocol_confidence_permille(edge);
	out->protocol_by_hop = npt_edge_is_named_by_hop(edge);
	out->tls = edge->tls;
	memcpy(out->tls_version, edge->tls_facts.version, sizeof(out->tls_version));
	memcpy(out->sni, edge->tls_facts.sni, sizeof(out->sni));
	memcpy(out->alpn, edge->tls_facts.alpn, sizeof(out->alpn));
	memcpy(out->cipher, edge->tls_facts.cipher, sizeof(out->cipher));
	out->connections_open = edge->connections.open;
	out->connections_opened =
		edge->connections.opened + edge->connections.found + edge->connections.moved_in;
	out->connections_failed = sum_counts(edge->connections.failed, NPT_EDGE_FAILED_MAX);
	out->bytes_sent = edge->sent.bytes;
	out->bytes_received = edge->received.bytes;
	out->writes = edge->metrics[NPT_METRIC_WRITE].count;
	out->reads = edge->metrics[NPT_METRIC_READ].count;
	out->retransmit_segments = edge->retransmit.segments;
	out->drops = sum_counts(edge->drops, NPT_EDGE_DROPS_MAX);
	out->rtt_micros = quantiles_of(edge, NPT_METRIC_RTT);
	out->write_micros = quantiles_of(edge, NPT_METRIC_WRITE);
	out->read_micros = quantiles_of(edge, NPT_METRIC_READ);
	out->response_micros = quantiles_of(edge, NPT_METRIC_RESPONSE);
	out->verdict = edge->finding.verdict;
	out->confidence_permille = edge->finding.confidence_permille;
	memcpy(out->finding, edge->finding.text, sizeof(out->finding));
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

static bool is_used_so(const struct npt_tls_summary *tls, const struct npt_tls_use *use)
{
	return tls->coverage == use->coverage && strcmp(tls->library, use->library) == 0 &&
	       strcmp(tls->version, use->version) == 0 && strcmp(tls->why, use->why) == 0;
}

static int least_seen_first(const void *left, const void *right)
{
	const struct npt_tls_summary *a = left, *b = right;

	if (a->coverage != b->coverage)
		return a->coverage < b->coverage ? -1 : 1;
	return a->processes < b->processes ? 1 : -(a->processes > b->processes);
}

static void summarize_tls(const struct npt_report *total, struct npt_pod_summary *summary)
{
	npt_auto_free struct npt_tls_summary *all = npt_alloc(total->tls_count, sizeof(*all));
	size_t count = 0;

	for (size_t i = 0; i < total->tls_count; i++) {
		const struct npt_tls_use *use = &total->tls[i];
		size_t j = 0;

		while (j < count && !is_used_so(&all[j], use))
			j++;
		all[j].processes++;
		if (j < count)
			continue;
		count++;
		memcpy(all[j].library, use->library, sizeof(all[j].library));
		memcpy(all[j].version, use->version, sizeof(all[j].version));
		memcpy(all[j].why, use->why, sizeof(all[j].why));
		all[j].coverage = use->coverage;
	}
	qsort(all, count, sizeof(*all), least_seen_first);
	summary->tls_count = count < NPT_SUMMARY_TLS_MAX ? count : NPT_SUMMARY_TLS_MAX;
	memcpy(summary->tls, all, summary->tls_count * sizeof(*all));
}

void npt_summary_of_report(const struct npt_report *total, struct npt_pod_summary *summary)
{
	npt_auto_free const struct npt_edge **sorted =
		npt_alloc(total->edges_count, sizeof(*sorted));

	for (size_t i = 0; i < total->edges_count; i++) {
		sorted[i] = &total->edges[i];
		add_totals(&total->edges[i], summary);
	}
	qsort(sorted, total->edges_count, sizeof(*sorted), npt_edge_worst_first);
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
	summarize_tls(total, summary);
}
