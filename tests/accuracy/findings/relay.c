/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relay - a network with a delay and losses, made of TUN devices: a kernel without netem has them,
 * too.
 *
 * Usage: relay NAMESPACE [NAMESPACE]; then on stdin "PORT DELAY_MICROS LOSS_PERMILLE" lines and an
 * empty one. Makes a device npt-relay in each namespace, prints "ready" and runs until stdin ends.
 * With one namespace a packet comes back where it left (that namespace routes its own addresses
 * through the device), with two it comes out in the other. PORT is the lower of a segment's two
 * ports; others pass at once. Per port the order is kept.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/core/clock.h"

#define PACKET_BYTES 2048
#define QUEUE_MAX    65536 /* packets on their way; more are lost, as in any router */

struct packet {
	uint64_t due_ns;
	uint64_t number; /* keeps the order of packets that are due at once */
	int to_fd;
	uint32_t size_bytes;
	char data[];
};

static struct {
	uint32_t delay_us;
	uint32_t loss_permille;
} rules[65536];
static struct packet *queue[QUEUE_MAX]; /* a heap: the next one due is the first */
static size_t queued;
static uint64_t next_number, random_state = 88172645463325252u;

static bool before(const struct packet *a, const struct packet *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void swap(size_t a, size_t b)
{
	struct packet *packet = queue[a];

	queue[a] = queue[b];
	queue[b] = packet;
}

static void push(struct packet *packet)
{
	size_t at = queued++;

	queue[at] = packet;
	for (; at > 0 && before(queue[at], queue[(at - 1) / 2]); at = (at - 1) / 2)
		swap(at, (at - 1) / 2);
}

static struct packet *pop(void)
{
	struct packet *first = queue[0];
	size_t at = 0;

	queue[0] = queue[--queued];
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < queued && before(queue[child + 1], queue[child]))
			child++;
		if (child >= queued || !before(queue[child], queue[at]))
			return first;
		swap(at, child);
		at = child;
	}
}

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* The service's port of a TCP segment in IPv4, or 0. */
static uint16_t port_of(const unsigned char *data, size_t size)
{
	size_t header = size >= 20 ? (data[0] & 15u) * 4u : 0;
	uint16_t from, to;

	if (header < 20 || size < header + 20 || data[0] >> 4 != 4 || data[9] != 6)
		return 0;
	from = (uint16_t)(data[header] << 8 | data[header + 1]);
	to = (uint16_t)(data[header + 2] << 8 | data[header + 3]);
	return from < to ? from : to;
}

static void take(int from_fd, int to_fd)
{
	unsigned char data[PACKET_BYTES];

	for (;;) {
		ssize_t size = read(from_fd, data, sizeof(data));
		struct packet *packet;
		uint16_t port;

		if (size <= 0)
			return;
		port = port_of(data, (size_t)size);
		if (queued == QUEUE_MAX || random_number() % 1000 < rules[port].loss_permille)
			continue;
		packet = malloc(sizeof(*packet) + (size_t)size);
		if (!packet)
			exit(1);
		packet->due_ns = npt_clock_monotonic_ns() + rules[port].delay_us * UINT64_C(1000);
		packet->number = next_number++;
		packet->to_fd = to_fd;
		packet->size_bytes = (uint32_t)size;
		memcpy(packet->data, data, (size_t)size);
		push(packet);
	}
}

static void deliver(void)
{
	while (queued > 0 && queue[0]->due_ns <= npt_clock_monotonic_ns()) {
		struct packet *packet = pop();

		/* EIO: that side is not up yet. */
		if (write(packet->to_fd, packet->data, packet->size_bytes) < 0 && errno != EIO)
			perror("relay");
		free(packet);
	}
}

static int open_device(const char *namespace_name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char path[256];
	int fd, netns;

	(void)snprintf(path, sizeof(path), "/run/netns/%s", namespace_name);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
		return -1;
	(void)close(netns);
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "npt-relay");
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		return -1;
	return fd;
}

static void read_rules(void)
{
	char line[128];

	while (fgets(line, sizeof(line), stdin) && line[0] != '\n') {
		char *at = line;
		unsigned long port = strtoul(at, &at, 10) & 65535;

		rules[port].delay_us = (uint32_t)strtoul(at, &at, 10);
		rules[port].loss_permille = (uint32_t)strtoul(at, &at, 10);
	}
}

int main(int argc, char **argv)
{
	struct pollfd fds[3] = { { .fd = STDIN_FILENO, .events = POLLIN } };
	nfds_t count = (nfds_t)argc;

	if (argc < 2 || argc > 3)
		return 2;
	read_rules();
	for (nfds_t i = 1; i < count; i++) {
		fds[i] = (struct pollfd){ .fd = open_device(argv[i]), .events = POLLIN };
		if (fds[i].fd < 0) {
			perror(argv[i]);
			return 1;
		}
	}
	printf("ready\n");
	(void)fflush(stdout);
	while (!(fds[0].revents & (POLLIN | POLLHUP))) {
		uint64_t now = npt_clock_monotonic_ns();
		uint64_t wait = queued == 0               ? NPT_NS_PER_SECOND
				: queue[0]->due_ns <= now ? 0
							  : queue[0]->due_ns - now;
		struct timespec timeout = { .tv_sec = (time_t)(wait / NPT_NS_PER_SECOND),
					    .tv_nsec = (long)(wait % NPT_NS_PER_SECOND) };

		if (ppoll(fds, count, &timeout, NULL) < 0)
			return 1;
		for (nfds_t i = 1; i < count; i++)
			take(fds[i].fd, fds[count - i].fd);
		deliver();
	}
	return 0;
}
