/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Operations - each read and write: count, payload, time, and the RTT at each write.
 *
 * tp_btf/sock_send_length, sock_recv_length (6.3+) fire at the end of every socket send and receive
 * of the node, TCP or not; a socket out of scope costs one look at its storage pointer.
 * tp_btf/tcp_sendmsg_locked (6.16+) fires in the loop that fills segments; its first time in a call
 * is the start of the write, exact from the moment the socket is locked.
 * splice() from a socket is no sock_recvmsg(). It reads by tcp_read_sock(), once per kernel chunk,
 * which like every reader ends in tp_btf/tcp_rcv_space_adjust (4.16+).
 */
#include "bpf/datagrams.bpf.h"
#include "bpf/lifecycle.bpf.h"
#include "bpf/messages.bpf.h"
#include "bpf/slices.bpf.h"
#include "bpf/tls_calls.bpf.h"
#include "bpf/turns.bpf.h"

static __always_inline struct npt_bpf_slot *npt_operation_slot(struct sock *sk,
							       struct npt_conn *conn)
{
	__u32 index = conn->slot;

	if (index == NPT_SLOT_NONE)
		index = npt_conn_first_operation(sk, conn);
	return npt_slot(index);
}

/* Two threads that write to one socket at once: the time of the first is taken. */
static __always_inline void npt_write_begins(struct sock *sk, struct npt_conn *conn)
{
	struct tcp_sock *tp;
	__u64 now_ns;

	if (conn->write_started_ns)
		return;
	now_ns = bpf_ktime_get_ns();
	conn->write_tid = (__u32)bpf_get_current_pid_tgid();
	conn->write_started_ns = now_ns;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return;
	if (conn->slot == NPT_SLOT_NONE)
		npt_conn_first_operation(sk, conn);
	if (conn->role == NPT_BPF_SERVER)
		npt_turn_server_write(conn, tp, now_ns);
	else
		conn->request_ns = now_ns;
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(npt_write_begin, struct sock *sk, struct msghdr *msg)
{
	struct npt_conn *conn = npt_conn_of(sk);

	if (!conn)
		return 0;
	if (npt_layer_operations)
		npt_write_begins(sk, conn);
	if (npt_layer_protocol)
		npt_message_sent(sk, conn, msg);
	if (npt_layer_tls)
		npt_tls_sent(sk, conn, msg);
	return 0;
}

static __always_inline void npt_write_ends(struct sock *sk, struct npt_conn *conn, int result)
{
	struct npt_bpf_slot *slot = npt_operation_slot(sk, conn);
	__u64 started_ns = conn->write_started_ns, now_ns;
	struct tcp_sock *tp;

	conn->write_started_ns = 0;
	if (!slot || result <= 0)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (npt_layer_protocol && tp && npt_has_ulp(tp)) {
		npt_kernel_tls_look(conn, sk, tp);
		slot = npt_slot(conn->slot);
		if (!slot)
			return;
	}
	if (npt_layer_protocol && !npt_sees_write_begin && !npt_is_understood(conn)) {
		npt_message_after_call(sk, conn, (__u32)result);
		slot = npt_slot(conn->slot);
		if (!slot)
			return;
	}
	now_ns = bpf_ktime_get_ns();
	npt_add(&slot->metrics[NPT_BPF_WRITE].count, 1);
	npt_add(&slot->written_bytes, (__u64)result);
	if (started_ns && conn->write_tid == (__u32)bpf_get_current_pid_tgid())
		npt_metric_time(&slot->metrics[NPT_BPF_WRITE], now_ns - started_ns);
	if (!tp)
		return;
	npt_metric_time(&slot->metrics[NPT_BPF_RTT], (__u64)(tp->srtt_us >> 3) * 1000);
	if (conn->role != NPT_BPF_SERVER)
		npt_turn_client_wrote(conn, tp, now_ns);
	else if (!npt_sees_write_begin)
		npt_turn_server_write(conn, tp, now_ns);
}

static __always_inline int npt_sent(struct sock *sk, int result)
{
	struct npt_conn *conn = npt_conn_of(sk);

	if (!conn && sk->sk_protocol == IPPROTO_UDP)
		conn = npt_datagram_conn(sk, true);
	if (!conn)
		return 0;
	if (conn->flags & NPT_CONN_DATAGRAM)
		npt_datagram_sent(sk, conn, result);
	else
		npt_write_ends(sk, conn, result);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(npt_write_end, struct sock *sk, int result, int flags)
{
	return npt_sent(sk, result);
}

static __always_inline void npt_read_counts(struct tcp_sock *tp, struct npt_conn *conn,
					    struct npt_bpf_slot *slot, __u64 bytes, __u64 now_ns)
{
	npt_add(&slot->metrics[NPT_BPF_READ].count, 1);
	npt_add(&slot->read_bytes, bytes);
	if (!tp)
		return;
	conn->copied_seq = tp->copied_seq;
	npt_turn_read(conn, tp, slot, now_ns);
}

/* How long the read took, 0 if its begin was not seen. */
static __always_inline __u64 npt_read_took(struct npt_conn *conn, __u64 now_ns)
{
	__u64 started_ns = conn->read_started_ns;

	if (npt_slice_on)
		return npt_calls_pending ? npt_call_take(NPT_CALL_READ) : 0;
	if (!started_ns)
		return 0;
	conn->read_started_ns = 0;
	return conn->read_tid == (__u32)bpf_get_current_pid_tgid() ? now_ns - started_ns : 0;
}

static __always_inline void npt_read_ends(struct sock *sk, struct npt_conn *conn, int result,
					  int flags)
{
	__u64 now_ns = bpf_ktime_get_ns(), took_ns = npt_read_took(conn, now_ns);
	bool read = result > 0 && !(flags & (MSG_PEEK | MSG_ERRQUEUE));
	bool first = conn->slot == NPT_SLOT_NONE;
	struct npt_bpf_slot *slot;
	struct tcp_sock *tp;

	slot = npt_operation_slot(sk, conn);
	if (!slot || !read)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (npt_layer_protocol && tp && npt_has_ulp(tp))
		npt_kernel_tls_see(conn, npt_kernel_tls_keys(tp));
	/* It had no edge while its bytes were copied, or they came in packets of no socket. */
	if (npt_layer_tls && (first || (conn->kernel_tls & NPT_KERNEL_TLS_RECEIVES)))
		npt_tls_received(conn);
	if (npt_layer_protocol && conn->heard) {
		npt_conn_relabel(conn, sk);
		if (npt_layer_tls)
			npt_tls_moved(conn);
		slot = npt_slot(conn->slot);
		if (!slot)
			return;
	}
	if (npt_layer_protocol)
		npt_kernel_tls_count_news(conn);
	npt_read_counts(tp, conn, slot, (__u64)result, now_ns);
	if (took_ns)
		npt_metric_time(&slot->metrics[NPT_BPF_READ], took_ns);
}

static __always_inline int npt_received(struct sock *sk, int result, int flags)
{
	struct npt_conn *conn = npt_conn_of(sk);

	if (!conn && sk->sk_protocol == IPPROTO_UDP && result >= 0)
		conn = npt_datagram_conn(sk, false);
	if (!conn)
		return 0;
	if (!(conn->flags & NPT_CONN_DATAGRAM))
		npt_read_ends(sk, conn, result, flags);
	else if (!(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		npt_datagram_received(sk, conn, result);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(npt_read_end, struct sock *sk, int result, int flags)
{
	return npt_received(sk, result, flags);
}

/* Of all readers it asks only those in splice(): the others end in sock_recv_length. */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(npt_read_spliced, struct sock *sk)
{
	struct npt_bpf_slot *slot;
	struct npt_conn *conn;
	struct tcp_sock *tp;
	__u32 bytes;

	if (npt_call_number(bpf_get_current_task_btf()) != npt_splice_number)
		return 0;
	conn = npt_conn_of(sk);
	if (!conn)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	slot = npt_operation_slot(sk, conn);
	if (!tp || !slot)
		return 0;
	npt_kernel_tls_look(conn, sk, tp);
	slot = npt_slot(conn->slot);
	if (!slot)
		return 0;
	bytes = tp->copied_seq - conn->copied_seq;
	if ((__s32)bytes > 0)
		npt_read_counts(tp, conn, slot, bytes, bpf_ktime_get_ns());
	return 0;
}

/*
 * tp_btf/sk_data_ready (6.3+) fires when a segment's payload (or a FIN, a datagram, a connection at
 * a listener) becomes readable, in whatever context, with the socket locked: once per segment that
 * is taken in, on every socket of the node.
 */
SEC("tp_btf/sk_data_ready")
int BPF_PROG(npt_data_ready, struct sock *sk)
{
	struct npt_conn *conn = npt_conn_of(sk);
	struct tcp_sock *tp;
	__u64 now_ns;

	if (!conn || conn->role == NPT_BPF_LISTENER)
		return 0;
	if (conn->flags & NPT_CONN_DATAGRAM) {
		npt_datagram_ready(conn);
		return 0;
	}
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || (__s32)npt_unread_bytes(tp) <= 0)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (!conn->ready_ns)
		conn->ready_ns = now_ns;
	if (conn->role == NPT_BPF_SERVER)
		conn->request_ns = now_ns;
	else
		npt_turn_client_data(conn, tp, now_ns);
	return 0;
}

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(npt_copied, struct sk_buff *skb, int bytes)
{
	struct sock *sk = skb->sk;
	struct npt_conn *conn = sk ? npt_conn_of(sk) : NULL;

	if (!conn || (conn->flags & NPT_CONN_DATAGRAM))
		return 0;
	if (!npt_is_understood(conn))
		npt_message_of_packet(sk, conn, skb);
	if (npt_layer_tls)
		npt_tls_received(conn);
	return 0;
}
