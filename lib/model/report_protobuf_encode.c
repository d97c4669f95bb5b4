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

/* False if there is nothing to say of it. */
static bool fill_metric(struct packed_metric *packed, uint32_t id, const struct npt_metric *metric)
{
	Npt__V1__Metric *message = &packed->message;
	const struct npt_histogram *micros = &metric->micros;

	npt__v1__metric__init(message);
	message->id = id;
	message->quality = metric->quality;
	message->count = saturated(metric->count);
	message->bytes = saturated(metric->bytes);
	message->overlapped = saturated(metric->overlapped);
	message->min_micros = saturated(metric->min_micros);
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
	message.protocol = text(edge->protocol);
	message.tls = edge->tls;
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

void npt_edge_counters_to_protobuf(const struct npt_edge *edge, struct npt_buffer *out)
{
	Npt__V1__Edge message;
	struct packed_counts failed, drops, resets_sent, resets_received;
	struct packed_metric metrics[NPT_METRIC_COUNT];
	Npt__V1__Metric *pointers[NPT_METRIC_COUNT];

	npt__v1__edge__init(&message);
	message.connections_open = saturated(edge->connections.open);
	message.connections_opened = saturated(edge->connections.opened);
	message.connections_found = saturated(edge->connections.found);
	message.connections_closed = saturated(edge->connections.closed);
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

void npt_report_head_to_protobuf(const struct npt_report *report, struct npt_buffer *out)
{
	Npt__V1__Report message;
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
		npt_edge_counters_to_protobuf(&report->edges[i], &edge);
		append_edge(&out, &edge);
	}
	*size_bytes_ret = out.size_bytes;
	*data_ret = npt_buffer_take(&out);
}
