/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Handshake - the records of a TLS connection, told to the agent until its handshake is over: a few
 * per connection, whatever library made them. The agent makes the facts of them (agent/tls/).
 *
 * Records are followed by their heads through both directions, however they are cut into segments.
 * Handshake messages come with their bytes (the one that is encrypted is a Finished, which says
 * nothing), alerts until their sender changes its cipher. Of application data nothing is told but
 * that there was some.
 */
#include "bpf/bytes.bpf.h"
#include "bpf/protocol/tls.h"

#define NPT_TLS_RECORDS_MAX 40
#define NPT_TLS_DATA_MAX    8  /* in TLS 1.3 the end of the handshake looks like data */
#define NPT_TLS_STEPS       10 /* heads and pieces in one chunk */
#define NPT_TLS_BYTES_MAX   (16384 + 256)
#define NPT_TLS_SMALL_BYTES 640 /* what most hellos fit in */

enum npt_tls_stream_flag {
	NPT_STREAM_STARTED = 1,
	NPT_STREAM_OVER = 2,   /* nothing is told any more */
	NPT_STREAM_CIPHER = 4, /* what follows is encrypted */
	NPT_STREAM_RECORD = 8, /* the record's first piece is to be told */
};

#define NPT_TLS_EVENT_HEAD __builtin_offsetof(struct npt_bpf_tls_event, bytes)

struct npt_tls_small_event {
	struct {
		__u64 words[NPT_TLS_EVENT_HEAD / 8];
	} head;
	__u8 bytes[NPT_TLS_SMALL_BYTES];
};

static __always_inline void npt_tls_event_fill(struct npt_bpf_tls_event *event,
					       const struct npt_conn *conn,
					       const struct npt_tls_stream *stream, __u8 kind,
					       bool sent)
{
	bool by_client = (conn->role == NPT_BPF_CLIENT) == sent;

	event->connection = conn->tls_id;
	event->time_ns = bpf_ktime_get_ns();
	event->slot = conn->slot;
	event->record_bytes = (__u16)(stream->head[3] << 8 | stream->head[4]);
	event->version = (__u16)(stream->head[1] << 8 | stream->head[2]);
	event->kind = kind;
	event->type = stream->head[0];
	event->from = conn->role == NPT_BPF_UNKNOWN ? NPT_FROM_UNKNOWN
		      : by_client                   ? NPT_FROM_CLIENT
						    : NPT_FROM_SERVER;
	event->sent = sent;
	event->captured_bytes = 0;
	event->padding = 0;
}

/* Without bytes. */
static __noinline int npt_tls_tell(const struct npt_conn *conn, struct npt_tls_stream *stream,
				   __u8 kind, bool sent)
{
	struct npt_bpf_tls_event *event;

	if (!conn || !stream)
		return 0;
	event = bpf_ringbuf_reserve(&npt_tls_events, NPT_TLS_EVENT_HEAD, 0);
	if (!event) {
		npt_count_loss(NPT_LOSS_HANDSHAKE);
		stream->flags |= NPT_STREAM_OVER;
		return 0;
	}
	npt_tls_event_fill(event, conn, stream, kind, sent);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline void npt_tls_lost(const struct npt_conn *conn, struct npt_tls_stream *stream,
					 bool sent)
{
	stream->flags |= NPT_STREAM_OVER;
	npt_tls_tell(conn, stream, NPT_TLS_GONE, sent);
}

/* The next piece of a record, with its bytes: how many those were. room is a constant. */
static __always_inline __u32 npt_tls_tell_bytes(const struct npt_conn *conn,
						struct npt_tls_stream *stream,
						const struct npt_chunk *chunk,
						struct sk_buff *packet, bool sent, const __u32 room)
{
	__u8 kind = stream->flags & NPT_STREAM_RECORD ? NPT_TLS_RECORD : NPT_TLS_PIECE;
	struct npt_bpf_tls_event *event =
		bpf_ringbuf_reserve(&npt_tls_events, NPT_TLS_EVENT_HEAD + room, 0);
	__u32 got;

	if (!event) {
		npt_count_loss(NPT_LOSS_HANDSHAKE);
		stream->flags |= NPT_STREAM_OVER;
		return 0;
	}
	npt_tls_event_fill(event, conn, stream, kind, sent);
	got = npt_chunk_read(chunk, packet, stream->seq - chunk->seq, event->bytes, stream->left,
			     room);
	if (got == 0) {
		bpf_ringbuf_discard(event, 0);
		npt_tls_lost(conn, stream, sent);
		return 0;
	}
	event->captured_bytes = (__u16)got;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return got;
}

/* A record's content, or what the chunk has of it. */
static __always_inline void npt_tls_content(const struct npt_conn *conn,
					    struct npt_tls_stream *stream,
					    const struct npt_chunk *chunk, struct sk_buff *packet,
					    bool sent)
{
	__u32 here = chunk->seq + chunk->size - stream->seq, got;

	if (here > stream->left)
		here = stream->left;
	if (here <= NPT_TLS_SMALL_BYTES)
		got = npt_tls_tell_bytes(conn, stream, chunk, packet, sent, NPT_TLS_SMALL_BYTES);
	else
		got = npt_tls_tell_bytes(conn, stream, chunk, packet, sent, NPT_TLS_PIECE_BYTES);
	stream->flags &= ~NPT_STREAM_RECORD;
	stream->seq += got;
	stream->left -= got;
}

/* A head is complete: what comes now is told with its bytes, or passed over. */
static __always_inline void npt_tls_record(const struct npt_conn *conn,
					   struct npt_tls_stream *stream, bool sent)
{
	__u32 type = stream->head[0], bytes = (__u32)(stream->head[3] << 8 | stream->head[4]);

	stream->head_length = 0;
	if (type < NPT_TLS_CHANGE_CIPHER_SPEC || type > NPT_TLS_DATA || stream->head[1] != 3 ||
	    bytes > NPT_TLS_BYTES_MAX || stream->records >= NPT_TLS_RECORDS_MAX) {
		npt_tls_lost(conn, stream, sent);
		return;
	}
	stream->records++;
	if (bytes && (type == NPT_TLS_HANDSHAKE ||
		      (type == NPT_TLS_ALERT && !(stream->flags & NPT_STREAM_CIPHER)))) {
		stream->left = (__u16)bytes;
		stream->flags |= NPT_STREAM_RECORD;
		return;
	}
	npt_tls_tell(conn, stream, NPT_TLS_RECORD, sent);
	stream->seq += bytes;
	if (type == NPT_TLS_CHANGE_CIPHER_SPEC)
		stream->flags |= NPT_STREAM_CIPHER;
	if (type == NPT_TLS_DATA && ++stream->data >= NPT_TLS_DATA_MAX)
		stream->flags |= NPT_STREAM_OVER;
}

static __always_inline bool npt_tls_head(struct npt_tls_stream *stream,
					 const struct npt_chunk *chunk, struct sk_buff *packet)
{
	__u32 length = stream->head_length, got;
	__u8 bytes[8] = {};

	if (length >= 5)
		return false;
	got = npt_chunk_read(chunk, packet, stream->seq - chunk->seq, bytes, 5 - length, 5);
	for (__u32 i = 0; i < 5; i++) {
		if (i < got && length + i < 5)
			stream->head[length + i] = bytes[i];
	}
	stream->head_length = (__u8)(length + got);
	stream->seq += got;
	return got > 0;
}

/* One head or one piece; 0: the chunk holds no more. */
__noinline int npt_tls_step(struct npt_conn *conn, const struct npt_chunk *chunk,
			    struct sk_buff *packet npt_packet_or_null, __u32 way)
{
	struct npt_tls_stream *stream;
	bool sent = way & 1;
	__u32 offset;

	if (!npt_layer_protocol || !conn || !chunk)
		return 0;
	stream = &conn->tls_streams[sent];
	if (stream->flags & NPT_STREAM_OVER)
		return 0;
	offset = stream->seq - chunk->seq;
	if ((__s32)offset < 0) {
		npt_tls_lost(conn, stream, sent);
		return 0;
	}
	if (offset >= chunk->size)
		return 0;
	if (stream->left) {
		npt_tls_content(conn, stream, chunk, packet, sent);
		return 1;
	}
	if (!npt_tls_head(stream, chunk, packet)) {
		npt_tls_lost(conn, stream, sent);
		return 0;
	}
	if (stream->head_length == 5)
		npt_tls_record(conn, stream, sent);
	return 1;
}

/* Is the current message the first of a TLS connection, whose handshake is to be followed? */
static __always_inline bool npt_tls_begins(struct npt_conn *conn, bool sent)
{
	struct npt_tls_stream *stream = &conn->tls_streams[sent];

	if (conn->tls_id || conn->dialog.message.bytes[0] != NPT_TLS_HANDSHAKE)
		return false;
	conn->tls_id = bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 0xff);
	conn->flags |= NPT_CONN_HANDSHAKE;
	stream->flags = NPT_STREAM_STARTED;
	stream->seq = conn->dialog.seq;
	return true;
}

static __always_inline void npt_tls_follow(struct npt_conn *conn, const struct npt_chunk *chunk,
					   struct sk_buff *packet, bool sent)
{
	struct npt_tls_stream *stream = &conn->tls_streams[sent];

	if (!(conn->flags & NPT_CONN_HANDSHAKE))
		return;
	if (!(stream->flags & NPT_STREAM_STARTED)) {
		stream->flags = NPT_STREAM_STARTED;
		stream->seq = chunk->seq;
	}
	for (int i = 0; i < NPT_TLS_STEPS; i++) {
		if (!npt_tls_step(conn, chunk, packet, sent))
			break;
	}
	if (conn->tls_streams[0].flags & conn->tls_streams[1].flags & NPT_STREAM_OVER)
		conn->flags &= ~NPT_CONN_HANDSHAKE;
}

/*
 * The connection closes, and its handshake may not have come to its end. What a reset found unread
 * can still be read, and is told then: it may be the alert that says why.
 */
static __always_inline void npt_tls_closed(struct npt_conn *conn, const struct tcp_sock *tp)
{
	if (!(conn->flags & NPT_CONN_HANDSHAKE))
		return;
	if (!tp || tp->rcv_nxt == tp->copied_seq)
		conn->flags &= ~NPT_CONN_HANDSHAKE;
	npt_tls_tell(conn, &conn->tls_streams[0], NPT_TLS_CLOSED, false);
}
