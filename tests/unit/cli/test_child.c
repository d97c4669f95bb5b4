/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "tests/support/test.h"

static struct npt_child start(const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct npt_child child = NPT_CHILD_NONE;

	NPT_CHECK_INT(npt_child_start(argv, &child, NULL), 0);
	return child;
}

static void all_that_it_prints_is_there_at_its_end(void)
{
	npt_auto(npt_child_stop) struct npt_child child = start("printf 'a\\nb'; printf c");
	npt_auto_free char *text = NULL;

	NPT_CHECK_INT(npt_child_finish(&child, 100, &text, NULL), 0);
	NPT_CHECK_STR(text, "a\nbc");
}

static void lines_are_read_while_it_runs(void)
{
	npt_auto(npt_child_stop) struct npt_child child = start("echo one; echo two; sleep 30");
	char line[16];

	NPT_CHECK_INT(npt_child_read_line(&child, 10000, line, sizeof(line), NULL), 0);
	NPT_CHECK_STR(line, "one");
	NPT_CHECK_INT(npt_child_read_line(&child, 10000, line, sizeof(line), NULL), 0);
	NPT_CHECK_STR(line, "two");
	NPT_CHECK_INT(npt_child_read_line(&child, 50, line, sizeof(line), NULL), -ETIMEDOUT);
}

static void a_line_that_is_too_long_is_cut(void)
{
	npt_auto(npt_child_stop) struct npt_child child = start("echo 123456789; echo x");
	char line[5];

	NPT_CHECK_INT(npt_child_read_line(&child, 10000, line, sizeof(line), NULL), 0);
	NPT_CHECK_STR(line, "1234");
	NPT_CHECK_INT(npt_child_read_line(&child, 10000, line, sizeof(line), NULL), 0);
	NPT_CHECK_STR(line, "x");
}

static void its_last_words_are_the_error(void)
{
	npt_auto(npt_child_stop) struct npt_child child =
		start("echo first >&2; echo why >&2; exit 3");
	npt_auto(npt_child_stop) struct npt_child silent = start("exit 1");
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free char *text = NULL;
	char line[16];

	NPT_CHECK_INT(npt_child_finish(&child, 100, &text, &err), -EIO);
	NPT_CHECK_STR(err.text, "kubectl: why");
	NPT_CHECK(!text);
	NPT_CHECK_INT(npt_child_read_line(&silent, 10000, line, sizeof(line), &err), -EPIPE);
	NPT_CHECK(strstr(err.text, "without a word"));
}

static void a_program_that_is_not_there_is_named(void)
{
	static const char *const argv[] = { "no-such-program-npt", NULL };
	npt_auto(npt_child_stop) struct npt_child child = NPT_CHILD_NONE;
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free char *text = NULL;

	NPT_CHECK_INT(npt_child_start(argv, &child, &err), 0);
	NPT_CHECK_INT(npt_child_finish(&child, 100, &text, &err), -EIO);
	NPT_CHECK(strstr(err.text, "cannot run no-such-program-npt: it is not in PATH"));
}

static void more_than_allowed_is_refused(void)
{
	npt_auto(npt_child_stop) struct npt_child child = start("echo 123456");
	npt_auto_free char *text = NULL;

	NPT_CHECK_INT(npt_child_finish(&child, 3, &text, NULL), -EMSGSIZE);
}

static void an_interrupt_does_not_reach_it_and_stopping_does(void)
{
	struct npt_child child = start("echo up; exec sleep 30");
	char line[16];
	pid_t pid = child.pid;

	NPT_CHECK_INT(npt_child_read_line(&child, 10000, line, sizeof(line), NULL), 0);
	NPT_CHECK_INT(kill(pid, SIGINT), 0);
	NPT_CHECK_INT(npt_child_read_line(&child, 200, line, sizeof(line), NULL), -ETIMEDOUT);
	NPT_CHECK_INT(kill(pid, 0), 0);
	npt_child_stop(&child);
	NPT_CHECK_INT(kill(pid, 0), -1);
	NPT_CHECK_INT(child.pid, 0);
}

static const struct npt_test tests[] = {
	NPT_TEST(all_that_it_prints_is_there_at_its_end),
	NPT_TEST(lines_are_read_while_it_runs),
	NPT_TEST(a_line_that_is_too_long_is_cut),
	NPT_TEST(its_last_words_are_the_error),
	NPT_TEST(a_program_that_is_not_there_is_named),
	NPT_TEST(more_than_allowed_is_refused),
	NPT_TEST(an_interrupt_does_not_reach_it_and_stopping_does),
};
NPT_TEST_MAIN(tests)
