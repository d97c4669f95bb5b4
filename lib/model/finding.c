/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the rules, and which edges are looked at together.
 */
#include "lib/model/finding.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/model/finding_private.h"

/* The servers' edges, by port, process and client: a listener's client is 0, so it comes first. */
struct servers {
	const struct npt_edge **edges;
	size_t count;
};

const char *npt_verdict_name(enum npt_verdict verdict)
{
	static const char *const names[NPT_VERDICT_COUNT] = {
		[NPT_VERDICT_UNKNOWN] = "Unknown",
		[NPT_VERDICT_NONE] = "None",
		[NPT_VERDICT_SENDER_APPLICATION] = "SenderApplication",
		[NPT_VERDICT_SENDER_BUFFER] = "SenderBuffer",
		[NPT_VERDICT_RECEIVER_WINDOW] = "ReceiverWindow",
		[NPT_VERDICT_RECEIVER_APPLICATION] = "ReceiverApplication",
		[NPT_VERDICT_NETWORK_DELAY] = "NetworkDelay",
		[NPT_VERDICT_NETWORK_LOSS] = "NetworkLoss",
		[NPT_VERDICT_SERVER] = "Server",
		[NPT_VERDICT_LISTENER] = "Listener",
		[NPT_VERDICT_CONNECT_FAILURE] = "ConnectFailure",
	};

	return names[verdict];
}

bool npt_opinion_given(const struct npt_opinion *opinion)
{
	return opinion->text[0] != '\0';
}

void npt_opinion_say(struct npt_opinion *opinion, enum npt_verdict verdict, uint32_t confidence,
		     const char *format, ...)
{
	va_list args;

	if (opinion->verdict != NPT_VERDICT_UNKNOWN)
		return;
	/* Of two suspicions the first is the stronger; and there is no "None" beside one. */
	if (verdict <= NPT_VERDICT_NONE && npt_opinion_given(opinion))
		return;
	opinion->verdict = verdict;
	opinion->confidence_permille = confidence;
	va_start(args, format);
	(void)vsnprintf(opinion->text, sizeof(opinion->text), format, args);
	va_end(args);
}

struct npt_phrase npt_phrase_micros(uint64_t micros)
{
	struct npt_phrase phrase;

	if (micros < 1000)
		(void)snprintf(phrase.text, sizeof(phrase.text), "%" PRIu64 " us", micros);
	else if (micros < 10000)
		(void)snprintf(phrase.text, sizeof(phrase.text), "%" PRIu64 ".%" PRIu64 " ms",
			       micros / 1000, micros % 1000 / 100);
	else if (micros < 10000000)
		(void)snprintf(phrase.text, sizeof(phrase.text), "%" PRIu64 " ms", micros / 1000);
	else
		(void)snprintf(phrase.text, sizeof(phrase.text), "%" PRIu64 " s",
			       micros / 1000000);
	return phrase;
}

struct npt_phrase npt_phrase_bytes(uint64_t bytes)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB", "PB", "EB" };
	struct npt_phrase phrase;
	uint64_t scale = 1;
	size_t unit = 0;

	while (bytes / scale >= 1000) {
		scale *= 1000;
		unit++;
	}
	if (bytes / scale < 10 && unit > 0)
		(void)snprintf(phrase.text, sizeof(phrase.text), "%" PRIu64 ".%" PRIu64 " %s",
			       bytes / scale, bytes % scale / (scale / 10), units[unit]);
	else
		(void)snprintf(phrase.text, sizeof(phrase.text), "%" PRIu64 " %s", bytes / scale,
			       units[unit]);
	return phrase;
}

struct npt_phrase npt_phrase_process(const struct npt_edge *edge, const char *otherwise)
{
	struct npt_phrase phrase;

	if (edge)
		(void)snprintf(phrase.text, sizeof(phrase.text), "%.32s[%u]", edge->process.name,
			       edge->process.pid);
	else
		(void)snprintf(phrase.text, sizeof(phrase.text), "%s", otherwise);
	return phrase;
}

/* Of numbers up to 2^64. */
uint64_t npt_permille(uint64_t part, uint64_t whole)
{
	while (part >= UINT64_MAX / 1000) {
		part /= 2;
		whole /= 2;
	}
	return whole ? part * 1000 / whole : 0;
}

uint64_t npt_edge_time_micros(const struct npt_edge *edge)
{
	return edge->limited.application_micros + edge->limited.receive_window_micros +
	       edge->limited.send_buffer_micros + edge->limited.network_micros;
}

uint64_t npt_edge_rtt_micros(const struct npt_edge *edge)
{
	const struct npt_histogram *rtt = &edge->metrics[NPT_METRIC_RTT].micros;

	return npt_histogram_quantile_micros(rtt, 0);
}

uint64_t npt_edge_connections(const struct npt_edge *edge)
{
	return edge->connections.opened + edge->connections.found;
}

uint32_t npt_confidence(bool pair, uint64_t evidence, uint64_t minimum)
{
	uint32_t confidence = pair ? NPT_FINDING_CONFIDENCE_PAIR : NPT_FINDING_CONFIDENCE_ALONE;

	return evidence < NPT_FINDING_FIRM * minimum ? confidence - NPT_FINDING_CONFIDENCE_THIN
						     : confidence;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static bool is_listener(const struct npt_edge *edge)
{
	return edge->role == NPT_ROLE_SERVER && edge->queue.accept_backlog_max > 0;
}

static int by_port(const void *left, const void *right)
{
	const struct npt_edge *a = *(const struct npt_edge *const *)left;
	const struct npt_edge *b = *(const struct npt_edge *const *)right;
	int r = compare(a->peer.port, b->peer.port);

	if (r == 0)
		r = compare(is_listener(b), is_listener(a));
	if (r == 0)
		r = compare(a->process.pid, b->process.pid);
	return r ? r : compare(a->peer.pid, b->peer.pid);
}

static struct servers find_servers(const struct npt_report *report)
{
	struct servers servers = { .edges = npt_alloc(report->edges_count + 1,
						      sizeof(*servers.edges)) };

	for (size_t i = 0; i < report->edges_count; i++) {
		if (report->edges[i].role == NPT_ROLE_SERVER)
			servers.edges[servers.count++] = &report->edges[i];
	}
	qsort(servers.edges, servers.count, sizeof(*servers.edges), by_port);
	return servers;
}

static const struct npt_edge *find_server(const struct servers *servers, const struct npt_edge *like)
{
	const struct npt_edge *const *found =
		bsearch(&like, servers->edges, servers->count, sizeof(*servers->edges), by_port);

	return found ? *found : NULL;
}
