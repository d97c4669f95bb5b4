/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Label - which edge a connection belongs to, by what it speaks.
 *
 * A connection begins in the first edge of its process, peer and port, which gets its label from
 * the first connection that is classified: no number moves, the edge only learns its name. A
 * connection that turns out to speak something else goes on in an edge of that label: what it has
 * counted until then (as a rule, that it was opened) stays where it was counted, and both edges
 * count it as moved, so sums are right at every instant.
 */
#include "bpf/connection.bpf.h"

/* May a connection that begins so go over to TLS? */
static __always_inline bool npt_label_may_ask(__u32 heard)
{
	__u32 protocol = NPT_LABEL_PROTOCOL(heard);

	return !(heard & NPT_LABEL_FINAL) &&
	       (protocol == NPT_PROTOCOL_POSTGRESQL || protocol == NPT_PROTOCOL_MYSQL ||
		protocol == NPT_PROTOCOL_SMTP || protocol == NPT_PROTOCOL_NATS);
}

/* What an edge of one label says once a connection says another; 0: the two do not go together. */
static __always_inline __u32 npt_label_joined(__u32 old, __u32 heard)
{
	__u32 protocol = NPT_LABEL_PROTOCOL(heard);

	if (old == 0)
		return heard;
	if (NPT_LABEL_TLS(old) != NPT_LABEL_TLS(heard)) {
		bool over = NPT_LABEL_TLS(heard) == NPT_BPF_TLS_YES;

		if (NPT_LABEL_PROTOCOL(old) != protocol || !npt_label_may_ask(over ? old : heard))
			return 0;
		return over ? heard : old;
	}
	if (protocol == 0)
		return old; /* TLS, of which what is inside is not known yet */
	if (NPT_LABEL_PROTOCOL(old) == protocol)
		return (old & ~NPT_LABEL_FINAL) < (heard & ~NPT_LABEL_FINAL)
			       ? heard | (old & NPT_LABEL_FINAL)
			       : old | (heard & NPT_LABEL_FINAL);
	if (NPT_LABEL_PROTOCOL(old) == 0 || !(old & NPT_LABEL_FINAL))
		return heard;
	return 0;
}

/* Whether the edge carries that label now. */
static __always_inline bool npt_label_join(__u32 index, __u32 heard)
{
	struct npt_bpf_speech *speech = bpf_map_lookup_elem(&npt_speeches, &index);
	__u32 old, joined;

	if (!speech || index == NPT_SLOT_OTHER)
		return true;
	for (int i = 0; i < 4; i++) {
		old = speech->label;
		joined = npt_label_joined(old, heard);
		if (joined == 0)
			return false;
		if (joined == old ||
		    __sync_val_compare_and_swap(&speech->label, old, joined) == old)
			return true;
	}
	return true; /* others were busy with it: the next message says it again */
}

/* The other end of the pair is the same whatever is spoken. */
static __always_inline void npt_label_copy_pair(struct npt_bpf_slot *to,
						const struct npt_bpf_slot *from)
{
	to->pair_pid = from->pair_pid;
	to->pair_start_ns = from->pair_start_ns;
	to->pair_port = from->pair_port;
	__builtin_memcpy(to->pair_address, from->pair_address, 16);
}

static __always_inline void npt_count_moved(__u32 from, __u32 to)
{
	struct npt_bpf_speech *left = bpf_map_lookup_elem(&npt_speeches, &from);
	struct npt_bpf_speech *joined = bpf_map_lookup_elem(&npt_speeches, &to);

	if (left)
		npt_add(&left->moved_out, 1);
	if (joined)
		npt_add(&joined->moved_in, 1);
}

static __always_inline void npt_conn_move(struct npt_conn *conn, struct sock *sk, __u32 to)
{
	__u32 from = conn->slot;
	struct npt_bpf_slot *old = npt_slot(from), *now = npt_slot(to);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!old || !now)
		return;
	if (tp)
		npt_conn_fold(conn, tp, old);
	npt_label_copy_pair(now, old);
	conn->slot = to;
	if (!tp)
		return; /* a socket that sends datagrams to several is no connection */
	npt_count_moved(from, to);
	if (conn->role == NPT_BPF_CLIENT)
		npt_conn_publish_end(conn);
}

/* The edge of this port for a further label; OTHER if there is no room for one. */
static __always_inline __u32 npt_label_edge(const struct npt_bpf_slot *slot, __u32 heard)
{
	struct npt_bpf_edge_key key = slot->key;
	__u32 *found;

	if (NPT_LABEL_TLS(heard) == NPT_BPF_TLS_YES) { /* one that was TLS before it was known */
		key.label = NPT_EDGE_LABEL(0, NPT_BPF_TLS_YES);
		found = bpf_map_lookup_elem(&npt_edges, &key);
		if (found && npt_label_join(*found, heard))
			return *found;
	}
	key.label = NPT_EDGE_LABEL(NPT_LABEL_PROTOCOL(heard), NPT_LABEL_TLS(heard));
	return npt_edge_slot(&key);
}

/*
 * Brings the connection to the edge of what it was heard to speak. Apart from the hearing, since a
 * packet's socket is no pointer that a fold could be done with.
 */
static __noinline int npt_conn_relabel(struct npt_conn *conn, struct sock *sk)
{
	struct npt_bpf_slot *slot;
	__u32 to, heard;

	if (!conn || !sk || conn->slot == NPT_SLOT_NONE)
		return 0;
	heard = conn->heard;
	conn->heard = 0;
	if (!heard || npt_label_join(conn->slot, heard))
		return 0;
	slot = npt_slot(conn->slot);
	if (!slot)
		return 0;
	to = npt_label_edge(slot, heard);
	if (to == NPT_SLOT_OTHER || to == conn->slot)
		return 0;
	npt_conn_move(conn, sk, to);
	npt_label_join(to, heard);
	return 0;
}

static __always_inline void npt_conn_label(struct npt_conn *conn, struct sock *sk)
{
	if (npt_layer_protocol && conn->heard)
		npt_conn_relabel(conn, sk);
}
