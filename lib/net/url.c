/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict: what is not understood whole is refused, nothing is guessed.
 */
#include "lib/net/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "lib/core/parse.h"

static int bad(const char *text, const char *why, struct npt_error *err)
{
	return npt_error_set(err, EINVAL, "bad URL '%.200s': %s", text, why);
}

/* Copies length bytes of printable text; false if they do not fit or are not such. */
static bool copy(char *out, size_t out_bytes, const char *from, size_t length)
{
	if (length >= out_bytes)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (from[i] <= ' ' || from[i] >= 0x7f || strchr("@#[]", from[i]))
			return false;
	}
	memcpy(out, from, length);
	out[length] = '\0';
	return true;
}

static int parse_port(const char *text, size_t length, unsigned int *port_ret)
{
	char digits[8];
	uint64_t port;

	if (!copy(digits, sizeof(digits), text, length) ||
	    npt_parse_u64(digits, 1, 65535, &port) < 0)
		return -EINVAL;
	*port_ret = (unsigned int)port;
	return 0;
}

int npt_url_parse(const char *text, const char *scheme, struct npt_url *url_ret,
		  struct npt_error *err)
{
	size_t scheme_length = strlen(scheme), host_length;
	struct npt_url url = { .path = "/" };
	const char *at = text, *host, *end;

	if (strncmp(at, scheme, scheme_length) != 0)
		return bad(text, "unknown scheme", err);
	at += scheme_length;
	url.tls = *at == 's';
	at += url.tls;
	if (strncmp(at, "://", 3) != 0)
		return bad(text, "unknown scheme", err);
	at += 3;
	end = at + strcspn(at, "/?");
	host = at;
	if (*host == '[') {
		host_length = strcspn(++host, "]/?");
		if (host[host_length] != ']')
			return bad(text, "a ']' is missing", err);
		at = host + host_length + 1;
	} else {
		host_length = strcspn(host, ":/?");
		at = host + host_length;
	}
	if (host_length == 0 || !copy(url.host, sizeof(url.host), host, host_length))
		return bad(text, "the host is not a name", err);
	url.port = url.tls ? 443 : 80;
	if (at != end && (*at != ':' || parse_port(at + 1, (size_t)(end - at - 1), &url.port) < 0))
		return bad(text, "the port is not 1 to 65535", err);
	if (*end == '?' || (*end && !copy(url.path, sizeof(url.path), end, strlen(end))))
		return bad(text, "the path is not usable", err);
	*url_ret = url;
	return 0;
}

bool npt_url_is_loopback(const struct npt_url *url)
{
	struct in6_addr six;
	struct in_addr four;

	if (strcmp(url->host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, url->host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, url->host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}
