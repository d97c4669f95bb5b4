/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Summaries of one pod from several agents, one after another, add up: an agent that restarts
 * begins at 0, and what its predecessor said stays.
 */
#include "lib/model/summary.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"

int npt_edge_summary_compare(const struct npt_edge_summary *a, const struct npt_edge_summary *b)
{
	unsigned int severity_a = npt_verdict_severity(a->verdict);
	unsigned int severity_b = npt_verdict_severity(b->verdict);
	uint64_t bytes_a = a->bytes_sent + a->bytes_received;
	uint64_t bytes_b = b->bytes_sent + b->bytes_received;

	if (severity_a != severity_b)
		return severity_a < severity_b ? 1 : -1;
	return bytes_a < bytes_b ? 1 : -(bytes_a > bytes_b);
}

static int compare(const void *left, const void *right)
{
	return npt_edge_summary_compare(left, right);
}

static bool same_edge(const struct npt_edge_summary *a, const struct npt_edge_summary *b)
{
	return a->process.pid == b->process.pid && a->role == b->role &&
	       a->peer.port == b->peer.port && a->peer.pid == b->peer.pid && a->label == b->label &&
	       strcmp(a->transport, b->transport) == 0 &&
	       strcmp(a->peer.address, b->peer.address) == 0 &&
	       strcmp(a->peer.asked, b->peer.asked) == 0;
}

static void keep_text(char *into, const char *earlier, size_t size_bytes)
{
	if (into[0] == '\0')
		memcpy(into, earlier, size_bytes);
}

static bool is_read(const struct npt_edge_summary *edge)
{
	return npt_protocol_is_known(edge->protocol) && !edge->protocol_by_hop;
}

static void merge_label(struct npt_edge_summary *into, const struct npt_edge_summary *earlier)
{
	if (!npt_protocol_is_known(into->protocol) || (!is_read(into) && is_read(earlier))) {
		memcpy(into->protocol, earlier->protocol, sizeof(into->protocol));
		into->protocol_confidence_permille = earlier->protocol_confidence_permille;
		into->protocol_by_hop = earlier->protocol_by_hop;
	}
	if (into->tls == NPT_TLS_UNKNOWN)
		into->tls = earlier->tls;
	keep_text(into->tls_version, earlier->tls_version, sizeof(into->tls_version));
	keep_text(into->sni, earlier->sni, sizeof(into->sni));
	keep_text(into->alpn, earlier->alpn, sizeof(into->alpn));
	keep_text(into->cipher, earlier->cipher, sizeof(into->cipher));
}

static void merge_edge(struct npt_edge_summary *into, const struct npt_edge_summary *earlier)
{
	merge_label(into, earlier);
	into->connections_opened += earlier->connections_opened;
	into->connections_failed += earlier->connections_failed;
	into->bytes_sent += earlier->bytes_sent;
	into->bytes_received += earlier->bytes_received;
	into->writes += earlier->writes;
	into->reads += earlier->reads;
	into->retransmit_segments += earlier->retransmit_segments;
	into->drops += earlier->drops;
	if (into->verdict == NPT_VERDICT_UNKNOWN ||
	    npt_verdict_severity(earlier->verdict) > npt_verdict_severity(into->verdict)) {
		into->verdict = earlier->verdict;
		into->confidence_permille = earlier->confidence_permille;
		memcpy(into->finding, earlier->finding, sizeof(into->finding));
	}
}

/* Both agents counted it. */
static void uncount_twin(struct npt_pod_summary *into, const struct npt_edge_summary *edge,
			 const struct npt_edge_summary *earlier)
{
	if (into->edges > 0)
		into->edges--;
	if (into->edges_judged > 0 && edge->verdict != NPT_VERDICT_UNKNOWN &&
	    earlier->verdict != NPT_VERDICT_UNKNOWN)
		into->edges_judged--;
}

static void merge_edges(struct npt_pod_summary *into, const struct npt_pod_summary *earlier)
{
	npt_auto_free struct npt_edge_summary *all =
		npt_alloc((size_t)2 * NPT_SUMMARY_EDGES_MAX, sizeof(*all));
	size_t own = into->top_count, count = own;

	memcpy(all, into->top, own * sizeof(*all));
	for (size_t i = 0; i < earlier->top_count; i++) {
		const struct npt_edge_summary *edge = &earlier->top[i];
		size_t j = 0;

		while (j < own && !same_edge(&all[j], edge))
			j++;
		if (j < own) {
			uncount_twin(into, &all[j], edge);
			merge_edge(&all[j], edge);
		} else {
			all[count] = *edge;
			all[count++].connections_open = 0;
		}
	}
	qsort(all, count, sizeof(*all), compare);
	into->top_count = count < NPT_SUMMARY_EDGES_MAX ? count : NPT_SUMMARY_EDGES_MAX;
	memcpy(into->top, all, into->top_count * sizeof(*all));
}

void npt_pod_summary_add(struct npt_pod_summary *into, const struct npt_pod_summary *earlier)
{
	into->edges += earlier->edges;
	into->edges_judged += earlier->edges_judged;
	merge_edges(into, earlier);
	into->connections += earlier->connections;
	into->bytes_sent += earlier->bytes_sent;
	into->bytes_received += earlier->bytes_received;
	into->segments_sent += earlier->segments_sent;
	into->retransmit_segments += earlier->retransmit_segments;
	into->drops += earlier->drops;
	npt_histogram_merge(&into->rtt, &earlier->rtt);
	into->windows += earlier->windows;
	into->windows_stored += earlier->windows_stored;
	into->windows_dropped += earlier->windows_dropped;
	into->lost_events += earlier->lost_events;
	into->lost_edges += earlier->lost_edges;
	into->cost.cpu_ms += earlier->cost.cpu_ms;
	if (into->tls_count == 0) {
		memcpy(into->tls, earlier->tls, sizeof(into->tls));
		into->tls_count = earlier->tls_count;
	}
}
