/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON is made pod by pod, edge by edge: a pod's report is gone when the next one comes.
 *
 * An edge goes from who opened the connection to who accepted it. A connection inside a pod has two
 * edges, one of each end; each names the other, so that it can be drawn once.
 */
#include "lib/model/topology.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/strmap.h"
#include "lib/model/json.h"
#include "lib/model/report_merge.h"

#define NODES_MAX     16384
#define NODE_ID_BYTES (2 * NPT_NAME_BYTES + 32)

struct npt_topology {
	json_t *nodes;
	json_t *edges;
	json_t *pods;
	struct npt_strmap *known; /* nodes by id */
	uint64_t other_edges;
};

static const char known_node[] = "";

struct npt_topology *npt_topology_new(void)
{
	struct npt_topology *topology = npt_alloc(1, sizeof(*topology));

	topology->nodes = json_array();
	topology->edges = json_array();
	topology->pods = json_array();
	topology->known = npt_strmap_new(NODES_MAX, NULL);
	return topology;
}

void npt_topology_free(struct npt_topology *topology)
{
	if (!topology)
		return;
	json_decref(topology->nodes);
	json_decref(topology->edges);
	json_decref(topology->pods);
	npt_strmap_free(topology->known);
	free(topology);
}

/* The node, new or not; its members are set by who made it. NULL: it is there already. */
static json_t *add_node(struct npt_topology *topology, const char *id, const char *kind)
{
	json_t *node;

	if (npt_strmap_get(topology->known, id) ||
	    npt_strmap_set(topology->known, id, (void *)(uintptr_t)known_node) < 0)
		return NULL;
	node = json_object();
	npt_json_set_text(node, "id", id);
	npt_json_set_text(node, "kind", kind);
	(void)json_array_append_new(topology->nodes, node);
	return node;
}

static void process_id(const struct npt_report *pod, uint32_t pid, char *id)
{
	(void)snprintf(id, NODE_ID_BYTES, "%s/%s/%u", pod->pod.namespace_name, pod->pod.name, pid);
}

static void add_process(struct npt_topology *topology, const struct npt_report *pod,
			const struct npt_process *process, char *id)
{
	json_t *node;

	process_id(pod, process->pid, id);
	node = add_node(topology, id, "process");
	if (!node)
		return;
	npt_json_set_text(node, "name", process->name);
	npt_json_set_number(node, "pid", process->pid);
	npt_json_set_some_text(node, "container", process->container);
	npt_json_set_text(node, "pod", pod->pod.name);
	npt_json_set_text(node, "namespace", pod->pod.namespace_name);
}

static void add_peer(struct npt_topology *topology, const struct npt_report *pod,
		     const struct npt_peer *peer, char *id)
{
	const char *kind = npt_peer_kind_name(peer->kind);
	json_t *node;

	if (peer->kind == NPT_PEER_PROCESS)
		process_id(pod, peer->pid, id);
	else if (peer->kind == NPT_PEER_ADDRESS)
		(void)snprintf(id, NODE_ID_BYTES, "address/%s", peer->address);
	else if (peer->kind == NPT_PEER_NODE)
		(void)snprintf(id, NODE_ID_BYTES, "node/%s", peer->name);
	else
		(void)snprintf(id, NODE_ID_BYTES, "%s/%s/%s", kind, peer->namespace_name,
			       peer->name);
	node = add_node(topology, id, kind);
	if (!node)
		return;
	npt_json_set_text(node, "name", peer->name[0] ? peer->name : peer->address);
	npt_json_set_some_text(node, "namespace", peer->namespace_name);
	if (peer->kind == NPT_PEER_PROCESS) {
		npt_json_set_number(node, "pid", peer->pid);
		npt_json_set_text(node, "pod", pod->pod.name);
		npt_json_set_text(node, "namespace", pod->pod.namespace_name);
	}
}

/* The edge of the other end of the same connections, in the same pod. */
static const struct npt_edge *other_end(const struct npt_report *pod, const struct npt_edge *edge)
{
	if (edge->peer.kind != NPT_PEER_PROCESS)
		return NULL;
	for (size_t i = 0; i < pod->edges_count; i++) {
		const struct npt_edge *other = &pod->edges[i];

		if (other != edge && other->process.pid == edge->peer.pid &&
		    other->peer.pid == edge->process.pid && other->peer.port == edge->peer.port &&
		    other->role != edge->role && other->label == edge->label &&
		    strcmp(other->transport, edge->transport) == 0)
			return other;
	}
	return NULL;
}

static void set_times(json_t *object, const struct npt_edge *edge, enum npt_metric_id id)
{
	const struct npt_metric *metric = &edge->metrics[id];
	json_t *times;

	if (npt_metric_quality(id, metric) == NPT_QUALITY_UNAVAILABLE || metric->micros.count == 0)
		return;
	times = json_object();
	npt_json_set_number(times, "count", metric->count);
	npt_json_set_number(times, "p50", npt_histogram_quantile_micros(&metric->micros, 500));
	npt_json_set_number(times, "p95", npt_histogram_quantile_micros(&metric->micros, 950));
	npt_json_set_number(times, "p99", npt_histogram_quantile_micros(&metric->micros, 990));
	npt_json_set(object, npt_metric_name(id), times);
}

static uint64_t sum(const struct npt_named_count *counts, size_t max)
{
	uint64_t total = 0;

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		total += counts[i].count;
	return total;
}

static void set_what_is_spoken(json_t *object, const struct npt_edge *edge)
{
	char title[NPT_PROTOCOL_TITLE_BYTES];

	npt_edge_protocol_title(edge, title);
	npt_json_set_text(object, "transport", edge->transport);
	npt_json_set_text(object, "protocol", npt_edge_protocol(edge));
	if (npt_edge_is_named_by_hop(edge))
		npt_json_set_text(object, "protocolFrom", "hop");
	npt_json_set_text(object, "title", title);
	npt_json_set_text(object, "tls", npt_tls_name(edge->tls));
	npt_json_set_some_text(object, "tlsVersion", edge->tls_facts.version);
}

static void set_numbers(json_t *object, const struct npt_edge *edge)
{
	json_t *connections = json_object();

	npt_json_set_number(connections, "open", edge->connections.open);
	npt_json_set_number(connections, "opened", edge->connections.opened);
	npt_json_set_number(connections, "failed",
			    sum(edge->connections.failed, NPT_EDGE_FAILED_MAX));
	npt_json_set(object, "connections", connections);
	npt_json_set_number(object, "sentBytes", edge->sent.bytes);
	npt_json_set_number(object, "receivedBytes", edge->received.bytes);
	npt_json_set_number(object, "sentSegments", edge->sent.segments);
	npt_json_set_number(object, "retransmitSegments", edge->retransmit.segments);
	npt_json_set_number(object, "drops", sum(edge->drops, NPT_EDGE_DROPS_MAX));
	npt_json_set_number(object, "resets",
			    sum(edge->resets_sent, NPT_EDGE_RESETS_MAX) +
				    sum(edge->resets_received, NPT_EDGE_RESETS_MAX));
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++)
		set_times(object, edge, (enum npt_metric_id)i);
}

static void set_finding(json_t *object, const struct npt_edge *edge)
{
	json_t *finding = json_object();

	npt_json_set_text(finding, "verdict", npt_verdict_name(edge->finding.verdict));
	npt_json_set_some_text(finding, "cause", npt_verdict_cause(edge->finding.verdict));
	npt_json_set_number(finding, "severity", npt_verdict_severity(edge->finding.verdict));
	npt_json_set(finding, "confidence", json_real(edge->finding.confidence_permille / 1000.0));
	npt_json_set_text(finding, "text", edge->finding.text);
	npt_json_set(object, "finding", finding);
}

static void add_edge(struct npt_topology *topology, const struct npt_report *pod,
		     const struct npt_edge *edge)
{
	const struct npt_edge *other = other_end(pod, edge);
	char id[NPT_EDGE_ID_BYTES], process[NODE_ID_BYTES], peer[NODE_ID_BYTES];
	bool is_server = edge->role == NPT_ROLE_SERVER;
	json_t *object = json_object();

	add_process(topology, pod, &edge->process, process);
	add_peer(topology, pod, &edge->peer, peer);
	npt_edge_id(edge, id);
	npt_json_set_text(object, "id", id);
	npt_json_set_text(object, "source", is_server ? peer : process);
	npt_json_set_text(object, "target", is_server ? process : peer);
	npt_json_set_text(object, "process", process); /* at which end it was measured */
	npt_json_set_text(object, "role", npt_role_name(edge->role));
	npt_json_set_number(object, "port", edge->peer.port);
	npt_json_set_some_text(object, "asked", edge->peer.asked);
	if (other) {
		npt_edge_id(other, id);
		npt_json_set_text(object, "otherEnd", id);
	}
	set_what_is_spoken(object, edge);
	set_numbers(object, edge);
	set_finding(object, edge);
	(void)json_array_append_new(topology->edges, object);
}

/* Processes first, so that a peer that is one has all its names. */
static void add_processes(struct npt_topology *topology, const struct npt_report *pod)
{
	char id[NODE_ID_BYTES];

	for (size_t i = 0; i < pod->edges_count; i++)
		add_process(topology, pod, &pod->edges[i].process, id);
}

void npt_topology_add_pod(struct npt_topology *topology, const struct npt_report *pod)
{
	npt_auto_free const struct npt_edge **sorted =
		npt_alloc(pod->edges_count + 1, sizeof(*sorted));
	size_t room = NPT_TOPOLOGY_EDGES_MAX - json_array_size(topology->edges);
	json_t *object = json_object();

	npt_json_set_text(object, "namespace", pod->pod.namespace_name);
	npt_json_set_text(object, "name", pod->pod.name);
	npt_json_set_text(object, "uid", pod->pod.uid);
	npt_json_set_text(object, "node", pod->node);
	(void)json_array_append_new(topology->pods, object);
	for (size_t i = 0; i < pod->edges_count; i++)
		sorted[i] = &pod->edges[i];
	qsort(sorted, pod->edges_count, sizeof(*sorted), npt_edge_worst_first);
	add_processes(topology, pod);
	for (size_t i = 0; i < pod->edges_count && i < room; i++)
		add_edge(topology, pod, sorted[i]);
	if (pod->edges_count > room)
		topology->other_edges += pod->edges_count - room;
}

char *npt_topology_to_json(struct npt_topology *topology, const struct npt_report *head)
{
	json_t *object = npt_json_head("Topology", head), *lost = json_object();
	char *text;

	npt_json_set_number(lost, "events", head->lost.events);
	npt_json_set_number(lost, "edges", head->lost.edges);
	npt_json_set(object, "lost", lost);
	npt_json_set(object, "pods", json_incref(topology->pods));
	npt_json_set(object, "nodes", json_incref(topology->nodes));
	npt_json_set(object, "edges", json_incref(topology->edges));
	npt_json_set_number(object, "otherEdges", topology->other_edges + head->other_edges);
	text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(3));
	json_decref(object);
	return text;
}
