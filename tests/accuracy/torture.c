/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many short connections, each with its truth: accuracy-torture RATE PORTS SLICE_MS ROUNDS
 *
 * Listens on PORTS ports from FIRST_PORT on and prints "ready"; from the first line on its input to
 * the second it opens RATE connections a second over loopback, all of one slice of time to one
 * port, the next slice's to the next. Both ends of a connection are in this one thread, so nothing
 * of it waits for another process. Then it prints a line per connection (when its connect began and
 * when its last end was closed, CLOCK_MONOTONIC, its port, the bytes of a request and of a
 * response) and "end", and stays until its input ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PORT 19000
#define PORTS_MAX  512
#define OPEN       8 /* connections at once */
#define LOG_MAX    4000000
#define PAYLOAD    2048
#define NS         1000000000ULL

struct connection {
	uint64_t begin_ns;
	uint64_t end_ns;
	uint32_t port;
	uint32_t asked;
	uint32_t answered;
	int client;
	int server;
};

static struct connection *all;
static size_t count;
static int listeners[PORTS_MAX];
static char payload[PAYLOAD];

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

static void must(bool is_true, const char *name)
{
	if (is_true)
		return;
	fprintf(stderr, "torture: %s: %s\n", name, strerror(errno));
	_exit(1);
}

static struct sockaddr_in address_of(uint32_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)(FIRST_PORT + port)),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void listen_on(uint32_t port)
{
	struct sockaddr_in address = address_of(port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0, "reuse");
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	must(listen(fd, 128) == 0, "listen");
	listeners[port] = fd;
}

static void move(int from, int to, size_t bytes)
{
	must(send(from, payload, bytes, MSG_NOSIGNAL) == (ssize_t)bytes, "send");
	must(recv(to, payload, bytes, MSG_WAITALL) == (ssize_t)bytes, "recv");
}

static void begin(uint32_t port, uint32_t rounds)
{
	struct connection *it = &all[count];
	struct sockaddr_in address = address_of(port);

	it->port = FIRST_PORT + port;
	it->asked = 1 + (uint32_t)(count * 7 % 1500);
	it->answered = 1 + (uint32_t)(count * 13 % 2000);
	it->client = socket(AF_INET, SOCK_STREAM, 0);
	must(it->client >= 0, "socket");
	it->begin_ns = now_ns();
	must(connect(it->client, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	it->server = accept(listeners[port], NULL, NULL);
	must(it->server >= 0, "accept");
	for (uint32_t i = 0; i < rounds; i++) {
		move(it->client, it->server, it->asked);
		move(it->server, it->client, it->answered);
	}
	count++;
}

/* The two ends take turns at closing first. */
static void end(struct connection *it)
{
	bool turn = it->asked & 1;

	(void)close(turn ? it->client : it->server);
	(void)close(turn ? it->server : it->client);
	it->end_ns = now_ns();
}

static bool is_told(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, 0) > 0;
}

static void run(uint32_t rate, uint32_t ports, uint64_t slice_ns, uint32_t rounds)
{
	uint64_t due_ns = now_ns(), started_ns = due_ns;

	while (count < LOG_MAX && !is_told()) {
		uint64_t now = now_ns();

		begin((uint32_t)((now - started_ns) / slice_ns) % ports, rounds);
		if (count > OPEN)
			end(&all[count - 1 - OPEN]);
		due_ns += NS / rate;
		if (due_ns > now_ns()) {
			struct timespec until = { .tv_sec = (time_t)(due_ns / NS),
						  .tv_nsec = (long)(due_ns % NS) };

			(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		}
	}
	for (size_t i = count > OPEN ? count - OPEN : 0; i < count; i++)
		end(&all[i]);
}

static uint32_t number(const char *text, uint32_t most)
{
	unsigned long value = strtoul(text, NULL, 10);

	must(value > 0 && value <= most, text);
	return (uint32_t)value;
}

int main(int argc, char **argv)
{
	char line[16];
	uint32_t ports;

	must(argc == 5, "usage: accuracy-torture RATE PORTS SLICE_MS ROUNDS");
	ports = number(argv[2], PORTS_MAX);
	all = calloc(LOG_MAX, sizeof(*all));
	must(all != NULL, "memory");
	for (uint32_t i = 0; i < ports; i++)
		listen_on(i);
	(void)puts("ready");
	(void)fflush(stdout);
	must(read(STDIN_FILENO, line, 1) == 1, "begin");
	run(number(argv[1], 1000000), ports, number(argv[3], 60000) * 1000000ULL,
	    number(argv[4], 1000));
	for (size_t i = 0; i < count; i++)
		(void)printf("%llu %llu %u %u %u\n", (unsigned long long)all[i].begin_ns,
			     (unsigned long long)all[i].end_ns, all[i].port, all[i].asked,
			     all[i].answered);
	(void)puts("end");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, line, sizeof(line)) > 0)
		continue;
	return 0;
}
