/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf-c packs one edge at a time from structures on the stack; the report around the edges is
 * put together by what the wire format says of repeated fields.
 */
#include <stdint.h>
#include <string.h>

#include "window.pb-c.h"

#include "lib/core/alloc.h"
#include "lib/model/report_protobuf.h"

#define EDGE_TAG (15U << 3 | 2) /* field "edge" of Report, length-delimited */

static uint64_t saturated(uint64_t value)
{
	return value < NPT_NUMBER_MAX ? value : NPT_NUMBER_MAX;
}

/* protobuf-c writes from char *, which it does not change. */
static char *text(const char *value)
{
	return (char *)(uintptr_t)value;
}

static ProtobufCBinaryData binary(const char *value)
{
	return (ProtobufCBinaryData){ .len = strlen(value), .data = (uint8_t *)text(value) };
}

_Static_assert(NPT_EDGE_RESETS_MAX <= NPT_EDGE_DROPS_MAX, "resets fit where drops do");
_Static_assert(NPT_EDGE_ALERTS_MAX <= NPT_EDGE_DROPS_MAX, "alerts fit where drops do");

#define REASONS_MAX                                                                                \
	(NPT_REPORT_UNAVAILABLE_MAX > NPT_REPORT_SOURCES_MAX ? NPT_REPORT_UNAVAILABLE_MAX          \
							     : NPT_REPORT_SOURCES_MAX)

struct packed_counts {
	Npt__V1__NamedCount values[NPT_EDGE_FAILED_MAX > NPT_EDGE_DROPS_MAX ? NPT_EDGE_FAILED_MAX
									    : NPT_EDGE_DROPS_MAX];
	Npt__V1__NamedCount *pointers[NPT_EDGE_FAILED_MAX > NPT_EDGE_DROPS_MAX
					      ? NPT_EDGE_FAILED_MAX
					      : NPT_EDGE_DROPS_MAX];
};

static size_t fill_counts(struct packed_counts *counts, const struct npt_named_count *from,
			  size_t max)
{
	size_t count = 0;

	for (; count < max && from[count].name[0]; count++) {
		npt__v1__named_count__init(&counts->values[count]);
		counts->values[count].name = text(from[count].name);
		counts->values[count].count = saturated(from[count].count);
		counts->pointers[count] = &counts->values[count];
	}
	return count;
}

struct packed_metric {
	Npt__V1__Metric message;
	uint32_t bucket[NPT_HISTOGRAM_BUCKETS];
	uint64_t bucket_count[NPT_HISTOGRAM_BUCKETS];
};

/* The message, with nothing but times in it. */
static void fill_times(struct packed_metric *packed, const struct npt_histogram *micros)
{
	Npt__V1__Metric *message = &packed->message;

	npt__v1__metric__init(message);
	message->sum_micros = saturated(micros->sum_micros);
	message->max_micros = saturated(micros->max_micros);
	message->bucket = packed->bucket;
	message->bucket_count = packed->bucket_count;
	for (uint32_t i = 0; micros->count > 0 && i < NPT_HISTOGRAM_BUCKETS; i++) {
		if (micros->buckets[i] == 0)
			continue;
		packed->bucket[message->n_bucket++] = i;
		packed->bucket_count[message->n_bucket_count++] = saturated(micros->buckets[i]);
	}
}

/* False if there is nothing to say of it. */
static bool fill_metric(struct packed_metric *packed, uint32_t id, const struct npt_metric *metric)
{
	Npt__V1__Metric *message = &packed->message;

	fill_times(packed, &metric->micros);
	message->id = id;
	message->quality = metric->quality;
	message->count = saturated(metric->count);
	message->bytes = saturated(metric->bytes);
	message->overlapped = saturated(metric->overlapped);
	message->min_micros = saturated(metric->min_micros);
	return message->quality || message->count || message->bytes || message->overlapped ||
	       message->min_micros || message->sum_micros || message->max_micros ||
	       message->n_bucket;
}

static void append_message(struct npt_buffer *out, const ProtobufCMessage *message)
{
	size_t size_bytes = protobuf_c_message_get_packed_size(message);
	uint8_t small[4096], *data = small;

	if (size_bytes > sizeof(small))
		data = npt_alloc(1, size_bytes);
	(void)protobuf_c_message_pack(message, data);
	(void)npt_buffer_append(out, data, size_bytes);
	if (data != small)
		free(data);
}

void npt_edge_identity_to_protobuf(const struct npt_edge *edge, struct npt_buffer *out)
{
	Npt__V1__Edge message;

	npt__v1__edge__init(&message);
	message.pid = edge->process.pid;
	message.process_start_ns = edge->process.start_ns;
	message.process_name = binary(edge->process.name);
	message.comm = binary(edge->process.comm);
	message.container = text(edge->process.container);
	message.process_pod = text(edge->process.pod);
	message.role = edge->role;
	message.peer_kind = edge->peer.kind;
	message.peer_name = binary(edge->peer.name);
	message.peer_namespace = text(edge->peer.namespace_name);
	message.peer_pid = edge->peer.pid;
	message.peer_address = text(edge->peer.address);
	message.peer_port = edge->peer.port;
	message.asked = text(edge->peer.asked);
	message.reached = text(edge->peer.reached);
	message.transport = text(edge->transport);
	message.label = edge->label;
	append_message(out, &message.base);
}

void npt_edge_label_to_protobuf(const struct npt_edge *edge, struct npt_buffer *out)
{
	Npt__V1__Edge message;

	npt__v1__edge__init(&message);
	if (npt_protocol_is_known(edge->protocol)) {
		message.protocol = text(edge->protocol);
		message.protocol_confidence_permille = edge->protocol_confidence_permille;
	}
	message.tls = edge->tls;
	message.tls_version = text(edge->tls_facts.version);
	message.tls_sni = binary(edge->tls_facts.sni);
	message.tls_alpn = binary(edge->tls_facts.alpn);
	message.tls_cipher = text(edge->tls_facts.cipher);
	append_message(out, &message.base);
}

static void fill_waits(const struct npt_edge *edge, Npt__V1__Edge *message)
{
	message->limited_application_micros = saturated(edge->limited.application_micros);
	message->limited_receive_window_micros = saturated(edge->limited.receive_window_micros);
	message->limited_send_buffer_micros = saturated(edge->limited.send_buffer_micros);
	message->limited_network_micros = saturated(edge->limited.network_micros);
	message->queue_unread_bytes = saturated(edge->queue.unread_bytes);
	message->queue_unsent_bytes = saturated(edge->queue.unsent_bytes);
	message->queue_accept_backlog = saturated(edge->queue.accept_backlog);
	message->queue_accept_backlog_max = saturated(edge->queue.accept_backlog_max);
	message->queue_syn_backlog = saturated(edge->queue.syn_backlog);
	message->queue_listen_drops = saturated(edge->queue.listen_drops);
}

struct packed_handshakes {
	struct packed_counts alerts_sent, alerts_received;
	struct packed_metric micros;
};

static void fill_tls(struct packed_handshakes *packed, const struct npt_edge *edge,
		     Npt__V1__Edge *message)
{
	message->handshakes = saturated(edge->handshakes.count);
	message->handshakes_resumed = saturated(edge->handshakes.resumed);
	message->handshakes_client_certificates = saturated(edge->handshakes.client_certificates);
	message->handshakes_failed = saturated(edge->handshakes.failed);
	message->n_alert_sent = fill_counts(&packed->alerts_sent, edge->handshakes.alerts_sent,
					    NPT_EDGE_ALERTS_MAX);
	message->alert_sent = packed->alerts_sent.pointers;
	message->n_alert_received = fill_counts(
		&packed->alerts_received, edge->handshakes.alerts_received, NPT_EDGE_ALERTS_MAX);
	message->alert_received = packed->alerts_received.pointers;
	if (edge->handshakes.micros.count > 0) {
		fill_times(&packed->micros, &edge->handshakes.micros);
		message->handshake_micros = &packed->micros.message;
	}
	message->tls_writes = saturated(edge->tls_calls.writes);
	message->tls_written_bytes = saturated(edge->tls_calls.written_bytes);
	message->tls_reads = saturated(edge->tls_calls.reads);
	message->tls_read_bytes = saturated(edge->tls_calls.read_bytes);
}

void npt_edge_counters_to_protobuf(const struct npt_edge *edge, struct npt_buffer *out)
{
	Npt__V1__Edge message;
	struct packed_handshakes handshakes;
	struct packed_counts failed, drops, resets_sent, resets_received;
	struct packed_metric metrics[NPT_METRIC_COUNT];
	Npt__V1__Metric *pointers[NPT_METRIC_COUNT];

	npt__v1__edge__init(&message);
	message.connections_open = saturated(edge->connections.open);
	message.connections_opened = saturated(edge->connections.opened);
	message.connections_found = saturated(edge->connections.found);
	message.connections_closed = saturated(edge->connections.closed);
	message.connections_moved_in = saturated(edge->connections.moved_in);
	message.connections_moved_out = saturated(edge->connections.moved_out);
	message.connections_kernel_tls = saturated(edge->connections.kernel_tls);
	message.n_failed = fill_counts(&failed, edge->connections.failed, NPT_EDGE_FAILED_MAX);
	message.failed = failed.pointers;
	message.sent_bytes = saturated(edge->sent.bytes);
	message.sent_segments = saturated(edge->sent.segments);
	message.received_bytes = saturated(edge->received.bytes);
	message.received_segments = saturated(edge->received.segments);
	for (uint32_t i = 0; i < NPT_METRIC_COUNT; i++) {
		if (fill_metric(&metrics[i], i, &edge->metrics[i]))
			pointers[message.n_metric++] = &metrics[i].message;
	}
	message.metric = pointers;
	message.retransmit_segments = saturated(edge->retransmit.segments);
	message.retransmit_bytes = saturated(edge->retransmit.bytes);
	message.retransmit_syn = saturated(edge->retransmit.syn);
	message.retransmit_tail_loss = saturated(edge->retransmit.tail_loss);
	message.retransmit_spurious = saturated(edge->retransmit.spurious);
	message.n_drop = fill_counts(&drops, edge->drops, NPT_EDGE_DROPS_MAX);
	message.drop = drops.pointers;
	message.drops_unspecified = saturated(edge->drops_unspecified);
	message.n_reset_sent = fill_counts(&resets_sent, edge->resets_sent, NPT_EDGE_RESETS_MAX);
	message.reset_sent = resets_sent.pointers;
	message.n_reset_received =
		fill_counts(&resets_received, edge->resets_received, NPT_EDGE_RESETS_MAX);
	message.reset_received = resets_received.pointers;
	fill_waits(edge, &message);
	fill_tls(&handshakes, edge, &message);
	append_message(out, &message.base);
}

static void fill_head(const struct npt_report *report, Npt__V1__Report *message)
{
	message->kind = report->kind;
	message->start_unix_ms = saturated(report->start_unix_ms);
	message->duration_ms = saturated(report->duration_ms);
	message->instance = text(report->instance);
	message->sequence = saturated(report->sequence);
	message->task_namespace = text(report->task.namespace_name);
	message->task_name = text(report->task.name);
	message->task_uid = text(report->task.uid);
	message->pod_namespace = text(report->pod.namespace_name);
	message->pod_name = text(report->pod.name);
	message->pod_uid = text(report->pod.uid);
	message->node = text(report->node);
	message->other_edges = saturated(report->other_edges);
	message->lost_events = saturated(report->lost.events);
	message->lost_edges = saturated(report->lost.edges);
	message->cost_cpu_ms = saturated(report->cost.cpu_ms);
	message->cost_ns_per_operation = saturated(report->cost.ns_per_operation);
	message->cost_hooks_ms = saturated(report->cost.hooks_ms);
	message->cost_memory_kib = saturated(report->cost.memory_kib);
}

struct packed_reasons {
	Npt__V1__NamedReason values[REASONS_MAX];
	Npt__V1__NamedReason *pointers[REASONS_MAX];
};

static size_t fill_reasons(struct packed_reasons *packed, const struct npt_named_reason *reasons,
			   size_t max)
{
	size_t count = 0;

	for (; count < max && reasons[count].name[0]; count++) {
		npt__v1__named_reason__init(&packed->values[count]);
		packed->values[count].name = text(reasons[count].name);
		packed->values[count].reason = text(reasons[count].reason);
		packed->pointers[count] = &packed->values[count];
	}
	return count;
}

struct packed_tls {
	Npt__V1__TlsUse values[NPT_REPORT_TLS_MAX];
	Npt__V1__TlsUse *pointers[NPT_REPORT_TLS_MAX];
};

static void fill_tls_uses(struct packed_tls *packed, const struct npt_report *report,
			  Npt__V1__Report *message)
{
	for (size_t i = 0; i < report->tls_count; i++) {
		const struct npt_tls_use *use = &report->tls[i];
		Npt__V1__TlsUse *value = &packed->values[i];

		npt__v1__tls_use__init(value);
		value->pid = use->pid;
		value->process_start_ns = use->start_ns;
		value->process_name = binary(use->process);
		value->library = text(use->library);
		value->version = binary(use->version);
		value->how = binary(use->how);
		value->coverage = use->coverage;
		value->unassigned_calls = saturated(use->unassigned_calls);
		value->why = binary(use->why);
		packed->pointers[i] = value;
	}
	message->n_tls = report->tls_count;
	message->tls = packed->pointers;
	message->tls_other = saturated(report->tls_other);
}

void npt_report_head_to_protobuf(const struct npt_report *report, struct npt_buffer *out)
{
	Npt__V1__Report message;
	struct packed_tls tls;
	struct packed_reasons unavailable, sources;
	char *degraded[NPT_REPORT_DEGRADED_MAX];

	npt__v1__report__init(&message);
	fill_head(report, &message);
	message.n_unavailable =
		fill_reasons(&unavailable, report->unavailable, NPT_REPORT_UNAVAILABLE_MAX);
	message.unavailable = unavailable.pointers;
	message.n_source = fill_reasons(&sources, report->sources, NPT_REPORT_SOURCES_MAX);
	message.source = sources.pointers;
	for (size_t i = 0; i < NPT_REPORT_DEGRADED_MAX && report->cost.degraded[i][0]; i++)
		degraded[message.n_degraded++] = text(report->cost.degraded[i]);
	message.degraded = degraded;
	fill_tls_uses(&tls, report, &message);
	append_message(out, &message.base);
}

/* A length-delimited field: tag, length as a varint, content. */
static void append_edge(struct npt_buffer *out, const struct npt_buffer *edge)
{
	uint8_t head[8] = { EDGE_TAG };
	size_t length = 1, left = edge->size_bytes;

	for (; left > 0x7f; left >>= 7)
		head[length++] = (uint8_t)(left | 0x80);
	head[length++] = (uint8_t)left;
	(void)npt_buffer_append(out, head, length);
	(void)npt_buffer_append(out, edge->data, edge->size_bytes);
}

void npt_report_to_protobuf(const struct npt_report *report, void **data_ret,
			    size_t *size_bytes_ret)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(SIZE_MAX / 4);
	npt_auto(npt_buffer_done) struct npt_buffer edge = NPT_BUFFER(SIZE_MAX / 4);

	npt_report_head_to_protobuf(report, &out);
	for (size_t i = 0; i < report->edges_count; i++) {
		npt_buffer_clear(&edge);
		npt_edge_identity_to_protobuf(&report->edges[i], &edge);
		npt_edge_label_to_protobuf(&report->edges[i], &edge);
		npt_edge_counters_to_protobuf(&report->edges[i], &edge);
		append_edge(&out, &edge);
	}
	*size_bytes_ret = out.size_bytes;
	*data_ret = npt_buffer_take(&out);
}
