/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers stand in tables, so that reading and writing cannot drift apart.
 */
#include "lib/model/summary_json.h"

#include <stddef.h>
#include <string.h>

struct number_field {
	const char *key;
	size_t offset;
};

#define NUMBER(type, key, field)                                                                   \
	{                                                                                          \
		key, offsetof(struct type, field)                                                  \
	}

static const struct number_field pod_numbers[] = {
	NUMBER(npt_pod_summary, "processes", processes),
	NUMBER(npt_pod_summary, "edgesTotal", edges),
	NUMBER(npt_pod_summary, "edgesJudged", edges_judged),
	NUMBER(npt_pod_summary, "connections", connections),
	NUMBER(npt_pod_summary, "bytesSent", bytes_sent),
	NUMBER(npt_pod_summary, "bytesReceived", bytes_received),
	NUMBER(npt_pod_summary, "segmentsSent", segments_sent),
	NUMBER(npt_pod_summary, "retransmitSegments", retransmit_segments),
	NUMBER(npt_pod_summary, "drops", drops),
	NUMBER(npt_pod_summary, "windows", windows),
	NUMBER(npt_pod_summary, "windowsStored", windows_stored),
	NUMBER(npt_pod_summary, "windowsDropped", windows_dropped),
	NUMBER(npt_pod_summary, "lostEvents", lost_events),
	NUMBER(npt_pod_summary, "lostEdges", lost_edges),
	NUMBER(npt_pod_summary, "cpuMillis", cost.cpu_ms),
	NUMBER(npt_pod_summary, "nanosPerOperation", cost.ns_per_operation),
	NUMBER(npt_pod_summary, "memoryKiB", cost.memory_kib),
};

static const struct number_field edge_numbers[] = {
	NUMBER(npt_edge_summary, "open", connections_open),
	NUMBER(npt_edge_summary, "opened", connections_opened),
	NUMBER(npt_edge_summary, "failed", connections_failed),
	NUMBER(npt_edge_summary, "bytesSent", bytes_sent),
	NUMBER(npt_edge_summary, "bytesReceived", bytes_received),
	NUMBER(npt_edge_summary, "writes", writes),
	NUMBER(npt_edge_summary, "reads", reads),
	NUMBER(npt_edge_summary, "retransmitSegments", retransmit_segments),
	NUMBER(npt_edge_summary, "drops", drops),
	NUMBER(npt_edge_summary, "rttP50", rtt_micros.p50),
	NUMBER(npt_edge_summary, "rttP95", rtt_micros.p95),
	NUMBER(npt_edge_summary, "rttP99", rtt_micros.p99),
	NUMBER(npt_edge_summary, "writeP50", write_micros.p50),
	NUMBER(npt_edge_summary, "writeP95", write_micros.p95),
	NUMBER(npt_edge_summary, "writeP99", write_micros.p99),
	NUMBER(npt_edge_summary, "readP50", read_micros.p50),
	NUMBER(npt_edge_summary, "readP95", read_micros.p95),
	NUMBER(npt_edge_summary, "readP99", read_micros.p99),
	NUMBER(npt_edge_summary, "responseP50", response_micros.p50),
	NUMBER(npt_edge_summary, "responseP95", response_micros.p95),
	NUMBER(npt_edge_summary, "responseP99", response_micros.p99),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void write_numbers(json_t *object, const void *base, const struct number_field *fields,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)base + fields[i].offset, sizeof(value));
		if (value > 0)
			npt_json_set_number(object, fields[i].key, value);
	}
}

static void read_numbers(struct npt_json_reader *reader, const json_t *object, void *base,
			 const struct number_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = npt_json_u64(reader, object, fields[i].key, NPT_NUMBER_MAX);

		memcpy((char *)base + fields[i].offset, &value, sizeof(value));
	}
}

const char *npt_pod_state_name(enum npt_pod_state state)
{
	static const char *const names[] = { "Pending", "Running", "Finished", "Failed", "Gone" };

	return names[state];
}

static const char *pod_state_name(unsigned int value)
{
	return npt_pod_state_name((enum npt_pod_state)value);
}

static const char *role_name(unsigned int value)
{
	return npt_role_name((enum npt_role)value);
}

static const char *peer_kind_name(unsigned int value)
{
	return npt_peer_kind_name((enum npt_peer_kind)value);
}

static const char *tls_name(unsigned int value)
{
	return npt_tls_name((enum npt_tls)value);
}

static const char *coverage_name(unsigned int value)
{
	return npt_tls_coverage_name((enum npt_tls_coverage)value);
}

/* Left out where it was read, as in a report. */
static const char *source_name(unsigned int value)
{
	return value ? "hop" : "";
}

static void write_finding(json_t *object, const struct npt_edge_summary *edge)
{
	npt_json_set_text(object, "verdict", npt_verdict_name(edge->verdict));
	npt_json_set_some_text(object, "cause", npt_verdict_cause(edge->verdict));
	npt_json_set_number(object, "confidencePermille", edge->confidence_permille);
	npt_json_set_some_text(object, "finding", edge->finding);
}

static enum npt_verdict read_verdict(struct npt_json_reader *reader, const json_t *object)
{
	char name[NPT_REASON_BYTES] = "", cause[NPT_REASON_BYTES] = "";

	npt_json_text(reader, object, "verdict", name, sizeof(name));
	npt_json_text(reader, object, "cause", cause, sizeof(cause));
	if (name[0] == '\0' && cause[0] == '\0')
		return NPT_VERDICT_UNKNOWN;
	for (unsigned int i = 0; i < NPT_VERDICT_COUNT; i++) {
		enum npt_verdict verdict = (enum npt_verdict)i;

		if (strcmp(name, npt_verdict_name(verdict)) == 0 &&
		    strcmp(cause, npt_verdict_cause(verdict)) == 0)
			return verdict;
	}
	npt_json_fail(reader, "verdict", "is none of the known words");
	return NPT_VERDICT_UNKNOWN;
}

static void read_finding(struct npt_json_reader *reader, const json_t *object,
			 struct npt_edge_summary *edge)
{
	edge->verdict = read_verdict(reader, object);
	edge->confidence_permille =
		(uint32_t)npt_json_u64(reader, object, "confidencePermille", 1000);
	npt_json_text(reader, object, "finding", edge->finding, sizeof(edge->finding));
}

static void write_label(json_t *object, const struct npt_edge_summary *edge)
{
	npt_json_set_some_number(object, "label", edge->label);
	npt_json_set_some_text(object, "protocol", edge->protocol);
	npt_json_set_some_number(object, "protocolConfidencePermille",
				 edge->protocol_confidence_permille);
	npt_json_set_some_text(object, "protocolFrom", source_name(edge->protocol_by_hop));
	npt_json_set_text(object, "tls", npt_tls_name(edge->tls));
	npt_json_set_some_text(object, "tlsVersion", edge->tls_version);
	npt_json_set_some_text(object, "sni", edge->sni);
	npt_json_set_some_text(object, "alpn", edge->alpn);
	npt_json_set_some_text(object, "cipher", edge->cipher);
}

static void read_label(struct npt_json_reader *reader, const json_t *object,
		       struct npt_edge_summary *edge)
{
	edge->label = (uint32_t)npt_json_u64(reader, object, "label", UINT32_MAX);
	npt_json_text(reader, object, "protocol", edge->protocol, sizeof(edge->protocol));
	edge->protocol_confidence_permille =
		(uint32_t)npt_json_u64(reader, object, "protocolConfidencePermille", 1000);
	edge->protocol_by_hop = npt_json_enum(reader, object, "protocolFrom", source_name, 2) != 0;
	edge->tls = (enum npt_tls)npt_json_enum(reader, object, "tls", tls_name, 3);
	npt_json_text(reader, object, "tlsVersion", edge->tls_version, sizeof(edge->tls_version));
	npt_json_text(reader, object, "sni", edge->sni, sizeof(edge->sni));
	npt_json_text(reader, object, "alpn", edge->alpn, sizeof(edge->alpn));
	npt_json_text(reader, object, "cipher", edge->cipher, sizeof(edge->cipher));
}

static json_t *edge_to_json(const struct npt_edge_summary *edge)
{
	json_t *object = json_object(), *peer = json_object();

	npt_json_set_number(object, "pid", edge->process.pid);
	npt_json_set_text(object, "process", edge->process.name);
	npt_json_set_some_text(object, "container", edge->process.container);
	npt_json_set_text(object, "role", npt_role_name(edge->role));
	npt_json_set_some_text(object, "transport", edge->transport);
	write_label(object, edge);
	write_finding(object, edge);
	npt_json_set_text(peer, "kind", npt_peer_kind_name(edge->peer.kind));
	npt_json_set_some_text(peer, "name", edge->peer.name);
	npt_json_set_some_text(peer, "namespace", edge->peer.namespace_name);
	npt_json_set_number(peer, "pid", edge->peer.pid);
	npt_json_set_some_text(peer, "address", edge->peer.address);
	npt_json_set_number(peer, "port", edge->peer.port);
	npt_json_set_some_text(peer, "asked", edge->peer.asked);
	npt_json_set_some_text(peer, "reached", edge->peer.reached);
	npt_json_set(object, "peer", peer);
	write_numbers(object, edge, edge_numbers, COUNT(edge_numbers));
	return object;
}

static void edge_from_json(struct npt_json_reader *reader, const json_t *object,
			   struct npt_edge_summary *edge)
{
	const json_t *peer = npt_json_object(reader, object, "peer");

	edge->process.pid = (uint32_t)npt_json_u64(reader, object, "pid", UINT32_MAX);
	npt_json_text(reader, object, "process", edge->process.name, sizeof(edge->process.name));
	npt_json_text(reader, object, "container", edge->process.container,
		      sizeof(edge->process.container));
	edge->role = (enum npt_role)npt_json_enum(reader, object, "role", role_name, 3);
	npt_json_text(reader, object, "transport", edge->transport, sizeof(edge->transport));
	read_label(reader, object, edge);
	read_finding(reader, object, edge);
	edge->peer.kind =
		(enum npt_peer_kind)npt_json_enum(reader, peer, "kind", peer_kind_name, 5);
	npt_json_text(reader, peer, "name", edge->peer.name, sizeof(edge->peer.name));
	npt_json_text(reader, peer, "namespace", edge->peer.namespace_name,
		      sizeof(edge->peer.namespace_name));
	edge->peer.pid = (uint32_t)npt_json_u64(reader, peer, "pid", UINT32_MAX);
	npt_json_text(reader, peer, "address", edge->peer.address, sizeof(edge->peer.address));
	edge->peer.port = (uint16_t)npt_json_u64(reader, peer, "port", UINT16_MAX);
	npt_json_text(reader, peer, "asked", edge->peer.asked, sizeof(edge->peer.asked));
	npt_json_text(reader, peer, "reached", edge->peer.reached, sizeof(edge->peer.reached));
	read_numbers(reader, object, edge, edge_numbers, COUNT(edge_numbers));
}

static json_t *histogram_to_json(const struct npt_histogram *histogram)
{
	json_t *object = json_object(), *buckets = json_array();

	npt_json_set_number(object, "sum", histogram->sum_micros);
	npt_json_set_number(object, "max", histogram->max_micros);
	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		if (histogram->buckets[i] == 0)
			continue;
		(void)json_array_append_new(buckets, json_integer((json_int_t)i));
		(void)json_array_append_new(buckets, npt_json_number(histogram->buckets[i]));
	}
	npt_json_set(object, "buckets", buckets);
	return object;
}

/* Pairs of bucket number and count. */
static void histogram_from_json(struct npt_json_reader *reader, const json_t *object,
				struct npt_histogram *histogram)
{
	const json_t *buckets =
		npt_json_array(reader, object, "buckets", (size_t)NPT_HISTOGRAM_BUCKETS * 2);

	histogram->sum_micros = npt_json_u64(reader, object, "sum", NPT_NUMBER_MAX);
	histogram->max_micros = npt_json_u64(reader, object, "max", NPT_NUMBER_MAX);
	for (size_t i = 0; i + 1 < json_array_size(buckets); i += 2) {
		const json_t *which = json_array_get(buckets, i);
		json_int_t bucket = json_integer_value(which);
		json_int_t count = json_integer_value(json_array_get(buckets, i + 1));

		if (!json_is_integer(which) || bucket < 0 || bucket >= NPT_HISTOGRAM_BUCKETS ||
		    count <= 0 || count > (json_int_t)NPT_NUMBER_MAX ||
		    histogram->buckets[bucket] > 0) {
			npt_json_fail(reader, "buckets", "has one that cannot be");
			return;
		}
		histogram->buckets[bucket] = (uint64_t)count;
		histogram->count += (uint64_t)count;
	}
}

json_t *npt_tls_summaries_to_json(const struct npt_pod_summary *summary)
{
	json_t *array = json_array();

	for (size_t i = 0; i < summary->tls_count; i++) {
		const struct npt_tls_summary *tls = &summary->tls[i];
		json_t *object = json_object();

		npt_json_set_text(object, "library", tls->library);
		npt_json_set_some_text(object, "version", tls->version);
		npt_json_set_text(object, "coverage", npt_tls_coverage_name(tls->coverage));
		npt_json_set_some_text(object, "why", tls->why);
		npt_json_set_number(object, "processes", tls->processes);
		(void)json_array_append_new(array, object);
	}
	return array;
}

static void read_tls(struct npt_json_reader *reader, const json_t *object,
		     struct npt_pod_summary *summary)
{
	const json_t *array = npt_json_array(reader, object, "tls", NPT_SUMMARY_TLS_MAX);

	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *from = json_array_get(array, i);
		struct npt_tls_summary *tls = &summary->tls[summary->tls_count++];

		npt_json_text(reader, from, "library", tls->library, sizeof(tls->library));
		npt_json_text(reader, from, "version", tls->version, sizeof(tls->version));
		tls->coverage = (enum npt_tls_coverage)npt_json_enum(reader, from, "coverage",
								     coverage_name, 3);
		npt_json_text(reader, from, "why", tls->why, sizeof(tls->why));
		tls->processes = npt_json_u64(reader, from, "processes", NPT_NUMBER_MAX);
	}
}

json_t *npt_reasons_to_json(
	const struct npt_named_reason reasons[static NPT_REPORT_UNAVAILABLE_MAX])
{
	json_t *object = json_object();

	for (size_t i = 0; i < NPT_REPORT_UNAVAILABLE_MAX && reasons[i].name[0]; i++)
		npt_json_set_text(object, reasons[i].name, reasons[i].reason);
	return object;
}

void npt_reasons_from_json(struct npt_json_reader *reader, const json_t *object, const char *key,
			   struct npt_named_reason reasons[static NPT_REPORT_UNAVAILABLE_MAX])
{
	json_t *unavailable = npt_json_object(reader, object, key);
	const char *name;
	json_t *reason;
	size_t count = 0;

	json_object_foreach(unavailable, name, reason)
	{
		struct npt_named_reason *entry = &reasons[count];

		if (count >= NPT_REPORT_UNAVAILABLE_MAX || strlen(name) >= sizeof(entry->name) ||
		    !json_is_string(reason) ||
		    json_string_length(reason) >= sizeof(entry->reason)) {
			npt_json_fail(reader, key, "has too much in it");
			return;
		}
		memcpy(entry->name, name, strlen(name) + 1);
		memcpy(entry->reason, json_string_value(reason), json_string_length(reason) + 1);
		count++;
	}
}

json_t *npt_pod_summary_to_json(const struct npt_pod_summary *summary)
{
	json_t *object = json_object(), *top = json_array();
	json_t *degraded = json_array();

	npt_json_set_text(object, "uid", summary->uid);
	npt_json_set_text(object, "namespace", summary->namespace_name);
	npt_json_set_text(object, "name", summary->name);
	npt_json_set_text(object, "state", npt_pod_state_name(summary->state));
	npt_json_set_some_text(object, "reason", summary->reason);
	npt_json_set_some_text(object, "message", summary->message);
	write_numbers(object, summary, pod_numbers, COUNT(pod_numbers));
	npt_json_set(object, "rtt", histogram_to_json(&summary->rtt));
	for (size_t i = 0; i < summary->top_count; i++)
		(void)json_array_append_new(top, edge_to_json(&summary->top[i]));
	npt_json_set(object, "edges", top);
	for (size_t i = 0; i < NPT_REPORT_DEGRADED_MAX && summary->cost.degraded[i][0]; i++)
		(void)json_array_append_new(degraded, npt_json_string(summary->cost.degraded[i]));
	npt_json_set(object, "degraded", degraded);
	npt_json_set(object, "unavailable", npt_reasons_to_json(summary->unavailable));
	npt_json_set(object, "tls", npt_tls_summaries_to_json(summary));
	return object;
}

void npt_pod_summary_from_json(struct npt_json_reader *reader, const json_t *object,
			       struct npt_pod_summary *summary)
{
	const json_t *top = npt_json_array(reader, object, "edges", NPT_SUMMARY_EDGES_MAX);
	const json_t *degraded =
		npt_json_array(reader, object, "degraded", NPT_REPORT_DEGRADED_MAX);

	npt_json_text(reader, object, "uid", summary->uid, sizeof(summary->uid));
	npt_json_text(reader, object, "namespace", summary->namespace_name,
		      sizeof(summary->namespace_name));
	npt_json_text(reader, object, "name", summary->name, sizeof(summary->name));
	summary->state =
		(enum npt_pod_state)npt_json_enum(reader, object, "state", pod_state_name, 5);
	npt_json_text(reader, object, "reason", summary->reason, sizeof(summary->reason));
	npt_json_text(reader, object, "message", summary->message, sizeof(summary->message));
	read_numbers(reader, object, summary, pod_numbers, COUNT(pod_numbers));
	histogram_from_json(reader, npt_json_object(reader, object, "rtt"), &summary->rtt);
	for (size_t i = 0; i < json_array_size(top); i++)
		edge_from_json(reader, json_array_get(top, i), &summary->top[summary->top_count++]);
	for (size_t i = 0; i < json_array_size(degraded); i++) {
		const char *text = json_string_value(json_array_get(degraded, i));

		if (!text || strlen(text) >= NPT_TEXT_BYTES)
			npt_json_fail(reader, "degraded", "has something that is no text");
		else
			memcpy(summary->cost.degraded[i], text, strlen(text) + 1);
	}
	npt_reasons_from_json(reader, object, "unavailable", summary->unavailable);
	read_tls(reader, object, summary);
}
