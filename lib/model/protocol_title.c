/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocols as people write them. HTTP with TLS has a name of its own; what is always encrypted
 * needs no "(TLS)" to say so.
 */
#include <stdio.h>
#include <string.h>

#include "lib/core/cleanup.h"
#include "lib/model/hops.h"
#include "lib/model/report.h"

static const struct {
	const char *name;
	const char *title;
	const char *with_tls; /* NULL: "title (TLS)" */
} protocols[] = {
	{ "http", "HTTP", "HTTPS" },
	{ "http1", "HTTP", "HTTPS" },
	{ "http2", "HTTP/2", NULL },
	{ "grpc", "gRPC", NULL },
	{ "websocket", "WebSocket", NULL },
	{ "mysql", "MySQL", NULL },
	{ "postgresql", "PostgreSQL", NULL },
	{ "redis", "Redis", NULL },
	{ "kafka", "Kafka", NULL },
	{ "amqp", "AMQP", NULL },
	{ "amqp1", "AMQP 1.0", NULL },
	{ "nats", "NATS", NULL },
	{ "mqtt", "MQTT", NULL },
	{ "memcached", "Memcached", NULL },
	{ "dns", "DNS", NULL },
	{ "quic", "QUIC", "QUIC" },
	{ "smtp", "SMTP", NULL },
	{ "ssh", "SSH", NULL },
	{ "fastcgi", "FastCGI", NULL },
	{ "mongodb", "MongoDB", NULL },
	{ "cassandra", "Cassandra", NULL },
	{ "dubbo", "Dubbo", NULL },
	{ "thrift", "Thrift", NULL },
	{ "zookeeper", "ZooKeeper", NULL },
};

bool npt_protocol_is_known(const char *protocol)
{
	return protocol[0] != '\0' && strcmp(protocol, NPT_PROTOCOL_UNSAID) != 0;
}

bool npt_edge_is_named_by_hop(const struct npt_edge *edge)
{
	return !npt_protocol_is_known(edge->protocol) && edge->hop.name[0];
}

const char *npt_edge_protocol(const struct npt_edge *edge)
{
	return npt_edge_is_named_by_hop(edge) ? edge->hop.name : edge->protocol;
}

uint32_t npt_edge_protocol_confidence_permille(const struct npt_edge *edge)
{
	return npt_edge_is_named_by_hop(edge) ? NPT_HOPS_CONFIDENCE
					      : edge->protocol_confidence_permille;
}

void npt_protocol_title(const char *protocol, enum npt_tls tls, const char *transport,
			char title_ret[static NPT_PROTOCOL_TITLE_BYTES])
{
	const char *title = protocol, *with_tls = NULL;

	if (!npt_protocol_is_known(protocol))
		title = strcmp(transport, "udp") == 0 ? "UDP" : "TCP";
	for (size_t i = 0; i < NPT_ARRAY_SIZE(protocols); i++) {
		if (strcmp(protocols[i].name, protocol) != 0)
			continue;
		title = protocols[i].title;
		with_tls = protocols[i].with_tls;
	}
	if (tls == NPT_TLS_YES && with_tls)
		(void)snprintf(title_ret, NPT_PROTOCOL_TITLE_BYTES, "%s", with_tls);
	else
		(void)snprintf(title_ret, NPT_PROTOCOL_TITLE_BYTES, "%s%s", title,
			       tls == NPT_TLS_YES ? " (TLS)" : "");
}

void npt_edge_protocol_title(const struct npt_edge *edge,
			     char title_ret[static NPT_PROTOCOL_TITLE_BYTES])
{
	npt_protocol_title(npt_edge_protocol(edge), edge->tls, edge->transport, title_ret);
}
