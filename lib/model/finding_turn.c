/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and responses: where the time between them goes. Times between messages that do not
 * answer each other mean nothing, so first comes whether they alternate.
 */
#include <inttypes.h>

#include "lib/model/finding_private.h"

/* Where the time until a response goes, at one quantile; -1ull: not known. */
struct split {
	uint64_t total_us;
	uint64_t server_us;
	uint64_t network_us;
	uint64_t unread_us; /* of the server's, before it read the request */
	uint64_t turns;
	const char *quantile;
};

static uint64_t turns_of(const struct npt_edge *edge)
{
	return edge ? edge->metrics[NPT_METRIC_RESPONSE].count : 0;
}

static uint64_t response_us(const struct npt_edge *edge, uint32_t permille)
{
	return npt_histogram_quantile_micros(&edge->metrics[NPT_METRIC_RESPONSE].micros, permille);
}

enum trust {
	TRUST_NONE,
	TRUST_ANSWERED,  /* most messages have an answer */
	TRUST_ALTERNATE, /* request, response, request, response: what a verdict on the server needs
			  */
};

/*
 * How far the response times are what they seem to be. Where messages of no relation cross at
 * random, turns per message of the one side and turns per message of the other add up to 1 (1.4 if
 * they are regular); where each request has its response, to 2. A write is one message, a read may
 * be a part of one: the other end's writes are better, if they are known.
 */
static enum trust trust_in(const struct npt_edge *edge, const struct npt_edge *other,
			   const char **why_not)
{
	const struct npt_metric *response = &edge->metrics[NPT_METRIC_RESPONSE];
	uint64_t writes = edge->metrics[NPT_METRIC_WRITE].count;
	uint64_t back = other ? other->metrics[NPT_METRIC_WRITE].count
			      : edge->metrics[NPT_METRIC_READ].count;
	uint64_t turns = response->count, sum;

	if (response->quality == NPT_QUALITY_UNAVAILABLE)
		*why_not = "response times are not measured";
	else if (npt_metric_quality(NPT_METRIC_RESPONSE, response) == NPT_QUALITY_UNAVAILABLE)
		*why_not = "its messages cross each other";
	else if (turns < NPT_FINDING_TURNS_MIN)
		*why_not = "too few requests were answered";
	else
		*why_not = "its messages do not answer each other one by one";
	if (npt_metric_quality(NPT_METRIC_RESPONSE, response) == NPT_QUALITY_UNAVAILABLE ||
	    turns < NPT_FINDING_TURNS_MIN)
		return TRUST_NONE;
	sum = npt_permille(turns, writes) + npt_permille(turns, back);
	if (sum < NPT_FINDING_ANSWERED_PERMILLE)
		return TRUST_NONE;
	if (sum < (turns < NPT_FINDING_TURNS_MANY ? NPT_FINDING_ALTERNATE_FEW_PERMILLE
						  : NPT_FINDING_ALTERNATE_PERMILLE))
		return TRUST_ANSWERED;
	return TRUST_ALTERNATE;
}

/* Of a pair both ends must be believed: what crosses is seen by one of them only. */
static enum trust trust_of(const struct npt_ends *ends, const char **why_not)
{
	enum trust trust = TRUST_ALTERNATE;

	if (ends->client)
		trust = trust_in(ends->client, ends->server, why_not);
	if (ends->server && trust != TRUST_NONE) {
		enum trust server = trust_in(ends->server, ends->client, why_not);

		trust = server < trust ? server : trust;
	}
	return trust;
}

/* Both sides may send them at the same pace, which looks like requests that wait. */
static bool may_be_heartbeats(const struct npt_edge *edge)
{
	uint64_t turns = turns_of(edge);

	return edge->sent.bytes <= turns * NPT_FINDING_HEARTBEAT_BYTES &&
	       edge->received.bytes <= turns * NPT_FINDING_HEARTBEAT_BYTES;
}

/*
 * The path's own time, 0 if delayed ACKs may be in all that is known of it: the kernel's minimum
 * leaves them out, and there is none in the RTT of a handshake.
 */
static uint64_t path_us(const struct npt_edge *edge)
{
	if (!edge ||
	    (edge->connections.opened == 0 && edge->metrics[NPT_METRIC_RTT].min_micros == 0))
		return 0;
	return npt_edge_rtt_micros(edge);
}

static struct split split_at(const struct npt_ends *ends, uint32_t permille)
{
	struct split split = { .quantile = permille == 500 ? "p50" : "p95" };
	uint64_t busy_us;

	if (ends->client) {
		split.total_us = response_us(ends->client, permille);
		split.turns = turns_of(ends->client);
	}
	if (ends->server) {
		split.server_us = response_us(ends->server, permille);
		split.unread_us = npt_histogram_quantile_micros(
			&ends->server->metrics[NPT_METRIC_UNREAD].micros, permille);
		split.turns = turns_of(ends->server);
	}
	if (ends->client && ends->server) {
		/* Of two histograms, whose buckets are 25 % wide. */
		if (split.total_us < split.server_us)
			split.total_us = split.server_us;
		split.network_us = split.total_us - split.server_us;
	} else if (ends->server) {
		split.network_us = npt_edge_rtt_micros(ends->server);
		split.total_us = split.server_us + split.network_us;
	} else {
		/*
		 * A request may be on its way for long after it was written: large, or sent again.
		 * What delayed ACKs add to that and to the RTT is taken from the server's part: too
		 * careful.
		 */
		busy_us = (npt_edge_time_micros(ends->client) -
			   ends->client->limited.application_micros) /
			  split.turns;
		split.network_us = npt_histogram_quantile_micros(
			&ends->client->metrics[NPT_METRIC_RTT].micros, 950);
		if (split.network_us < busy_us)
			split.network_us = busy_us;
		if (split.total_us > split.network_us)
			split.server_us = split.total_us - split.network_us;
	}
	return split;
}

static bool server_is_slow(const struct npt_ends *ends, const struct split *split, uint64_t minimum)
{
	if (!ends->server)
		return split->total_us >= minimum &&
		       split->total_us >= NPT_FINDING_RTT_FACTOR * split->network_us;
	return split->server_us >= minimum &&
	       split->server_us >= NPT_FINDING_DOMINATES * split->network_us;
}

static void say_server(const struct npt_ends *ends, const struct split *split,
		       struct npt_opinion *opinion)
{
	uint32_t sure =
		npt_confidence(ends->client && ends->server, split->turns, NPT_FINDING_TURNS_MIN);

	if (split->unread_us * NPT_FINDING_DOMINATES > split->server_us) {
		npt_opinion_say(
			opinion, NPT_VERDICT_UNKNOWN, 0,
			"requests wait %s of %s (%s) before %s reads them: it is busy with others, "
			"or does not get the CPU",
			npt_phrase_micros(split->unread_us).text,
			npt_phrase_micros(split->server_us).text, split->quantile,
			npt_phrase_process(ends->server, "").text);
		return;
	}
	if (!ends->server)
		npt_opinion_say(
			opinion, NPT_VERDICT_SERVER, sure,
			"answers come after %s (%s of %" PRIu64
			" requests), of which the network takes at most %s: the server is slow",
			npt_phrase_micros(split->total_us).text, split->quantile, split->turns,
			npt_phrase_micros(split->network_us).text);
	else
		npt_opinion_say(opinion, NPT_VERDICT_SERVER, sure,
				"%s takes %s of %s to answer (%s of %" PRIu64 " requests)",
				npt_phrase_process(ends->server, "").text,
				npt_phrase_micros(split->server_us).text,
				npt_phrase_micros(split->total_us).text, split->quantile,
				split->turns);
}

static void judge_delay(const struct npt_ends *ends, const struct split *split,
			struct npt_opinion *opinion)
{
	uint64_t path = path_us(ends->client), total_us;

	if (!path)
		path = path_us(ends->server);
	if (path < NPT_FINDING_DELAY_MIN_US ||
	    (ends->server && path < NPT_FINDING_DOMINATES * split->server_us) ||
	    path * NPT_FINDING_DOMINATES < split->total_us)
		return;
	/* The smallest RTT and the midpoint of a bucket. */
	total_us = split->total_us < path ? path : split->total_us;
	npt_opinion_say(
		opinion, NPT_VERDICT_NETWORK_DELAY,
		npt_confidence(ends->client && ends->server, split->turns, NPT_FINDING_TURNS_MIN),
		"the network takes %s of the %s until an answer comes (%s of %" PRIu64 " requests)",
		npt_phrase_micros(path).text, npt_phrase_micros(total_us).text, split->quantile,
		split->turns);
}

void npt_judge_turns(const struct npt_ends *ends, struct npt_opinion *opinion)
{
	const struct npt_edge *edge = ends->client ? ends->client : ends->server;
	const char *why_not;
	enum trust trust = trust_of(ends, &why_not);
	struct split split, tail, last;
	bool requests;

	if (trust == TRUST_NONE || !edge)
		return;
	split = split_at(ends, 500);
	tail = split_at(ends, 950);
	last = split_at(ends, 990);
	requests = trust == TRUST_ALTERNATE && !may_be_heartbeats(edge);
	if (requests && server_is_slow(ends, &split, NPT_FINDING_SERVER_MIN_US))
		say_server(ends, &split, opinion);
	judge_delay(ends, &split, opinion);
	/* A lost response is late, too, and its client does not know that it was lost. */
	if (requests && ends->server && tail.turns >= NPT_FINDING_TURNS_MANY &&
	    server_is_slow(ends, &tail, NPT_FINDING_TAIL_MIN_US))
		say_server(ends, &tail, opinion);
	if (split.total_us > NPT_FINDING_QUICK_US || last.total_us >= NPT_FINDING_TAIL_MIN_US)
		npt_opinion_say(
			opinion, NPT_VERDICT_UNKNOWN, 0,
			"answers come after %s (p50 of %" PRIu64 " turns; p99 %s): %s",
			npt_phrase_micros(split.total_us).text, split.turns,
			npt_phrase_micros(last.total_us).text,
			requests ? "neither the server nor the network is the cause beyond doubt"
				 : "if they are answers, and not messages that nobody asked for");
}

/* Why nothing is said of an edge that nothing is wrong with. */
static void say_nothing(const struct npt_edge *edge, const char *why_not,
			struct npt_opinion *opinion)
{
	uint64_t writes = edge->metrics[NPT_METRIC_WRITE].count;
	uint64_t reads = edge->metrics[NPT_METRIC_READ].count;

	if (reads >= NPT_FINDING_OPERATIONS_MIN &&
	    writes <= NPT_FINDING_ONE_WAY_READS * npt_edge_connections(edge))
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"its data comes one way: what the sender waits for is seen at the "
				"sender's end");
	else
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"nothing is conspicuous, but %s (%" PRIu64 " turns, %" PRIu64
				" writes, %" PRIu64 " reads)",
				why_not, turns_of(edge), writes, reads);
}

void npt_judge_calm(const struct npt_ends *ends, struct npt_opinion *opinion)
{
	const char *why_not = "";
	enum trust trust = trust_of(ends, &why_not);
	struct split split;

	if (trust == TRUST_NONE) {
		say_nothing(ends->client ? ends->client : ends->server, why_not, opinion);
		return;
	}
	split = split_at(ends, 500);
	npt_opinion_say(
		opinion, NPT_VERDICT_NONE,
		npt_confidence(ends->client && ends->server, split.turns, NPT_FINDING_TURNS_MIN),
		"nothing is wrong: answers come after %s (p50 of %" PRIu64 " requests)",
		npt_phrase_micros(split.total_us).text, split.turns);
}
