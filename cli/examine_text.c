/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tables, then the reasons: of each one once, with the nodes that it is of.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/examine.h"
#include "cli/table.h"
#include "lib/core/alloc.h"
#include "lib/core/strmap.h"
#include "lib/model/channel.h"

#define REASONS_MAX     256
#define NODES_IN_A_LINE 4

static enum npt_table_style style_of(const char *state)
{
	if (strcmp(state, "broken") == 0)
		return NPT_TABLE_RED;
	return strcmp(state, "warning") == 0 ? NPT_TABLE_YELLOW : NPT_TABLE_GREEN;
}

static void append_checks(struct npt_buffer *out, const json_t *report, bool colour)
{
	static const char *const head[] = { "CHECK", "STATE", "DETAIL", NULL };
	npt_auto(npt_cli_table_free) struct npt_cli_table *table = npt_cli_table_new(head);
	size_t i;
	json_t *check;

	json_array_foreach(json_object_get(report, "checks"), i, check)
	{
		npt_cli_table_row(table, style_of(npt_cluster_text(check, "state")));
		npt_cli_table_cell(table, npt_cluster_text(check, "check"));
		npt_cli_table_cell(table, npt_cluster_text(check, "state"));
		npt_cli_table_cell(table, npt_cluster_text(check, "detail"));
	}
	npt_cli_table_render(table, colour, 0, out);
}

static void add_node(struct npt_cli_table *table, const json_t *entry)
{
	const json_t *layers = json_object_get(entry, "layers");
	const char *agent = npt_cluster_text(entry, "agent");

	npt_cli_table_row(table, strcmp(agent, "connected") == 0 ? NPT_TABLE_PLAIN : NPT_TABLE_RED);
	npt_cli_table_cell(table, npt_cluster_text(entry, "node"));
	npt_cli_table_cell(table, agent);
	npt_cli_table_cell(table, npt_cluster_text(entry, "version"));
	npt_cli_table_cell(table, npt_cluster_text(entry, "kernel"));
	for (unsigned int i = 0; i < NPT_LAYER_COUNT; i++) {
		const json_t *works = json_object_get(layers, npt_layer_name((enum npt_layer)i));

		npt_cli_table_cell(table, !works ? "?" : json_is_true(works) ? "yes" : "no");
	}
	npt_cli_table_cell(table, npt_cluster_text(entry, "detail"));
}

static void append_nodes(struct npt_buffer *out, const json_t *report, bool colour)
{
	static const char *const head[] = { "NODE",     "AGENT",      "VERSION",  "KERNEL",
					    "BASE",     "OPERATIONS", "PROTOCOL", "TLS",
					    "REQUESTS", "DETAIL",     NULL };
	npt_auto(npt_cli_table_free) struct npt_cli_table *table = npt_cli_table_new(head);
	size_t i;
	json_t *entry;

	json_array_foreach(json_object_get(report, "nodes"), i, entry) add_node(table, entry);
	(void)npt_buffer_append_text(out, "\n");
	npt_cli_table_render(table, colour, 0, out);
}

/* "METRIC (REASON)" -> the names of its nodes, some of them. */
struct nodes_of {
	size_t count;
	char names[1024];
};

static void add_reason(struct npt_strmap *reasons, const char *metric, const char *reason,
		       const char *node)
{
	npt_auto_free char *key = npt_format("%s (%s)", metric, reason);
	struct nodes_of *nodes = npt_strmap_get(reasons, key);
	size_t length;

	if (!nodes) {
		nodes = npt_alloc(1, sizeof(*nodes));
		if (npt_strmap_set(reasons, key, nodes) < 0) {
			free(nodes);
			return;
		}
	}
	length = strlen(nodes->names);
	if (nodes->count++ < NODES_IN_A_LINE)
		(void)snprintf(nodes->names + length, sizeof(nodes->names) - length, "%s%s",
			       length ? ", " : "", node);
}

static void append_reasons(struct npt_buffer *out, const json_t *report)
{
	npt_auto(npt_strmap_free) struct npt_strmap *reasons = npt_strmap_new(REASONS_MAX, free);
	size_t i;
	json_t *entry, *reason;
	const char *metric;

	json_array_foreach(json_object_get(report, "nodes"), i, entry)
	{
		json_object_foreach(json_object_get(entry, "unavailable"), metric, reason)
			add_reason(reasons, metric, json_string_value(reason),
				   npt_cluster_text(entry, "node"));
	}
	for (i = 0; i < npt_strmap_count(reasons); i++) {
		const struct nodes_of *nodes = npt_strmap_value_at(reasons, i);

		(void)npt_buffer_append_text(out, i == 0 ? "\n" : "");
		npt_cli_text_append(out, nodes->names);
		if (nodes->count > NODES_IN_A_LINE)
			(void)npt_buffer_appendf(out, " and %zu more",
						 nodes->count - NODES_IN_A_LINE);
		(void)npt_buffer_append_text(out, ": not measured: ");
		npt_cli_text_append(out, npt_strmap_key_at(reasons, i));
		(void)npt_buffer_append_text(out, "\n");
	}
}

void npt_examine_append(struct npt_buffer *out, const json_t *report, bool colour)
{
	append_checks(out, report, colour);
	if (json_array_size(json_object_get(report, "nodes")) > 0)
		append_nodes(out, report, colour);
	append_reasons(out, report);
}
