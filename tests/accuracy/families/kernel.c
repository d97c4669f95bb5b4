/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel - payload that never passes through the program: sendfile and splice. The kernel moves it
 * in chunks, each an operation; a program knows their number only if it moves one small message at
 * a time.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/accuracy/families/world.h"

/* From a pipe into the socket, one splice for each message. */
static void splice_out(struct end *end, int fd, const struct exchange *exchange)
{
	int ends[2];

	must(pipe(ends) == 0, "pipe");
	for (size_t i = 0; i < exchange->count; i++) {
		size_t size = exchange->sizes[i];

		must(write(ends[1], buffer, size) == (ssize_t)size, "fill the pipe");
		must(end_wrote(end, splice(ends[0], NULL, fd, NULL, size, 0)) == size, "splice");
		take(end, fd, 1);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void answer_each(struct end *end, int fd, const struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->count; i++) {
		take(end, fd, exchange->sizes[i]);
		put(end, fd, 1);
	}
}

static void splice_to_socket(void)
{
	struct exchange exchange = {
		.port = 18211, .connections = 2, .client = splice_out, .server = answer_each
	};

	random_sizes(&exchange, random_in(5, 20), 4096);
	run_exchange(&exchange);
}

static void ask_each(struct end *end, int fd, const struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->count; i++) {
		put(end, fd, exchange->sizes[i]);
		take(end, fd, 1);
	}
}

/* One message at a time is there, in one segment: one chunk. */
static void splice_in(struct end *end, int fd, const struct exchange *exchange)
{
	int ends[2];

	must(pipe(ends) == 0, "pipe");
	for (size_t i = 0; i < exchange->count; i++) {
		size_t size = exchange->sizes[i];

		must(end_took(end, splice(fd, NULL, ends[1], NULL, size, 0)) == size, "splice");
		must(read(ends[0], buffer, size) == (ssize_t)size, "empty the pipe");
		put(end, fd, 1);
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void splice_from_socket(void)
{
	struct exchange exchange = {
		.port = 18212, .connections = 2, .client = ask_each, .server = splice_in
	};

	random_sizes(&exchange, random_in(5, 20), 1000);
	run_exchange(&exchange);
}

/* A file, sent by sendfile. */
static void send_file(struct end *end, int fd, const struct exchange *exchange)
{
	int file = memfd_create("payload", 0);
	size_t left = exchange->sizes[0];

	must(file >= 0 && ftruncate(file, (off_t)left) == 0, "file");
	while (left > 0)
		left -= end_wrote(end, sendfile(fd, file, NULL, left));
	(void)close(file);
	end->writes_unknown = true;
	take_all(end, fd, exchange->sizes[0]);
}

/* A proxy's way: socket -> pipe -> socket, here back to where it came from. */
static void splice_back(struct end *end, int fd, const struct exchange *exchange)
{
	size_t left = exchange->sizes[0];
	int ends[2];

	must(pipe(ends) == 0, "pipe");
	while (left > 0) {
		size_t some = end_took(end, splice(fd, NULL, ends[1], NULL, left, 0));

		left -= some;
		while (some > 0)
			some -= end_wrote(end, splice(ends[0], NULL, fd, NULL, some, 0));
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
	end->writes_unknown = true;
	end->reads_unknown = true;
}

/* No more than what fits into the buffers of both sockets: nobody reads until all is sent. */
static void splice_through(void)
{
	struct exchange exchange = { .port = 18213,
				     .connections = 3,
				     .client = send_file,
				     .server = splice_back,
				     .count = 1 };

	exchange.sizes[0] = random_in(50000, 300000);
	run_exchange(&exchange);
}

const struct scenario kernel_scenarios[] = {
	{ "splice_to_socket", splice_to_socket },
	{ "splice_from_socket", splice_from_socket },
	{ "splice_through", splice_through },
	{ NULL, NULL },
};
