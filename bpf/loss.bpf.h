/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Loss - packets that the kernel threw away, by its own reason: tp_btf/kfree_skb (reasons 5.17+,
 * the receiving socket 6.11+).
 *
 * Why this hook: every drop in the stack ends in it, and the reason names the place. How often:
 * once per dropped packet, not per packet (consume_skb() is another path). What it misses: a packet
 * that is dropped before it has a socket (loopback: it was orphaned on the way), and drops by the
 * NIC. Purges of a closed socket's queues are no drops.
 */
#include "bpf/connection.bpf.h"

static __always_inline struct npt_conn *npt_conn_of_packet(struct sk_buff *skb, struct sock *rx_sk)
{
	struct npt_conn *conn = NULL;
	struct sock *sk;

	if (rx_sk)
		conn = bpf_sk_storage_get(&npt_conns, rx_sk, NULL, 0);
	if (conn)
		return conn;
	sk = skb->sk;
	return sk ? bpf_sk_storage_get(&npt_conns, sk, NULL, 0) : NULL;
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

SEC("tp_btf/kfree_skb")
int BPF_PROG(npt_drop, struct sk_buff *skb, void *location, int reason, struct sock *rx_sk)
{
	struct npt_bpf_slot *slot;
	struct npt_conn *conn;

	if (reason == (int)npt_reason_queue_purge || reason == (int)npt_reason_consumed || !reason)
		return 0;
	conn = npt_conn_of_packet(skb, rx_sk);
	if (!conn)
		return 0;
	if (conn->slot == NPT_SLOT_NONE) {
		npt_drop_early(conn, reason);
		return 0;
	}
	slot = npt_slot(conn->slot);
	if (!slot)
		return 0;
	if (reason == (int)npt_reason_not_specified)
		npt_add(&slot->drops_unspecified, 1);
	else
		npt_count_codes(slot->drops, NPT_SLOT_DROPS_MAX, (__u32)reason, 1,
				&slot->drops_other);
	return 0;
}
