/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task is read again twice a second: the status is written once a second, a wait is short, and
 * a GET works where a WATCH is not allowed.
 */
#include "cli/follow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/interrupt.h"
#include "cli/result.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"

#define POLL_MS        500
#define NOBODY_SAID_MS 5000  /* without a status: say it */
#define NOBODY_MAX_MS  60000 /* and give up */
#define CANCEL_WAIT_MS 15000
#define TROUBLE_MAX    20 /* polls in a row that failed */
#define BAR_WIDTH      22
#define LINE_BYTES_MAX 4096
#define CLEAR_LINE     "\r\033[K"
#define PATH_TASK      "/apis/netprof.io/v1alpha1/namespaces/%s/networkprofilingtasks/%s"

struct follow {
	struct npt_cluster *cluster;
	const struct npt_follow_options *options;
	bool on_terminal;
	uint64_t begin_ns, asked_ns; /* asked_ns 0: nobody asked for the end */
	bool said_nobody;
	unsigned int trouble;
	char *shown; /* the line that was printed last */
	char *version;
};

static int64_t integer(const json_t *object, const char *path)
{
	return json_integer_value(npt_cluster_at(object, path));
}

static uint64_t elapsed_ms(const json_t *task, uint64_t now_unix_ms)
{
	uint64_t start = 0;

	if (npt_rfc3339_parse(npt_cluster_text(task, "status/startTime"), &start) < 0 ||
	    now_unix_ms < start)
		return 0;
	return now_unix_ms - start;
}

void npt_follow_append_bar(struct npt_buffer *out, uint64_t permille, size_t width)
{
	size_t full = (size_t)((permille < 1000 ? permille : 1000) * (width - 2) / 1000);

	(void)npt_buffer_append_text(out, "[");
	for (size_t i = 0; i + 2 < width; i++)
		(void)npt_buffer_append_text(out, i < full ? "#" : " ");
	(void)npt_buffer_append_text(out, "]");
}

void npt_follow_append_line(struct npt_buffer *out, const json_t *task, uint64_t now_unix_ms)
{
	const char *phase = npt_cluster_text(task, "status/phase");
	const char *message = npt_cluster_text(task, "status/message");
	const char *finding = npt_cluster_text(task, "status/finding");
	int64_t duration = integer(task, "spec/durationSeconds");
	int64_t seconds = (int64_t)(elapsed_ms(task, now_unix_ms) / 1000);

	npt_cli_text_append(out, phase[0] ? phase : "Pending");
	if (strcmp(phase, "Running") == 0)
		(void)npt_buffer_appendf(out, ", %" PRId64 " of %" PRId64 " s",
					 seconds < duration ? seconds : duration, duration);
	if (strcmp(phase, "Running") == 0 && integer(task, "status/targets/pods") > 0)
		(void)npt_buffer_appendf(out, ", %" PRId64 " of %" PRId64 " pods",
					 integer(task, "status/targets/running"),
					 integer(task, "status/targets/pods"));
	if (integer(task, "status/summary/edges") > 0)
		(void)npt_buffer_appendf(out, ", %" PRId64 " edges",
					 integer(task, "status/summary/edges"));
	if (message[0] || finding[0]) {
		(void)npt_buffer_append_text(out, ": ");
		npt_cli_text_append(out, message[0] ? message : finding);
	}
}

static void show_bar(const json_t *task, uint64_t now)
{
	npt_auto(npt_buffer_done) struct npt_buffer line = NPT_BUFFER(LINE_BYTES_MAX);
	uint64_t duration_ms = (uint64_t)integer(task, "spec/durationSeconds") * 1000;
	size_t width = npt_terminal_width(stderr);

	npt_follow_append_bar(&line, duration_ms ? elapsed_ms(task, now) * 1000 / duration_ms : 0,
			      BAR_WIDTH);
	(void)npt_buffer_append_text(&line, " ");
	npt_follow_append_line(&line, task, now);
	fprintf(stderr, CLEAR_LINE "%.*s", (int)width - 1, line.data);
	(void)fflush(stderr);
}

/* Without the seconds, which are no change. */
static void show_line(struct follow *follow, const json_t *task)
{
	npt_auto(npt_buffer_done) struct npt_buffer line = NPT_BUFFER(LINE_BYTES_MAX);

	npt_follow_append_line(&line, task, 0);
	if (follow->shown && strcmp(follow->shown, line.data) == 0)
		return;
	free(follow->shown);
	follow->shown = npt_buffer_take(&line);
	npt_follow_append_line(&line, task, npt_clock_unix_ms());
	fprintf(stderr, "%s\n", line.data);
}

static void show(struct follow *follow, const json_t *task)
{
	if (follow->options->quiet)
		return;
	if (follow->on_terminal)
		show_bar(task, npt_clock_unix_ms());
	else
		show_line(follow, task);
}

static void say(struct follow *follow, const char *text)
{
	fprintf(stderr, "%skubectl-npt: %s\n",
		follow->on_terminal && !follow->options->quiet ? CLEAR_LINE : "", text);
}

/* Nobody wrote a status: either there is no controller, or it cannot. */
static int check_controller(struct follow *follow, struct npt_error *err)
{
	uint64_t waited_ms = (npt_clock_monotonic_ns() - follow->begin_ns) / NPT_NS_PER_MS;

	if (waited_ms >= NOBODY_MAX_MS)
		return npt_error_set(
			err, ETIMEDOUT,
			"no controller has taken the task in %d s; it stays as it is "
			"(kubectl delete npt %s -n %s). What is wrong: kubectl npt doctor",
			NOBODY_MAX_MS / 1000, follow->options->name,
			follow->options->namespace_name);
	if (waited_ms >= NOBODY_SAID_MS && !follow->said_nobody) {
		say(follow, "no controller has taken the task yet; is npt-controller running? "
			    "kubectl npt doctor says. Waiting on");
		follow->said_nobody = true;
	}
	return 0;
}

static int cancel(struct follow *follow, struct npt_error *err)
{
	npt_auto_free char *path =
		npt_format(PATH_TASK, follow->options->namespace_name, follow->options->name);
	json_t *patch = json_pack("{s:{s:b}}", "spec", "cancel", 1);
	int r = npt_cluster_call(follow->cluster, "cancel the task", "PATCH", path, patch, NULL,
				 err);

	json_decref(patch);
	return r > 0 ? -EACCES : r;
}

/* 0: go on. */
static int check_interrupt(struct follow *follow, struct npt_error *err)
{
	int r;

	if (!npt_interrupt_asked())
		return 0;
	if (!follow->options->cancel_if_asked)
		return npt_error_set(err, ECANCELED, "interrupted");
	if (follow->asked_ns == 0) {
		follow->asked_ns = npt_clock_monotonic_ns();
		say(follow, "ending the task; Ctrl-C again leaves it to itself");
		r = cancel(follow, err);
		return r;
	}
	if (npt_clock_monotonic_ns() - follow->asked_ns > CANCEL_WAIT_MS * NPT_NS_PER_MS)
		return npt_error_set(err, ECANCELED,
				     "the task was told to end and has not ended yet: kubectl npt "
				     "watch %s -n %s",
				     follow->options->name, follow->options->namespace_name);
	return 0;
}

static void tell_change(struct follow *follow, const json_t *task)
{
	const char *version = npt_cluster_text(task, "metadata/resourceVersion");

	if (follow->version && strcmp(follow->version, version) == 0)
		return;
	free(follow->version);
	follow->version = npt_strdup(version);
	if (follow->options->on_change)
		follow->options->on_change(follow->options->context, task);
}

/* One look: 0 and a task if it is finished, 0 and NULL to go on. */
static int look(struct follow *follow, json_t **task_ret, struct npt_error *err)
{
	json_t *task = NULL;
	int r = npt_result_find_task(follow->cluster, follow->options->namespace_name,
				     follow->options->name, &task, err);

	if (r < 0 && r != -ENOENT && r != -EACCES && ++follow->trouble < TROUBLE_MAX)
		return 0;
	if (r < 0)
		return r;
	follow->trouble = 0;
	tell_change(follow, task);
	if (json_is_true(npt_cluster_at(task, "status/finished"))) {
		*task_ret = task;
		return 0;
	}
	show(follow, task);
	if (npt_cluster_text(task, "status/phase")[0] == '\0')
		r = check_controller(follow, err);
	json_decref(task);
	return r;
}

/* The first Ctrl-C is answered at once; from then on there is nothing to be woken up by. */
static void pause_until_next(const struct follow *follow)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * (long)NPT_NS_PER_MS };

	if (follow->asked_ns)
		(void)nanosleep(&pause, NULL);
	else
		npt_interrupt_pause(POLL_MS);
}

int npt_follow(struct npt_cluster *cluster, const struct npt_follow_options *options,
	       json_t **task_ret, struct npt_error *err)
{
	struct follow follow = {
		.cluster = cluster,
		.options = options,
		.on_terminal = npt_terminal_is(stderr),
		.begin_ns = npt_clock_monotonic_ns(),
	};
	json_t *task = NULL;
	int r;

	npt_interrupt_ask_first();
	while (true) {
		r = look(&follow, &task, err);
		if (r == 0 && !task)
			r = check_interrupt(&follow, err);
		if (r < 0 || task)
			break;
		pause_until_next(&follow);
	}
	if (follow.on_terminal && !options->quiet)
		fputs(CLEAR_LINE, stderr);
	free(follow.shown);
	free(follow.version);
	*task_ret = task;
	return r;
}
