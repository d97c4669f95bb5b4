/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls - sendmmsg and its like count by message; what moves no payload is no operation, and what
 * comes from the error queue is none either.
 */
#include <errno.h>
#include <time.h> /* linux/errqueue.h needs it */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/accuracy/families/world.h"

static void send_messages(struct end *end, int fd, const struct exchange *exchange)
{
	struct mmsghdr messages[SIZES_MAX] = { 0 };
	struct iovec parts[SIZES_MAX];
	unsigned int count = (unsigned int)exchange->count;

	for (size_t i = 0; i < exchange->count; i++) {
		parts[i] = (struct iovec){ buffer, exchange->sizes[i] };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	must(sendmmsg(fd, messages, count, 0) == (int)count, "sendmmsg");
	for (size_t i = 0; i < exchange->count; i++)
		must(end_wrote(end, messages[i].msg_len) == exchange->sizes[i], "sendmmsg all");
}

/* At the end of the stream it fills further messages with nothing; these are no operations. */
static void receive_messages(struct end *end, int fd, const struct exchange *exchange)
{
	struct mmsghdr messages[8] = { 0 };
	struct iovec parts[8];
	size_t left = sum_of_sizes(exchange);
	int count;

	for (size_t i = 0; i < 8; i++) {
		parts[i] = (struct iovec){ buffer, 1000 };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (left > 0) {
		count = recvmmsg(fd, messages, 8, MSG_WAITFORONE, NULL);
		must(count > 0, "recvmmsg");
		for (int i = 0; i < count; i++) {
			if (messages[i].msg_len > 0)
				left -= end_took(end, messages[i].msg_len);
		}
	}
}

static void many_messages(void)
{
	struct exchange exchange = {
		.port = 18201, .connections = 3, .client = send_messages, .server = receive_messages
	};

	random_sizes(&exchange, random_in(5, SIZES_MAX), 3000);
	run_exchange(&exchange);
}

static void write_when_told(struct end *end, int fd, const struct exchange *exchange)
{
	take(end, fd, 1);
	must(send(fd, buffer, 0, 0) == 0, "send nothing");
	put(end, fd, exchange->sizes[0]);
	must(shutdown(fd, SHUT_WR) == 0, "shutdown");
	must(send(fd, buffer, 10, 0) < 0 && errno == EPIPE, "send after the end");
	take(end, fd, 1);
}

static void look_before_reading(struct end *end, int fd, const struct exchange *exchange)
{
	size_t size = exchange->sizes[0], half = size / 2;

	for (int i = 0; i < 20; i++)
		must(recv(fd, buffer, 10, MSG_DONTWAIT) < 0 && errno == EAGAIN, "would block");
	put(end, fd, 1);
	for (int i = 0; i < 5; i++)
		must(recv(fd, buffer, size, MSG_PEEK | MSG_WAITALL) == (ssize_t)size, "peek");
	must(recv(fd, NULL, size, MSG_PEEK | MSG_TRUNC) == (ssize_t)size, "length only");
	must(recv(fd, buffer, 0, 0) == 0, "receive nothing");
	/* Discards: the program sees nothing of it, but it has read it. */
	must(end_took(end, recv(fd, NULL, half, MSG_TRUNC)) == half, "discard");
	take(end, fd, size - half);
	for (int i = 0; i < 3; i++)
		expect_end_of_stream(fd);
	put(end, fd, 1);
}

static void nothing_moves(void)
{
	struct exchange exchange = { .port = 18202,
				     .connections = 2,
				     .client = write_when_told,
				     .server = look_before_reading,
				     .count = 1 };

	exchange.sizes[0] = random_in(2, 5000);
	run_exchange(&exchange);
}

static void take_sum(struct end *end, int fd, const struct exchange *exchange)
{
	take_all(end, fd, sum_of_sizes(exchange));
}

/* One notice from the error queue; what its read returned is in *size. */
static struct sock_extended_err notice(int fd, ssize_t *size)
{
	char control[512];
	struct iovec part = { buffer, sizeof(buffer) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct pollfd waiting = { .fd = fd };
	struct sock_extended_err found = { 0 };

	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	must(poll(&waiting, 1, 10000) == 1, "wait for a notice");
	*size = recvmsg(fd, &message, MSG_ERRQUEUE);
	must(*size >= 0, "read a notice");
	for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each;
	     each = CMSG_NXTHDR(&message, each)) {
		const struct sock_extended_err *error = (const void *)CMSG_DATA(each);

		if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_RECVERR)
			found = *error;
	}
	return found;
}

static void send_without_copy(struct end *end, int fd, const struct exchange *exchange)
{
	size_t completed = 0;
	int one = 1;

	must(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) == 0, "SO_ZEROCOPY");
	for (size_t i = 0; i < exchange->count; i++) {
		size_t size = exchange->sizes[i];

		must(end_wrote(end, send(fd, buffer, size, MSG_ZEROCOPY)) == size, "zerocopy");
	}
	while (completed < exchange->count) {
		ssize_t size;
		struct sock_extended_err error = notice(fd, &size);

		must(error.ee_origin == SO_EE_ORIGIN_ZEROCOPY && size == 0, "completion");
		completed += error.ee_data - error.ee_info + 1;
	}
}

static void zerocopy(void)
{
	struct exchange exchange = {
		.port = 18203, .connections = 2, .client = send_without_copy, .server = take_sum
	};

	random_sizes(&exchange, random_in(5, 20), 200000);
	run_exchange(&exchange);
}

/* A time stamp comes with the payload that it is of: a read that returns bytes the peer never sent.
 */
static void ask_when_acknowledged(struct end *end, int fd, const struct exchange *exchange)
{
	int wanted = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE;
	size_t echoed = 0;

	must(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &wanted, sizeof(wanted)) == 0,
	     "SO_TIMESTAMPING");
	for (size_t i = 0; i < exchange->count; i++) {
		struct sock_extended_err error;
		ssize_t size;

		put(end, fd, exchange->sizes[i]);
		error = notice(fd, &size);
		must(error.ee_origin == SO_EE_ORIGIN_TIMESTAMPING, "time stamp");
		echoed += (size_t)size;
	}
	must(echoed > 0, "time stamps with payload");
}

static void time_stamps(void)
{
	struct exchange exchange = {
		.port = 18204, .connections = 2, .client = ask_when_acknowledged, .server = take_sum
	};

	random_sizes(&exchange, random_in(5, 20), 1000);
	run_exchange(&exchange);
}

const struct scenario call_scenarios[] = {
	{ "many_messages", many_messages },
	{ "nothing_moves", nothing_moves },
	{ "zerocopy", zerocopy },
	{ "time_stamps", time_stamps },
	{ NULL, NULL },
};
