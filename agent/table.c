/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns have fixed widths, so that a live table does not jump; a name that is too long is cut.
 */
#include "agent/table.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/short.h"
#include "lib/model/report_details.h"

#define ROW                                                                                        \
	"%-22.22s %-2s %-34.34s %-16.16s %6s %6s %8s %8s %8s %8s %9s %9s %9s %9s %9s %6s %6s %s\n"

static const char *short_time(const struct npt_metric *metric, uint32_t permille, char *out)
{
	if (metric->micros.count == 0)
		return "-";
	return npt_short_micros(npt_histogram_quantile_micros(&metric->micros, permille), out);
}

static uint64_t sum_counts(const struct npt_named_count *counts, size_t max)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		sum += counts[i].count;
	return sum;
}

static void render_row(const struct npt_edge *edge, struct npt_buffer *out)
{
	const struct npt_metric *write = &edge->metrics[NPT_METRIC_WRITE];
	const struct npt_metric *read = &edge->metrics[NPT_METRIC_READ];
	char process[NPT_PROCESS_BYTES + 16], n[13][NPT_SHORT_BYTES];
	npt_auto(npt_buffer_done) struct npt_buffer peer = NPT_BUFFER(2 * NPT_NAME_BYTES);
	char protocol[NPT_PROTOCOL_TITLE_BYTES];

	(void)snprintf(process, sizeof(process), "%s[%u]", edge->process.name, edge->process.pid);
	npt_peer_append(&edge->peer, &peer);
	npt_edge_protocol_title(edge, protocol);
	(void)npt_buffer_appendf(
		out, ROW, process, edge->role == NPT_ROLE_SERVER ? "<-" : "->", peer.data, protocol,
		npt_short_number(edge->connections.opened + edge->connections.found +
					 edge->connections.moved_in,
				 n[0]),
		npt_short_number(sum_counts(edge->connections.failed, NPT_EDGE_FAILED_MAX), n[11]),
		npt_short_number(edge->sent.bytes, n[1]),
		npt_short_number(edge->received.bytes, n[2]), npt_short_number(write->count, n[3]),
		npt_short_number(read->count, n[4]), short_time(write, 950, n[5]),
		short_time(read, 950, n[6]), short_time(&edge->metrics[NPT_METRIC_RTT], 950, n[7]),
		short_time(&edge->metrics[NPT_METRIC_CONNECT], 950, n[8]),
		short_time(&edge->metrics[NPT_METRIC_RESPONSE], 950, n[12]),
		npt_short_number(edge->retransmit.segments, n[9]),
		npt_short_number(sum_counts(edge->drops, NPT_EDGE_DROPS_MAX), n[10]),
		npt_verdict_title(edge->finding.verdict));
}

/* What is wrong, in words, as far as there is room. */
static void render_sentences(const struct npt_edge **edges, size_t count, size_t rows_max,
			     struct npt_buffer *out)
{
	for (size_t i = 0; i < count && rows_max > 0; i++) {
		if (npt_verdict_severity(edges[i]->finding.verdict) == 0)
			continue;
		(void)npt_buffer_appendf(
			out, "%s[%u]: %s: %s\n", edges[i]->process.name, edges[i]->process.pid,
			npt_verdict_title(edges[i]->finding.verdict), edges[i]->finding.text);
		rows_max--;
	}
}

static void render_rows(const struct npt_edge **edges, size_t count, size_t rows_max,
			struct npt_buffer *out)
{
	(void)npt_buffer_appendf(out, ROW, "PROCESS", "", "PEER", "PROTOCOL", "CONNS", "FAILED",
				 "SENT", "RECEIVED", "WRITES", "READS", "WRITE-P95", "READ-P95",
				 "RTT-P95", "CONN-P95", "RESP-P95", "RETR", "DROPS", "FINDING");
	for (size_t i = 0; i < count && i < rows_max; i++)
		render_row(edges[i], out);
	if (count == 0)
		(void)npt_buffer_append_text(out, "(no connection yet)\n");
	if (count > rows_max)
		(void)npt_buffer_appendf(out, "(%zu more)\n", count - rows_max);
}

void npt_table_render(const struct npt_report *report, const struct npt_table_size *size,
		      struct npt_buffer *out)
{
	npt_auto_free const struct npt_edge **sorted =
		npt_alloc(report->edges_count + 1, sizeof(*sorted));
	size_t count = report->edges_count, details = size->details;

	for (size_t i = 0; i < count; i++)
		sorted[i] = &report->edges[i];
	qsort(sorted, count, sizeof(*sorted), npt_edge_worst_first);
	render_rows(sorted, count, size->rows, out);
	if (count < size->rows)
		render_sentences(sorted, count, size->rows - count, out);
	for (size_t i = 0; i < details && i < count; i++)
		npt_edge_details(sorted[i], NULL, out);
	if (details > 0)
		npt_report_append_tls(report, out);
	npt_report_append_reasons(report, out);
}
