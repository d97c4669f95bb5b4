/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that a status calls otherwise, in one table; the rest has the same shape.
 */
#include "cli/status_report.h"

#include <string.h>

#include "cli/cluster.h"
#include "lib/core/clock.h"
#include "lib/model/json.h"

static json_t *number(const json_t *object, const char *key)
{
	const json_t *value = npt_cluster_at(object, key);

	return json_integer(json_is_integer(value) && json_integer_value(value) > 0
				    ? json_integer_value(value)
				    : 0);
}

/* A shallow copy of some keys, as far as they are there. */
static void copy(json_t *into, const json_t *from, const char *const *keys)
{
	for (; *keys; keys++) {
		json_t *value = json_object_get(from, *keys);

		if (value)
			(void)json_object_set(into, *keys, value);
	}
}

static void set_metric(json_t *edge, const json_t *row, const char *name, const char *micros_key,
		       const char *count_key, const char *bytes_key)
{
	json_t *micros = json_object_get(row, micros_key);
	json_t *metric = json_object();

	if (count_key)
		npt_json_set(metric, "count", number(row, count_key));
	if (bytes_key)
		npt_json_set(metric, "bytes", number(row, bytes_key));
	if (json_integer_value(json_object_get(micros, "p99")) > 0)
		(void)json_object_set(metric, "micros", micros);
	if (json_object_size(metric) > 0)
		npt_json_set(edge, name, metric);
	else
		json_decref(metric);
}

static json_t *transfer(const json_t *row, const char *key)
{
	json_t *object = json_object();

	npt_json_set(object, "bytes", number(row, key));
	return object;
}

/* A number without names is of "unnamed" ones. */
static json_t *unnamed(const json_t *row, const char *key)
{
	json_t *object = json_object();

	if (json_integer_value(json_object_get(row, key)) > 0)
		npt_json_set(object, "unnamed", number(row, key));
	return object;
}

static json_t *finding(const json_t *row)
{
	static const char *const keys[] = { "verdict", "cause", NULL };
	json_t *object = json_object();
	double permille = (double)json_integer_value(json_object_get(row, "confidencePermille"));

	copy(object, row, keys);
	npt_json_set(object, "confidence", json_real(permille / 1000.0));
	npt_json_set_text(object, "text", npt_cluster_text(row, "finding"));
	return object;
}

static json_t *edge_of(const json_t *row)
{
	static const char *const keys[] = { "role", "peer", "transport", "tlsVersion",
					    "sni",  "alpn", "cipher",    NULL };
	const char *protocol = npt_cluster_text(row, "protocol");
	const char *tls = npt_cluster_text(row, "tls");
	json_t *edge = json_object();

	npt_json_set(edge, "process",
		     json_pack("{s:o, s:s, s:s, s:s}", "pid", number(row, "pid"), "name",
			       npt_cluster_text(row, "process"), "container",
			       npt_cluster_text(row, "container"), "pod",
			       npt_cluster_text(row, "pod")));
	copy(edge, row, keys);
	npt_json_set_text(edge, "protocol", protocol[0] ? protocol : NPT_PROTOCOL_UNSAID);
	if (protocol[0])
		npt_json_set(edge, "protocolConfidence",
			     json_real((double)json_integer_value(
					       json_object_get(row, "protocolConfidencePermille")) /
				       1000.0));
	npt_json_set_text(edge, "tls", tls[0] ? tls : "unknown");
	npt_json_set(edge, "connections",
		     json_pack("{s:o, s:o, s:o}", "open", number(row, "open"), "opened",
			       number(row, "connections"), "failed", unnamed(row, "failed")));
	npt_json_set(edge, "sent", transfer(row, "bytesSent"));
	npt_json_set(edge, "received", transfer(row, "bytesReceived"));
	set_metric(edge, row, "write", "writeMicros", "writes", NULL);
	set_metric(edge, row, "read", "readMicros", "reads", NULL);
	set_metric(edge, row, "rtt", "rttMicros", NULL, NULL);
	set_metric(edge, row, "response", "responseMicros", NULL, NULL);
	npt_json_set(edge, "retransmit",
		     json_pack("{s:o}", "segments", number(row, "retransmits")));
	npt_json_set(edge, "drops", unnamed(row, "drops"));
	npt_json_set(edge, "finding", finding(row));
	return edge;
}

static uint64_t time_of(const json_t *status, const char *key)
{
	uint64_t unix_ms = 0;

	(void)npt_rfc3339_parse(npt_cluster_text(status, key), &unix_ms);
	return unix_ms;
}

static void set_times(json_t *report, const json_t *status)
{
	uint64_t start = time_of(status, "startTime"), end = time_of(status, "completionTime");
	char text[NPT_RFC3339_BYTES];

	npt_rfc3339_ms(start, text);
	if (end == 0 && start)
		end = npt_clock_unix_ms();
	npt_json_set_text(report, "start", text);
	npt_json_set_number(report, "durationMillis", end > start ? end - start : 0);
}

json_t *npt_status_report(const json_t *task)
{
	const json_t *status = json_object_get(task, "status");
	const json_t *rows = json_object_get(status, "edges");
	json_int_t all = json_integer_value(npt_cluster_at(status, "summary/edges"));
	json_int_t listed = (json_int_t)json_array_size(rows);
	json_t *report = json_object(), *edges = json_array(), *reasons;

	npt_json_set_text(report, "kind", "Report");
	npt_json_set_text(report, "apiVersion", "netprof.io/v1alpha1");
	npt_json_set_text(report, "from", "status");
	set_times(report, status);
	npt_json_set(report, "task",
		     json_pack("{s:s, s:s, s:s}", "namespace",
			       npt_cluster_text(task, "metadata/namespace"), "name",
			       npt_cluster_text(task, "metadata/name"), "uid",
			       npt_cluster_text(task, "metadata/uid")));
	for (size_t i = 0; i < json_array_size(rows); i++)
		(void)json_array_append_new(edges, edge_of(json_array_get(rows, i)));
	npt_json_set(report, "edges", edges);
	npt_json_set(report, "other",
		     json_pack("{s:I}", "edges", all > listed ? all - listed : (json_int_t)0));
	npt_json_set(report, "lost", json_pack("{s:o}", "events", number(status, "summary/lost")));
	reasons = json_object_get(status, "unavailable");
	if (reasons)
		(void)json_object_set(report, "unavailable", reasons);
	return report;
}
