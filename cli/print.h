/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Print - what goes to the standard output, in the format that was asked for.
 */
#include "cli/result.h"

/* A result, with its findings before the table. */
int npt_print_result(const struct npt_result *result, enum npt_cli_output output,
		     struct npt_error *err);
/* A tree as json (indented) or yaml. */
int npt_print_tree(const json_t *tree, enum npt_cli_output output, struct npt_error *err);
int npt_print_text(const char *text, size_t size_bytes, struct npt_error *err);
