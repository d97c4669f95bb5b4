/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Summaries of one pod from several agents, one after another, add up: an agent that restarts
 * begins at 0, and what its predecessor said stays.
 */
#include "lib/model/summary.h"

#include <string.h>

static bool same_edge(const struct npt_edge_summary *a, const struct npt_edge_summary *b)
{
	return a->process.pid == b->process.pid && a->role == b->role &&
	       a->peer.port == b->peer.port && a->peer.pid == b->peer.pid &&
	       strcmp(a->peer.address, b->peer.address) == 0 &&
	       strcmp(a->peer.asked, b->peer.asked) == 0;
}

static void merge_edge(struct npt_edge_summary *into, const struct npt_edge_summary *earlier)
{
	into->connections_opened += earlier->connections_opened;
	into->connections_failed += earlier->connections_failed;
	into->bytes_sent += earlier->bytes_sent;
	into->bytes_received += earlier->bytes_received;
	into->writes += earlier->writes;
	into->reads += earlier->reads;
	into->retransmit_segments += earlier->retransmit_segments;
	into->drops += earlier->drops;
}

static void merge_edges(struct npt_pod_summary *into, const struct npt_pod_summary *earlier)
{
	size_t own = into->top_count;

	for (size_t i = 0; i < earlier->top_count; i++) {
		size_t j = 0;

		while (j < own && !same_edge(&into->top[j], &earlier->top[i]))
			j++;
		if (j < own) {
			merge_edge(&into->top[j], &earlier->top[i]);
			if (into->edges > 0)
				into->edges--; /* counted in both */
		} else if (into->top_count < NPT_SUMMARY_EDGES_MAX) {
			into->top[into->top_count] = earlier->top[i];
			into->top[into->top_count++].connections_open = 0;
		}
	}
}

void npt_pod_summary_add(struct npt_pod_summary *into, const struct npt_pod_summary *earlier)
{
	into->edges += earlier->edges;
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
}
