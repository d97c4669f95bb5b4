/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Messages - the layer Protocol: the first bytes of each message are gathered with the socket and
 * classified, until it is certain what the connection speaks; from then on it costs a load and a
 * branch.
 *
 * Sent ones are read from the program's memory at tp_btf/tcp_sendmsg_locked (6.16+, in the loop
 * that fills segments) or fentry/inet_sendmsg. Received ones at tp_btf/skb_copy_datagram_iovec (in
 * BTF since there is any), once per packet's buffer that is copied to a program, of every socket of
 * the node: there the whole segment is to be seen, however little of it the program asks for,
 * whatever way it came (with the handshake's last ACK, in half-closed states, before the
 * measurement began). The packet's pages need bpf_dynptr_from_skb (6.12+);
 * without it there is no layer Protocol. Datagrams are read from the program's buffer. What is not
 * seen: splice() and zero-copy reads.
 *
 * A message is what one side sends until the other does. Chunks know their sequence numbers, so a
 * MSG_PEEK, a partial read or a retransmission brings no byte twice.
 */
#include "bpf/handshake.bpf.h"
#include "bpf/kernel_tls.bpf.h"
#include "bpf/label.bpf.h"
#include "bpf/lifecycle.bpf.h"
#include "bpf/protocol/classify.h"

#define NPT_MESSAGE_CALLS 12 /* looks at one message whose first bytes are all there */

/* How a system call names its bytes: its second argument is ... */
enum npt_call_shape {
	NPT_SHAPE_NONE = 0,
	NPT_SHAPE_BUFFER = 1,
	NPT_SHAPE_VECTOR = 2,
	NPT_SHAPE_MESSAGE = 3, /* struct msghdr, or an array of struct mmsghdr, which begins so */
};

/* By number; the agent fills it for its architecture. */
const volatile __u8 npt_call_shapes[512] = {};

struct npt_user_msghdr {
	__u64 name;
	__u32 name_bytes;
	__u32 padding;
	__u64 vectors;
	__u64 vectors_count;
};

static __always_inline __u8 npt_message_from(const struct npt_conn *conn, bool sent)
{
	if (conn->role == NPT_BPF_CLIENT)
		return sent ? NPT_FROM_CLIENT : NPT_FROM_SERVER;
	if (conn->role == NPT_BPF_SERVER)
		return sent ? NPT_FROM_SERVER : NPT_FROM_CLIENT;
	return NPT_FROM_UNKNOWN;
}

/* Is this the first byte that goes this way? */
static __always_inline bool npt_begins_stream(const struct npt_conn *conn, bool sent, __u32 seq)
{
	bool by_client = (conn->role == NPT_BPF_CLIENT) == sent;

	if (conn->flags & (NPT_CONN_OLDER | NPT_CONN_DATAGRAM))
		return false;
	return seq == (by_client ? conn->client_seq : conn->server_seq);
}

static __always_inline void npt_message_begin(struct npt_dialog *dialog, __u32 seq, __u8 flags)
{
	__builtin_memset(&dialog->message.bytes, 0, sizeof(dialog->message.bytes));
	dialog->message.size = 0;
	dialog->message.length = 0;
	dialog->message.flags = flags;
	dialog->message.padding = 0;
	dialog->seq = seq;
}

/* Adds what the chunk has of the message's first bytes; false if nothing is new. */
static __always_inline int npt_message_add(struct npt_dialog *dialog, const struct npt_chunk *chunk,
					   struct sk_buff *packet)
{
	struct npt_bpf_message *message = &dialog->message;
	__u32 gathered = 0, size = chunk->seq + chunk->size - dialog->seq;

	for (int i = 0; i < NPT_CHUNK_VECTORS; i++) {
		__u32 length = message->length;
		__u32 offset = dialog->seq + length - chunk->seq, got;

		if (length >= NPT_MESSAGE_BYTES || (__s32)offset < 0)
			break;
		got = npt_chunk_read(chunk, packet, offset,
				     &message->bytes[length & (NPT_MESSAGE_BYTES - 1)],
				     NPT_MESSAGE_BYTES - length, NPT_MESSAGE_BYTES);
		if (got == 0)
			break;
		message->length = (__u8)(length + got);
		gathered += got;
		if (chunk->kind == NPT_CHUNK_USER)
			break;
	}
	if ((__s32)(size - message->size) <= 0)
		return gathered > 0;
	message->size = size;
	return message->length > 0;
}

__noinline int npt_message_gather(struct npt_dialog *dialog, const struct npt_chunk *chunk,
				  struct sk_buff *packet npt_packet_or_null)
{
	if (!npt_layer_protocol || !dialog || !chunk)
		return 0;
	return npt_message_add(dialog, chunk, packet);
}

/* The same for programs that may not look into packets. */
__noinline int npt_message_gather_memory(struct npt_dialog *dialog, const struct npt_chunk *chunk)
{
	return npt_layer_protocol && dialog && chunk ? npt_message_add(dialog, chunk, NULL) : 0;
}

/* The label of what was heard so far, 0 if it is too early for one. */
static __always_inline __u32 npt_heard(struct npt_conn *conn)
{
	const struct npt_bpf_classified *classified = &conn->dialog.classified;
	__u32 final = classified->final ? NPT_LABEL_FINAL : 0;

	if (classified->protocol == NPT_PROTOCOL_UNKNOWN)
		return 0;
	if (classified->protocol == NPT_PROTOCOL_TLS) {
		conn->tls = NPT_BPF_TLS_YES; /* of what asked for it we know what is inside */
		return classified->inside ? NPT_LABEL(classified->inside, NPT_BPF_TLS_YES,
						      classified->confidence) |
						    final
					  : NPT_LABEL(0, NPT_BPF_TLS_YES, 0);
	}
	if (classified->protocol == NPT_PROTOCOL_QUIC)
		conn->tls = NPT_BPF_TLS_YES; /* RFC 9001: always */
	if (conn->tls == NPT_BPF_TLS_UNKNOWN)
		conn->tls = NPT_BPF_TLS_NO;
	return NPT_LABEL(classified->protocol, conn->tls, classified->confidence) | final;
}

/* A prefix was told off: the message proper begins behind it. */
static __always_inline bool npt_message_skip(struct npt_dialog *dialog)
{
	__u32 skip = dialog->classified.skip;

	if (!skip)
		return false;
	dialog->classified.skip = 0;
	npt_message_begin(dialog, dialog->seq + skip, dialog->message.flags & ~NPT_MESSAGE_MORE);
	return true;
}

/*
 * True if the classifier has looked. begins: at the first byte that goes this way. packets: a
 * constant, whether the program may look into them.
 */
static __always_inline bool npt_message_look(struct npt_dialog *dialog,
					     const struct npt_chunk *chunk, struct sk_buff *packet,
					     const bool packets, bool sent, __u8 from, bool begins)
{
	struct npt_bpf_message *message = &dialog->message;

	if (dialog->sent != sent + 1) {
		dialog->sent = sent + 1;
		npt_message_begin(dialog, chunk->seq, begins ? NPT_MESSAGE_FIRST : 0);
	}
	message->from = from;
	for (int i = 0; i < 3; i++) {
		if (!(packets ? npt_message_gather(dialog, chunk, packet)
			      : npt_message_gather_memory(dialog, chunk)))
			return i > 0;
		if (message->length == NPT_MESSAGE_BYTES && message->padding++ >= NPT_MESSAGE_CALLS)
			return i > 0;
		npt_protocol_next(&dialog->classified, message);
		message->flags |= NPT_MESSAGE_MORE;
		if (!npt_message_skip(dialog))
			break;
	}
	return true;
}

/* One that is TLS may be of a library that the process has loaded just now. */
static __always_inline void npt_message_hear(struct npt_conn *conn, const struct npt_chunk *chunk,
					     struct sk_buff *packet, bool sent)
{
	__u32 heard;
	__u8 tls;

	if (!npt_message_look(&conn->dialog, chunk, packet, true, sent,
			      npt_message_from(conn, sent),
			      npt_begins_stream(conn, sent, chunk->seq)))
		return;
	tls = conn->tls;
	heard = npt_heard(conn);
	if (heard)
		conn->heard = heard;
	if (npt_layer_tls && conn->tls != tls && conn->tls == NPT_BPF_TLS_YES)
		npt_tls_process_tell(bpf_get_current_task_btf(), conn->scope, true, false);
}

/*
 * A TLS connection begins with this message: what came of it before seq was gathered. A function of
 * its own for the sake of the stack.
 */
static __noinline int npt_tls_catch_up(struct npt_conn *conn, __u32 seq, bool sent)
{
	struct npt_chunk gathered = { .kind = NPT_CHUNK_GATHERED };

	if (!conn)
		return 0;
	gathered.user = conn->dialog.message.bytes;
	gathered.seq = conn->dialog.seq;
	gathered.size = seq - conn->dialog.seq;
	if (gathered.size <= conn->dialog.message.length)
		npt_tls_follow(conn, &gathered, NULL, sent);
	return 0;
}

/*
 * A global function, as those that it calls: verified once, which makes the object's load a third
 * of what it was. The layer is asked for since older kernels verify what nobody calls, too.
 */
__noinline int npt_message_take(struct npt_conn *conn, const struct npt_chunk *chunk,
				struct sk_buff *packet npt_packet_or_null, __u32 way)
{
	bool sent = way & 1;

	if (!npt_layer_protocol || !conn || !chunk)
		return 0;
	if (!conn->dialog.classified.final)
		npt_message_hear(conn, chunk, packet, sent);
	if (conn->tls != NPT_BPF_TLS_YES)
		return 0;
	if (npt_tls_begins(conn, sent))
		npt_tls_catch_up(conn, chunk->seq, sent);
	npt_tls_follow(conn, chunk, packet, sent);
	return 0;
}

/* Nothing more to learn from what this connection says. */
static __always_inline bool npt_is_understood(const struct npt_conn *conn)
{
	return conn->dialog.classified.final && !(conn->flags & NPT_CONN_HANDSHAKE);
}

/*
 * The program's memory behind an iterator of the kernel's; false if it is other memory. Pointers
 * are read as numbers: older verifiers refuse to count on from one whose type they know.
 */
static __always_inline bool npt_chunk_of_iterator(struct npt_chunk *chunk, struct msghdr *msg)
{
	struct iov_iter *iter = &msg->msg_iter;
	__u8 type = iter->iter_type;

	chunk->size = (__u32)iter->count;
	chunk->user_offset = iter->iov_offset;
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
		chunk->kind = NPT_CHUNK_USER;
		chunk->user = BPF_CORE_READ(iter, ubuf);
		return true;
	}
	if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return false;
	chunk->kind = NPT_CHUNK_COPIED_VECTOR;
	chunk->vectors = iter->nr_segs;
	if (bpf_core_field_exists(iter->__iov))
		chunk->user = BPF_CORE_READ(iter, __iov);
	else
		chunk->user = BPF_CORE_READ((struct iov_iter___before_6_4 *)iter, iov);
	return true;
}

/* The socket has a ULP: what the program writes is not what goes out, or no news any more. */
static __noinline int npt_message_is_sealed(struct npt_conn *conn, struct sock *sk,
					    struct tcp_sock *tp)
{
	if (!conn || !sk || !tp)
		return 0;
	if (conn->slot == NPT_SLOT_NONE)
		npt_conn_own_current(conn);
	npt_kernel_tls_look(conn, sk, tp);
	return (conn->kernel_tls & NPT_KERNEL_TLS_SENDS) || npt_is_understood(conn);
}

/* A write begins, or goes on with its next segment. */
static __always_inline void npt_message_sent(struct sock *sk, struct npt_conn *conn,
					     struct msghdr *msg)
{
	struct npt_chunk chunk = {};
	struct tcp_sock *tp;

	if (npt_is_understood(conn))
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return;
	if (npt_has_ulp(tp) && npt_message_is_sealed(conn, sk, tp))
		return;
	if (!npt_chunk_of_iterator(&chunk, msg))
		return;
	if (conn->slot == NPT_SLOT_NONE)
		npt_conn_own_current(conn);
	chunk.seq = tp->write_seq;
	npt_message_take(conn, &chunk, NULL, true);
	npt_conn_label(conn, sk);
}

/* The buffer that the current system call names, in which bytes are. */
static __always_inline bool npt_chunk_of_call(struct npt_chunk *chunk, __u32 bytes)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 number = npt_call_number(task), argument = npt_call_argument(task, 1);
	struct npt_user_msghdr header;
	__u8 shape;

	if (number >= 512)
		return false;
	shape = npt_call_shapes[number];
	if (shape == NPT_SHAPE_NONE)
		return false;
	chunk->size = bytes;
	chunk->user = (const void *)argument;
	chunk->kind = shape == NPT_SHAPE_BUFFER ? NPT_CHUNK_USER : NPT_CHUNK_VECTOR;
	chunk->vectors = npt_call_argument(task, 2);
	if (shape != NPT_SHAPE_MESSAGE)
		return true;
	if (bpf_probe_read_user(&header, sizeof(header), (const void *)argument))
		return false;
	chunk->user = (const void *)header.vectors;
	chunk->vectors = header.vectors_count;
	return true;
}

/* Without a hook at the begin of writes: the program's buffer, after the call. */
static __noinline int npt_message_after_call(struct sock *sk, struct npt_conn *conn, __u32 bytes)
{
	struct npt_chunk chunk = {};
	struct tcp_sock *tp;

	if (!sk || !conn)
		return 0;
	if (conn->kernel_tls & NPT_KERNEL_TLS_SENDS)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || !npt_chunk_of_call(&chunk, bytes))
		return 0;
	chunk.seq = tp->write_seq - bytes;
	npt_message_take(conn, &chunk, NULL, true);
	npt_conn_label(conn, sk);
	return 0;
}

/* Each datagram is a message of its own. */
static __noinline int npt_datagram_heard(struct sock *sk, struct npt_conn *conn, __u32 bytes,
					 bool sent)
{
	struct npt_chunk chunk = {};

	if (!sk || !conn || !npt_chunk_of_call(&chunk, bytes))
		return 0;
	npt_message_begin(&conn->dialog, 0, NPT_MESSAGE_FIRST | NPT_MESSAGE_DATAGRAM);
	conn->dialog.message.from = npt_message_from(conn, sent);
	if (!npt_message_gather(&conn->dialog, &chunk, NULL))
		return 0;
	npt_protocol_next_datagram(&conn->dialog.classified, &conn->dialog.message);
	conn->heard = npt_heard(conn);
	npt_conn_label(conn, sk);
	return 0;
}

static __always_inline void npt_message_of_packet(struct sock *sk, struct npt_conn *conn,
						  struct sk_buff *skb)
{
	struct tcp_skb_cb *control = (struct tcp_skb_cb *)&skb->cb;
	struct npt_chunk chunk = {};
	__s32 offset;

	chunk.seq = control->seq;
	offset = (__s32)(BPF_CORE_READ((struct tcp_sock *)sk, copied_seq) - chunk.seq);
	if (offset < 0)
		offset = 0; /* what lies before it was copied just now, by the same read */
	if ((__u32)offset >= skb->len)
		return;
	chunk.seq += (__u32)offset;
	chunk.size = skb->len - (__u32)offset;
	chunk.packet_offset = (__u32)offset;
	npt_message_take(conn, &chunk, skb, false);
}
