/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls_programs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

/* A process that executes another program than this one, and waits. */
static pid_t start_sleep(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	NPT_CHECK(pipe2(ready, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		(void)execlp("sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	(void)close(ready[1]);
	NPT_CHECK(read(ready[0], &byte, 1) == 0); /* closed by its execve() */
	(void)close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static struct npt_tls_found found_of(const char *path, size_t functions)
{
	struct npt_tls_found found = { .library = { .kind = NPT_TLS_OPENSSL,
						    .function_count = functions } };

	(void)snprintf(found.path, sizeof(found.path), "%s", path);
	return found;
}

static void what_a_program_had_is_known_of_the_next_process_that_executes_it(void)
{
	npt_auto(npt_tls_programs_free) struct npt_tls_programs *programs = npt_tls_programs_new();
	const struct npt_tls_found learnt[] = { found_of("/lib/a", 4), found_of("/lib/b", 0),
						found_of("/lib/c", 2) };
	const struct npt_tls_found *found = NULL;
	pid_t first = start_sleep(), second = start_sleep();
	size_t count = 0;

	NPT_CHECK(!npt_tls_programs_recall(programs, (uint32_t)first, &found, &count));
	npt_tls_programs_learn(programs, (uint32_t)first, learnt, 3);
	NPT_CHECK(npt_tls_programs_recall(programs, (uint32_t)second, &found, &count));
	NPT_CHECK_INT(count, 2); /* one has no functions to be probed */
	NPT_CHECK_STR(found[0].path, "/lib/a");
	NPT_CHECK_STR(found[1].path, "/lib/c");
	NPT_CHECK(!npt_tls_programs_recall(programs, (uint32_t)getpid(), &found, &count));
	end(first);
	end(second);
	NPT_CHECK(!npt_tls_programs_recall(programs, (uint32_t)first, &found, &count)); /* gone */
}

static void a_program_without_tls_is_known_as_such(void)
{
	npt_auto(npt_tls_programs_free) struct npt_tls_programs *programs = npt_tls_programs_new();
	const struct npt_tls_found *found = NULL;
	size_t count = 7;

	npt_tls_programs_learn(programs, (uint32_t)getpid(), NULL, 0);
	NPT_CHECK(npt_tls_programs_recall(programs, (uint32_t)getpid(), &found, &count));
	NPT_CHECK_INT(count, 0);
}

static void an_early_look_that_saw_less_takes_nothing_away(void)
{
	npt_auto(npt_tls_programs_free) struct npt_tls_programs *programs = npt_tls_programs_new();
	const struct npt_tls_found learnt[] = { found_of("/lib/a", 4), found_of("/lib/b", 1) };
	const struct npt_tls_found *found = NULL;
	size_t count = 0;

	npt_tls_programs_learn(programs, (uint32_t)getpid(), learnt, 2);
	npt_tls_programs_learn(programs, (uint32_t)getpid(), learnt, 1);
	NPT_CHECK(npt_tls_programs_recall(programs, (uint32_t)getpid(), &found, &count));
	NPT_CHECK_INT(count, 2);
}

static const struct npt_test tests[] = {
	NPT_TEST(what_a_program_had_is_known_of_the_next_process_that_executes_it),
	NPT_TEST(a_program_without_tls_is_known_as_such),
	NPT_TEST(an_early_look_that_saw_less_takes_nothing_away),
};
NPT_TEST_MAIN(tests)
