/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A status for eyes: what matters first, a bounded number of rows, no number that is not an
 * integer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/core/clock.h"
#include "lib/model/json.h"
#include "lib/model/summary_json.h"
#include "lib/model/task.h"

#define UNAVAILABLE_MAX 40 /* names; agents of several versions may have names of their own */

void npt_task_totals(const struct npt_task_status *status, struct npt_task_totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	for (size_t i = 0; i < status->pods_count; i++) {
		const struct npt_pod_summary *summary = status->pods[i].summary;

		totals->running += status->pods[i].state == NPT_POD_RUNNING;
		totals->failed += status->pods[i].state == NPT_POD_FAILED;
		if (!summary)
			continue;
		totals->edges += summary->edges;
		totals->edges_judged += summary->edges_judged;
		totals->connections += summary->connections;
		totals->bytes_sent += summary->bytes_sent;
		totals->bytes_received += summary->bytes_received;
		totals->segments_sent += summary->segments_sent;
		totals->retransmit_segments += summary->retransmit_segments;
		totals->drops += summary->drops;
		totals->lost += summary->lost_events + summary->lost_edges;
		totals->windows += summary->windows;
		totals->windows_stored += summary->windows_stored;
		totals->windows_dropped += summary->windows_dropped;
		npt_histogram_merge(&totals->rtt, &summary->rtt);
	}
}

static json_t *quantiles_json(struct npt_quantiles micros)
{
	json_t *object = json_object();

	npt_json_set_number(object, "p50", micros.p50);
	npt_json_set_number(object, "p95", micros.p95);
	npt_json_set_number(object, "p99", micros.p99);
	return object;
}

static json_t *summary_json(const struct npt_task_totals *totals)
{
	uint64_t segments = totals->segments_sent + totals->retransmit_segments;
	struct npt_quantiles rtt = {
		.p50 = npt_histogram_quantile_micros(&totals->rtt, 500),
		.p95 = npt_histogram_quantile_micros(&totals->rtt, 950),
		.p99 = npt_histogram_quantile_micros(&totals->rtt, 990),
	};
	json_t *object = json_object();

	npt_json_set_number(object, "edges", totals->edges);
	npt_json_set_number(object, "connections", totals->connections);
	npt_json_set_number(object, "bytesSent", totals->bytes_sent);
	npt_json_set_number(object, "bytesReceived", totals->bytes_received);
	npt_json_set_number(object, "retransmitPermille",
			    segments ? totals->retransmit_segments * 1000 / segments : 0);
	npt_json_set_number(object, "drops", totals->drops);
	npt_json_set_number(object, "lost", totals->lost);
	npt_json_set_number(object, "windows", totals->windows);
	npt_json_set_number(object, "windowsStored", totals->windows_stored);
	npt_json_set(object, "rttMicros", quantiles_json(rtt));
	return object;
}

static json_t *peer_json(const struct npt_peer *peer)
{
	json_t *object = json_object();

	npt_json_set_text(object, "kind", npt_peer_kind_name(peer->kind));
	npt_json_set_some_text(object, "name", peer->name);
	npt_json_set_some_text(object, "namespace", peer->namespace_name);
	npt_json_set_some_text(object, "address", peer->address);
	npt_json_set_number(object, "port", peer->port);
	npt_json_set_some_text(object, "asked", peer->asked);
	npt_json_set_some_text(object, "reached", peer->reached);
	return object;
}

/* What is known of what is spoken: nothing is said that is not. */
static void set_label(json_t *object, const struct npt_edge_summary *edge)
{
	if (npt_protocol_is_known(edge->protocol)) {
		npt_json_set_text(object, "protocol", edge->protocol);
		npt_json_set_number(object, "protocolConfidencePermille",
				    edge->protocol_confidence_permille);
		if (edge->protocol_by_hop)
			npt_json_set_text(object, "protocolFrom", "hop");
	}
	if (edge->tls != NPT_TLS_UNKNOWN)
		npt_json_set_text(object, "tls", npt_tls_name(edge->tls));
	npt_json_set_some_text(object, "tlsVersion", edge->tls_version);
	npt_json_set_some_text(object, "sni", edge->sni);
	npt_json_set_some_text(object, "alpn", edge->alpn);
	npt_json_set_some_text(object, "cipher", edge->cipher);
}

static json_t *edge_json(const char *pod, const struct npt_edge_summary *edge)
{
	json_t *object = json_object();

	npt_json_set_text(object, "pod", pod);
	npt_json_set_text(object, "process", edge->process.name);
	npt_json_set_number(object, "pid", edge->process.pid);
	npt_json_set_some_text(object, "container", edge->process.container);
	npt_json_set_text(object, "role", npt_role_name(edge->role));
	npt_json_set(object, "peer", peer_json(&edge->peer));
	npt_json_set_some_text(object, "transport", edge->transport);
	set_label(object, edge);
	npt_json_set_number(object, "connections", edge->connections_opened);
	npt_json_set_number(object, "open", edge->connections_open);
	npt_json_set_number(object, "failed", edge->connections_failed);
	npt_json_set_number(object, "bytesSent", edge->bytes_sent);
	npt_json_set_number(object, "bytesReceived", edge->bytes_received);
	npt_json_set_number(object, "writes", edge->writes);
	npt_json_set_number(object, "reads", edge->reads);
	npt_json_set_number(object, "retransmits", edge->retransmit_segments);
	npt_json_set_number(object, "drops", edge->drops);
	npt_json_set(object, "rttMicros", quantiles_json(edge->rtt_micros));
	npt_json_set(object, "writeMicros", quantiles_json(edge->write_micros));
	npt_json_set(object, "readMicros", quantiles_json(edge->read_micros));
	/* Most edges have no responses, and no response takes no time. */
	if (edge->response_micros.p99 > 0)
		npt_json_set(object, "responseMicros", quantiles_json(edge->response_micros));
	npt_json_set_text(object, "verdict", npt_verdict_name(edge->verdict));
	npt_json_set_some_text(object, "cause", npt_verdict_cause(edge->verdict));
	npt_json_set_number(object, "confidencePermille", edge->confidence_permille);
	npt_json_set_some_text(object, "finding", edge->finding);
	return object;
}

struct edge_row {
	const char *pod;
	const struct npt_edge_summary *edge;
};

static int compare_rows(const void *left, const void *right)
{
	return npt_edge_summary_compare(((const struct edge_row *)left)->edge,
					((const struct edge_row *)right)->edge);
}

/* Of all pods, sorted. */
static struct edge_row *edge_rows(const struct npt_task_status *status, size_t *count_ret)
{
	struct edge_row *rows =
		npt_alloc(status->pods_count * NPT_SUMMARY_EDGES_MAX, sizeof(*rows));
	size_t count = 0;

	for (size_t i = 0; i < status->pods_count; i++) {
		const struct npt_pod_summary *summary = status->pods[i].summary;

		for (size_t j = 0; summary && j < summary->top_count; j++)
			rows[count++] = (struct edge_row){ status->pods[i].name, &summary->top[j] };
	}
	qsort(rows, count, sizeof(*rows), compare_rows);
	*count_ret = count;
	return rows;
}

static json_t *edges_json(const struct edge_row *rows, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count && i < NPT_STATUS_EDGES_MAX; i++)
		(void)json_array_append_new(array, edge_json(rows[i].pod, rows[i].edge));
	return array;
}

static json_t *degraded_json(const struct npt_pod_summary *summary)
{
	json_t *array = json_array();

	for (size_t i = 0; i < NPT_REPORT_DEGRADED_MAX && summary->cost.degraded[i][0]; i++)
		(void)json_array_append_new(array, npt_json_string(summary->cost.degraded[i]));
	return array;
}

static json_t *pod_json(const struct npt_pod_status *pod)
{
	json_t *object = json_object(), *cost;

	npt_json_set_text(object, "name", pod->name);
	npt_json_set_text(object, "uid", pod->uid);
	npt_json_set_text(object, "node", pod->node);
	npt_json_set_text(object, "state", npt_pod_state_name(pod->state));
	npt_json_set_some_text(object, "reason", pod->reason);
	npt_json_set_some_text(object, "message", pod->message);
	if (!pod->summary)
		return object;
	npt_json_set_number(object, "processes", pod->summary->processes);
	npt_json_set_number(object, "edges", pod->summary->edges);
	cost = json_object();
	npt_json_set_number(cost, "cpuMillis", pod->summary->cost.cpu_ms);
	npt_json_set_number(cost, "nanosPerOperation", pod->summary->cost.ns_per_operation);
	npt_json_set_number(cost, "memoryKiB", pod->summary->cost.memory_kib);
	npt_json_set_number(cost, "lost", pod->summary->lost_events + pod->summary->lost_edges);
	npt_json_set(cost, "degraded", degraded_json(pod->summary));
	npt_json_set(object, "cost", cost);
	if (pod->summary->tls_count > 0)
		npt_json_set(object, "tls", npt_tls_summaries_to_json(pod->summary));
	return object;
}

static json_t *pods_json(const struct npt_task_status *status)
{
	json_t *array = json_array();

	for (int failing = 1; failing >= 0; failing--) {
		for (size_t i = 0; i < status->pods_count; i++) {
			const struct npt_pod_status *pod = &status->pods[i];

			if ((pod->state == NPT_POD_FAILED) == (failing != 0) &&
			    json_array_size(array) < NPT_STATUS_PODS_MAX)
				(void)json_array_append_new(array, pod_json(pod));
		}
	}
	return array;
}

/* What every agent said, and the layers that nobody has. */
static json_t *unavailable_json(const struct npt_task_status *status)
{
	json_t *object = json_object();

	for (unsigned int i = NPT_LAYER_REQUESTS; i < NPT_LAYER_COUNT; i++) {
		if (status->layers[i])
			npt_json_set_text(object, npt_layer_name((enum npt_layer)i),
					  "this version does not have the layer");
	}
	for (size_t i = 0; i < status->pods_count; i++) {
		const struct npt_pod_summary *summary = status->pods[i].summary;

		for (size_t j = 0;
		     summary && j < NPT_REPORT_UNAVAILABLE_MAX && summary->unavailable[j].name[0] &&
		     json_object_size(object) < UNAVAILABLE_MAX;
		     j++)
			npt_json_set_text(object, summary->unavailable[j].name,
					  summary->unavailable[j].reason);
	}
	return object;
}

static json_t *conditions_json(const struct npt_task_status *status)
{
	static const char *const types[NPT_CONDITION_COUNT] = { "Accepted", "TargetsResolved",
								"Running",  "ResultsStored",
								"Complete", "Failed" };
	static const char *const values[] = { "Unknown", "True", "False" };
	json_t *array = json_array();

	for (size_t i = 0; i < NPT_CONDITION_COUNT; i++) {
		const struct npt_condition *condition = &status->conditions[i];
		json_t *object = json_object();
		char time[NPT_RFC3339_BYTES];

		npt_rfc3339_seconds(condition->changed_unix_ms, time);
		npt_json_set_text(object, "type", types[i]);
		npt_json_set_text(object, "status", values[condition->value]);
		npt_json_set(object, "observedGeneration",
			     json_integer(status->observed_generation));
		npt_json_set_text(object, "lastTransitionTime", time);
		npt_json_set_text(object, "reason",
				  condition->reason[0] ? condition->reason : "Pending");
		npt_json_set_text(object, "message", condition->message);
		(void)json_array_append_new(array, object);
	}
	return array;
}

static json_t *targets_json(const struct npt_task_status *status,
			    const struct npt_task_totals *totals)
{
	json_t *object = json_object();

	npt_json_set_number(object, "pods", status->pods_count);
	npt_json_set_number(object, "nodes", status->nodes);
	npt_json_set_number(object, "running", totals->running);
	npt_json_set_number(object, "failed", totals->failed);
	npt_json_set_number(object, "skipped", status->skipped);
	return object;
}

/* From the client to the server's port. A listener that is at fault is so for all its clients. */
static char *who_to_whom(const struct edge_row *row)
{
	const struct npt_edge_summary *edge = row->edge;
	const char *peer = edge->peer.name[0] ? edge->peer.name : edge->peer.address;
	bool is_server = edge->role == NPT_ROLE_SERVER;
	npt_auto_free char *other = NULL;
	npt_auto_free char *own = npt_format("%s%s%s", row->pod, edge->process.name[0] ? "/" : "",
					     edge->process.name);

	if (is_server && (edge->verdict == NPT_VERDICT_LISTENER || peer[0] == '\0'))
		return npt_format("%s:%u", own, edge->peer.port);
	other = npt_format(strchr(peer, ':') ? "[%s]" : "%s", peer[0] ? peer : "unknown");
	return npt_format("%s -> %s:%u", is_server ? other : own, is_server ? own : other,
			  edge->peer.port);
}

/* Left out, not seen yet, or with a gap: a reason says so, but for a pod that just left. */
static uint64_t count_unmeasured(const struct npt_task_status *status)
{
	uint64_t count = status->skipped;

	for (size_t i = 0; i < status->pods_count; i++) {
		const struct npt_pod_status *pod = &status->pods[i];

		count += !pod->summary || pod->state == NPT_POD_PENDING ||
			 pod->state == NPT_POD_FAILED ||
			 (pod->reason[0] && pod->state != NPT_POD_GONE);
	}
	return count;
}

/* Claims no more than was looked at: "" where nothing was. */
static char *no_finding_text(const struct npt_task_status *status,
			     const struct npt_task_totals *totals)
{
	uint64_t unmeasured = count_unmeasured(status);
	npt_auto_free char *pods = npt_strdup("");

	if (totals->edges == 0)
		return npt_take(pods);
	if (totals->edges_judged == 0)
		return npt_format("unknown: the numbers of %" PRIu64 " edges do not say",
				  totals->edges);
	if (totals->edges_judged == totals->edges && unmeasured == 0 && totals->lost == 0)
		return npt_strdup("no problem found");
	if (unmeasured > 0) {
		free(pods);
		pods = npt_format(", %" PRIu64 " of %" PRIu64 " pods not fully measured",
				  unmeasured, status->pods_count + status->skipped);
	}
	return npt_format("no problem found in %" PRIu64 " of %" PRIu64 " edges%s%s",
			  totals->edges_judged, totals->edges, pods,
			  totals->lost > 0 ? ", data was lost" : "");
}

static char *finding_text(const struct npt_task_status *status,
			  const struct npt_task_totals *totals, const struct edge_row *rows,
			  size_t count)
{
	const struct npt_edge_summary *worst = count > 0 ? rows[0].edge : NULL;
	npt_auto_free char *who = NULL;

	if (!worst || npt_verdict_severity(worst->verdict) == 0)
		return no_finding_text(status, totals);
	who = who_to_whom(&rows[0]);
	return npt_format("%s: %s", who,
			  worst->finding[0] ? worst->finding : npt_verdict_name(worst->verdict));
}

static void set_time(json_t *object, const char *key, uint64_t unix_ms)
{
	char text[NPT_RFC3339_BYTES];

	if (unix_ms == 0)
		return;
	npt_rfc3339_seconds(unix_ms, text);
	npt_json_set_text(object, key, text);
}

static void say_truncated(json_t *object, const char *message)
{
	npt_auto_free char *text =
		npt_format("%s%sTruncated: rows were left out, the status was too large", message,
			   message[0] ? ". " : "");

	npt_json_set_text(object, "message", text);
}

static bool fits(const json_t *object)
{
	npt_auto_free char *text = json_dumps(object, JSON_COMPACT);

	return strlen(text) <= NPT_STATUS_BYTES_MAX;
}

/* What is seen of TLS goes, of the last pods first, then rows, the last ones first. */
static void shrink(json_t *object, const char *message)
{
	static const char *const lists[] = { "pods", "edges" };
	const json_t *pods = json_object_get(object, "pods");

	for (size_t i = json_array_size(pods); i > 0 && !fits(object); i--) {
		if (json_object_del(json_array_get(pods, i - 1), "tls") == 0)
			say_truncated(object, message);
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(lists); i++) {
		json_t *rows = json_object_get(object, lists[i]);

		while (json_array_size(rows) > 0) {
			if (fits(object))
				return;
			(void)json_array_remove(rows, json_array_size(rows) - 1);
			say_truncated(object, message);
		}
	}
}

json_t *npt_task_status_to_json(const struct npt_task_status *status)
{
	json_t *object = json_object(), *reference;
	npt_auto_free struct npt_task_totals *totals = npt_alloc(1, sizeof(*totals));
	npt_auto_free struct edge_row *rows = NULL;
	npt_auto_free char *finding = NULL;
	size_t rows_count = 0;

	npt_task_totals(status, totals);
	rows = edge_rows(status, &rows_count);
	finding = finding_text(status, totals, rows, rows_count);
	npt_json_set_text(object, "phase", npt_task_phase_name(status->phase));
	npt_json_set(object, "finished", json_boolean(status->finished));
	npt_json_set(object, "observedGeneration", json_integer(status->observed_generation));
	set_time(object, "startTime", status->started_unix_ms);
	set_time(object, "completionTime", status->completed_unix_ms);
	npt_json_set_text(object, "target", status->target);
	npt_json_set_text(object, "message", status->message);
	npt_json_set_text(object, "finding", finding);
	npt_json_set(object, "targets", targets_json(status, totals));
	npt_json_set(object, "summary", summary_json(totals));
	npt_json_set(object, "unavailable", unavailable_json(status));
	npt_json_set(object, "edges", edges_json(rows, rows_count));
	npt_json_set(object, "pods", pods_json(status));
	npt_json_set(object, "conditions", conditions_json(status));
	if (status->result_url[0]) {
		reference = json_object();
		npt_json_set_text(reference, "url", status->result_url);
		npt_json_set(object, "resultRef", reference);
	}
	shrink(object, status->message);
	return object;
}
