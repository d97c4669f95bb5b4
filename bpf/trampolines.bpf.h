/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Trampolines - the begin of each operation by fentry (5.5+, arm64 6.4+): the way of choice where
 * the host allows it. Only socket operations pay, and every one is timed: nothing is sampled.
 *
 * inet_sendmsg(), inet_recvmsg() and their IPv6 twins are what all system calls, io_uring and
 * splice() to a socket come through. Where the kernel lacks sock_send_length and sock_recv_length
 * (before 6.3) their ends by fexit stand for it; sendfile() is inet_sendpage() there.
 * inet_accept() hands out a connection: how long it waited is known then. inet_release() is
 * close(), by whatever way, of IPv6 too.
 */
#include "bpf/operations.bpf.h"

static __always_inline int npt_trampoline_write(struct socket *socket, struct msghdr *msg)
{
	struct sock *sk = socket->sk;
	struct npt_conn *conn = sk ? npt_conn_of(sk) : NULL;

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

static __always_inline int npt_trampoline_written(struct socket *socket, int result)
{
	return socket->sk ? npt_sent(socket->sk, result) : 0;
}

/* Two threads that read from one socket at once: the time of the last to begin is taken. */
static __always_inline int npt_trampoline_read(struct socket *socket)
{
	struct sock *sk = socket->sk;
	struct npt_conn *conn = sk ? npt_conn_of(sk) : NULL;

	if (!conn)
		return 0;
	conn->read_tid = (__u32)bpf_get_current_pid_tgid();
	conn->read_started_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int npt_trampoline_was_read(struct socket *socket, int flags, int result)
{
	return socket->sk ? npt_received(socket->sk, result, flags) : 0;
}

SEC("fentry/inet_sendmsg")
int BPF_PROG(npt_send_begin, struct socket *socket, struct msghdr *msg)
{
	return npt_trampoline_write(socket, msg);
}

SEC("fentry/inet6_sendmsg")
int BPF_PROG(npt_send6_begin, struct socket *socket, struct msghdr *msg)
{
	return npt_trampoline_write(socket, msg);
}

SEC("fentry/inet_recvmsg")
int BPF_PROG(npt_recv_begin, struct socket *socket)
{
	return npt_trampoline_read(socket);
}

SEC("fentry/inet6_recvmsg")
int BPF_PROG(npt_recv6_begin, struct socket *socket)
{
	return npt_trampoline_read(socket);
}

SEC("fexit/inet_sendmsg")
int BPF_PROG(npt_send_end, struct socket *socket, void *message, __u64 size, int result)
{
	return npt_trampoline_written(socket, result);
}

SEC("fexit/inet6_sendmsg")
int BPF_PROG(npt_send6_end, struct socket *socket, void *message, __u64 size, int result)
{
	return npt_trampoline_written(socket, result);
}

SEC("fexit/inet_sendpage")
int BPF_PROG(npt_sendpage_end, struct socket *socket, void *page, int offset, __u64 size, int flags,
	     int result)
{
	return npt_trampoline_written(socket, result);
}

SEC("fexit/inet_recvmsg")
int BPF_PROG(npt_recv_end, struct socket *socket, void *message, __u64 size, int flags, int result)
{
	return npt_trampoline_was_read(socket, flags, result);
}

SEC("fexit/inet6_recvmsg")
int BPF_PROG(npt_recv6_end, struct socket *socket, void *message, __u64 size, int flags, int result)
{
	return npt_trampoline_was_read(socket, flags, result);
}

SEC("fexit/inet_accept")
int BPF_PROG(npt_accept_end, struct socket *socket, struct socket *accepted)
{
	struct sock *sk = accepted->sk;
	struct npt_conn *conn = sk ? npt_conn_of(sk) : NULL;

	if (conn && conn->role == NPT_BPF_SERVER)
		npt_accept_waited(conn, npt_operation_slot(sk, conn));
	return 0;
}

SEC("fentry/inet_release")
int BPF_PROG(npt_close_begin, struct socket *socket)
{
	struct sock *sk = socket->sk;
	struct npt_conn *conn = sk ? npt_conn_of(sk) : NULL;
	struct npt_call *call;

	if (!conn || conn->slot == NPT_SLOT_NONE || !(conn->flags & NPT_CONN_ESTABLISHED))
		return 0;
	call = bpf_task_storage_get(&npt_calls, bpf_get_current_task_btf(), NULL,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call) {
		npt_count_loss(NPT_LOSS_TASK);
		return 0;
	}
	call->closing_slot = conn->slot;
	call->started_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/inet_release")
int BPF_PROG(npt_close_end)
{
	struct npt_call *call =
		bpf_task_storage_get(&npt_calls, bpf_get_current_task_btf(), NULL, 0);
	struct npt_bpf_slot *slot;

	if (!call || !call->started_ns)
		return 0;
	slot = npt_slot(call->closing_slot);
	if (slot)
		npt_metric_time(&slot->metrics[NPT_BPF_CLOSE],
				bpf_ktime_get_ns() - call->started_ns);
	call->started_ns = 0;
	return 0;
}
