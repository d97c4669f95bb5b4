/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order is that of report_json.c. A word that this version does not know is the first of its
 * enum, which everywhere means "not known".
 */
#include "lib/model/report_json_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/model/json.h"

#define COUNTS_MAX 64 /* names in one map; what does not fit is added up as "other" */

static unsigned int read_word(struct npt_json_reader *reader, const json_t *object, const char *key,
			      const char *(*name_of)(unsigned int value), unsigned int count)
{
	char word[32] = "";

	npt_json_text(reader, object, key, word, sizeof(word));
	for (unsigned int i = 0; i < count; i++) {
		if (strcmp(word, name_of(i)) == 0)
			return i;
	}
	return 0;
}

static const char *role_name(unsigned int value)
{
	return npt_role_name((enum npt_role)value);
}

static const char *kind_name(unsigned int value)
{
	return npt_peer_kind_name((enum npt_peer_kind)value);
}

static const char *tls_name(unsigned int value)
{
	return npt_tls_name((enum npt_tls)value);
}

static const char *quality_name(unsigned int value)
{
	return npt_quality_name((enum npt_quality)value);
}

static const char *coverage_name(unsigned int value)
{
	return npt_tls_coverage_name((enum npt_tls_coverage)value);
}

static uint64_t number(struct npt_json_reader *reader, const json_t *object, const char *key)
{
	return npt_json_u64(reader, object, key, NPT_NUMBER_MAX);
}

static void read_counts(struct npt_json_reader *reader, const json_t *object, const char *key,
			struct npt_named_count *out, size_t max)
{
	json_t *counts = npt_json_object(reader, object, key), *value;
	const char *name;

	if (json_object_size(counts) > COUNTS_MAX) {
		npt_json_fail(reader, key, "has too many names");
		return;
	}
	json_object_foreach(counts, name, value)
	{
		if (!json_is_integer(value) || json_integer_value(value) < 0 || name[0] == '\0')
			npt_json_fail(reader, key, "has something that is no count");
		else
			npt_named_count_add(out, max, name, (uint64_t)json_integer_value(value));
	}
}

/* A permille of a number from 0 to 1. */
static uint32_t read_confidence(struct npt_json_reader *reader, const json_t *object,
				const char *key)
{
	const json_t *value = json_object_get(object, key);
	double share = json_number_value(value);

	if (value && (!json_is_number(value) || !(share >= 0.0 && share <= 1.0))) {
		npt_json_fail(reader, key, "is not a number from 0 to 1");
		return 0;
	}
	return (uint32_t)(share * 1000.0 + 0.5);
}

static void read_bucket(struct npt_json_reader *reader, const json_t *pair,
			struct npt_histogram *histogram)
{
	json_int_t lower = json_integer_value(json_array_get(pair, 0));
	json_int_t count = json_integer_value(json_array_get(pair, 1));
	uint32_t bucket;

	if (json_array_size(pair) != 2 || lower < 0 || count < 0 ||
	    (uint64_t)count > NPT_NUMBER_MAX) {
		npt_json_fail(reader, "buckets", "has something that is no [micros, count]");
		return;
	}
	bucket = npt_histogram_bucket((uint64_t)lower);
	if (npt_histogram_lower_micros(bucket) != (uint64_t)lower)
		npt_json_fail(reader, "buckets", "has a bound that no bucket has");
	else
		histogram->buckets[bucket] += (uint64_t)count;
}

static void read_histogram(struct npt_json_reader *reader, const json_t *object, const char *key,
			   struct npt_histogram *out, struct npt_quantiles *quantiles, bool *known)
{
	const json_t *micros = npt_json_object(reader, object, key);
	const json_t *buckets = npt_json_array(reader, micros, "buckets", NPT_HISTOGRAM_BUCKETS);

	out->sum_micros = number(reader, micros, "sum");
	out->max_micros = number(reader, micros, "max");
	for (size_t i = 0; i < json_array_size(buckets); i++)
		read_bucket(reader, json_array_get(buckets, i), out);
	for (size_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++)
		out->count += out->buckets[i];
	quantiles->p50 = number(reader, micros, "p50");
	quantiles->p95 = number(reader, micros, "p95");
	quantiles->p99 = number(reader, micros, "p99");
	*known = out->count > 0 || quantiles->p99 > 0;
}

static void read_metric(struct npt_json_reader *reader, const json_t *edge, enum npt_metric_id id,
			struct npt_metric *out, struct npt_edge_quantiles *quantiles)
{
	const json_t *object = npt_json_object(reader, edge, npt_metric_name(id));

	out->quality = NPT_QUALITY_UNAVAILABLE;
	if (!object)
		return;
	out->quality = (enum npt_quality)read_word(reader, object, "quality", quality_name,
						   NPT_QUALITY_UNAVAILABLE + 1);
	out->count = number(reader, object, "count");
	out->bytes = number(reader, object, "bytes");
	out->overlapped = number(reader, object, "overlapped");
	out->min_micros = number(reader, object, "min");
	read_histogram(reader, object, "micros", &out->micros, &quantiles->micros[id],
		       &quantiles->known[id]);
}

static void read_process(struct npt_json_reader *reader, const json_t *edge,
			 struct npt_process *out)
{
	const json_t *object = npt_json_object(reader, edge, "process");

	out->pid = (uint32_t)npt_json_u64(reader, object, "pid", UINT32_MAX);
	out->start_ns = number(reader, object, "startNanos");
	npt_json_text(reader, object, "name", out->name, sizeof(out->name));
	npt_json_text(reader, object, "comm", out->comm, sizeof(out->comm));
	npt_json_text(reader, object, "container", out->container, sizeof(out->container));
	npt_json_text(reader, object, "pod", out->pod, sizeof(out->pod));
}

static void read_peer(struct npt_json_reader *reader, const json_t *edge, struct npt_peer *out)
{
	const json_t *object = npt_json_object(reader, edge, "peer");

	out->kind =
		(enum npt_peer_kind)read_word(reader, object, "kind", kind_name, NPT_PEER_NODE + 1);
	npt_json_text(reader, object, "name", out->name, sizeof(out->name));
	npt_json_text(reader, object, "namespace", out->namespace_name,
		      sizeof(out->namespace_name));
	out->pid = (uint32_t)npt_json_u64(reader, object, "pid", UINT32_MAX);
	npt_json_text(reader, object, "address", out->address, sizeof(out->address));
	out->port = (uint16_t)npt_json_u64(reader, object, "port", UINT16_MAX);
	npt_json_text(reader, object, "asked", out->asked, sizeof(out->asked));
	npt_json_text(reader, object, "reached", out->reached, sizeof(out->reached));
}

static void read_label(struct npt_json_reader *reader, const json_t *object, struct npt_edge *edge)
{
	const json_t *hop = npt_json_object(reader, object, "hop");
	char from[8] = "";

	npt_json_text(reader, object, "transport", edge->transport, sizeof(edge->transport));
	npt_json_text(reader, object, "protocol", edge->protocol, sizeof(edge->protocol));
	edge->protocol_confidence_permille = read_confidence(reader, object, "protocolConfidence");
	edge->label = (uint32_t)npt_json_u64(reader, object, "label", UINT32_MAX);
	edge->tls = (enum npt_tls)read_word(reader, object, "tls", tls_name, NPT_TLS_YES + 1);
	npt_json_text(reader, object, "tlsVersion", edge->tls_facts.version,
		      sizeof(edge->tls_facts.version));
	npt_json_text(reader, object, "sni", edge->tls_facts.sni, sizeof(edge->tls_facts.sni));
	npt_json_text(reader, object, "alpn", edge->tls_facts.alpn, sizeof(edge->tls_facts.alpn));
	npt_json_text(reader, object, "cipher", edge->tls_facts.cipher,
		      sizeof(edge->tls_facts.cipher));
	npt_json_text(reader, hop, "process", edge->hop.process, sizeof(edge->hop.process));
	edge->hop.pid = (uint32_t)npt_json_u64(reader, hop, "pid", UINT32_MAX);
	edge->hop.port = (uint16_t)npt_json_u64(reader, hop, "port", UINT16_MAX);
	npt_json_text(reader, hop, "protocol", edge->hop.protocol, sizeof(edge->hop.protocol));
	/* What is inside by the hop stands as the protocol where nothing was read. */
	npt_json_text(reader, object, "protocolFrom", from, sizeof(from));
	if (hop)
		memcpy(edge->hop.name, edge->protocol, sizeof(edge->hop.name));
	if (strcmp(from, "hop") == 0)
		(void)snprintf(edge->protocol, sizeof(edge->protocol), NPT_PROTOCOL_UNSAID);
}

static void read_connections(struct npt_json_reader *reader, const json_t *edge,
			     struct npt_edge *out)
{
	const json_t *object = npt_json_object(reader, edge, "connections");

	out->connections.open = number(reader, object, "open");
	out->connections.opened = number(reader, object, "opened");
	out->connections.found = number(reader, object, "found");
	out->connections.closed = number(reader, object, "closed");
	out->connections.moved_in = number(reader, object, "movedIn");
	out->connections.moved_out = number(reader, object, "movedOut");
	out->connections.kernel_tls = number(reader, object, "kernelTls");
	read_counts(reader, object, "failed", out->connections.failed, NPT_EDGE_FAILED_MAX);
}

static void read_losses(struct npt_json_reader *reader, const json_t *edge, struct npt_edge *out)
{
	const json_t *retransmit = npt_json_object(reader, edge, "retransmit");
	const json_t *resets = npt_json_object(reader, edge, "resets");

	out->retransmit.segments = number(reader, retransmit, "segments");
	out->retransmit.bytes = number(reader, retransmit, "bytes");
	out->retransmit.syn = number(reader, retransmit, "syn");
	out->retransmit.tail_loss = number(reader, retransmit, "tailLoss");
	out->retransmit.spurious = number(reader, retransmit, "spurious");
	read_counts(reader, edge, "drops", out->drops, NPT_EDGE_DROPS_MAX);
	out->drops_unspecified = number(reader, edge, "dropsUnspecified");
	read_counts(reader, resets, "sent", out->resets_sent, NPT_EDGE_RESETS_MAX);
	read_counts(reader, resets, "received", out->resets_received, NPT_EDGE_RESETS_MAX);
}

static void read_waits(struct npt_json_reader *reader, const json_t *edge, struct npt_edge *out)
{
	const json_t *limited = npt_json_object(reader, edge, "limited");
	const json_t *queue = npt_json_object(reader, edge, "queue");

	out->limited.application_micros = number(reader, limited, "applicationMicros");
	out->limited.receive_window_micros = number(reader, limited, "receiveWindowMicros");
	out->limited.send_buffer_micros = number(reader, limited, "sendBufferMicros");
	out->limited.network_micros = number(reader, limited, "networkMicros");
	out->queue.unread_bytes = number(reader, queue, "unreadBytes");
	out->queue.unsent_bytes = number(reader, queue, "unsentBytes");
	out->queue.accept_backlog = number(reader, queue, "acceptBacklog");
	out->queue.accept_backlog_max = number(reader, queue, "acceptBacklogMax");
	out->queue.syn_backlog = number(reader, queue, "synBacklog");
	out->queue.listen_drops = number(reader, queue, "listenDrops");
}

static void read_tls(struct npt_json_reader *reader, const json_t *edge, struct npt_edge *out)
{
	const json_t *handshakes = npt_json_object(reader, edge, "handshakes");
	const json_t *alerts = npt_json_object(reader, handshakes, "alerts");
	const json_t *calls = npt_json_object(reader, edge, "tlsCalls");
	const json_t *write = npt_json_object(reader, calls, "write");
	const json_t *read = npt_json_object(reader, calls, "read");
	struct npt_quantiles ignored;
	bool known;

	out->handshakes.count = number(reader, handshakes, "count");
	out->handshakes.resumed = number(reader, handshakes, "resumed");
	out->handshakes.client_certificates = number(reader, handshakes, "clientCertificates");
	out->handshakes.failed = number(reader, handshakes, "failed");
	read_counts(reader, alerts, "sent", out->handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX);
	read_counts(reader, alerts, "received", out->handshakes.alerts_received,
		    NPT_EDGE_ALERTS_MAX);
	read_histogram(reader, handshakes, "micros", &out->handshakes.micros, &ignored, &known);
	out->tls_calls.writes = number(reader, write, "count");
	out->tls_calls.written_bytes = number(reader, write, "bytes");
	out->tls_calls.reads = number(reader, read, "count");
	out->tls_calls.read_bytes = number(reader, read, "bytes");
}

static void read_finding(struct npt_json_reader *reader, const json_t *edge, struct npt_edge *out)
{
	const json_t *object = npt_json_object(reader, edge, "finding");
	char verdict[32] = "", cause[16] = "";

	npt_json_text(reader, object, "verdict", verdict, sizeof(verdict));
	npt_json_text(reader, object, "cause", cause, sizeof(cause));
	npt_json_text(reader, object, "text", out->finding.text, sizeof(out->finding.text));
	out->finding.confidence_permille = read_confidence(reader, object, "confidence");
	for (unsigned int i = 0; i < NPT_VERDICT_COUNT; i++) {
		enum npt_verdict candidate = (enum npt_verdict)i;

		if (strcmp(verdict, npt_verdict_name(candidate)) == 0 &&
		    strcmp(cause, npt_verdict_cause(candidate)) == 0)
			out->finding.verdict = candidate;
	}
}

static void read_edge(struct npt_json_reader *reader, const json_t *object, struct npt_edge *edge,
		      struct npt_edge_quantiles *quantiles)
{
	const json_t *sent = npt_json_object(reader, object, "sent");
	const json_t *received = npt_json_object(reader, object, "received");

	if (!json_is_object(object))
		npt_json_fail(reader, "edges", "has something that is no edge");
	read_process(reader, object, &edge->process);
	edge->role =
		(enum npt_role)read_word(reader, object, "role", role_name, NPT_ROLE_SERVER + 1);
	read_peer(reader, object, &edge->peer);
	read_label(reader, object, edge);
	read_connections(reader, object, edge);
	edge->sent.bytes = number(reader, sent, "bytes");
	edge->sent.segments = number(reader, sent, "segments");
	edge->received.bytes = number(reader, received, "bytes");
	edge->received.segments = number(reader, received, "segments");
	for (unsigned int i = 0; i < NPT_METRIC_COUNT; i++)
		read_metric(reader, object, (enum npt_metric_id)i, &edge->metrics[i], quantiles);
	read_tls(reader, object, edge);
	read_losses(reader, object, edge);
	read_waits(reader, object, edge);
	read_finding(reader, object, edge);
}

static void read_reasons(struct npt_json_reader *reader, const json_t *object, const char *key,
			 struct npt_report *report,
			 void (*set)(struct npt_report *report, const char *name, const char *text))
{
	json_t *reasons = npt_json_object(reader, object, key), *value;
	const char *name;

	json_object_foreach(reasons, name, value)
	{
		if (!json_is_string(value) || name[0] == '\0')
			npt_json_fail(reader, key, "has something that is no reason");
		else
			set(report, name, json_string_value(value));
	}
}

static void read_use(struct npt_json_reader *reader, const json_t *object, struct npt_tls_use *use)
{
	use->pid = (uint32_t)npt_json_u64(reader, object, "pid", UINT32_MAX);
	use->start_ns = number(reader, object, "startNanos");
	npt_json_text(reader, object, "process", use->process, sizeof(use->process));
	npt_json_text(reader, object, "library", use->library, sizeof(use->library));
	npt_json_text(reader, object, "version", use->version, sizeof(use->version));
	npt_json_text(reader, object, "how", use->how, sizeof(use->how));
	use->coverage = (enum npt_tls_coverage)read_word(reader, object, "coverage", coverage_name,
							 NPT_COVERAGE_FULL + 1);
	npt_json_text(reader, object, "why", use->why, sizeof(use->why));
	use->unassigned_calls = number(reader, object, "unassignedCalls");
}

static void read_cost(struct npt_json_reader *reader, const json_t *object,
		      struct npt_report *report)
{
	const json_t *cost = npt_json_object(reader, object, "cost");
	const json_t *degraded = npt_json_array(reader, cost, "degraded", NPT_REPORT_DEGRADED_MAX);

	report->cost.cpu_ms = number(reader, cost, "cpuMillis");
	report->cost.hooks_ms = number(reader, cost, "hooksMillis");
	report->cost.ns_per_operation = number(reader, cost, "nanosPerOperation");
	report->cost.memory_kib = number(reader, cost, "memoryKiB");
	for (size_t i = 0; i < json_array_size(degraded); i++) {
		const char *step = json_string_value(json_array_get(degraded, i));

		(void)snprintf(report->cost.degraded[i], sizeof(report->cost.degraded[i]), "%s",
			       step ? step : "");
	}
}

static void read_head(struct npt_json_reader *reader, const json_t *object,
		      struct npt_report *report)
{
	const json_t *task = npt_json_object(reader, object, "task");
	const json_t *pod = npt_json_object(reader, object, "pod");
	const json_t *lost = npt_json_object(reader, object, "lost");
	char kind[16] = "", start[NPT_RFC3339_BYTES] = "";

	npt_json_text(reader, object, "kind", kind, sizeof(kind));
	npt_json_text(reader, object, "start", start, sizeof(start));
	if (strcmp(kind, "Report") != 0 && strcmp(kind, "Window") != 0)
		npt_json_fail(reader, "kind", "is neither Report nor Window");
	report->kind = strcmp(kind, "Report") == 0 ? NPT_REPORT_REPORT : NPT_REPORT_WINDOW;
	if (start[0] && npt_rfc3339_parse(start, &report->start_unix_ms) < 0)
		npt_json_fail(reader, "start", "is no time");
	report->duration_ms = number(reader, object, "durationMillis");
	npt_json_text(reader, object, "instance", report->instance, sizeof(report->instance));
	report->sequence = number(reader, object, "sequence");
	npt_json_text(reader, task, "namespace", report->task.namespace_name,
		      sizeof(report->task.namespace_name));
	npt_json_text(reader, task, "name", report->task.name, sizeof(report->task.name));
	npt_json_text(reader, task, "uid", report->task.uid, sizeof(report->task.uid));
	npt_json_text(reader, pod, "namespace", report->pod.namespace_name,
		      sizeof(report->pod.namespace_name));
	npt_json_text(reader, pod, "name", report->pod.name, sizeof(report->pod.name));
	npt_json_text(reader, pod, "uid", report->pod.uid, sizeof(report->pod.uid));
	npt_json_text(reader, object, "node", report->node, sizeof(report->node));
	report->lost.events = number(reader, lost, "events");
	report->lost.edges = number(reader, lost, "edges");
	report->other_edges = number(reader, npt_json_object(reader, object, "other"), "edges");
}

static void read_report(struct npt_json_reader *reader, const json_t *object,
			struct npt_report *report, struct npt_edge_quantiles **quantiles)
{
	const json_t *edges = npt_json_array(reader, object, "edges", SIZE_MAX);
	const json_t *uses = npt_json_array(reader, object, "tls", SIZE_MAX);
	size_t count = json_array_size(edges);
	char from[8] = "";

	npt_json_text(reader, object, "from", from, sizeof(from));
	read_head(reader, object, report);
	if (count > NPT_REPORT_EDGES_MAX) {
		report->other_edges += count - NPT_REPORT_EDGES_MAX;
		count = NPT_REPORT_EDGES_MAX;
	}
	*quantiles = npt_alloc(count + 1, sizeof(**quantiles));
	for (size_t i = 0; i < count && reader->result == 0; i++) {
		(*quantiles)[i].is_summary = strcmp(from, "status") == 0;
		read_edge(reader, json_array_get(edges, i), npt_report_add_edge(report),
			  &(*quantiles)[i]);
	}
	read_reasons(reader, object, "unavailable", report, npt_report_set_unavailable);
	read_reasons(reader, object, "sources", report, npt_report_set_source);
	report->tls_other = number(reader, object, "tlsOther");
	for (size_t i = 0; i < json_array_size(uses) && reader->result == 0; i++) {
		struct npt_tls_use *use = npt_report_add_tls(report);

		if (use)
			read_use(reader, json_array_get(uses, i), use);
	}
	read_cost(reader, object, report);
}

int npt_report_from_json(const char *text, size_t size_bytes, struct npt_report **report_ret,
			 struct npt_edge_quantiles **quantiles_ret, struct npt_error *err)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free struct npt_edge_quantiles *quantiles = NULL;
	struct npt_json_reader reader = { .err = err };
	json_error_t where;
	json_t *object;

	if (size_bytes > NPT_REPORT_JSON_BYTES_MAX)
		return npt_error_set(err, EBADMSG, "the report is larger than %lu bytes",
				     NPT_REPORT_JSON_BYTES_MAX);
	object = json_loadb(text, size_bytes, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(object))
		npt_json_fail(&reader, "the report", "is no JSON object");
	else
		read_report(&reader, object, report, &quantiles);
	json_decref(object);
	if (reader.result < 0)
		return reader.result;
	*report_ret = npt_take(report);
	if (quantiles_ret)
		*quantiles_ret = npt_take(quantiles);
	return 0;
}

void npt_edge_quantiles_of(const struct npt_edge *edge, struct npt_edge_quantiles *quantiles)
{
	quantiles->is_summary = false;
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++) {
		const struct npt_histogram *micros = &edge->metrics[i].micros;

		quantiles->known[i] = micros->count > 0;
		quantiles->micros[i] = (struct npt_quantiles){
			.p50 = npt_histogram_quantile_micros(micros, 500),
			.p95 = npt_histogram_quantile_micros(micros, 950),
			.p99 = npt_histogram_quantile_micros(micros, 990),
		};
	}
}
