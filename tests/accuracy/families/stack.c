/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stack - plain calls, and a TCP that does something else with them: holds bytes back, sends them
 * in a SYN, closes one direction only, speaks IPv4 through IPv6 sockets or MPTCP.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/accuracy/families/world.h"

static void put_each(struct end *end, int fd, const struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->count; i++)
		put(end, fd, exchange->sizes[i]);
}

static void take_sum(struct end *end, int fd, const struct exchange *exchange)
{
	take_all(end, fd, sum_of_sizes(exchange));
}

static void ask(struct end *end, int fd, const struct exchange *exchange)
{
	put_each(end, fd, exchange);
	take(end, fd, 1);
}

static void answer(struct end *end, int fd, const struct exchange *exchange)
{
	take_sum(end, fd, exchange);
	put(end, fd, 1);
}

static void run_between(int port, int server_family, const char *server, int client_family,
			const char *client)
{
	struct exchange exchange = {
		.port = port, .connections = 4, .client = ask, .server = answer
	};

	random_sizes(&exchange, random_in(3, 10), 5000);
	run_exchange_at(&exchange, &(struct address){ server_family, 0, server, port },
			&(struct address){ client_family, 0, client, port });
}

static void mapped_client(void)
{
	run_between(18241, AF_INET, "127.0.0.1", AF_INET6, "::ffff:127.0.0.1");
}

static void mapped_server(void)
{
	run_between(18242, AF_INET6, "::", AF_INET, "127.0.0.1");
}

static void mapped_both(void)
{
	run_between(18243, AF_INET6, "::ffff:127.0.0.1", AF_INET6, "::ffff:127.0.0.1");
}

/* Nagle's algorithm joins what is written one by one. */
static void tiny_writes(void)
{
	struct exchange exchange = {
		.port = 18244, .connections = 3, .client = ask, .server = answer
	};

	random_sizes(&exchange, SIZES_MAX, 3);
	run_exchange(&exchange);
}

static void put_corked(struct end *end, int fd, const struct exchange *exchange)
{
	int one = 1, none = 0;

	must(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &one, sizeof(one)) == 0, "TCP_CORK");
	put_each(end, fd, exchange);
	must(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &none, sizeof(none)) == 0, "TCP_CORK");
	for (size_t i = 0; i < exchange->count; i++)
		(void)end_wrote(end, send(fd, buffer, exchange->sizes[i], MSG_MORE));
	put(end, fd, 1);
}

static void take_corked(struct end *end, int fd, const struct exchange *exchange)
{
	take_all(end, fd, 2 * sum_of_sizes(exchange) + 1);
}

static void corked(void)
{
	struct exchange exchange = {
		.port = 18245, .connections = 3, .client = put_corked, .server = take_corked
	};

	random_sizes(&exchange, random_in(5, 30), 2000);
	run_exchange(&exchange);
}

static void ask_and_listen(struct end *end, int fd, const struct exchange *exchange)
{
	put_each(end, fd, exchange);
	must(shutdown(fd, SHUT_WR) == 0, "shutdown");
	take_sum(end, fd, exchange);
	expect_end_of_stream(fd);
}

static void answer_after_the_end(struct end *end, int fd, const struct exchange *exchange)
{
	take_sum(end, fd, exchange);
	expect_end_of_stream(fd);
	put_each(end, fd, exchange);
	must(shutdown(fd, SHUT_WR) == 0, "shutdown");
}

static void half_closed(void)
{
	struct exchange exchange = { .port = 18246,
				     .connections = 4,
				     .client = ask_and_listen,
				     .server = answer_after_the_end };

	random_sizes(&exchange, random_in(3, 20), 20000);
	run_exchange(&exchange);
}

/* The first connection gets the cookie, the others have data in their SYN. */
static void open_fast(struct end *end, const struct exchange *exchange, bool with_cookie)
{
	struct sockaddr_in where = { .sin_family = AF_INET };
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	where.sin_port = htons((uint16_t)exchange->port);
	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)end_wrote(end, sendto(fd, buffer, exchange->sizes[0], MSG_FASTOPEN,
				    (struct sockaddr *)&where, sizeof(where)));
	end->connections++;
	take(end, fd, 1);
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0, "TCP_INFO");
	must(!with_cookie || (info.tcpi_options & TCPI_OPT_SYN_DATA), "data in the SYN");
	end_finish(end, fd);
}

struct fast {
	const struct exchange *exchange;
	int listener;
};

static void serve_fast(void *context)
{
	const struct fast *fast = context;
	struct end *end = end_new("server", fast->exchange->port);

	for (size_t i = 0; i < fast->exchange->connections; i++) {
		int fd = accept_one(fast->listener);

		end->connections++;
		answer(end, fd, fast->exchange);
		end_finish(end, fd);
	}
}

/* The test allows it in the namespace: net.ipv4.tcp_fastopen = 3. */
static void fast_open(void)
{
	struct exchange exchange = { .port = 18247, .connections = 5 };
	struct fast fast = { &exchange, listen_on(exchange.port) };
	struct end *end;
	int queue = 16;

	random_sizes(&exchange, 1, 1000);
	must(setsockopt(fast.listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)) == 0,
	     "TCP_FASTOPEN");
	(void)start(serve_fast, &fast);
	(void)close(fast.listener);
	go();
	end = end_new("client", exchange.port);
	for (size_t i = 0; i < exchange.connections; i++)
		open_fast(end, &exchange, i > 0);
	wait_for_children();
}

#define OLDER 3

struct mixture {
	struct exchange exchange;
	int listener;
	int told[2];
};

static void serve_mixture(void *context)
{
	const struct mixture *mixture = context;
	struct end unseen = { 0 }, *end = end_new("server", mixture->exchange.port);
	int older[OLDER];

	for (size_t i = 0; i < OLDER; i++) {
		older[i] = accept_one(mixture->listener);
		answer(&unseen, older[i], &mixture->exchange);
	}
	must(write(mixture->told[1], "o", 1) == 1, "tell");
	for (size_t i = 0; i < OLDER; i++) {
		int fresh = accept_one(mixture->listener);

		answer(end, older[i], &mixture->exchange);
		answer(end, fresh, &mixture->exchange);
		end->connections += 2;
		end_finish(end, older[i]);
		end_finish(end, fresh);
	}
}

/* Connections that moved bytes before anybody looked, side by side with new ones. */
static void older_and_new(void)
{
	struct mixture mixture = { .exchange.port = 18248 };
	struct end unseen = { 0 }, *end;
	int older[OLDER];
	char mark;

	random_sizes(&mixture.exchange, random_in(3, 10), 10000);
	mixture.listener = listen_on(mixture.exchange.port);
	must(pipe(mixture.told) == 0, "pipe");
	(void)start(serve_mixture, &mixture);
	for (size_t i = 0; i < OLDER; i++) {
		older[i] = connect_on(mixture.exchange.port);
		ask(&unseen, older[i], &mixture.exchange);
	}
	must(read(mixture.told[0], &mark, 1) == 1, "the server");
	go();
	end = end_new("client", mixture.exchange.port);
	for (size_t i = 0; i < OLDER; i++) {
		int fresh = connect_on(mixture.exchange.port);

		ask(end, older[i], &mixture.exchange);
		ask(end, fresh, &mixture.exchange);
		end->connections += 2;
		end_finish(end, older[i]);
		end_finish(end, fresh);
	}
	wait_for_children();
}

/* One subflow: its payload is the connection's. */
static void run_multipath(int port, bool listens_late)
{
	struct exchange exchange = { .port = port,
				     .listens_late = listens_late,
				     .connections = 3,
				     .client = ask,
				     .server = answer };
	struct address address = { AF_INET, IPPROTO_MPTCP, "127.0.0.1", port };

	random_sizes(&exchange, random_in(5, 20), 20000);
	run_exchange_at(&exchange, &address, &address);
}

static void multipath(void)
{
	run_multipath(18249, true);
}

static void multipath_older_listener(void)
{
	run_multipath(18250, false);
}

const struct scenario stack_scenarios[] = {
	{ "mapped_client", mapped_client },
	{ "mapped_server", mapped_server },
	{ "mapped_both", mapped_both },
	{ "tiny_writes", tiny_writes },
	{ "corked", corked },
	{ "half_closed", half_closed },
	{ "fast_open", fast_open },
	{ "older_and_new", older_and_new },
	{ "multipath", multipath },
	{ "multipath_older_listener", multipath_older_listener },
	{ NULL, NULL },
};
