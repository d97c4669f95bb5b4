/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Lines - protocols of text: Redis (RESP2 and RESP3: redis.io/docs/reference/protocol-spec),
 * Memcached's text protocol (memcached's doc/protocol.txt), NATS (docs.nats.io, client protocol),
 * SMTP (RFC 5321 sections 3.1, 4.1.1, 4.2; LHLO: RFC 2033), SSH (RFC 4253 section 4.2).
 *
 * They share words: +OK is Redis, NATS and POP3; PING is NATS and Redis typed by hand; 220 greets
 * in SMTP and FTP; DELETED is Memcached and beanstalkd. Such words only count with what the other
 * side says. A line counts when it is whole or longer than can be seen.
 */
#include "bpf/protocol/bytes.h"

/* The position behind "<digits>\r\n" with at most max digits, 0 if that is not what stands there.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_count_line(const struct npt_bpf_message *message, __u32 at,
						  __u32 max)
{
	__u32 end;

	if (!message)
		return 0;
	end = (__u32)npt_protocol_span(message, at, NPT_DIGITS);
	if (end <= at || end > at + max || npt_be16(message, end) != NPT_PAIR('\r', '\n'))
		return 0;
	return (int)(end + 2);
}

/* *<count>\r\n$<length>\r\n is what every client's command and most arrays begin with. */
NPT_PROTOCOL_FUNCTION __u64 npt_protocol_redis(const struct npt_bpf_message *message)
{
	__u32 first, at;

	if (!message)
		return 0;
	first = message->bytes[0];
	if (first == '*' || first == '>' || first == '%' || first == '~') {
		at = (__u32)npt_protocol_count_line(message, 1, 7);
		if (at && npt_byte(message, at) == '$' &&
		    npt_protocol_count_line(message, at + 1, 9))
			return NPT_IS_SURELY(NPT_PROTOCOL_REDIS);
		return at && message->from == NPT_FROM_SERVER ? NPT_LOOKS_LIKE(NPT_PROTOCOL_REDIS)
							      : 0;
	}
	if (message->from != NPT_FROM_SERVER)
		return 0;
	if (first == '$' || first == ':') {
		at = message->bytes[1] == '-' ? 2 : 1;
		return npt_protocol_count_line(message, at, 18) ? NPT_LOOKS_LIKE(NPT_PROTOCOL_REDIS)
								: 0;
	}
	if (first == '_' || first == '#')
		return npt_be16(message, first == '_' ? 1 : 2) == NPT_PAIR('\r', '\n')
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_REDIS)
			       : 0;
	if (first != '+' && first != '-')
		return 0;
	if (message->bytes[1] < 'A' || message->bytes[1] > 'Z' || message->bytes[2] < 'A' ||
	    message->bytes[2] > 'Z' || !npt_is_line(message))
		return 0;
	return NPT_LOOKS_LIKE(NPT_PROTOCOL_REDIS);
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_nats(const struct npt_bpf_message *message)
{
	const __u8 *bytes;
	__u32 next, end;

	if (!message)
		return 0;
	bytes = message->bytes;
	next = NPT_WORD(bytes[4], bytes[5], bytes[6], bytes[7]);
	switch (npt_first_word(message)) {
	case NPT_WORD('I', 'N', 'F', 'O'):
		return npt_by_server(message) && next >> 8 == NPT_WORD(0, ' ', '{', '"')
			       ? NPT_IS_SURELY(NPT_PROTOCOL_NATS)
			       : 0;
	case NPT_WORD('C', 'O', 'N', 'N'):
		return npt_by_client(message) && next == NPT_WORD('E', 'C', 'T', ' ') &&
				       bytes[8] == '{' && (bytes[9] == '"' || bytes[9] == '}')
			       ? NPT_IS_SURELY(NPT_PROTOCOL_NATS)
			       : 0;
	case NPT_WORD('P', 'I', 'N', 'G'):
	case NPT_WORD('P', 'O', 'N', 'G'):
		return next >> 16 == NPT_PAIR('\r', '\n') ? NPT_LOOKS_LIKE(NPT_PROTOCOL_NATS) : 0;
	case NPT_WORD('+', 'O', 'K', '\r'):
		return message->from == NPT_FROM_SERVER && bytes[4] == '\n'
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_NATS)
			       : 0;
	case NPT_WORD('-', 'E', 'R', 'R'):
		return message->from == NPT_FROM_SERVER && next >> 16 == NPT_PAIR(' ', '\'')
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_NATS)
			       : 0;
	case NPT_WORD('P', 'U', 'B', ' '):
	case NPT_WORD('S', 'U', 'B', ' '):
	case NPT_WORD('H', 'P', 'U', 'B'):
	case NPT_WORD('U', 'N', 'S', 'U'):
		if (message->from != NPT_FROM_CLIENT)
			return 0;
		break;
	case NPT_WORD('M', 'S', 'G', ' '):
	case NPT_WORD('H', 'M', 'S', 'G'):
		if (message->from != NPT_FROM_SERVER)
			return 0;
		break;
	default:
		return 0;
	}
	end = (__u32)npt_protocol_line(
		message); /* its last word is a number, or a name in (UN)SUB */
	if (end ? end < 8 || npt_byte(message, end - 1) < '0' : !npt_is_line(message))
		return 0;
	return NPT_LOOKS_LIKE(NPT_PROTOCOL_NATS);
}

/* " <key> <number> <number> <number>", as all that store something go on. */
NPT_PROTOCOL_FUNCTION int npt_protocol_memcached_store(const struct npt_bpf_message *message,
						       __u32 at, __u32 numbers)
{
	__u32 end, i;

	if (!message)
		return 0;
	end = (__u32)npt_protocol_span(message, at, NPT_VISIBLE);
	if (end == at)
		return 0;
	for (i = 0; i < 3; i++) {
		__u32 begin = end + 1;

		if (npt_byte(message, end) != ' ')
			return 0;
		if (npt_byte(message, begin) == '-')
			begin++;
		end = (__u32)npt_protocol_span(message, begin, NPT_DIGITS);
		if (end == begin || end > begin + 10 || end >= message->length)
			return 0;
		if (i + 1 == numbers)
			break;
	}
	return npt_byte(message, end) == ' ' || npt_be16(message, end) == NPT_PAIR('\r', '\n');
}

NPT_PROTOCOL_INLINE __u64 npt_memcached_request(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;
	__u32 next = NPT_WORD(bytes[4], bytes[5], bytes[6], bytes[7]), at = 0, key = 0;

	switch (npt_first_word(message)) {
	case NPT_WORD('s', 'e', 't', ' '):
	case NPT_WORD('a', 'd', 'd', ' '):
	case NPT_WORD('c', 'a', 's', ' '):
		at = 4;
		break;
	case NPT_WORD('r', 'e', 'p', 'l'):
		at = next == NPT_WORD('a', 'c', 'e', ' ') ? 8 : 0;
		break;
	case NPT_WORD('a', 'p', 'p', 'e'):
		at = next >> 8 == NPT_WORD(0, 'n', 'd', ' ') ? 7 : 0;
		break;
	case NPT_WORD('p', 'r', 'e', 'p'):
		at = next == NPT_WORD('e', 'n', 'd', ' ') ? 8 : 0;
		break;
	case NPT_WORD('g', 'e', 't', ' '):
		key = 4;
		break;
	case NPT_WORD('g', 'e', 't', 's'):
	case NPT_WORD('i', 'n', 'c', 'r'):
	case NPT_WORD('d', 'e', 'c', 'r'):
		key = bytes[4] == ' ' ? 5 : 0;
		break;
	case NPT_WORD('d', 'e', 'l', 'e'):
		key = next >> 8 == NPT_WORD(0, 't', 'e', ' ') ? 7 : 0;
		break;
	case NPT_WORD('t', 'o', 'u', 'c'):
		key = next >> 16 == NPT_PAIR('h', ' ') ? 6 : 0;
		break;
	case NPT_WORD('v', 'e', 'r', 's'):
		return next == NPT_WORD('i', 'o', 'n', '\r')
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_MEMCACHED)
			       : 0;
	case NPT_WORD('s', 't', 'a', 't'):
		return next >> 8 == NPT_WORD(0, 's', '\r', '\n') || next >> 16 == NPT_PAIR('s', ' ')
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_MEMCACHED)
			       : 0;
	default: /* the meta commands: mg, ms, md, ma */
		if (bytes[0] == 'm' && bytes[2] == ' ' &&
		    (bytes[1] == 'g' || bytes[1] == 's' || bytes[1] == 'd' || bytes[1] == 'a'))
			key = 3;
		break;
	}
	if (at && npt_protocol_memcached_store(message, at, 3))
		return NPT_IS_SURELY(NPT_PROTOCOL_MEMCACHED);
	/* A key that is a number would be beanstalkd's. */
	if (!key || npt_byte(message, key) <= '9' || !npt_is_line(message))
		return 0;
	return NPT_LOOKS_LIKE(NPT_PROTOCOL_MEMCACHED);
}

NPT_PROTOCOL_INLINE int npt_memcached_is_response(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;
	__u32 word = npt_first_word(message), pair = word >> 16;
	__u32 next = NPT_WORD(bytes[4], bytes[5], bytes[6], bytes[7]);

	switch (word) {
	case NPT_WORD('E', 'N', 'D', '\r'):
		return bytes[4] == '\n';
	case NPT_WORD('S', 'T', 'O', 'R'):
		return next == NPT_WORD('E', 'D', '\r', '\n');
	case NPT_WORD('N', 'O', 'T', '_'):
		return next == NPT_WORD('F', 'O', 'U', 'N') || next == NPT_WORD('S', 'T', 'O', 'R');
	case NPT_WORD('D', 'E', 'L', 'E'):
		return next >> 8 == NPT_WORD(0, 'T', 'E', 'D');
	case NPT_WORD('E', 'X', 'I', 'S'):
		return next == NPT_WORD('T', 'S', '\r', '\n');
	case NPT_WORD('T', 'O', 'U', 'C'):
		return next >> 8 == NPT_WORD(0, 'H', 'E', 'D');
	case NPT_WORD('E', 'R', 'R', 'O'):
		return next >> 8 == NPT_WORD(0, 'R', '\r', '\n');
	case NPT_WORD('V', 'E', 'R', 'S'):
		return next == NPT_WORD('I', 'O', 'N', ' ');
	case NPT_WORD('S', 'T', 'A', 'T'):
		return bytes[4] == ' ' && npt_is_line(message);
	case NPT_WORD('C', 'L', 'I', 'E'):
		return next == NPT_WORD('N', 'T', '_', 'E');
	case NPT_WORD('S', 'E', 'R', 'V'):
		return next == NPT_WORD('E', 'R', '_', 'E');
	case NPT_WORD('H', 'D', '\r', '\n'):
	case NPT_WORD('E', 'N', '\r', '\n'):
	case NPT_WORD('N', 'F', '\r', '\n'):
		return 1;
	default: /* a counter's new value; meta's value, and HD with flags */
		return ((pair == NPT_PAIR('V', 'A') || pair == NPT_PAIR('H', 'D')) &&
			bytes[2] == ' ' && npt_is_line(message)) ||
		       npt_protocol_count_line(message, 0, 20);
	}
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_memcached(const struct npt_bpf_message *message)
{
	if (!message)
		return 0;
	if (npt_by_server(message) && npt_first_word(message) == NPT_WORD('V', 'A', 'L', 'U') &&
	    npt_be16(message, 4) == NPT_PAIR('E', ' ') &&
	    npt_protocol_memcached_store(message, 6, 2))
		return NPT_IS_SURELY(NPT_PROTOCOL_MEMCACHED);
	if (message->from == NPT_FROM_SERVER)
		return npt_memcached_is_response(message) ? NPT_LOOKS_LIKE(NPT_PROTOCOL_MEMCACHED)
							  : 0;
	return npt_memcached_request(message);
}

/* Whether SMTP is said anywhere in the bytes. */
NPT_PROTOCOL_FUNCTION int npt_protocol_smtp_word(const struct npt_bpf_message *message)
{
	__u32 window = 0, i;

	if (!message)
		return 0;
	for (i = 0; i < NPT_MESSAGE_BYTES; i++) {
		window = window << 8 | message->bytes[i];
		if (window == NPT_WORD('S', 'M', 'T', 'P') ||
		    window == NPT_WORD('L', 'M', 'T', 'P'))
			return 1;
	}
	return 0;
}

/* What is said before STARTTLS (RFC 3207), and that word itself. */
NPT_PROTOCOL_FUNCTION int npt_protocol_smtp_greets(const struct npt_bpf_message *message)
{
	__u32 word;

	if (!message)
		return 0;
	word = npt_first_word(message) & 0xdfdfdfdf;
	if (message->from == NPT_FROM_CLIENT)
		return word == NPT_WORD('E', 'H', 'L', 'O') || word == NPT_WORD('S', 'T', 'A', 'R');
	return message->bytes[0] == '2';
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_smtp(const struct npt_bpf_message *message)
{
	const __u8 *bytes;
	__u32 word, next;

	if (!message)
		return 0;
	bytes = message->bytes;
	word = npt_first_word(message);
	if (word >> 8 == NPT_WORD(0, '2', '2', '0') && (bytes[3] == ' ' || bytes[3] == '-')) {
		if (!npt_is_first(message) || !npt_by_server(message))
			return 0;
		return npt_protocol_smtp_word(message) ? NPT_IS_SURELY(NPT_PROTOCOL_SMTP)
						       : NPT_LOOKS_LIKE(NPT_PROTOCOL_SMTP);
	}
	if (word == NPT_WORD('2', '5', '0', ' ') || word == NPT_WORD('2', '5', '0', '-') ||
	    word == NPT_WORD('3', '5', '4', ' '))
		return message->from == NPT_FROM_SERVER && npt_is_line(message)
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_SMTP)
			       : 0;
	if (!npt_by_client(message))
		return 0;
	next = npt_small(NPT_WORD(bytes[4], bytes[5], bytes[6], bytes[7]));
	switch (npt_small(word)) {
	case NPT_WORD('e', 'h', 'l', 'o'):
	case NPT_WORD('h', 'e', 'l', 'o'):
	case NPT_WORD('l', 'h', 'l', 'o'):
		return bytes[4] == ' ' && bytes[5] > ' ' && npt_is_line(message)
			       ? NPT_IS_SURELY(NPT_PROTOCOL_SMTP)
			       : 0;
	case NPT_WORD('m', 'a', 'i', 'l'):
		return next == NPT_WORD(' ', 'f', 'r', 'o') &&
				       npt_be16(message, 9) == NPT_PAIR(':', '<')
			       ? NPT_IS_SURELY(NPT_PROTOCOL_SMTP)
			       : 0;
	case NPT_WORD('r', 'c', 'p', 't'):
		return next == NPT_WORD(' ', 't', 'o', ':') && bytes[8] == '<'
			       ? NPT_IS_SURELY(NPT_PROTOCOL_SMTP)
			       : 0;
	default:
		return 0;
	}
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_ssh(const struct npt_bpf_message *message)
{
	const __u8 *bytes;

	if (!message || !npt_is_first(message) ||
	    npt_first_word(message) != NPT_WORD('S', 'S', 'H', '-'))
		return 0;
	bytes = message->bytes;
	if ((bytes[4] != '1' && bytes[4] != '2') || bytes[5] != '.')
		return 0;
	return bytes[7] == '-' || bytes[8] == '-' ? NPT_IS_SURELY(NPT_PROTOCOL_SSH) : 0;
}
