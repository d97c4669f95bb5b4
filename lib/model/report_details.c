/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each line is one metric of docs/metrics.md; what is unavailable is left out here and said at the
 * end of the table, what is zero is left out where that means nothing. What came over the network
 * as text is shown without what a terminal would obey.
 */
#include "lib/model/report_details.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/cleanup.h"
#include "lib/core/short.h"

#define TLS_LINES_MAX 20

static void render_micros(const char *name, uint64_t micros, struct npt_buffer *out)
{
	char text[NPT_SHORT_BYTES];

	(void)npt_buffer_appendf(out, "  %s %s", name, npt_short_micros(micros, text));
}

static void render_three(const struct npt_quantiles *micros, struct npt_buffer *out)
{
	render_micros("p50", micros->p50, out);
	render_micros("p95", micros->p95, out);
	render_micros("p99", micros->p99, out);
}

static void render_quantiles(const struct npt_histogram *micros, struct npt_buffer *out)
{
	const struct npt_quantiles three = {
		.p50 = npt_histogram_quantile_micros(micros, 500),
		.p95 = npt_histogram_quantile_micros(micros, 950),
		.p99 = npt_histogram_quantile_micros(micros, 990),
	};

	render_three(&three, out);
	render_micros("max", micros->max_micros, out);
}

void npt_peer_append(const struct npt_peer *peer, struct npt_buffer *out)
{
	const char *address = peer->address[0] ? peer->address : "*";

	if (peer->kind == NPT_PEER_PROCESS)
		(void)npt_buffer_appendf(out, "%s[%u]:%u", peer->name, peer->pid, peer->port);
	else if (peer->name[0])
		(void)npt_buffer_appendf(out, "%s:%u", peer->name, peer->port);
	else
		(void)npt_buffer_appendf(out, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address,
					 peer->port);
}

const char *npt_verdict_title(enum npt_verdict verdict)
{
	const char *cause = npt_verdict_cause(verdict);

	if (verdict == NPT_VERDICT_UNKNOWN)
		return "-";
	return strcmp(cause, "delay") == 0  ? "Network/delay"
	       : strcmp(cause, "loss") == 0 ? "Network/loss"
					    : npt_verdict_name(verdict);
}

/* said: quantiles that are known without a histogram, or NULL. */
static void render_metric(enum npt_metric_id id, const struct npt_metric *metric,
			  const struct npt_quantiles *said, struct npt_buffer *out)
{
	enum npt_quality quality = npt_metric_quality(id, metric);

	if (quality == NPT_QUALITY_UNAVAILABLE && metric->overlapped > 0)
		(void)npt_buffer_appendf(
			out, "  %-10s unavailable: %" PRIu64 " messages crossed each other\n",
			npt_metric_name(id), metric->overlapped);
	if (quality == NPT_QUALITY_UNAVAILABLE ||
	    (metric->count == 0 && metric->micros.count == 0 && !said))
		return;
	(void)npt_buffer_appendf(out, "  %-10s", npt_metric_name(id));
	if (metric->count > 0 || !said)
		(void)npt_buffer_appendf(out, " %" PRIu64, metric->count);
	if (metric->bytes > 0)
		(void)npt_buffer_appendf(out, ", %" PRIu64 " bytes", metric->bytes);
	if (metric->micros.count > 0)
		render_quantiles(&metric->micros, out);
	else if (said)
		render_three(said, out);
	if (metric->min_micros > 0)
		render_micros("min", metric->min_micros, out);
	if (quality != NPT_QUALITY_EXACT)
		(void)npt_buffer_appendf(out, "  (%s, %" PRIu64 " timed)",
					 npt_quality_name(quality), metric->micros.count);
	(void)npt_buffer_append_text(out, "\n");
}

static void render_counts(const char *name, const struct npt_named_count *counts, size_t max,
			  struct npt_buffer *out)
{
	if (counts[0].name[0] == '\0')
		return;
	(void)npt_buffer_appendf(out, "  %-10s", name);
	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		(void)npt_buffer_appendf(out, " %s %" PRIu64, counts[i].name, counts[i].count);
	(void)npt_buffer_append_text(out, "\n");
}

/* What a status says of an edge, which is less. */
static void render_summary(const struct npt_edge *edge, struct npt_buffer *out)
{
	(void)npt_buffer_appendf(out,
				 "  conns      %" PRIu64 " open, %" PRIu64 " in all\n"
				 "  moved      sent %" PRIu64 " bytes, received %" PRIu64
				 " bytes\n",
				 edge->connections.open, edge->connections.opened, edge->sent.bytes,
				 edge->received.bytes);
	if (edge->retransmit.segments > 0)
		(void)npt_buffer_appendf(out, "  retransmit %" PRIu64 " segments\n",
					 edge->retransmit.segments);
}

static void render_transfer(const struct npt_edge *edge, struct npt_buffer *out)
{
	(void)npt_buffer_appendf(out,
				 "  moved      sent %" PRIu64 " bytes in %" PRIu64
				 " segments, received %" PRIu64 " in %" PRIu64 "\n",
				 edge->sent.bytes, edge->sent.segments, edge->received.bytes,
				 edge->received.segments);
	if (edge->retransmit.segments == 0 && edge->retransmit.spurious == 0)
		return;
	(void)npt_buffer_appendf(
		out,
		"  retransmit %" PRIu64 " segments, %" PRIu64 " bytes (SYN %" PRIu64
		", tail loss %" PRIu64 ", spurious %" PRIu64 ")\n",
		edge->retransmit.segments, edge->retransmit.bytes, edge->retransmit.syn,
		edge->retransmit.tail_loss, edge->retransmit.spurious);
}

static uint64_t percent(uint64_t part, uint64_t whole)
{
	return whole ? (part * 100 + whole / 2) / whole : 0;
}

static void render_waits(const struct npt_edge *edge, struct npt_buffer *out)
{
	uint64_t time = edge->limited.application_micros + edge->limited.receive_window_micros +
			edge->limited.send_buffer_micros + edge->limited.network_micros;

	if (time > 0)
		(void)npt_buffer_appendf(out,
					 "  limited    application %" PRIu64
					 " %%, receive window %" PRIu64 " %%, send buffer %" PRIu64
					 " %%, network %" PRIu64 " %%\n",
					 percent(edge->limited.application_micros, time),
					 percent(edge->limited.receive_window_micros, time),
					 percent(edge->limited.send_buffer_micros, time),
					 percent(edge->limited.network_micros, time));
	if (edge->queue.unread_bytes > 0 || edge->queue.unsent_bytes > 0)
		(void)npt_buffer_appendf(
			out, "  queue      unread %" PRIu64 " bytes, unsent %" PRIu64 " bytes\n",
			edge->queue.unread_bytes, edge->queue.unsent_bytes);
	if (edge->queue.accept_backlog_max > 0)
		(void)npt_buffer_appendf(out,
					 "  listener   %" PRIu64 " of %" PRIu64
					 " wait for accept, %" PRIu64 " SYNs, %" PRIu64
					 " turned away\n",
					 edge->queue.accept_backlog, edge->queue.accept_backlog_max,
					 edge->queue.syn_backlog, edge->queue.listen_drops);
}

/* ", name text", or nothing. */
static void render_fact(const char *name, const char *text, struct npt_buffer *out)
{
	if (text[0] == '\0')
		return;
	(void)npt_buffer_appendf(out, ", %s ", name);
	for (; *text; text++) {
		bool is_shown = *text >= ' ' && *text <= '~';

		(void)npt_buffer_append(out, is_shown ? text : "?", 1);
	}
}

static void render_label(const struct npt_edge *edge, struct npt_buffer *out)
{
	uint32_t permille = npt_edge_protocol_confidence_permille(edge);
	char title[NPT_PROTOCOL_TITLE_BYTES];
	bool known = npt_protocol_is_known(npt_edge_protocol(edge));

	if (!known && edge->tls != NPT_TLS_YES)
		return;
	npt_edge_protocol_title(edge, title);
	(void)npt_buffer_appendf(out, "  protocol   %s", title);
	if (known)
		(void)npt_buffer_appendf(out, " (confidence %u.%03u%s)", permille / 1000,
					 permille % 1000,
					 npt_edge_is_named_by_hop(edge) ? ", by its hop" : "");
	render_fact("TLS", edge->tls_facts.version, out);
	render_fact("cipher", edge->tls_facts.cipher, out);
	render_fact("SNI", edge->tls_facts.sni, out);
	render_fact("ALPN", edge->tls_facts.alpn, out);
	(void)npt_buffer_append_text(out, "\n");
	if (edge->hop.name[0])
		(void)npt_buffer_appendf(out, "  hop        %s with %s[%u], port %u\n",
					 edge->hop.protocol, edge->hop.process, edge->hop.pid,
					 edge->hop.port);
}

static void render_tls(const struct npt_edge *edge, struct npt_buffer *out)
{
	if (edge->handshakes.count > 0 || edge->handshakes.failed > 0)
		(void)npt_buffer_appendf(out,
					 "  handshakes %" PRIu64 ", %" PRIu64 " resumed, %" PRIu64
					 " asked for a client certificate, %" PRIu64 " failed",
					 edge->handshakes.count, edge->handshakes.resumed,
					 edge->handshakes.client_certificates,
					 edge->handshakes.failed);
	if (edge->handshakes.micros.count > 0)
		render_quantiles(&edge->handshakes.micros, out);
	if (edge->handshakes.count > 0 || edge->handshakes.failed > 0)
		(void)npt_buffer_append_text(out, "\n");
	render_counts("alerted", edge->handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX, out);
	render_counts("was alerted", edge->handshakes.alerts_received, NPT_EDGE_ALERTS_MAX, out);
	if (edge->tls_calls.writes > 0 || edge->tls_calls.reads > 0)
		(void)npt_buffer_appendf(out,
					 "  tls calls  write %" PRIu64 ", %" PRIu64
					 " bytes, read %" PRIu64 ", %" PRIu64 " bytes\n",
					 edge->tls_calls.writes, edge->tls_calls.written_bytes,
					 edge->tls_calls.reads, edge->tls_calls.read_bytes);
}

static void render_connections(const struct npt_edge *edge, struct npt_buffer *out)
{
	(void)npt_buffer_appendf(out,
				 "  conns      %" PRIu64 " open, %" PRIu64 " opened, %" PRIu64
				 " older, %" PRIu64 " closed",
				 edge->connections.open, edge->connections.opened,
				 edge->connections.found, edge->connections.closed);
	if (edge->connections.moved_in > 0 || edge->connections.moved_out > 0)
		(void)npt_buffer_appendf(out, ", %" PRIu64 " moved in, %" PRIu64 " moved out",
					 edge->connections.moved_in, edge->connections.moved_out);
	if (edge->connections.kernel_tls > 0)
		(void)npt_buffer_appendf(out, ", %" PRIu64 " with TLS by the kernel",
					 edge->connections.kernel_tls);
	(void)npt_buffer_append_text(out, "\n");
}

void npt_edge_details(const struct npt_edge *edge, const struct npt_edge_quantiles *quantiles,
		      struct npt_buffer *out)
{
	(void)npt_buffer_appendf(out, "\n%s[%u] %s ", edge->process.name, edge->process.pid,
				 edge->role == NPT_ROLE_SERVER ? "<-" : "->");
	npt_peer_append(&edge->peer, out);
	(void)npt_buffer_appendf(out, " (%s", edge->transport);
	if (edge->peer.asked[0])
		(void)npt_buffer_appendf(out, ", asked %s", edge->peer.asked);
	if (edge->peer.reached[0])
		(void)npt_buffer_appendf(out, ", reached %s", edge->peer.reached);
	(void)npt_buffer_append_text(out, ")\n");
	if (edge->finding.text[0])
		(void)npt_buffer_appendf(out, "  finding    %s: %s\n",
					 npt_verdict_name(edge->finding.verdict),
					 edge->finding.text);
	render_label(edge, out);
	if (quantiles && quantiles->is_summary) {
		render_summary(edge, out);
	} else {
		render_connections(edge, out);
		render_transfer(edge, out);
	}
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++)
		render_metric((enum npt_metric_id)i, &edge->metrics[i],
			      quantiles && quantiles->known[i] ? &quantiles->micros[i] : NULL, out);
	render_tls(edge, out);
	render_waits(edge, out);
	render_counts("failed", edge->connections.failed, NPT_EDGE_FAILED_MAX, out);
	render_counts("drops", edge->drops, NPT_EDGE_DROPS_MAX, out);
	render_counts("reset", edge->resets_sent, NPT_EDGE_RESETS_MAX, out);
	render_counts("was reset", edge->resets_received, NPT_EDGE_RESETS_MAX, out);
}

void npt_report_append_tls(const struct npt_report *report, struct npt_buffer *out)
{
	uint64_t left = report->tls_other;

	for (size_t i = 0; i < report->tls_count; i++) {
		const struct npt_tls_use *use = &report->tls[i];

		if (i >= TLS_LINES_MAX) {
			left++;
			continue;
		}
		(void)npt_buffer_appendf(out, "%stls: %s[%u] %s: %s", i == 0 ? "\n" : "",
					 use->process, use->pid, use->library,
					 npt_tls_coverage_name(use->coverage));
		render_fact("version", use->version, out);
		render_fact("by", use->how, out);
		render_fact("since", use->why, out);
		if (use->unassigned_calls > 0)
			(void)npt_buffer_appendf(out, ", %" PRIu64 " calls of no known connection",
						 use->unassigned_calls);
		(void)npt_buffer_append_text(out, "\n");
	}
	if (left > 0)
		(void)npt_buffer_appendf(out, "tls: (%" PRIu64 " more)\n", left);
}

void npt_report_append_reasons(const struct npt_report *report, struct npt_buffer *out)
{
	for (size_t i = 0; i < NPT_REPORT_UNAVAILABLE_MAX && report->unavailable[i].name[0]; i++)
		(void)npt_buffer_appendf(out, "%snot measured: %s (%s)\n", i == 0 ? "\n" : "",
					 report->unavailable[i].name,
					 report->unavailable[i].reason);
	for (size_t i = 0; i < NPT_REPORT_DEGRADED_MAX && report->cost.degraded[i][0]; i++)
		(void)npt_buffer_appendf(out, "budget: %s\n", report->cost.degraded[i]);
}
