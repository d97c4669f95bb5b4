/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * HTTP/2 (RFC 9113 sections 3.4, 4.1, 6; RFC 7541 sections 5, 6 and appendix A) and gRPC
 * ("gRPC over HTTP2": content-type application/grpc; a message is a flag, its length, its bytes).
 *
 * The client's preface and the server's first SETTINGS tell by themselves. Whether it is gRPC is
 * said by the content-type of the first HEADERS of either side, which is seldom within the first 64
 * bytes: so frames, and within HEADERS fields, are walked, and what was understood is skipped. The
 * tables of HPACK are not kept: in a connection's first HEADERS content-type stands as a literal.
 *
 * In the middle of a connection messages begin with frames, too; two that follow each other, or
 * one of those that are nearly constant, tell. HEADERS may refer to what was not seen there; DATA
 * that holds a gRPC message of exactly its length still says gRPC.
 */
#include "bpf/protocol/settled.h"

#define NPT_HTTP2_HEAD     9
#define NPT_HTTP2_PREFACE  24
#define NPT_HTTP2_STEPS    12
#define NPT_HTTP2_SKIP_MAX 0xffff

enum npt_http2_frame {
	NPT_HTTP2_DATA = 0,
	NPT_HTTP2_HEADERS = 1,
	NPT_HTTP2_PRIORITY = 2,
	NPT_HTTP2_RST_STREAM = 3,
	NPT_HTTP2_SETTINGS = 4,
	NPT_HTTP2_PING = 6,
	NPT_HTTP2_GOAWAY = 7,
	NPT_HTTP2_WINDOW_UPDATE = 8,
};

enum npt_http2_step {
	NPT_HTTP2_STEP_WAIT = 0,   /* for more bytes */
	NPT_HTTP2_STEP_ON = 1,     /* one thing was understood */
	NPT_HTTP2_STEP_LOST = 2,   /* this is no begin of a frame */
	NPT_HTTP2_STEP_FIELDS = 3, /* a block of fields is over, without content-type */
	NPT_HTTP2_STEP_OTHER = 4,  /* a content-type that is not gRPC's */
	NPT_HTTP2_STEP_GRPC = 5,
};

/* Where one is within the bytes, and how much is left of a block of fields. */
struct npt_http2_walk {
	__u32 at;
	__u32 left;
};

NPT_PROTOCOL_INLINE __u64 npt_be64(const struct npt_bpf_message *message, __u32 at)
{
	return (__u64)npt_be32(message, at) << 32 | npt_be32(message, at + 4);
}

/* PRI * HTTP/2.0, and the rest as far as it is known. */
NPT_PROTOCOL_FUNCTION int npt_protocol_http2_preface(const struct npt_bpf_message *message)
{
	if (!message || npt_first_word(message) != NPT_WORD('P', 'R', 'I', ' ') ||
	    npt_be64(message, 4) != 0x2a20485454502f32ULL /* * HTTP/2 */ ||
	    npt_be32(message, 12) != 0x2e300d0aU)
		return 0;
	if (message->length >= NPT_HTTP2_PREFACE)
		return npt_be64(message, 16) == 0x0d0a534d0d0a0d0aULL;
	return 1;
}

/* Whether a frame's head can be one that we may trust without having seen the connection's begin.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_http2_head(const struct npt_bpf_message *message, __u32 at)
{
	__u32 length, type, flags, stream;

	if (!message || at + NPT_HTTP2_HEAD > message->length)
		return 0;
	length = npt_be24(message, at);
	type = npt_byte(message, at + 3);
	flags = npt_byte(message, at + 4);
	stream = npt_be32(message, at + 5);
	/* gRPC's libraries allow DATA of 4 MiB; a block of fields or settings stays below the
	 * default. */
	if (stream && !(stream & 1)) /* nobody pushes any more */
		return 0;
	if (length > (type == NPT_HTTP2_DATA ? 4194304U : 16384U) || stream > 0x00ffffff)
		return 0;
	switch (type) {
	case NPT_HTTP2_DATA: /* an empty one ends its stream */
		return stream && !(flags & ~0x09U) && (length || (flags & 0x01));
	case NPT_HTTP2_HEADERS:
		return stream && length && !(flags & ~0x2dU) && (flags & 0x04);
	case NPT_HTTP2_PRIORITY:
		return stream && length == 5 && !flags;
	case NPT_HTTP2_RST_STREAM:
		return stream && length == 4 && !flags;
	case NPT_HTTP2_SETTINGS:
		return !stream &&
		       (flags == 1 ? !length : !flags && length % 6 == 0 && length < 128);
	case NPT_HTTP2_PING:
		return !stream && length == 8 && flags < 2;
	case NPT_HTTP2_GOAWAY:
		return !stream && length >= 8 && !flags;
	case NPT_HTTP2_WINDOW_UPDATE:
		return length == 4 && !flags;
	default:
		return 0;
	}
}

/* One head alone that is constant but for its stream. */
NPT_PROTOCOL_INLINE int npt_http2_is_constant(const struct npt_bpf_message *message)
{
	__u32 type = message->bytes[3];

	return type == NPT_HTTP2_PING || type == NPT_HTTP2_WINDOW_UPDATE ||
	       (type == NPT_HTTP2_SETTINGS && message->bytes[4] == 1);
}

NPT_PROTOCOL_INLINE int npt_http2_is_settings(const struct npt_bpf_message *message, __u32 at)
{
	return npt_byte(message, at + 3) == NPT_HTTP2_SETTINGS && !npt_byte(message, at + 4);
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_http2(const struct npt_bpf_message *message)
{
	__u32 length, whole;

	if (!message)
		return 0;
	if (npt_by_client(message) && npt_protocol_http2_preface(message))
		return NPT_IS_SURELY(NPT_PROTOCOL_HTTP2);
	if (!npt_protocol_http2_head(message, 0))
		return 0;
	length = npt_be24(message, 0);
	whole = NPT_HTTP2_HEAD + length;
	if (npt_is_first(message)) { /* the server's SETTINGS; a client's are behind its preface */
		__u32 setting = npt_be16(message, NPT_HTTP2_HEAD);

		if (message->from == NPT_FROM_CLIENT || message->bytes[3] != NPT_HTTP2_SETTINGS ||
		    message->bytes[4])
			return 0;
		if (!length) /* but for one byte nine zeros */
			return NPT_LOOKS_LIKE(NPT_PROTOCOL_HTTP2);
		return message->length >= 11 && setting && setting < 16
			       ? NPT_IS_SURELY(NPT_PROTOCOL_HTTP2)
			       : 0;
	}
	/* Settings only come at the begin; what answers them may come now. Zeros look like DATA. */
	if (npt_http2_is_settings(message, 0))
		return 0;
	if (npt_protocol_http2_head(message, whole) && !npt_http2_is_settings(message, whole) &&
	    (message->bytes[3] != NPT_HTTP2_DATA || npt_byte(message, whole + 3) != NPT_HTTP2_DATA))
		return NPT_IS_SURELY(NPT_PROTOCOL_HTTP2);
	if (npt_http2_is_constant(message) && message->size == whole)
		return NPT_IS_SURELY(NPT_PROTOCOL_HTTP2);
	return message->bytes[3] == NPT_HTTP2_HEADERS ? NPT_LOOKS_LIKE(NPT_PROTOCOL_HTTP2) : 0;
}

/*
 * DATA whose payload is one gRPC message, or its begin: flag and length agree with the frame's. An
 * empty message is five zeros, and is believed at the end of a stream.
 */
NPT_PROTOCOL_INLINE int npt_http2_is_message(const struct npt_bpf_message *message, __u32 at,
					     __u32 length, __u32 flags)
{
	return (length > 5 || (flags & 0x01)) && at + 5 <= message->length &&
	       npt_byte(message, at) <= 1 && npt_be32(message, at + 1) + 5 == length;
}

/* One frame's head. Of HEADERS the block of fields begins; the others are passed. */
NPT_PROTOCOL_INLINE int npt_http2_frame(struct npt_http2_walk *walk,
					const struct npt_bpf_message *message)
{
	__u32 at = walk->at, length, type, flags, before = 0, padding = 0;

	if (at + NPT_HTTP2_HEAD > message->length)
		return NPT_HTTP2_STEP_WAIT;
	length = npt_be24(message, at);
	type = npt_byte(message, at + 3);
	flags = npt_byte(message, at + 4);
	if (!npt_protocol_http2_head(message, at))
		return NPT_HTTP2_STEP_LOST;
	at += NPT_HTTP2_HEAD;
	if (type == NPT_HTTP2_DATA && length >= 5) {
		if (at + 5 > message->length)
			return NPT_HTTP2_STEP_WAIT;
		if (npt_http2_is_message(message, at, length, flags))
			return NPT_HTTP2_STEP_GRPC;
	}
	if (type != NPT_HTTP2_HEADERS) {
		walk->at = at + length;
		return NPT_HTTP2_STEP_ON;
	}
	if (flags & 0x08) { /* PADDED */
		if (at >= message->length)
			return NPT_HTTP2_STEP_WAIT;
		padding = npt_byte(message, at);
		before = 1;
	}
	if (flags & 0x20) /* PRIORITY */
		before += 5;
	if (length <= before + padding)
		return NPT_HTTP2_STEP_LOST;
	walk->at = at + before;
	walk->left = length - before - padding;
	return NPT_HTTP2_STEP_ON;
}

/*
 * application/grpc, alone or with +proto or ;charset behind it, as a string of so many bytes: in
 * plain letters, or in Huffman's code, where '+' and ';' begin with five ones and '-' does not.
 */
NPT_PROTOCOL_INLINE int npt_http2_is_grpc(const struct npt_bpf_message *message, __u32 at,
					  __u32 head, __u32 length)
{
	__u32 next;

	if (head & 0x80) {
		if (length < 11 || npt_be64(message, at) != 0x1d75d0620d263d4cULL ||
		    npt_be24(message, at + 8) != 0x4d6564)
			return 0;
		return length == 11 || npt_byte(message, at + 11) >= 0xf8;
	}
	if (length < 16 || npt_be64(message, at) != 0x6170706c69636174ULL /* applicat */ ||
	    npt_be64(message, at + 8) != 0x696f6e2f67727063ULL /* ion/grpc */)
		return 0;
	next = npt_byte(message, at + 16);
	return length == 16 || next == '+' || next == ';';
}

/* content-type, written out */
NPT_PROTOCOL_INLINE int npt_http2_is_type(const struct npt_bpf_message *message, __u32 at,
					  __u32 head)
{
	if (head == 0x89)
		return npt_be64(message, at) == 0x21ea496a4ac9f559ULL &&
		       npt_byte(message, at + 8) == 0x7f;
	return head == 12 && npt_be64(message, at) == 0x636f6e74656e742dULL /* content- */ &&
	       npt_be32(message, at + 8) == NPT_WORD('t', 'y', 'p', 'e');
}

/* The value of a literal field begins at at: passes it, and looks into it if it is the type. */
NPT_PROTOCOL_INLINE int npt_http2_value(struct npt_http2_walk *walk,
					const struct npt_bpf_message *message, __u32 at,
					int is_type)
{
	__u32 head, length, passed;

	if (at >= message->length)
		return NPT_HTTP2_STEP_WAIT;
	head = npt_byte(message, at);
	length = head & 0x7f;
	at++;
	if (length == 0x7f) { /* one more byte is enough for 254, then another */
		if (at + 1 >= message->length)
			return NPT_HTTP2_STEP_WAIT;
		length += npt_byte(message, at) & 0x7f;
		if (npt_byte(message, at) & 0x80) {
			at++;
			length += (npt_byte(message, at) & 0x7f) << 7;
			if (npt_byte(message, at) & 0x80)
				return NPT_HTTP2_STEP_LOST;
		}
		at++;
	}
	if (is_type) {
		if (at + (length < 17 ? length : 17) > message->length)
			return NPT_HTTP2_STEP_WAIT;
		return npt_http2_is_grpc(message, at, head, length) ? NPT_HTTP2_STEP_GRPC
								    : NPT_HTTP2_STEP_OTHER;
	}
	passed = at + length - walk->at;
	if (passed > walk->left)
		return NPT_HTTP2_STEP_LOST;
	walk->left -= passed;
	walk->at = at + length;
	return walk->left ? NPT_HTTP2_STEP_ON : NPT_HTTP2_STEP_FIELDS;
}

/* One field of a block. */
NPT_PROTOCOL_INLINE int npt_http2_field(struct npt_http2_walk *walk,
					const struct npt_bpf_message *message)
{
	__u32 at = walk->at, byte = npt_byte(message, at), index, name;
	int is_type;

	if (at >= message->length)
		return NPT_HTTP2_STEP_WAIT;
	if ((byte & 0x80) || (byte & 0xe0) == 0x20) { /* indexed; the table's size */
		if (byte == 0xff || byte == 0x3f) {
			__u32 more = npt_byte(message, at + 1) & 0x80 ? 3 : 2;

			if (at + 2 > message->length)
				return NPT_HTTP2_STEP_WAIT;
			walk->at = at + more;
			walk->left -= walk->left < more ? walk->left : more;
		} else {
			walk->at = at + 1;
			walk->left--;
		}
		return walk->left ? NPT_HTTP2_STEP_ON : NPT_HTTP2_STEP_FIELDS;
	}
	index = byte & 0x40 ? byte & 0x3f : byte & 0x0f;
	is_type = (byte & 0x40 ? index : npt_byte(message, at + 1) + 15) == 31;
	at++;
	if (index == (byte & 0x40 ? 0x3fU : 0x0fU)) {
		if (at >= message->length)
			return NPT_HTTP2_STEP_WAIT;
		at += npt_byte(message, at) & 0x80 ? 2 : 1;
	} else if (!(byte & 0x40)) {
		is_type = 0;
	}
	if (index == 0) {
		if (at >= message->length)
			return NPT_HTTP2_STEP_WAIT;
		name = npt_byte(message, at);
		if ((name & 0x7f) == 0x7f)
			return NPT_HTTP2_STEP_LOST;
		at++;
		is_type = npt_http2_is_type(message, at, name);
		at += name & 0x7f;
	}
	return npt_http2_value(walk, message, at, is_type);
}

NPT_PROTOCOL_FUNCTION int npt_protocol_http2_step(struct npt_http2_walk *walk,
						  const struct npt_bpf_message *message)
{
	if (!walk || !message)
		return NPT_HTTP2_STEP_LOST;
	return walk->left ? npt_http2_field(walk, message) : npt_http2_frame(walk, message);
}

/* What the walk has come to; no further than the end of the message's bytes. */
NPT_PROTOCOL_INLINE void npt_http2_conclude(struct npt_bpf_classified *now,
					    const struct npt_bpf_message *message,
					    const struct npt_http2_walk *walk, int step)
{
	if (step == NPT_HTTP2_STEP_GRPC) {
		now->protocol = NPT_PROTOCOL_GRPC;
		npt_settle(now, 99);
	} else if (step == NPT_HTTP2_STEP_OTHER ||
		   (step == NPT_HTTP2_STEP_FIELDS && (now->settled & NPT_SETTLED_BEGIN))) {
		npt_settle(now, 99);
	} else if (step != NPT_HTTP2_STEP_LOST && walk->at && walk->at <= NPT_HTTP2_SKIP_MAX &&
		   (step != NPT_HTTP2_STEP_WAIT || walk->at > message->length ||
		    npt_is_full(message))) {
		now->skip = (__u16)walk->at;
		now->remembered = walk->left;
		now->settled =
			(__u8)((now->settled & (__u8)~NPT_SETTLED_HINT_FROM) | (message->from & 3));
	}
}

/*
 * The next message of what is HTTP/2. Once there is a label nobody needs who gave the hints; it is
 * kept there who sends what was skipped, and in remembered how much of a block of fields is left.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_http2_next(struct npt_bpf_classified *now,
						  const struct npt_bpf_message *message)
{
	struct npt_http2_walk walk = { 0, 0 };
	int step = NPT_HTTP2_STEP_WAIT;

	if (!now || !message)
		return 0;
	if (!(message->flags & NPT_MESSAGE_MORE)) {
		if (!message->from || npt_hint_from(now) != message->from)
			now->remembered = 0;
		now->settled &= (__u8)~NPT_SETTLED_HINT_FROM;
	}
	if (npt_is_first(message))
		now->settled |= NPT_SETTLED_BEGIN;
	walk.left = now->remembered;
	if (!walk.left && npt_protocol_http2_preface(message)) {
		if (message->length < NPT_HTTP2_PREFACE)
			return 0;
		walk.at = NPT_HTTP2_PREFACE;
	}
	for (int i = 0; i < NPT_HTTP2_STEPS; i++) {
		step = npt_protocol_http2_step(&walk, message);
		if (step == NPT_HTTP2_STEP_FIELDS && !(now->settled & NPT_SETTLED_BEGIN))
			step = NPT_HTTP2_STEP_ON; /* they may refer to what was not seen */
		if (step != NPT_HTTP2_STEP_ON)
			break;
	}
	npt_http2_conclude(now, message, &walk, step);
	return 0;
}
