/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reason says what the kernel lacks and since when others have it, so that the reader knows what
 * would help.
 */
#include "agent/sources.h"

#include "lib/core/cleanup.h"

void npt_sources_set_quality(const struct npt_probe_abilities *can, const struct npt_layers *layers,
			     struct npt_edge *edge)
{
	bool operations = layers->operations;
	const enum npt_quality none = NPT_QUALITY_UNAVAILABLE, exact = NPT_QUALITY_EXACT;
	enum npt_quality timed = can->trampolines ? exact : NPT_QUALITY_SAMPLED;
	enum npt_quality turns = can->write_begin ? exact : NPT_QUALITY_ESTIMATED;
	struct npt_metric *metrics = edge->metrics;

	metrics[NPT_METRIC_WRITE].quality = operations ? exact : none;
	metrics[NPT_METRIC_READ].quality = operations ? timed : none;
	metrics[NPT_METRIC_RTT].quality = operations ? exact : none;
	metrics[NPT_METRIC_CONNECT].quality = exact;
	/* Without the layer they are counted all the same: exactly, with no times. */
	metrics[NPT_METRIC_ACCEPT].quality = operations ? timed : exact;
	metrics[NPT_METRIC_CLOSE].quality = operations ? timed : exact;
	metrics[NPT_METRIC_RESPONSE].quality = operations && can->data_ready ? turns : none;
	metrics[NPT_METRIC_UNREAD].quality = operations && can->data_ready ? exact : none;
}

const char *npt_sources_no_tls(const struct npt_probe_abilities *can)
{
	return can->messages ? "the kernel lacks uprobe.multi (6.6+)"
			     : "the kernel lacks bpf_dynptr_from_skb for tracing (6.12+)";
}

static void describe_operations(const struct npt_probe_abilities *can,
				const struct npt_layers *layers, struct npt_report *report)
{
	static const char *const all[] = { "write",         "read",         "rtt",   "response",
					   "accept.micros", "close.micros", "unread" };
	static const char *const sliced[] = { "read.micros", "accept.micros", "close.micros" };

	for (size_t i = 0; !layers->operations && i < NPT_ARRAY_SIZE(all); i++)
		npt_report_set_unavailable(report, all[i], layers->operations_off);
	if (!layers->operations)
		return;
	for (size_t i = 0; layers->slices_off && i < NPT_ARRAY_SIZE(sliced); i++)
		npt_report_set_unavailable(report, sliced[i],
					   "switched off to keep to the budget; cost.degraded says "
					   "when");
	if (!can->write_begin)
		npt_report_set_unavailable(report, "write.micros",
					   "the kernel refuses fentry and lacks the tracepoint "
					   "tcp_sendmsg_locked (6.16+)");
	if (!can->data_ready) {
		npt_report_set_unavailable(report, "response",
					   "the kernel lacks the tracepoint sk_data_ready (6.3+)");
		npt_report_set_unavailable(report, "unread",
					   "the kernel lacks the tracepoint sk_data_ready (6.3+)");
	}
}

static void describe_losses(const struct npt_probe_abilities *can, struct npt_report *report)
{
	if (!can->drops)
		npt_report_set_unavailable(report, "drops",
					   "the kernel's kfree_skb gives no reason (5.17+)");
	else if (!can->drop_receivers)
		npt_report_set_unavailable(
			report, "drops.received",
			"the kernel's kfree_skb names no receiving socket (6.11+)");
	if (!can->resets)
		npt_report_set_unavailable(report, "resets",
					   "the kernel lacks the tracepoint tcp_send_reset");
	else if (!can->reset_reasons)
		npt_report_set_unavailable(report, "resets.sent.reason",
					   "the kernel's tcp_send_reset gives no reason (6.10+)");
	if (!can->tail_loss)
		npt_report_set_unavailable(report, "retransmit.tailLoss",
					   "the kernel lacks the tracepoint tcp_retransmit_skb");
}

static void describe_protocol(const struct npt_probe_abilities *can,
			      const struct npt_layers *layers, struct npt_report *report)
{
	const char *why = NULL;

	if (!layers->tls && layers->tls_off)
		npt_report_set_unavailable(report, "tlsCalls", layers->tls_off);
	else if (layers->tls)
		npt_report_set_source(report, "tlsCalls", "uprobe.multi in TLS libraries");
	if (!layers->protocol)
		why = layers->protocol_off;
	else if (!can->messages)
		why = "the kernel lacks bpf_dynptr_from_skb for tracing (6.12+)";
	if (why) {
		npt_report_set_unavailable(report, "protocol", why);
		npt_report_set_unavailable(report, "tls", why);
		return;
	}
	npt_report_set_source(report, "protocol",
			      "first bytes of messages: skb_copy_datagram_iovec, "
			      "tcp_sendmsg_locked or inet_sendmsg");
}

struct source {
	const char *metric;
	const char *text;
};

/* Counters that are the kernel's own, or have one way only. */
static const struct source fixed_sources[] = {
	{ "sent", "tcp_sock: snd_nxt, snd_una, bytes_acked, data_segs_out" },
	{ "received", "tcp_sock: bytes_received, data_segs_in" },
	{ "retransmit", "tcp_sock: total_retrans, bytes_retrans, dsack_dups" },
	{ "retransmit.tailLoss", "tcp_retransmit_skb" },
	{ "limited", "tcp_sock: chrono_stat, chrono_start" },
	{ "queue",
	  "tcp_sock: rcv_nxt, copied_seq, write_seq, snd_nxt; sock: sk_ack_backlog, sk_drops" },
	{ "rtt.min", "tcp_sock: rtt_min" },
	{ "connect", "inet_sock_set_state: SYN_SENT to ESTABLISHED" },
	{ "connections", "inet_sock_set_state" },
	{ "drops", "kfree_skb" },
	{ "resets", "tcp_send_reset, tcp_receive_reset" },
};

static void describe_sources(const struct npt_probe_abilities *can, const struct npt_layers *layers,
			     struct npt_report *report)
{
	const char *times =
		can->trampolines ? "fexit inet_accept" : "slices of sys_enter, sys_exit";
	const char *send = can->lengths ? "sock_send_length" : "fexit inet_sendmsg";
	const char *receive = can->lengths ? "sock_recv_length" : "fexit inet_recvmsg";

	for (size_t i = 0; i < NPT_ARRAY_SIZE(fixed_sources); i++)
		npt_report_set_source(report, fixed_sources[i].metric, fixed_sources[i].text);
	if (!layers->operations)
		return;
	npt_report_set_source(report, "accept.micros", times);
	npt_report_set_source(report, "close.micros",
			      can->trampolines ? "fentry, fexit inet_release"
					       : "slices of sys_enter, sys_exit");
	npt_report_set_source(report, "write", send);
	npt_report_set_source(report, "write.micros",
			      can->trampolines ? "fentry inet_sendmsg" : "tcp_sendmsg_locked");
	npt_report_set_source(report, "read", receive);
	npt_report_set_source(report, "read.micros",
			      can->trampolines ? "fentry inet_recvmsg" : "slices of sys_enter");
	npt_report_set_source(report, "rtt", "tcp_sock: srtt_us at each write");
	npt_report_set_source(report, "response", "sk_data_ready and the begin of writes");
	npt_report_set_source(report, "unread", "sk_data_ready and the end of reads");
}

void npt_sources_describe(const struct npt_probe_abilities *can, const struct npt_layers *layers,
			  struct npt_report *report)
{
	describe_protocol(can, layers, report);
	describe_operations(can, layers, report);
	describe_losses(can, report);
	describe_sources(can, layers, report);
}
