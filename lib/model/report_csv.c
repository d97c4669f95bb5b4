/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and cells are written by the same walk over the columns, once for the head and once for
 * each edge, so that they cannot come apart.
 */
#include "lib/model/report_csv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct row {
	struct npt_buffer *out;
	const struct npt_edge *edge; /* NULL: the head */
	struct npt_edge_quantiles quantiles;
	bool begun;
	int result;
};

static void append(struct row *row, const char *text, size_t size_bytes)
{
	int r = npt_buffer_append(row->out, text, size_bytes);

	if (r < 0)
		row->result = r;
}

static void append_quoted(struct row *row, const char *text)
{
	append(row, "\"", 1);
	for (const char *at = text; *at; at++) {
		if (*at == '"')
			append(row, "\"", 1);
		append(row, at, 1);
	}
	append(row, "\"", 1);
}

/* A cell as it is; what could be a formula is made a text first. */
static void cell(struct row *row, const char *name, const char *text)
{
	char safe[NPT_TEXT_BYTES + 2];
	const char *shown = row->edge ? text : name;

	if (row->begun)
		append(row, ",", 1);
	row->begun = true;
	if (shown[0] && strchr("=+-@\t\r\n", shown[0])) {
		(void)snprintf(safe, sizeof(safe), "'%s", shown);
		shown = safe;
	}
	if (shown[strcspn(shown, ",\"\r\n")])
		append_quoted(row, shown);
	else
		append(row, shown, strlen(shown));
}

static void number(struct row *row, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64,
		       value < NPT_NUMBER_MAX ? value : NPT_NUMBER_MAX);
	cell(row, name, text);
}

/* A number that a status does not have. */
static void detail(struct row *row, const char *name, uint64_t value)
{
	if (row->edge && row->quantiles.is_summary)
		cell(row, name, "");
	else
		number(row, name, value);
}

/* "writeCount": a column of a metric; empty where there is nothing to say. */
static void metric_number(struct row *row, enum npt_metric_id id, const char *suffix, bool known,
			  uint64_t value)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s%s", npt_metric_name(id), suffix);
	if (known || !row->edge)
		number(row, name, value);
	else
		cell(row, name, "");
}

static uint64_t sum(const struct npt_named_count *counts, size_t max)
{
	uint64_t total = 0;

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		total += counts[i].count;
	return total;
}

static void who_cells(struct row *row, const struct npt_edge *edge)
{
	char port[8];

	cell(row, "pod", edge->process.pod);
	cell(row, "container", edge->process.container);
	cell(row, "process", edge->process.name);
	number(row, "pid", edge->process.pid);
	cell(row, "role", npt_role_name(edge->role));
	cell(row, "peerKind", npt_peer_kind_name(edge->peer.kind));
	cell(row, "peerNamespace", edge->peer.namespace_name);
	cell(row, "peerName", edge->peer.name);
	cell(row, "peerAddress", edge->peer.address);
	(void)snprintf(port, sizeof(port), "%u", edge->peer.port);
	cell(row, "peerPort", port);
	cell(row, "asked", edge->peer.asked);
	cell(row, "reached", edge->peer.reached);
	cell(row, "transport", edge->transport);
	cell(row, "protocol", npt_edge_protocol(edge));
	cell(row, "tls", npt_tls_name(edge->tls));
	cell(row, "sni", edge->tls_facts.sni);
}

static void moved_cells(struct row *row, const struct npt_edge *edge)
{
	number(row, "open", edge->connections.open);
	number(row, "opened", edge->connections.opened);
	detail(row, "found", edge->connections.found);
	detail(row, "closed", edge->connections.closed);
	number(row, "failed", sum(edge->connections.failed, NPT_EDGE_FAILED_MAX));
	number(row, "sentBytes", edge->sent.bytes);
	detail(row, "sentSegments", edge->sent.segments);
	number(row, "receivedBytes", edge->received.bytes);
	detail(row, "receivedSegments", edge->received.segments);
}

static void metric_cells(struct row *row, const struct npt_edge *edge, enum npt_metric_id id)
{
	const struct npt_metric *metric = &edge->metrics[id];
	const struct npt_quantiles *micros = &row->quantiles.micros[id];
	bool measured = npt_metric_quality(id, metric) != NPT_QUALITY_UNAVAILABLE;
	bool timed = measured && row->quantiles.known[id];

	metric_number(row, id, "Count",
		      measured && (metric->count > 0 || !row->quantiles.is_summary), metric->count);
	metric_number(row, id, "MicrosP50", timed, micros->p50);
	metric_number(row, id, "MicrosP95", timed, micros->p95);
	metric_number(row, id, "MicrosP99", timed, micros->p99);
	metric_number(row, id, "MicrosMax", timed && metric->micros.count > 0,
		      metric->micros.max_micros);
}

static void loss_cells(struct row *row, const struct npt_edge *edge)
{
	char confidence[16];

	number(row, "retransmitSegments", edge->retransmit.segments);
	detail(row, "retransmitBytes", edge->retransmit.bytes);
	number(row, "drops", sum(edge->drops, NPT_EDGE_DROPS_MAX));
	detail(row, "resetsSent", sum(edge->resets_sent, NPT_EDGE_RESETS_MAX));
	detail(row, "resetsReceived", sum(edge->resets_received, NPT_EDGE_RESETS_MAX));
	detail(row, "applicationMicros", edge->limited.application_micros);
	detail(row, "receiveWindowMicros", edge->limited.receive_window_micros);
	detail(row, "sendBufferMicros", edge->limited.send_buffer_micros);
	detail(row, "networkMicros", edge->limited.network_micros);
	cell(row, "verdict", npt_verdict_name(edge->finding.verdict));
	cell(row, "cause", npt_verdict_cause(edge->finding.verdict));
	(void)snprintf(confidence, sizeof(confidence), "%u.%03u",
		       edge->finding.confidence_permille / 1000,
		       edge->finding.confidence_permille % 1000);
	cell(row, "confidence", confidence);
	cell(row, "finding", edge->finding.text);
}

static int write_row(struct row *row, const struct npt_edge *edge)
{
	who_cells(row, edge);
	moved_cells(row, edge);
	for (unsigned int i = 0; i < NPT_METRIC_COUNT; i++)
		metric_cells(row, edge, (enum npt_metric_id)i);
	loss_cells(row, edge);
	append(row, "\r\n", 2);
	return row->result;
}

int npt_csv_head(struct npt_buffer *out)
{
	static const struct npt_edge nobody;
	struct row row = { .out = out };

	return write_row(&row, &nobody);
}

int npt_edge_to_csv(const struct npt_edge *edge, const struct npt_edge_quantiles *quantiles,
		    struct npt_buffer *out)
{
	struct row row = { .out = out, .edge = edge };

	if (quantiles)
		row.quantiles = *quantiles;
	else
		npt_edge_quantiles_of(edge, &row.quantiles);
	return write_row(&row, edge);
}

int npt_report_to_csv(const struct npt_report *report, const struct npt_edge_quantiles *quantiles,
		      struct npt_buffer *out)
{
	int r = npt_csv_head(out);

	for (size_t i = 0; r == 0 && i < report->edges_count; i++)
		r = npt_edge_to_csv(&report->edges[i], quantiles ? &quantiles[i] : NULL, out);
	return r;
}
