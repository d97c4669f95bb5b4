/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/help.h"
#include "lib/core/cleanup.h"
#include "tests/support/test.h"

#define WORDS_MAX 24

/* Words with blanks between, as a shell would give them. */
struct line {
	char text[512];
	char *argv[WORDS_MAX + 2];
	int argc;
	struct npt_cli_options options;
	struct npt_error err;
	int result;
};

static void parse(struct line *line, const char *words)
{
	char *at = line->text;

	*line = (struct line){ .argc = 0 };
	(void)snprintf(line->text, sizeof(line->text), "kubectl-npt %s", words);
	while (*at && line->argc < WORDS_MAX) {
		line->argv[line->argc++] = at;
		at += strcspn(at, " ");
		while (*at == ' ')
			*at++ = '\0';
	}
	line->result = npt_cli_options_parse(line->argc, line->argv, &line->options, &line->err);
}

static void line_done(struct line *line)
{
	npt_cli_options_done(&line->options);
}
NPT_DEFINE_AUTO_DONE(struct line, line_done)

static void options_come_before_and_behind_arguments(void)
{
	npt_auto(line_done) struct line line;

	parse(&line, "run -n shop web-1 --duration 5m web-2 -i 10s -o json");
	NPT_CHECK_INT(line.result, 0);
	NPT_CHECK_INT(line.options.command, NPT_CLI_RUN);
	NPT_CHECK_STR(line.options.namespace_name, "shop");
	NPT_CHECK_INT(line.options.duration_seconds, 300);
	NPT_CHECK_INT(line.options.interval_seconds, 10);
	NPT_CHECK_INT(line.options.output, NPT_CLI_JSON);
	NPT_CHECK_INT(line.options.arguments_count, 2);
	NPT_CHECK_STR(line.options.arguments[0], "web-1");
	NPT_CHECK_STR(line.options.arguments[1], "web-2");
	NPT_CHECK_STR(line.options.system_namespace, "npt-system");
}

static void kubectls_options_are_passed_on_as_they_came(void)
{
	npt_auto(line_done) struct line line;

	parse(&line,
	      "results --context=a$b --kubeconfig /x -A --as joe --as-group g1 --as-group g2");
	NPT_CHECK_INT(line.result, 0);
	NPT_CHECK_INT(line.options.kubectl_count, 10);
	NPT_CHECK_STR(line.options.kubectl[0], "--context");
	NPT_CHECK_STR(line.options.kubectl[1], "a$b");
	NPT_CHECK_STR(line.options.kubectl[2], "--kubeconfig");
	NPT_CHECK_STR(line.options.kubectl[9], "g2");
	NPT_CHECK(line.options.all_namespaces);
}

static void lists_are_separated_by_commas_or_given_again(void)
{
	npt_auto(line_done) struct line line;

	parse(&line, "run x --layers base,TLS -c a,b -c d");
	NPT_CHECK_INT(line.result, 0);
	NPT_CHECK_STR(line.options.layers[0], "Base");
	NPT_CHECK_STR(line.options.layers[1], "TLS");
	NPT_CHECK(!line.options.layers[2]);
	NPT_CHECK_STR(line.options.containers[2], "d");
}

static void each_bad_line_says_what_is_wrong_with_it(void)
{
	static const char *const cases[][2] = {
		{ "walk", "there is no command 'walk'" },
		{ "run", "say what to measure" },
		{ "run x -l a=b", "say what to measure" },
		{ "run x --speed 7", "there is no option '--speed'" },
		{ "run x -z", "there is no option '-z'" },
		{ "run x -d", "-d needs a value" },
		{ "run x --duration", "--duration needs a value" },
		{ "run x -d 0", "is no time from 1s to 3600" },
		{ "run x -d 3601", "is no time from 1s to 3600" },
		{ "run x -d 1500ms", "whole seconds" },
		{ "run x -i 61s", "is no time from 1s to 60" },
		{ "run x -d 4s -i 5s", "--interval is longer" },
		{ "run x --layers Base,,TLS", "has an empty name" },
		{ "run x --layers Magic", "there is no layer 'Magic'" },
		{ "run x -o xml", "is none of: table json yaml csv dot" },
		{ "run x --detach -o json", "--detach has no result" },
		{ "watch", "watch takes TASK" },
		{ "watch a b", "watch takes TASK" },
		{ "watch a -o json", "watch takes no --output" },
		{ "watch a -A", "watch takes no --all-namespaces" },
		{ "compare a", "compare takes TASK TASK" },
		{ "compare a b -o csv", "is none of: table json yaml" },
		{ "results a -A", "-A lists" },
		{ "doctor x", "doctor takes no argument" },
		{ "version --context x", "version takes no --context" },
		{ "completion", "completion takes bash | zsh | fish" },
		{ "results --request-timeout soon", "is no time" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(line_done) struct line line;

		parse(&line, cases[i][0]);
		if (!NPT_CHECK(line.result == -EINVAL && strstr(line.err.text, cases[i][1])))
			printf("%s: %d %s\n", cases[i][0], line.result, line.err.text);
	}
}

static void a_timeout_of_zero_is_none(void)
{
	npt_auto(line_done) struct line line, some;

	parse(&line, "doctor --request-timeout=0");
	NPT_CHECK_INT(line.result, 0);
	NPT_CHECK_INT(line.options.request_timeout_ms, 0);
	parse(&some, "doctor --request-timeout=1500ms");
	NPT_CHECK_INT(some.options.request_timeout_ms, 1500);
}

static void help_is_given_whatever_else_is_missing(void)
{
	npt_auto(line_done) struct line line;

	parse(&line, "compare --help");
	NPT_CHECK_INT(line.result, 0);
	NPT_CHECK(line.options.help);
}

static void too_many_options_for_kubectl_are_refused(void)
{
	npt_auto(line_done) struct line line;

	parse(&line, "doctor --as a --as a --as a --as a --as a --as a --as a --as a --as a");
	NPT_CHECK_INT(line.result, -EINVAL);
}

/* The help and the parser are made of one table: what is in the one is in the other. */
static void the_help_names_every_option_that_a_command_takes_and_no_other(void)
{
	for (unsigned int c = 0; c < NPT_CLI_COMMANDS; c++) {
		npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(16384);

		npt_help_append_command(&out, (enum npt_cli_command)c);
		for (size_t i = 0; npt_cli_options_table[i].name; i++) {
			const struct npt_cli_option *option = &npt_cli_options_table[i];
			char word[64];

			(void)snprintf(word, sizeof(word), "--%s ", option->name);
			NPT_CHECK((strstr(out.data, word) != NULL) ==
				  ((option->commands & 1U << c) != 0));
		}
		for (const char *line = out.data; line && *line;
		     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
			NPT_CHECK(strcspn(line, "\n") <= 110);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(options_come_before_and_behind_arguments),
	NPT_TEST(kubectls_options_are_passed_on_as_they_came),
	NPT_TEST(lists_are_separated_by_commas_or_given_again),
	NPT_TEST(each_bad_line_says_what_is_wrong_with_it),
	NPT_TEST(a_timeout_of_zero_is_none),
	NPT_TEST(help_is_given_whatever_else_is_missing),
	NPT_TEST(too_many_options_for_kubectl_are_refused),
	NPT_TEST(the_help_names_every_option_that_a_command_takes_and_no_other),
};
NPT_TEST_MAIN(tests)
