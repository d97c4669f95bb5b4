/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Connection - one socket's entry: its 4-tuple, its owner, and the fold of its totals into an edge.
 *
 * A passive connection has no owner while it waits in the accept queue; the first process that
 * operates on it (or holds it, when files are walked) becomes it, and only then does it get an
 * edge. That is what makes pre-fork servers right. Bytes are not lost meanwhile: they stand in
 * tcp_sock.
 */
#include "bpf/edge.bpf.h"
#include "bpf/process.bpf.h"

static __always_inline void npt_address(__u8 *out, __u16 family, __be32 v4,
					const struct in6_addr *v6)
{
	__be32 *words = (__be32 *)out;

	if (family == AF_INET) {
		words[0] = 0;
		words[1] = 0;
		words[2] = bpf_htonl(0xffff);
		words[3] = v4;
	} else {
		BPF_CORE_READ_INTO((struct in6_addr *)out, v6, in6_u);
	}
}

static __always_inline void npt_conn_address(struct npt_conn *conn, struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	npt_address(conn->local_address, family, sk->__sk_common.skc_rcv_saddr,
		    &sk->__sk_common.skc_v6_rcv_saddr);
	npt_address(conn->peer_address, family, sk->__sk_common.skc_daddr,
		    &sk->__sk_common.skc_v6_daddr);
	conn->local_port = sk->__sk_common.skc_num;
	conn->peer_port = bpf_ntohs(sk->__sk_common.skc_dport);
}

static __always_inline struct npt_pair_key npt_conn_pair_key(const struct npt_conn *conn)
{
	return (struct npt_pair_key){
		.client_seq = conn->client_seq,
		.server_seq = conn->server_seq,
	};
}

/* The slot of the client in the same scope whose end is this address and port, or NONE. */
static __always_inline __u32 npt_client_end(__u32 scope, const __u8 *address, __u16 port)
{
	struct npt_endpoint_key end = { .scope = scope, .port = port };
	__u32 *slot;

	__builtin_memcpy(end.address, address, 16);
	slot = bpf_map_lookup_elem(&npt_client_ends, &end);
	return slot ? *slot : NPT_SLOT_NONE;
}

/*
 * The slot of the client that is the other end of this server's connection, or NULL: in this scope
 * or in another of this node. A port is not believed where sequence numbers are known: netfilter
 * may have changed it to somebody else's.
 */
static __always_inline struct npt_bpf_slot *npt_conn_client(const struct npt_conn *conn)
{
	__u32 index, *found;

	if (conn->role != NPT_BPF_SERVER)
		return NULL;
	if (conn->client_seq) {
		struct npt_pair_key key = npt_conn_pair_key(conn);

		found = bpf_map_lookup_elem(&npt_pairs, &key);
		index = found ? *found : NPT_SLOT_NONE;
	} else {
		index = npt_client_end(conn->scope, conn->peer_address, conn->peer_port);
	}
	if (index == NPT_SLOT_NONE || index == NPT_SLOT_OTHER)
		return NULL;
	return npt_slot(index);
}

/*
 * Each of the two ends learns who the other is: its process in one scope; between two scopes only
 * what was asked for and what was reached (a Service's address, and the pod's).
 */
static __always_inline void npt_conn_pair(const struct npt_conn *conn, struct npt_bpf_slot *server,
					  struct npt_bpf_slot *client)
{
	bool one_scope = server->key.process.scope == client->key.process.scope;

	client->pair_pid = one_scope ? server->key.process.pid : 0;
	client->pair_start_ns = server->key.process.start_ns;
	client->pair_port = conn->local_port;
	__builtin_memcpy(client->pair_address, conn->local_address, 16);
	server->pair_pid = one_scope ? client->key.process.pid : 0;
	server->pair_start_ns = client->key.process.start_ns;
	server->pair_port = client->key.peer_port;
	__builtin_memcpy(server->pair_address, client->key.peer_address, 16);
}

static __always_inline void npt_conn_key(const struct npt_conn *conn,
					 const struct npt_bpf_process_key *owner,
					 const struct npt_bpf_slot *client,
					 struct npt_bpf_edge_key *key)
{
	key->process = *owner;
	key->role = (__u8)conn->role;
	key->peer_port = conn->role == NPT_BPF_SERVER ? conn->local_port : conn->peer_port;
	if (client && client->key.process.scope == owner->scope) {
		key->peer_pid = client->key.process.pid;
		key->peer_start_ns = client->key.process.start_ns;
	} else {
		__builtin_memcpy(key->peer_address, conn->peer_address, 16);
	}
}

/*
 * Drops from before it had an owner go to the edge that it gets. Each is taken by an exchange: a
 * drop may be counted just while the connection gets its owner, and then both sides look.
 */
static __always_inline void npt_conn_early_drops(struct npt_conn *conn, struct npt_bpf_slot *slot)
{
	__u64 other = __sync_lock_test_and_set(&conn->early_drops_other, 0);
	__u64 unspecified = __sync_lock_test_and_set(&conn->early_drops_unspecified, 0);

	for (__u32 i = 0; i < 2; i++) {
		__u32 count = __sync_lock_test_and_set(&conn->early_drops[i].count, 0);

		if (count)
			npt_count_codes(slot->drops, NPT_SLOT_DROPS_MAX, conn->early_drops[i].code,
					count, &slot->drops_other);
	}
	if (other)
		npt_add(&slot->drops_other, other);
	if (unspecified)
		npt_add(&slot->drops_unspecified, unspecified);
}

/*
 * Gives the connection to its owner. Who comes second (two threads at once) gets the slot of its
 * own process and counts there, but does not count the connection again.
 */
static __noinline __u32 npt_conn_own(struct npt_conn *conn, const struct npt_bpf_process_key *owner)
{
	struct npt_bpf_edge_key key = {};
	struct npt_bpf_slot *slot, *client;
	__u32 index;

	if (!conn || !owner)
		return NPT_SLOT_NONE;
	client = npt_conn_client(conn);
	npt_conn_key(conn, owner, client, &key);
	index = npt_edge_slot(&key);
	slot = npt_slot(index);
	if (slot && client && index != NPT_SLOT_OTHER)
		npt_conn_pair(conn, slot, client);
	if (!slot ||
	    __sync_val_compare_and_swap(&conn->slot, NPT_SLOT_NONE, index) != NPT_SLOT_NONE)
		return index;
	npt_conn_early_drops(conn, slot);
	if (conn->flags & NPT_CONN_OLDER) {
		npt_add(&slot->found, 1);
	} else if (conn->role == NPT_BPF_SERVER) {
		npt_add(&slot->opened, 1);
		npt_add(&slot->metrics[NPT_BPF_OPEN].count, 1);
		if (conn->syn_retransmits)
			npt_add(&slot->retransmit_syn, conn->syn_retransmits);
	}
	return index;
}

static __noinline __u32 npt_conn_own_current(struct npt_conn *conn)
{
	struct npt_bpf_process_key owner = {};

	if (!conn)
		return NPT_SLOT_NONE;
	if (npt_is_kernel_thread()) /* works for somebody: MPTCP's worker closes subflows */
		return npt_conn_own(conn, &conn->owner);
	npt_process_current(&owner, conn->scope);
	return npt_conn_own(conn, &owner);
}

/* Remembers where a client's end is, so that the other end in the same scope finds it. */
static __always_inline void npt_conn_publish_end(const struct npt_conn *conn)
{
	struct npt_endpoint_key end = { .scope = conn->scope, .port = conn->local_port };
	__u32 slot = conn->slot;

	__builtin_memcpy(end.address, conn->local_address, 16);
	bpf_map_update_elem(&npt_client_ends, &end, &slot, BPF_ANY);
	if (conn->client_seq) {
		struct npt_pair_key key = npt_conn_pair_key(conn);

		bpf_map_update_elem(&npt_pairs, &key, &slot, BPF_ANY);
	}
}

static __always_inline void npt_conn_withdraw_end(const struct npt_conn *conn)
{
	struct npt_endpoint_key end = { .scope = conn->scope, .port = conn->local_port };

	__builtin_memcpy(end.address, conn->local_address, 16);
	bpf_map_delete_elem(&npt_client_ends, &end);
}

struct npt_totals {
	__u64 sent_bytes;
	__u64 received_bytes;
	__u64 retransmit_bytes;
	__u32 sent_segments;
	__u32 received_segments;
	__u32 retransmit_segments;
	__u32 spurious;
	__u32 lifetime_jiffies;
	__u32 limited_jiffies[NPT_BPF_LIMITED];
};

/* Payload that came and was not read yet: the FIN has a number, too, once it is in. */
static __always_inline __u32 npt_unread_bytes(struct tcp_sock *tp)
{
	struct sock *sk = (struct sock *)tp;

	return tp->rcv_nxt - tp->copied_seq - ((sk->__sk_common.skc_flags >> SOCK_DONE) & 1);
}

/* As tcp_info tells it: the interval that runs is not in chrono_stat yet. */
static __always_inline void npt_conn_limits(const struct npt_conn *conn, struct tcp_sock *tp,
					    struct npt_totals *totals)
{
	__u32 now = (__u32)bpf_jiffies64();
	__u32 running = BPF_CORE_READ_BITFIELD(tp, chrono_type);

	totals->lifetime_jiffies = now - conn->born_jiffies;
	for (__u32 i = 0; i < NPT_BPF_LIMITED; i++) {
		totals->limited_jiffies[i] = tp->chrono_stat[i];
		if (running == i + 1)
			totals->limited_jiffies[i] += now - tp->chrono_start;
	}
}

/*
 * The socket's own counters as payload.
 *
 * Sent: by sequence numbers (snd_una in 64 bits is bytes_acked), less SYN and FIN. Not bytes_sent -
 * bytes_retrans: a segment whose first transmission fails on the way out (a firewall's OUTPUT
 * chain) is sent again without being a retransmission, and would count twice. Received:
 * bytes_received, less the FIN once it is in.
 */
static __always_inline void npt_conn_totals(const struct npt_conn *conn, struct tcp_sock *tp,
					    struct npt_totals *totals)
{
	struct sock *sk = (struct sock *)tp;
	__u32 snd_nxt = tp->snd_nxt;
	__u32 fin = (conn->flags & NPT_CONN_FIN_QUEUED) && snd_nxt == tp->write_seq;
	__u32 syn = !!(conn->flags & NPT_CONN_SYN);

	totals->sent_bytes = tp->bytes_acked + (snd_nxt - tp->snd_una) - fin - syn;
	totals->received_bytes =
		tp->bytes_received - ((sk->__sk_common.skc_flags >> SOCK_DONE) & 1);
	totals->retransmit_bytes = tp->bytes_retrans;
	totals->retransmit_segments = tp->total_retrans;
	totals->sent_segments =
		tp->data_segs_out - (totals->retransmit_segments - conn->syn_retransmits);
	totals->received_segments = tp->data_segs_in;
	totals->spurious = tp->dsack_dups;
	npt_conn_limits(conn, tp, totals);
}

/* What is there when we first see an older connection is not ours to report. */
static __always_inline void npt_conn_baseline(struct npt_conn *conn, struct tcp_sock *tp)
{
	struct npt_totals totals;

	conn->born_jiffies = (__u32)bpf_jiffies64();
	npt_conn_totals(conn, tp, &totals);
	for (__u32 i = 0; i < NPT_BPF_LIMITED; i++)
		conn->reported_limited_jiffies[i] = totals.limited_jiffies[i];
	conn->reported_sent_bytes = totals.sent_bytes;
	conn->reported_received_bytes = totals.received_bytes;
	conn->reported_retransmit_bytes = totals.retransmit_bytes;
	conn->reported_retransmit_segments = totals.retransmit_segments;
	conn->reported_sent_segments = totals.sent_segments;
	conn->reported_received_segments = totals.received_segments;
	conn->reported_spurious = totals.spurious;
}

#define NPT_FOLD64(conn, slot, field)                                                              \
	do {                                                                                       \
		if ((conn)->reported_##field != totals.field)                                      \
			npt_add(&(slot)->field,                                                    \
				totals.field - __sync_lock_test_and_set(&(conn)->reported_##field, \
									totals.field));            \
	} while (0)

/* Of 32 bits that may wrap: the signed difference is right either way. */
#define NPT_FOLD32(conn, slot, field)                                                              \
	do {                                                                                       \
		if ((conn)->reported_##field != totals.field)                                      \
			npt_add(&(slot)->field,                                                    \
				(__u64)(__s64)(__s32)(totals.field -                               \
						      __sync_lock_test_and_set(                    \
							      &(conn)->reported_##field,           \
							      totals.field)));                     \
	} while (0)

/*
 * Adds what is new to the edge. Differences telescope: whoever exchanges last leaves the sum at its
 * own value. A walker that read before a close and exchanged after it would leave the older value,
 * so it looks at CLOSED afterwards and does it again; a closed socket's counters stand still.
 */
static __always_inline void npt_conn_fold_once(struct npt_conn *conn, struct tcp_sock *tp,
					       struct npt_bpf_slot *slot)
{
	struct npt_totals totals;

	npt_conn_totals(conn, tp, &totals);
	NPT_FOLD64(conn, slot, sent_bytes);
	NPT_FOLD64(conn, slot, received_bytes);
	NPT_FOLD64(conn, slot, retransmit_bytes);
	NPT_FOLD32(conn, slot, retransmit_segments);
	NPT_FOLD32(conn, slot, sent_segments);
	NPT_FOLD32(conn, slot, received_segments);
	NPT_FOLD32(conn, slot, spurious);
	NPT_FOLD32(conn, slot, lifetime_jiffies);
	for (__u32 i = 0; i < NPT_BPF_LIMITED; i++)
		NPT_FOLD32(conn, slot, limited_jiffies[i]);
}

/* The kernel keeps it of the last 5 minutes; ~0 until there is a sample. */
static __always_inline void npt_conn_min_rtt(const struct npt_conn *conn, struct tcp_sock *tp)
{
	__u32 index = conn->slot, micros = tp->rtt_min.s[0].v;
	struct npt_bpf_queue *queue = bpf_map_lookup_elem(&npt_queues, &index);

	if (queue && micros != ~0U && (!queue->min_rtt_micros || micros < queue->min_rtt_micros))
		queue->min_rtt_micros = micros ? micros : 1;
}

static __noinline int npt_conn_fold(struct npt_conn *conn, struct tcp_sock *tp,
				    struct npt_bpf_slot *slot)
{
	__u32 closed_before;

	if (!conn || !tp || !slot)
		return 0;
	closed_before = conn->flags & NPT_CONN_CLOSED;
	npt_conn_min_rtt(conn, tp);
	npt_conn_fold_once(conn, tp, slot);
	if (!closed_before && (conn->flags & NPT_CONN_CLOSED))
		npt_conn_fold_once(conn, tp, slot);
	return 0;
}
