/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * HTTP/1 (RFC 9112 sections 3 and 4, RFC 9110 section 9.1 for the methods) and what grows out of
 * it: WebSocket (RFC 6455 sections 4.2.2 and 5.2), HTTP/2 by upgrade (RFC 7540 section 3.2).
 *
 * A request line is one with a known method, a target of the form that goes with it, and HTTP/1.x
 * behind it, or a target as long as can be seen. RTSP, SIP and ICAP have other versions. A response
 * tells by itself. A connection is HTTP/1 for good when its first response is another than 101.
 */
#include "bpf/protocol/settled.h"

enum npt_protocol_upgrade {
	NPT_UPGRADE_NONE = 0,
	NPT_UPGRADE_WEBSOCKET = 1,
	NPT_UPGRADE_OTHER = 2,
};

/* Where the target of a request begins, 0 if no known method stands before it. */
NPT_PROTOCOL_INLINE __u32 npt_http1_target(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;
	__u32 next = NPT_WORD(bytes[4], bytes[5], bytes[6], bytes[7]);

	switch (npt_first_word(message)) {
	case NPT_WORD('G', 'E', 'T', ' '):
	case NPT_WORD('P', 'U', 'T', ' '):
		return 4;
	case NPT_WORD('P', 'O', 'S', 'T'):
	case NPT_WORD('H', 'E', 'A', 'D'):
		return bytes[4] == ' ' ? 5 : 0;
	case NPT_WORD('P', 'A', 'T', 'C'):
		return next >> 16 == NPT_PAIR('H', ' ') ? 6 : 0;
	case NPT_WORD('T', 'R', 'A', 'C'):
		return next >> 16 == NPT_PAIR('E', ' ') ? 6 : 0;
	case NPT_WORD('D', 'E', 'L', 'E'):
		return next >> 8 == NPT_WORD(0, 'T', 'E', ' ') ? 7 : 0;
	case NPT_WORD('O', 'P', 'T', 'I'):
		return next == NPT_WORD('O', 'N', 'S', ' ') ? 8 : 0;
	case NPT_WORD('C', 'O', 'N', 'N'):
		return next == NPT_WORD('E', 'C', 'T', ' ') ? 8 : 0;
	case NPT_WORD('P', 'R', 'O', 'P'):
		return next == NPT_WORD('F', 'I', 'N', 'D') && bytes[8] == ' ' ? 9 : 0;
	default:
		return 0;
	}
}

NPT_PROTOCOL_INLINE int npt_http1_is_digit(__u32 byte)
{
	return byte >= '0' && byte <= '9';
}

/* The status of a response, 0 if it is none. */
NPT_PROTOCOL_INLINE __u32 npt_http1_status(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;

	if (npt_first_word(message) != NPT_WORD('H', 'T', 'T', 'P') ||
	    NPT_WORD(0, bytes[4], bytes[5], bytes[6]) != NPT_WORD(0, '/', '1', '.') ||
	    (bytes[7] != '0' && bytes[7] != '1') || bytes[8] != ' ')
		return 0;
	if (bytes[9] < '1' || bytes[9] > '5' || !npt_http1_is_digit(bytes[10]) ||
	    !npt_http1_is_digit(bytes[11]))
		return 0;
	return (bytes[9] - '0') * 100U + (bytes[10] - '0') * 10U + (bytes[11] - '0');
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_http1(const struct npt_bpf_message *message)
{
	__u32 at, end, byte;

	if (!message)
		return 0;
	if (npt_by_server(message) && npt_http1_status(message))
		return NPT_IS_SURELY(NPT_PROTOCOL_HTTP1);
	at = npt_by_client(message) ? npt_http1_target(message) : 0;
	if (!at)
		return 0;
	byte = npt_byte(message, at);
	if (message->bytes[0] == 'C') { /* host:port */
		if (byte != '[' && !npt_http1_is_digit(byte) && !npt_is_letter(byte))
			return 0;
	} else if (byte != '/' && (byte != '*' || message->bytes[0] != 'O') &&
		   npt_small(npt_be32(message, at)) != NPT_WORD('h', 't', 't', 'p')) {
		return 0;
	}
	end = (__u32)npt_protocol_span(message, at, NPT_VISIBLE);
	if (end < NPT_MESSAGE_BYTES &&
	    (npt_byte(message, end) != ' ' ||
	     !npt_protocol_stands(message, end + 1, 0x485454502f312eULL /* HTTP/1. */, 7)))
		return 0;
	return NPT_IS_SURELY(NPT_PROTOCOL_HTTP1);
}

/* What the header field "Upgrade" asks for, if it is among the bytes. */
NPT_PROTOCOL_FUNCTION int npt_protocol_http1_upgrade(const struct npt_bpf_message *message)
{
	__u64 window = 0;
	__u32 i;

	if (!message)
		return NPT_UPGRADE_NONE;
	for (i = 0; i < NPT_MESSAGE_BYTES; i++) {
		window = window << 8 | message->bytes[i] | 0x20;
		if (window == 0x757067726164653aULL /* upgrade: */)
			break;
	}
	i += npt_byte(message, i + 1) == ' ' ? 2 : 1;
	if (i + 3 >= message->length)
		return NPT_UPGRADE_NONE;
	return npt_small(npt_be32(message, i)) == NPT_WORD('w', 'e', 'b', 's')
		       ? NPT_UPGRADE_WEBSOCKET
		       : NPT_UPGRADE_OTHER;
}

/*
 * A frame of a WebSocket that ends where the message does or is followed by bytes like its own: a
 * known opcode, masked if and only if the client sends it.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_websocket(const struct npt_bpf_message *message)
{
	__u32 opcode, length, head, whole;
	int masked;

	if (!message)
		return 0;
	opcode = message->bytes[0] & 0x0f;
	length = message->bytes[1] & 0x7f;
	masked = message->bytes[1] & 0x80;
	if (message->length < 2 || (message->bytes[0] & 0xb0) != 0x80 || opcode > 10 ||
	    opcode == 0 || (opcode > 2 && opcode < 8) ||
	    !!masked != (message->from == NPT_FROM_CLIENT))
		return 0;
	if (opcode >= 8 && (length > 125 || (message->bytes[0] & 0x40)))
		return 0;
	head = masked ? 6 : 2;
	if (length == 127)
		return 0;
	if (length == 126) {
		head += 2;
		length = npt_be16(message, 2);
		if (length < 126)
			return 0;
	}
	whole = head + length;
	return message->size == whole ||
	       (whole < message->length && npt_byte(message, whole) == message->bytes[0]);
}

/* After 101: frames from both sides say that it is a WebSocket. */
NPT_PROTOCOL_INLINE void npt_http1_upgraded(struct npt_bpf_classified *now,
					    const struct npt_bpf_message *message)
{
	if (npt_http1_status(message) || !npt_protocol_websocket(message))
		return;
	if ((now->settled & NPT_SETTLED_FRAME) && now->remembered != message->from) {
		now->protocol = NPT_PROTOCOL_WEBSOCKET;
		npt_settle(now, 95);
		return;
	}
	now->settled |= NPT_SETTLED_FRAME;
	now->remembered = message->from;
}

/* The next message of what is HTTP/1 so far. */
NPT_PROTOCOL_FUNCTION int npt_protocol_http1_next(struct npt_bpf_classified *now,
						  const struct npt_bpf_message *message)
{
	__u32 status, label_from;

	if (!now || !message)
		return 0;
	label_from = npt_label_from(now);
	if (message->from == NPT_FROM_CLIENT) {
		if (now->settled & NPT_SETTLED_GRANTED) {
			npt_http1_upgraded(now, message);
			return 0;
		}
		if (npt_protocol_http1_upgrade(message) == NPT_UPGRADE_WEBSOCKET)
			now->settled |= NPT_SETTLED_ASKED;
		if (label_from == NPT_FROM_SERVER && npt_protocol_http1(message))
			npt_settle(now, 99);
		return 0;
	}
	status = npt_http1_status(message);
	if (status == 101) {
		if ((now->settled & NPT_SETTLED_ASKED) ||
		    npt_protocol_http1_upgrade(message) == NPT_UPGRADE_WEBSOCKET) {
			now->protocol = NPT_PROTOCOL_WEBSOCKET;
			npt_settle(now, 99);
			return 0;
		}
		now->settled |= NPT_SETTLED_GRANTED;
	} else if (now->settled & NPT_SETTLED_GRANTED) {
		npt_http1_upgraded(now, message);
	} else if (status && label_from == NPT_FROM_CLIENT) {
		npt_settle(now, 99);
	} else if (message->from == NPT_FROM_UNKNOWN) {
		npt_settle(now, now->confidence);
	}
	return 0;
}
