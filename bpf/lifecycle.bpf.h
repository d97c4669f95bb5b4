/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Lifecycle - connect, establish, close: one hook, tp_btf/inet_sock_set_state (4.16+), taken twice.
 *
 * Why this hook: it fires at each state change of a TCP socket and nowhere else, in whatever way
 * the change came about (system call, packet, timer, exit of the process), with the socket still
 * whole. How often: 3 to 8 times in the life of a connection, never per read or write. What it
 * misses: a connect that fails before its SYN (ENETUNREACH), which never leaves CLOSE.
 */
#include "bpf/handshake.bpf.h"
#include "bpf/kernel_tls.bpf.h"
#include "bpf/label.bpf.h"
#include "bpf/slices.bpf.h"

/* connect() and listen() run in the process that asks, so the current task is the owner. */
static __always_inline void npt_begin(struct sock *sk, __u32 role)
{
	struct npt_bpf_process_key owner = {};
	struct npt_conn *conn;
	__u32 pid = (__u32)(bpf_get_current_pid_tgid() >> 32);
	__u32 scope = npt_scope_of(sk, pid);

	if (!scope)
		return;
	conn = npt_conn_make(sk);
	if (!conn)
		return;
	__builtin_memset(conn, 0, sizeof(*conn));
	conn->state = role == NPT_BPF_CLIENT ? TCP_SYN_SENT : TCP_LISTEN;
	npt_process_current(&owner, scope);
	conn->owner = owner;
	conn->scope = scope;
	conn->role = role;
	npt_conn_address(conn, sk);
	if (role == NPT_BPF_CLIENT) {
		conn->flags = NPT_CONN_SYN;
		conn->started_ns = bpf_ktime_get_ns();
		npt_conn_own(conn, &owner);
	} else {
		struct npt_endpoint_key end = { .scope = scope, .port = conn->local_port };
		__u8 yes = 1;

		bpf_map_update_elem(&npt_listening, &end, &yes, BPF_ANY);
		conn->reported_listen_drops = (__u32)BPF_CORE_READ(sk, sk_drops.counter);
	}
}

/* The child of a listener: BPF_F_CLONE gave it the listener's entry before its first state. */
static __always_inline void npt_begin_child(struct npt_conn *conn)
{
	struct npt_bpf_process_key owner = conn->owner;
	__u32 scope = conn->scope;

	__builtin_memset(conn, 0, sizeof(*conn));
	conn->owner = owner;
	conn->scope = scope;
	conn->role = NPT_BPF_SERVER;
	conn->started_ns = bpf_ktime_get_ns();
}

/*
 * The child of a listener that has no entry: one that is older than the task and has no file, as
 * the TCP socket of an MPTCP listener. Who owns the child its first operation says. The current
 * process is any here, so a scope of processes cannot be asked.
 */
static __always_inline void npt_begin_orphan(struct sock *sk)
{
	__u32 scope = npt_scope_of(sk, 0);
	struct npt_conn *conn;

	if (!scope)
		return;
	conn = npt_conn_make(sk);
	if (!conn)
		return;
	conn->scope = scope;
	npt_begin_child(conn);
	conn->state = TCP_SYN_RECV;
}

static __always_inline void npt_first_numbers(struct npt_conn *conn, struct tcp_sock *tp)
{
	bool client = conn->role == NPT_BPF_CLIENT;

	conn->syn_retransmits = tp->total_retrans;
	conn->client_seq = client ? tp->snd_una : tp->rcv_nxt;
	conn->server_seq = client ? tp->rcv_nxt : tp->snd_una;
	conn->answered_seq = tp->write_seq;
	conn->copied_seq = tp->rcv_nxt;
	conn->born_jiffies = (__u32)bpf_jiffies64();
}

static __always_inline void npt_established(struct npt_conn *conn, struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct npt_bpf_slot *slot;

	conn->flags |= NPT_CONN_ESTABLISHED;
	npt_conn_address(conn, sk);
	conn->established_ns = bpf_ktime_get_ns();
	if (tp)
		npt_first_numbers(conn, tp);
	if (conn->role != NPT_BPF_CLIENT)
		return;
	npt_conn_publish_end(conn);
	slot = npt_slot(conn->slot);
	if (!slot || (conn->flags & NPT_CONN_OLDER))
		return;
	npt_add(&slot->opened, 1);
	npt_add(&slot->retransmit_syn, conn->syn_retransmits);
	npt_add(&slot->metrics[NPT_BPF_OPEN].count, 1);
	npt_metric_time(&slot->metrics[NPT_BPF_OPEN], conn->established_ns - conn->started_ns);
}

/*
 * A connect that never got through: the socket's error says why, none if the program gave up. A
 * soft one, of an ICMP message that found the socket busy, counts as long as the program left it
 * there.
 */
static __always_inline void npt_failed(struct npt_conn *conn, struct sock *sk,
				       struct npt_bpf_slot *slot)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	int error = sk->sk_err;

	if (error <= 0)
		error = sk->sk_err_soft;
	if (error <= 0)
		error = ECANCELED;
	npt_count_codes(slot->failed, NPT_SLOT_FAILED_MAX, (__u32)error, 1, &slot->failed_other);
	if (!tp)
		return;
	conn->syn_retransmits = tp->total_retrans;
	npt_add(&slot->retransmit_syn, conn->syn_retransmits);
	npt_add(&slot->retransmit_segments, conn->syn_retransmits);
}

static __always_inline void npt_closed(struct npt_conn *conn, struct sock *sk, int old_state)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct npt_bpf_slot *slot;

	if (conn->flags & NPT_CONN_CLOSED)
		return;
	if (!(conn->flags & NPT_CONN_ESTABLISHED)) {
		conn->flags |= NPT_CONN_CLOSED;
		slot = npt_slot(conn->slot);
		if (slot && conn->role == NPT_BPF_CLIENT && old_state == TCP_SYN_SENT)
			npt_failed(conn, sk, slot);
		return;
	}
	if (conn->slot == NPT_SLOT_NONE)
		npt_conn_own(conn, &conn->owner);
	if (tp) /* after a reset the key is there still */
		npt_kernel_tls_look(conn, sk, tp);
	if (npt_layer_protocol)
		npt_tls_closed(conn, tp);
	conn->flags |= NPT_CONN_CLOSED;
	slot = npt_slot(conn->slot);
	if (!slot)
		return;
	npt_conn_fold(conn, tp, slot);
	npt_add(&slot->closed, 1);
	npt_add(&slot->metrics[NPT_BPF_CLOSE].count, 1);
	if (conn->role == NPT_BPF_CLIENT)
		npt_conn_withdraw_end(conn);
}

/* With data in its SYN (TCP Fast Open) a connection is used before its handshake is over. */
static __noinline __u32 npt_conn_first_operation(struct sock *sk, struct npt_conn *conn)
{
	if (!sk || !conn)
		return NPT_SLOT_NONE;
	if (conn->role == NPT_BPF_SERVER && !(conn->flags & NPT_CONN_ESTABLISHED))
		npt_established(conn, sk);
	return npt_conn_own_current(conn);
}

static __noinline int npt_on_state(struct sock *sk, int old_state, int new_state)
{
	struct npt_conn *conn;

	if (!sk)
		return 0;
	conn = npt_conn_of(sk);
	if (conn && conn->state == (__u32)new_state)
		return 0; /* the other program has seen to it */
	if (new_state == TCP_SYN_SENT || new_state == TCP_LISTEN) {
		npt_begin(sk, new_state == TCP_SYN_SENT ? NPT_BPF_CLIENT : NPT_BPF_LISTENER);
		return 0;
	}
	if (!conn) {
		if (new_state == TCP_SYN_RECV)
			npt_begin_orphan(sk);
		return 0;
	}
	if (new_state == TCP_SYN_RECV && conn->role == NPT_BPF_LISTENER) {
		npt_begin_child(conn);
	} else if (new_state == TCP_ESTABLISHED) {
		if (!(conn->flags & NPT_CONN_ESTABLISHED))
			npt_established(conn, sk);
	} else if (new_state == TCP_FIN_WAIT1 || new_state == TCP_LAST_ACK) {
		/* Only close() and shutdown() lead here: the current process holds the socket. */
		if (conn->slot == NPT_SLOT_NONE)
			npt_conn_own_current(conn);
		conn->flags |= NPT_CONN_FIN_QUEUED;
		npt_slice_closing(conn);
	} else if (new_state == TCP_CLOSE && conn->role != NPT_BPF_LISTENER) {
		npt_slice_closing(conn);
		npt_closed(conn, sk, old_state);
	}
	conn->state = (__u32)new_state;
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(npt_set_state, struct sock *sk, int old_state, int new_state)
{
	return sk->sk_protocol == IPPROTO_TCP ? npt_on_state(sk, old_state, new_state) : 0;
}

/*
 * The kernel does not run a program on a CPU where it is running already, so a packet that
 * interrupts one has its event missed. Of two that do the same, one is always free.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(npt_state_twin, struct sock *sk, int old_state, int new_state)
{
	return sk->sk_protocol == IPPROTO_TCP ? npt_on_state(sk, old_state, new_state) : 0;
}
