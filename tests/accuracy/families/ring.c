/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ring - io_uring: no system call per operation, and the kernel may try one several times. Each
 * completion that moved payload is one operation; a receive that waits for all of it is one for
 * each part, since the kernel goes to the socket for each.
 */
#include <linux/io_uring.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/accuracy/families/world.h"

/* One entry at a time is in it, so heads and tails are never far apart. */
struct ring {
	int fd;
	uint32_t *sq_tail, *sq_array, *cq_head, *cq_tail;
	uint32_t sq_mask, cq_mask;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *completions;
};

static void *map(int fd, size_t size, uint64_t offset)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
			    (off_t)offset);

	must(memory != MAP_FAILED, "map the ring");
	return memory;
}

static struct ring ring_open(void)
{
	struct io_uring_params params = { 0 };
	struct ring ring = { .fd = (int)syscall(SYS_io_uring_setup, 4, &params) };
	size_t sq_size, cq_size;
	char *sq, *cq;

	must(ring.fd >= 0, "io_uring_setup");
	sq_size = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
	cq_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	sq = map(ring.fd, sq_size, IORING_OFF_SQ_RING);
	cq = map(ring.fd, cq_size, IORING_OFF_CQ_RING);
	ring.entries = map(ring.fd, params.sq_entries * sizeof(*ring.entries), IORING_OFF_SQES);
	ring.sq_tail = (void *)(sq + params.sq_off.tail);
	ring.sq_array = (void *)(sq + params.sq_off.array);
	ring.sq_mask = *(uint32_t *)(void *)(sq + params.sq_off.ring_mask);
	ring.cq_head = (void *)(cq + params.cq_off.head);
	ring.cq_tail = (void *)(cq + params.cq_off.tail);
	ring.cq_mask = *(uint32_t *)(void *)(cq + params.cq_off.ring_mask);
	ring.completions = (void *)(cq + params.cq_off.cqes);
	return ring;
}

/* Waits for the next completion; its flags, and what it says in *result. */
static uint32_t ring_next(struct ring *ring, unsigned int submit, int *result)
{
	const struct io_uring_cqe *completion;
	uint32_t head = *ring->cq_head, flags;

	while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
		must(syscall(SYS_io_uring_enter, ring->fd, submit, 1, IORING_ENTER_GETEVENTS, NULL,
			     0) >= 0,
		     "io_uring_enter");
		submit = 0;
	}
	completion = &ring->completions[head & ring->cq_mask];
	*result = completion->res;
	flags = completion->flags;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return flags;
}

/* Submits one entry and waits for its completion, and for the notice of a send without a copy. */
static int ring_do(struct ring *ring, const struct io_uring_sqe *entry)
{
	uint32_t tail = *ring->sq_tail;
	int result, nothing;

	ring->entries[tail & ring->sq_mask] = *entry;
	ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (ring_next(ring, 1, &result) & IORING_CQE_F_MORE)
		must(ring_next(ring, 0, &nothing) & IORING_CQE_F_NOTIF, "notice of a send");
	return result;
}

static const uint8_t write_ways[] = { IORING_OP_SEND, IORING_OP_WRITE, IORING_OP_WRITEV,
				      IORING_OP_SENDMSG, IORING_OP_SEND_ZC };
static const uint8_t read_ways[] = { IORING_OP_RECV, IORING_OP_READ, IORING_OP_READV,
				     IORING_OP_RECVMSG };

/* By a way that takes a buffer, an array of parts or a message header. */
static int ring_move(struct ring *ring, uint8_t way, int fd, size_t size)
{
	struct iovec parts[2] = { { buffer, size / 2 }, { buffer, size - size / 2 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	struct io_uring_sqe entry = { .opcode = way, .fd = fd };

	if (way == IORING_OP_WRITEV || way == IORING_OP_READV) {
		entry.addr = (uintptr_t)parts;
		entry.len = 2;
	} else if (way == IORING_OP_SENDMSG || way == IORING_OP_RECVMSG) {
		entry.addr = (uintptr_t)&message;
		entry.len = 1;
	} else {
		entry.addr = (uintptr_t)buffer;
		entry.len = (uint32_t)size;
	}
	return ring_do(ring, &entry);
}

static void ring_write(struct end *end, int fd, const struct exchange *exchange)
{
	struct ring ring = ring_open();

	for (size_t i = 0; i < exchange->count; i++) {
		size_t left = exchange->sizes[i];

		while (left > 0)
			left -= end_wrote(end, ring_move(&ring, write_ways[i % sizeof(write_ways)],
							 fd, left));
	}
	(void)close(ring.fd);
}

static void ring_read(struct end *end, int fd, const struct exchange *exchange)
{
	struct ring ring = ring_open();
	size_t left = sum_of_sizes(exchange);

	for (size_t i = 0; left > 0; i++) {
		size_t size = left < 5000 ? left : 5000;

		left -= end_took(end, ring_move(&ring, read_ways[i % sizeof(read_ways)], fd, size));
	}
	must(ring_move(&ring, IORING_OP_RECV, fd, 1) == 0, "end of stream");
	(void)close(ring.fd);
}

static void write_and_end(struct end *end, int fd, const struct exchange *exchange)
{
	ring_write(end, fd, exchange);
	must(shutdown(fd, SHUT_WR) == 0, "shutdown");
}

static void ring_calls(void)
{
	struct exchange exchange = {
		.port = 18221, .connections = 3, .client = write_and_end, .server = ring_read
	};

	random_sizes(&exchange, random_in(10, 40), 20000);
	run_exchange(&exchange);
}

struct parts {
	const struct exchange *exchange;
	struct end *end;
	int from, to;
};

/* Each part only when the one before was taken from the socket. */
static void *send_parts(void *context)
{
	const struct parts *parts = context;
	const struct timespec millisecond = { .tv_nsec = 1000000 };
	int queued;

	for (size_t i = 0; i < parts->exchange->count; i++) {
		put(parts->end, parts->from, parts->exchange->sizes[i]);
		wait_until_acknowledged(parts->from);
		do {
			(void)nanosleep(&millisecond, NULL);
			must(ioctl(parts->to, FIONREAD, &queued) == 0, "FIONREAD");
		} while (queued > 0);
	}
	return NULL;
}

/* Both ends in one process: who sends has to see what the other end has not taken yet. */
static void ring_waits_for_all(void)
{
	struct exchange exchange = { .port = 18222 };
	int listener = listen_on(exchange.port), client, server;
	struct end *client_end, *server_end;
	struct io_uring_sqe entry = { .opcode = IORING_OP_RECV, .msg_flags = MSG_WAITALL };
	struct ring ring = ring_open();
	struct parts parts;
	pthread_t sender;

	random_sizes(&exchange, random_in(3, 10), 1000);
	go();
	client_end = end_new("client", exchange.port);
	server_end = end_new("server", exchange.port);
	client = connect_on(exchange.port);
	server = accept_one(listener);
	parts = (struct parts){ &exchange, client_end, client, server };
	must(pthread_create(&sender, NULL, send_parts, &parts) == 0, "thread");
	entry.fd = server;
	entry.addr = (uintptr_t)buffer;
	entry.len = (uint32_t)sum_of_sizes(&exchange);
	must(ring_do(&ring, &entry) == (int)entry.len, "receive all");
	must(pthread_join(sender, NULL) == 0, "join");
	client_end->connections = server_end->connections = 1;
	server_end->reads = exchange.count;
	server_end->read = entry.len;
	end_finish(client_end, client);
	end_finish(server_end, server);
}

const struct scenario ring_scenarios[] = {
	{ "ring_calls", ring_calls },
	{ "ring_waits_for_all", ring_waits_for_all },
	{ NULL, NULL },
};
