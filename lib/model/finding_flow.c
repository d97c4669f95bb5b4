/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of the data in one direction: loss, windows, buffers, and programs that read or write.
 */
#include <inttypes.h>

#include "lib/model/finding_private.h"

struct flow {
	const struct npt_edge *sender, *receiver;
	uint64_t time_us; /* of the sender's connections */
	uint64_t window;  /* shares of it */
	uint64_t buffer;
	uint64_t application;
	uint64_t rate;   /* bytes per second while there is something to send */
	uint64_t lost;   /* segments sent again for good reason */
	uint64_t loss;   /* permille of the segments */
	uint64_t unread; /* share of the receiver's time, if it is known */
	uint64_t drain;  /* bytes per second while data waits for its reader */
	bool lossy;
	bool late;   /* the receiver takes its data late, each time */
	bool silent; /* the receiver hardly reads, and most of what came is still there */
	bool queued; /* more may wait for the receiver than it takes at once */
	struct npt_phrase sends, reads; /* the programs' names */
};

static uint64_t per_second(uint64_t bytes, uint64_t micros)
{
	return micros < 1000 ? bytes * 1000 : bytes / (micros / 1000) * 1000;
}

static uint64_t unread_permille(const struct npt_edge *edge)
{
	return npt_permille(edge->metrics[NPT_METRIC_UNREAD].micros.sum_micros,
			    npt_edge_time_micros(edge));
}

static uint64_t drain_rate(const struct npt_edge *edge)
{
	return per_second(edge->received.bytes, edge->metrics[NPT_METRIC_UNREAD].micros.sum_micros);
}

static uint64_t late_times(const struct npt_histogram *unread)
{
	uint64_t times = 0;

	for (uint32_t i = npt_histogram_bucket(NPT_FINDING_LATE_US); i < NPT_HISTOGRAM_BUCKETS; i++)
		times += unread->buckets[i];
	return times;
}

/*
 * Data waits long, again and again, and leaves slowly. A quick reader of a stream finds data
 * waiting all the time, too, but never for long; who does not get the CPU is late once or twice.
 */
static bool is_late(const struct npt_edge *edge)
{
	const struct npt_histogram *unread = &edge->metrics[NPT_METRIC_UNREAD].micros;

	return unread_permille(edge) >= NPT_FINDING_UNREAD_HIGH &&
	       drain_rate(edge) <= NPT_FINDING_SLOW_BYTES_PER_S &&
	       unread->sum_micros >= unread->count * NPT_FINDING_LATE_US &&
	       late_times(unread) >= NPT_FINDING_LATE_TIMES;
}

static bool unread_known(const struct npt_edge *edge)
{
	return edge && edge->metrics[NPT_METRIC_UNREAD].quality != NPT_QUALITY_UNAVAILABLE &&
	       npt_edge_time_micros(edge) >= NPT_FINDING_TIME_MIN_US;
}

/*
 * Unread counts when data is read: what a program does not read at all is seen in the queue only.
 */
static bool may_be_queued(const struct npt_edge *edge)
{
	uint64_t reads = edge->metrics[NPT_METRIC_READ].count;

	return reads < NPT_FINDING_OPERATIONS_MIN ||
	       edge->queue.unread_bytes * 2 >
		       edge->connections.open * (edge->received.bytes / (reads + 1));
}

/* Of few reads it is not known when they were: what is left of all that came tells. */
static bool is_silent(const struct npt_edge *edge)
{
	return edge->metrics[NPT_METRIC_READ].count < NPT_FINDING_OPERATIONS_MIN &&
	       edge->queue.unread_bytes > 0 &&
	       edge->queue.unread_bytes >= edge->received.bytes / NPT_FINDING_SILENT_PART;
}

static struct flow look(const struct npt_edge *sender, const struct npt_edge *receiver)
{
	struct flow flow = {
		.sender = sender,
		.receiver = unread_known(receiver) ? receiver : NULL,
		.time_us = npt_edge_time_micros(sender),
		.sends = npt_phrase_process(sender, ""),
		.reads = npt_phrase_process(receiver, "the receiver"),
	};
	uint64_t vain = sender->retransmit.syn + sender->retransmit.spurious;

	flow.window = npt_permille(sender->limited.receive_window_micros, flow.time_us);
	flow.buffer = npt_permille(sender->limited.send_buffer_micros, flow.time_us);
	flow.application = npt_permille(sender->limited.application_micros, flow.time_us);
	flow.rate =
		per_second(sender->sent.bytes, flow.time_us - sender->limited.application_micros);
	if (sender->retransmit.segments > vain)
		flow.lost = sender->retransmit.segments - vain;
	flow.loss = npt_permille(flow.lost, sender->sent.segments + flow.lost);
	flow.lossy =
		flow.lost >= NPT_FINDING_LOSS_SEGMENTS && flow.loss >= NPT_FINDING_LOSS_PERMILLE;
	if (flow.receiver) {
		flow.unread = unread_permille(receiver);
		flow.drain = drain_rate(receiver);
		flow.late = is_late(receiver);
		flow.silent = is_silent(receiver);
		flow.queued = may_be_queued(receiver);
	}
	return flow;
}

static uint32_t confidence(const struct flow *flow)
{
	return npt_confidence(flow->receiver, flow->time_us, NPT_FINDING_TIME_MIN_US);
}

static void say_receiver_application(const struct flow *flow, struct npt_opinion *opinion)
{
	npt_opinion_say(opinion, NPT_VERDICT_RECEIVER_APPLICATION, confidence(flow),
			"%s reads too slowly, %s/s: data waits for it %" PRIu64
			" %% of the time and the window of %s is full %" PRIu64 " %%",
			flow->reads.text, npt_phrase_bytes(flow->drain).text, flow->unread / 10,
			flow->sends.text, flow->window / 10);
}

static void say_receiver_window(const struct flow *flow, struct npt_opinion *opinion)
{
	npt_opinion_say(
		opinion, NPT_VERDICT_RECEIVER_WINDOW, confidence(flow),
		"the receive buffer of %s is too small for a path of %s: the window is full "
		"%" PRIu64 " %% of the time, though data waits for its program only %" PRIu64
		" %%; raise SO_RCVBUF or tcp_rmem",
		flow->reads.text, npt_phrase_micros(npt_edge_rtt_micros(flow->sender)).text,
		flow->window / 10, flow->unread / 10);
}

static void judge_loss(const struct flow *flow, struct npt_opinion *opinion)
{
	uint32_t sure = npt_confidence(flow->receiver, flow->lost, NPT_FINDING_LOSS_SEGMENTS);

	if (flow->loss < NPT_FINDING_LOSS_PERMILLE)
		return;
	if (!flow->lossy)
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"%" PRIu64 " of %" PRIu64
				" segments were sent again: too few to blame the network",
				flow->lost, flow->sender->sent.segments);
	else if (flow->loss > NPT_FINDING_LOSS_MAX_PERMILLE)
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"%" PRIu64 " segments were sent again, %" PRIu64
				" for the first time: the peer hardly answers",
				flow->lost, flow->sender->sent.segments);
	else if (flow->window >= NPT_FINDING_LIMITED_LOW &&
		 (!flow->receiver || flow->unread > NPT_FINDING_UNREAD_LOW))
		npt_opinion_say(
			opinion, NPT_VERDICT_UNKNOWN, 0,
			"%" PRIu64 ".%" PRIu64
			" %% of the segments were sent again while the peer's window was full "
			"%" PRIu64 " %% of the time: the network, or a receiver that drops",
			flow->loss / 10, flow->loss % 10, flow->window / 10);
	else
		npt_opinion_say(opinion, NPT_VERDICT_NETWORK_LOSS, sure,
				"the network loses packets: %" PRIu64 ".%" PRIu64
				" %% of the segments that %s sent had to be sent again (%" PRIu64
				" and %" PRIu64 ")",
				flow->loss / 10, flow->loss % 10, flow->sends.text,
				flow->sender->sent.segments, flow->lost);
}

static void judge_window(const struct flow *flow, struct npt_opinion *opinion)
{
	if (flow->window < NPT_FINDING_LIMITED_LOW || flow->rate >= NPT_FINDING_FAST_BYTES_PER_S)
		return;
	if (!flow->receiver)
		npt_opinion_say(
			opinion, NPT_VERDICT_UNKNOWN, 0,
			"its peer's receive window is full %" PRIu64
			" %% of the time; measure the peer to see whether its program or its "
			"buffer is the cause",
			flow->window / 10);
	else if (flow->window < NPT_FINDING_LIMITED_HIGH)
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"the receive window of %s is full %" PRIu64
				" %% of the time: too little to name a cause",
				flow->reads.text, flow->window / 10);
	else if (flow->late)
		say_receiver_application(flow, opinion);
	else if (flow->silent)
		npt_opinion_say(
			opinion, NPT_VERDICT_RECEIVER_APPLICATION, confidence(flow),
			"%s does not read: %s wait for it, and the window of %s is full %" PRIu64
			" %% of the time",
			flow->reads.text, npt_phrase_bytes(flow->receiver->queue.unread_bytes).text,
			flow->sends.text, flow->window / 10);
	else if (flow->unread <= NPT_FINDING_UNREAD_LOW && !flow->lossy && !flow->queued)
		say_receiver_window(flow, opinion);
	else
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"the receive window of %s is full %" PRIu64
				" %% of the time; data waits for its program %" PRIu64
				" %%, %s of it now: its buffer or its program is the cause",
				flow->reads.text, flow->window / 10, flow->unread / 10,
				npt_phrase_bytes(flow->receiver->queue.unread_bytes).text);
}

static void judge_buffer(const struct flow *flow, struct npt_opinion *opinion)
{
	uint64_t per_rtt;

	if (flow->buffer < NPT_FINDING_LIMITED_LOW || flow->rate >= NPT_FINDING_FAST_BYTES_PER_S)
		return;
	per_rtt =
		flow->rate *
		npt_histogram_quantile_micros(&flow->sender->metrics[NPT_METRIC_RTT].micros, 500) /
		1000000;
	if (flow->buffer < NPT_FINDING_LIMITED_HIGH || flow->lossy ||
	    per_rtt > NPT_FINDING_BUFFER_BYTES)
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"its send buffer is full %" PRIu64
				" %% of the time with %s sent per "
				"RTT: whether it is too small, the numbers do not tell",
				flow->buffer / 10, npt_phrase_bytes(per_rtt).text);
	else
		npt_opinion_say(opinion, NPT_VERDICT_SENDER_BUFFER, confidence(flow),
				"the send buffer of %s is too small for a path of %s: it waits for "
				"room %" PRIu64 " %% of the time; raise SO_SNDBUF or tcp_wmem",
				flow->sends.text,
				npt_phrase_micros(npt_edge_rtt_micros(flow->sender)).text,
				flow->buffer / 10);
}

/* The sender is elsewhere: only a queue that stays tells a slow reader from some late messages. */
static void judge_reader(const struct npt_edge *edge, struct npt_opinion *opinion)
{
	uint64_t share = unread_permille(edge), drain = drain_rate(edge);
	uint64_t queued =
		edge->connections.open ? edge->queue.unread_bytes / edge->connections.open : 0;

	if (!unread_known(edge) || edge->received.bytes < NPT_FINDING_STREAM_BYTES ||
	    !is_late(edge))
		return;
	if (queued >= NPT_FINDING_QUEUE_BYTES)
		npt_opinion_say(
			opinion, NPT_VERDICT_RECEIVER_APPLICATION,
			npt_confidence(false, npt_edge_time_micros(edge), NPT_FINDING_TIME_MIN_US),
			"%s reads too slowly, %s/s: data waits for it %" PRIu64
			" %% of the time, %s of it now",
			npt_phrase_process(edge, "").text, npt_phrase_bytes(drain).text, share / 10,
			npt_phrase_bytes(edge->queue.unread_bytes).text);
	else
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"data waits for %s %" PRIu64
				" %% of the time; measure its peer to see whether that holds it up",
				npt_phrase_process(edge, "").text, share / 10);
}

void npt_judge_flow(const struct npt_edge *sender, const struct npt_edge *receiver,
		    struct npt_opinion *opinion)
{
	struct flow flow;

	if (!sender) {
		judge_reader(receiver, opinion);
		return;
	}
	flow = look(sender, receiver);
	if (flow.time_us < NPT_FINDING_TIME_MIN_US)
		return;
	/* A slow reader's full buffer drops, too: it comes before the loss that it makes. */
	if (flow.late || flow.silent)
		judge_window(&flow, opinion);
	judge_loss(&flow, opinion);
	judge_window(&flow, opinion);
	judge_buffer(&flow, opinion);
}

static bool is_stream(const struct npt_edge *edge)
{
	uint64_t connections = npt_edge_connections(edge);

	return edge->sent.bytes / NPT_FINDING_STREAM_BYTES >= connections &&
	       edge->metrics[NPT_METRIC_READ].count <= NPT_FINDING_ONE_WAY_READS * connections;
}

/* The share of its time that a receiver waits in its reads, from those that were timed. */
static uint64_t waits_permille(const struct npt_edge *edge)
{
	const struct npt_metric *read = &edge->metrics[NPT_METRIC_READ];

	if (read->micros.count < NPT_FINDING_WAITS_READS)
		return 0;
	return npt_permille(read->micros.sum_micros / read->micros.count * read->count,
			    npt_edge_time_micros(edge));
}

/*
 * "Nothing to send" is what an idle connection says, too. It is the program's slowness only if the
 * other end waits for it again and again, which reads that block show: an idle connection's read
 * does not end.
 */
static void judge_writer(const struct flow *flow, struct npt_opinion *opinion)
{
	const struct npt_edge *sender = flow->sender;
	uint64_t waits = flow->receiver ? waits_permille(flow->receiver) : 0;
	uint64_t rate = per_second(sender->sent.bytes, flow->time_us);

	if (flow->application < NPT_FINDING_APPLICATION_HIGH)
		return;
	if (waits >= NPT_FINDING_WAITS_HIGH && flow->unread <= NPT_FINDING_UNREAD_LOW &&
	    sender->metrics[NPT_METRIC_WRITE].count >= NPT_FINDING_OPERATIONS_MIN &&
	    rate >= NPT_FINDING_STREAM_BYTES_PER_S)
		npt_opinion_say(opinion, NPT_VERDICT_SENDER_APPLICATION, confidence(flow),
				"%s sets the pace, %s/s: it has nothing to send %" PRIu64
				" %% of the time, while %s waits for data %" PRIu64 " %%",
				flow->sends.text, npt_phrase_bytes(rate).text,
				flow->application / 10, flow->reads.text,
				waits < 1000 ? waits / 10 : 100);
	else
		npt_opinion_say(opinion, NPT_VERDICT_UNKNOWN, 0,
				"%s has nothing to send %" PRIu64
				" %% of the time: slow or idle, the numbers do not tell",
				flow->sends.text, flow->application / 10);
}

void npt_judge_stream(const struct npt_edge *sender, const struct npt_edge *receiver,
		      struct npt_opinion *opinion)
{
	struct flow flow;
	uint64_t rtt;

	if (!sender || !is_stream(sender) || npt_opinion_given(opinion))
		return;
	flow = look(sender, receiver);
	rtt = npt_edge_rtt_micros(sender);
	if (flow.time_us < NPT_FINDING_TIME_MIN_US)
		return;
	judge_writer(&flow, opinion);
	if (npt_opinion_given(opinion))
		return;
	if (flow.rate >= NPT_FINDING_FAST_BYTES_PER_S ||
	    (flow.receiver && rtt < NPT_FINDING_DELAY_MIN_US &&
	     flow.application <= NPT_FINDING_LIMITED_LOW))
		npt_opinion_say(
			opinion, NPT_VERDICT_NONE, confidence(&flow),
			"nothing holds it up: %s/s while there is something to send, %" PRIu64
			" of %" PRIu64 " segments sent again",
			npt_phrase_bytes(flow.rate).text, flow.lost, sender->sent.segments);
	else
		npt_opinion_say(
			opinion, NPT_VERDICT_UNKNOWN, 0,
			"the network carries %s/s over a path of %s without loss: whether it "
			"could carry more, the numbers do not tell",
			npt_phrase_bytes(flow.rate).text, npt_phrase_micros(rtt).text);
}
