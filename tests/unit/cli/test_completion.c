/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static bool complete(struct npt_buffer *out, int count, const char *const *words)
{
	return npt_completion_append(out, count, (char *const *)(uintptr_t)words);
}

static void commands_come_first(void)
{
	static const char *const words[] = { "re" };
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536);

	NPT_CHECK(!complete(&out, 1, words));
	NPT_CHECK_STR(out.data,
		      "results\tthe result of a task; without one: a list of the tasks\n:4\n");
}

static void options_are_those_of_the_command(void)
{
	static const char *const run[] = { "run", "--d" }, *const watch[] = { "watch", "x", "--d" };
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536),
						    none = NPT_BUFFER(65536);

	NPT_CHECK(!complete(&out, 2, run));
	NPT_CHECK(strstr(out.data, "--duration\t") && strstr(out.data, "--detach\t"));
	NPT_CHECK(!complete(&none, 3, watch));
	NPT_CHECK_STR(none.data, ":4\n");
}

static void values_that_are_known_are_offered(void)
{
	static const char *const output[] = { "compare", "-o", "" };
	static const char *const layers[] = { "run", "--layers", "T" };
	static const char *const file[] = { "run", "--kubeconfig", "" };
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536),
						    more = NPT_BUFFER(65536);
	npt_auto(npt_buffer_done) struct npt_buffer files = NPT_BUFFER(65536);

	NPT_CHECK(!complete(&out, 3, output));
	NPT_CHECK_STR(out.data, "table\t\njson\t\nyaml\t\n:4\n");
	NPT_CHECK(!complete(&more, 3, layers));
	NPT_CHECK_STR(more.data, "TLS\t\n:4\n");
	NPT_CHECK(!complete(&files, 3, file));
	NPT_CHECK_STR(files.data, ":0\n");
}

static void names_of_tasks_are_asked_for_where_one_is_wanted(void)
{
	static const char *const explain[] = { "explain", "" }, *const run[] = { "run", "" };
	static const char *const shell[] = { "completion", "z" }, *const what[] = { "what", "" };
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536),
						    more = NPT_BUFFER(65536);

	NPT_CHECK(complete(&out, 2, explain));
	NPT_CHECK(!complete(&out, 2, run));
	NPT_CHECK(strstr(out.data, "deploy/\t"));
	NPT_CHECK(!complete(&more, 2, shell));
	NPT_CHECK_STR(more.data, "zsh\t\n:4\n");
	NPT_CHECK(!complete(&more, 2, what));
}

static void each_shell_has_a_script_that_asks_us(void)
{
	static const char *const shells[] = { "bash", "zsh", "fish" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(shells); i++) {
		const char *script = npt_completion_script(shells[i]);

		NPT_CHECK(script && strstr(script, NPT_COMPLETE_COMMAND));
	}
	NPT_CHECK(!npt_completion_script("cmd.exe"));
}

static const struct npt_test tests[] = {
	NPT_TEST(commands_come_first),
	NPT_TEST(options_are_those_of_the_command),
	NPT_TEST(values_that_are_known_are_offered),
	NPT_TEST(names_of_tasks_are_asked_for_where_one_is_wanted),
	NPT_TEST(each_shell_has_a_script_that_asks_us),
};
NPT_TEST_MAIN(tests)
