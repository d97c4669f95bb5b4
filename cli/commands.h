/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Commands - one function each. They print their result and return an exit code (enum
 * npt_cli_exit), or a negative errno with the line for the user.
 */
#include "cli/options.h"

int npt_command_run(const struct npt_cli_options *options, struct npt_error *err);
int npt_command_watch(const struct npt_cli_options *options, struct npt_error *err);
int npt_command_explain(const struct npt_cli_options *options, struct npt_error *err);
int npt_command_compare(const struct npt_cli_options *options, struct npt_error *err);
int npt_command_results(const struct npt_cli_options *options, struct npt_error *err);
int npt_command_doctor(const struct npt_cli_options *options, struct npt_error *err);
int npt_command_completion(const struct npt_cli_options *options, struct npt_error *err);

/* The exit code that a finished task's phase means. */
int npt_command_exit_code(const char *phase);
