/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums are kept in nanoseconds by the kernel and told in whole microseconds: the difference of two
 * rounded totals, so that windows add up to the report.
 */
#include "agent/fold.h"

#include <string.h>

#include "lib/core/alloc.h"
#include "lib/model/protocol.h"

static const enum npt_metric_id metric_ids[NPT_BPF_METRICS] = {
	[NPT_BPF_WRITE] = NPT_METRIC_WRITE,   [NPT_BPF_READ] = NPT_METRIC_READ,
	[NPT_BPF_RTT] = NPT_METRIC_RTT,       [NPT_BPF_OPEN] = NPT_METRIC_CONNECT,
	[NPT_BPF_CLOSE] = NPT_METRIC_CLOSE,   [NPT_BPF_RESPONSE] = NPT_METRIC_RESPONSE,
	[NPT_BPF_UNREAD] = NPT_METRIC_UNREAD,
};

/* Whose count is that of their times: the kernel keeps no other. */
static bool counts_by_times(size_t metric)
{
	return metric == NPT_BPF_RTT || metric == NPT_BPF_RESPONSE || metric == NPT_BPF_UNREAD;
}

void npt_fold_read_slot(struct npt_bpf_slot *live, struct npt_bpf_slot *copy)
{
	memcpy(copy, live, sizeof(*copy));
	for (size_t i = 0; i < NPT_BPF_METRICS; i++)
		copy->metrics[i].max_micros =
			__atomic_exchange_n(&live->metrics[i].max_micros, 0, __ATOMIC_RELAXED);
}

void npt_fold_read_queue(struct npt_bpf_queue *live, struct npt_bpf_queue *copy)
{
	*copy = *live;
	copy->min_rtt_micros = __atomic_exchange_n(&live->min_rtt_micros, 0, __ATOMIC_RELAXED);
}

/* What is new; a step back is held. */
static uint64_t advance(__u64 *seen, __u64 now)
{
	uint64_t difference = now - *seen;

	if ((int64_t)difference <= 0)
		return 0;
	*seen = now;
	return difference;
}

static uint64_t advance_micros(__u64 *seen_ns, __u64 now_ns)
{
	uint64_t micros = now_ns / 1000 - *seen_ns / 1000;

	*seen_ns = now_ns;
	return micros;
}

static bool advance_metric(struct npt_bpf_metric_slot *seen, const struct npt_bpf_metric_slot *now,
			   struct npt_metric *delta)
{
	struct npt_histogram *micros = &delta->micros;

	delta->count = advance(&seen->count, now->count);
	micros->sum_micros = advance_micros(&seen->sum_ns, now->sum_ns);
	micros->max_micros = now->max_micros;
	micros->count = 0;
	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		uint32_t fresh = now->buckets[i] - seen->buckets[i];

		seen->buckets[i] = now->buckets[i];
		micros->buckets[i] = fresh;
		micros->count += fresh;
		/* The kernel writes the bucket before the maximum. */
		if (fresh > 0 && micros->max_micros < npt_histogram_lower_micros(i))
			micros->max_micros = npt_histogram_lower_micros(i);
	}
	return delta->count > 0 || micros->count > 0;
}

typedef void name_code(const struct npt_fold_names *names, uint32_t code, char *out,
		       size_t size_bytes);

static void name_errno(const struct npt_fold_names *names, uint32_t code, char *out,
		       size_t size_bytes)
{
	const char *name = npt_errno_name((int)code);

	(void)names;
	(void)snprintf(out, size_bytes, "%s", name);
}

static void name_reason(const struct npt_fold_names *names, uint32_t code, char *out,
			size_t size_bytes)
{
	names->drop_reason(names->context, code, out, size_bytes);
}

/* The kernel side adds 1: its 0 is a free place. */
static void name_reset(const struct npt_fold_names *names, uint32_t code, char *out,
		       size_t size_bytes)
{
	names->reset_reason(names->context, code - 1, out, size_bytes);
}

static bool advance_codes(struct npt_bpf_code_count *seen, const struct npt_bpf_code_count *now,
			  size_t places, name_code *name, const struct npt_fold_names *names,
			  struct npt_named_count *counts, size_t counts_max)
{
	bool any = false;

	for (size_t i = 0; i < places; i++) {
		uint32_t fresh = now[i].count - seen[i].count;
		char text[NPT_REASON_BYTES];

		if (now[i].code == 0 || fresh == 0)
			continue;
		seen[i] = now[i];
		name(names, now[i].code, text, sizeof(text));
		npt_named_count_add(counts, counts_max, text, fresh);
		any = true;
	}
	return any;
}

static bool advance_connections(struct npt_bpf_slot *seen, const struct npt_bpf_slot *now,
				const struct npt_fold_names *names, struct npt_edge *delta)
{
	uint64_t other = advance(&seen->failed_other, now->failed_other);
	uint64_t began = now->opened + now->found;
	bool failed;

	delta->connections.opened = advance(&seen->opened, now->opened);
	delta->connections.found = advance(&seen->found, now->found);
	delta->connections.closed = advance(&seen->closed, now->closed);
	delta->connections.open = began - now->closed; /* below 0 if those that moved in closed */
	failed = advance_codes(seen->failed, now->failed, NPT_SLOT_FAILED_MAX, name_errno, names,
			       delta->connections.failed, NPT_EDGE_FAILED_MAX);
	if (other > 0)
		npt_named_count_add(delta->connections.failed, NPT_EDGE_FAILED_MAX, "other", other);
	return failed || other > 0 || delta->connections.opened > 0 ||
	       delta->connections.closed > 0 || (int64_t)delta->connections.open > 0;
}

static bool advance_loss(struct npt_bpf_slot *seen, const struct npt_bpf_slot *now,
			 const struct npt_fold_names *names, struct npt_edge *delta)
{
	uint64_t other = advance(&seen->drops_other, now->drops_other);
	bool any = advance_codes(seen->drops, now->drops, NPT_SLOT_DROPS_MAX, name_reason, names,
				 delta->drops, NPT_EDGE_DROPS_MAX);

	if (other > 0)
		npt_named_count_add(delta->drops, NPT_EDGE_DROPS_MAX, "other", other);
	delta->drops_unspecified = advance(&seen->drops_unspecified, now->drops_unspecified);
	delta->retransmit.segments = advance(&seen->retransmit_segments, now->retransmit_segments);
	delta->retransmit.bytes = advance(&seen->retransmit_bytes, now->retransmit_bytes);
	delta->retransmit.syn = advance(&seen->retransmit_syn, now->retransmit_syn);
	delta->retransmit.tail_loss = advance(&seen->tail_loss, now->tail_loss);
	delta->retransmit.spurious = advance(&seen->spurious, now->spurious);
	return any || other > 0 || delta->drops_unspecified > 0 || delta->retransmit.segments > 0;
}

static bool advance_resets(struct npt_bpf_slot *seen, const struct npt_bpf_slot *now,
			   const struct npt_fold_names *names, struct npt_edge *delta)
{
	uint64_t other = advance(&seen->resets_other, now->resets_other);
	bool sent = advance_codes(seen->resets_sent, now->resets_sent, NPT_SLOT_RESETS_MAX,
				  name_reset, names, delta->resets_sent, NPT_EDGE_RESETS_MAX);
	bool received =
		advance_codes(seen->resets_received, now->resets_received, NPT_SLOT_RESETS_MAX,
			      name_errno, names, delta->resets_received, NPT_EDGE_RESETS_MAX);

	if (other > 0)
		npt_named_count_add(delta->resets_sent, NPT_EDGE_RESETS_MAX, "other", other);
	return sent || received || other > 0;
}

static uint64_t micros_of(uint64_t jiffies, uint32_t per_second)
{
	return per_second ? jiffies * 1000000 / per_second : 0;
}

/* Whole jiffies in, so that nothing is lost between windows but what rounding takes. */
static void advance_limits(struct npt_bpf_slot *seen, const struct npt_bpf_slot *now,
			   uint32_t per_second, struct npt_edge *delta)
{
	uint64_t lifetime = advance(&seen->lifetime_jiffies, now->lifetime_jiffies);
	uint64_t limited[NPT_BPF_LIMITED], busy = 0;

	for (size_t i = 0; i < NPT_BPF_LIMITED; i++) {
		limited[i] = advance(&seen->limited_jiffies[i], now->limited_jiffies[i]);
		busy += limited[i];
	}
	delta->limited.network_micros = micros_of(limited[NPT_BPF_BUSY], per_second);
	delta->limited.receive_window_micros =
		micros_of(limited[NPT_BPF_RECEIVE_WINDOW], per_second);
	delta->limited.send_buffer_micros = micros_of(limited[NPT_BPF_SEND_BUFFER], per_second);
	delta->limited.application_micros =
		micros_of(lifetime > busy ? lifetime - busy : 0, per_second);
}

static bool advance_metrics(struct npt_bpf_slot *seen, const struct npt_bpf_slot *now,
			    struct npt_edge *delta)
{
	bool any = false;

	for (size_t i = 0; i < NPT_BPF_METRICS; i++) {
		enum npt_metric_id id = metric_ids[i];

		if (i == NPT_BPF_OPEN && now->key.role == NPT_BPF_SERVER)
			id = NPT_METRIC_ACCEPT;
		any |= advance_metric(&seen->metrics[i], &now->metrics[i], &delta->metrics[id]);
		if (counts_by_times(i))
			delta->metrics[id].count = delta->metrics[id].micros.count;
	}
	delta->metrics[NPT_METRIC_WRITE].bytes = advance(&seen->written_bytes, now->written_bytes);
	delta->metrics[NPT_METRIC_READ].bytes = advance(&seen->read_bytes, now->read_bytes);
	delta->metrics[NPT_METRIC_RESPONSE].overlapped =
		advance(&seen->overlapped, now->overlapped);
	return any;
}

bool npt_fold_advance(struct npt_bpf_slot *seen, const struct npt_bpf_slot *now,
		      const struct npt_fold_names *names, struct npt_edge *delta)
{
	bool any = advance_connections(seen, now, names, delta);

	any |= advance_loss(seen, now, names, delta);
	any |= advance_resets(seen, now, names, delta);
	delta->sent.bytes = advance(&seen->sent_bytes, now->sent_bytes);
	delta->sent.segments = advance(&seen->sent_segments, now->sent_segments);
	delta->received.bytes = advance(&seen->received_bytes, now->received_bytes);
	delta->received.segments = advance(&seen->received_segments, now->received_segments);
	any |= delta->sent.bytes > 0 || delta->received.bytes > 0;
	advance_limits(seen, now, names->jiffies_per_second, delta);
	any |= advance_metrics(seen, now, delta);
	return any;
}

bool npt_fold_queue(__u64 *seen_listen_drops, const struct npt_bpf_queue *now,
		    struct npt_edge *delta)
{
	delta->queue.unread_bytes = now->unread_bytes;
	delta->queue.unsent_bytes = now->unsent_bytes;
	delta->queue.accept_backlog = now->accept_backlog;
	delta->queue.accept_backlog_max = now->accept_backlog_max;
	delta->metrics[NPT_METRIC_RTT].min_micros = now->min_rtt_micros;
	delta->queue.syn_backlog = now->syn_backlog;
	delta->queue.listen_drops = advance(seen_listen_drops, now->listen_drops);
	return delta->queue.listen_drops > 0 || now->accept_backlog > 0 || now->syn_backlog > 0;
}

static void tell_label(uint32_t label, struct npt_edge *delta)
{
	static const enum npt_tls tls[] = {
		[NPT_BPF_TLS_UNKNOWN] = NPT_TLS_UNKNOWN,
		[NPT_BPF_TLS_NO] = NPT_TLS_NO,
		[NPT_BPF_TLS_YES] = NPT_TLS_YES,
	};
	uint32_t kind = NPT_LABEL_TLS(label), percent = NPT_LABEL_CONFIDENCE(label);

	(void)snprintf(delta->protocol, sizeof(delta->protocol), "%s",
		       npt_protocol_name(NPT_LABEL_PROTOCOL(label)));
	delta->protocol_confidence_permille = percent * 10;
	delta->tls = kind < NPT_ARRAY_SIZE(tls) ? tls[kind] : NPT_TLS_UNKNOWN;
}

bool npt_fold_speech(struct npt_bpf_speech *seen, const struct npt_bpf_speech *now,
		     struct npt_edge *delta)
{
	int64_t open = (int64_t)(delta->connections.open + now->moved_in - now->moved_out);
	bool renamed = seen->label != now->label;

	seen->label = now->label;
	tell_label(now->label, delta);
	delta->connections.open = open > 0 ? (uint64_t)open : 0;
	delta->connections.moved_in = advance(&seen->moved_in, now->moved_in);
	delta->connections.moved_out = advance(&seen->moved_out, now->moved_out);
	delta->connections.kernel_tls = advance(&seen->kernel_tls, now->kernel_tls);
	delta->tls_calls.writes = advance(&seen->tls_writes, now->tls_writes);
	delta->tls_calls.written_bytes = advance(&seen->tls_written_bytes, now->tls_written_bytes);
	delta->tls_calls.reads = advance(&seen->tls_reads, now->tls_reads);
	delta->tls_calls.read_bytes = advance(&seen->tls_read_bytes, now->tls_read_bytes);
	return renamed || open > 0 || delta->connections.moved_in > 0 ||
	       delta->connections.moved_out > 0 || delta->connections.kernel_tls > 0 ||
	       delta->tls_calls.writes > 0 || delta->tls_calls.reads > 0;
}
