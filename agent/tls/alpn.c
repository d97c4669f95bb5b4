/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Istio's proxies offer "istio" and "istio-peer-exchange" beside names of HTTP/1.1, of HTTP/2, and
 * alone when they carry plain TCP: these two say nothing of what is inside.
 */
#include "agent/tls/alpn.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/cleanup.h"

static const struct {
	const char *name;
	enum npt_bpf_protocol protocol;
} names[] = {
	{ "h2", NPT_PROTOCOL_HTTP2 },
	{ "h2c", NPT_PROTOCOL_HTTP2 },
	{ "h2-14", NPT_PROTOCOL_HTTP2 },
	{ "h2-16", NPT_PROTOCOL_HTTP2 },
	{ "istio-h2", NPT_PROTOCOL_HTTP2 },
	{ "grpc-exp", NPT_PROTOCOL_HTTP2 },
	{ "http/1.1", NPT_PROTOCOL_HTTP1 },
	{ "http/1.0", NPT_PROTOCOL_HTTP1 },
	{ "istio-http/1.1", NPT_PROTOCOL_HTTP1 },
	{ "istio-http/1.0", NPT_PROTOCOL_HTTP1 },
	{ "x-amzn-http-ca", NPT_PROTOCOL_HTTP1 },
	{ "dot", NPT_PROTOCOL_DNS },
	{ "postgresql", NPT_PROTOCOL_POSTGRESQL },
	{ "mqtt", NPT_PROTOCOL_MQTT },
	{ "x-amzn-mqtt-ca", NPT_PROTOCOL_MQTT },
};

static bool well_formed(const uint8_t *name, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (name[i] <= ' ' || name[i] > '~' || strchr(",\"\\", name[i]))
			return false;
	}
	return length > 0;
}

static void note(struct npt_tls_alpn *alpn, const uint8_t *name, size_t length)
{
	size_t used = strlen(alpn->text);

	if (!well_formed(name, length)) {
		alpn->refused++;
		return;
	}
	alpn->count++;
	for (size_t i = 0; i < NPT_ARRAY_SIZE(names); i++) {
		if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
			alpn->protocols |= 1U << names[i].protocol;
	}
	if (alpn->more || used + (used > 0) + length >= sizeof(alpn->text)) {
		alpn->more = true;
		return;
	}
	(void)snprintf(alpn->text + used, sizeof(alpn->text) - used, "%s%.*s", used ? "," : "",
		       (int)length, (const char *)name);
}

bool npt_tls_alpn_parse(struct npt_tls_alpn *alpn, const uint8_t *bytes, size_t size_bytes,
			size_t whole_bytes)
{
	size_t at = 2;

	memset(alpn, 0, sizeof(*alpn));
	if (size_bytes < 2 || (size_t)(bytes[0] << 8 | bytes[1]) + 2 != whole_bytes)
		return false;
	while (at < size_bytes && at + 1 + bytes[at] <= size_bytes) {
		note(alpn, bytes + at + 1, bytes[at]);
		at += 1U + bytes[at];
	}
	if (size_bytes < whole_bytes) {
		alpn->more = true;
		return true;
	}
	if (at == size_bytes)
		return true;
	memset(alpn, 0, sizeof(*alpn));
	return false;
}

bool npt_tls_alpn_has(const struct npt_tls_alpn *alpn, enum npt_bpf_protocol protocol)
{
	return alpn->protocols >> protocol & 1;
}

enum npt_bpf_protocol npt_tls_alpn_protocol(const struct npt_tls_alpn *alpn)
{
	const uint32_t http = 1U << NPT_PROTOCOL_HTTP1 | 1U << NPT_PROTOCOL_HTTP2;

	if (alpn->protocols == http)
		return NPT_PROTOCOL_HTTP;
	for (unsigned int i = 1; i < NPT_PROTOCOL_COUNT; i++) {
		if (alpn->protocols == 1U << i)
			return (enum npt_bpf_protocol)i;
	}
	return NPT_PROTOCOL_UNKNOWN;
}
