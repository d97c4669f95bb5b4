/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other protocols say, by their specifications: near relatives of those that get a label, and
 * what else is met in a cluster. None of them may get one.
 */
#include "tests/support/protocol_samples.h"

#define ZEROS_8  "\0\0\0\0\0\0\0\0"
#define ZEROS_16 ZEROS_8 ZEROS_8

const struct npt_protocol_sample npt_protocol_others[] = {
	{ .name = "FTP",
	  .messages = { NPT_SERVER_ALL("220 (vsFTPd 3.0.3)\r\n"),
			NPT_CLIENT_ALL("USER anonymous\r\n"),
			NPT_SERVER_ALL("331 Please specify the password.\r\n"),
			NPT_CLIENT_ALL("PASS x\r\n"), NPT_SERVER_ALL("230 Login successful.\r\n"),
			NPT_CLIENT_ALL("CWD /\r\n"),
			NPT_SERVER_ALL("250 Directory successfully changed.\r\n"),
			NPT_CLIENT_ALL("STAT\r\n") } },
	{ .name = "POP3",
	  .messages = { NPT_SERVER_ALL("+OK Dovecot ready.\r\n"), NPT_CLIENT_ALL("USER a\r\n"),
			NPT_SERVER_ALL("+OK\r\n"), NPT_CLIENT_ALL("PASS b\r\n"),
			NPT_SERVER_ALL("-ERR [AUTH] Authentication failed.\r\n"),
			NPT_CLIENT_ALL("QUIT\r\n"), NPT_SERVER_ALL("+OK\r\n") } },
	{ .name = "IMAP",
	  .messages = { NPT_SERVER_ALL("* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"),
			NPT_CLIENT_ALL("a LOGIN user secret\r\n"),
			NPT_SERVER_ALL("a OK Logged in\r\n"), NPT_CLIENT_ALL("a SELECT INBOX\r\n"),
			NPT_SERVER_ALL("* 3 EXISTS\r\n") } },
	{ .name = "RTSP",
	  .messages = { NPT_CLIENT_ALL(
				"OPTIONS rtsp://example.com/media RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
			NPT_SERVER_ALL("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n") } },
	{ .name = "SIP over TCP",
	  .messages = { NPT_CLIENT_ALL("OPTIONS sip:carol@example.com SIP/2.0\r\n"),
			NPT_SERVER_ALL("SIP/2.0 200 OK\r\n") } },
	{ .name = "ICAP",
	  .messages = { NPT_CLIENT_ALL("OPTIONS icap://example.com/echo ICAP/1.0\r\n"),
			NPT_SERVER_ALL("ICAP/1.0 200 OK\r\n") } },
	{ .name = "HTTP/0.9",
	  .messages = { NPT_CLIENT_ALL("GET /index.html\r\n"), NPT_SERVER_ALL("<html></html>") } },
	{ .name = "IRC",
	  .messages = { NPT_CLIENT_ALL("NICK a\r\nUSER a 0 * :a\r\n"),
			NPT_SERVER_ALL("PING :12345\r\n"), NPT_CLIENT_ALL("PONG :12345\r\n") } },
	{ .name = "beanstalkd",
	  .near = NPT_PROTOCOL_MEMCACHED,
	  .messages = { NPT_CLIENT_ALL("put 0 0 60 5\r\nhello\r\n"),
			NPT_SERVER_ALL("INSERTED 1\r\n"), NPT_CLIENT_ALL("delete 1\r\n"),
			NPT_SERVER_ALL("DELETED\r\n"), NPT_CLIENT_ALL("stats-job 1\r\n"),
			NPT_SERVER_ALL("NOT_FOUND\r\n") } },
	{ .name = "STOMP",
	  .messages = { NPT_CLIENT_ALL("CONNECT\naccept-version:1.2\nhost:a\n\n\0"),
			NPT_SERVER_ALL("CONNECTED\nversion:1.2\n\n\0") } },
	{ .name = "NSQ",
	  .messages = { NPT_CLIENT_ALL("  V2PUB topic\n\0\0\0\x05hello"),
			NPT_SERVER_ALL("\0\0\0\x06\0\0\0\0OK") } },
	{ .name = "rsync",
	  .messages = { NPT_SERVER_ALL("@RSYNCD: 31.0\n"), NPT_CLIENT_ALL("@RSYNCD: 31.0\n") } },
	{ .name = "git",
	  .messages = { NPT_CLIENT_ALL("0033git-upload-pack /project.git\0host=a\0"),
			NPT_SERVER(900, "00e11d3fcd5ced445d1abc402225c0b8a1299641f497") } },
	{ .name = "whois",
	  .messages = { NPT_CLIENT_ALL("example.com\r\n"),
			NPT_SERVER_ALL("% This is the whois server\r\n") } },
	{ .name = "Graphite",
	  .messages = { NPT_CLIENT_ALL("local.random.diceroll 4 1700000000\n") } },
	{ .name = "syslog",
	  .messages = { NPT_CLIENT_ALL("<34>1 2026-10-11T22:14:15Z a su - ID47 - x\n") } },
	{ .name = "telnet",
	  .messages = { NPT_SERVER_ALL("\xff\xfd\x18\xff\xfd\x20"),
			NPT_CLIENT_ALL("\xff\xfb\x18\xff\xfc\x20") } },
	{ .name = "VNC",
	  .messages = { NPT_SERVER_ALL("RFB 003.008\n"), NPT_CLIENT_ALL("RFB 003.008\n") } },
	{ .name = "SOCKS 5",
	  .messages = { NPT_CLIENT_ALL("\x05\x01\0"), NPT_SERVER_ALL("\x05\0"),
			NPT_CLIENT_ALL("\x05\x01\0\x01\x0a\0\0\x01\0\x50"),
			NPT_SERVER_ALL("\x05\0\0\x01\x0a\0\0\x02\x1f\x90") } },
	{ .name = "LDAP",
	  .messages = { NPT_CLIENT_ALL("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0"),
			NPT_SERVER_ALL("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"),
			NPT_CLIENT(60, "\x30\x3a\x02\x01\x02\x63\x35\x04\x13"
				       "dc=example,dc=com") } },
	{ .name = "SMB 2",
	  .messages = { NPT_CLIENT(108, "\0\0\0\x68\xfeSMB\x40\0\0\0\0\0\0\0\0\0\x1f\0"),
			NPT_SERVER(240, "\0\0\0\xec\xfeSMB\x40\0\0\0\0\0\0\0\0\0\x01\0") } },
	{ .name = "NFS (SunRPC)",
	  .messages = { NPT_CLIENT_ALL(
				"\x80\0\0\x28\x12\x34\x56\x78\0\0\0\0\0\0\0\x02\0\x01\x86\xa3"
				"\0\0\0\x03\0\0\0\0" ZEROS_16),
			NPT_SERVER_ALL("\x80\0\0\x18\x12\x34\x56\x78\0\0\0\x01\0\0\0\0" ZEROS_8
				       "\0\0\0\0") } },
	{ .name = "SQL Server (TDS)",
	  .messages = { NPT_CLIENT(47,
				   "\x12\x01\0\x2f\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20\0\x01\x02\0"),
			NPT_SERVER(
				43,
				"\x04\x01\0\x2b\0\0\x01\0\0\0\x1a\0\x06\x01\0\x20\0\x01\x02\0") } },
	{ .name = "Oracle (TNS)",
	  .messages = { NPT_CLIENT(
				230,
				"\0\xe6\0\0\x01\0\0\0\x01\x3a\x01\x2c\x0c\x41\x20\0\xff\xff\x7f"),
			NPT_SERVER(8, "\0\x08\0\0\x0b\0\0\0") } },
	{ .name = "RDP",
	  .messages = { NPT_CLIENT_ALL("\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0"),
			NPT_SERVER_ALL("\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x0f\x08\0\x02"
				       "\0\0\0") } },
	{ .name = "BGP",
	  .messages = { NPT_CLIENT_ALL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
				       "\xff\xff\xff\xff\0\x1d\x01\x04\xfd\xe8\0\xb4\x0a"
				       "\0\0\x01\0") } },
	{ .name = "ZMTP",
	  .messages = { NPT_CLIENT_ALL("\xff\0\0\0\0\0\0\0\x01\x7f\x03"),
			NPT_SERVER_ALL("\xff\0\0\0\0\0\0\0\x01\x7f\x03") } },
	{ .name = "BitTorrent",
	  .messages = { NPT_CLIENT_ALL("\x13"
				       "BitTorrent protocol" ZEROS_8 ZEROS_16),
			NPT_SERVER_ALL("\x13"
				       "BitTorrent protocol" ZEROS_8 ZEROS_16) } },
	{ .name = "Pulsar",
	  .messages = { NPT_CLIENT(50, "\0\0\0\x2e\0\0\0\x2a\x08\x02\x12\x26\x0a\x05"
				       "2.7.2"),
			NPT_SERVER(40, "\0\0\0\x24\0\0\0\x20\x08\x03\x1a\x1c\x0a\x0d") } },
	{ .name = "RocketMQ",
	  .messages = { NPT_CLIENT(180,
				   "\0\0\0\xb0\0\0\0\xa8{\"code\":105,\"extFields\":{\"topic\":"),
			NPT_SERVER(300, "\0\0\x01\x28\0\0\0\x60{\"code\":0,\"flag\":1,") } },
	{ .name = "ClickHouse",
	  .messages = { NPT_CLIENT_ALL("\0\x11"
				       "ClickHouse client\x15\x06\xb2\xa9\x03\0\x07"
				       "default\0"),
			NPT_SERVER_ALL("\0\x0a"
				       "ClickHouse\x15\x06\xb2\xa9\x03\x03UTC") } },
	{ .name = "Not Kafka: the answer is to another request",
	  .near = NPT_PROTOCOL_KAFKA,
	  .messages = { NPT_CLIENT_ALL("\0\0\0\x0e\0\x03\0\x01\0\0\0\x09\xff\xff\0\0\0\0"),
			NPT_SERVER(100, "\0\0\0\x60\0\0\0\x0a\0\0\0\x01\0\0\0\x01") } },
	{ .name = "Not a PROXY header: in the middle of a connection",
	  .later = true,
	  .via = NPT_PROTOCOL_HTTP1, /* from the second line on it is */
	  .messages = { NPT_CLIENT_ALL("PROXY TCP4 10.0.0.1 10.0.0.2 56324 443\r\n"
				       "GET / HTTP/1.1\r\nHost: a\r\n\r\n") } },
	{ .name = "Not QUIC: a client's first datagram is padded",
	  .datagram = true,
	  .via = NPT_PROTOCOL_QUIC, /* of another side, and later, it may be so short */
	  .messages = { NPT_CLIENT(60,
				   "\xc0\0\0\0\x01\x08" ZEROS_8 "\0\0\x2d\0\0\0\0" ZEROS_16) } },
	{ .name = "Not FastCGI: a role that nobody has",
	  .near = NPT_PROTOCOL_FASTCGI,
	  .messages = { NPT_CLIENT_ALL("\x01\x01\0\x01\0\x08\0\0\0\x04\0\0\0\0\0\0") } },
	{ .name = "Not Thrift: a server that calls",
	  .via = NPT_PROTOCOL_THRIFT, /* if it is not known who is the server */
	  .messages = { NPT_SERVER_ALL("\x80\x01\0\x01\0\0\0\x04ping\0\0\0\0\0") } },
	{ .name = "Memberlist",
	  .messages = { NPT_CLIENT(90, "\x06\x83\xa5Nodes\x01\xacUserStateLen\0"),
			NPT_SERVER(90, "\x06\x83\xa5Nodes\x01\xacUserStateLen\0") } },
	{ .name = "AMQP 0-10",
	  .messages = { NPT_CLIENT_ALL("AMQP\x01\x01\0\x0a"),
			NPT_SERVER_ALL("AMQP\x01\x01\0\x0a") } },
	{ .name = "SSL 2",
	  .messages = { NPT_CLIENT(46, "\x80\x2c\x01\0\x02\0\x03\0\0\0\x20\0\0\x39\0\0\x38") } },
	{ .name = "A prefix of zeros",
	  .messages = { NPT_CLIENT_ALL(ZEROS_16 ZEROS_16), NPT_SERVER_ALL(ZEROS_16 ZEROS_16) } },
	{ .name = "NTP",
	  .datagram = true,
	  .messages = { NPT_CLIENT_ALL("\x23\0\x06\x20" ZEROS_16 ZEROS_16 ZEROS_8 "\0\0\0\0"),
			NPT_SERVER_ALL("\x24\x02\x06\xe8" ZEROS_16 ZEROS_16 ZEROS_8 "\0\0\0\0") } },
	{ .name = "STUN",
	  .datagram = true,
	  .messages = { NPT_CLIENT_ALL("\0\x01\0\0\x21\x12\xa4\x42"
				       "abcdefghijkl"),
			NPT_SERVER_ALL("\x01\x01\0\x0c\x21\x12\xa4\x42"
				       "abcdefghijkl"
				       "\0\x20\0\x08\0\x01\xa1\x47\xe1\x12\xa6\x43") } },
	{ .name = "SNMP",
	  .datagram = true,
	  .messages = { NPT_CLIENT_ALL(
		  "\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x01\x02\x01\0"
		  "\x02\x01\0\x30\x0e") } },
	{ .name = "NetBIOS names",
	  .near = NPT_PROTOCOL_DNS,
	  .datagram = true,
	  .messages = { NPT_CLIENT_ALL("\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x20"
				       "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01") } },
	{ .name = "DTLS",
	  .datagram = true,
	  .messages = { NPT_CLIENT(
		  150, "\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x89\x01\0\0\x7d\0\0\0\0\0\0\0\x7d") } },
	{ .name = "Syslog over UDP",
	  .datagram = true,
	  .messages = { NPT_CLIENT_ALL("<34>Oct 11 22:14:15 a su: 'su root' failed") } },
	{ .name = "VXLAN",
	  .datagram = true,
	  .messages = { NPT_CLIENT(100, "\x08\0\0\0\0\0\x01\0\x02\x42\x0a\0\0\x01") } },
	{ .name = "RTP",
	  .datagram = true,
	  .messages = { NPT_CLIENT(172, "\x80\0\0\x01\0\0\0\xa0\x12\x34\x56\x78\xff\xff\xff") } },
};

const size_t npt_protocol_others_count =
	sizeof(npt_protocol_others) / sizeof(npt_protocol_others[0]);
