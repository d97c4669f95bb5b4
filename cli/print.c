/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What could not be written is an error, or a script would take half a file for a whole one. That
 * a reader went away (head) is none.
 */
#include "cli/print.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/edges.h"
#include "cli/terminal.h"
#include "cli/yaml.h"
#include "lib/model/report_csv.h"
#include "lib/model/report_dot.h"

#define OUTPUT_BYTES_MAX (256UL * 1024 * 1024)

int npt_print_text(const char *text, size_t size_bytes, struct npt_error *err)
{
	errno = 0;
	if (fwrite(text, 1, size_bytes, stdout) == size_bytes && fflush(stdout) == 0)
		return 0;
	if (errno == EPIPE)
		return 0;
	return npt_error_set(err, EIO, "cannot write to the standard output: %s",
			     strerror(errno ? errno : EIO));
}

static int print_buffer(const struct npt_buffer *out, struct npt_error *err)
{
	return npt_print_text(out->data ? out->data : "", out->size_bytes, err);
}

static void append_table(const struct npt_result *result, struct npt_buffer *out)
{
	bool colour = npt_terminal_has_colour(stdout);

	npt_edges_append_findings(out, result, colour);
	(void)npt_buffer_append_text(out, "\n");
	npt_edges_append_table(out, result, colour, 0);
}

int npt_print_tree(const json_t *tree, enum npt_cli_output output, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(OUTPUT_BYTES_MAX);
	npt_auto_free char *text = NULL;

	if (output == NPT_CLI_YAML) {
		npt_yaml_append(&out, tree);
		return print_buffer(&out, err);
	}
	text = json_dumps(tree, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	(void)npt_buffer_appendf(&out, "%s\n", text);
	return print_buffer(&out, err);
}

static int print_yaml(const struct npt_result *result, struct npt_error *err)
{
	json_t *tree = json_loadb(result->text, result->size_bytes, 0, NULL);
	int r = npt_print_tree(tree, NPT_CLI_YAML, err);

	json_decref(tree);
	return r;
}

int npt_print_result(const struct npt_result *result, enum npt_cli_output output,
		     struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(OUTPUT_BYTES_MAX);
	int r = 0;

	switch (output) {
	case NPT_CLI_JSON:
		(void)npt_buffer_append(&out, result->text, result->size_bytes);
		(void)npt_buffer_append_text(&out, "\n");
		break;
	case NPT_CLI_YAML:
		return print_yaml(result, err);
	case NPT_CLI_CSV:
		r = npt_report_to_csv(result->report, result->quantiles, &out);
		break;
	case NPT_CLI_DOT:
		r = npt_report_to_dot(result->report, result->quantiles, &out);
		break;
	case NPT_CLI_TABLE:
	default:
		append_table(result, &out);
		break;
	}
	if (r < 0)
		return npt_error_set(err, EMSGSIZE, "the result is too large for this format");
	return print_buffer(&out, err);
}
