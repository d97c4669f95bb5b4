/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Datagrams - UDP edges (DNS, QUIC): datagrams, bytes, errors, and DNS response times.
 *
 * The same hooks as for reads and writes: they fire for every protocol. A UDP socket has no states,
 * so its entry is made at its first operation, and its first operation tells its role: who sends
 * first is a client, and has an edge for each destination; who receives first is a server, and has
 * one edge for all that come, since the hooks do not say who sent. A socket that is older than the
 * measurement may be met in between: see npt_datagram_role().
 *
 * A client that is not connected names the destination in the call; the call's arguments are read
 * again (sendto, sendmsg; of sendmmsg the first). Where there is no such call (io_uring), or where
 * an answer may be from one of several, the edge is that without an address.
 */
#include "bpf/messages.bpf.h"
#include "bpf/turns.bpf.h"

#define NPT_DNS_PORT 53
#define EAGAIN       11
#define EINTR        4

#define SOCK_BINDPORT_LOCK 8
#define SK_DEFAULT_STAMP   (-1000000000) /* a second before 1970 */

struct npt_destination {
	__u8 address[16] __attribute__((aligned(8)));
	__u16 port; /* 0: unknown */
};

struct npt_sockaddr { /* struct sockaddr_in, and sockaddr_in6 */
	__u16 family;
	__be16 port;
	__be32 v4_or_flow;
	__u8 v6[16];
};

/* Numbers of system calls that name a destination; the agent fills them in. */
const volatile __u32 npt_sendto_number = 0;
const volatile __u32 npt_sendmsg_number = 0;
const volatile __u32 npt_sendmmsg_number = 0;

static __always_inline void npt_destination_read(struct npt_destination *destination,
						 const void *user_address)
{
	struct npt_sockaddr address = {};

	/* One that is IPv4 may be shorter than the struct: read in two steps. */
	if (!user_address || bpf_probe_read_user(&address, 8, user_address))
		return;
	if (address.family == AF_INET)
		npt_address(destination->address, AF_INET, address.v4_or_flow, NULL);
	else if (address.family == AF_INET6 &&
		 !bpf_probe_read_user(destination->address, 16, user_address + 8))
		; /* as it is, mapped or not */
	else
		return;
	destination->port = bpf_ntohs(address.port);
}

static __always_inline void npt_destination_of_call(struct npt_destination *destination)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 number = npt_call_number(task);
	const void *name = NULL;

	if (number == npt_sendto_number)
		name = (const void *)npt_call_argument(task, 4);
	else if (number != npt_sendmsg_number && number != npt_sendmmsg_number)
		return;
	else if (bpf_probe_read_user(&name, sizeof(name), /* msg_name is the first member */
				     (const void *)npt_call_argument(task, 1)))
		return;
	npt_destination_read(destination, name);
}

static __always_inline void npt_destination_of(struct sock *sk, struct npt_destination *destination)
{
	__u16 family = sk->__sk_common.skc_family;

	if (!sk->__sk_common.skc_dport) {
		npt_destination_of_call(destination);
		return;
	}
	npt_address(destination->address, family, sk->__sk_common.skc_daddr,
		    &sk->__sk_common.skc_v6_daddr);
	destination->port = bpf_ntohs(sk->__sk_common.skc_dport);
}

/*
 * By the first operation that is seen. Its answer is the first that is seen of a server whose port
 * was chosen by bind() and that has received something before: the first datagram that a program
 * takes replaces the stamp that a socket is born with. An answer is the first that is seen of a
 * client that is connected without having chosen its port. What else is older looks like new.
 */
static __always_inline __u32 npt_datagram_role(struct sock *sk, bool sent)
{
	bool bound = BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SOCK_BINDPORT_LOCK;
	bool connected = sk->__sk_common.skc_dport;

	if (sent)
		return bound && !connected && sk->sk_stamp != SK_DEFAULT_STAMP ? NPT_BPF_SERVER
									       : NPT_BPF_CLIENT;
	return connected && !bound ? NPT_BPF_CLIENT : NPT_BPF_SERVER;
}

/* The entry of a UDP socket in scope, made if there is none yet. */
static __noinline struct npt_conn *npt_datagram_conn(struct sock *sk, bool sent)
{
	struct npt_bpf_process_key owner = {};
	struct npt_conn *conn;
	__u32 scope;

	if (!sk)
		return NULL;
	scope = npt_scope_of(sk, (__u32)(bpf_get_current_pid_tgid() >> 32));
	if (!scope)
		return NULL;
	conn = npt_conn_make(sk);
	if (!conn)
		return NULL;
	npt_process_current(&owner, scope);
	conn->owner = owner;
	conn->scope = scope;
	conn->role = npt_datagram_role(sk, sent);
	conn->flags = NPT_CONN_DATAGRAM;
	conn->local_port = sk->__sk_common.skc_num;
	return conn;
}

static __always_inline __u32 npt_datagram_edge(const struct npt_conn *conn,
					       const struct npt_destination *destination)
{
	struct npt_bpf_edge_key key = {
		.process = conn->owner,
		.role = (__u8)conn->role,
		.transport = NPT_BPF_UDP,
	};

	if (conn->role == NPT_BPF_SERVER) {
		key.peer_port = conn->local_port;
	} else {
		__builtin_memcpy(key.peer_address, destination->address, 16);
		key.peer_port = destination->port;
	}
	return npt_edge_slot(&key);
}

static __always_inline bool npt_same_address(const __u8 *left, const __u8 *right)
{
	const __u64 *a = (const __u64 *)left, *b = (const __u64 *)right;

	return a[0] == b[0] && a[1] == b[1];
}

/* The last destination is kept, so that the next datagram to it asks no map. */
static __noinline __u32 npt_datagram_slot(struct npt_conn *conn,
					  const struct npt_destination *destination)
{
	if (!conn || !destination)
		return NPT_SLOT_OTHER;
	if (conn->slot != NPT_SLOT_NONE &&
	    (conn->role == NPT_BPF_SERVER ||
	     (conn->peer_port == destination->port &&
	      npt_same_address(conn->peer_address, destination->address))))
		return conn->slot;
	if (conn->slot != NPT_SLOT_NONE) {
		conn->flags |= NPT_CONN_MANY;
		__builtin_memset(&conn->dialog.classified, 0, sizeof(conn->dialog.classified));
	}
	conn->slot = npt_datagram_edge(conn, destination);
	conn->peer_port = destination->port;
	__builtin_memcpy(conn->peer_address, destination->address, 16);
	return conn->slot;
}

static __always_inline bool npt_datagram_failed(struct npt_bpf_slot *slot, int result)
{
	if (result >= 0)
		return false;
	/* ERESTARTSYS and its like (512 and on) are not for programs to see. */
	if (result != -EAGAIN && result != -EINTR && result > -512)
		npt_count_codes(slot->failed, NPT_SLOT_FAILED_MAX, (__u32)-result, 1,
				&slot->failed_other);
	return true;
}

static __always_inline bool npt_datagram_is_dns(const struct npt_conn *conn)
{
	return (conn->role == NPT_BPF_SERVER ? conn->local_port : conn->peer_port) == NPT_DNS_PORT;
}

static __noinline int npt_datagram_sent(struct sock *sk, struct npt_conn *conn, int result)
{
	struct npt_destination destination = {};
	struct npt_bpf_slot *slot;

	if (!sk || !conn)
		return 0;
	if (conn->role != NPT_BPF_SERVER)
		npt_destination_of(sk, &destination);
	slot = npt_slot(npt_datagram_slot(conn, &destination));
	if (!slot || npt_datagram_failed(slot, result))
		return 0;
	if (npt_layer_protocol && !npt_is_understood(conn)) {
		npt_datagram_heard(sk, conn, (__u32)result, true);
		slot = npt_slot(conn->slot);
		if (!slot)
			return 0;
	}
	npt_add(&slot->sent_segments, 1);
	npt_add(&slot->sent_bytes, (__u64)result);
	npt_add(&slot->metrics[NPT_BPF_WRITE].count, 1);
	npt_add(&slot->written_bytes, (__u64)result);
	if (!npt_datagram_is_dns(conn))
		return 0;
	if (conn->role == NPT_BPF_SERVER && conn->request_ns)
		npt_turn_answered(conn, bpf_ktime_get_ns() - conn->request_ns);
	else if (conn->role != NPT_BPF_SERVER && !conn->request_ns)
		conn->request_ns = bpf_ktime_get_ns();
	return 0;
}

/* What comes to a server, or to one of several that a client has asked, is from nobody known. */
static __always_inline __u32 npt_datagram_slot_received(struct sock *sk, struct npt_conn *conn)
{
	struct npt_destination nobody = {}, peer = {};

	if (conn->slot == NPT_SLOT_NONE && conn->role != NPT_BPF_SERVER) {
		npt_destination_of(sk, &peer);
		return npt_datagram_slot(conn, &peer);
	}
	if (conn->slot == NPT_SLOT_NONE)
		conn->slot = npt_datagram_edge(conn, &nobody);
	else if (conn->flags & NPT_CONN_MANY)
		return npt_datagram_edge(conn, &nobody);
	return conn->slot;
}

static __noinline int npt_datagram_received(struct sock *sk, struct npt_conn *conn, int result)
{
	struct npt_bpf_slot *slot;

	if (!sk || !conn)
		return 0;
	slot = npt_slot(npt_datagram_slot_received(sk, conn));
	if (!slot || npt_datagram_failed(slot, result))
		return 0;
	if (npt_layer_protocol && !npt_is_understood(conn) && !(conn->flags & NPT_CONN_MANY)) {
		npt_datagram_heard(sk, conn, (__u32)result, false);
		slot = npt_slot(conn->slot);
		if (!slot)
			return 0;
	}
	npt_add(&slot->received_segments, 1);
	npt_add(&slot->received_bytes, (__u64)result);
	npt_add(&slot->metrics[NPT_BPF_READ].count, 1);
	npt_add(&slot->read_bytes, (__u64)result);
	return 0;
}

/* A datagram is there to be received: the first answer to a question, or a question. */
static __always_inline void npt_datagram_ready(struct npt_conn *conn)
{
	if (!npt_datagram_is_dns(conn) || conn->slot == NPT_SLOT_NONE)
		return;
	if (conn->role != NPT_BPF_SERVER) {
		if (conn->request_ns)
			npt_turn_answered(conn, bpf_ktime_get_ns() - conn->request_ns);
	} else if (conn->request_ns) {
		npt_turn_overlapped(conn);
	} else {
		conn->request_ns = bpf_ktime_get_ns();
	}
}
