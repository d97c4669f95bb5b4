/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/options.h"

#include <errno.h>
#include <stdio.h>

#include "tests/support/test.h"

/* Splits a line at its blanks and parses it. */
static int parse(const char *line, struct npt_run_options *options, struct npt_error *err)
{
	static char copy[256];
	char *arguments[16] = { copy };
	int count = 1;

	(void)snprintf(copy, sizeof(copy), "run %s", line);
	for (char *at = copy; *at && count < 15; at++) {
		if (*at != ' ')
			continue;
		*at = '\0';
		if (at[1])
			arguments[count++] = at + 1;
	}
	return npt_run_options_parse(count, arguments, options, err);
}

static void takes_a_target_with_defaults(void)
{
	struct npt_run_options options = { 0 };
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(parse("--pid 12", &options, &err) == 0);
	NPT_CHECK_INT(options.target, NPT_RUN_PID);
	NPT_CHECK_INT(options.pid, 12);
	NPT_CHECK_INT(options.duration_ms, 60000);
	NPT_CHECK_INT(options.interval_ms, 5000);
	NPT_CHECK(options.operations);
	NPT_CHECK(options.protocol);
	NPT_CHECK(!options.tls);
	NPT_CHECK(parse("--netns x --layers Base --duration 5m --output json", &options, &err) ==
		  0);
	NPT_CHECK(!options.operations && !options.protocol && !options.tls);
	NPT_CHECK_INT(options.duration_ms, 300000);
	NPT_CHECK_INT(options.output, NPT_RUN_JSON);
}

static void takes_the_layers_that_are_named(void)
{
	struct npt_run_options options = { 0 };
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(parse("--pid 1 --layers Base,Protocol", &options, &err) == 0);
	NPT_CHECK(!options.operations && options.protocol && !options.tls);
	NPT_CHECK(parse("--pid 1 --layers TLS,Operations,Base", &options, &err) == 0);
	NPT_CHECK(options.operations && !options.protocol && options.tls);
}

static void takes_a_command_after_two_dashes(void)
{
	struct npt_run_options options = { 0 };
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(parse("-- echo -n", &options, &err) == 0);
	NPT_CHECK_INT(options.target, NPT_RUN_COMMAND);
	NPT_CHECK_STR(options.command[0], "echo");
	NPT_CHECK_STR(options.command[1], "-n");
	NPT_CHECK_INT(options.duration_ms, 0);
}

static void refuses_with_one_line_that_says_what(void)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "", "nothing to measure" },
		{ "--pid", "--pid needs a value" },
		{ "--pid x", "is not a process number" },
		{ "--pid 0", "is not a process number" },
		{ "--bogus", "unknown option '--bogus'" },
		{ "stray", "is no option" },
		{ "--pid 1 --netns x", "more than one target" },
		{ "--pid 1 -- echo", "more than one target" },
		{ "--duration 2h", "is not a time" },
		{ "--interval 10ms", "is not a time" },
		{ "--layers Base,Requests", "is not in this version" },
		{ "--layers Foo", "there is no layer 'Foo'" },
		{ "--output xml", "neither table nor json" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct npt_run_options options = { 0 };
		struct npt_error err = NPT_ERROR_NONE;

		NPT_CHECK(parse(cases[i].line, &options, &err) == -EINVAL);
		if (!NPT_CHECK(strstr(err.text, cases[i].text)))
			NPT_CHECK_STR(err.text, cases[i].text);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(takes_a_target_with_defaults),
	NPT_TEST(takes_the_layers_that_are_named),
	NPT_TEST(takes_a_command_after_two_dashes),
	NPT_TEST(refuses_with_one_line_that_says_what),
};
NPT_TEST_MAIN(tests)
