/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/protocol.h"

#include "bpf/protocol.h"

static const char *const names[] = {
	[NPT_PROTOCOL_UNKNOWN] = "unknown",
	[NPT_PROTOCOL_HTTP] = "http",
	[NPT_PROTOCOL_HTTP1] = "http1",
	[NPT_PROTOCOL_HTTP2] = "http2",
	[NPT_PROTOCOL_GRPC] = "grpc",
	[NPT_PROTOCOL_WEBSOCKET] = "websocket",
	[NPT_PROTOCOL_TLS] = "tls",
	[NPT_PROTOCOL_MYSQL] = "mysql",
	[NPT_PROTOCOL_POSTGRESQL] = "postgresql",
	[NPT_PROTOCOL_REDIS] = "redis",
	[NPT_PROTOCOL_KAFKA] = "kafka",
	[NPT_PROTOCOL_AMQP] = "amqp",
	[NPT_PROTOCOL_NATS] = "nats",
	[NPT_PROTOCOL_MQTT] = "mqtt",
	[NPT_PROTOCOL_MEMCACHED] = "memcached",
	[NPT_PROTOCOL_DNS] = "dns",
	[NPT_PROTOCOL_QUIC] = "quic",
	[NPT_PROTOCOL_SMTP] = "smtp",
	[NPT_PROTOCOL_SSH] = "ssh",
	[NPT_PROTOCOL_FASTCGI] = "fastcgi",
	[NPT_PROTOCOL_MONGODB] = "mongodb",
	[NPT_PROTOCOL_CASSANDRA] = "cassandra",
	[NPT_PROTOCOL_DUBBO] = "dubbo",
	[NPT_PROTOCOL_THRIFT] = "thrift",
	[NPT_PROTOCOL_ZOOKEEPER] = "zookeeper",
	[NPT_PROTOCOL_AMQP1] = "amqp1",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == NPT_PROTOCOL_COUNT, "a name for each protocol");

const char *npt_protocol_name(unsigned protocol)
{
	if (protocol >= NPT_PROTOCOL_COUNT || !names[protocol])
		return names[NPT_PROTOCOL_UNKNOWN];
	return names[protocol];
}
