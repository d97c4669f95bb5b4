/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the rules, and which edges are looked at together.
 */
#include "lib/model/finding.h"

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
		(void)snprintf(phrase.text, sizeof(phrase.text), "%" PRIu64 " s", micros / 1000000);
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
	const struct npt_metric *rtt = &edge->metrics[NPT_METRIC_RTT];

	return rtt->min_micros ? rtt->min_micros : npt_histogram_quantile_micros(&rtt->micros, 0);
}

uint64_t npt_edge_connections(const struct npt_edge *edge)
{
	return edge->connections.opened + edge->connections.found + edge->connections.moved_in;
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
	return edge->role == NPT_ROLE_SERVER && edge->peer.kind != NPT_PEER_PROCESS &&
	       (edge->peer.address[0] == '\0' || strcmp(edge->peer.address, "::") == 0);
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
	if (r == 0)
		r = compare(a->peer.pid, b->peer.pid);
	return r ? r : compare(a->label, b->label);
}

static struct servers find_servers(const struct npt_report *report)
{
	struct servers servers = {
		.edges = npt_alloc(report->edges_count + 1, sizeof(*servers.edges)),
	};

	for (size_t i = 0; i < report->edges_count; i++) {
		if (report->edges[i].role == NPT_ROLE_SERVER)
			servers.edges[servers.count++] = &report->edges[i];
	}
	qsort(servers.edges, servers.count, sizeof(*servers.edges), by_port);
	return servers;
}

/* The first of a port, or the end. */
static size_t first_of_port(const struct servers *servers, uint16_t port)
{
	size_t low = 0, high = servers->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (servers->edges[middle]->peer.port < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* One serves to the other, and to nobody else. */
static bool are_ends(const struct npt_edge *client, const struct npt_edge *server)
{
	return server->peer.kind == NPT_PEER_PROCESS && server->process.pid == client->peer.pid &&
	       server->peer.pid == client->process.pid;
}

/*
 * The other end of a client's connections. Where its peer serves several protocols on the port, it
 * is what both call the same; what an end has no name for yet may be the one that is left over.
 */
static const struct npt_edge *find_server(const struct servers *servers,
					  const struct npt_report *report,
					  const struct npt_edge *const *others,
					  const struct npt_edge *client, bool by_name)
{
	const struct npt_edge *found = NULL;

	for (size_t i = first_of_port(servers, client->peer.port);
	     i < servers->count && servers->edges[i]->peer.port == client->peer.port; i++) {
		const struct npt_edge *server = servers->edges[i];
		bool is_named = npt_protocol_is_known(server->protocol) &&
				npt_protocol_is_known(client->protocol);

		if (!are_ends(client, server))
			continue;
		if (by_name && strcmp(server->protocol, client->protocol) == 0)
			return server;
		if (by_name || is_named || others[server - report->edges])
			continue;
		if (found)
			return NULL;
		found = server;
	}
	return found;
}

static void find_ends(const struct servers *servers, const struct npt_report *report,
		      const struct npt_edge **others, bool by_name)
{
	for (size_t i = 0; i < report->edges_count; i++) {
		const struct npt_edge *client = &report->edges[i];

		if (client->role != NPT_ROLE_CLIENT || others[i] ||
		    client->peer.kind != NPT_PEER_PROCESS || client->peer.pid == 0)
			continue;
		others[i] = find_server(servers, report, others, client, by_name);
		if (others[i])
			others[others[i] - report->edges] = client;
	}
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* The listener that a client's connects go to, if it is in this report and has something to tell.
 */
static const struct npt_edge *find_listener(const struct servers *servers,
					    const struct npt_edge *client)
{
	if (client->peer.kind != NPT_PEER_PROCESS && !is_loopback(client->peer.address))
		return NULL;
	for (size_t i = first_of_port(servers, client->peer.port);
	     i < servers->count && servers->edges[i]->peer.port == client->peer.port &&
	     is_listener(servers->edges[i]);
	     i++) {
		if (client->peer.kind != NPT_PEER_PROCESS ||
		    client->peer.pid == servers->edges[i]->process.pid)
			return servers->edges[i];
	}
	return NULL;
}

static bool turns_away(const struct npt_edge *listener)
{
	return listener->queue.listen_drops >= NPT_FINDING_LISTEN_DROPS &&
	       listener->queue.accept_backlog > 0 &&
	       listener->queue.accept_backlog >= listener->queue.accept_backlog_max;
}

/* Drops alone may be segments that a lossy path brought twice: the queue must be seen full. */
static void judge_listener(const struct npt_edge *edge, struct npt_opinion *opinion)
{
	if (turns_away(edge))
		npt_opinion_say(
			opinion, NPT_VERDICT_LISTENER,
			npt_confidence(true, edge->queue.listen_drops, NPT_FINDING_LISTEN_DROPS),
			"the accept queue of port %u is full (%" PRIu64 " wait, %" PRIu64
			" may): %" PRIu64 " attempts to connect were turned away; %s must "
			"accept faster or listen with a longer backlog",
			edge->peer.port, edge->queue.accept_backlog, edge->queue.accept_backlog_max,
			edge->queue.listen_drops, npt_phrase_process(edge, "").text);
	else if (edge->queue.listen_drops > 0)
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"%" PRIu64
				" segments were dropped at port %u, whose accept queue is not "
				"full now (%" PRIu64 " wait, %" PRIu64 " may)",
				edge->queue.listen_drops, edge->peer.port,
				edge->queue.accept_backlog, edge->queue.accept_backlog_max);
	else
		npt_opinion_say(opinion, NPT_VERDICT_NONE, NPT_FINDING_CONFIDENCE_PAIR,
				"nobody was turned away; %" PRIu64 " of %" PRIu64
				" places in the accept queue of port %u are taken",
				edge->queue.accept_backlog, edge->queue.accept_backlog_max,
				edge->peer.port);
}

struct failures {
	const struct npt_named_count *most;
	uint64_t all;
	uint64_t given_up; /* by the program itself, as who tries IPv6 and IPv4 at once does */
};

static struct failures count_failures(const struct npt_edge *client)
{
	const struct npt_named_count *failed = client->connections.failed;
	struct failures failures = { .most = failed };

	for (size_t i = 0; i < NPT_EDGE_FAILED_MAX && failed[i].name[0]; i++) {
		failures.all += failed[i].count;
		if (strcmp(failed[i].name, "ECANCELED") == 0)
			failures.given_up += failed[i].count;
		else if (strcmp(failures.most->name, "ECANCELED") == 0 ||
			 failed[i].count > failures.most->count)
			failures.most = &failed[i];
	}
	return failures;
}

static void judge_connects(const struct npt_edge *client, const struct npt_edge *listener,
			   struct npt_opinion *opinion)
{
	struct failures failures = count_failures(client);
	uint64_t opened = client->connections.opened, all = failures.all + opened;
	uint64_t failed = failures.all - failures.given_up;

	if (listener && turns_away(listener))
		judge_listener(listener, opinion);
	if (failed > 0 && npt_permille(failed, all) >= NPT_FINDING_FAILED_PERMILLE)
		npt_opinion_say(opinion, NPT_VERDICT_CONNECT_FAILURE,
				npt_confidence(true, failed, 1),
				"%" PRIu64 " of %" PRIu64 " connects failed, most with %s%s",
				failed, all, failures.most->name,
				strcmp(failures.most->name, "ECONNREFUSED") == 0
					? ": nothing listens on that port"
					: "");
	if (failures.all > 0)
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"%" PRIu64 " of %" PRIu64 " connects failed, most with %s",
				failures.all, all, failures.most->name);
	if (npt_permille(client->retransmit.syn, client->retransmit.syn + opened) >=
	    NPT_FINDING_FAILED_PERMILLE)
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"%" PRIu64 " SYNs were sent again for %" PRIu64
				" connections: a full accept queue or a lossy path; measure the "
				"listener",
				client->retransmit.syn, opened);
}

static void judge_connections(const struct npt_ends *ends, struct npt_opinion *opinion)
{
	bool up = !ends->server ||
		  (ends->client && ends->client->sent.bytes >= ends->server->sent.bytes);

	/* The way of most bytes first: of two suspicions the first stays. */
	for (int i = 0; i < 2; i++, up = !up) {
		if (up)
			npt_judge_flow(ends->client, ends->server, opinion);
		else
			npt_judge_flow(ends->server, ends->client, opinion);
	}
	npt_judge_turns(ends, opinion);
	npt_judge_stream(ends->client, ends->server, opinion);
	npt_judge_stream(ends->server, ends->client, opinion);
	npt_judge_calm(ends, opinion);
}

static void judge(const struct npt_edge *edge, const struct npt_edge *other,
		  const struct npt_edge *listener, struct npt_opinion *opinion)
{
	struct npt_ends ends = { .client = edge, .server = other };

	if (strcmp(edge->transport, "tcp") != 0) {
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0, "only TCP is judged");
	} else if (edge->role == NPT_ROLE_UNKNOWN) {
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"which end opened these connections is not known");
	} else if (is_listener(edge)) {
		judge_listener(edge, opinion);
	} else {
		if (edge->role == NPT_ROLE_SERVER)
			ends = (struct npt_ends){ .client = other, .server = edge };
		else
			judge_connects(edge, listener, opinion);
		judge_connections(&ends, opinion);
	}
}

void npt_findings_set(struct npt_report *report)
{
	struct servers servers = find_servers(report);
	npt_auto_free const struct npt_edge **others =
		npt_alloc(report->edges_count + 1, sizeof(*others));

	find_ends(&servers, report, others, true);
	find_ends(&servers, report, others, false);
	for (size_t i = 0; i < report->edges_count; i++) {
		struct npt_edge *edge = &report->edges[i];
		const struct npt_edge *listener =
			edge->role == NPT_ROLE_CLIENT ? find_listener(&servers, edge) : NULL;
		struct npt_opinion opinion = { .verdict = NPT_VERDICT_UNKNOWN };

		judge(edge, others[i], listener, &opinion);
		edge->finding.verdict = opinion.verdict;
		edge->finding.confidence_permille = opinion.confidence_permille;
		memcpy(edge->finding.text, opinion.text, sizeof(edge->finding.text));
	}
	free(servers.edges);
}
