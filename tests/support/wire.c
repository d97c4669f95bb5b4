/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/wire.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "lib/core/clock.h"

static bool start_tls(struct npt_wire *wire, const char *ca_file, const char *server_name)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	char name[256];
	SSL *ssl;

	(void)snprintf(name, sizeof(name), "%s", server_name);
	wire->context = context;
	if (SSL_CTX_load_verify_file(context, ca_file) != 1)
		return false;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	ssl = SSL_new(context);
	wire->ssl = ssl;
	(void)SSL_set1_host(ssl, server_name);
	(void)SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name);
	(void)SSL_set_fd(ssl, wire->fd);
	return SSL_connect(ssl) == 1;
}

bool npt_wire_open(struct npt_wire *wire, unsigned int port, const char *ca_file,
		   const char *server_name)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((unsigned short)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	*wire = (struct npt_wire){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	if (connect(wire->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    (ca_file && !start_tls(wire, ca_file, server_name))) {
		npt_wire_close(wire);
		return false;
	}
	return true;
}

void npt_wire_close(struct npt_wire *wire)
{
	SSL_free(wire->ssl);
	SSL_CTX_free(wire->context);
	if (wire->fd >= 0)
		(void)close(wire->fd);
	*wire = (struct npt_wire){ .fd = -1 };
}

bool npt_wire_write(struct npt_wire *wire, const void *data, size_t size_bytes)
{
	const char *at = data;

	while (size_bytes > 0) {
		ssize_t n = wire->ssl ? SSL_write(wire->ssl, at, (int)size_bytes)
				      : send(wire->fd, at, size_bytes, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		size_bytes -= (size_t)n;
	}
	return true;
}

bool npt_wire_say(struct npt_wire *wire, const char *text)
{
	return npt_wire_write(wire, text, strlen(text));
}

static ssize_t read_some(struct npt_wire *wire, char *out, size_t size_bytes, uint64_t deadline_ns)
{
	struct pollfd ready = { .fd = wire->fd, .events = POLLIN };
	uint64_t now = npt_clock_monotonic_ns();
	int wait_ms = now < deadline_ns ? (int)((deadline_ns - now) / NPT_NS_PER_MS) + 1 : 0;

	if (wire->ssl && (SSL_get_shutdown(wire->ssl) & SSL_RECEIVED_SHUTDOWN))
		return 0; /* its end was said already, though TCP may be open still */
	if (!(wire->ssl && SSL_pending(wire->ssl) > 0) && poll(&ready, 1, wait_ms) <= 0)
		return -2;
	return wire->ssl ? SSL_read(wire->ssl, out, (int)size_bytes)
			 : recv(wire->fd, out, size_bytes, 0);
}

size_t npt_wire_read(struct npt_wire *wire, char *out, size_t size_bytes, const char *until,
		     unsigned int timeout_ms)
{
	uint64_t deadline = npt_clock_monotonic_ns() + timeout_ms * NPT_NS_PER_MS;
	size_t length = 0;

	out[0] = '\0';
	while (length < size_bytes - 1) {
		ssize_t n = read_some(wire, out + length, size_bytes - 1 - length, deadline);

		if (n <= 0)
			break;
		length += (size_t)n;
		out[length] = '\0';
		if (until && memmem(out, length, until, strlen(until)))
			break;
	}
	return length;
}

bool npt_wire_closed(struct npt_wire *wire, unsigned int timeout_ms)
{
	uint64_t deadline = npt_clock_monotonic_ns() + timeout_ms * NPT_NS_PER_MS;
	char junk[4096];
	ssize_t n;

	do {
		n = read_some(wire, junk, sizeof(junk), deadline);
	} while (n > 0);
	return n != -2;
}
