/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/accuracy/families/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENDS_MAX     64
#define CHILDREN_MAX 16

struct shared {
	size_t count;
	struct end ends[ENDS_MAX];
};

char buffer[BUFFER_BYTES];

static struct shared *shared;
static pid_t children[CHILDREN_MAX];
static size_t children_count;
static int done[2]; /* a child writes a byte when its work is done */
static pid_t parent;
static uint64_t random_state;

static void kill_children(void)
{
	if (getpid() != parent)
		return;
	for (size_t i = 0; i < children_count; i++) {
		(void)kill(children[i], SIGKILL);
		(void)waitpid(children[i], NULL, 0);
	}
	children_count = 0;
}

void must(bool is_true, const char *name)
{
	if (is_true)
		return;
	fprintf(stderr, "%s: %s\n", name, strerror(errno));
	kill_children();
	_exit(1);
}

void world_open(uint64_t seed)
{
	parent = getpid();
	random_state = seed + 88172645463325252U;
	for (int i = 0; i < 20; i++) /* seeds that are close to each other begin alike */
		(void)random_in(0, 1);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(shared != MAP_FAILED, "mmap");
	must(pipe(done) == 0, "pipe");
	(void)signal(SIGPIPE, SIG_IGN);
}

static void print_count(const char *name, bool unknown, uint64_t count)
{
	if (unknown)
		printf(", \"%s\": null", name);
	else
		printf(", \"%s\": %llu", name, (unsigned long long)count);
}

static void print_end(const struct end *end)
{
	printf("{\"role\": \"%s\", \"port\": %d, \"pid\": %d, \"failed\": {}", end->role, end->port,
	       (int)end->pid);
	print_count("connections", false, end->connections);
	print_count("writes", end->writes_unknown, end->writes);
	print_count("written", false, end->written);
	print_count("reads", end->reads_unknown, end->reads);
	print_count("read", false, end->read);
	print_count("received", false, end->read + end->unread);
	print_count("retransmits", false, end->retransmits);
	printf("}");
}

void world_close(void)
{
	printf("[");
	for (size_t i = 0; i < shared->count; i++) {
		printf("%s", i ? ", " : "");
		print_end(&shared->ends[i]);
	}
	printf("]\n");
	(void)fflush(stdout);
	(void)getchar();
	kill_children();
}

void go(void)
{
	printf("ready\n");
	(void)fflush(stdout);
	must(getchar() != EOF, "wait for the agent");
}

size_t random_in(size_t low, size_t high)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return low + random_state % (high - low + 1);
}

struct end *end_new(const char *role, int port)
{
	size_t index = __atomic_fetch_add(&shared->count, 1, __ATOMIC_SEQ_CST);
	struct end *end = &shared->ends[index];

	must(index < ENDS_MAX, "too many ends");
	end->role = role;
	end->port = port;
	end->pid = getpid();
	return end;
}

/* Atomic: two threads may use one end. */
static void add(uint64_t *counter, uint64_t value)
{
	__atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

size_t end_wrote(struct end *end, ssize_t result)
{
	must(result > 0, "write");
	add(&end->writes, 1);
	add(&end->written, (uint64_t)result);
	return (size_t)result;
}

size_t end_took(struct end *end, ssize_t result)
{
	must(result > 0, "read");
	add(&end->reads, 1);
	add(&end->read, (uint64_t)result);
	return (size_t)result;
}

void wait_until_acknowledged(int fd)
{
	const struct timespec millisecond = { .tv_nsec = 1000000 };
	int left = 1;

	while (ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0)
		(void)nanosleep(&millisecond, NULL);
}

void end_note(struct end *end, int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	wait_until_acknowledged(fd);
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0, "TCP_INFO");
	end->retransmits += info.tcpi_total_retrans;
}

void end_finish(struct end *end, int fd)
{
	end_note(end, fd);
	must(close(fd) == 0, "close");
}

pid_t start(void (*work)(void *), void *context)
{
	pid_t child = fork();

	must(child >= 0, "fork");
	if (child == 0) {
		random_state ^= (uint64_t)children_count + 1;
		work(context);
		must(write(done[1], "d", 1) == 1, "done");
		for (;;)
			(void)pause();
	}
	must(children_count < CHILDREN_MAX, "too many children");
	children[children_count++] = child;
	return child;
}

void wait_for_children(void)
{
	char mark;

	(void)close(done[1]); /* a child that failed is an end of stream */
	for (size_t i = 0; i < children_count; i++)
		must(read(done[0], &mark, 1) == 1, "a child failed");
}

void forget_child(pid_t child)
{
	must(waitpid(child, NULL, 0) == child, "waitpid");
	for (size_t i = 0; i < children_count; i++) {
		if (children[i] == child)
			children[i] = children[--children_count];
	}
}

static socklen_t fill(const struct address *address, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	out->ss_family = (sa_family_t)address->family;
	if (address->family == AF_INET6) {
		v6->sin6_port = htons((uint16_t)address->port);
		must(inet_pton(AF_INET6, address->text, &v6->sin6_addr) == 1, "inet_pton");
		return sizeof(*v6);
	}
	v4->sin_port = htons((uint16_t)address->port);
	must(inet_pton(AF_INET, address->text, &v4->sin_addr) == 1, "inet_pton");
	return sizeof(*v4);
}

int listen_at(const struct address *address)
{
	int fd = socket(address->family, SOCK_STREAM, address->protocol), one = 1, none = 0;
	struct sockaddr_storage where;
	socklen_t size = fill(address, &where);

	must(fd >= 0, "socket");
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0, "SO_REUSEADDR");
	if (address->family == AF_INET6)
		must(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof(none)) == 0,
		     "IPV6_V6ONLY");
	must(bind(fd, (struct sockaddr *)&where, size) == 0, "bind");
	must(listen(fd, 64) == 0, "listen");
	return fd;
}

int connect_to(const struct address *address)
{
	int fd = socket(address->family, SOCK_STREAM, address->protocol);
	struct sockaddr_storage where;
	socklen_t size = fill(address, &where);

	must(fd >= 0, "socket");
	must(connect(fd, (struct sockaddr *)&where, size) == 0, "connect");
	return fd;
}

int listen_on(int port)
{
	return listen_at(&(struct address){ AF_INET, 0, "127.0.0.1", port });
}

int connect_on(int port)
{
	return connect_to(&(struct address){ AF_INET, 0, "127.0.0.1", port });
}

int accept_one(int listener)
{
	int fd = accept(listener, NULL, NULL);

	must(fd >= 0, "accept");
	return fd;
}

void put(struct end *end, int fd, size_t size)
{
	must(end_wrote(end, send(fd, buffer, size, 0)) == size, "send all");
}

void take(struct end *end, int fd, size_t size)
{
	must(end_took(end, recv(fd, buffer, size, MSG_WAITALL)) == size, "receive all");
}

void take_all(struct end *end, int fd, size_t size)
{
	while (size > 0)
		size -= end_took(end, recv(fd, buffer, size < 20000 ? size : 20000, 0));
}

void expect_end_of_stream(int fd)
{
	must(recv(fd, buffer, 1, 0) == 0, "end of stream");
}

void random_sizes(struct exchange *exchange, size_t count, size_t most)
{
	must(count <= SIZES_MAX, "too many sizes");
	exchange->count = count;
	for (size_t i = 0; i < count; i++)
		exchange->sizes[i] = random_in(1, most);
}

size_t sum_of_sizes(const struct exchange *exchange)
{
	size_t sum = 0;

	for (size_t i = 0; i < exchange->count; i++)
		sum += exchange->sizes[i];
	return sum;
}

struct serving {
	const struct exchange *exchange;
	int listener;
};

static void serve(void *context)
{
	const struct serving *serving = context;
	const struct exchange *exchange = serving->exchange;
	struct end *end = end_new("server", exchange->port);

	for (size_t i = 0; i < exchange->connections; i++) {
		int fd = accept_one(serving->listener);

		end->connections++;
		exchange->server(end, fd, exchange);
		end_finish(end, fd);
	}
}

void run_exchange_at(const struct exchange *exchange, const struct address *server,
		     const struct address *client)
{
	struct serving serving = { .exchange = exchange };
	struct end *end;

	if (exchange->listens_late)
		go();
	serving.listener = listen_at(server);
	(void)start(serve, &serving);
	(void)close(serving.listener);
	if (!exchange->listens_late)
		go();
	end = end_new("client", exchange->port);
	for (size_t i = 0; i < exchange->connections; i++) {
		int fd = connect_to(client);

		end->connections++;
		exchange->client(end, fd, exchange);
		end_finish(end, fd);
	}
	wait_for_children();
}

void run_exchange(const struct exchange *exchange)
{
	struct address address = { AF_INET, 0, "127.0.0.1", exchange->port };

	run_exchange_at(exchange, &address, &address);
}

struct reading {
	int port;
	int listener;
	size_t connections;
	size_t bytes;
};

static void read_to_the_end(void *context)
{
	const struct reading *reading = context;
	struct end *end = end_new("server", reading->port);

	for (size_t i = 0; i < reading->connections; i++) {
		int fd = accept_one(reading->listener);

		end->connections++;
		take_all(end, fd, reading->bytes);
		expect_end_of_stream(fd);
		end_finish(end, fd);
	}
}

void start_reader(int port, size_t connections, size_t bytes)
{
	struct reading reading = { port, listen_on(port), connections, bytes };

	(void)start(read_to_the_end, &reading);
	(void)close(reading.listener);
}
