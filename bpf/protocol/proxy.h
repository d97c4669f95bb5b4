/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Proxy - the PROXY header that a load balancer puts in front of a client's first bytes (HAProxy's
 * proxy-protocol.txt, sections 2.1 and 2.2). It says nothing of what follows, and is skipped.
 *
 * A line of version 1 has up to 107 bytes, more than are seen at once: what is seen of it is
 * skipped, and NPT_SETTLED_PROXY says that its end is still to come.
 */
#include "bpf/protocol/settled.h"

#define NPT_PROXY_BINARY_MAX 4096 /* of version 2's addresses and TLVs; senders stay far below */

enum npt_protocol_prefix {
	NPT_PREFIX_NONE = 0,
	NPT_PREFIX_PART = 1, /* it begins like one: more has to be seen */
	NPT_PREFIX_SKIP = 2,
};

NPT_PROTOCOL_INLINE int npt_proxy_line(struct npt_bpf_classified *now,
				       const struct npt_bpf_message *message)
{
	__u32 end = (__u32)npt_protocol_span(message, 0, NPT_PRINTABLE);

	if (npt_be16(message, end) == NPT_PAIR('\r', '\n')) {
		now->settled &= (__u8)~NPT_SETTLED_PROXY;
		now->skip = (__u16)(end + 2);
		return NPT_PREFIX_SKIP;
	}
	/* A line that goes on, or whose LF is out of sight. */
	if (end + 1 < message->length || (end < message->length && npt_byte(message, end) != '\r'))
		return NPT_PREFIX_NONE;
	if (!npt_is_full(message))
		return NPT_PREFIX_PART;
	now->settled |= NPT_SETTLED_PROXY;
	now->skip = (__u16)end;
	return NPT_PREFIX_SKIP;
}

NPT_PROTOCOL_INLINE int npt_proxy_binary(struct npt_bpf_classified *now,
					 const struct npt_bpf_message *message)
{
	__u32 length = npt_be16(message, 14);

	if (message->length < 16)
		return NPT_PREFIX_PART;
	if (npt_be32(message, 8) != 0x5549540aU || (message->bytes[12] & 0xfe) != 0x20 ||
	    length > NPT_PROXY_BINARY_MAX)
		return NPT_PREFIX_NONE;
	now->skip = (__u16)(16 + length);
	return NPT_PREFIX_SKIP;
}

NPT_PROTOCOL_FUNCTION int npt_protocol_proxy(struct npt_bpf_classified *now,
					     const struct npt_bpf_message *message)
{
	__u32 word;

	if (!now || !message)
		return NPT_PREFIX_NONE;
	if (!npt_is_first(message) || !npt_by_client(message) ||
	    (message->flags & NPT_MESSAGE_DATAGRAM))
		return NPT_PREFIX_NONE;
	word = npt_first_word(message);
	if (now->settled & NPT_SETTLED_PROXY) {
		int prefix = npt_proxy_line(now, message);

		if (prefix == NPT_PREFIX_NONE)
			now->settled &= (__u8)~NPT_SETTLED_PROXY;
		return prefix;
	}
	if (word == NPT_WORD('P', 'R', 'O', 'X') && message->length >= 8) {
		__u32 family = npt_be16(message, 6);

		if (npt_be16(message, 4) == NPT_PAIR('Y', ' ') &&
		    (family == NPT_PAIR('T', 'C') || family == NPT_PAIR('U', 'N')))
			return npt_proxy_line(now, message);
	}
	if (word == 0x0d0a0d0aU && npt_be32(message, 4) == 0x000d0a51U)
		return npt_proxy_binary(now, message);
	return NPT_PREFIX_NONE;
}
