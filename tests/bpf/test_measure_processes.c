/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scopes that are some of the processes of one network namespace: each gets its own and nobody
 * else's, whoever else is measured there, comes later or ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <signal.h>

#include "agent/measure.h"
#include "bpf/measure.h"
#include "lib/core/cleanup.h"
#include "tests/support/test.h"

#define BYTES 1000

/* A process that opens a connection to itself and writes BYTES into it whenever it is told to. */
struct worker {
	pid_t pid;
	int fd;
};

struct sum {
	uint64_t sent_bytes;
	uint64_t clients_found;
	uint64_t clients_opened;
	uint64_t servers;
};

static struct sum sums[NPT_SCOPES_MAX];

static bool connect_to_self(int *client_ret, int *server_ret)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address);

	*client_ret = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
	    connect(*client_ret, (struct sockaddr *)&address, sizeof(address)) < 0)
		return false;
	*server_ret = accept(listener, NULL, NULL);
	return *server_ret >= 0;
}

static _Noreturn void work(int fd)
{
	char data[BYTES] = { 0 }, order;
	int client = -1, server = -1;

	while (read(fd, &order, 1) == 1) {
		bool done = order == 'o' ? connect_to_self(&client, &server)
					 : write(client, data, BYTES) == BYTES &&
						   recv(server, data, BYTES, MSG_WAITALL) == BYTES;

		if (write(fd, done ? "y" : "n", 1) != 1)
			break;
	}
	_exit(0);
}

static void tell(struct worker *worker, char order)
{
	char answer = 'n';

	NPT_CHECK(write(worker->fd, &order, 1) == 1 && read(worker->fd, &answer, 1) == 1);
	NPT_CHECK(answer == 'y');
}

static void start(struct worker *worker)
{
	int ends[2];

	if (!NPT_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0))
		return;
	worker->pid = fork();
	if (worker->pid == 0) {
		(void)close(ends[1]);
		work(ends[0]);
	}
	(void)close(ends[0]);
	worker->fd = ends[1];
}

static void end(struct worker *worker)
{
	(void)close(worker->fd);
	(void)kill(worker->pid, SIGKILL);
	(void)waitpid(worker->pid, NULL, 0);
}

static int add_scope(struct npt_measure *measure, const struct worker *worker, uint32_t *scope_ret)
{
	uint32_t pid = worker ? (uint32_t)worker->pid : 0;
	struct npt_scope_options options = {
		.netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
		.by_process = worker != NULL,
		.members = &pid,
		.members_count = worker ? 1 : 0,
	};
	int r = npt_measure_add_scope(measure, &options, scope_ret, NULL);

	if (r < 0)
		(void)close(options.netns_fd);
	return r;
}

static void add_up(void *context, uint32_t scope, uint32_t slot, const struct npt_edge *delta)
{
	(void)context;
	(void)slot;
	if (delta->role == NPT_ROLE_SERVER) {
		sums[scope].servers += delta->connections.opened + delta->connections.found;
		return;
	}
	sums[scope].sent_bytes += delta->sent.bytes;
	sums[scope].clients_found += delta->connections.found;
	sums[scope].clients_opened += delta->connections.opened;
}

/* What is new since the last time. */
static void read_all(struct npt_measure *measure)
{
	memset(sums, 0, sizeof(sums));
	NPT_CHECK_INT(npt_measure_read(measure, add_up, NULL, NULL), 0);
}

static uint64_t sent_of_all(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < NPT_SCOPES_MAX; i++)
		sum += sums[i].sent_bytes;
	return sum;
}

static struct npt_measure *new_measure(void)
{
	struct npt_measure_options options = { .operations = true };
	struct npt_measure *measure = NULL;

	if (geteuid() != 0) {
		npt_test_skip("needs root: loads BPF programs");
		return NULL;
	}
	NPT_CHECK_INT(npt_measure_new(&measure, &options, NULL), 0);
	return measure;
}

/* Three of them, of which a and b are measured; the order of ending them is the test. */
static void check_sharing(struct npt_measure *measure, struct worker *workers)
{
	uint32_t a = 0, b = 0, whole = 0;

	NPT_CHECK_INT(add_scope(measure, &workers[0], &a), 0);
	NPT_CHECK_INT(add_scope(measure, &workers[1], &b), 0);
	NPT_CHECK_INT(add_scope(measure, NULL, &whole), -EBUSY);
	for (int i = 0; i < 6; i++) {
		if (i < 3)
			tell(&workers[i], 'o');
		for (int j = 0; j <= i % 3; j++)
			tell(&workers[i % 3], 'w');
	}
	read_all(measure);
	NPT_CHECK_INT(sums[a].sent_bytes, 2 * BYTES);
	NPT_CHECK_INT(sums[b].sent_bytes, 4 * BYTES);
	NPT_CHECK_INT(sums[b].clients_opened, 1);
	NPT_CHECK_INT(sent_of_all(), 6 * BYTES);
	npt_measure_forget_scope(measure, a);
	for (int i = 0; i < 3; i++)
		tell(&workers[i], 'w');
	read_all(measure);
	NPT_CHECK_INT(sums[b].sent_bytes, BYTES);
	tell(&workers[1], 'o'); /* the namespace is still one of scopes */
	tell(&workers[1], 'w');
	read_all(measure);
	NPT_CHECK_INT(sums[b].sent_bytes, BYTES);
	NPT_CHECK_INT(sent_of_all(), BYTES);
}

static void processes_of_one_namespace_are_scopes_that_do_not_see_each_other(void)
{
	npt_auto(npt_measure_free) struct npt_measure *measure = new_measure();
	struct worker workers[3];

	if (!measure)
		return;
	for (size_t i = 0; i < 3; i++)
		start(&workers[i]);
	check_sharing(measure, workers);
	for (size_t i = 0; i < 3; i++)
		end(&workers[i]);
}

/* Another keeps the BPF object, and what its maps say of the namespace, in the kernel. */
static void a_namespace_is_free_again_after_the_last_scope_in_it(void)
{
	npt_auto(npt_measure_free) struct npt_measure *measure = new_measure();
	npt_auto_close int own_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct npt_scope_options elsewhere = { .edges_max = 10 };
	uint32_t kept = 0, first = 0, second = 0, whole = 0;
	struct worker worker;

	if (!measure || !NPT_CHECK(unshare(CLONE_NEWNET) == 0))
		return;
	elsewhere.netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	NPT_CHECK(setns(own_fd, CLONE_NEWNET) == 0);
	NPT_CHECK_INT(npt_measure_add_scope(measure, &elsewhere, &kept, NULL), 0);
	start(&worker);
	NPT_CHECK_INT(add_scope(measure, &worker, &first), 0);
	NPT_CHECK_INT(add_scope(measure, &worker, &second), 0);
	npt_measure_remove_scope(measure, first);
	NPT_CHECK_INT(add_scope(measure, NULL, &whole), -EBUSY);
	npt_measure_remove_scope(measure, second);
	NPT_CHECK_INT(add_scope(measure, NULL, &whole), 0);
	NPT_CHECK_INT(add_scope(measure, &worker, &first), -EBUSY);
	tell(&worker, 'o');
	tell(&worker, 'w');
	read_all(measure);
	NPT_CHECK(sums[whole].sent_bytes >= BYTES);
	end(&worker);
}

static void who_comes_later_is_taken_in_with_what_it_has_open(void)
{
	npt_auto(npt_measure_free) struct npt_measure *measure = new_measure();
	struct worker workers[2];
	uint32_t scope = 0, later, ended;

	if (!measure)
		return;
	for (size_t i = 0; i < 2; i++)
		start(&workers[i]);
	later = (uint32_t)workers[1].pid;
	tell(&workers[1], 'o');
	tell(&workers[1], 'w');
	NPT_CHECK_INT(add_scope(measure, &workers[0], &scope), 0);
	read_all(measure);
	NPT_CHECK_INT(sums[scope].clients_found, 0);
	NPT_CHECK_INT(npt_measure_add_member(measure, scope, later, NULL), 1);
	NPT_CHECK_INT(npt_measure_add_member(measure, scope, later, NULL), 0);
	NPT_CHECK_INT(npt_measure_members(measure, scope), 2);
	read_all(measure);
	NPT_CHECK_INT(sums[scope].clients_found, 1);
	NPT_CHECK_INT(sums[scope].servers, 1);
	NPT_CHECK_INT(sums[scope].sent_bytes, 0); /* what was before is not ours */
	tell(&workers[1], 'w');
	read_all(measure);
	NPT_CHECK_INT(sums[scope].sent_bytes, BYTES);
	ended = (uint32_t)workers[0].pid;
	for (size_t i = 0; i < 2; i++)
		end(&workers[i]);
	NPT_CHECK_INT(npt_measure_add_member(measure, scope, ended, NULL), 0);
	NPT_CHECK_INT(npt_measure_members(measure, scope), 0);
	NPT_CHECK_INT(npt_measure_add_member(measure, scope + 1, (uint32_t)getpid(), NULL), 0);
}

static void *become_cat(void *nothing)
{
	(void)nothing;
	(void)execlp("cat", "cat", (char *)NULL);
	_exit(1);
}

/* Its first thread ends then, or waits for others: the process is the same, and lives on. */
static void a_process_stays_a_member_when_another_of_its_threads_executes_a_program(void)
{
	npt_auto(npt_measure_free) struct npt_measure *measure = new_measure();
	struct worker worker;
	uint32_t scope = 0;
	char byte = 'n';
	int ends[2];

	if (!measure || !NPT_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0))
		return;
	worker = (struct worker){ .fd = ends[1], .pid = fork() };
	if (worker.pid == 0) {
		pthread_t thread;

		if (read(ends[0], &byte, 1) != 1 || dup2(ends[0], 0) < 0 || dup2(ends[0], 1) < 0)
			_exit(1);
		(void)pthread_create(&thread, NULL, become_cat, NULL);
		(void)pthread_join(thread, NULL);
		_exit(1);
	}
	(void)close(ends[0]);
	NPT_CHECK_INT(add_scope(measure, &worker, &scope), 0);
	NPT_CHECK(write(worker.fd, "gy", 2) == 2);
	NPT_CHECK(read(worker.fd, &byte, 1) == 1 && byte == 'y'); /* cat says it */
	NPT_CHECK_INT(npt_measure_members(measure, scope), 1);
	end(&worker);
	NPT_CHECK_INT(npt_measure_members(measure, scope), 0);
}

static const struct npt_test tests[] = {
	NPT_TEST(processes_of_one_namespace_are_scopes_that_do_not_see_each_other),
	NPT_TEST(a_namespace_is_free_again_after_the_last_scope_in_it),
	NPT_TEST(who_comes_later_is_taken_in_with_what_it_has_open),
	NPT_TEST(a_process_stays_a_member_when_another_of_its_threads_executes_a_program),
};
NPT_TEST_MAIN(tests)
