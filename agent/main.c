/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npt-agent - measures the TCP connections of pods or processes on one node.
 */
#include <errno.h>
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

static int command_run(int argc, char **argv)
{
	struct npt_run_options options = { 0 };
	struct npt_error err = NPT_ERROR_NONE;
	enum npt_log_level level = NPT_LOG_WARNING;
	int r = npt_run_options_parse(argc, argv, &options, &err);

	if (r >= 0 && npt_log_level_parse(options.log_level, &level) < 0)
		r = npt_error_set(&err, EINVAL,
				  "--log-level %s is not a level: error, warning, "
				  "info or debug",
				  options.log_level);
	if (r >= 0 && options.help) {
		(void)fputs(npt_run_help, stdout);
		return NPT_EXIT_OK;
	}
	npt_log_setup("npt-agent", level, false);
	if (r >= 0)
		r = npt_run(&options, &err);
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

	if (r >= 0 && npt_log_level_parse(options.log_level, &level) < 0)
		r = npt_error_set(&err, EINVAL,
				  "--log-level %s is not a level: error, warning, "
				  "info or debug",
				  options.log_level);
	if (r >= 0 && options.help) {
		(void)fputs(npt_service_help, stdout);
		return NPT_EXIT_OK;
	}
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
	printf("npt-agent %s\n", NPT_VERSION);
	return NPT_EXIT_OK;
}

static int command_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)fputs(help, stdout);
	return NPT_EXIT_OK;
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
	for (size_t i = 0; argc > 1 && i < NPT_ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	if (argc > 1)
		fprintf(stderr, "npt-agent: there is no command '%s'; see npt-agent help\n",
			argv[1]);
	else
		(void)fputs(help, stderr);
	return NPT_EXIT_USAGE;
}
