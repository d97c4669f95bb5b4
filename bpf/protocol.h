/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Protocol - what is spoken on a connection, told by the first bytes of its messages. One source
 * for the kernel and for user space, where it is fuzzed and tested.
 *
 * A message is what one side sends until the other answers. A connection's classification is a
 * state machine: each call of npt_protocol_next() brings what is known of the current message, the
 * more the better, and says what that makes of the connection. Wrong is worse than unknown: a label
 * is given only for bytes that others do not begin with, or when both directions agree.
 */
#include <linux/types.h>

#define NPT_MESSAGE_BYTES 64

enum npt_bpf_protocol {
	NPT_PROTOCOL_UNKNOWN = 0,
	NPT_PROTOCOL_HTTP = 1, /* of an unknown version: by ALPN only */
	NPT_PROTOCOL_HTTP1 = 2,
	NPT_PROTOCOL_HTTP2 = 3,
	NPT_PROTOCOL_GRPC = 4,
	NPT_PROTOCOL_WEBSOCKET = 5,
	NPT_PROTOCOL_TLS =
		6, /* never shown: the edge's tls is "yes", its protocol what is inside */
	NPT_PROTOCOL_MYSQL = 7,
	NPT_PROTOCOL_POSTGRESQL = 8,
	NPT_PROTOCOL_REDIS = 9,
	NPT_PROTOCOL_KAFKA = 10,
	NPT_PROTOCOL_AMQP = 11, /* 0-9-1 */
	NPT_PROTOCOL_NATS = 12,
	NPT_PROTOCOL_MQTT = 13,
	NPT_PROTOCOL_MEMCACHED = 14,
	NPT_PROTOCOL_DNS = 15,
	NPT_PROTOCOL_QUIC = 16,
	NPT_PROTOCOL_SMTP = 17,
	NPT_PROTOCOL_SSH = 18,
	NPT_PROTOCOL_FASTCGI = 19,
	NPT_PROTOCOL_MONGODB = 20,
	NPT_PROTOCOL_CASSANDRA = 21,
	NPT_PROTOCOL_DUBBO = 22,
	NPT_PROTOCOL_THRIFT = 23,
	NPT_PROTOCOL_ZOOKEEPER = 24,
	NPT_PROTOCOL_AMQP1 = 25,
	NPT_PROTOCOL_COUNT = 26,
};

enum npt_message_from {
	NPT_FROM_UNKNOWN = 0,
	NPT_FROM_CLIENT = 1,
	NPT_FROM_SERVER = 2,
};

enum npt_message_flag {
	NPT_MESSAGE_FIRST = 1,    /* of the connection, in this direction, from its first byte on */
	NPT_MESSAGE_DATAGRAM = 2, /* UDP: bytes and size are those of one datagram */
	NPT_MESSAGE_MORE = 4,     /* the message of the last call, of which more is known now */
};

/* What is known of a message so far: its first bytes, gathered over however many segments. */
struct npt_bpf_message {
	__u8 bytes[NPT_MESSAGE_BYTES]; /* zero beyond length */
	__u32 size;                    /* payload seen of it, at least length; it may go on */
	__u8 length;                   /* of bytes */
	__u8 from;                     /* enum npt_message_from */
	__u8 flags;
	__u8 padding;
};

/* What a connection's messages have said so far. All zero at its begin. */
struct npt_bpf_classified {
	__u8 protocol;   /* enum npt_bpf_protocol; UNKNOWN until it is certain */
	__u8 final;      /* no further message is asked for */
	__u8 confidence; /* in per cent, of protocol */
	__u8 messages;   /* looked at, saturating; one that began anew counts again */
	__u8 settled;    /* the classifier's own: enum npt_protocol_settled */
	__u8 inside; /* with TLS: what asked for it and will be spoken within, if that was seen */
	/*
	 * Not 0: so many bytes from the begin of this message were understood (a PROXY header, a
	 * frame, a request for TLS), and what is to be looked at begins behind them, perhaps with
	 * bytes that are still to come. The caller sets it to 0 and begins the message anew there:
	 * from, FIRST and DATAGRAM stay, MORE is not set. Should the other side speak before the
	 * bytes come, its message is simply the next.
	 */
	__u16 skip;
	__u32 hints; /* bit 1 << protocol: what one direction looked like; the other has to agree */
	__u32 remembered; /* the classifier's own: a number that the answer has to repeat */
};
