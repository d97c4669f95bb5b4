/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Walk - the programs that the agent runs when it wants to: no hook, no cost in between.
 *
 * iter/task_file finds sockets that are older than the task, in three passes (listeners, clients,
 * servers: the role of an older connection follows from who listens, a server is paired with a
 * client that is known). Again every few seconds, then in one pass, it gives an owner to sockets
 * that waited in an accept queue. iter/bpf_sk_storage_map folds the totals of all connections into
 * their edges, and forgets a scope's sockets when its task ends.
 */
#include "bpf/kernel_tls.bpf.h"
#include "bpf/label.bpf.h"

static __always_inline bool npt_is_listening(__u32 scope, __u16 port)
{
	struct npt_endpoint_key end = { .scope = scope, .port = port };

	return bpf_map_lookup_elem(&npt_listening, &end) != NULL;
}

static __always_inline void npt_listens(__u32 scope, __u16 port)
{
	struct npt_endpoint_key end = { .scope = scope, .port = port };
	__u8 yes = 1;

	bpf_map_update_elem(&npt_listening, &end, &yes, BPF_ANY);
}

static __always_inline void npt_found_listener(struct sock *sk, __u32 scope,
					       const struct npt_bpf_process_key *owner)
{
	struct npt_conn *conn;

	npt_listens(scope, sk->__sk_common.skc_num);
	conn = npt_conn_of(sk);
	if (conn)
		return;
	conn = npt_conn_make(sk);
	if (!conn)
		return;
	conn->owner = *owner;
	conn->scope = scope;
	conn->role = NPT_BPF_LISTENER;
	conn->reported_listen_drops = (__u32)BPF_CORE_READ(sk, sk_drops.counter);
}

static __always_inline void npt_found_connection(struct sock *sk, __u32 scope, __u32 role,
						 const struct npt_bpf_process_key *owner)
{
	struct npt_conn *conn = npt_conn_of(sk);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	__u8 state = sk->__sk_common.skc_state;

	if (conn) {
		if (conn->slot == NPT_SLOT_NONE && (conn->flags & NPT_CONN_ESTABLISHED))
			npt_conn_own(conn, owner);
		return;
	}
	if (!tp)
		return;
	conn = npt_conn_make(sk);
	if (!conn)
		return;
	conn->owner = *owner;
	conn->scope = scope;
	conn->role = role;
	conn->flags = NPT_CONN_OLDER | NPT_CONN_ESTABLISHED;
	if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
		conn->flags |= NPT_CONN_FIN_QUEUED;
	npt_conn_address(conn, sk);
	npt_conn_baseline(conn, tp);
	conn->answered_seq = tp->write_seq;
	conn->copied_seq = tp->copied_seq;
	if (npt_unread_bytes(tp))
		conn->ready_ns = bpf_ktime_get_ns();
	npt_conn_own(conn, owner);
	if (role == NPT_BPF_CLIENT)
		npt_conn_publish_end(conn);
}

static __always_inline bool npt_finds(__u32 what)
{
	return npt_find_what == what || npt_find_what == NPT_FIND_ALL;
}

SEC("iter/task_file")
int npt_find(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct npt_bpf_process_key owner = {};
	struct socket *socket;
	struct sock *sk;
	__u32 scope, role;
	__u8 state;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || (sk->sk_protocol != IPPROTO_TCP && sk->sk_protocol != IPPROTO_MPTCP) ||
	    (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6))
		return 0;
	scope = npt_scope_of(sk, (__u32)task->tgid);
	state = sk->__sk_common.skc_state;
	if (!scope || state == TCP_CLOSE || state == TCP_SYN_SENT || state == TCP_SYN_RECV)
		return 0;
	/* The TCP sockets of MPTCP have no files; its listeners tell roles (every Go server's is).
	 */
	if (sk->sk_protocol == IPPROTO_MPTCP) {
		if (state == TCP_LISTEN)
			npt_listens(scope, sk->__sk_common.skc_num);
		return 0;
	}
	npt_process_key(&owner, task, scope);
	npt_process_remember(&owner, task, 0);
	npt_time_process(owner.pid);
	if (state == TCP_LISTEN) {
		if (npt_finds(NPT_FIND_LISTENERS))
			npt_found_listener(sk, scope, &owner);
		return 0;
	}
	role = npt_is_listening(scope, sk->__sk_common.skc_num) ? NPT_BPF_SERVER : NPT_BPF_CLIENT;
	if (npt_finds(role == NPT_BPF_SERVER ? NPT_FIND_SERVERS : NPT_FIND_CLIENTS))
		npt_found_connection(sk, scope, role, &owner);
	return 0;
}

/* How much waits on either side of a connection. */
static __always_inline void npt_walk_queues(struct npt_conn *conn, struct tcp_sock *tp)
{
	__u32 index = conn->slot;
	struct npt_bpf_queue *queue = bpf_map_lookup_elem(&npt_queues, &index);
	__u32 unread = npt_unread_bytes(tp), unsent = tp->write_seq - tp->snd_nxt;

	if (!queue)
		return;
	if ((__s32)unread > 0)
		queue->unread_bytes += unread;
	if ((__s32)unsent > 0)
		queue->unsent_bytes += unsent;
}

/*
 * A listener gets an edge once there is something to tell of it: its queue was more than half full,
 * or it turned somebody away.
 */
static __always_inline void npt_walk_listener(struct npt_conn *conn, struct sock *sk)
{
	struct inet_connection_sock *icsk = (struct inet_connection_sock *)bpf_skc_to_tcp_sock(sk);
	struct npt_bpf_edge_key key = { .process = conn->owner, .role = NPT_BPF_LISTENER };
	__u32 drops = (__u32)BPF_CORE_READ(sk, sk_drops.counter), backlog = sk->sk_ack_backlog;
	struct npt_bpf_queue *queue;
	__u32 index = conn->slot, syns;

	if (!icsk)
		return;
	syns = (__u32)BPF_CORE_READ(icsk, icsk_accept_queue.qlen.counter);
	if (index == NPT_SLOT_NONE) {
		if (backlog * 2 <= sk->sk_max_ack_backlog && drops == conn->reported_listen_drops)
			return;
		key.peer_port = sk->__sk_common.skc_num;
		index = npt_edge_slot(&key);
		conn->slot = index;
	}
	queue = bpf_map_lookup_elem(&npt_queues, &index);
	if (!queue || index == NPT_SLOT_OTHER)
		return;
	queue->accept_backlog += backlog;
	queue->accept_backlog_max += sk->sk_max_ack_backlog;
	queue->syn_backlog += syns;
	queue->listen_drops += drops - conn->reported_listen_drops;
	conn->reported_listen_drops = drops;
}

SEC("iter/bpf_sk_storage_map")
int npt_walk(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct npt_bpf_slot *slot;
	struct npt_conn *conn;
	struct tcp_sock *tp;

	if (!sk || !ctx->value)
		return 0;
	conn = npt_conn_of(sk);
	if (!conn)
		return 0;
	npt_walk_sockets++; /* one walk at a time, on one CPU */
	if (conn->role == NPT_BPF_LISTENER)
		npt_walk_listener(conn, sk);
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp && conn->role != NPT_BPF_LISTENER && (conn->flags & NPT_CONN_ESTABLISHED) &&
	    !(conn->flags & NPT_CONN_CLOSED)) {
		if (npt_walk_mode == NPT_WALK_DELETE && conn->slot == NPT_SLOT_NONE)
			npt_conn_own(conn, &conn->owner);
		if (conn->slot == NPT_SLOT_NONE)
			npt_walk_unowned++;
		npt_kernel_tls_look(conn, sk, tp);
		slot = npt_slot(conn->slot);
		if (slot && conn->slot != NPT_SLOT_NONE) {
			npt_conn_fold(conn, tp, slot);
			npt_walk_queues(conn, tp);
		}
	}
	if (npt_walk_mode == NPT_WALK_DELETE && conn->scope == npt_walk_scope)
		bpf_sk_storage_delete(&npt_conns, sk);
	return 0;
}
