/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ends of one connection in two scopes of one node: each keeps the other's address as its peer
 * and learns from it what was asked for and what was reached.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/measure.h"
#include "lib/core/cleanup.h"
#include "tests/support/test.h"

struct ends {
	struct npt_edge client, server;
};

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* Waits for the word, then connects and asks. */
static _Noreturn void be_client(int go_fd, uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte;

	if (read(go_fd, &byte, 1) == 1 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    send(fd, "q", 1, 0) == 1)
		(void)!recv(fd, &byte, 1, 0);
	_exit(0);
}

static _Noreturn void be_server(int listener)
{
	int fd = accept(listener, NULL, NULL);
	char byte;

	if (fd >= 0 && recv(fd, &byte, 1, 0) == 1)
		(void)!send(fd, "a", 1, 0);
	_exit(0);
}

static void take(void *context, uint32_t scope, uint32_t slot, const struct npt_edge *delta)
{
	struct ends *ends = context;

	(void)scope;
	(void)slot;
	if (delta->role == NPT_ROLE_CLIENT)
		ends->client = *delta;
	else
		ends->server = *delta;
}

static void add_scope(struct npt_measure *measure, pid_t pid)
{
	uint32_t member = (uint32_t)pid, scope;
	struct npt_scope_options options = {
		.netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
		.by_process = true,
		.members = &member,
		.members_count = 1,
	};

	NPT_CHECK_INT(npt_measure_add_scope(measure, &options, &scope, NULL), 0);
}

static void an_end_in_another_scope_tells_what_was_reached(void)
{
	struct npt_measure_options options = { .operations = true };
	npt_auto(npt_measure_free) struct npt_measure *measure = NULL;
	struct sockaddr_in address = loopback(0);
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), go[2] = { -1, -1 };
	struct ends ends = { 0 };
	char wanted[NPT_ENDPOINT_BYTES];
	pid_t client, server;

	if (geteuid() != 0) {
		npt_test_skip("needs root: loads BPF programs");
		return;
	}
	NPT_CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		  listen(listener, 1) == 0 && pipe2(go, O_CLOEXEC) == 0 &&
		  getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	(void)snprintf(wanted, sizeof(wanted), "127.0.0.1:%u", ntohs(address.sin_port));
	server = fork();
	if (server == 0)
		be_server(listener);
	client = fork();
	if (client == 0)
		be_client(go[0], ntohs(address.sin_port));
	if (NPT_CHECK_INT(npt_measure_new(&measure, &options, NULL), 0)) {
		add_scope(measure, server);
		add_scope(measure, client);
	}
	NPT_CHECK(write(go[1], "g", 1) == 1);
	(void)waitpid(client, NULL, 0);
	(void)waitpid(server, NULL, 0);
	NPT_CHECK_INT(npt_measure_read(measure, take, &ends, NULL), 0);
	NPT_CHECK_INT(ends.client.peer.kind, NPT_PEER_ADDRESS);
	NPT_CHECK_STR(ends.client.peer.asked, wanted);
	NPT_CHECK_STR(ends.client.peer.reached, wanted);
	NPT_CHECK_INT(ends.server.peer.kind, NPT_PEER_ADDRESS);
	NPT_CHECK_STR(ends.server.peer.asked, wanted);
	(void)close(listener);
	(void)close(go[0]);
	(void)close(go[1]);
}

static const struct npt_test tests[] = {
	NPT_TEST(an_end_in_another_scope_tells_what_was_reached),
};
NPT_TEST_MAIN(tests)
