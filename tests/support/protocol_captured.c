/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What real programs said to each other over loopback, cut where the classifier cannot see it: the
 * program and its version are in each name. Random parts (keys, scrambles) are as they were.
 */
#include "tests/support/protocol_samples.h"

const struct npt_protocol_sample npt_protocol_captured[] = {
	{
		.name = "Redis: redis-cli 7.0",
		.protocol = NPT_PROTOCOL_REDIS,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(27, "*2\r\n$7\r\nCOMMAND\r\n$4\r\nDOCS\r\n"),
			NPT_SERVER(172298, "*480\r\n$6\r\nunlink\r\n*10\r\n$7\r\nsummary\r\n$93"
			  "\r\nDelete a key asynchrono"),
			NPT_CLIENT(22, "*2\r\n$3\r\nget\r\n$3\r\nkey\r\n"),
			NPT_SERVER(11, "$5\r\nvalue\r\n"),
			NPT_CLIENT(23, "*2\r\n$3\r\nget\r\n$4\r\nnone\r\n"),
			NPT_SERVER(5, "$-1\r\n"),
		},
	},
	{
		.name = "Redis: set",
		.protocol = NPT_PROTOCOL_REDIS,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(33, "*3\r\n$3\r\nset\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"),
			NPT_SERVER(5, "+OK\r\n"),
		},
	},
	{
		.name = "NATS: nats-py, nats-server 2.9",
		.protocol = NPT_PROTOCOL_NATS,
		.from_middle = 4,
		.messages = {
			NPT_SERVER(304, "INFO {\"server_id\":\"NBEE6XL34GCPUFPWRWZO34RPDU6LY4"
			  "M52IH3FDLLUNHMZ"),
			NPT_CLIENT(162, "CONNECT {\"echo\": true, \"headers\": true, \"lang\""
			  ": \"python3\", \"no_r"),
			NPT_SERVER(6, "PONG\r\n"),
			NPT_CLIENT(131, "SUB greet  1\r\nSUB _INBOX.dqjNn4tQVXnpIM03Qqf20g.* "
			  " 2\r\nPUB greet "),
			NPT_SERVER(79, "MSG greet 1 _INBOX.dqjNn4tQVXnpIM03Qqf20g.dqjNn4tQVX"
			  "npIM03Qqf22h"),
			NPT_CLIENT(69, "PUB _INBOX.dqjNn4tQVXnpIM03Qqf20g.dqjNn4tQVXnpIM03Qq"
			  "f22h75b9  2\r"),
			NPT_SERVER(70, "MSG _INBOX.dqjNn4tQVXnpIM03Qqf20g.dqjNn4tQVXnpIM03Qq"
			  "f22h75b9 2 2"),
			NPT_CLIENT(27, "PING\r\nPUB greet.x  3\r\nabc\r\n"),
		},
	},
	{
		.name = "MQTT 3.1.1: mosquitto 2.0",
		.protocol = NPT_PROTOCOL_MQTT,
		.from_middle = 3,
		.messages = {
			NPT_CLIENT(14, "\x10\x0c\x00\x04MQTT\x04\x02\x00<\x00\x00"),
			NPT_SERVER(4, " \x02\x00\x00"),
			NPT_CLIENT(14, "\x82\x0c\x00\x01\x00\x07" "a/topic\x01"),
			NPT_SERVER(23, "\x90\x03\x00\x01\x01" "2\x10\x00\x07" "a/topic\x00"
			  "\x01hello"),
			NPT_CLIENT(6, "@\x02\x00\x01\xe0\x00"),
		},
	},
	{
		.name = "MQTT 3.1.1: published to",
		.protocol = NPT_PROTOCOL_MQTT,
		.from_middle = 3,
		.messages = {
			NPT_CLIENT(14, "\x10\x0c\x00\x04MQTT\x04\x02\x00<\x00\x00"),
			NPT_SERVER(4, " \x02\x00\x00"),
			NPT_CLIENT(18, "2\x10\x00\x07" "a/topic\x00\x01hello"),
			NPT_SERVER(4, "@\x02\x00\x01"),
			NPT_CLIENT(2, "\xe0\x00"),
		},
	},
	{
		.name = "MQTT 5: mosquitto 2.0",
		.protocol = NPT_PROTOCOL_MQTT,
		.messages = {
			NPT_CLIENT(18, "\x10\x10\x00\x04MQTT\x05\x02\x00<\x03!\x00\x14\x00"
			  "\x00"),
			NPT_SERVER(55, " 5\x00\x00" "2\"\x00\n\x12\x00)auto-33248640-F757-B8"
			  "75-F868-129C97FDC44B!\x00\x14"),
			NPT_CLIENT(19, "2\x11\x00\x07" "a/topic\x00\x01\x00hello"),
			NPT_SERVER(5, "@\x03\x00\x01\x10"),
			NPT_CLIENT(2, "\xe0\x00"),
		},
	},
	{
		.name = "MQTT 3.1: mosquitto 2.0",
		.protocol = NPT_PROTOCOL_MQTT,
		.messages = {
			NPT_CLIENT(39, "\x10%\x00\x06MQIsdp\x03\x02\x00<\x00\x17mosq-DVVxeHi"
			  "vRBxxSETpzK"),
			NPT_SERVER(4, " \x02\x00\x00"),
			NPT_CLIENT(18, "0\x0e\x00\x07" "a/topichello\xe0\x00"),
		},
	},
	{
		.name = "Memcached 1.6: text",
		.protocol = NPT_PROTOCOL_MEMCACHED,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(23, "set key 0 60 5\r\nvalue\r\n"),
			NPT_SERVER(8, "STORED\r\n"),
			NPT_CLIENT(9, "get key\r\n"),
			NPT_SERVER(27, "VALUE key 0 5\r\nvalue\r\nEND\r\n"),
			NPT_CLIENT(10, "get none\r\n"),
			NPT_SERVER(5, "END\r\n"),
		},
	},
	{
		.name = "Memcached 1.6: a miss",
		.protocol = NPT_PROTOCOL_MEMCACHED,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(10, "get none\r\n"),
			NPT_SERVER(5, "END\r\n"),
			NPT_CLIENT(12, "delete key\r\n"),
			NPT_SERVER(9, "DELETED\r\n"),
			NPT_CLIENT(9, "version\r\n"),
			NPT_SERVER(16, "VERSION 1.6.18\r\n"),
		},
	},
	{
		.name = "Memcached 1.6: meta commands",
		.protocol = NPT_PROTOCOL_MEMCACHED,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(10, "mg foo v\r\n"),
			NPT_SERVER(4, "EN\r\n"),
			NPT_CLIENT(14, "ms foo 2\r\nhi\r\n"),
			NPT_SERVER(4, "HD\r\n"),
			NPT_CLIENT(12, "mg foo v t\r\n"),
			NPT_SERVER(14, "VA 2 t-1\r\nhi\r\n"),
		},
	},
	{
		.name = "Memcached 1.6: binary",
		.protocol = NPT_PROTOCOL_MEMCACHED,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(40, "\x80\x01\x00\x03\x08\x00\x00\x00\x00\x00\x00\x10\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			  "\x00\x00\x00\x00\x00\x00keyvalue"),
			NPT_SERVER(24, "\x81\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03"),
			NPT_CLIENT(27, "\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00key"),
			NPT_SERVER(33, "\x81\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x09\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00"
			  "\x00\x00value"),
			NPT_CLIENT(28, "\x80\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x04\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00none"),
			NPT_SERVER(33, "\x81\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00Not foun"
			  "d"),
		},
	},
	{
		.name = "AMQP 0-9-1: pika, RabbitMQ 3.10",
		.protocol = NPT_PROTOCOL_AMQP,
		.from_middle = 4,
		.messages = {
			NPT_CLIENT(8, "AMQP\x00\x00\x09\x01"),
			NPT_SERVER(501, "\x01\x00\x00\x00\x00\x01\xed\x00\n\x00\n\x00\x09\x00"
			  "\x00\x01\xc8\x0c" "capabilitiesF\x00\x00\x00\xc7\x12"
			  "publisher_confirmst\x01\x1a" "exchang"),
			NPT_CLIENT(328, "\x01\x00\x00\x00\x00\x01@\x00\n\x00\x0b\x00\x00\x01"
			  "\x1c\x07productS\x00\x00\x00\x1aPika Python Client L"
			  "ibrary\x08platformS"),
			NPT_SERVER(20, "\x01\x00\x00\x00\x00\x00\x0c\x00\n\x00\x1e\x07\xff"
			  "\x00\x02\x00\x00\x00<\xce"),
			NPT_CLIENT(36, "\x01\x00\x00\x00\x00\x00\x0c\x00\n\x00\x1f\x07\xff"
			  "\x00\x02\x00\x00\x00<\xce\x01\x00\x00\x00\x00\x00"
			  "\x08\x00\n\x00(\x01/\x00\x01\xce"),
			NPT_SERVER(13, "\x01\x00\x00\x00\x00\x00\x05\x00\n\x00)\x00\xce"),
			NPT_CLIENT(13, "\x01\x00\x01\x00\x00\x00\x05\x00\x14\x00\n\x00\xce"),
			NPT_SERVER(16, "\x01\x00\x01\x00\x00\x00\x08\x00\x14\x00\x0b\x00\x00"
			  "\x00\x00\xce"),
		},
	},
	{
		.name = "DNS: dig 9.18",
		.protocol = NPT_PROTOCOL_DNS,
		.datagram = true,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(71, "\xde>\x01 \x00\x01\x00\x00\x00\x00\x00\x01\x07review"
			  "s\x04shop\x03svc\x07" "cluster\x05local\x00\x00\x01"
			  "\x00\x01\x00\x00)\x04\xd0\x00\x00\x00\x00\x00\x0c"
			  "\x00\n\x00\x08\x82"),
			NPT_SERVER(75, "\xde>\x85\x00\x00\x01\x00\x01\x00\x00\x00\x01\x07rev"
			  "iews\x04shop\x03svc\x07" "cluster\x05local\x00\x00"
			  "\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00<"
			  "\x00\x04\n\x00\x00\x01"),
		},
	},
	{
		.name = "DNS: a name longer than is seen",
		.protocol = NPT_PROTOCOL_DNS,
		.datagram = true,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(95, "\x9e\x92\x01 \x00\x01\x00\x00\x00\x00\x00\x00\x1b"
			  "a-very-long-label-of-a-name\x12" "another-long-label"
			  "\x0cof-a-service\x03svc\x07" "cluster\x05local\x00"
			  "\x00\x01\x00\x01"),
			NPT_SERVER(111, "\x9e\x92\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00\x1b"
			  "a-very-long-label-of-a-name\x12" "another-long-label"
			  "\x0cof-a-service\x03svc\x07" "cluster\x05local\x00"
			  "\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00"
			  "<\x00\x04\n\x00\x00"),
		},
	},
	{
		.name = "DNS over TCP: dig 9.18",
		.protocol = NPT_PROTOCOL_DNS,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(54, "\x00" "4\x0f\x08\x01 \x00\x01\x00\x00\x00\x00\x00"
			  "\x01\x07" "example\x03" "com\x00\x00\x01\x00\x01\x00"
			  "\x00)\x04\xd0\x00\x00\x00\x00\x00\x0c\x00\n\x00\x08"
			  "\x18\xc6\xfcs\xd3\xbb\x8b\xce"),
			NPT_SERVER(58, "\x00" "8\x0f\x08\x85\x00\x00\x01\x00\x01\x00\x00\x00"
			  "\x01\x07" "example\x03" "com\x00\x00\x01\x00\x01\xc0"
			  "\x0c\x00\x01\x00\x01\x00\x00\x00<\x00\x04\n\x00\x00"
			  "\x01\x00\x00) \x00\x00\x00\x00\x00\x00\x00"),
		},
	},
	{
		.name = "QUIC 1: aioquic",
		.protocol = NPT_PROTOCOL_QUIC,
		.datagram = true,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(1200, "\xc8\x00\x00\x00\x01\x08\xbf\xff\x17\x89\xbd_\xa3"
			  "\xe3\x08\xaaw\xbe\xca\x1e\xed\x9b\xab\x00" "A\xd9&]s"
			  "k\xde\x9bS\xde\xc6!4\xe5\xeb\xd0%N\xb9\x19q +\x1a"
			  "\x1f\xd7\xe5l\xcc\x1cO\x1d\x88Il\?\xb6z~\xa8"),
			NPT_SERVER(1200, "\xc9\x00\x00\x00\x01\x08\xaaw\xbe\xca\x1e\xed\x9b"
			  "\xab\x08" "E\xb7\x0e\xcc\xd7;\x91\x9b\x00@\x97\xb3"
			  "e\x81\x9c&\xa2\xeb\x03\xd7\x9f\x0bN1\xafvH\xaeu\xa1"
			  "\"u\xc7\xf6\x12\x9c#A0\xa0\xd9\xdb\xa1\x8a\x9f}\xa6"
			  "\x13k"),
			NPT_SERVER(299, "\xee\x00\x00\x00\x01\x08\xaaw\xbe\xca\x1e\xed\x9b"
			  "\xab\x08" "E\xb7\x0e\xcc\xd7;\x91\x9b" "A\x12\xafvi"
			  "\xe2" "b\xd2\x97tP\xb7\xa5\xdb\x18" "c\x04\x8b\x04"
			  "\x0f\xfa |i\x96" "CW\x98kA\x0cj\xb0\xa3-\xb6\xa7{l_"
			  "\xa4"),
			NPT_CLIENT(1200, "\xcf\x00\x00\x00\x01\x08" "E\xb7\x0e\xcc\xd7;\x91"
			  "\x9b\x08\xaaw\xbe\xca\x1e\xed\x9b\xab\x00@\x18\x07"
			  "\x19\n\x05g\xda\x1a\x84\xeaO\xb4^\xf4" "Bc\x89\x81"
			  "\xd4\x94\xc8\?\x04\x10\xb6\xe9\x00\x00\x00\x01\x08"
			  "E\xb7\x0e\xcc\xd7;\x91\x9b"),
			NPT_CLIENT(328, "\xeb\x00\x00\x00\x01\x08" "E\xb7\x0e\xcc\xd7;\x91"
			  "\x9b\x08\xaaw\xbe\xca\x1e\xed\x9b\xab@P\xd7.\x9a" "b"
			  "\xe9" "F\xb7\x97t\xcfr%\xe3\xce\xd9*\x1e\xd9\x09\x16"
			  "5<l\x05T\xf9H%\x93\xaa\x95\x0e(\xf2z\x81\x86&t"),
			NPT_SERVER(224, "P\xaaw\xbe\xca\x1e\xed\x9b\xab\xdb\xaa\xd5\x17\x0b"
			  "\x15\"[g_\xe5\x17" "B\x82\xc3Y\x9do7'}\xa6\xcdXW\xe7"
			  "/\xa6\x9e" "D7\xde\xad=\xdf\x8a&\x0f\xde.$\xee" "D"
			  "\xc6gk\x0f\xbc\x0c\x9f\xacS\x15t\x8f"),
		},
	},
	{
		.name = "SMTP: smtplib, aiosmtpd",
		.protocol = NPT_PROTOCOL_SMTP,
		.from_middle = 4,
		.messages = {
			NPT_SERVER(33, "220 localhost Python SMTP 1.4.6\r\n"),
			NPT_CLIENT(18, "ehlo [127.0.0.1]\r\n"),
			NPT_SERVER(39, "250-localhost\r\n250-8BITMIME\r\n250 HELP\r\n"),
			NPT_CLIENT(25, "mail FROM:<a@b.example>\r\n"),
			NPT_SERVER(8, "250 OK\r\n"),
			NPT_CLIENT(23, "rcpt TO:<c@d.example>\r\n"),
		},
	},
	{
		.name = "SSH: OpenSSH 9.2",
		.protocol = NPT_PROTOCOL_SSH,
		.messages = {
			NPT_CLIENT(41, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n"),
			NPT_SERVER(41, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n"),
			NPT_CLIENT(1560, "\x00\x00\x06\x14\x08\x14\x0e\xfb\x14\xf9\xbcskm\x1c"
			  "\xaf;\x0c\x88\xfb" "2\x94\x00\x00\x01Hsntrup761x2551"
			  "9-sha512,sntrup761x25519"),
		},
	},
	{
		.name = "FastCGI: nginx 1.22, php-cgi 8.2",
		.protocol = NPT_PROTOCOL_FASTCGI,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(528, "\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00"
			  "\x00\x00\x00\x01\x04\x00\x01\x01\xe8\x00\x00\x0c\x00"
			  "QUERY_STRING\x0e\x03REQUEST_METHODGET\x0c\x00" "CONT"
			  "E"),
			NPT_SERVER(72, "\x01\x06\x00\x01\x00,\x04\x00" "Content-type: text/h"
			  "tml; charset=UTF-8\r\n\r\nhi\x00\x00\x00\x00\x01\x03"
			  "\x00\x01\x00\x08\x00\x00"),
		},
	},
	{
		.name = "Kafka: kafka-python, no answer",
		.protocol = NPT_PROTOCOL_KAFKA,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(59, "\x00\x00\x00" "7\x00\x12\x00\x04\x00\x00\x00\x01\x00"
			  "\x17kafka-python-producer-1\x00\rkafka-python\x07"
			  "3.0.12\x00"),
		},
	},
	{
		.name = "MongoDB: pymongo, no answer",
		.protocol = NPT_PROTOCOL_MONGODB,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(330, "J\x01\x00\x00gE\x8bk\x00\x00\x00\x00\xdd\x07\x00\x00"
			  "\x00\x00\x00\x00\x00" "5\x01\x00\x00\x10ismaster\x00"
			  "\x01\x00\x00\x00\x08helloOk\x00\x01\x02" "backpressu"
			  "re\x00\x02"),
		},
	},
	{
		.name = "ZooKeeper: kazoo, no answer",
		.protocol = NPT_PROTOCOL_ZOOKEEPER,
		.messages = {
			NPT_CLIENT(49, "\x00\x00\x00-\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			  "\x00\x00\x00\x00\x00'\x10\x00\x00\x00\x00\x00\x00"
			  "\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00"
			  "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		},
	},
	{
		.name = "Thrift: binary, framed",
		.protocol = NPT_PROTOCOL_THRIFT,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(34, "\x00\x00\x00\x1e\x80\x01\x00\x01\x00\x00\x00\naddNum"
			  "bers\x00\x00\x00\x00\x08\x00\x01\x00\x00\x00\x01\x00"),
			NPT_SERVER(34, "\x00\x00\x00\x1e\x80\x01\x00\x02\x00\x00\x00\naddNum"
			  "bers\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x03\x00"),
			NPT_CLIENT(34, "\x00\x00\x00\x1e\x80\x01\x00\x01\x00\x00\x00\naddNum"
			  "bers\x00\x00\x00\x01\x08\x00\x01\x00\x00\x00\x01\x00"),
			NPT_SERVER(34, "\x00\x00\x00\x1e\x80\x01\x00\x02\x00\x00\x00\naddNum"
			  "bers\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x03\x00"),
		},
	},
	{
		.name = "Thrift: binary",
		.protocol = NPT_PROTOCOL_THRIFT,
		.from_middle = 1,
		.messages = {
			NPT_CLIENT(30, "\x80\x01\x00\x01\x00\x00\x00\naddNumbers\x00\x00\x00"
			  "\x00\x08\x00\x01\x00\x00\x00\x01\x00"),
			NPT_SERVER(30, "\x80\x01\x00\x02\x00\x00\x00\naddNumbers\x00\x00\x00"
			  "\x00\x08\x00\x00\x00\x00\x00\x03\x00"),
			NPT_CLIENT(30, "\x80\x01\x00\x01\x00\x00\x00\naddNumbers\x00\x00\x00"
			  "\x01\x08\x00\x01\x00\x00\x00\x01\x00"),
			NPT_SERVER(30, "\x80\x01\x00\x02\x00\x00\x00\naddNumbers\x00\x00\x00"
			  "\x01\x08\x00\x00\x00\x00\x00\x03\x00"),
		},
	},
};

const size_t npt_protocol_captured_count =
	sizeof(npt_protocol_captured) / sizeof(npt_protocol_captured[0]);
