/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Turns - response and unread times: who waits for whom, without a look at what is said.
 *
 * A turn is a request and its response. A client's begins with the last byte that it writes and
 * ends with the first that comes back; a server's begins with the last byte that comes and ends
 * with its first write. That is a response only if the two did not cross: the peer of a client must
 * have acknowledged all of the request when its answer comes, and a server must have read all of it
 * when it answers. Turns that fail this are counted as overlapped and not timed (HTTP/2,
 * pipelining).
 *
 * Unread runs from the moment when data is there and nothing else waits, or from the end of a read
 * that left some, to the end of the next read. So the sum of it is the time for which data waited
 * for the program.
 */
#include "bpf/connection.bpf.h"

static __always_inline void npt_turn_overlapped(struct npt_conn *conn)
{
	struct npt_bpf_slot *slot = npt_slot(conn->slot);

	conn->request_ns = 0;
	if (slot)
		npt_add(&slot->overlapped, 1);
}

static __always_inline void npt_turn_answered(struct npt_conn *conn, __u64 ns)
{
	struct npt_bpf_slot *slot = npt_slot(conn->slot);

	conn->request_ns = 0;
	if (slot)
		npt_metric_time(&slot->metrics[NPT_BPF_RESPONSE], ns);
}

/* Data came to a client: the answer, if something was asked. */
static __always_inline void npt_turn_client_data(struct npt_conn *conn, struct tcp_sock *tp,
						 __u64 now_ns)
{
	__u32 write_seq = tp->write_seq;
	__u32 unacknowledged = write_seq - tp->snd_una;
	__u64 request_ns = conn->request_ns;

	if (write_seq == conn->answered_seq)
		return; /* more of the same answer, or nobody asked */
	conn->answered_seq = write_seq;
	if (unacknowledged > !!(conn->flags & NPT_CONN_FIN_QUEUED))
		npt_turn_overlapped(conn);
	else /* without a hook at the begin of writes an answer may come before the write's end */
		npt_turn_answered(conn, request_ns ? now_ns - request_ns : 0);
}

/* A write of a server begins (or ends, where its begin is not seen). */
static __always_inline void npt_turn_server_write(struct npt_conn *conn, struct tcp_sock *tp,
						  __u64 now_ns)
{
	if (!conn->request_ns)
		return;
	if ((__s32)npt_unread_bytes(tp) > 0)
		npt_turn_overlapped(conn);
	else
		npt_turn_answered(conn, now_ns - conn->request_ns);
}

/* At the end of a client's write: the request's last byte is this one, unless it is answered. */
static __always_inline void npt_turn_client_wrote(struct npt_conn *conn, struct tcp_sock *tp,
						  __u64 now_ns)
{
	if (tp->write_seq != conn->answered_seq)
		conn->request_ns = now_ns;
}

/*
 * sk_data_ready may have been missed (lifecycle.bpf.h says why): then what it would have begun or
 * ended is so now, a wakeup later.
 */
static __always_inline void npt_turn_make_good(struct npt_conn *conn, struct tcp_sock *tp,
					       __u64 now_ns)
{
	if (conn->role != NPT_BPF_SERVER)
		npt_turn_client_data(conn, tp, now_ns);
	else if (!conn->request_ns)
		conn->request_ns = now_ns;
}

/* A read took data. In this order: what comes after the 0 is seen by one side or the other. */
static __always_inline void npt_turn_read(struct npt_conn *conn, struct tcp_sock *tp,
					  struct npt_bpf_slot *slot, __u64 now_ns)
{
	__u64 ready_ns = conn->ready_ns;

	if (ready_ns)
		npt_metric_time(&slot->metrics[NPT_BPF_UNREAD], now_ns - ready_ns);
	else
		npt_turn_make_good(conn, tp, now_ns);
	__sync_lock_test_and_set(&conn->ready_ns, 0);
	if ((__s32)npt_unread_bytes(tp) > 0)
		__sync_val_compare_and_swap(&conn->ready_ns, 0, now_ns);
}
