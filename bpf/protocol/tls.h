/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * TLS (RFC 8446 sections 4.1.2, 4.1.3, 5.1; RFC 5246 sections 6.2 and 7.4.1).
 *
 * A handshake record that holds a ClientHello or a ServerHello whose lengths and versions agree
 * tells by itself, at the begin of a connection or where another protocol has asked for TLS. In the
 * middle two records in a row tell, or one from each side. What is inside is nobody's guess here.
 */
#include "bpf/protocol/bytes.h"

#define NPT_TLS_RECORD_MAX (16384 + 256)

enum npt_tls_record {
	NPT_TLS_CHANGE_CIPHER_SPEC = 20,
	NPT_TLS_ALERT = 21,
	NPT_TLS_HANDSHAKE = 22,
	NPT_TLS_DATA = 23,
};

NPT_PROTOCOL_FUNCTION int npt_protocol_tls_hello(const struct npt_bpf_message *message)
{
	const __u8 *bytes;
	__u32 record, hello;

	if (!message)
		return 0;
	bytes = message->bytes;
	if (message->length < 11 || bytes[0] != NPT_TLS_HANDSHAKE || bytes[1] != 3 ||
	    bytes[2] > 4 || bytes[9] != 3 || bytes[10] > 4)
		return 0;
	record = npt_be16(message, 3);
	hello = npt_be24(message, 6) + 4;
	if (record > NPT_TLS_RECORD_MAX || record < 42)
		return 0;
	if (message->length > 43 && bytes[43] > 32) /* the session's identifier */
		return 0;
	if (bytes[5] == 1) /* alone in its record, or in several if it is long */
		return message->from != NPT_FROM_SERVER &&
		       (hello == record || (hello > record && record >= 512 && hello < 65536));
	return bytes[5] == 2 && message->from != NPT_FROM_CLIENT && hello >= 42 &&
	       hello <= record && bytes[9] == 3;
}

/* A record's head as it is once a connection is encrypted, or an alert in plain. */
NPT_PROTOCOL_INLINE int npt_tls_is_record(const struct npt_bpf_message *message, __u32 at)
{
	__u32 type = npt_byte(message, at), length = npt_be16(message, at + 3);
	__u32 version = npt_be16(message, at + 1);

	if (at + 5 > message->length || version < 0x0301 || version > 0x0303 || !length ||
	    length > NPT_TLS_RECORD_MAX)
		return 0;
	if (type == NPT_TLS_CHANGE_CIPHER_SPEC)
		return length == 1;
	if (type == NPT_TLS_ALERT)
		return length == 2 || (length >= 18 && length < 64);
	return type == NPT_TLS_HANDSHAKE || (type == NPT_TLS_DATA && length >= 17);
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_tls(const struct npt_bpf_message *message)
{
	if (!message || message->bytes[1] != 3)
		return 0;
	if (npt_is_first(message) && npt_protocol_tls_hello(message))
		return NPT_IS_SURELY(NPT_PROTOCOL_TLS);
	if (!npt_tls_is_record(message, 0))
		return 0;
	if (!npt_is_first(message) && npt_tls_is_record(message, 5 + npt_be16(message, 3)))
		return NPT_IS_SURELY(NPT_PROTOCOL_TLS);
	/* A plain alert may be the first that a server says; a client says hello. */
	if (npt_is_first(message) &&
	    (message->from == NPT_FROM_CLIENT || message->bytes[0] != NPT_TLS_ALERT))
		return 0;
	return NPT_LOOKS_LIKE(NPT_PROTOCOL_TLS);
}
