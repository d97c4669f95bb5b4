/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <stdio.h>

#define COLUMN 26

void npt_help_append_commands(struct npt_buffer *out)
{
	(void)npt_buffer_append_text(
		out,
		"Usage: kubectl npt COMMAND\n"
		"\n"
		"Measures the network of pods for a while and says who talks to whom, how fast,\n"
		"and which side is slow. Nothing in the pods changes.\n"
		"\n");
	for (size_t i = 0; i < NPT_CLI_COMMANDS; i++)
		(void)npt_buffer_appendf(out, "  %-12s%s\n", npt_cli_commands[i].name,
					 npt_cli_commands[i].summary);
	(void)npt_buffer_append_text(out,
				     "\n"
				     "  kubectl npt COMMAND --help has its options. Begin with:\n"
				     "  kubectl npt doctor; kubectl npt run deploy/NAME\n");
}

static void append_option(struct npt_buffer *out, const struct npt_cli_option *option)
{
	char letter[8] = "    ", words[64];

	if (option->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	(void)snprintf(words, sizeof(words), "%s--%s%s%s", letter, option->name,
		       option->value ? " " : "", option->value ? option->value : "");
	(void)npt_buffer_appendf(out, "  %-*s  %s\n", COLUMN, words, option->help);
}

void npt_help_append_command(struct npt_buffer *out, enum npt_cli_command command)
{
	const struct npt_cli_command_text *text = &npt_cli_commands[command];

	(void)npt_buffer_appendf(out, "Usage: kubectl npt %s%s%s [OPTIONS]\n\n%s%s", text->name,
				 text->arguments[0] ? " " : "", text->arguments, text->about,
				 text->about[0] ? "\n" : "");
	(void)npt_buffer_append_text(out, "Options\n");
	for (size_t i = 0; npt_cli_options_table[i].name; i++) {
		if (npt_cli_options_table[i].commands & 1U << command)
			append_option(out, &npt_cli_options_table[i]);
	}
}
