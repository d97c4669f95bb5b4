/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Help - made of the tables of options.h.
 */
#include "cli/options.h"
#include "lib/core/buffer.h"

void npt_help_append_commands(struct npt_buffer *out);
void npt_help_append_command(struct npt_buffer *out, enum npt_cli_command command);
