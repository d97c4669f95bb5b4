/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/edges.h"

#include <inttypes.h>
#include <string.h>

#include "cli/table.h"
#include "lib/core/short.h"
#include "lib/model/report_details.h"

#define FINDINGS_MAX 10
#define RED          "\033[31m"
#define PLAIN        "\033[0m"

void npt_edges_append_name(struct npt_buffer *out, const struct npt_edge *edge)
{
	npt_auto(npt_buffer_done) struct npt_buffer own = NPT_BUFFER(1024), peer = NPT_BUFFER(1024);
	bool is_server = edge->role == NPT_ROLE_SERVER;

	if (edge->process.pod[0])
		(void)npt_buffer_appendf(&own, "%s/", edge->process.pod);
	(void)npt_buffer_appendf(&own, "%s[%u]", edge->process.name, edge->process.pid);
	npt_peer_append(&edge->peer, &peer);
	npt_cli_text_append(out, own.data);
	(void)npt_buffer_append_text(out, is_server ? " <- " : " -> ");
	npt_cli_text_append(out, peer.data);
}

static void append_finding(struct npt_buffer *out, const struct npt_edge *edge, size_t number,
			   bool colour)
{
	(void)npt_buffer_appendf(out, "%s%zu. ", colour ? RED : "", number);
	npt_edges_append_name(out, edge);
	(void)npt_buffer_appendf(out, ": %s%s: ", npt_verdict_title(edge->finding.verdict),
				 colour ? PLAIN : "");
	npt_cli_text_append(out, edge->finding.text);
	(void)npt_buffer_append_text(out, "\n");
}

void npt_edges_append_findings(struct npt_buffer *out, const struct npt_result *result, bool colour)
{
	size_t count = 0;

	for (size_t i = 0; i < result->report->edges_count; i++) {
		if (npt_verdict_severity(result->sorted[i]->finding.verdict) == 0)
			break;
		if (++count <= FINDINGS_MAX)
			append_finding(out, result->sorted[i], i + 1, colour);
	}
	if (count > FINDINGS_MAX)
		(void)npt_buffer_appendf(out,
					 "and %zu edges more with a finding: kubectl npt explain\n",
					 count - FINDINGS_MAX);
	if (count == 0) {
		const char *text = npt_cluster_text(result->task, "status/finding");

		npt_cli_text_append(out, text[0] ? text : "nothing was seen");
		(void)npt_buffer_append_text(out, "\n");
	}
}

static uint64_t sum(const struct npt_named_count *counts, size_t max)
{
	uint64_t total = 0;

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		total += counts[i].count;
	return total;
}

static void add_time(struct npt_cli_table *table, const struct npt_edge_quantiles *quantiles,
		     const struct npt_edge *edge, enum npt_metric_id id)
{
	char text[NPT_SHORT_BYTES];

	if (!quantiles->known[id] ||
	    npt_metric_quality(id, &edge->metrics[id]) == NPT_QUALITY_UNAVAILABLE)
		npt_cli_table_cell(table, "-");
	else
		npt_cli_table_cell(table, npt_short_micros(quantiles->micros[id].p95, text));
}

static void add_number(struct npt_cli_table *table, uint64_t value)
{
	char text[NPT_SHORT_BYTES];

	npt_cli_table_cell(table, npt_short_number(value, text));
}

static void add_edge(struct npt_cli_table *table, const struct npt_result *result, size_t index)
{
	const struct npt_edge *edge = result->sorted[index];
	const struct npt_edge_quantiles *quantiles = npt_result_quantiles(result, edge);
	npt_auto(npt_buffer_done) struct npt_buffer peer = NPT_BUFFER(1024);
	char protocol[NPT_PROTOCOL_TITLE_BYTES];
	bool is_bad = npt_verdict_severity(edge->finding.verdict) > 0;

	npt_peer_append(&edge->peer, &peer);
	npt_edge_protocol_title(edge, protocol);
	npt_cli_table_row(table, is_bad ? NPT_TABLE_RED : NPT_TABLE_PLAIN);
	npt_cli_table_cellf(table, "%zu", index + 1);
	npt_cli_table_cell(table, edge->process.pod);
	npt_cli_table_cellf(table, "%s[%u]", edge->process.name, edge->process.pid);
	npt_cli_table_cell(table, edge->role == NPT_ROLE_SERVER ? "<-" : "->");
	npt_cli_table_cell(table, peer.data);
	npt_cli_table_cell(table, protocol);
	add_number(table,
		   edge->connections.opened + edge->connections.found + edge->connections.moved_in);
	add_number(table, sum(edge->connections.failed, NPT_EDGE_FAILED_MAX));
	add_number(table, edge->sent.bytes);
	add_number(table, edge->received.bytes);
	add_time(table, quantiles, edge, NPT_METRIC_RTT);
	add_time(table, quantiles, edge, NPT_METRIC_RESPONSE);
	add_number(table, edge->retransmit.segments);
	add_number(table, sum(edge->drops, NPT_EDGE_DROPS_MAX));
	npt_cli_table_cell(table, npt_verdict_title(edge->finding.verdict));
}

void npt_edges_append_table(struct npt_buffer *out, const struct npt_result *result, bool colour,
			    size_t width)
{
	static const char *const head[] = { ">#",       "POD",       "PROCESS",  "",
					    "PEER",     "PROTOCOL",  ">CONNS",   ">FAILED",
					    ">SENT",    ">RECEIVED", ">RTT-P95", ">RESP-P95",
					    ">RETRANS", ">DROPS",    "FINDING",  NULL };
	npt_auto(npt_cli_table_free) struct npt_cli_table *table = npt_cli_table_new(head);
	uint64_t others = result->report->other_edges;

	for (size_t i = 0; i < result->report->edges_count; i++)
		add_edge(table, result, i);
	npt_cli_table_render(table, colour, width, out);
	if (result->report->edges_count == 0)
		(void)npt_buffer_append_text(out, "(no connection was seen)\n");
	if (others > 0)
		(void)npt_buffer_appendf(out, "(%" PRIu64 " edges more are not listed)\n", others);
}
