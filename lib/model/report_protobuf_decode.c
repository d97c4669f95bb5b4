/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An unpacked message can be two hundred times as large as its bytes, so protobuf-c gets its memory
 * from an arena with a bound, which also makes the freeing one step.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "window.pb-c.h"

#include "lib/core/alloc.h"
#include "lib/model/report_protobuf.h"

#define ARENA_BYTES_MAX   (128UL * 1024 * 1024)
#define ARENA_CHUNK_BYTES (256UL * 1024)
#define ARENA_FIRST_BYTES 4000

_Static_assert(NPT_METRIC_COUNT <= 32, "a metric's id is a bit of a mask below");

struct chunk {
	struct chunk *next;
	size_t used_bytes;
	size_t size_bytes;
	unsigned char data[];
};

struct arena {
	ProtobufCAllocator allocator;
	struct chunk *chunks;
	size_t total_bytes;
};

static void *arena_alloc(void *context, size_t size_bytes)
{
	struct arena *arena = context;
	struct chunk *chunk = arena->chunks;
	size_t size = (size_bytes + 15) & ~(size_t)15;
	void *memory;

	if (size_bytes > ARENA_BYTES_MAX || arena->total_bytes + size > ARENA_BYTES_MAX)
		return NULL;
	if (!chunk || chunk->size_bytes - chunk->used_bytes < size) {
		/* Small at first: a message is mostly one edge of some hundred bytes. Not zeroed.
		 */
		size_t chunk_bytes = arena->total_bytes ? ARENA_CHUNK_BYTES : ARENA_FIRST_BYTES;

		chunk_bytes = size > chunk_bytes ? size : chunk_bytes;
		chunk = npt_realloc(NULL, 1, sizeof(*chunk) + chunk_bytes);
		chunk->used_bytes = 0;
		chunk->size_bytes = chunk_bytes;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	memory = chunk->data + chunk->used_bytes;
	chunk->used_bytes += size;
	arena->total_bytes += size;
	return memory;
}

static void arena_free(void *context, void *memory)
{
	(void)context;
	(void)memory;
}

static void arena_init(struct arena *arena)
{
	*arena = (struct arena){ .allocator = { .alloc = arena_alloc, .free = arena_free } };
	arena->allocator.allocator_data = arena;
}

static void arena_done(struct arena *arena)
{
	while (arena->chunks) {
		struct chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
}
NPT_DEFINE_AUTO_DONE(struct arena, arena_done)

/* Collects the first thing that is wrong, so that reading stays a list of fields. */
struct reader {
	struct npt_error *err;
	int result;
};

static void fail(struct reader *reader, int code, const char *what, const char *why)
{
	if (reader->result == 0)
		reader->result = npt_error_set(reader->err, code, "protobuf: %s %s", what, why);
}

static void read_text(struct reader *reader, const char *what, const char *text, char *out,
		      size_t out_bytes)
{
	size_t length = strlen(text);

	if (length >= out_bytes)
		fail(reader, EMSGSIZE, what, "is too long");
	else
		memcpy(out, text, length + 1);
}

static void read_bytes(struct reader *reader, const char *what, ProtobufCBinaryData bytes,
		       char *out, size_t out_bytes)
{
	if (bytes.len >= out_bytes)
		fail(reader, EMSGSIZE, what, "is too long");
	else if (bytes.len > 0 && memchr(bytes.data, '\0', bytes.len))
		fail(reader, EBADMSG, what, "has a NUL in it");
	else if (bytes.len > 0)
		memcpy(out, bytes.data, bytes.len);
}

static uint64_t number(struct reader *reader, const char *what, uint64_t value)
{
	if (value > NPT_NUMBER_MAX)
		fail(reader, EBADMSG, what, "is larger than 2^53-1");
	return value;
}

static uint32_t choice(struct reader *reader, const char *what, uint32_t value, uint32_t last)
{
	if (value <= last)
		return value;
	fail(reader, EBADMSG, what, "has an unknown value");
	return 0;
}

static void read_counts(struct reader *reader, const char *what, Npt__V1__NamedCount *const *from,
			size_t count, struct npt_named_count *out, size_t max)
{
	if (count > max) {
		fail(reader, EMSGSIZE, what, "has too many names");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		read_text(reader, what, from[i]->name, out[i].name, sizeof(out[i].name));
		if (out[i].name[0] == '\0')
			fail(reader, EBADMSG, what, "has an empty name");
		out[i].count = number(reader, what, from[i]->count);
	}
}

static void read_histogram(struct reader *reader, const Npt__V1__Metric *from,
			   struct npt_histogram *out)
{
	uint32_t next = 0;

	if (from->n_bucket != from->n_bucket_count || from->n_bucket > NPT_HISTOGRAM_BUCKETS) {
		fail(reader, EBADMSG, "histogram", "has buckets without counts");
		return;
	}
	for (size_t i = 0; i < from->n_bucket; i++) {
		uint32_t bucket = from->bucket[i];

		if (bucket < next || bucket >= NPT_HISTOGRAM_BUCKETS ||
		    from->bucket_count[i] == 0) {
			fail(reader, EBADMSG, "histogram", "has a wrong bucket");
			return;
		}
		next = bucket + 1;
		out->buckets[bucket] = number(reader, "bucket", from->bucket_count[i]);
		out->count += out->buckets[bucket];
	}
	out->count = number(reader, "histogram count", out->count);
	out->sum_micros = number(reader, "sum", from->sum_micros);
	out->max_micros = number(reader, "max", from->max_micros);
}

static void read_metrics(struct reader *reader, const Npt__V1__Edge *from, struct npt_edge *out)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < from->n_metric; i++) {
		const Npt__V1__Metric *metric = from->metric[i];
		struct npt_metric *to;

		if (metric->id >= NPT_METRIC_COUNT)
			continue; /* of a later version */
		if (seen & 1U << metric->id) {
			fail(reader, EBADMSG, "metric", "is there twice");
			return;
		}
		seen |= 1U << metric->id;
		to = &out->metrics[metric->id];
		to->quality = (enum npt_quality)choice(reader, "quality", metric->quality,
						       NPT_QUALITY_UNAVAILABLE);
		to->count = number(reader, "metric count", metric->count);
		to->bytes = number(reader, "metric bytes", metric->bytes);
		to->overlapped = number(reader, "overlapped", metric->overlapped);
		to->min_micros = number(reader, "min", metric->min_micros);
		read_histogram(reader, metric, &to->micros);
	}
}

static void read_identity(struct reader *reader, const Npt__V1__Edge *from, struct npt_edge *out)
{
	struct npt_process *process = &out->process;
	struct npt_peer *peer = &out->peer;

	process->pid = from->pid;
	process->start_ns = from->process_start_ns;
	read_bytes(reader, "process name", from->process_name, process->name,
		   sizeof(process->name));
	read_bytes(reader, "comm", from->comm, process->comm, sizeof(process->comm));
	read_text(reader, "container", from->container, process->container,
		  sizeof(process->container));
	read_text(reader, "process pod", from->process_pod, process->pod, sizeof(process->pod));
	out->role = (enum npt_role)choice(reader, "role", from->role, NPT_ROLE_SERVER);
	peer->kind =
		(enum npt_peer_kind)choice(reader, "peer kind", from->peer_kind, NPT_PEER_NODE);
	read_bytes(reader, "peer name", from->peer_name, peer->name, sizeof(peer->name));
	read_text(reader, "peer namespace", from->peer_namespace, peer->namespace_name,
		  sizeof(peer->namespace_name));
	peer->pid = from->peer_pid;
	read_text(reader, "peer address", from->peer_address, peer->address, sizeof(peer->address));
	peer->port = (uint16_t)choice(reader, "peer port", from->peer_port, UINT16_MAX);
	read_text(reader, "asked", from->asked, peer->asked, sizeof(peer->asked));
	read_text(reader, "reached", from->reached, peer->reached, sizeof(peer->reached));
	read_text(reader, "transport", from->transport, out->transport, sizeof(out->transport));
	out->label = from->label;
}

static void read_label(struct reader *reader, const Npt__V1__Edge *from, struct npt_edge *out)
{
	read_text(reader, "protocol", from->protocol[0] ? from->protocol : NPT_PROTOCOL_UNSAID,
		  out->protocol, sizeof(out->protocol));
	out->protocol_confidence_permille =
		choice(reader, "confidence", from->protocol_confidence_permille, 1000);
	out->tls = (enum npt_tls)choice(reader, "tls", from->tls, NPT_TLS_YES);
	read_text(reader, "tls version", from->tls_version, out->tls_facts.version,
		  sizeof(out->tls_facts.version));
	read_bytes(reader, "sni", from->tls_sni, out->tls_facts.sni, sizeof(out->tls_facts.sni));
	read_bytes(reader, "alpn", from->tls_alpn, out->tls_facts.alpn,
		   sizeof(out->tls_facts.alpn));
	read_text(reader, "cipher", from->tls_cipher, out->tls_facts.cipher,
		  sizeof(out->tls_facts.cipher));
}

static void read_tls(struct reader *reader, const Npt__V1__Edge *from, struct npt_edge *out)
{
	out->handshakes.count = number(reader, "handshakes", from->handshakes);
	out->handshakes.resumed = number(reader, "handshakes", from->handshakes_resumed);
	out->handshakes.client_certificates =
		number(reader, "handshakes", from->handshakes_client_certificates);
	out->handshakes.failed = number(reader, "handshakes", from->handshakes_failed);
	read_counts(reader, "alerts", from->alert_sent, from->n_alert_sent,
		    out->handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX);
	read_counts(reader, "alerts", from->alert_received, from->n_alert_received,
		    out->handshakes.alerts_received, NPT_EDGE_ALERTS_MAX);
	if (from->handshake_micros)
		read_histogram(reader, from->handshake_micros, &out->handshakes.micros);
	out->tls_calls.writes = number(reader, "tls writes", from->tls_writes);
	out->tls_calls.written_bytes = number(reader, "tls bytes", from->tls_written_bytes);
	out->tls_calls.reads = number(reader, "tls reads", from->tls_reads);
	out->tls_calls.read_bytes = number(reader, "tls bytes", from->tls_read_bytes);
}

static void read_waits(struct reader *reader, const Npt__V1__Edge *from, struct npt_edge *out)
{
	out->limited.application_micros =
		number(reader, "limited", from->limited_application_micros);
	out->limited.receive_window_micros =
		number(reader, "limited", from->limited_receive_window_micros);
	out->limited.send_buffer_micros =
		number(reader, "limited", from->limited_send_buffer_micros);
	out->limited.network_micros = number(reader, "limited", from->limited_network_micros);
	out->queue.unread_bytes = number(reader, "queue", from->queue_unread_bytes);
	out->queue.unsent_bytes = number(reader, "queue", from->queue_unsent_bytes);
	out->queue.accept_backlog = number(reader, "queue", from->queue_accept_backlog);
	out->queue.accept_backlog_max = number(reader, "queue", from->queue_accept_backlog_max);
	out->queue.syn_backlog = number(reader, "queue", from->queue_syn_backlog);
	out->queue.listen_drops = number(reader, "queue", from->queue_listen_drops);
}

static void read_edge(struct reader *reader, const Npt__V1__Edge *from, struct npt_edge *out)
{
	read_identity(reader, from, out);
	read_label(reader, from, out);
	out->connections.open = number(reader, "open", from->connections_open);
	out->connections.opened = number(reader, "opened", from->connections_opened);
	out->connections.found = number(reader, "found", from->connections_found);
	out->connections.closed = number(reader, "closed", from->connections_closed);
	out->connections.moved_in = number(reader, "moved", from->connections_moved_in);
	out->connections.moved_out = number(reader, "moved", from->connections_moved_out);
	out->connections.kernel_tls = number(reader, "kernel tls", from->connections_kernel_tls);
	read_counts(reader, "failed", from->failed, from->n_failed, out->connections.failed,
		    NPT_EDGE_FAILED_MAX);
	out->sent.bytes = number(reader, "sent bytes", from->sent_bytes);
	out->sent.segments = number(reader, "sent segments", from->sent_segments);
	out->received.bytes = number(reader, "received bytes", from->received_bytes);
	out->received.segments = number(reader, "received segments", from->received_segments);
	read_metrics(reader, from, out);
	out->retransmit.segments = number(reader, "retransmits", from->retransmit_segments);
	out->retransmit.bytes = number(reader, "retransmits", from->retransmit_bytes);
	out->retransmit.syn = number(reader, "retransmits", from->retransmit_syn);
	out->retransmit.tail_loss = number(reader, "retransmits", from->retransmit_tail_loss);
	out->retransmit.spurious = number(reader, "retransmits", from->retransmit_spurious);
	read_counts(reader, "drops", from->drop, from->n_drop, out->drops, NPT_EDGE_DROPS_MAX);
	out->drops_unspecified = number(reader, "drops", from->drops_unspecified);
	read_counts(reader, "resets", from->reset_sent, from->n_reset_sent, out->resets_sent,
		    NPT_EDGE_RESETS_MAX);
	read_counts(reader, "resets", from->reset_received, from->n_reset_received,
		    out->resets_received, NPT_EDGE_RESETS_MAX);
	read_waits(reader, from, out);
	read_tls(reader, from, out);
}

static void read_edges(struct reader *reader, const Npt__V1__Report *from,
		       struct npt_report *report)
{
	if (from->n_edge > NPT_REPORT_EDGES_MAX) {
		fail(reader, EMSGSIZE, "report", "has too many edges");
		return;
	}
	npt_report_expect_edges(report, from->n_edge);
	for (size_t i = 0; i < from->n_edge && reader->result == 0; i++)
		read_edge(reader, from->edge[i], npt_report_add_edge(report));
}

static void read_reasons(struct reader *reader, const char *what, Npt__V1__NamedReason **from,
			 size_t count, struct npt_named_reason *to, size_t max)
{
	if (count > max) {
		fail(reader, EMSGSIZE, what, "has too many entries");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		read_text(reader, what, from[i]->name, to[i].name, sizeof(to[i].name));
		read_text(reader, what, from[i]->reason, to[i].reason, sizeof(to[i].reason));
		if (to[i].name[0] == '\0')
			fail(reader, EBADMSG, what, "has an empty name");
	}
}

static void read_tls_uses(struct reader *reader, const Npt__V1__Report *from,
			  struct npt_report *report)
{
	report->tls_other = number(reader, "tls other", from->tls_other);
	if (from->n_tls > NPT_REPORT_TLS_MAX) {
		fail(reader, EMSGSIZE, "tls", "has too many lines");
		return;
	}
	for (size_t i = 0; i < from->n_tls; i++) {
		const Npt__V1__TlsUse *line = from->tls[i];
		struct npt_tls_use *use = npt_report_add_tls(report);

		use->pid = line->pid;
		use->start_ns = line->process_start_ns;
		read_bytes(reader, "tls process", line->process_name, use->process,
			   sizeof(use->process));
		read_text(reader, "tls library", line->library, use->library, sizeof(use->library));
		read_bytes(reader, "tls version", line->version, use->version,
			   sizeof(use->version));
		read_bytes(reader, "tls how", line->how, use->how, sizeof(use->how));
		use->coverage = (enum npt_tls_coverage)choice(reader, "tls coverage",
							      line->coverage, NPT_COVERAGE_FULL);
		read_bytes(reader, "tls why", line->why, use->why, sizeof(use->why));
		use->unassigned_calls = number(reader, "tls unassigned", line->unassigned_calls);
	}
}

static void read_lists(struct reader *reader, const Npt__V1__Report *from,
		       struct npt_report *report)
{
	read_reasons(reader, "unavailable", from->unavailable, from->n_unavailable,
		     report->unavailable, NPT_REPORT_UNAVAILABLE_MAX);
	read_reasons(reader, "sources", from->source, from->n_source, report->sources,
		     NPT_REPORT_SOURCES_MAX);
	if (from->n_degraded > NPT_REPORT_DEGRADED_MAX) {
		fail(reader, EMSGSIZE, "degraded", "has too many entries");
		return;
	}
	for (size_t i = 0; i < from->n_degraded; i++) {
		read_text(reader, "degraded", from->degraded[i], report->cost.degraded[i],
			  sizeof(report->cost.degraded[i]));
		if (report->cost.degraded[i][0] == '\0')
			fail(reader, EBADMSG, "degraded", "has an empty text");
	}
}

static void read_head(struct reader *reader, const Npt__V1__Report *from, struct npt_report *report)
{
	report->kind = (enum npt_report_kind)choice(reader, "kind", from->kind, NPT_REPORT_REPORT);
	report->start_unix_ms = number(reader, "start", from->start_unix_ms);
	report->duration_ms = number(reader, "duration", from->duration_ms);
	read_text(reader, "instance", from->instance, report->instance, sizeof(report->instance));
	report->sequence = number(reader, "sequence", from->sequence);
	read_text(reader, "task namespace", from->task_namespace, report->task.namespace_name,
		  sizeof(report->task.namespace_name));
	read_text(reader, "task name", from->task_name, report->task.name,
		  sizeof(report->task.name));
	read_text(reader, "task uid", from->task_uid, report->task.uid, sizeof(report->task.uid));
	read_text(reader, "pod namespace", from->pod_namespace, report->pod.namespace_name,
		  sizeof(report->pod.namespace_name));
	read_text(reader, "pod name", from->pod_name, report->pod.name, sizeof(report->pod.name));
	read_text(reader, "pod uid", from->pod_uid, report->pod.uid, sizeof(report->pod.uid));
	read_text(reader, "node", from->node, report->node, sizeof(report->node));
	report->other_edges = number(reader, "other edges", from->other_edges);
	report->lost.events = number(reader, "lost events", from->lost_events);
	report->lost.edges = number(reader, "lost edges", from->lost_edges);
	report->cost.cpu_ms = number(reader, "cost", from->cost_cpu_ms);
	report->cost.ns_per_operation = number(reader, "cost", from->cost_ns_per_operation);
	report->cost.hooks_ms = number(reader, "cost", from->cost_hooks_ms);
	report->cost.memory_kib = number(reader, "cost", from->cost_memory_kib);
}

static int not_a_message(const struct arena *arena, size_t size_bytes, struct npt_error *err)
{
	if (arena->total_bytes > ARENA_BYTES_MAX / 2)
		return npt_error_set(err, EMSGSIZE, "protobuf: %zu bytes unpack to too much",
				     size_bytes);
	return npt_error_set(err, EBADMSG, "protobuf: not a message of window.proto");
}

int npt_report_from_protobuf(const void *data, size_t size_bytes, struct npt_report **report_ret,
			     struct npt_error *err)
{
	npt_auto(arena_done) struct arena arena;
	npt_auto(npt_report_free) struct npt_report *report = NULL;
	struct reader reader = { .err = err };
	const Npt__V1__Report *message;

	arena_init(&arena);
	if (size_bytes > NPT_REPORT_PROTOBUF_BYTES_MAX)
		return npt_error_set(err, EMSGSIZE, "protobuf: %zu bytes are too many", size_bytes);
	message = npt__v1__report__unpack(&arena.allocator, size_bytes, data);
	if (!message)
		return not_a_message(&arena, size_bytes, err);
	report = npt_report_new();
	read_head(&reader, message, report);
	read_lists(&reader, message, report);
	read_tls_uses(&reader, message, report);
	read_edges(&reader, message, report);
	if (reader.result < 0)
		return reader.result;
	*report_ret = npt_take(report);
	return 0;
}

int npt_edge_from_protobuf(const void *data, size_t size_bytes, struct npt_edge *edge_ret,
			   struct npt_error *err)
{
	npt_auto(arena_done) struct arena arena;
	struct reader reader = { .err = err };
	const Npt__V1__Edge *message;

	memset(edge_ret, 0, sizeof(*edge_ret));
	arena_init(&arena);
	if (size_bytes > NPT_REPORT_PROTOBUF_BYTES_MAX)
		return npt_error_set(err, EMSGSIZE, "protobuf: %zu bytes are too many", size_bytes);
	message = npt__v1__edge__unpack(&arena.allocator, size_bytes, data);
	if (!message)
		return not_a_message(&arena, size_bytes, err);
	read_edge(&reader, message, edge_ret);
	return reader.result;
}
