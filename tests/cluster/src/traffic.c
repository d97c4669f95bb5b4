/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic - requests of random sizes between two pods, counted by both ends.
 *
 *	traffic serve PORT
 *	traffic generate HOST PORT CONNECTIONS SEED
 *
 * generate waits for the file /tmp/go, makes its connections one after another and prints one line
 *of JSON with what it did; serve prints such a line after each connection. Both stay until SIGTERM.
 */
#include <netdb.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct totals {
	unsigned long long connections, writes, written, reads, read;
};

static struct totals totals;
static char data[65536];

static void end(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

static void print_totals(void)
{
	printf("{\"connections\": %llu, \"writes\": %llu, \"written\": %llu, \"reads\": %llu, "
	       "\"read\": %llu}\n",
	       totals.connections, totals.writes, totals.written, totals.reads, totals.read);
	fflush(stdout);
}

static int write_all(int fd, const void *from, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, from, size);

		if (done <= 0)
			return -1;
		totals.writes++;
		totals.written += (unsigned long long)done;
		from = (const char *)from + done;
		size -= (size_t)done;
	}
	return 0;
}

static int read_all(int fd, void *to, size_t size)
{
	while (size > 0) {
		ssize_t done = read(fd, to, size);

		if (done <= 0)
			return -1;
		totals.reads++;
		totals.read += (unsigned long long)done;
		to = (char *)to + done;
		size -= (size_t)done;
	}
	return 0;
}

/* Each request is its size and that many bytes; the answer is half of it. */
static void answer(int fd)
{
	uint32_t size;

	while (read_all(fd, &size, sizeof(size)) == 0) {
		if (size > sizeof(data) || read_all(fd, data, size) < 0 ||
		    write_all(fd, data, size / 2 + 1) < 0)
			break;
	}
}

static int serve(const char *port)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found;
	int one = 1, listener;

	if (getaddrinfo("0.0.0.0", port, &hints, &found) != 0)
		return 1;
	listener = socket(found->ai_family, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, found->ai_addr, found->ai_addrlen) < 0 || listen(listener, 128) < 0)
		return 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		totals.connections++;
		answer(fd);
		close(fd);
		print_totals();
	}
}

static int request_all(struct addrinfo *to, int connections)
{
	for (int i = 0; i < connections; i++) {
		int fd = socket(to->ai_family, SOCK_STREAM, 0);

		if (connect(fd, to->ai_addr, to->ai_addrlen) < 0)
			return -1;
		totals.connections++;
		for (int request = 1 + rand() % 20; request > 0; request--) {
			uint32_t size = (uint32_t)(1 + rand() % 60000);

			if (write_all(fd, &size, sizeof(size)) < 0 ||
			    write_all(fd, data, size) < 0 || read_all(fd, data, size / 2 + 1) < 0)
				return -1;
		}
		close(fd);
		usleep(20000);
	}
	return 0;
}

static int generate(char **argv)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found = NULL;

	while (access("/tmp/go", F_OK) < 0)
		usleep(20000);
	srand((unsigned int)atoi(argv[5]));
	while (getaddrinfo(argv[2], argv[3], &hints, &found) != 0)
		usleep(100000);
	if (request_all(found, atoi(argv[4])) < 0)
		return 1;
	print_totals();
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	signal(SIGTERM, end);
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2]);
	if (argc == 6 && strcmp(argv[1], "generate") == 0)
		return generate(argv);
	fprintf(stderr, "usage: traffic serve PORT | generate HOST PORT CONNECTIONS SEED\n");
	return 2;
}
