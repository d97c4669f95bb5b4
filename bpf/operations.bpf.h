/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Operations - each read and write: count, payload, time, and the RTT at each write.
 *
 * tp_btf/sock_send_length, sock_recv_length (6.3+) fire at the end of every socket send and receive
 * of the node, TCP or not; a socket out of scope costs one look at its storage pointer.
 * tp_btf/tcp_sendmsg_locked (6.16+) fires in the loop that fills segments; its first time in a call
 * is the start of the write, exact from the moment the socket is locked.
 * What they miss: splice() from a socket is no sock_recvmsg, so it has no operation (its bytes are
 * in the connection's totals all the same).
 */
#include "bpf/slices.bpf.h"

static __always_inline struct npt_bpf_slot *npt_operation_slot(struct npt_conn *conn)
{
	__u32 index = conn->slot;

	if (index == NPT_SLOT_NONE)
		index = npt_conn_own_current(conn);
	return npt_slot(index);
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(npt_write_begin, struct sock *sk)
{
	struct npt_conn *conn = bpf_sk_storage_get(&npt_conns, sk, NULL, 0);

	if (!conn || conn->write_started_ns)
		return 0;
	conn->write_tid = (__u32)bpf_get_current_pid_tgid();
	conn->write_started_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(npt_write_end, struct sock *sk, int result, int flags)
{
	struct npt_conn *conn = bpf_sk_storage_get(&npt_conns, sk, NULL, 0);
	struct npt_bpf_slot *slot;
	struct tcp_sock *tp;
	__u64 started;

	if (!conn)
		return 0;
	started = conn->write_started_ns;
	conn->write_started_ns = 0;
	slot = npt_operation_slot(conn);
	if (!slot || result <= 0)
		return 0;
	npt_add(&slot->metrics[NPT_BPF_WRITE].count, 1);
	npt_add(&slot->metrics[NPT_BPF_WRITE].bytes, (__u64)result);
	if (started && conn->write_tid == (__u32)bpf_get_current_pid_tgid())
		npt_metric_time(&slot->metrics[NPT_BPF_WRITE], bpf_ktime_get_ns() - started);
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp) {
		npt_add(&slot->metrics[NPT_BPF_RTT].count, 1);
		npt_metric_time(&slot->metrics[NPT_BPF_RTT], (__u64)(tp->srtt_us >> 3) * 1000);
	}
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(npt_read_end, struct sock *sk, int result, int flags)
{
	struct npt_conn *conn = bpf_sk_storage_get(&npt_conns, sk, NULL, 0);
	struct npt_bpf_slot *slot;
	__u64 ns = 0;

	if (!conn)
		return 0;
	slot = npt_operation_slot(conn);
	if (npt_slice_on)
		ns = npt_call_take(NPT_CALL_READ);
	if (!slot || result <= 0 || (flags & MSG_PEEK))
		return 0;
	npt_add(&slot->metrics[NPT_BPF_READ].count, 1);
	npt_add(&slot->metrics[NPT_BPF_READ].bytes, (__u64)result);
	if (ns)
		npt_metric_time(&slot->metrics[NPT_BPF_READ], ns);
	return 0;
}
