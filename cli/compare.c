/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comparison is lib/model/compare.h's, the same that the aggregation service answers; here it
 * becomes a table. A change is shown as one only if it is more than noise.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/compare.h"
#include "cli/print.h"
#include "cli/result.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "lib/core/alloc.h"
#include "lib/core/short.h"
#include "lib/model/compare.h"

#define OUTPUT_BYTES_MAX (64UL * 1024 * 1024)

struct measure {
	const char *path;  /* in an edge of the comparison, of a pair of numbers */
	const char *judge; /* the object that holds "change"; NULL: nobody judges it */
	const char *name;
	bool is_time;
};

static const struct measure measures[] = {
	{ "rates/sentBytesPerSecond", NULL, "sent/s", false },
	{ "rates/receivedBytesPerSecond", NULL, "received/s", false },
	{ "rates/responsesPerSecond", NULL, "responses/s", false },
	{ "micros/response/p50", "micros/response", "response p50", true },
	{ "micros/response/p95", "micros/response", "response p95", true },
	{ "micros/response/p99", "micros/response", "response p99", true },
	{ "micros/rtt/p50", "micros/rtt", "rtt p50", true },
	{ "micros/rtt/p95", "micros/rtt", "rtt p95", true },
	{ "micros/rtt/p99", "micros/rtt", "rtt p99", true },
	{ "micros/connect/p95", "micros/connect", "connect p95", true },
	{ "micros/unread/p95", "micros/unread", "unread p95", true },
	{ "retransmit/permille", "retransmit", "sent again, permille", false },
};

/* "-12 %", "x3.4", "same", "new". */
static void difference(uint64_t a, uint64_t b, char *out, size_t size_bytes)
{
	double ratio = a ? (double)b / (double)a : 0.0;

	if (a == b)
		(void)snprintf(out, size_bytes, "same");
	else if (a == 0)
		(void)snprintf(out, size_bytes, "new");
	else if (ratio >= 2.0)
		(void)snprintf(out, size_bytes, "x%.1f", ratio);
	else
		(void)snprintf(out, size_bytes, "%+.0f %%", (ratio - 1.0) * 100.0);
}

static const char *judgement(const char *change)
{
	if (strcmp(change, "none") == 0)
		return "noise";
	if (strcmp(change, "less") == 0 || strcmp(change, "more") == 0)
		return change;
	return change[0] ? "too little was seen" : "";
}

static void append_who(struct npt_buffer *out, const json_t *edge)
{
	const char *workload = npt_cluster_text(edge, "process/workload");
	bool is_server = strcmp(npt_cluster_text(edge, "role"), "server") == 0;

	(void)npt_buffer_appendf(out, "%s%s%s %s %s:%" JSON_INTEGER_FORMAT, workload,
				 workload[0] ? "/" : "", npt_cluster_text(edge, "process/name"),
				 is_server ? "<-" : "->", npt_cluster_text(edge, "peer/name"),
				 json_integer_value(npt_cluster_at(edge, "peer/port")));
}

static void add_measure(struct npt_cli_table *table, const char *who, const json_t *edge,
			const struct measure *measure)
{
	const json_t *pair = npt_cluster_at(edge, measure->path);
	const json_t *judge = measure->judge ? npt_cluster_at(edge, measure->judge) : NULL;
	const char *change = npt_cluster_text(judge, "change");
	uint64_t a = (uint64_t)json_integer_value(json_object_get(pair, "a"));
	uint64_t b = (uint64_t)json_integer_value(json_object_get(pair, "b"));
	char text[NPT_SHORT_BYTES], words[32];
	bool more = strcmp(change, "more") == 0, less = strcmp(change, "less") == 0;

	if (!pair || (a == 0 && b == 0))
		return;
	difference(a, b, words, sizeof(words));
	npt_cli_table_row(table, more ? NPT_TABLE_RED : less ? NPT_TABLE_GREEN : NPT_TABLE_PLAIN);
	npt_cli_table_cell(table, who);
	npt_cli_table_cell(table, measure->name);
	npt_cli_table_cell(table, measure->is_time ? npt_short_micros(a, text)
						   : npt_short_number(a, text));
	npt_cli_table_cell(table, measure->is_time ? npt_short_micros(b, text)
						   : npt_short_number(b, text));
	npt_cli_table_cell(table, words);
	npt_cli_table_cell(table, judgement(change));
}

/* Of edges that are in one task only there is nothing to compare: they are named. */
static void add_edge(struct npt_cli_table *table, const json_t *edge)
{
	npt_auto(npt_buffer_done) struct npt_buffer who = NPT_BUFFER(4096);
	const char *in = npt_cluster_text(edge, "in");

	append_who(&who, edge);
	if (strcmp(in, "both") != 0) {
		npt_cli_table_row(table, NPT_TABLE_YELLOW);
		npt_cli_table_cell(table, who.data);
		npt_cli_table_cellf(table, "only in %s", strcmp(in, "a") == 0 ? "A" : "B");
		return;
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(measures); i++)
		add_measure(table, who.data, edge, &measures[i]);
}

static size_t append_sentences(struct npt_buffer *out, const json_t *edges)
{
	size_t count = 0, i, k;
	json_t *edge, *change;

	json_array_foreach(edges, i, edge)
	{
		json_array_foreach(json_object_get(edge, "changes"), k, change)
		{
			npt_auto(npt_buffer_done) struct npt_buffer line = NPT_BUFFER(8192);

			append_who(&line, edge);
			(void)npt_buffer_appendf(&line, ": %s", json_string_value(change));
			npt_cli_text_append(out, line.data);
			(void)npt_buffer_append_text(out, "\n");
			count++;
		}
	}
	return count;
}

void npt_compare_append(struct npt_buffer *out, const json_t *comparison, bool colour)
{
	static const char *const head[] = {
		"EDGE", "METRIC", ">A", ">B", ">CHANGE", "JUDGED", NULL
	};
	npt_auto(npt_cli_table_free) struct npt_cli_table *table = npt_cli_table_new(head);
	const json_t *edges = json_object_get(comparison, "edges");
	json_int_t others = json_integer_value(json_object_get(comparison, "otherEdges"));
	size_t i;
	json_t *edge;

	if (append_sentences(out, edges) == 0)
		(void)npt_buffer_append_text(
			out, "no time and no loss has changed by more than noise\n");
	(void)npt_buffer_append_text(out, "\n");
	json_array_foreach(edges, i, edge) add_edge(table, edge);
	npt_cli_table_render(table, colour, 0, out);
	if (others > 0)
		(void)npt_buffer_appendf(
			out, "(%" JSON_INTEGER_FORMAT " edges more were not compared)\n", others);
}

static void add_side(struct npt_comparison *comparison, enum npt_compare_side side,
		     const struct npt_report *report)
{
	npt_comparison_set_head(comparison, side, report);
	for (size_t i = 0; i < report->edges_count; i++)
		npt_comparison_add(comparison, side, report->edges[i].process.pod,
				   &report->edges[i]);
}

/* NAMESPACE/TASK or TASK. */
static int fetch(struct npt_cluster *cluster, const char *word, struct npt_result *result,
		 struct npt_error *err)
{
	const char *slash = strchr(word, '/');
	npt_auto_free char *namespace_name = slash ? npt_strndup(word, (size_t)(slash - word))
						   : npt_strdup(cluster->namespace_name);

	if (!npt_cluster_is_name(namespace_name))
		return npt_error_set(err, EINVAL, "'%.100s' is no [NAMESPACE/]TASK", word);
	return npt_result_open(cluster, namespace_name, slash ? slash + 1 : word, result, err);
}

static int print(const struct npt_result *sides, enum npt_cli_output output, struct npt_error *err)
{
	npt_auto(npt_comparison_free) struct npt_comparison *comparison = npt_comparison_new();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(OUTPUT_BYTES_MAX);
	npt_auto_free char *text = NULL;
	json_t *tree;
	int r;

	add_side(comparison, NPT_COMPARE_A, sides[NPT_COMPARE_A].report);
	add_side(comparison, NPT_COMPARE_B, sides[NPT_COMPARE_B].report);
	text = npt_comparison_to_json(comparison);
	if (output == NPT_CLI_JSON) {
		(void)npt_buffer_appendf(&out, "%s\n", text);
		return npt_print_text(out.data, out.size_bytes, err);
	}
	tree = json_loads(text, 0, NULL);
	if (output == NPT_CLI_YAML) {
		r = npt_print_tree(tree, output, err);
	} else {
		npt_compare_append(&out, tree, npt_terminal_has_colour(stdout));
		r = npt_print_text(out.data, out.size_bytes, err);
	}
	json_decref(tree);
	return r;
}

int npt_command_compare(const struct npt_cli_options *options, struct npt_error *err)
{
	npt_auto(npt_cluster_close) struct npt_cluster cluster = { .proxy = NPT_CHILD_NONE };
	struct npt_result sides[NPT_COMPARE_SIDES] = { { .task = NULL }, { .task = NULL } };
	int r = npt_cluster_open(&cluster, options, err);

	for (size_t i = 0; r == 0 && i < NPT_COMPARE_SIDES; i++) {
		r = fetch(&cluster, options->arguments[i], &sides[i], err);
		if (r == 0)
			npt_result_say_source(&sides[i]);
	}
	if (r == 0 && (sides[0].from_status || sides[1].from_status))
		fprintf(stderr, "kubectl-npt: times are compared by their histograms, which a "
				"status does not have\n");
	if (r == 0)
		r = print(sides, options->output, err);
	for (size_t i = 0; i < NPT_COMPARE_SIDES; i++)
		npt_result_done(&sides[i]);
	return r;
}
