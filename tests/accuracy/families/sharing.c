/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sharing - one connection used by several: passed to another process, inherited by a child,
 * duplicated for threads, left by a process that was killed.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/accuracy/families/world.h"

struct mates {
	int channel[2]; /* between the two that share */
	int connection;
	int port;
	const struct exchange *exchange;
};

static void put_all(struct end *end, int fd, const struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->count; i++)
		put(end, fd, exchange->sizes[i]);
}

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void pass(int channel, int fd)
{
	union control control = { 0 };
	char mark = 'f';
	struct iovec part = { &mark, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	message.msg_control = control.bytes;
	message.msg_controllen = sizeof(control.bytes);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	must(sendmsg(channel, &message, 0) == 1, "pass a descriptor");
}

static int passed(int channel)
{
	union control control = { 0 };
	char mark;
	struct iovec part = { &mark, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	int fd;

	message.msg_control = control.bytes;
	message.msg_controllen = sizeof(control.bytes);
	must(recvmsg(channel, &message, 0) == 1, "get a descriptor");
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

static void use_what_is_passed(void *context)
{
	const struct mates *mates = context;
	int fd = passed(mates->channel[1]);
	struct end *end = end_new("client", mates->port);

	put_all(end, fd, mates->exchange);
	end_finish(end, fd);
}

/* The connection's second half is another process's. */
static void passed_on(void)
{
	struct exchange exchange = { .port = 18231 };
	struct mates mates = { .port = exchange.port, .exchange = &exchange };
	struct end *end;
	int fd;

	random_sizes(&exchange, random_in(5, 20), 20000);
	start_reader(exchange.port, 1, 2 * sum_of_sizes(&exchange));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, mates.channel) == 0, "socketpair");
	(void)start(use_what_is_passed, &mates);
	go();
	end = end_new("client", exchange.port);
	fd = connect_on(exchange.port);
	end->connections = 1;
	put_all(end, fd, &exchange);
	pass(mates.channel[0], fd);
	(void)close(fd);
	wait_for_children();
}

static void use_what_is_inherited(void *context)
{
	const struct mates *mates = context;

	put_all(end_new("client", mates->port), mates->connection, mates->exchange);
	(void)close(mates->connection);
	must(write(mates->channel[1], "d", 1) == 1, "tell the parent");
}

/* Parent and child use it at the same time. */
static void inherited(void)
{
	struct exchange exchange = { .port = 18232 };
	struct mates mates = { .port = exchange.port, .exchange = &exchange };
	struct end *end;
	char mark;

	random_sizes(&exchange, random_in(5, 20), 20000);
	start_reader(exchange.port, 1, 2 * sum_of_sizes(&exchange));
	must(pipe(mates.channel) == 0, "pipe");
	go();
	end = end_new("client", exchange.port);
	mates.connection = connect_on(exchange.port);
	end->connections = 1;
	(void)start(use_what_is_inherited, &mates);
	put_all(end, mates.connection, &exchange);
	must(read(mates.channel[0], &mark, 1) == 1, "the child");
	end_finish(end, mates.connection);
	wait_for_children();
}

/* Leaves something unread, so that its end is a reset. */
static void live_until_killed(void *context)
{
	const struct mates *mates = context;
	struct end *end = end_new("client", mates->port);
	int fd = connect_on(mates->port);
	size_t answer = mates->exchange->sizes[1];

	end->connections = 1;
	put(end, fd, mates->exchange->sizes[0]);
	take(end, fd, answer);
	end->unread = answer;
	end_note(end, fd);
	must(write(mates->channel[1], "r", 1) == 1, "ready to be killed");
	for (;;)
		(void)pause();
}

static void serve_who_is_killed(void *context)
{
	const struct mates *mates = context;
	struct end *end = end_new("server", mates->port);
	int fd = accept_one(mates->connection);
	size_t answer = mates->exchange->sizes[1];

	end->connections = 1;
	take(end, fd, mates->exchange->sizes[0]);
	put(end, fd, answer);
	put(end, fd, answer); /* this one is never read */
	wait_until_acknowledged(fd);
	must(write(mates->channel[1], "s", 1) == 1, "all is there");
	must(recv(fd, buffer, 1, 0) < 0 && errno == ECONNRESET, "reset");
	end_finish(end, fd);
}

static void killed(void)
{
	struct exchange exchange = { .port = 18233 };
	struct mates mates = { .port = exchange.port, .exchange = &exchange };
	pid_t client;
	char mark;

	random_sizes(&exchange, 2, 5000);
	must(pipe(mates.channel) == 0, "pipe");
	mates.connection = listen_on(exchange.port);
	(void)start(serve_who_is_killed, &mates);
	(void)close(mates.connection);
	go();
	client = start(live_until_killed, &mates);
	for (int i = 0; i < 2; i++)
		must(read(mates.channel[0], &mark, 1) == 1, "wait for both ends");
	must(kill(client, SIGKILL) == 0, "kill");
	forget_child(client);
	wait_for_children();
}

struct hand {
	struct end *end;
	int fd;
	const struct exchange *exchange;
};

static void *write_hand(void *context)
{
	const struct hand *hand = context;

	put_all(hand->end, hand->fd, hand->exchange);
	return NULL;
}

static void *read_hand(void *context)
{
	const struct hand *hand = context;
	char room[4096];
	ssize_t result;

	while ((result = recv(hand->fd, room, sizeof(room), 0)) != 0)
		(void)end_took(hand->end, result);
	return NULL;
}

/* Two threads that write and two that read, each pair by a descriptor and its duplicate. */
static void four_hands(struct end *end, int fd, const struct exchange *exchange)
{
	struct hand hands[2] = { { end, fd, exchange }, { end, dup(fd), exchange } };
	pthread_t writers[2], readers[2];

	must(hands[1].fd >= 0, "dup");
	for (size_t i = 0; i < 2; i++) {
		must(pthread_create(&readers[i], NULL, read_hand, &hands[i]) == 0, "thread");
		must(pthread_create(&writers[i], NULL, write_hand, &hands[i]) == 0, "thread");
	}
	for (size_t i = 0; i < 2; i++)
		must(pthread_join(writers[i], NULL) == 0, "join");
	must(shutdown(fd, SHUT_WR) == 0, "shutdown");
	for (size_t i = 0; i < 2; i++)
		must(pthread_join(readers[i], NULL) == 0, "join");
	(void)close(hands[1].fd);
}

static void threads(void)
{
	struct exchange exchange = {
		.port = 18234, .connections = 3, .client = four_hands, .server = four_hands
	};

	random_sizes(&exchange, random_in(5, 40), 30000);
	run_exchange(&exchange);
}

const struct scenario sharing_scenarios[] = {
	{ "passed_on", passed_on },
	{ "inherited", inherited },
	{ "killed", killed },
	{ "threads", threads },
	{ NULL, NULL },
};
