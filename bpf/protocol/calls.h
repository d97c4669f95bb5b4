/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Calls - binary protocols of requests and responses: FastCGI (its specification 1.0, sections 3.3
 * and 5.1), Memcached's binary protocol (memcached's doc/protocol-binary.txt), Thrift (its
 * specifications of the binary and the compact protocol, framed or not), Dubbo 2 (its protocol's
 * specification), ZooKeeper (zookeeper.jute: ConnectRequest, RequestHeader, ReplyHeader).
 */
#include "bpf/protocol/bytes.h"

/* Version, type, request, length, padding. A request begins with a role, a response may be
 * anything. */
NPT_PROTOCOL_FUNCTION __u64 npt_protocol_fastcgi(const struct npt_bpf_message *message)
{
	const __u8 *bytes;

	if (!message || message->bytes[0] != 1 || message->length < 8)
		return 0;
	bytes = message->bytes;
	if (bytes[1] == 1) /* BEGIN_REQUEST: role, flags, five reserved bytes */
		return npt_by_client(message) && message->length >= 16 && npt_be16(message, 2) &&
				       npt_be16(message, 4) == 8 && npt_be16(message, 8) - 1 < 3 &&
				       bytes[10] <= 1 && !npt_be32(message, 11) && !bytes[15]
			       ? NPT_IS_SURELY(NPT_PROTOCOL_FASTCGI)
			       : 0;
	if (message->from != NPT_FROM_SERVER || bytes[7] || !npt_be16(message, 2) || bytes[2] > 1)
		return 0;
	if (bytes[1] == 3) /* END_REQUEST */
		return npt_be16(message, 4) == 8 ? NPT_LOOKS_LIKE(NPT_PROTOCOL_FASTCGI) : 0;
	if (bytes[1] == 6) /* STDOUT: header lines */
		return npt_be16(message, 4) && npt_protocol_span(message, 8, NPT_NAME) > 8
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_FASTCGI)
			       : 0;
	return bytes[1] == 7 ? NPT_LOOKS_LIKE(NPT_PROTOCOL_FASTCGI) : 0;
}

/* How many bytes of extras an operation's request has in front of its key; none is 255. */
NPT_PROTOCOL_INLINE __u32 npt_memcached_extras(__u32 operation)
{
	switch (operation) {
	case 0x00: /* get, and its forms that are quiet or repeat the key */
	case 0x09:
	case 0x0c:
	case 0x0d:
	case 0x04: /* delete */
	case 0x14:
	case 0x0e: /* append, prepend */
	case 0x0f:
	case 0x19:
	case 0x1a:
	case 0x21: /* SASL */
	case 0x22:
		return 0;
	case 0x1c: /* touch, and get with it */
	case 0x1d:
	case 0x1e:
		return 4;
	case 0x01: /* set, add, replace */
	case 0x02:
	case 0x03:
	case 0x11:
	case 0x12:
	case 0x13:
		return 8;
	case 0x05: /* increment, decrement */
	case 0x06:
	case 0x15:
	case 0x16:
		return 20;
	default:
		return 255;
	}
}

/* Magic, operation, lengths of key, extras and body; 0, then a partition or the status. */
NPT_PROTOCOL_FUNCTION __u64 npt_protocol_memcached_binary(const struct npt_bpf_message *message)
{
	const __u8 *bytes;
	__u32 operation, key, extras, status, body, expected;

	if (!message || (message->bytes[0] & 0xfe) != 0x80 || message->length < 16)
		return 0;
	bytes = message->bytes;
	operation = bytes[1];
	key = npt_be16(message, 2);
	extras = bytes[4];
	status = npt_be16(message, 6);
	body = npt_be32(message, 8);
	expected = npt_memcached_extras(operation);
	if (bytes[5] || expected == 255 || body > 0x01000000)
		return 0;
	if (bytes[0] == 0x80) {
		if (!npt_by_client(message) || status || extras != expected || !key || key > 250 ||
		    body < key + extras || npt_byte(message, 24 + extras) < '!')
			return 0;
		/* Nothing is behind the key of what only reads or deletes. */
		if ((operation <= 0x0d || operation == 0x14) && !extras && body != key)
			return 0;
		return NPT_IS_SURELY(NPT_PROTOCOL_MEMCACHED);
	}
	if (!npt_by_server(message))
		return 0;
	if (status) /* an error: its text */
		return (status <= 9 || status == 0x20 || (status >= 0x81 && status <= 0x86)) &&
				       !key && !extras && body > 1 && body < 256 &&
				       bytes[24] >= 'A' && bytes[25] >= 'A'
			       ? NPT_IS_SURELY(NPT_PROTOCOL_MEMCACHED)
			       : 0;
	if (operation == 0x00 || operation == 0x09 || operation == 0x0c || operation == 0x0d)
		return extras == 4 && key <= 250 && body >= key + 4
			       ? NPT_IS_SURELY(NPT_PROTOCOL_MEMCACHED)
			       : 0;
	return !key && !extras && body == (expected == 20 ? 8U : 0U)
		       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_MEMCACHED)
		       : 0;
}

/* A function's name as Thrift has it: its length, then an identifier. */
NPT_PROTOCOL_INLINE int npt_thrift_is_name(const struct npt_bpf_message *message, __u32 at,
					   __u32 length)
{
	__u32 end;

	if (length < 3 || length > 128 ||
	    (!npt_is_letter(npt_byte(message, at)) && npt_byte(message, at) != '_'))
		return 0;
	end = (__u32)npt_protocol_span(message, at, NPT_NAME);
	return end == NPT_MESSAGE_BYTES || end >= at + length;
}

/* Call, reply, exception, one-way: which side sends it. */
NPT_PROTOCOL_INLINE int npt_thrift_is_type(const struct npt_bpf_message *message, __u32 type)
{
	if (type == 1 || type == 4)
		return npt_by_client(message);
	return (type == 2 || type == 3) && npt_by_server(message);
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_thrift(const struct npt_bpf_message *message)
{
	__u32 at = 0, head, varint, name;

	if (!message || message->length < 12)
		return 0;
	head = message->bytes[0];
	if (head < 1) { /* framed: its length */
		if (npt_be32(message, 0) + 4 < 12)
			return 0;
		at = 4;
		head = npt_byte(message, at);
	}
	if (head == 0x80) {
		head = npt_be32(message, at);
		if (head >> 8 != 0x800100 || !npt_thrift_is_type(message, head & 0xff) ||
		    !npt_thrift_is_name(message, at + 8, npt_be32(message, at + 4)))
			return 0;
		return NPT_IS_SURELY(NPT_PROTOCOL_THRIFT);
	}
	if (head != 0x82)
		return 0;
	head = npt_byte(message, at + 1);
	if ((head & 0x1f) != 1 || !npt_thrift_is_type(message, head >> 5))
		return 0;
	varint = (__u32)npt_protocol_varint(message, at + 2);
	if (!varint)
		return 0;
	at += 2 + (varint & 7);
	name = npt_byte(message, at);
	if (name > 0x7f || !npt_thrift_is_name(message, at + 1, name))
		return 0;
	return message->bytes[0] == 0 && name > 3 ? NPT_IS_SURELY(NPT_PROTOCOL_THRIFT)
						  : NPT_LOOKS_LIKE(NPT_PROTOCOL_THRIFT);
}

/* Magic; request, two-way, event, serialization; status; number; length. */
NPT_PROTOCOL_FUNCTION __u64 npt_protocol_dubbo(const struct npt_bpf_message *message)
{
	const __u8 *bytes;
	__u32 high;

	if (!message || message->length < 16 || npt_be16(message, 0) != 0xdabb)
		return 0;
	bytes = message->bytes;
	high = npt_be32(message, 4);
	if ((high && high != 0xffffffff) || npt_be32(message, 12) > 0x01000000 ||
	    !(bytes[2] & 0x1f))
		return 0;
	if (bytes[2] & 0x80)
		return !bytes[3] ? NPT_IS_SURELY(NPT_PROTOCOL_DUBBO) : 0;
	return bytes[3] >= 20 && bytes[3] <= 100 && !(bytes[2] & 0x40)
		       ? NPT_IS_SURELY(NPT_PROTOCOL_DUBBO)
		       : 0;
}

NPT_PROTOCOL_INLINE int npt_zookeeper_is_request(const struct npt_bpf_message *message)
{
	__u32 length = npt_be32(message, 0), xid = npt_be32(message, 4),
	      path = npt_be32(message, 12);

	/* A ping, whose number is fixed */
	if (length == 8)
		return xid == 0xfffffffe && npt_be32(message, 8) == 11;
	if (length < 13 || length > 0x00ffffff || !xid || xid > 0x00ffffff ||
	    npt_be32(message, 8) - 1 > 106 || path < 1 || path > 1024 || path + 12 > length)
		return 0;
	return npt_byte(message, 16) == '/' &&
	       ((__u32)npt_protocol_span(message, 16, NPT_PRINTABLE) >= 16 + path ||
		npt_protocol_span(message, 16, NPT_PRINTABLE) == NPT_MESSAGE_BYTES);
}

NPT_PROTOCOL_INLINE __u64 npt_zookeeper_response(const struct npt_bpf_message *message)
{
	__u32 length = npt_be32(message, 0), xid = npt_be32(message, 4),
	      error = npt_be32(message, 16);

	if (message->length < 20 || length < 16 || length > 0x00ffffff)
		return 0;
	if (xid == 0xfffffffe && length == 16)
		return !error ? NPT_IS_SURELY(NPT_PROTOCOL_ZOOKEEPER) : 0;
	if (xid == 0xffffffff) /* a watch's event */
		return npt_be32(message, 8) == xid && npt_be32(message, 12) == xid && !error
			       ? NPT_IS_SURELY(NPT_PROTOCOL_ZOOKEEPER)
			       : 0;
	return xid && xid < 0x01000000 && npt_be32(message, 8) < 0x01000000 &&
			       (!error || error > 0xffffff00)
		       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_ZOOKEEPER)
		       : 0;
}

/* The first two messages: version 0, (last transaction,) timeout, session, a password of 16 bytes.
 */
NPT_PROTOCOL_FUNCTION __u64 npt_protocol_zookeeper(const struct npt_bpf_message *message)
{
	__u32 length, timeout;

	if (!message || message->bytes[0] || message->length < 12)
		return 0;
	length = npt_be32(message, 0);
	if (npt_is_first(message)) {
		int client = length == 44 || length == 45;

		if ((!client && length != 36 && length != 37) || npt_be32(message, 4) ||
		    !(client ? npt_by_client(message) : npt_by_server(message)))
			return 0;
		timeout = client ? npt_be32(message, 16) : npt_be32(message, 8);
		return timeout < 0x01000000 && npt_be32(message, client ? 28 : 20) == 16
			       ? NPT_IS_SURELY(NPT_PROTOCOL_ZOOKEEPER)
			       : 0;
	}
	if (npt_by_client(message) && npt_zookeeper_is_request(message))
		return NPT_IS_SURELY(NPT_PROTOCOL_ZOOKEEPER);
	return npt_by_server(message) ? npt_zookeeper_response(message) : 0;
}
