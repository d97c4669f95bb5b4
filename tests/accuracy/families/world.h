/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * World - what the families of calls share: ends that count by themselves, processes that are kept
 * until the end, connections over loopback, and random numbers that come again with the seed.
 *
 * Ends stand in memory that is shared with all children, so that what a process did is known even
 * if it was killed. Nothing here is an error to be handled: whatever goes wrong ends the program,
 * and with it the test.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What one side of some connections did, as section 13 of the design counts it. */
struct end {
	const char *role;
	int port;
	pid_t pid;
	uint64_t connections, writes, written, reads, read, retransmits;
	uint64_t unread;     /* came to the socket, but no call took it */
	bool writes_unknown; /* only the kernel knows how many chunks it made */
	bool reads_unknown;
};

/* Ends the program unless it is true; name says what was tried. */
void must(bool is_true, const char *name);

void world_open(uint64_t seed);
/* Prints the truth, waits until the agent has looked, ends all children. */
void world_close(void);
/* Says "ready" and waits until the agent measures. */
void go(void);

/* From low to high, both included. */
size_t random_in(size_t low, size_t high);

/* An end of the calling process. */
struct end *end_new(const char *role, int port);
/* Adds what a call returned, which has to be more than nothing. */
size_t end_wrote(struct end *end, ssize_t result);
size_t end_took(struct end *end, ssize_t result);
void wait_until_acknowledged(int fd);
/* The socket's own count of retransmits, once nothing is on its way any more. */
void end_note(struct end *end, int fd);
/* The same, and its end. */
void end_finish(struct end *end, int fd);

/* Runs work in a child, which stays there until the world closes. */
pid_t start(void (*work)(void *), void *context);
/* Waits until all children have done their work. */
void wait_for_children(void);
/* A child that was killed or has ended is not waited for. */
void forget_child(pid_t child);

/* IPPROTO_MPTCP is another protocol, AF_INET6 with a mapped address another family. */
struct address {
	int family;
	int protocol;
	const char *text;
	int port;
};
int listen_at(const struct address *address);
int connect_to(const struct address *address);
int listen_on(int port);
int connect_on(int port);
int accept_one(int listener);

/* Plain calls, for the side that is not the story. Each moves size bytes in one operation. */
void put(struct end *end, int fd, size_t size);
void take(struct end *end, int fd, size_t size);
/* In as many operations as it takes. */
void take_all(struct end *end, int fd, size_t size);
void expect_end_of_stream(int fd);

/* A child that reads bytes of each of so many connections, and then the end of the stream. */
void start_reader(int port, size_t connections, size_t bytes);

#define BUFFER_BYTES (1 << 20)
/* Zeroes to send, room to receive: what is in it does not matter. */
extern char buffer[BUFFER_BYTES];

/* Each file of families has a list of these, ended by a name of NULL. */
struct scenario {
	const char *name;
	void (*run)(void);
};
extern const struct scenario call_scenarios[], kernel_scenarios[], ring_scenarios[],
	sharing_scenarios[], stack_scenarios[];

/*
 * One connection after another between two processes: what the parent does with each, and what the
 * child does. Both know the same sizes.
 */
#define SIZES_MAX 64
struct exchange {
	int port;
	bool listens_late; /* when the agent measures already */
	size_t connections;
	size_t count;
	size_t sizes[SIZES_MAX];
	void (*client)(struct end *end, int fd, const struct exchange *exchange);
	void (*server)(struct end *end, int fd, const struct exchange *exchange);
};
/* As many sizes as count, from 1 to most. */
void random_sizes(struct exchange *exchange, size_t count, size_t most);
size_t sum_of_sizes(const struct exchange *exchange);
void run_exchange(const struct exchange *exchange);
void run_exchange_at(const struct exchange *exchange, const struct address *server,
		     const struct address *client);
