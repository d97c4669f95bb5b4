/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every number of an edge below its finding, so that who doubts it can check it (docs/findings.md
 * has the rules, docs/metrics.md the numbers).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/edges.h"
#include "cli/explain.h"
#include "cli/print.h"
#include "cli/terminal.h"
#include "lib/core/alloc.h"
#include "lib/core/parse.h"
#include "lib/model/report_details.h"

#define OUTPUT_BYTES_MAX (64UL * 1024 * 1024)

bool npt_explain_matches(const struct npt_edge *edge, size_t number, const char *word)
{
	npt_auto(npt_buffer_done) struct npt_buffer name = NPT_BUFFER(4096);
	uint64_t wanted;

	if (npt_parse_u64(word, 1, NPT_REPORT_EDGES_MAX, &wanted) == 0)
		return wanted == number;
	npt_edges_append_name(&name, edge);
	return strstr(name.data, word) != NULL;
}

/* Control characters that came over the network are not for a terminal; ours are line feeds. */
static void append_safe(struct npt_buffer *out, char *text)
{
	for (char *at = text; at && *at; at++) {
		if ((unsigned char)*at < ' ' && *at != '\n')
			*at = '?';
		else if (*at == 0x7f)
			*at = '?';
	}
	(void)npt_buffer_append_text(out, text ? text : "");
}

static size_t append_edges(const struct npt_result *result, const char *word,
			   struct npt_buffer *out)
{
	size_t count = 0;

	for (size_t i = 0; i < result->report->edges_count; i++) {
		const struct npt_edge *edge = result->sorted[i];
		npt_auto(npt_buffer_done) struct npt_buffer block = NPT_BUFFER(OUTPUT_BYTES_MAX);

		if (word && !npt_explain_matches(edge, i + 1, word))
			continue;
		count++;
		npt_edge_details(edge, npt_result_quantiles(result, edge), &block);
		(void)npt_buffer_appendf(out, "\n%zu. %s%s", i + 1, edge->process.pod,
					 edge->process.pod[0] ? "/" : "");
		append_safe(out, block.data + strspn(block.data, "\n"));
	}
	return count;
}

static int explain(const struct npt_result *result, const char *word, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(OUTPUT_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer tail = NPT_BUFFER(OUTPUT_BYTES_MAX);
	bool colour = npt_terminal_has_colour(stdout);

	if (!word)
		npt_edges_append_findings(&out, result, colour);
	if (append_edges(result, word, &out) == 0 && word)
		return npt_error_set(
			err, ENOENT,
			"no edge of the task is '%.100s'; the numbers and names are in: "
			"kubectl npt results",
			word);
	if (!word) {
		npt_report_append_tls(result->report, &tail);
		npt_report_append_reasons(result->report, &tail);
		append_safe(&out, tail.data);
	}
	return npt_print_text(out.data + (word ? 1 : 0), out.size_bytes - (word ? 1 : 0), err);
}

int npt_command_explain(const struct npt_cli_options *options, struct npt_error *err)
{
	npt_auto(npt_cluster_close) struct npt_cluster cluster = { .proxy = NPT_CHILD_NONE };
	npt_auto(npt_result_done) struct npt_result result = { .task = NULL };
	int r = npt_cluster_open(&cluster, options, err);

	if (r == 0)
		r = npt_result_open(&cluster, cluster.namespace_name, options->arguments[0],
				    &result, err);
	if (r < 0)
		return r;
	npt_result_say_source(&result);
	return explain(&result, options->arguments_count > 1 ? options->arguments[1] : NULL, err);
}
