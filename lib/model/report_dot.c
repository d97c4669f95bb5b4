/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's name is made of what it stands for, so that an end which is named twice is one node.
 * Every text is a quoted string: in it only " and \ mean something, and both are escaped.
 */
#include "lib/model/report_dot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"

#define LABEL_BYTES 1024

struct graph {
	const struct npt_report *report;
	struct npt_buffer *out;
	int result;
};

static void put(struct graph *graph, const char *text)
{
	int r = npt_buffer_append_text(graph->out, text);

	if (r < 0)
		graph->result = r;
}

/* Quoted; a line feed is a new line of the label, other control characters are "?". */
static void put_text(struct graph *graph, const char *text)
{
	char one[2] = "";

	put(graph, "\"");
	for (; *text; text++) {
		one[0] = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;
		if (*text == '\n')
			put(graph, "\\n");
		else if (*text == '"' || *text == '\\')
			put(graph, *text == '"' ? "\\\"" : "\\\\");
		else
			put(graph, one);
	}
	put(graph, "\"");
}

static void process_node(const char *pod, const char *name, uint32_t pid, char *out)
{
	(void)snprintf(out, LABEL_BYTES, "process/%s/%s/%u", pod, name, pid);
}

static void peer_node(const struct npt_edge *edge, char *out)
{
	const struct npt_peer *peer = &edge->peer;

	if (peer->kind == NPT_PEER_PROCESS)
		process_node(edge->process.pod, peer->name, peer->pid, out);
	else if (peer->name[0])
		(void)snprintf(out, LABEL_BYTES, "%s/%s/%s", npt_peer_kind_name(peer->kind),
			       peer->namespace_name, peer->name);
	else
		(void)snprintf(out, LABEL_BYTES, "address/%s",
			       peer->address[0] ? peer->address : "*");
}

/* Whether b is the other end of a. */
static bool is_other_end(const struct npt_edge *a, const struct npt_edge *b)
{
	if (a->role == b->role || a->peer.port != b->peer.port || a->peer.kind != b->peer.kind ||
	    strcmp(a->transport, b->transport) != 0)
		return false;
	if (a->peer.kind == NPT_PEER_PROCESS)
		return a->peer.pid == b->process.pid && b->peer.pid == a->process.pid;
	return a->peer.kind == NPT_PEER_POD && strcmp(a->peer.name, b->process.pod) == 0 &&
	       strcmp(b->peer.name, a->process.pod) == 0;
}

/* The one edge that is the other end of this one, if it was measured, too; NULL: none, or several.
 */
static const struct npt_edge *other_end(const struct graph *graph, const struct npt_edge *edge)
{
	const struct npt_edge *found = NULL;

	for (size_t i = 0; i < graph->report->edges_count; i++) {
		const struct npt_edge *candidate = &graph->report->edges[i];

		if (!is_other_end(edge, candidate))
			continue;
		if (found)
			return NULL;
		found = candidate;
	}
	return found;
}

static void declare_process(struct graph *graph, const char *pod, const char *name, uint32_t pid)
{
	char id[LABEL_BYTES], label[LABEL_BYTES];

	process_node(pod, name, pid, id);
	(void)snprintf(label, sizeof(label), "%s[%u]", name, pid);
	put(graph, "    ");
	put_text(graph, id);
	put(graph, " [label=");
	put_text(graph, label);
	put(graph, ", shape=box];\n");
}

/* Whoever is declared twice is the same node for DOT: only the text grows. */
static void declare_pod(struct graph *graph, size_t first)
{
	const struct npt_report *report = graph->report;
	const char *pod = report->edges[first].process.pod;
	char cluster[LABEL_BYTES];

	(void)snprintf(cluster, sizeof(cluster), "cluster_%s", pod);
	put(graph, "  subgraph ");
	put_text(graph, cluster);
	put(graph, " {\n    label=");
	put_text(graph, pod[0] ? pod : "this machine");
	put(graph, ";\n");
	for (size_t i = first; i < report->edges_count; i++) {
		const struct npt_edge *edge = &report->edges[i];

		if (strcmp(edge->process.pod, pod) != 0)
			continue;
		declare_process(graph, pod, edge->process.name, edge->process.pid);
		if (edge->peer.kind == NPT_PEER_PROCESS)
			declare_process(graph, pod, edge->peer.name, edge->peer.pid);
	}
	put(graph, "  }\n");
}

static void declare_pods(struct graph *graph)
{
	for (size_t i = 0; i < graph->report->edges_count; i++) {
		bool first = true;

		for (size_t j = 0; j < i && first; j++)
			first = strcmp(graph->report->edges[i].process.pod,
				       graph->report->edges[j].process.pod) != 0;
		if (first)
			declare_pod(graph, i);
	}
}

static void declare_peer(struct graph *graph, const struct npt_edge *edge)
{
	const struct npt_peer *peer = &edge->peer;
	char id[LABEL_BYTES], label[LABEL_BYTES];

	if (peer->kind == NPT_PEER_PROCESS || other_end(graph, edge))
		return;
	peer_node(edge, id);
	if (peer->name[0])
		(void)snprintf(label, sizeof(label), "%s %s", npt_peer_kind_name(peer->kind),
			       peer->name);
	else
		(void)snprintf(label, sizeof(label), "%s", peer->address[0] ? peer->address : "*");
	put(graph, "  ");
	put_text(graph, id);
	put(graph, " [label=");
	put_text(graph, label);
	put(graph, ", shape=ellipse];\n");
}

static void put_arrow(struct graph *graph, const struct npt_edge *edge,
		      const struct npt_edge_quantiles *quantiles)
{
	char process[LABEL_BYTES], peer[LABEL_BYTES], label[LABEL_BYTES], rtt[48] = "";
	char title[NPT_PROTOCOL_TITLE_BYTES];
	const struct npt_edge *other = other_end(graph, edge);
	bool is_server = edge->role == NPT_ROLE_SERVER;
	bool is_bad = npt_verdict_severity(edge->finding.verdict) > 0;

	/* Both ends were measured: one arrow, with the client's numbers. */
	if (other && is_server)
		return;
	process_node(edge->process.pod, edge->process.name, edge->process.pid, process);
	if (other)
		process_node(other->process.pod, other->process.name, other->process.pid, peer);
	else
		peer_node(edge, peer);
	npt_edge_protocol_title(edge, title);
	if (quantiles->known[NPT_METRIC_RTT])
		(void)snprintf(rtt, sizeof(rtt), "\nRTT p95 %" PRIu64 " us",
			       quantiles->micros[NPT_METRIC_RTT].p95);
	(void)snprintf(label, sizeof(label),
		       "%s :%u\n%" PRIu64 " B sent, %" PRIu64 " B received%s%s%s", title,
		       edge->peer.port, edge->sent.bytes, edge->received.bytes, rtt,
		       is_bad ? "\n" : "", is_bad ? npt_verdict_name(edge->finding.verdict) : "");
	put(graph, "  ");
	put_text(graph, is_server ? peer : process);
	put(graph, " -> ");
	put_text(graph, is_server ? process : peer);
	put(graph, " [label=");
	put_text(graph, label);
	if (is_bad) {
		put(graph, ", color=red, fontcolor=red, tooltip=");
		put_text(graph, edge->finding.text);
	}
	put(graph, "];\n");
}

int npt_report_to_dot(const struct npt_report *report, const struct npt_edge_quantiles *quantiles,
		      struct npt_buffer *out)
{
	struct graph graph = { .report = report, .out = out };

	put(&graph, "digraph ");
	put_text(&graph, report->task.name[0] ? report->task.name : "npt");
	put(&graph, " {\n  rankdir=LR;\n");
	declare_pods(&graph);
	for (size_t i = 0; i < report->edges_count; i++)
		declare_peer(&graph, &report->edges[i]);
	for (size_t i = 0; i < report->edges_count; i++) {
		struct npt_edge_quantiles own;

		if (!quantiles)
			npt_edge_quantiles_of(&report->edges[i], &own);
		put_arrow(&graph, &report->edges[i], quantiles ? &quantiles[i] : &own);
	}
	put(&graph, "}\n");
	return graph.result;
}
