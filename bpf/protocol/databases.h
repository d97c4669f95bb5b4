/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Databases: MySQL (dev.mysql.com, "MySQL Client/Server Protocol": basic packets, connection and
 * command phase; MariaDB's differences from its knowledge base), PostgreSQL (its manual, chapter 54
 * "Message Formats", protocol 3), MongoDB (its wire protocol), Cassandra (native protocol v3 to
 * v5).
 *
 * All of them put lengths and small numbers in front, so several fields must agree; a statement
 * that begins like SQL does the rest. Those that ask for TLS in plain keep their name as what is
 * inside.
 */
#include "bpf/protocol/settled.h"
#include "bpf/protocol/tls.h"

#define NPT_MYSQL_CLIENT_SSL         0x0800
#define NPT_MYSQL_CLIENT_PROTOCOL_41 0x0200
#define NPT_MYSQL_SSL_REQUEST        36 /* the whole packet */

/* The server's greeting (protocol 10): its number, a version like 8.0.36 or 5.5.5-10.11.6-MariaDB.
 */
NPT_PROTOCOL_INLINE int npt_mysql_is_greeting(const struct npt_bpf_message *message)
{
	__u32 length = npt_le24(message, 0), end;

	if (message->bytes[3] || message->bytes[4] != 10 || length < 40 || length > 512)
		return 0;
	end = (__u32)npt_protocol_span(message, 5, NPT_DIGITS);
	if (end == 5 || end > 7 || npt_byte(message, end) != '.')
		return 0;
	end = (__u32)npt_protocol_span(message, end, NPT_PRINTABLE);
	return end > 8 &&
	       (end == NPT_MESSAGE_BYTES || (end < message->length && !npt_byte(message, end)));
}

/* The client's answer (protocol 4.1): after flags, packet size and character set 19 bytes are 0. */
NPT_PROTOCOL_FUNCTION int npt_protocol_mysql_login(const struct npt_bpf_message *message)
{
	__u32 i, any = 0;

	if (!message || message->length < NPT_MYSQL_SSL_REQUEST || message->bytes[3] != 1 ||
	    npt_le24(message, 0) < 32 || npt_le24(message, 0) > 65535 ||
	    !(npt_le16(message, 4) & NPT_MYSQL_CLIENT_PROTOCOL_41))
		return 0;
	for (i = 13; i < 32; i++)
		any |= message->bytes[i];
	return !any;
}

NPT_PROTOCOL_INLINE int npt_mysql_asks_tls(const struct npt_bpf_message *message)
{
	return npt_protocol_mysql_login(message) && npt_le24(message, 0) == 32 &&
	       (npt_le16(message, 4) & NPT_MYSQL_CLIENT_SSL);
}

/* A command: number 0 of its sequence. */
NPT_PROTOCOL_INLINE __u64 npt_mysql_command(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;
	__u32 length = npt_le24(message, 0), at;

	if (bytes[3] || !length)
		return 0;
	switch (bytes[4]) {
	case 0x03: /* COM_QUERY; attributes stand in front of the text where both sides know them */
	case 0x16: /* COM_STMT_PREPARE */
		at = bytes[4] == 3 && bytes[5] == 0 && bytes[6] == 1 ? 7 : 5;
		if (length < 5 || message->size > length + 4 || !npt_protocol_sql(message, at))
			return 0;
		/* The whole of it, or as much as can be seen. */
		if (message->size < length + 4 && !npt_is_full(message))
			return 0;
		return NPT_IS_SURELY(NPT_PROTOCOL_MYSQL);
	case 0x17: /* COM_STMT_EXECUTE: statement, flags, always one iteration */
		return length >= 10 && message->length >= 14 && npt_le32(message, 5) < 0x10000 &&
				       bytes[9] < 8 && npt_le32(message, 10) == 1
			       ? NPT_IS_SURELY(NPT_PROTOCOL_MYSQL)
			       : 0;
	case 0x02: /* COM_INIT_DB */
		return length > 1 && length < 65 && message->size == length + 4 &&
				       (__u32)npt_protocol_span(message, 5, NPT_NAME) ==
					       message->length
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_MYSQL)
			       : 0;
	case 0x0e: /* COM_PING */
	case 0x09: /* COM_STATISTICS */
		return length == 1 && message->size == 5 ? NPT_LOOKS_LIKE(NPT_PROTOCOL_MYSQL) : 0;
	default:
		return 0;
	}
}

/* The first packet of a response: number 1 of its sequence; after a login 2 or more. */
NPT_PROTOCOL_INLINE __u64 npt_mysql_response(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;
	__u32 length = npt_le24(message, 0);

	/* Columns: how many, then their definitions, which begin with the catalog "def". */
	if (length && length < 4 && bytes[3] == 1 && bytes[4] &&
	    npt_byte(message, length + 7) == 2 &&
	    npt_be32(message, length + 8) == NPT_WORD(3, 'd', 'e', 'f'))
		return NPT_IS_SURELY(NPT_PROTOCOL_MYSQL);
	if (bytes[3] > 8 || length < 3 || length > 1024)
		return 0;
	if (bytes[4] == 0xff) /* an error: #, SQLSTATE; before the login without */
		return length > 9 && bytes[7] == '#' && npt_byte(message, 8) >= '0' &&
				       npt_byte(message, 12) >= '0' && npt_byte(message, 12) < 'Z'
			       ? NPT_IS_SURELY(NPT_PROTOCOL_MYSQL)
			       : 0;
	if (bytes[4] == 0 && bytes[3] && length >= 7 && message->size <= length + 4 &&
	    npt_le16(message, 7) < 0x80) /* OK: rows, identifier, status, warnings */
		return NPT_LOOKS_LIKE(NPT_PROTOCOL_MYSQL);
	return 0;
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_mysql(const struct npt_bpf_message *message)
{
	__u64 verdict = 0;

	if (!message || message->length < 5 || message->bytes[3] > 8)
		return 0;
	if (npt_is_first(message)) {
		if ((npt_by_server(message) && npt_mysql_is_greeting(message)) ||
		    (npt_by_client(message) && npt_protocol_mysql_login(message)))
			return NPT_IS_SURELY(NPT_PROTOCOL_MYSQL);
		return 0;
	}
	if (npt_by_server(message))
		verdict |= npt_mysql_response(message);
	if (npt_by_client(message))
		verdict |= npt_mysql_command(message);
	return verdict;
}

/* StartupMessage, SSLRequest, GSSENCRequest, CancelRequest: the ones without a type in front. */
NPT_PROTOCOL_INLINE int npt_postgresql_is_start(const struct npt_bpf_message *message)
{
	__u32 length = npt_be32(message, 0), code = npt_be32(message, 4);

	if (message->length < 8)
		return 0;
	if (length == 8)
		return code == 80877103 || code == 80877104;
	if (length == 16)
		return code == 80877102;
	if (length < 16 || length > 10000 || (code != 0x30000 && code != 0x30002))
		return 0;
	return message->length >= 12 && npt_protocol_span(message, 8, NPT_NAME) >= 12;
}

NPT_PROTOCOL_INLINE int npt_postgresql_asks_tls(const struct npt_bpf_message *message)
{
	return npt_be32(message, 0) == 8 && npt_be32(message, 4) == 80877103;
}

/* What the length of such a message has to be, 0 if that depends. */
NPT_PROTOCOL_INLINE __u32 npt_postgresql_length(__u32 type, int client)
{
	switch (type) {
	case 'c': /* CopyDone, of either side */
		return 4;
	case 'H': /* Flush; Sync; Terminate */
	case 'S':
	case 'X':
		return client ? 4 : 0;
	case '1': /* done: Parse, Bind, Close; no query; no data; suspended */
	case '2':
	case '3':
	case 'I':
	case 'n':
	case 's':
		return 4;
	case 'Z': /* ready */
		return 5;
	case 'K': /* what a cancellation needs */
		return 12;
	default:
		return 0;
	}
}

/* Whether a message's head stands there, of a type that this side sends, and its body can be one.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_postgresql_head(const struct npt_bpf_message *message,
						       __u32 at)
{
	__u32 type, length, expected, body;
	int client;

	if (!message || at + 5 > message->length)
		return 0;
	type = npt_byte(message, at);
	length = npt_be32(message, at + 1);
	body = npt_byte(message, at + 5);
	client = message->from == NPT_FROM_CLIENT;
	if (length < 4 || length > 0x00ffffff || type < '1' || type > 'v')
		return 0;
	expected = npt_postgresql_length(type, client);
	if (expected)
		return length == expected && (!client || type >= 'A');
	if (type >= 'a')
		return client ? type == 'p' || type == 'd' || type == 'f'
			      : type == 'd' || type == 't' || type == 'v';
	switch (type) {
	case 'C': /* Close, a command's tag; Describe, a row; Execute, an error */
	case 'D':
		return client ? body == 'S' || body == 'P' : type == 'D' || body >= 'A';
	case 'E':
	case 'N':
	case 'S':
		return client ? type == 'E' : body >= 'A';
	case 'B':
	case 'F':
	case 'P':
	case 'Q':
		return client;
	case 'A':
	case 'G':
	case 'H':
	case 'R':
	case 'T':
	case 'W':
		return !client;
	default:
		return 0;
	}
}

NPT_PROTOCOL_INLINE __u64 npt_postgresql_server(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;
	__u32 length = npt_be32(message, 1), code = npt_be32(message, 5);

	if (bytes[0] == 'R' && length >= 8 && length < 512 && message->length >= 9) {
		/* MD5 with its salt; SASL with SCRAM-SHA-256; come in, or a password, please */
		if ((length == 12 && code == 5) ||
		    (code == 10 && npt_be32(message, 9) == NPT_WORD('S', 'C', 'R', 'A')))
			return NPT_IS_SURELY(NPT_PROTOCOL_POSTGRESQL);
		return length == 8 && (!code || code == 3) ? NPT_LOOKS_LIKE(NPT_PROTOCOL_POSTGRESQL)
							   : 0;
	}
	/* An error: S, and the severity, a word in the server's language. */
	if (bytes[0] == 'E' && length < 4096 && bytes[5] == 'S' && bytes[6] >= 'A' &&
	    bytes[7] >= 'A' && bytes[8] >= 'A' && bytes[9] >= 'A')
		return NPT_IS_SURELY(NPT_PROTOCOL_POSTGRESQL);
	if (bytes[0] == 'C' && length > 8 && length < 64 && message->size > length &&
	    npt_byte(message, length) == 0 &&
	    (__u32)npt_protocol_span(message, 5, NPT_PRINTABLE) == length)
		return NPT_IS_SURELY(NPT_PROTOCOL_POSTGRESQL);
	if (bytes[0] == 'T' && length >= 24 && length < 65536 && bytes[5] < 8 && bytes[7] > ' ')
		return NPT_LOOKS_LIKE(NPT_PROTOCOL_POSTGRESQL);
	return 0;
}

NPT_PROTOCOL_INLINE __u64 npt_postgresql_client(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;
	__u32 at;

	if (bytes[0] == 'Q' && npt_protocol_sql(message, 5) &&
	    (npt_be32(message, 1) + 1 == message->size || npt_is_full(message)))
		return NPT_IS_SURELY(NPT_PROTOCOL_POSTGRESQL);
	if (bytes[0] == 'P') { /* the statement's name, often none, and its text */
		at = (__u32)npt_protocol_span(message, 5, NPT_VISIBLE);
		if (at < message->length && !npt_byte(message, at) &&
		    npt_protocol_sql(message, at + 1))
			return NPT_IS_SURELY(NPT_PROTOCOL_POSTGRESQL);
	}
	if (bytes[0] == 'Q' && npt_be32(message, 1) + 1 == message->size &&
	    npt_protocol_span(message, 5, NPT_PRINTABLE) + 1 >= message->length)
		return NPT_LOOKS_LIKE(NPT_PROTOCOL_POSTGRESQL);
	return 0;
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_postgresql(const struct npt_bpf_message *message)
{
	__u64 verdict = 0;

	if (!message)
		return 0;
	/* Not only at first: it may come after a refused request for TLS. */
	if (npt_by_client(message) && npt_postgresql_is_start(message))
		return NPT_IS_SURELY(NPT_PROTOCOL_POSTGRESQL);
	if (npt_is_first(message) && message->from == NPT_FROM_CLIENT)
		return 0;
	if (!npt_protocol_postgresql_head(message, 0))
		return 0;
	if (npt_is_first(message) && message->bytes[0] != 'R') /* an error */
		return npt_postgresql_server(message);
	if (npt_by_server(message))
		verdict |= npt_postgresql_server(message);
	if (npt_by_client(message))
		verdict |= npt_postgresql_client(message);
	if (npt_protocol_postgresql_head(message, 1 + npt_be32(message, 1)))
		return NPT_IS_SURELY(NPT_PROTOCOL_POSTGRESQL);
	return verdict;
}

/* The next message of a connection that has asked for TLS, or may do so. */
NPT_PROTOCOL_FUNCTION int npt_protocol_tls_next(struct npt_bpf_classified *now,
						const struct npt_bpf_message *message)
{
	int mysql;

	if (!now || !message || message->from != NPT_FROM_CLIENT)
		return 0;
	mysql = now->protocol == NPT_PROTOCOL_MYSQL;
	if (now->settled & NPT_SETTLED_ASKED) {
		if (npt_protocol_tls_hello(message)) {
			now->inside = now->protocol;
			now->protocol = NPT_PROTOCOL_TLS;
			npt_settle(now, 99);
		} else if (!mysql && message->bytes[0] != NPT_TLS_HANDSHAKE) {
			now->settled &= (__u8)~NPT_SETTLED_ASKED; /* it was refused */
		}
		return 0;
	}
	if (mysql ? npt_mysql_asks_tls(message) : npt_postgresql_asks_tls(message)) {
		now->settled |= NPT_SETTLED_ASKED;
		now->skip = mysql ? NPT_MYSQL_SSL_REQUEST : 0; /* nobody answers it */
	}
	return 0;
}

/* Length, request, what it answers, operation: OP_MSG, OP_COMPRESSED, OP_QUERY, OP_REPLY. */
NPT_PROTOCOL_FUNCTION __u64 npt_protocol_mongodb(const struct npt_bpf_message *message)
{
	__u32 length, answers, operation;

	if (!message || message->length < 21)
		return 0;
	length = npt_le32(message, 0);
	answers = npt_le32(message, 8);
	operation = npt_le32(message, 12);
	if (length < 26 || length > 48000000)
		return 0;
	if ((answers == 0 && message->from == NPT_FROM_SERVER) ||
	    (answers != 0 && message->from == NPT_FROM_CLIENT))
		return 0;
	switch (operation) {
	case 2013: /* flags: checksum, more to come, exhaust; the section's kind */
		if ((npt_le32(message, 16) & ~0x10003U) || message->bytes[20] > 1)
			return 0;
		return NPT_IS_SURELY(NPT_PROTOCOL_MONGODB);
	case 2012: /* the operation within */
		return npt_le32(message, 16) == 2013 ? NPT_IS_SURELY(NPT_PROTOCOL_MONGODB) : 0;
	case 2004: /* flags, the collection's name */
		if (answers || npt_le32(message, 16) > 0xff || message->bytes[20] < '0')
			return 0;
		return NPT_IS_SURELY(NPT_PROTOCOL_MONGODB);
	case 1:
		if (!answers || length < 36 || npt_le32(message, 16) > 0xf)
			return 0;
		return NPT_LOOKS_LIKE(NPT_PROTOCOL_MONGODB);
	default:
		return 0;
	}
}

/* Version (0x80: a response), flags, stream, operation, length of the body. */
NPT_PROTOCOL_FUNCTION __u64 npt_protocol_cassandra(const struct npt_bpf_message *message)
{
	const __u8 *bytes;
	__u32 version, length, text;

	if (!message || message->length < 9)
		return 0;
	bytes = message->bytes;
	version = bytes[0] & 0x7f;
	length = npt_be32(message, 5);
	if (version < 3 || version > 5 || bytes[1] > 0x1f || length > 0x00ffffff)
		return 0;
	if (!(bytes[0] & 0x80)) {
		if (!npt_by_client(message))
			return 0;
		switch (bytes[4]) {
		case 0x01: /* STARTUP: pairs of text, one names the version */
			text = npt_be16(message, 11);
			return length > 20 && length < 1024 && npt_be16(message, 9) <= 16 &&
					       text >= 8 && text <= 32 &&
					       npt_protocol_span(message, 13, NPT_NAME) >= 20
				       ? NPT_IS_SURELY(NPT_PROTOCOL_CASSANDRA)
				       : 0;
		case 0x05: /* OPTIONS */
			return !length && message->size == 9
				       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_CASSANDRA)
				       : 0;
		case 0x07: /* QUERY */
		case 0x09: /* PREPARE */
			return npt_be32(message, 9) < length && npt_protocol_sql(message, 13)
				       ? NPT_IS_SURELY(NPT_PROTOCOL_CASSANDRA)
				       : 0;
		case 0x0a: /* EXECUTE: an identifier of 16 bytes */
			return npt_be16(message, 9) == 16 && length > 18
				       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_CASSANDRA)
				       : 0;
		default:
			return 0;
		}
	}
	if (message->from != NPT_FROM_SERVER)
		return 0;
	switch (bytes[4]) {
	case 0x00: /* ERROR: its code, its text */
		return length > 6 && bytes[9] == 0 ? NPT_LOOKS_LIKE(NPT_PROTOCOL_CASSANDRA) : 0;
	case 0x02: /* READY */
		return !length ? NPT_LOOKS_LIKE(NPT_PROTOCOL_CASSANDRA) : 0;
	case 0x03: /* AUTHENTICATE */
	case 0x06: /* SUPPORTED */
		return length > 8 && bytes[9] == 0 ? NPT_LOOKS_LIKE(NPT_PROTOCOL_CASSANDRA) : 0;
	case 0x08: /* RESULT: of five kinds */
		return length >= 4 && npt_be32(message, 9) >= 1 && npt_be32(message, 9) <= 5
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_CASSANDRA)
			       : 0;
	default:
		return 0;
	}
}
