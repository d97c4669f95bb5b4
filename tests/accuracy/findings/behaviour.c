/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behaviour - programs that are slow, or quick, in known ways: one end of many connections, a
 *thread or two each, until stdin ends. test_findings.py says what each one does.
 *
 * Usage: behaviour server|client; then on stdin one line a port and an empty one:
 *	stream  ADDRESS PORT up|down SNDBUF RCVBUF WRITE_BYTES WRITE_GAP READ_BYTES READ_GAP LIFE
 *	turns   ADDRESS PORT REQUEST RESPONSE SERVER_DELAY THINK TURNS_PER_CONNECTION DEPTH
 *	cross   ADDRESS PORT CLIENT_BYTES CLIENT_GAP SERVER_BYTES SERVER_GAP EXACT
 *	backlog ADDRESS PORT LENGTH ACCEPT_GAP CONNECTS CONNECT_GAP
 *	refused ADDRESS PORT CONNECT_GAP
 * Times are microseconds, 0 = none. Prints "ready", waits for a line, works, ends with stdin.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NUMBERS_MAX  8
#define PORTS_MAX    256
#define BUFFER_BYTES (1024 * 1024)

struct port {
	char kind[16];
	struct sockaddr_in address;
	bool down; /* stream: the server sends */
	uint32_t numbers[NUMBERS_MAX];
	int listener;
	uint64_t random;
};

/* One connection of a port, handed to a thread. */
struct connection {
	struct port *port;
	int fd;
};

static struct port ports[PORTS_MAX];
static size_t ports_count;
static bool is_server;

static void nap(uint32_t micros)
{
	struct timespec time = { .tv_sec = micros / 1000000,
				 .tv_nsec = (long)(micros % 1000000) * 1000 };

	if (micros > 0)
		(void)nanosleep(&time, NULL);
}

/* Between 0 and twice the mean: as irregular as messages that nobody asked for. */
static uint32_t around(struct port *port, uint32_t mean)
{
	port->random ^= port->random << 13;
	port->random ^= port->random >> 7;
	port->random ^= port->random << 17;
	return mean ? (uint32_t)(port->random % (2u * mean)) : 0;
}

static void start(void *(*work)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, 256 * 1024);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, work, argument) != 0)
		exit(1);
}

static void set_option(int fd, int level, int name, int value)
{
	if (value > 0)
		(void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_buffers(const struct port *port, int fd)
{
	bool sends = port->down == is_server;

	if (strcmp(port->kind, "stream") == 0) {
		set_option(fd, SOL_SOCKET, SO_SNDBUF, sends ? (int)port->numbers[0] : 0);
		set_option(fd, SOL_SOCKET, SO_RCVBUF, sends ? 0 : (int)port->numbers[1]);
	}
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static int connect_to(struct port *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		exit(1);
	set_buffers(port, fd);
	if (connect(fd, (struct sockaddr *)&port->address, sizeof(port->address)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static bool write_all(int fd, uint32_t bytes)
{
	static char data[BUFFER_BYTES];

	while (bytes > 0) {
		ssize_t sent =
			send(fd, data, bytes < sizeof(data) ? bytes : sizeof(data), MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes -= (uint32_t)sent;
	}
	return true;
}

static bool read_all(int fd, uint32_t bytes)
{
	char data[65536];

	while (bytes > 0) {
		ssize_t got = read(fd, data, bytes < sizeof(data) ? bytes : sizeof(data));

		if (got <= 0)
			return false;
		bytes -= (uint32_t)got;
	}
	return true;
}

static uint64_t micros_now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void stream(struct port *port, int fd)
{
	const uint32_t *n = port->numbers;
	uint64_t end = n[6] ? micros_now() + n[6] : UINT64_MAX;
	char *data = malloc(BUFFER_BYTES);

	if (!data)
		exit(1);
	if (port->down == is_server) {
		while (micros_now() < end && write_all(fd, n[2]))
			nap(n[3]);
	} else {
		while (read(fd, data, n[4]) > 0)
			nap(n[5]);
	}
	free(data);
}

/* The server answers each request after its delay; the client keeps DEPTH requests on their way. */
static void turns(struct port *port, int fd)
{
	const uint32_t *n = port->numbers;

	if (is_server) {
		while (read_all(fd, n[0])) {
			nap(n[2]);
			if (!write_all(fd, n[1]))
				return;
		}
		return;
	}
	for (uint32_t i = 1; i < n[5]; i++) {
		if (!write_all(fd, n[0]))
			return;
	}
	for (uint32_t turn = 0; n[4] == 0 || turn < n[4]; turn++) {
		if (!write_all(fd, n[0]) || !read_all(fd, n[1]))
			return;
		nap(n[3] ? n[3] / 2 + around(port, n[3] / 2) : 0);
	}
}

static void *cross_writer(void *argument)
{
	struct connection *connection = argument;
	struct port *port = connection->port;
	uint32_t bytes = port->numbers[is_server ? 2 : 0], gap = port->numbers[is_server ? 3 : 1];

	while (bytes > 0 && write_all(connection->fd, bytes))
		nap(port->numbers[4] ? gap : around(port, gap));
	free(connection);
	return NULL;
}

/* Each side writes when it likes: pushes, heartbeats, many requests in one connection. */
static void cross(struct port *port, int fd)
{
	struct connection *connection = malloc(sizeof(*connection));
	char data[65536];

	if (!connection)
		exit(1);
	*connection = (struct connection){ .port = port, .fd = fd };
	if (!is_server && !write_all(fd, 64)) /* "subscribe" */
		return;
	if (is_server && !read_all(fd, 64))
		return;
	start(cross_writer, connection);
	while (read(fd, data, sizeof(data)) > 0)
		;
}

static void work(struct port *port, int fd)
{
	if (strcmp(port->kind, "stream") == 0)
		stream(port, fd);
	else if (strcmp(port->kind, "turns") == 0)
		turns(port, fd);
	else if (strcmp(port->kind, "cross") == 0)
		cross(port, fd);
	else
		(void)write_all(fd, 1);
}

static void *serve_connection(void *argument)
{
	struct connection *connection = argument;

	work(connection->port, connection->fd);
	if (strcmp(connection->port->kind, "backlog") != 0)
		(void)close(connection->fd);
	free(connection);
	return NULL;
}

static void *serve(void *argument)
{
	struct port *port = argument;
	bool backlog = strcmp(port->kind, "backlog") == 0;

	while (!backlog || port->numbers[1] > 0) {
		struct connection *connection = malloc(sizeof(*connection));

		if (!connection)
			exit(1);
		if (backlog)
			nap(port->numbers[1]);
		connection->port = port;
		connection->fd = accept(port->listener, NULL, NULL);
		if (connection->fd < 0)
			exit(1);
		set_option(connection->fd, IPPROTO_TCP, TCP_NODELAY, 1);
		start(serve_connection, connection);
	}
	return NULL;
}

static void *connect_and_stay(void *argument)
{
	(void)connect_to(argument);
	return NULL;
}

static void *be_client(void *argument)
{
	struct port *port = argument;
	const uint32_t *n = port->numbers;

	if (strcmp(port->kind, "backlog") == 0) {
		for (uint32_t i = 0; i < n[2]; i++) {
			start(connect_and_stay, port);
			nap(n[3]);
		}
		return NULL;
	}
	for (;;) {
		int fd;

		if (strcmp(port->kind, "stream") == 0 && n[6])
			nap((uint32_t)(port - ports) * n[6] * 5 / 4); /* one after the other */
		fd = connect_to(port);
		if (fd >= 0) {
			work(port, fd);
			(void)close(fd);
		}
		if (strcmp(port->kind, "refused") == 0)
			nap(n[0]);
		else if (fd < 0 || strcmp(port->kind, "turns") != 0)
			return NULL;
	}
}

static void listen_on(struct port *port)
{
	bool backlog = strcmp(port->kind, "backlog") == 0;

	if (strcmp(port->kind, "refused") == 0)
		return;
	port->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set_option(port->listener, SOL_SOCKET, SO_REUSEADDR, 1);
	set_buffers(port, port->listener);
	if (bind(port->listener, (struct sockaddr *)&port->address, sizeof(port->address)) < 0 ||
	    listen(port->listener, backlog ? (int)port->numbers[0] : 512) < 0) {
		perror("listen");
		exit(1);
	}
}

static bool parse(char *line, struct port *port)
{
	char *save = NULL, *word = strtok_r(line, " \n", &save);
	size_t count = 0;

	(void)snprintf(port->kind, sizeof(port->kind), "%s", word ? word : "");
	word = strtok_r(NULL, " \n", &save);
	port->address.sin_family = AF_INET;
	if (!word || inet_pton(AF_INET, word, &port->address.sin_addr) != 1)
		return false;
	word = strtok_r(NULL, " \n", &save);
	port->address.sin_port = htons((uint16_t)(word ? strtoul(word, NULL, 10) : 0));
	port->random = 0x9e3779b97f4a7c15u * (ports_count + 1) + is_server;
	while ((word = strtok_r(NULL, " \n", &save)) && count < NUMBERS_MAX) {
		if (strcmp(word, "up") == 0 || strcmp(word, "down") == 0)
			port->down = strcmp(word, "down") == 0;
		else
			port->numbers[count++] = (uint32_t)strtoul(word, NULL, 10);
	}
	return true;
}

int main(int argc, char **argv)
{
	char line[256];

	is_server = argc == 2 && strcmp(argv[1], "server") == 0;
	while (fgets(line, sizeof(line), stdin) && line[0] != '\n') {
		if (ports_count == PORTS_MAX || !parse(line, &ports[ports_count]))
			return 2;
		if (is_server)
			listen_on(&ports[ports_count]);
		ports_count++;
	}
	printf("ready\n");
	(void)fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 0;
	for (size_t i = 0; i < ports_count; i++) {
		if (!is_server || strcmp(ports[i].kind, "refused") != 0)
			start(is_server ? serve : be_client, &ports[i]);
	}
	if (!fgets(line, sizeof(line), stdin))
		line[0] = 0;
	return 0;
}
