/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times calls of libssl in one thread: a TLS connection to itself over loopback, SSL_write,
 * SSL_read, SSL_write, SSL_read of 64 bytes (a ping-pong); an operation is one of the four.
 *
 * Usage: tls_calls CERTIFICATE KEY BATCHES. Prints per operation, in picoseconds: the best batch
 * and the median batch. Best, since a busy machine only ever adds. It begins to time when an agent
 * has had the time to set its probes, else the best batch would be one without them.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "lib/core/clock.h"
#include "lib/core/parse.h"

#define BATCHES_MAX   20000
#define ROUNDS        100 /* in a batch */
#define OPERATIONS    4   /* in a round */
#define MESSAGE_BYTES 64
#define WARM_NS       (500 * NPT_NS_PER_MS)

static SSL *ends[2]; /* client, server */

static void check(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void connect_to_self(int *sockets)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
		      listen(listener, 1) == 0 &&
		      getsockname(listener, (struct sockaddr *)&address, &size) == 0,
	      "listen");
	sockets[0] = socket(AF_INET, SOCK_STREAM, 0);
	check(sockets[0] >= 0 && connect(sockets[0], (struct sockaddr *)&address, size) == 0,
	      "connect");
	sockets[1] = accept(listener, NULL, NULL);
	check(sockets[1] >= 0, "accept");
	for (int i = 0; i < 2; i++)
		(void)setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
}

/* Both sides take turns without waiting; when it is over, they wait. */
static void shake_hands(const int *sockets)
{
	int done[2] = { 0, 0 };

	for (int i = 0; i < 2; i++)
		check(fcntl(sockets[i], F_SETFL, O_NONBLOCK) == 0, "fcntl");
	while (done[0] != 1 || done[1] != 1) {
		for (int i = 0; i < 2; i++) {
			int error;

			if (done[i] == 1)
				continue;
			done[i] = SSL_do_handshake(ends[i]);
			error = SSL_get_error(ends[i], done[i]);
			check(error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ, "handshake");
		}
	}
	for (int i = 0; i < 2; i++)
		check(fcntl(sockets[i], F_SETFL, 0) == 0, "fcntl");
}

static void open_ends(const char *certificate, const char *key)
{
	SSL_CTX *contexts[2] = { SSL_CTX_new(TLS_client_method()),
				 SSL_CTX_new(TLS_server_method()) };
	int sockets[2];

	check(contexts[0] && contexts[1] &&
		      SSL_CTX_use_certificate_file(contexts[1], certificate, SSL_FILETYPE_PEM) ==
			      1 &&
		      SSL_CTX_use_PrivateKey_file(contexts[1], key, SSL_FILETYPE_PEM) == 1,
	      certificate);
	connect_to_self(sockets);
	for (int i = 0; i < 2; i++) {
		ends[i] = SSL_new(contexts[i]);
		check(ends[i] && SSL_set_fd(ends[i], sockets[i]) == 1, "SSL_new");
	}
	SSL_set_connect_state(ends[0]);
	SSL_set_accept_state(ends[1]);
	shake_hands(sockets);
}

static void pass(SSL *from, SSL *to)
{
	char data[MESSAGE_BYTES] = { 0 };

	check(SSL_write(from, data, sizeof(data)) == sizeof(data) &&
		      SSL_read(to, data, sizeof(data)) == sizeof(data),
	      "pass");
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* Nanoseconds. */
static uint64_t run_batch(void)
{
	uint64_t begin = npt_clock_monotonic_ns();

	for (int i = 0; i < ROUNDS; i++) {
		pass(ends[0], ends[1]);
		pass(ends[1], ends[0]);
	}
	return npt_clock_monotonic_ns() - begin;
}

static void run(uint64_t count)
{
	static uint64_t batches[BATCHES_MAX];
	uint64_t begin = npt_clock_monotonic_ns();

	while (npt_clock_monotonic_ns() - begin < WARM_NS)
		(void)run_batch();
	for (uint64_t i = 0; i < count; i++)
		batches[i] = run_batch() * 1000 / (ROUNDS * OPERATIONS);
	qsort(batches, count, sizeof(batches[0]), compare);
	printf("%llu %llu\n", (unsigned long long)batches[0],
	       (unsigned long long)batches[count / 2]);
}

int main(int argc, char **argv)
{
	uint64_t count;

	if (argc != 4 || npt_parse_u64(argv[3], 1, BATCHES_MAX, &count) < 0) {
		fprintf(stderr, "usage: tls_calls CERTIFICATE KEY BATCHES\n");
		return 2;
	}
	open_ends(argv[1], argv[2]);
	run(count);
	return 0;
}
