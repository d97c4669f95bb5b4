/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Loss - packets that the kernel threw away, connections that were reset, tail-loss probes.
 *
 * Drops: tp_btf/kfree_skb (reasons 5.17+, the receiving socket 6.11+). Every drop in the stack ends
 * in it, and the reason names the place; once per dropped packet, not per packet (consume_skb() is
 * another path). A packet without a socket (loopback: it was orphaned on the way) is found by its
 * addresses and ports among the clients of its namespace. What it misses: drops by the NIC. Purges
 * of a closed socket's queues are no drops.
 *
 * Resets: tp_btf/tcp_send_reset, tcp_receive_reset (4.16+, with a reason 6.10+), once per reset.
 *
 * Tail loss: tp_btf/tcp_retransmit_skb (4.15+), once per segment buffer that is sent again; how
 * many segments those were is tcp_sock's to say.
 */
#include "bpf/connection.bpf.h"

static __always_inline struct npt_conn *npt_conn_of_packet(struct sk_buff *skb, struct sock *rx_sk)
{
	struct npt_conn *conn = NULL;
	struct sock *sk;

	if (rx_sk)
		conn = npt_conn_of(rx_sk);
	if (conn)
		return conn;
	sk = skb->sk;
	return sk ? npt_conn_of(sk) : NULL;
}

struct npt_packet {
	struct npt_endpoint_key source;
	struct npt_endpoint_key destination;
	bool bare; /* nothing but an acknowledgement or a reset */
};

#define NPT_TCP_FIN_SYN 3

/* Ports, and whether there is anything that TCP would send again. */
static __always_inline bool npt_packet_tcp(struct npt_packet *packet, const unsigned char *tcp,
					   __u32 tcp_bytes)
{
	__u8 header[14];

	if (bpf_probe_read_kernel(header, sizeof(header), tcp))
		return false;
	packet->source.port = header[0] << 8 | header[1];
	packet->destination.port = header[2] << 8 | header[3];
	packet->bare = tcp_bytes <= (header[12] >> 4) * 4U && !(header[13] & NPT_TCP_FIN_SYN);
	return true;
}

/* A TCP packet over IPv4 or IPv6, by its headers; false if it is none. */
static __always_inline bool npt_packet_read(struct sk_buff *skb, struct npt_packet *packet)
{
	unsigned char *ip = skb->head + skb->network_header;
	__u8 header[40] = {};
	__u32 size, bytes;

	if (bpf_probe_read_kernel(header, sizeof(header), ip))
		return false;
	if (header[0] >> 4 == 4 && header[9] == IPPROTO_TCP) {
		size = (header[0] & 15) * 4;
		bytes = (header[2] << 8 | header[3]) - size;
		npt_address(packet->source.address, AF_INET, *(__be32 *)&header[12], NULL);
		npt_address(packet->destination.address, AF_INET, *(__be32 *)&header[16], NULL);
	} else if (header[0] >> 4 == 6 && header[6] == IPPROTO_TCP) {
		size = sizeof(header);
		bytes = header[4] << 8 | header[5];
		__builtin_memcpy(packet->source.address, &header[8], 16);
		__builtin_memcpy(packet->destination.address, &header[24], 16);
	} else {
		return false;
	}
	return npt_packet_tcp(packet, ip + size, bytes);
}

/*
 * A bare acknowledgement that comes to a socket which has no use for it any more is thrown away
 * like any other packet, but nothing is lost with it.
 */
static __noinline bool npt_drop_is_nothing(struct sk_buff *skb, int reason)
{
	struct npt_packet packet = {};

	if (!skb ||
	    (reason != (int)npt_reason_not_specified && reason != (int)npt_reason_tcp_close))
		return false;
	return npt_packet_read(skb, &packet) && packet.bare;
}

/* A packet that nobody owns any more: the edge of the client that sent it or was to get it. */
static __noinline __u32 npt_slot_of_packet(struct sk_buff *skb)
{
	struct npt_packet packet = {};
	struct npt_bpf_scope *scope;
	struct net_device *device;
	__u32 netns, *slot;

	if (!skb)
		return NPT_SLOT_NONE;
	device = skb->dev;
	netns = BPF_CORE_READ(device, nd_net.net, ns.inum);
	scope = bpf_map_lookup_elem(&npt_scopes, &netns);
	if (!scope || scope->by_process || !npt_packet_read(skb, &packet))
		return NPT_SLOT_NONE;
	packet.source.scope = scope->id;
	packet.destination.scope = scope->id;
	slot = bpf_map_lookup_elem(&npt_client_ends, &packet.destination);
	if (!slot)
		slot = bpf_map_lookup_elem(&npt_client_ends, &packet.source);
	return slot ? *slot : NPT_SLOT_NONE;
}

static __always_inline void npt_count_drop(struct npt_bpf_slot *slot, int reason)
{
	if (reason == (int)npt_reason_not_specified)
		npt_add(&slot->drops_unspecified, 1);
	else
		npt_count_codes(slot->drops, NPT_SLOT_DROPS_MAX, (__u32)reason, 1,
				&slot->drops_other);
}

/* Kept with the connection; if it got its owner meanwhile (a full barrier tells), handed over. */
static __noinline int npt_drop_early(struct npt_conn *conn, int reason)
{
	struct npt_bpf_slot *slot;
	__u32 index;

	if (!conn)
		return 0;
	if (reason == (int)npt_reason_not_specified)
		npt_add(&conn->early_drops_unspecified, 1);
	else
		npt_count_codes(conn->early_drops, 2, (__u32)reason, 1, &conn->early_drops_other);
	index = __sync_val_compare_and_swap(&conn->slot, NPT_SLOT_NONE, NPT_SLOT_NONE);
	slot = index == NPT_SLOT_NONE ? NULL : npt_slot(index);
	if (slot)
		npt_conn_early_drops(conn, slot);
	return 0;
}

/* Arguments by number: older kernels have fewer, and these are then never read. */
SEC("tp_btf/kfree_skb")
int npt_drop(unsigned long long *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];
	int reason = (int)arguments[2];
	struct sock *rx_sk = NULL;
	struct npt_bpf_slot *slot;
	struct npt_conn *conn;

	if (reason == (int)npt_reason_queue_purge || reason == (int)npt_reason_consumed || !reason)
		return 0;
	if (npt_drop_arguments >= 4)
		rx_sk = (struct sock *)arguments[3];
	conn = npt_conn_of_packet(skb, rx_sk);
	if (conn && npt_drop_is_nothing(skb, reason))
		return 0;
	if (conn && conn->slot == NPT_SLOT_NONE) {
		npt_drop_early(conn, reason);
		return 0;
	}
	if (!conn && (rx_sk || skb->sk || !skb->dev || npt_drop_is_nothing(skb, reason)))
		return 0;
	slot = npt_slot(conn ? conn->slot : npt_slot_of_packet(skb));
	if (slot)
		npt_count_drop(slot, reason);
	return 0;
}

/* The slot that a reset is counted in: a connection that nobody took is its listener's. */
static __always_inline struct npt_bpf_slot *npt_reset_slot(struct sock *sk)
{
	struct npt_conn *conn = npt_conn_of(sk);

	if (!conn || conn->role == NPT_BPF_LISTENER)
		return NULL;
	if (conn->slot == NPT_SLOT_NONE)
		npt_conn_own(conn, &conn->owner);
	return conn->slot == NPT_SLOT_NONE ? NULL : npt_slot(conn->slot);
}

SEC("tp_btf/tcp_send_reset")
int npt_send_reset(unsigned long long *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	struct npt_bpf_slot *slot;
	__u32 reason = 0;

	if (!sk)
		return 0;
	slot = npt_reset_slot(sk);
	if (!slot)
		return 0;
	if (npt_reset_arguments >= 3)
		reason = (__u32)arguments[2];
	/* 0 is a free place, and also the kernel's number for "not specified". */
	npt_count_codes(slot->resets_sent, NPT_SLOT_RESETS_MAX, reason + 1, 1, &slot->resets_other);
	return 0;
}

/* What the program will see, as tcp_reset() decides it a moment later. */
SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(npt_receive_reset, struct sock *sk)
{
	struct npt_bpf_slot *slot = npt_reset_slot(sk);
	__u8 state = sk->__sk_common.skc_state;
	__u32 error = ECONNRESET;

	if (!slot)
		return 0;
	if (state == TCP_SYN_SENT)
		error = ECONNREFUSED;
	else if (state == TCP_CLOSE_WAIT)
		error = EPIPE;
	npt_count_codes(slot->resets_received, NPT_SLOT_RESETS_MAX, error, 1, &slot->resets_other);
	return 0;
}

/*
 * Of all that is sent again only a probe is sent while the connection knows of no loss; what
 * follows from one (fast retransmit, timeout) first changes that state.
 */
SEC("tp_btf/tcp_retransmit_skb")
int npt_retransmit(unsigned long long *arguments)
{
	struct sock *sk = (struct sock *)arguments[0];
	struct npt_conn *conn = npt_conn_of(sk);
	struct inet_connection_sock *icsk;
	struct npt_bpf_slot *slot;

	if (!conn || !(conn->flags & NPT_CONN_ESTABLISHED))
		return 0;
	if (npt_retransmit_arguments >= 3 && (int)arguments[2] != 0)
		return 0; /* it did not leave the host */
	icsk = (struct inet_connection_sock *)bpf_skc_to_tcp_sock(sk);
	if (!icsk || BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_state) >= TCP_CA_RECOVERY)
		return 0;
	slot = conn->slot == NPT_SLOT_NONE ? NULL : npt_slot(conn->slot);
	if (slot)
		npt_add(&slot->tail_loss, 1);
	return 0;
}
