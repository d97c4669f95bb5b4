/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Bytes - how the classifiers read a message, and how they say what they think of it.
 *
 * In the kernel each function that is marked NPT_PROTOCOL_FUNCTION is a global one: the verifier
 * goes through it once, with arguments that can be anything, and not once for each way that leads
 * to it. That keeps the sum of all classifiers within a few ten thousand instructions (pointers as
 * arguments of such functions: 5.12+). In user space they are static.
 *
 * A position that is a variable is only used by npt_byte(), which masks it. Bytes beyond the length
 * are 0, so a comparison with a text needs no look at the length.
 */
#include "bpf/protocol.h"

#ifdef __bpf__
#define NPT_PROTOCOL_FUNCTION __attribute__((noinline))
/* The compiler must not conclude from a comparison that the mask is needless: the verifier does
 * not. */
#define NPT_PROTOCOL_OPAQUE(variable) __asm__ volatile("" : "+r"(variable))
#else
#define NPT_PROTOCOL_FUNCTION static inline
#define NPT_PROTOCOL_OPAQUE(variable)
#endif
#define NPT_PROTOCOL_INLINE static inline __attribute__((always_inline))

/*
 * A verdict is the sum (|) of what all classifiers say of a message: bit PROTOCOL where it looks
 * like one, and bit 32 + PROTOCOL, too, where nothing else begins so.
 */
#define NPT_LOOKS_LIKE(protocol)  (1ULL << (protocol))
#define NPT_IS_SURELY(protocol)   (0x100000001ULL << (protocol))
#define NPT_LOOKS(verdict)        ((__u32)(verdict))
#define NPT_SURE(verdict)         ((__u32)((verdict) >> 32))
#define NPT_UNLESS_SURE(protocol) (~(1ULL << (32 + (protocol))))

/* Four characters as a big-endian number. */
#define NPT_WORD(a, b, c, d) ((__u32)(a) << 24 | (__u32)(b) << 16 | (__u32)(c) << 8 | (__u32)(d))
#define NPT_PAIR(a, b)       ((__u32)(a) << 8 | (__u32)(b))

/* Sets of characters: two arguments, bits 0..63 and 64..127. */
#define NPT_DIGITS    0x03ff000000000000ULL, 0ULL
#define NPT_VISIBLE   0xfffffffe00000000ULL, 0x7fffffffffffffffULL /* '!'..'~' */
#define NPT_PRINTABLE 0xffffffff00000000ULL, 0x7fffffffffffffffULL /* and blank */
#define NPT_NAME      0x07ff600000000000ULL, 0x07fffffe87fffffeULL /* letters, digits, - . _ : */

NPT_PROTOCOL_INLINE __u32 npt_byte(const struct npt_bpf_message *message, __u32 at)
{
	if (at >= NPT_MESSAGE_BYTES)
		return 0;
	NPT_PROTOCOL_OPAQUE(at);
	return message->bytes[at & (NPT_MESSAGE_BYTES - 1)];
}

NPT_PROTOCOL_INLINE __u32 npt_be16(const struct npt_bpf_message *message, __u32 at)
{
	return npt_byte(message, at) << 8 | npt_byte(message, at + 1);
}

NPT_PROTOCOL_INLINE __u32 npt_be24(const struct npt_bpf_message *message, __u32 at)
{
	return npt_be16(message, at) << 8 | npt_byte(message, at + 2);
}

NPT_PROTOCOL_INLINE __u32 npt_be32(const struct npt_bpf_message *message, __u32 at)
{
	return npt_be16(message, at) << 16 | npt_be16(message, at + 2);
}

NPT_PROTOCOL_INLINE __u32 npt_le16(const struct npt_bpf_message *message, __u32 at)
{
	return npt_byte(message, at + 1) << 8 | npt_byte(message, at);
}

NPT_PROTOCOL_INLINE __u32 npt_le24(const struct npt_bpf_message *message, __u32 at)
{
	return npt_byte(message, at + 2) << 16 | npt_le16(message, at);
}

NPT_PROTOCOL_INLINE __u32 npt_le32(const struct npt_bpf_message *message, __u32 at)
{
	return npt_le16(message, at + 2) << 16 | npt_le16(message, at);
}

/* The first, by the constant positions 0..3, as all classifiers ask for it. */
NPT_PROTOCOL_INLINE __u32 npt_first_word(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;

	return NPT_WORD(bytes[0], bytes[1], bytes[2], bytes[3]);
}

/* Letters as small ones; nothing else becomes a letter. */
NPT_PROTOCOL_INLINE __u32 npt_small(__u32 word)
{
	return word | 0x20202020U;
}

NPT_PROTOCOL_INLINE int npt_is_letter(__u32 byte)
{
	return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

NPT_PROTOCOL_INLINE int npt_is_full(const struct npt_bpf_message *message)
{
	return message->length >= NPT_MESSAGE_BYTES;
}

NPT_PROTOCOL_INLINE int npt_is_first(const struct npt_bpf_message *message)
{
	return message->flags & NPT_MESSAGE_FIRST;
}

/* What only one side says is not looked for in what the other said; of an unknown side it is. */
NPT_PROTOCOL_INLINE int npt_by_client(const struct npt_bpf_message *message)
{
	return message->from != NPT_FROM_SERVER;
}

NPT_PROTOCOL_INLINE int npt_by_server(const struct npt_bpf_message *message)
{
	return message->from != NPT_FROM_CLIENT;
}

/* The first position from at on that is not of the set, or the length. */
NPT_PROTOCOL_FUNCTION int npt_protocol_span(const struct npt_bpf_message *message, __u32 at,
					    __u64 low, __u64 high)
{
	__u32 i;

	if (!message)
		return 0;
	for (i = 0; i < NPT_MESSAGE_BYTES; i++, at++) {
		__u32 byte = npt_byte(message, at);
		__u64 set = byte < 64 ? low : high;

		if (at >= message->length || byte >= 128 || !(set >> (byte & 63) & 1))
			break;
	}
	return (int)at;
}

/*
 * Whether text (count characters, at most 8, the first one highest) stands at a position. Where the
 * message's bytes end within it, what is there must agree, and no more of it can become known.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_stands(const struct npt_bpf_message *message, __u32 at,
					      __u64 text, __u32 count)
{
	__u32 i;

	if (!message)
		return 0;
	for (i = 0; i < 8; i++) {
		if (i >= count)
			return 1;
		if (at + i >= message->length)
			return npt_is_full(message);
		if (npt_byte(message, at + i) != (text >> (8 * (count - 1 - i)) & 0xff))
			return 0;
	}
	return 1;
}

/* Where the first line's CR is, if all before it can be printed and LF follows; else 0. */
NPT_PROTOCOL_FUNCTION int npt_protocol_line(const struct npt_bpf_message *message)
{
	__u32 end;

	if (!message)
		return 0;
	end = (__u32)npt_protocol_span(message, 0, NPT_PRINTABLE);
	return npt_be16(message, end) == NPT_PAIR('\r', '\n') ? (int)end : 0;
}

/* A line that is whole, or as long as can be seen. */
NPT_PROTOCOL_INLINE int npt_is_line(const struct npt_bpf_message *message)
{
	return npt_protocol_line(message) ||
	       npt_protocol_span(message, 0, NPT_PRINTABLE) == NPT_MESSAGE_BYTES;
}

/*
 * A number in groups of seven bits, the lowest first (MQTT 3.1.1 2.2.3, Thrift's compact protocol):
 * 8 times its value plus how many bytes it takes; 0 if it is not whole or longer than four.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_varint(const struct npt_bpf_message *message, __u32 at)
{
	__u32 value = 0, i;

	if (!message)
		return 0;
	for (i = 0; i < 4; i++) {
		__u32 byte = npt_byte(message, at + i);

		if (at + i >= message->length)
			return 0;
		value |= (byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return (int)((value & 0x0fffffff) << 3 | (i + 1));
	}
	return 0;
}

/* Whether SQL begins there: a statement's first four letters. */
NPT_PROTOCOL_FUNCTION int npt_protocol_sql(const struct npt_bpf_message *message, __u32 at)
{
	if (!message)
		return 0;
	switch (npt_small(npt_be32(message, at))) {
	case NPT_WORD('s', 'e', 'l', 'e'):
	case NPT_WORD('i', 'n', 's', 'e'):
	case NPT_WORD('u', 'p', 'd', 'a'):
	case NPT_WORD('d', 'e', 'l', 'e'):
	case NPT_WORD('r', 'e', 'p', 'l'):
	case NPT_WORD('s', 'e', 't', ' '):
	case NPT_WORD('s', 'h', 'o', 'w'):
	case NPT_WORD('b', 'e', 'g', 'i'):
	case NPT_WORD('c', 'o', 'm', 'm'):
	case NPT_WORD('r', 'o', 'l', 'l'):
	case NPT_WORD('c', 'a', 'l', 'l'):
	case NPT_WORD('w', 'i', 't', 'h'):
	case NPT_WORD('u', 's', 'e', ' '):
	case NPT_WORD('c', 'r', 'e', 'a'):
	case NPT_WORD('a', 'l', 't', 'e'):
	case NPT_WORD('d', 'r', 'o', 'p'):
	case NPT_WORD('s', 't', 'a', 'r'):
	case NPT_WORD('e', 'x', 'p', 'l'):
	case NPT_WORD('t', 'r', 'u', 'n'):
	case NPT_WORD('l', 'o', 'c', 'k'):
	case NPT_WORD('s', 'a', 'v', 'e'):
	case NPT_WORD('r', 'e', 'l', 'e'):
	case NPT_WORD('v', 'a', 'c', 'u'):
	case NPT_WORD('d', 'e', 'c', 'l'):
	case NPT_WORD('f', 'e', 't', 'c'):
	case NPT_WORD('c', 'o', 'p', 'y'):
		return 1;
	default:
		return 0;
	}
}
