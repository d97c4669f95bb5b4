/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * DNS (RFC 1035 sections 4.1 and 4.2.2, EDNS: RFC 6891, classes of mDNS: RFC 6762 section 5.4) and
 * QUIC (RFC 9000 sections 17.2 and 14.1, version 2: RFC 9369, the invariants: RFC 8999).
 *
 * A DNS message tells by its counters and a question that can be walked; over TCP its length stands
 * in front. NetBIOS names look the same but for their type and form. QUIC tells by its long
 * headers, with which each connection begins; nothing can be said of the short ones.
 */
#include "bpf/protocol/bytes.h"

#define NPT_DNS_LABELS 30 /* as many as can be seen */

/* The position behind a name, NPT_MESSAGE_BYTES if it goes on beyond what is seen, 0 if it is none.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_dns_name(const struct npt_bpf_message *message, __u32 at)
{
	__u32 i;

	if (!message)
		return 0;
	for (i = 0; i < NPT_DNS_LABELS; i++) {
		__u32 length = npt_byte(message, at);

		if (at >= message->length)
			return npt_is_full(message) ? NPT_MESSAGE_BYTES : 0;
		at++;
		if (!length)
			return (int)at;
		if (length > 63 || (at < message->length && npt_byte(message, at) <= ' '))
			return 0;
		at += length;
	}
	return 0;
}

NPT_PROTOCOL_FUNCTION int npt_protocol_dns_at(const struct npt_bpf_message *message, __u32 at)
{
	__u32 flags, end, type, class;

	if (!message || at + 17 > message->length)
		return 0;
	flags = npt_be16(message, at + 2);
	if (npt_be16(message, at + 4) != 1 || (flags & 0x7840)) /* one question; a query, Z is 0 */
		return 0;
	if (flags & 0x8000) {
		if (message->from == NPT_FROM_CLIENT || (flags & 0xf) > 10 ||
		    (npt_byte(message, at + 6) | npt_byte(message, at + 8) |
		     npt_byte(message, at + 10)))
			return 0;
	} else if (message->from == NPT_FROM_SERVER || (flags & 0x8f) ||
		   npt_be16(message, at + 6) || npt_be16(message, at + 8) ||
		   npt_be16(message, at + 10) > 2) {
		return 0;
	}
	end = (__u32)npt_protocol_dns_name(message, at + 12);
	if (!end)
		return 0;
	if (end + 4 > NPT_MESSAGE_BYTES)
		return 1;
	type = npt_be16(message, end);
	class = npt_be16(message, end + 2) & 0x7fff;
	if (end + 4 > message->length || !type || type > 257 ||
	    (class != 1 && class != 3 && class != 255))
		return 0;
	return type != 32 && (type != 33 || npt_byte(message, at + 12) != 32); /* NetBIOS */
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_dns(const struct npt_bpf_message *message)
{
	__u32 length;

	if (!message)
		return 0;
	if (message->flags & NPT_MESSAGE_DATAGRAM)
		return npt_protocol_dns_at(message, 0) ? NPT_IS_SURELY(NPT_PROTOCOL_DNS) : 0;
	length = npt_be16(message, 0);
	if (length < 17 || message->length < 19)
		return 0;
	return npt_protocol_dns_at(message, 2) ? NPT_IS_SURELY(NPT_PROTOCOL_DNS) : 0;
}

/* Form and fixed bit, version, two connection identifiers of at most 20 bytes. */
NPT_PROTOCOL_FUNCTION __u64 npt_protocol_quic(const struct npt_bpf_message *message)
{
	__u32 version, to, from, type;

	if (!message || message->length < 7 || !(message->bytes[0] & 0x80))
		return 0;
	version = npt_be32(message, 1);
	to = message->bytes[5];
	if (to > 20)
		return 0;
	from = npt_byte(message, 6 + to);
	if (from > 20 || 7 + to + from > message->length)
		return 0;
	if (!version) { /* the server knows other versions: a list of them */
		if (message->from != NPT_FROM_SERVER || (message->size - 7 - to - from) % 4)
			return 0;
		version = npt_be32(message, 7 + to + from);
		return version == 1 || version == 0x6b3343cf ? NPT_LOOKS_LIKE(NPT_PROTOCOL_QUIC)
							     : 0;
	}
	if (!(message->bytes[0] & 0x40) || (version != 1 && version != 0x6b3343cf))
		return 0;
	type = message->bytes[0] >> 4 & 3;
	if (message->from == NPT_FROM_CLIENT && npt_is_first(message) &&
	    (type != (version == 1 ? 0 : 1) || message->size < 1200 || to < 8))
		return 0;
	return message->size >= 20 && to + from >= 4 ? NPT_IS_SURELY(NPT_PROTOCOL_QUIC) : 0;
}
