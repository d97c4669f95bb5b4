/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/print.h"
#include "cli/result.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "lib/core/alloc.h"

#define LIST_BYTES_MAX (64UL * 1024 * 1024)

static void add_task(struct npt_cli_table *table, const json_t *task, bool all)
{
	const char *phase = npt_cluster_text(task, "status/phase");
	bool is_bad = strcmp(phase, "Failed") == 0;

	npt_cli_table_row(table, is_bad ? NPT_TABLE_RED : NPT_TABLE_PLAIN);
	if (all)
		npt_cli_table_cell(table, npt_cluster_text(task, "metadata/namespace"));
	npt_cli_table_cell(table, npt_cluster_text(task, "metadata/name"));
	npt_cli_table_cell(table, npt_cluster_text(task, "status/target"));
	npt_cli_table_cell(table, phase[0] ? phase : "Pending");
	npt_cli_table_cellf(table, "%" JSON_INTEGER_FORMAT,
			    json_integer_value(npt_cluster_at(task, "status/targets/pods")));
	npt_cli_table_cellf(table, "%" JSON_INTEGER_FORMAT,
			    json_integer_value(npt_cluster_at(task, "status/summary/edges")));
	npt_cli_table_cell(table, npt_cluster_text(task, "metadata/creationTimestamp"));
	npt_cli_table_cell(table, npt_cluster_text(task, "status/finding"));
}

static int print_list(const json_t *list, bool all, struct npt_error *err)
{
	static const char *const head[] = { "NAMESPACE", "NAME",    "TARGET",  "PHASE", ">PODS",
					    ">EDGES",    "CREATED", "FINDING", NULL };
	npt_auto(npt_cli_table_free) struct npt_cli_table *table =
		npt_cli_table_new(all ? head : head + 1);
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(LIST_BYTES_MAX);
	const json_t *items = json_object_get(list, "items");

	for (size_t i = 0; i < json_array_size(items); i++)
		add_task(table, json_array_get(items, i), all);
	npt_cli_table_render(table, npt_terminal_has_colour(stdout), 0, &out);
	if (json_array_size(items) == 0)
		return npt_print_text("no task; begin with: kubectl npt run POD\n", 41, err);
	return npt_print_text(out.data, out.size_bytes, err);
}

static int list_tasks(struct npt_cluster *cluster, struct npt_error *err)
{
	const struct npt_cli_options *options = cluster->options;
	bool all = options->all_namespaces;
	npt_auto_free char *place =
		all ? npt_strdup("") : npt_format("namespaces/%s/", cluster->namespace_name);
	npt_auto_free char *path =
		npt_format("/apis/netprof.io/v1alpha1/%snetworkprofilingtasks", place);
	json_t *list, *items = NULL;
	int r = npt_cluster_list(cluster, "list the tasks", path, NULL, NULL, &items, err);

	if (r != 0)
		return r > 0 ? -EACCES : r;
	list = json_pack("{s:s, s:s, s:o}", "kind", "NetworkProfilingTaskList", "apiVersion",
			 "netprof.io/v1alpha1", "items", items);
	if (options->output == NPT_CLI_JSON || options->output == NPT_CLI_YAML)
		r = npt_print_tree(list, options->output, err);
	else if (options->output == NPT_CLI_TABLE)
		r = print_list(list, all, err);
	else
		r = npt_error_set(err, EINVAL, "csv and dot are of one task: name it");
	json_decref(list);
	return r;
}

int npt_command_results(const struct npt_cli_options *options, struct npt_error *err)
{
	npt_auto(npt_cluster_close) struct npt_cluster cluster = { .proxy = NPT_CHILD_NONE };
	npt_auto(npt_result_done) struct npt_result result = { .task = NULL };
	int r = npt_cluster_open(&cluster, options, err);

	if (r < 0)
		return r;
	if (options->arguments_count == 0)
		return list_tasks(&cluster, err);
	r = npt_result_open(&cluster, cluster.namespace_name, options->arguments[0], &result, err);
	if (r < 0)
		return r;
	npt_result_say_source(&result);
	return npt_print_result(&result, options->output, err);
}
