/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubectl-npt - the command of NPT's users; kubectl finds it as `kubectl npt`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/print.h"

#define HELP_BYTES_MAX 16384

static int command_version(const struct npt_cli_options *options, struct npt_error *err)
{
	static const char text[] = "kubectl-npt " NPT_VERSION "\n";

	(void)options;
	return npt_print_text(text, sizeof(text) - 1, err);
}

static int (*const functions[NPT_CLI_COMMANDS])(const struct npt_cli_options *options,
						struct npt_error *err) = {
	[NPT_CLI_RUN] = npt_command_run,         [NPT_CLI_WATCH] = npt_command_watch,
	[NPT_CLI_EXPLAIN] = npt_command_explain, [NPT_CLI_COMPARE] = npt_command_compare,
	[NPT_CLI_RESULTS] = npt_command_results, [NPT_CLI_DOCTOR] = npt_command_doctor,
	[NPT_CLI_VERSION] = command_version,     [NPT_CLI_COMPLETION] = npt_command_completion,
};

/* A standard stream that is closed is a number that the next file gets. */
static void hold_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDONLY);
	}
}

static int print_help(const struct npt_cli_options *options, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(HELP_BYTES_MAX);

	if (options)
		npt_help_append_command(&out, options->command);
	else
		npt_help_append_commands(&out);
	return npt_print_text(out.data, out.size_bytes, err);
}

static int exit_code(int r, const struct npt_error *err)
{
	if (r >= 0)
		return r;
	fprintf(stderr, "kubectl-npt: %s\n", err->text);
	return r == -ECANCELED ? NPT_CLI_INTERRUPTED : NPT_CLI_ERROR;
}

static bool is_help(const char *word)
{
	return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run(int argc, char **argv, struct npt_cli_options *options)
{
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_cli_options_parse(argc, argv, options, &err);

	if (r < 0) {
		const char *command = npt_cli_commands[options->command].name;
		bool known = strcmp(argv[1], command) == 0;

		fprintf(stderr, "kubectl-npt: %s; see: kubectl npt %s%s\n", err.text,
			known ? command : "help", known ? " --help" : "");
		return NPT_CLI_USAGE;
	}
	if (options->help)
		return exit_code(print_help(options, &err), &err);
	return exit_code(functions[options->command](options, &err), &err);
}

int main(int argc, char **argv)
{
	struct npt_cli_options options = { .command = NPT_CLI_RUN };
	struct npt_error err = NPT_ERROR_NONE;
	int code;

	hold_standard_streams();
	npt_interrupt_setup();
	if (argc < 2) {
		fprintf(stderr, "kubectl-npt: a command is missing; see: kubectl npt help\n");
		return NPT_CLI_USAGE;
	}
	if (is_help(argv[1]))
		return exit_code(print_help(NULL, &err), &err);
	if (strcmp(argv[1], "--version") == 0)
		return exit_code(command_version(NULL, &err), &err);
	if (strcmp(argv[1], NPT_COMPLETE_COMMAND) == 0)
		return npt_completion_complete(argc - 2, argv + 2);
	code = run(argc, argv, &options);
	npt_cli_options_done(&options);
	return code;
}
