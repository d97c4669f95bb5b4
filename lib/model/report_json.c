/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of a report: names that others rely on (docs/api.md). Integers, saturated at 2^53-1 so
 * that no reader rounds them, but for confidences; what was not measured is absent and
 * named in "unavailable".
 */
#include "lib/model/report.h"

#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/model/json.h"
#include "lib/model/report_merge.h"

#define CONFIDENCE_DIGITS 3 /* it is counted in thousandths */

static json_t *named_counts(const struct npt_named_count *counts, size_t max)
{
	json_t *object = json_object();

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		npt_json_set_number(object, counts[i].name, counts[i].count);
	return object;
}

static json_t *histogram_json(const struct npt_histogram *histogram)
{
	json_t *object = json_object();

	npt_json_set_number(object, "count", histogram->count);
	npt_json_set_number(object, "sum", histogram->sum_micros);
	npt_json_set_number(object, "p50", npt_histogram_quantile_micros(histogram, 500));
	npt_json_set_number(object, "p95", npt_histogram_quantile_micros(histogram, 950));
	npt_json_set_number(object, "p99", npt_histogram_quantile_micros(histogram, 990));
	npt_json_set_number(object, "max", histogram->max_micros);
	npt_json_set(object, "buckets", npt_json_buckets(histogram));
	return object;
}

static json_t *metric_json(enum npt_metric_id id, const struct npt_metric *metric)
{
	json_t *object = json_object();

	npt_json_set_number(object, "count", metric->count);
	if (id == NPT_METRIC_WRITE || id == NPT_METRIC_READ)
		npt_json_set_number(object, "bytes", metric->bytes);
	if (id == NPT_METRIC_RESPONSE)
		npt_json_set_number(object, "overlapped", metric->overlapped);
	if (id == NPT_METRIC_RTT)
		npt_json_set_number(object, "min", metric->min_micros);
	npt_json_set_text(object, "quality", npt_quality_name(npt_metric_quality(id, metric)));
	npt_json_set(object, "micros", histogram_json(&metric->micros));
	return object;
}

static json_t *process_json(const struct npt_process *process)
{
	json_t *object = json_object();

	npt_json_set_number(object, "pid", process->pid);
	npt_json_set_number(object, "startNanos", process->start_ns);
	npt_json_set_text(object, "name", process->name);
	npt_json_set_text(object, "comm", process->comm);
	npt_json_set_text(object, "container", process->container);
	npt_json_set_text(object, "pod", process->pod);
	return object;
}

static json_t *peer_json(const struct npt_peer *peer)
{
	json_t *object = json_object();

	npt_json_set_text(object, "kind", npt_peer_kind_name(peer->kind));
	npt_json_set_text(object, "name", peer->name);
	npt_json_set_some_text(object, "namespace", peer->namespace_name);
	if (peer->kind == NPT_PEER_PROCESS)
		npt_json_set_number(object, "pid", peer->pid);
	npt_json_set_text(object, "address", peer->address);
	npt_json_set_number(object, "port", peer->port);
	npt_json_set_some_text(object, "asked", peer->asked);
	npt_json_set_some_text(object, "reached", peer->reached);
	return object;
}

static json_t *connections_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	npt_json_set_number(object, "open", edge->connections.open);
	npt_json_set_number(object, "opened", edge->connections.opened);
	npt_json_set_number(object, "found", edge->connections.found);
	npt_json_set_number(object, "closed", edge->connections.closed);
	npt_json_set_some_number(object, "movedIn", edge->connections.moved_in);
	npt_json_set_some_number(object, "movedOut", edge->connections.moved_out);
	npt_json_set_some_number(object, "kernelTls", edge->connections.kernel_tls);
	npt_json_set(object, "failed", named_counts(edge->connections.failed, NPT_EDGE_FAILED_MAX));
	return object;
}

static json_t *transfer_json(uint64_t bytes, uint64_t segments)
{
	json_t *object = json_object();

	npt_json_set_number(object, "bytes", bytes);
	npt_json_set_number(object, "segments", segments);
	return object;
}

static json_t *retransmit_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	npt_json_set_number(object, "segments", edge->retransmit.segments);
	npt_json_set_number(object, "bytes", edge->retransmit.bytes);
	npt_json_set_number(object, "syn", edge->retransmit.syn);
	npt_json_set_number(object, "tailLoss", edge->retransmit.tail_loss);
	npt_json_set_number(object, "spurious", edge->retransmit.spurious);
	return object;
}

static json_t *resets_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	npt_json_set(object, "sent", named_counts(edge->resets_sent, NPT_EDGE_RESETS_MAX));
	npt_json_set(object, "received", named_counts(edge->resets_received, NPT_EDGE_RESETS_MAX));
	return object;
}

static json_t *limited_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	npt_json_set_number(object, "applicationMicros", edge->limited.application_micros);
	npt_json_set_number(object, "receiveWindowMicros", edge->limited.receive_window_micros);
	npt_json_set_number(object, "sendBufferMicros", edge->limited.send_buffer_micros);
	npt_json_set_number(object, "networkMicros", edge->limited.network_micros);
	return object;
}

static json_t *queue_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	npt_json_set_number(object, "unreadBytes", edge->queue.unread_bytes);
	npt_json_set_number(object, "unsentBytes", edge->queue.unsent_bytes);
	npt_json_set_number(object, "acceptBacklog", edge->queue.accept_backlog);
	npt_json_set_number(object, "acceptBacklogMax", edge->queue.accept_backlog_max);
	npt_json_set_number(object, "synBacklog", edge->queue.syn_backlog);
	npt_json_set_number(object, "listenDrops", edge->queue.listen_drops);
	return object;
}

static json_t *finding_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	npt_json_set_text(object, "verdict", npt_verdict_name(edge->finding.verdict));
	npt_json_set_some_text(object, "cause", npt_verdict_cause(edge->finding.verdict));
	npt_json_set(object, "confidence", json_real(edge->finding.confidence_permille / 1000.0));
	npt_json_set_text(object, "text", edge->finding.text);
	return object;
}

/* What is spoken, as far as it is known. */
static void set_label(json_t *object, const struct npt_edge *edge)
{
	npt_json_set_text(object, "protocol", npt_edge_protocol(edge));
	if (npt_protocol_is_known(npt_edge_protocol(edge)))
		npt_json_set(object, "protocolConfidence",
			     json_real(npt_edge_protocol_confidence_permille(edge) / 1000.0));
	if (npt_edge_is_named_by_hop(edge))
		npt_json_set_text(object, "protocolFrom", "hop");
	npt_json_set_some_number(object, "label", edge->label);
	npt_json_set_text(object, "tls", npt_tls_name(edge->tls));
	npt_json_set_some_text(object, "tlsVersion", edge->tls_facts.version);
	npt_json_set_some_text(object, "sni", edge->tls_facts.sni);
	npt_json_set_some_text(object, "alpn", edge->tls_facts.alpn);
	npt_json_set_some_text(object, "cipher", edge->tls_facts.cipher);
}

static void set_hop(json_t *object, const struct npt_edge *edge)
{
	json_t *hop;

	if (!edge->hop.name[0])
		return;
	hop = json_object();
	npt_json_set_text(hop, "process", edge->hop.process);
	npt_json_set_number(hop, "pid", edge->hop.pid);
	npt_json_set_number(hop, "port", edge->hop.port);
	npt_json_set_text(hop, "protocol", edge->hop.protocol);
	npt_json_set(object, "hop", hop);
}

static void set_handshakes(json_t *object, const struct npt_edge *edge)
{
	json_t *handshakes, *alerts;

	if (!edge->handshakes.count && !edge->handshakes.failed &&
	    !edge->handshakes.alerts_sent[0].name[0] &&
	    !edge->handshakes.alerts_received[0].name[0])
		return;
	alerts = json_object();
	npt_json_set(alerts, "sent",
		     named_counts(edge->handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX));
	npt_json_set(alerts, "received",
		     named_counts(edge->handshakes.alerts_received, NPT_EDGE_ALERTS_MAX));
	handshakes = json_object();
	npt_json_set_number(handshakes, "count", edge->handshakes.count);
	npt_json_set_number(handshakes, "resumed", edge->handshakes.resumed);
	npt_json_set_number(handshakes, "clientCertificates", edge->handshakes.client_certificates);
	npt_json_set_number(handshakes, "failed", edge->handshakes.failed);
	npt_json_set(handshakes, "alerts", alerts);
	npt_json_set(handshakes, "micros", histogram_json(&edge->handshakes.micros));
	npt_json_set(object, "handshakes", handshakes);
}

static json_t *calls_json(uint64_t count, uint64_t bytes)
{
	json_t *object = json_object();

	npt_json_set_number(object, "count", count);
	npt_json_set_number(object, "bytes", bytes);
	return object;
}

static void set_tls_calls(json_t *object, const struct npt_edge *edge)
{
	json_t *calls;

	if (!edge->tls_calls.writes && !edge->tls_calls.reads)
		return;
	calls = json_object();
	npt_json_set(calls, "write",
		     calls_json(edge->tls_calls.writes, edge->tls_calls.written_bytes));
	npt_json_set(calls, "read", calls_json(edge->tls_calls.reads, edge->tls_calls.read_bytes));
	npt_json_set(object, "tlsCalls", calls);
}

/* Which edge it is, and what is known of what it speaks. */
static void set_identity(json_t *object, const struct npt_edge *edge)
{
	char edge_id[NPT_EDGE_ID_BYTES];

	npt_edge_id(edge, edge_id);
	npt_json_set_text(object, "id", edge_id);
	npt_json_set(object, "process", process_json(&edge->process));
	npt_json_set_text(object, "role", npt_role_name(edge->role));
	npt_json_set(object, "peer", peer_json(&edge->peer));
	npt_json_set_text(object, "transport", edge->transport);
	set_label(object, edge);
	set_hop(object, edge);
}

static void set_counters(json_t *object, const struct npt_edge *edge)
{
	npt_json_set(object, "connections", connections_json(edge));
	npt_json_set(object, "sent", transfer_json(edge->sent.bytes, edge->sent.segments));
	npt_json_set(object, "received",
		     transfer_json(edge->received.bytes, edge->received.segments));
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++) {
		enum npt_metric_id id = (enum npt_metric_id)i;

		if (npt_metric_quality(id, &edge->metrics[i]) != NPT_QUALITY_UNAVAILABLE)
			npt_json_set(object, npt_metric_name(id),
				     metric_json(id, &edge->metrics[i]));
	}
	set_handshakes(object, edge);
	set_tls_calls(object, edge);
	npt_json_set(object, "retransmit", retransmit_json(edge));
	npt_json_set(object, "drops", named_counts(edge->drops, NPT_EDGE_DROPS_MAX));
	npt_json_set_number(object, "dropsUnspecified", edge->drops_unspecified);
	npt_json_set(object, "resets", resets_json(edge));
	npt_json_set(object, "limited", limited_json(edge));
	npt_json_set(object, "queue", queue_json(edge));
}

static json_t *edge_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	set_identity(object, edge);
	set_counters(object, edge);
	npt_json_set(object, "finding", finding_json(edge));
	return object;
}

static json_t *reference_json(const char *namespace_name, const char *name, const char *uid)
{
	json_t *object = json_object();

	npt_json_set_text(object, "namespace", namespace_name);
	npt_json_set_text(object, "name", name);
	npt_json_set_text(object, "uid", uid);
	return object;
}

static json_t *named_reasons(const struct npt_named_reason *reasons, size_t max)
{
	json_t *object = json_object();

	for (size_t i = 0; i < max && reasons[i].name[0]; i++)
		npt_json_set_text(object, reasons[i].name, reasons[i].reason);
	return object;
}

static json_t *cost_json(const struct npt_report *report)
{
	json_t *object = json_object();
	json_t *degraded = json_array();

	npt_json_set_number(object, "cpuMillis", report->cost.cpu_ms);
	npt_json_set_number(object, "hooksMillis", report->cost.hooks_ms);
	npt_json_set_number(object, "nanosPerOperation", report->cost.ns_per_operation);
	npt_json_set_number(object, "memoryKiB", report->cost.memory_kib);
	for (size_t i = 0; i < NPT_REPORT_DEGRADED_MAX && report->cost.degraded[i][0]; i++)
		(void)json_array_append_new(degraded, npt_json_string(report->cost.degraded[i]));
	npt_json_set(object, "degraded", degraded);
	return object;
}

static json_t *tls_json(const struct npt_report *report)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->tls_count; i++) {
		const struct npt_tls_use *use = &report->tls[i];
		json_t *object = json_object();

		npt_json_set_number(object, "pid", use->pid);
		npt_json_set_number(object, "startNanos", use->start_ns);
		npt_json_set_text(object, "process", use->process);
		npt_json_set_text(object, "library", use->library);
		npt_json_set_text(object, "version", use->version);
		npt_json_set_text(object, "how", use->how);
		npt_json_set_text(object, "coverage", npt_tls_coverage_name(use->coverage));
		npt_json_set_text(object, "why", use->why);
		npt_json_set_some_number(object, "unassignedCalls", use->unassigned_calls);
		(void)json_array_append_new(array, object);
	}
	return array;
}

static void set_head(json_t *object, const struct npt_report *report)
{
	char start[NPT_RFC3339_BYTES];

	npt_rfc3339_ms(report->start_unix_ms, start);
	npt_json_set_text(object, "kind", report->kind == NPT_REPORT_WINDOW ? "Window" : "Report");
	npt_json_set_text(object, "apiVersion", "netprof.io/v1alpha1");
	npt_json_set_text(object, "start", start);
	npt_json_set_number(object, "durationMillis", report->duration_ms);
	npt_json_set_text(object, "instance", report->instance);
	npt_json_set_number(object, "sequence", report->sequence);
	npt_json_set(
		object, "task",
		reference_json(report->task.namespace_name, report->task.name, report->task.uid));
	if (report->pod.uid[0])
		npt_json_set(object, "pod",
			     reference_json(report->pod.namespace_name, report->pod.name,
					    report->pod.uid));
	npt_json_set_some_text(object, "node", report->node);
}

static char *dump(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(CONFIDENCE_DIGITS));

	json_decref(object);
	return text;
}

char *npt_edge_to_json(const struct npt_edge *edge)
{
	return dump(edge_json(edge));
}

char *npt_edge_identity_to_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	set_identity(object, edge);
	return dump(object);
}

char *npt_edge_counters_to_json(const struct npt_edge *edge)
{
	json_t *object = json_object();

	set_counters(object, edge);
	return dump(object);
}

void npt_report_json_frame(const struct npt_report *report, char **before_ret, char **after_ret)
{
	json_t *head = json_object(), *tail = json_object();
	json_t *other = json_object(), *lost = json_object();
	npt_auto_free char *head_text = NULL, *tail_text = NULL;

	set_head(head, report);
	npt_json_set_number(other, "edges", report->other_edges);
	npt_json_set(tail, "other", other);
	npt_json_set_number(lost, "events", report->lost.events);
	npt_json_set_number(lost, "edges", report->lost.edges);
	npt_json_set(tail, "lost", lost);
	npt_json_set(tail, "unavailable",
		     named_reasons(report->unavailable, NPT_REPORT_UNAVAILABLE_MAX));
	npt_json_set(tail, "sources", named_reasons(report->sources, NPT_REPORT_SOURCES_MAX));
	npt_json_set(tail, "tls", tls_json(report));
	npt_json_set_some_number(tail, "tlsOther", report->tls_other);
	npt_json_set(tail, "cost", cost_json(report));
	head_text = dump(head);
	tail_text = dump(tail);
	/* Two objects become one around the array: "}" and "{" make room for it. */
	*before_ret = npt_format("%.*s,\"edges\":[", (int)strlen(head_text) - 1, head_text);
	*after_ret = npt_format("],%s", tail_text + 1);
}

/* Edge by edge: as one tree of jansson's, a large report would be a hundred times its text. */
char *npt_report_to_json(const struct npt_report *report)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(SIZE_MAX / 4);
	npt_auto_free char *before = NULL, *after = NULL;

	npt_report_json_frame(report, &before, &after);
	(void)npt_buffer_append_text(&text, before);
	for (size_t i = 0; i < report->edges_count; i++) {
		npt_auto_free char *edge = npt_edge_to_json(&report->edges[i]);

		if (i > 0)
			(void)npt_buffer_append_text(&text, ",");
		(void)npt_buffer_append_text(&text, edge);
	}
	(void)npt_buffer_append_text(&text, after);
	return npt_buffer_take(&text);
}
