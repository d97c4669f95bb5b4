/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times system calls, in one thread, so that no scheduler has a say:
 *   self     a TCP connection to itself over loopback: write, read, write, read of 64 bytes (a
 *            ping-pong); an operation is one of the four
 *   connect  short connections: connect, accept, 64 bytes there, 1000 back, both ends close; an
 *            operation is a connection. Source addresses take turns, so that ports that wait in
 *            TIME_WAIT are never short
 *   getppid  a call that has nothing to do with sockets
 *   loop     two instructions; where a nanosecond is an instruction it must say 2
 *
 * Usage: calls KIND BATCHES. Prints per operation, in picoseconds: the best batch, the median batch
 * (both by the clock), and the mean of all by CPU time. Best, since a busy machine only ever adds;
 * the mean for what is there only some of the time.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/core/clock.h"
#include "lib/core/parse.h"

#define BATCHES_MAX     20000
#define SOURCES         200
#define QUESTION_BYTES  64
#define ANSWER_BYTES    1000
#define LOOP_ITERATIONS 1000

static int listener, ends[2];
static struct sockaddr_in server;

static void check(bool good, const char *what)
{
	if (!good) {
		perror(what);
		exit(1);
	}
}

static void listen_somewhere(void)
{
	socklen_t size = sizeof(server);

	server.sin_family = AF_INET;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	check(listener >= 0 && bind(listener, (struct sockaddr *)&server, size) == 0 &&
		      listen(listener, 1) == 0 &&
		      getsockname(listener, (struct sockaddr *)&server, &size) == 0,
	      "listen");
}

static void connect_to_self(void)
{
	static uint32_t turn;
	struct sockaddr_in source = { .sin_family = AF_INET };
	int one = 1;

	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + turn++ % SOURCES);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	check(ends[0] >= 0 &&
		      setsockopt(ends[0], IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) ==
			      0 &&
		      bind(ends[0], (struct sockaddr *)&source, sizeof(source)) == 0 &&
		      connect(ends[0], (struct sockaddr *)&server, sizeof(server)) == 0,
	      "connect");
	ends[1] = accept(listener, NULL, NULL);
	check(ends[1] >= 0, "accept");
	for (int i = 0; i < 2; i++)
		(void)setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void pass(int from, int to, size_t bytes)
{
	char data[ANSWER_BYTES] = { 0 };

	check(write(from, data, bytes) == (ssize_t)bytes && read(to, data, bytes) == (ssize_t)bytes,
	      "pass");
}

static void self_round(void)
{
	pass(ends[0], ends[1], QUESTION_BYTES);
	pass(ends[1], ends[0], QUESTION_BYTES);
}

static void connect_round(void)
{
	connect_to_self();
	pass(ends[0], ends[1], QUESTION_BYTES);
	pass(ends[1], ends[0], ANSWER_BYTES);
	close(ends[0]);
	close(ends[1]);
}

static void getppid_round(void)
{
	(void)syscall(SYS_getppid);
}

/* A subtraction and a jump, on each machine that we know. */
static void loop_round(void)
{
	uint64_t left = LOOP_ITERATIONS;

#if defined(__x86_64__)
	__asm__ volatile("1: sub $1, %0\n\tjnz 1b" : "+r"(left));
#elif defined(__aarch64__)
	__asm__ volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(left));
#endif
}

struct kind {
	const char *name;
	void (*round)(void);
	uint64_t rounds;     /* in a batch */
	uint64_t operations; /* in a round */
};

static const struct kind kinds[] = {
	{ "self", self_round, 250, 4 },
	{ "connect", connect_round, 40, 1 },
	{ "getppid", getppid_round, 4000, 1 },
	{ "loop", loop_round, 1000, LOOP_ITERATIONS },
};

static const struct kind *find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

static uint64_t cpu_ns(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void run(const struct kind *kind, uint64_t count)
{
	static uint64_t batches[BATCHES_MAX];
	uint64_t operations = kind->rounds * kind->operations, cpu_begin = cpu_ns();

	for (uint64_t i = 0; i < count; i++) {
		uint64_t begin = npt_clock_monotonic_ns();

		for (uint64_t j = 0; j < kind->rounds; j++)
			kind->round();
		batches[i] = (npt_clock_monotonic_ns() - begin) * 1000 / operations;
	}
	cpu_begin = (cpu_ns() - cpu_begin) * 1000 / (operations * count);
	qsort(batches, count, sizeof(batches[0]), compare);
	printf("%llu %llu %llu\n", (unsigned long long)batches[0],
	       (unsigned long long)batches[count / 2], (unsigned long long)cpu_begin);
}

int main(int argc, char **argv)
{
	const struct kind *kind = argc == 3 ? find(argv[1]) : NULL;
	uint64_t count;

	if (!kind || npt_parse_u64(argv[2], 1, BATCHES_MAX, &count) < 0) {
		fprintf(stderr, "usage: calls self|connect|getppid|loop BATCHES\n");
		return 2;
	}
	listen_somewhere();
	if (kind->round == self_round)
		connect_to_self();
	run(kind, count);
	return 0;
}
