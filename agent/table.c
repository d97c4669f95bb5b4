/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns have fixed widths, so that a live table does not jump; a name that is too long is cut.
 */
#include "agent/table.h"
#include "agent/table_details.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

#define ROW                                                                                        \
	"%-22.22s %-2s %-34.34s %-16.16s %6s %6s %8s %8s %8s %8s %9s %9s %9s %9s %9s %6s %6s %s\n"

/* "0" to "9999", then "10.0k", "1.2M": at most 6 characters. */
static const char *short_number(uint64_t value, char *out, size_t size_bytes)
{
	static const char units[] = { 'k', 'M', 'G', 'T', 'P', 'E' };
	uint64_t scale = 1000;
	size_t unit = 0;

	if (value < 10000) {
		(void)snprintf(out, size_bytes, "%llu", (unsigned long long)value);
		return out;
	}
	while (unit + 1 < sizeof(units) && value / scale >= 1000) {
		scale *= 1000;
		unit++;
	}
	(void)snprintf(out, size_bytes, "%llu.%llu%c", (unsigned long long)(value / scale),
		       (unsigned long long)(value % scale / (scale / 10)), units[unit]);
	return out;
}

static const char *short_time(const struct npt_metric *metric, uint32_t permille, char *out,
			      size_t size_bytes)
{
	uint64_t micros = npt_histogram_quantile_micros(&metric->micros, permille);

	if (metric->micros.count == 0)
		(void)snprintf(out, size_bytes, "-");
	else if (micros < 10000)
		(void)snprintf(out, size_bytes, "%lluus", (unsigned long long)micros);
	else if (micros < 10000000)
		(void)snprintf(out, size_bytes, "%llums", (unsigned long long)(micros / 1000));
	else
		(void)snprintf(out, size_bytes, "%llus", (unsigned long long)(micros / 1000000));
	return out;
}

static void peer_text(const struct npt_peer *peer, char *out, size_t size_bytes)
{
	const char *address = peer->address[0] ? peer->address : "*";

	if (peer->kind == NPT_PEER_PROCESS)
		(void)snprintf(out, size_bytes, "%s[%u]:%u", peer->name, peer->pid, peer->port);
	else if (peer->name[0])
		(void)snprintf(out, size_bytes, "%s:%u", peer->name, peer->port);
	else
		(void)snprintf(out, size_bytes, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address,
			       peer->port);
}

void npt_table_peer(const struct npt_peer *peer, struct npt_buffer *out)
{
	char text[NPT_NAME_BYTES + 16];

	peer_text(peer, text, sizeof(text));
	(void)npt_buffer_append_text(out, text);
}

static uint64_t sum_counts(const struct npt_named_count *counts, size_t max)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		sum += counts[i].count;
	return sum;
}

static const char *finding_text(const struct npt_edge *edge, char *out, size_t size_bytes)
{
	const char *cause = npt_verdict_cause(edge->finding.verdict);

	if (edge->finding.verdict == NPT_VERDICT_UNKNOWN)
		return "-";
	(void)snprintf(out, size_bytes, "%s%s%s", npt_verdict_name(edge->finding.verdict),
		       cause[0] ? "/" : "", cause);
	return out;
}

static void render_row(const struct npt_edge *edge, struct npt_buffer *out)
{
	const struct npt_metric *write = &edge->metrics[NPT_METRIC_WRITE];
	const struct npt_metric *read = &edge->metrics[NPT_METRIC_READ];
	char process[NPT_PROCESS_BYTES + 16], peer[NPT_NAME_BYTES + 16], n[13][24], finding[32];
	char protocol[NPT_PROTOCOL_TITLE_BYTES];

	(void)snprintf(process, sizeof(process), "%s[%u]", edge->process.name, edge->process.pid);
	peer_text(&edge->peer, peer, sizeof(peer));
	npt_edge_protocol_title(edge, protocol);
	(void)npt_buffer_appendf(
		out, ROW, process, edge->role == NPT_ROLE_SERVER ? "<-" : "->", peer, protocol,
		short_number(edge->connections.opened + edge->connections.found +
				     edge->connections.moved_in,
			     n[0], sizeof(n[0])),
		short_number(sum_counts(edge->connections.failed, NPT_EDGE_FAILED_MAX), n[11],
			     sizeof(n[11])),
		short_number(edge->sent.bytes, n[1], sizeof(n[1])),
		short_number(edge->received.bytes, n[2], sizeof(n[2])),
		short_number(write->count, n[3], sizeof(n[3])),
		short_number(read->count, n[4], sizeof(n[4])),
		short_time(write, 950, n[5], sizeof(n[5])),
		short_time(read, 950, n[6], sizeof(n[6])),
		short_time(&edge->metrics[NPT_METRIC_RTT], 950, n[7], sizeof(n[7])),
		short_time(&edge->metrics[NPT_METRIC_CONNECT], 950, n[8], sizeof(n[8])),
		short_time(&edge->metrics[NPT_METRIC_RESPONSE], 950, n[12], sizeof(n[12])),
		short_number(edge->retransmit.segments, n[9], sizeof(n[9])),
		short_number(sum_counts(edge->drops, NPT_EDGE_DROPS_MAX), n[10], sizeof(n[10])),
		finding_text(edge, finding, sizeof(finding)));
}

/* What is wrong, in words, as far as there is room. */
static void render_sentences(const struct npt_edge **edges, size_t count, size_t rows_max,
			     struct npt_buffer *out)
{
	for (size_t i = 0; i < count && rows_max > 0; i++) {
		char finding[32];

		if (npt_verdict_severity(edges[i]->finding.verdict) == 0)
			continue;
		(void)npt_buffer_appendf(
			out, "%s[%u]: %s: %s\n", edges[i]->process.name, edges[i]->process.pid,
			finding_text(edges[i], finding, sizeof(finding)), edges[i]->finding.text);
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
	npt_table_details(sorted, details < count ? details : count, out);
	if (details > 0)
		npt_table_tls(report, out);
	npt_table_reasons(report, out);
}
