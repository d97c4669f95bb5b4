/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npt-agent - measures the TCP connections of pods or processes on one node.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/options.h"
#include "agent/run.h"
#include "agent/service.h"
#include "lib/core/cleanup.h"
#include "lib/core/log.h"

static const char help[] = "Usage: npt-agent COMMAND\n"
			   "\n"
			   "  run      measure something on this machine: npt-agent run --help\n"
			   "  serve    the agent of a cluster's node: npt-agent serve --help\n"
			   "  version  print the version\n"
			   "  help     this text\n";

static int exit_code(int r)
{
	switch (-r) {
	case 0:
		return NPT_EXIT_OK;
	case EINVAL:
		return NPT_EXIT_USAGE;
	case EPERM:
	case EACCES:
		return NPT_EXIT_PERMISSION;
	case EOPNOTSUPP:
		return NPT_EXIT_KERNEL;
	case ESRCH:
		return NPT_EXIT_TARGET_GONE;
	default:
		return NPT_EXIT_FAILURE;
	}
}

/*
 * A standard stream that is closed is a number that the next file gets, and what is printed would
 * go there. On what is opened for reading here, printing fails.
 */
static void hold_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDONLY);
	}
}

/* What could not be printed is no success. */
static int finish_output(struct npt_error *err)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return npt_error_set(err, EIO, "cannot write to the standard output: %s",
			     npt_errno_name(errno ? errno : EIO));
}

static int print(const char *text)
{
	struct npt_error err = NPT_ERROR_NONE;
	int r;

	(void)fputs(text, stdout);
	r = finish_output(&err);
	if (r < 0)
		fprintf(stderr, "npt-agent: %s\n", err.text);
	return exit_code(r);
}

static int command_run(int argc, char **argv)
{
	struct npt_run_options options = { 0 };
	struct npt_error err = NPT_ERROR_NONE;
	enum npt_log_level level = NPT_LOG_WARNING;
	int r = npt_run_options_parse(argc, argv, &options, &err);

	if (r >= 0)
		r = npt_log_options_parse(options.log_level, NULL, &level, &err);
	if (r >= 0 && options.help)
		return print(npt_run_help);
	npt_log_setup("npt-agent", level, false);
	if (r >= 0)
		r = npt_run(&options, &err);
	if (r >= 0)
		r = finish_output(&err);
	if (r < 0)
		fprintf(stderr, "npt-agent: %s\n", err.text);
	return exit_code(r);
}

static int command_serve(int argc, char **argv)
{
	struct npt_service_options options = { 0 };
	struct npt_error err = NPT_ERROR_NONE;
	enum npt_log_level level = NPT_LOG_INFO;
	int r = npt_service_options_parse(argc, argv, &options, &err);

	if (r >= 0)
		r = npt_log_options_parse(options.log_level, NULL, &level, &err);
	if (r >= 0 && options.help)
		return print(npt_service_help);
	npt_log_setup("npt-agent", level, options.log_json);
	if (r >= 0)
		r = npt_service_run(&options, &err);
	if (r < 0)
		fprintf(stderr, "npt-agent: %s\n", err.text);
	return exit_code(r);
}

static int command_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return print("npt-agent " NPT_VERSION "\n");
}

static int command_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return print(help);
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", command_run },         { "serve", command_serve },
	{ "version", command_version }, { "--version", command_version },
	{ "help", command_help },       { "--help", command_help },
	{ "-h", command_help },
};

int main(int argc, char **argv)
{
	hold_standard_streams();
	for (size_t i = 0; argc > 1 && i < NPT_ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	if (argc > 1)
		fprintf(stderr, "npt-agent: there is no command '%s'; see npt-agent help\n",
			argv[1]);
	else
		fprintf(stderr, "npt-agent: a command is missing; see npt-agent help\n");
	return NPT_EXIT_USAGE;
}
