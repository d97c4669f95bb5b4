/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Summary - what the controller needs of one pod each second to write a status: totals since the
 * start of the assignment, never differences, so that a lost message costs nothing.
 *
 * Plain values. Made by the agent, merged by the controller.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/core/histogram.h"
#include "lib/model/report.h"

#define NPT_SUMMARY_EDGES_MAX 10
#define NPT_SUMMARY_TLS_MAX   8

struct npt_quantiles {
	uint64_t p50, p95, p99;
};

struct npt_edge_summary {
	struct npt_process process;
	enum npt_role role;
	struct npt_peer peer;
	char transport[8];
	/* As in struct npt_edge. */
	uint32_t label;
	char protocol[NPT_PROTOCOL_BYTES];
	uint32_t protocol_confidence_permille;
	bool protocol_by_hop; /* npt_edge_is_named_by_hop() */
	enum npt_tls tls;
	char tls_version[8];
	char sni[NPT_SNI_BYTES];
	char alpn[NPT_ALPN_BYTES];
	char cipher[NPT_CIPHER_BYTES];
	uint64_t connections_open;
	uint64_t connections_opened;
	uint64_t connections_failed;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t writes;
	uint64_t reads;
	uint64_t retransmit_segments;
	uint64_t drops;
	struct npt_quantiles rtt_micros, write_micros, read_micros, response_micros;
	enum npt_verdict verdict; /* of the edge's finding, as are the next two */
	uint32_t confidence_permille;
	char finding[NPT_TEXT_BYTES];
};

/* How much is seen of the TLS of those processes of a pod that use a library in the same way. */
struct npt_tls_summary {
	char library[NPT_REASON_BYTES];
	char version[NPT_REASON_BYTES]; /* "" if unknown */
	enum npt_tls_coverage coverage;
	char why[NPT_TEXT_BYTES];
	uint64_t processes;
};

enum npt_pod_state {
	NPT_POD_PENDING, /* assigned, no process of it seen yet */
	NPT_POD_RUNNING,
	NPT_POD_FINISHED,
	NPT_POD_FAILED, /* reason and message say why */
	NPT_POD_GONE,   /* left during the task; its numbers stay */
};

struct npt_pod_summary {
	char uid[NPT_UID_BYTES];
	char namespace_name[NPT_NAME_BYTES];
	char name[NPT_NAME_BYTES];
	enum npt_pod_state state;
	char reason[NPT_REASON_BYTES]; /* CamelCase */
	char message[NPT_TEXT_BYTES];
	uint64_t processes;
	uint64_t edges;        /* all of them, also those that are not listed */
	uint64_t edges_judged; /* of which the numbers say whether something is wrong */
	uint64_t connections;  /* opened or found, since the start */
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t segments_sent;
	uint64_t retransmit_segments;
	uint64_t drops;
	struct npt_histogram rtt;
	/* In the order of npt_edge_summary_compare(). */
	struct npt_edge_summary top[NPT_SUMMARY_EDGES_MAX];
	size_t top_count;
	uint64_t windows;         /* made so far = last sequence */
	uint64_t windows_stored;  /* acknowledged by the aggregator */
	uint64_t windows_dropped; /* spool overflow */
	uint64_t lost_events;
	uint64_t lost_edges;
	struct {
		uint64_t cpu_ms;
		uint64_t ns_per_operation;
		uint64_t memory_kib;
		char degraded[NPT_REPORT_DEGRADED_MAX][NPT_TEXT_BYTES];
	} cost;
	struct npt_named_reason unavailable[NPT_REPORT_UNAVAILABLE_MAX];
	struct npt_tls_summary tls[NPT_SUMMARY_TLS_MAX]; /* least coverage, most processes first */
	size_t tls_count;
};

/* Which edges are listed where not all can be: worst finding first, then most bytes. For qsort. */
int npt_edge_summary_compare(const struct npt_edge_summary *a, const struct npt_edge_summary *b);
/*
 * Adds what an earlier agent said of the same pod: numbers, and the edges that come first. Of an
 * edge that both know the worse finding stays, since none can be made of the sum here; what an edge
 * speaks and what is seen of TLS is as the later one says it, if it does. Only a name that was read
 * is kept before one by a hop.
 */
void npt_pod_summary_add(struct npt_pod_summary *into, const struct npt_pod_summary *earlier);
const char *npt_pod_state_name(enum npt_pod_state state); /* "Pending" ... */
