/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Options - the command line of kubectl-npt, checked. The tables of commands and options are the
 * one place that parsing, help and completion are made of.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/error.h"

#define NPT_CLI_LAYERS_MAX     5
#define NPT_CLI_CONTAINERS_MAX 16
#define NPT_CLI_KUBECTL_MAX    16

enum npt_cli_command {
	NPT_CLI_RUN,
	NPT_CLI_WATCH,
	NPT_CLI_EXPLAIN,
	NPT_CLI_COMPARE,
	NPT_CLI_RESULTS,
	NPT_CLI_DOCTOR,
	NPT_CLI_VERSION,
	NPT_CLI_COMPLETION,
	NPT_CLI_COMMANDS,
};

enum npt_cli_output {
	NPT_CLI_TABLE,
	NPT_CLI_JSON,
	NPT_CLI_YAML,
	NPT_CLI_CSV,
	NPT_CLI_DOT,
};

/* What this program ends with; docs/cli.md. */
enum npt_cli_exit {
	NPT_CLI_OK = 0,
	NPT_CLI_ERROR = 1,
	NPT_CLI_USAGE = 2,
	NPT_CLI_TASK_FAILED = 3,
	NPT_CLI_TASK_PARTIAL = 4,
	NPT_CLI_INTERRUPTED = 130,
};

struct npt_cli_options {
	enum npt_cli_command command;
	bool help;
	/* Texts are borrowed from argv. */
	const char *namespace_name; /* NULL: the context's */
	bool all_namespaces;
	const char *kubectl[NPT_CLI_KUBECTL_MAX]; /* options that are passed on as they came */
	size_t kubectl_count;
	uint64_t request_timeout_ms; /* 0: not given */
	enum npt_cli_output output;
	const char *selector;
	const char *name;
	uint64_t duration_seconds, interval_seconds; /* 0: the resource's default */
	char *layers[NPT_CLI_LAYERS_MAX];            /* owned; NULL ends */
	char *containers[NPT_CLI_CONTAINERS_MAX];    /* owned; NULL ends */
	bool detach;
	const char *token;
	const char *service_account;
	const char *system_namespace; /* where NPT is installed */
	char **arguments;             /* what is no option, in its order */
	size_t arguments_count;
};

struct npt_cli_option {
	const char *name;
	char letter;       /* 0: none */
	const char *value; /* what the help calls it; NULL: takes none */
	unsigned int commands;
	const char *help;
	const char *flag; /* of kubectl, to which it is passed on: "--context"; NULL: ours */
};

struct npt_cli_command_text {
	const char *name;
	const char *arguments; /* "TASK [EDGE]" */
	const char *summary;
	const char *about; /* paragraphs of the command's help */
	size_t min_arguments, max_arguments;
};

extern const struct npt_cli_command_text npt_cli_commands[NPT_CLI_COMMANDS];
/* Ends with a NULL name; below NPT_CLI_OPTIONS_MAX. */
#define NPT_CLI_OPTIONS_MAX 32
extern const struct npt_cli_option npt_cli_options_table[];

/*
 * argv[0] is the program, argv[1] the command. argv is permuted; -EINVAL with the line for the
 * user. npt_cli_options_done() in any case.
 */
int npt_cli_options_parse(int argc, char **argv, struct npt_cli_options *options_ret,
			  struct npt_error *err);
void npt_cli_options_done(struct npt_cli_options *options);
/* "json" and so on, as far as the command has it; -EINVAL. */
int npt_cli_output_parse(enum npt_cli_command command, const char *text,
			 enum npt_cli_output *output_ret);
/* The words that -o takes there, separated by blanks; "" if it has no -o. */
const char *npt_cli_outputs(enum npt_cli_command command);
