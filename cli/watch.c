/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status is what there is while a task runs: its edges, once a second. On a terminal the
 * picture is drawn over the one before; elsewhere a line a change is what a log wants.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/edges.h"
#include "cli/follow.h"
#include "cli/print.h"
#include "cli/status_report.h"
#include "cli/terminal.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"

#define PICTURE_BYTES_MAX (1024U * 1024)
#define HOME              "\033[H"
#define CLEAR             "\033[2J"
#define CLEAR_TO_END      "\033[K"
#define CLEAR_BELOW       "\033[J"

struct watch {
	bool drawn;
};

/* As many lines as the terminal has, each cleared behind its end. */
static void draw(struct watch *watch, const char *picture)
{
	size_t lines = npt_terminal_height(stdout);

	fputs(watch->drawn ? HOME : HOME CLEAR, stdout);
	watch->drawn = true;
	for (size_t i = 1; i < lines && *picture; i++) {
		int length = (int)strcspn(picture, "\n");

		printf("%.*s" CLEAR_TO_END "\n", length, picture);
		picture += length + (picture[length] == '\n');
	}
	fputs(CLEAR_BELOW, stdout);
	(void)fflush(stdout);
}

/* A status in the shape of a result; false: there is nothing in it yet. */
static bool result_of(const json_t *task, struct npt_result *result)
{
	npt_auto_free char *text = NULL;
	json_t *report = npt_status_report(task);
	size_t count;

	text = json_dumps(report, JSON_COMPACT);
	json_decref(report);
	if (npt_report_from_json(text, strlen(text), &result->report, &result->quantiles, NULL) < 0)
		return false;
	count = result->report->edges_count;
	result->sorted = npt_alloc(count + 1, sizeof(*result->sorted));
	for (size_t i = 0; i < count; i++)
		result->sorted[i] = &result->report->edges[i];
	result->task = json_incref((json_t *)(uintptr_t)task);
	return true;
}

static void show(void *context, const json_t *task)
{
	npt_auto(npt_buffer_done) struct npt_buffer picture = NPT_BUFFER(PICTURE_BYTES_MAX);
	npt_auto(npt_result_done) struct npt_result result = { .from_status = true };
	bool colour = npt_terminal_has_colour(stdout);

	if (!result_of(task, &result))
		return;
	npt_follow_append_line(&picture, task, npt_clock_unix_ms());
	(void)npt_buffer_append_text(&picture, "\n\n");
	npt_edges_append_table(&picture, &result, colour, npt_terminal_width(stdout));
	draw(context, picture.data);
}

static int print_end(const json_t *task, const struct watch *watch, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(PICTURE_BYTES_MAX);
	npt_auto(npt_result_done) struct npt_result result = { .from_status = true };
	bool colour = npt_terminal_has_colour(stdout);

	if (watch->drawn)
		(void)npt_buffer_append_text(&out, HOME CLEAR);
	npt_follow_append_line(&out, task, npt_clock_unix_ms());
	(void)npt_buffer_append_text(&out, "\n\n");
	if (result_of(task, &result))
		npt_edges_append_table(&out, &result, colour, 0);
	return npt_print_text(out.data, out.size_bytes, err);
}

int npt_command_watch(const struct npt_cli_options *options, struct npt_error *err)
{
	npt_auto(npt_cluster_close) struct npt_cluster cluster = { .proxy = NPT_CHILD_NONE };
	struct watch watch = { .drawn = false };
	bool is_live = npt_terminal_is(stdout);
	struct npt_follow_options follow = {
		.name = options->arguments[0],
		.quiet = is_live,
		.on_change = is_live ? show : NULL,
		.context = &watch,
	};
	json_t *task = NULL;
	int r = npt_cluster_open(&cluster, options, err);

	follow.namespace_name = cluster.namespace_name;
	if (r == 0)
		r = npt_follow(&cluster, &follow, &task, err);
	if (r < 0)
		return r;
	r = print_end(task, &watch, err);
	if (r == 0)
		r = npt_command_exit_code(npt_cluster_text(task, "status/phase"));
	json_decref(task);
	return r;
}
