/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Written by the protocols' specifications: servers that cannot be had here, and forms that the
 * programs at hand do not use. The sources are named in bpf/protocol/.
 */
#include "tests/support/protocol_samples.h"

#define ZEROS_8  "\0\0\0\0\0\0\0\0"
#define ZEROS_16 ZEROS_8 ZEROS_8

/* A ClientHello as a proxy passes it on, and the server's answer. */
#define CLIENT_HELLO                                                                               \
	"\x16\x03\x01\x00\xd7\x01\x00\x00\xd3\x03\x03" ZEROS_16 ZEROS_16 "\0\0\x38\xc0\x2c\xc0"
#define SERVER_HELLO                                                                               \
	"\x16\x03\x03\x00\x5d\x02\x00\x00\x59\x03\x03" ZEROS_16 ZEROS_16 "\0\xc0\x30\0\0\x11"

const struct npt_protocol_sample npt_protocol_specified[] = {
	{ .name = "HTTP/1: OPTIONS *",
	  .protocol = NPT_PROTOCOL_HTTP1,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
			NPT_SERVER(80, "HTTP/1.1 204 No Content\r\nAllow: GET\r\n") } },
	{ .name = "HTTP/1: CONNECT",
	  .protocol = NPT_PROTOCOL_HTTP1,
	  .messages = { NPT_CLIENT_ALL(
				"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n"),
			NPT_SERVER_ALL("HTTP/1.1 200 OK\r\n\r\n"),
			NPT_CLIENT(220, CLIENT_HELLO) } },
	{ .name = "HTTP/1: by a proxy, 1.0",
	  .protocol = NPT_PROTOCOL_HTTP1,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("DELETE http://example.com/orders/1 HTTP/1.0\r\n\r\n"),
			NPT_SERVER(120, "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n") } },
	{ .name = "HTTP/1: PUT that is told to go on",
	  .protocol = NPT_PROTOCOL_HTTP1,
	  .from_middle = 2,
	  .messages = { NPT_CLIENT(150, "PUT /object HTTP/1.1\r\nExpect: 100-continue\r\n"),
			NPT_SERVER_ALL("HTTP/1.1 100 Continue\r\n\r\n"), NPT_CLIENT(1000, "data"),
			NPT_SERVER(120, "HTTP/1.1 201 Created\r\n") } },
	{ .name = "HTTP/1: an upgrade to something else",
	  .protocol = NPT_PROTOCOL_HTTP1,
	  .messages = { NPT_CLIENT(200, "POST /v1/exec HTTP/1.1\r\nUpgrade: SPDY/3.1\r\n"),
			NPT_SERVER(90,
				   "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"),
			NPT_CLIENT(60, "\x80\x03\x00\x01\x00\x00\x00\x10"),
			NPT_SERVER(60, "\x80\x03\x00\x02\x00\x00\x00\x10") } },
	{ .name = "WebSocket: its name further down",
	  .protocol = NPT_PROTOCOL_WEBSOCKET,
	  .via = NPT_PROTOCOL_HTTP1,
	  .messages = { NPT_CLIENT(250,
				   "GET /chat HTTP/1.1\r\nHost: example.com\r\nUser-Agent: x\r\n"),
			NPT_SERVER(190,
				   "HTTP/1.1 101 Switching Protocols\r\nServer: nginx/1.22.1\r\n"),
			NPT_CLIENT_ALL("\x81\x85\x01\x02\x03\x04igohn"),
			NPT_SERVER_ALL("\x81\x05hello") } },
	{ .name = "HTTP/2: by upgrade",
	  .protocol = NPT_PROTOCOL_HTTP2,
	  .via = NPT_PROTOCOL_HTTP1,
	  .messages = { NPT_CLIENT(180,
				   "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Se"),
			NPT_SERVER(90, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"),
			NPT_CLIENT_ALL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
			NPT_SERVER_ALL("\0\0\x05\x01\x04\0\0\0\x01\x88\x5c\x02\x31\x30") } },
	{ .name = "HTTP/2: gRPC-Web, in Huffman's code",
	  .near = NPT_PROTOCOL_GRPC,
	  .protocol = NPT_PROTOCOL_HTTP2,
	  .messages = { NPT_CLIENT_ALL(
				"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
				"\0\0\x12\x01\x04\0\0\0\x01\x83\x86\x84\x5f\x8d\x1d\x75\xd0\x62"
				"\x0d\x26\x3d\x4c\x4d\x65\x64\x5b\xff"),
			NPT_SERVER_ALL("\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0") } },
	{ .name = "gRPC: a type with a suffix, plain, in a padded HEADERS",
	  .protocol = NPT_PROTOCOL_GRPC,
	  .via = NPT_PROTOCOL_HTTP2,
	  .messages = { NPT_CLIENT_ALL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
			NPT_SERVER_ALL("\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0"),
			NPT_CLIENT_ALL("\0\0\0\x04\x01\0\0\0\0\0\0\x23\x01\x2c\0\0\0\x01\x02"
				       "\0\0\0\0\x10\x83\x86\x0f\x10\x16"
				       "application/grpc+proto\0\0") } },
	{ .name = "PROXY 1, HTTP/1",
	  .protocol = NPT_PROTOCOL_HTTP1,
	  .messages = { NPT_CLIENT_ALL("PROXY TCP4 10.0.0.1 10.0.0.2 56324 443\r\n"
				       "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
			NPT_SERVER(150, "HTTP/1.1 200 OK\r\n") } },
	{ .name = "PROXY 1, IPv6 as long as it can be, Redis",
	  .protocol = NPT_PROTOCOL_REDIS,
	  .messages = { NPT_CLIENT_ALL("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
				       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"
				       "*1\r\n$4\r\nPING\r\n"),
			NPT_SERVER_ALL("+PONG\r\n") } },
	{ .name = "PROXY 1, unknown, PostgreSQL",
	  .protocol = NPT_PROTOCOL_POSTGRESQL,
	  .messages = { NPT_CLIENT_ALL("PROXY UNKNOWN\r\n\0\0\0\x29\0\x03\0\0user\0postgres\0"
				       "database\0postgres\0\0"),
			NPT_SERVER_ALL("R\0\0\0\x08\0\0\0\0") } },
	{ .name = "PROXY 2, TLS",
	  .protocol = NPT_PROTOCOL_TLS,
	  .messages = { NPT_CLIENT(248, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02"
					"\xdc\x04\x01\xbb" CLIENT_HELLO),
			NPT_SERVER(1208, SERVER_HELLO) } },
	{ .name = "PROXY 2, HTTP/1 that nobody answers",
	  .protocol = NPT_PROTOCOL_HTTP1,
	  .messages = { NPT_CLIENT_ALL("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02"
				       "\xdc\x04\x01\xbb"
				       "GET / HTTP/1.1\r\nHost: a\r\n\r\n") } },
	{ .name = "PROXY 2, IPv6 and more, a server that speaks first",
	  .protocol = NPT_PROTOCOL_SMTP,
	  .messages = { NPT_CLIENT(64,
				   "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x30" ZEROS_16 ZEROS_16 ZEROS_16),
			NPT_SERVER_ALL("220 mail.example.com ESMTP Postfix\r\n") } },
	{ .name = "TLS: an alert is the answer",
	  .protocol = NPT_PROTOCOL_TLS,
	  .messages = { NPT_CLIENT(220, CLIENT_HELLO),
			NPT_SERVER_ALL("\x15\x03\x03\0\x02\x02\x28") } },
	{ .name = "TLS: data in both directions",
	  .later = true,
	  .protocol = NPT_PROTOCOL_TLS,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT(205, "\x17\x03\x03\0\xc8\x01\x02\x03\x04\x05"),
			NPT_SERVER(1005, "\x17\x03\x03\x03\xe8\x01\x02\x03\x04\x05") } },
	{ .name = "MySQL 8: greeting, login",
	  .protocol = NPT_PROTOCOL_MYSQL,
	  .messages = { NPT_SERVER(78, "\x4a\0\0\0\x0a"
				       "8.0.36\0\x08\0\0\0\x12\x1c\x55\x27\x30\x6a\x1b\x5d\0"
				       "\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0"),
			NPT_CLIENT(200, "\xc4\0\0\x01\x8d\xa6\xff\x19\0\0\0\x01\xff" ZEROS_16
					"\0\0\0\0\0\0\0root\0\x20"),
			NPT_SERVER_ALL("\x02\0\0\x02\x01\x03") } },
	{ .name = "MySQL 8: attributes before the text; an error",
	  .later = true,
	  .protocol = NPT_PROTOCOL_MYSQL,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("\x0e\0\0\0\x03\0\x01"
				       "SELECT nope"
				       ""),
			NPT_SERVER_ALL(
				"\x2e\0\0\x01\xff\x1e\x04#42S22Unknown column 'nope' in 'field "
				"list'") } },
	{ .name = "MySQL: a prepared statement",
	  .later = true,
	  .protocol = NPT_PROTOCOL_MYSQL,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("\x0a\0\0\0\x17\x01\0\0\0\0\x01\0\0\0"),
			NPT_SERVER_ALL("\x07\0\0\x01\0\x01\0\x02\0\0\0") } },
	{ .name = "PostgreSQL: GSS is asked for first",
	  .protocol = NPT_PROTOCOL_TLS,
	  .via = NPT_PROTOCOL_POSTGRESQL,
	  .inside = NPT_PROTOCOL_POSTGRESQL,
	  .messages = { NPT_CLIENT_ALL("\0\0\0\x08\x04\xd2\x16\x30"), NPT_SERVER_ALL("N"),
			NPT_CLIENT_ALL("\0\0\0\x08\x04\xd2\x16\x2f"), NPT_SERVER_ALL("S"),
			NPT_CLIENT(220, CLIENT_HELLO), NPT_SERVER(1208, SERVER_HELLO) } },
	{ .name = "PostgreSQL: extended queries",
	  .later = true,
	  .protocol = NPT_PROTOCOL_POSTGRESQL,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL(
				"P\0\0\0\x15\0SELECT $1::int\0\0\0B\0\0\0\x0c\0\0\0\0\0\0\0\0"
				"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"),
			NPT_SERVER_ALL("1\0\0\0\x04\x32\0\0\0\x04\x43\0\0\0\x0dSELECT "
				       "1\0Z\0\0\0\x05I") } },
	{ .name = "Redis: RESP3",
	  .protocol = NPT_PROTOCOL_REDIS,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"),
			NPT_SERVER(150, "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n") } },
	{ .name = "Redis: not allowed",
	  .protocol = NPT_PROTOCOL_REDIS,
	  .messages = { NPT_CLIENT_ALL("*1\r\n$4\r\nPING\r\n"),
			NPT_SERVER_ALL("-NOAUTH Authentication required.\r\n") } },
	{ .name = "NATS: an error, pings",
	  .protocol = NPT_PROTOCOL_NATS,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("PUB orders.new 5\r\nhello\r\n"), NPT_SERVER_ALL("PING\r\n"),
			NPT_CLIENT_ALL("PONG\r\n") } },
	{ .name = "MQTT: pings",
	  .later = true,
	  .protocol = NPT_PROTOCOL_MQTT,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("\xc0\0"), NPT_SERVER_ALL("\xd0\0") } },
	{ .name = "AMQP 0-9-1: published and delivered",
	  .protocol = NPT_PROTOCOL_AMQP,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT(
				80,
				"\x01\0\x01\0\0\0\x0f\0\x3c\0\x28\0\0\0\x06orders\0\xce\x02\0\x01"),
			NPT_SERVER(90, "\x01\0\x01\0\0\0\x20\0\x3c\0\x3c\x04tag1" ZEROS_8
				       "\0\0\x06orders\x01k\xce") } },
	{ .name = "AMQP 0-9-1: heartbeats",
	  .later = true,
	  .protocol = NPT_PROTOCOL_AMQP,
	  .from_middle = 1,
	  .messages = { NPT_SERVER_ALL("\x08\0\0\0\0\0\0\xce"),
			NPT_CLIENT_ALL("\x08\0\0\0\0\0\0\xce") } },
	{ .name = "SMTP: a greeting that does not say so",
	  .protocol = NPT_PROTOCOL_SMTP,
	  .messages = { NPT_SERVER_ALL("220 mx.example.com ready\r\n"),
			NPT_CLIENT_ALL("EHLO client.example.com\r\n") } },
	{ .name = "Kafka: versions asked for and given",
	  .protocol = NPT_PROTOCOL_KAFKA,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL(
				"\0\0\0\x24\0\x12\0\x03\0\0\0\x01\0\x07rdkafka\0\x0blibrdkafka\x06"
				"2.3.0\0"),
			NPT_SERVER(400, "\0\0\x01\x8c\0\0\0\x01\0\0\x3b\0\0\0\0\0\x0a\0"),
			NPT_CLIENT(300,
				   "\0\0\x01\x28\0\x03\0\x0c\0\0\0\x02\0\x07rdkafka\0\x02") } },
	{ .name = "Kafka: a client without a name",
	  .protocol = NPT_PROTOCOL_KAFKA,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("\0\0\0\x0e\0\x03\0\x01\0\0\0\x09\xff\xff\0\0\0\0"),
			NPT_SERVER(100, "\0\0\0\x60\0\0\0\x09\0\0\0\x01\0\0\0\x01") } },
	{ .name = "QUIC 2",
	  .protocol = NPT_PROTOCOL_QUIC,
	  .datagram = true,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT(1200,
				   "\xd8\x6b\x33\x43\xcf\x08\x01\x02\x03\x04\x05\x06\x07\x08\0\0"),
			NPT_SERVER(
				1200,
				"\xd9\x6b\x33\x43\xcf\0\x08\x01\x02\x03\x04\x05\x06\x07\x08\0") } },
	/* Untested on a server. */
	{ .name = "MongoDB: hello and a query",
	  .protocol = NPT_PROTOCOL_MONGODB,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT(60,
				   "\x3c\0\0\0\x01\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0admin.$cmd\0"),
			NPT_SERVER(200,
				   "\xc8\0\0\0\x11\0\0\0\x01\0\0\0\x01\0\0\0\x08\0\0\0" ZEROS_8),
			NPT_CLIENT(
				90,
				"\x5a\0\0\0\x02\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x45\0\0\0\x02"),
			NPT_SERVER(70, "\x46\0\0\0\x12\0\0\0\x02\0\0\0\xdd\x07\0\0\0\0\0\0\0\x31\0"
				       "\0\0\x01") } },
	{ .name = "Cassandra 4: options, startup, a query",
	  .protocol = NPT_PROTOCOL_CASSANDRA,
	  .from_middle = 3,
	  .messages = { NPT_CLIENT_ALL("\x04\0\0\0\x05\0\0\0\0"),
			NPT_SERVER(96, "\x84\0\0\0\x06\0\0\0\x57\0\x02\0\x0b"
				       "CQL_VERSION\0\x01"),
			NPT_CLIENT_ALL("\x04\0\0\x01\x01\0\0\0\x16\0\x01\0\x0b"
				       "CQL_VERSION\0\x05"
				       "3.0.0"),
			NPT_SERVER_ALL("\x84\0\0\x01\x02\0\0\0\0"),
			NPT_CLIENT(50, "\x04\0\0\x02\x07\0\0\0\x29\0\0\0\x22"
				       "SELECT key FROM system.local"),
			NPT_SERVER(120, "\x84\0\0\x02\x08\0\0\0\x6f\0\0\0\x02\0\0\0\x01") } },
	{ .name = "Dubbo: a call",
	  .protocol = NPT_PROTOCOL_DUBBO,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT(200, "\xda\xbb\xc2\0\0\0\0\0\0\0\0\x01\0\0\0\xb8\x05"
					"2.0.2"),
			NPT_SERVER(40,
				   "\xda\xbb\x02\x14\0\0\0\0\0\0\0\x01\0\0\0\x18\x94\x05hello") } },
	{ .name = "Dubbo: a heartbeat",
	  .protocol = NPT_PROTOCOL_DUBBO,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("\xda\xbb\xe2\0\0\0\0\0\0\0\0\x02\0\0\0\x01N"),
			NPT_SERVER_ALL("\xda\xbb\x22\x14\0\0\0\0\0\0\0\x02\0\0\0\x01N") } },
	{ .name = "Thrift: compact, framed",
	  .protocol = NPT_PROTOCOL_THRIFT,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("\0\0\0\x13\x82\x21\x01\x0a"
				       "addNumbers\x15\x02\x15\x04\0"),
			NPT_SERVER_ALL("\0\0\0\x12\x82\x41\x01\x0a"
				       "addNumbers\x05\0\x06\0") } },
	{ .name = "Thrift: compact",
	  .protocol = NPT_PROTOCOL_THRIFT,
	  .from_middle = 1,
	  .messages = { NPT_CLIENT_ALL("\x82\x21\x01\x0a"
				       "addNumbers\x15\x02\x15\x04\0"),
			NPT_SERVER_ALL("\x82\x41\x01\x0a"
				       "addNumbers\x05\0\x06\0") } },
	{ .name = "ZooKeeper: a session, a ping, a look",
	  .protocol = NPT_PROTOCOL_ZOOKEEPER,
	  .from_middle = 3,
	  .messages = { NPT_CLIENT_ALL("\0\0\0\x2d\0\0\0\0" ZEROS_8 "\0\0\x75\x30" ZEROS_8
				       "\0\0\0\x10" ZEROS_16 "\0"),
			NPT_SERVER_ALL("\0\0\0\x25\0\0\0\0\0\0\x75\x30\x01\0\x01\x02\x03\x04\0\0"
				       "\0\0\0\x10" ZEROS_16 "\0"),
			NPT_CLIENT_ALL("\0\0\0\x08\xff\xff\xff\xfe\0\0\0\x0b"),
			NPT_SERVER_ALL("\0\0\0\x10\xff\xff\xff\xfe\0\0\0\0\0\0\0\x05\0\0\0\0"),
			NPT_CLIENT_ALL("\0\0\0\x14\0\0\0\x01\0\0\0\x04\0\0\0\x07/a/path\0"),
			NPT_SERVER(
				80,
				"\0\0\0\x4c\0\0\0\x01\0\0\0\x01\0\0\0\x05\0\0\0\0\0\0\0\x02hi") } },
	{ .name = "AMQP 1.0: SASL, then AMQP",
	  .protocol = NPT_PROTOCOL_AMQP1,
	  .messages = { NPT_CLIENT_ALL("AMQP\x03\x01\0\0"), NPT_SERVER_ALL("AMQP\x03\x01\0\0"),
			NPT_CLIENT_ALL("AMQP\0\x01\0\0"), NPT_SERVER_ALL("AMQP\0\x01\0\0") } },
};

const size_t npt_protocol_specified_count =
	sizeof(npt_protocol_specified) / sizeof(npt_protocol_specified[0]);
