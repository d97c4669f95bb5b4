/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times system calls: "self" is a TCP connection to itself over loopback in one thread (write,
 * read, write, read of 64 bytes: 4 operations); "getppid" is a call that has nothing to do with
 * sockets.
 *
 * Usage: calls self|getppid BATCHES. Prints ns per operation: the best batch and the median batch.
 * Best, since a busy machine only ever adds.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/core/clock.h"
#include "lib/core/parse.h"

#define BATCHES_MAX 2000
#define ROUNDS      2000

static int ends[2];

static int connect_to_self(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) < 0)
		return -1;
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(ends[0], (struct sockaddr *)&address, size) < 0)
		return -1;
	ends[1] = accept(listener, NULL, NULL);
	for (int i = 0; i < 2; i++)
		(void)setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return ends[1];
}

static void self_round(void)
{
	char data[64] = { 0 };

	for (int i = 0; i < 2; i++) {
		if (write(ends[i], data, sizeof(data)) != (ssize_t)sizeof(data) ||
		    read(ends[1 - i], data, sizeof(data)) != (ssize_t)sizeof(data))
			exit(1);
	}
}

static void getppid_round(void)
{
	for (int i = 0; i < 4; i++)
		(void)syscall(SYS_getppid);
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

int main(int argc, char **argv)
{
	static uint64_t batches[BATCHES_MAX];
	void (*round)(void) = getppid_round;
	uint64_t count;

	if (argc != 3 || npt_parse_u64(argv[2], 1, BATCHES_MAX, &count) < 0) {
		fprintf(stderr, "usage: calls self|getppid BATCHES\n");
		return 2;
	}
	if (strcmp(argv[1], "self") == 0) {
		round = self_round;
		if (connect_to_self() < 0)
			return 1;
	}
	for (uint64_t i = 0; i < count; i++) {
		uint64_t begin = npt_clock_monotonic_ns();

		for (int j = 0; j < ROUNDS; j++)
			round();
		batches[i] = (npt_clock_monotonic_ns() - begin) / (ROUNDS * 4);
	}
	qsort(batches, count, sizeof(batches[0]), compare);
	printf("%llu %llu\n", (unsigned long long)batches[0],
	       (unsigned long long)batches[count / 2]);
	return 0;
}
