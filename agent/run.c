/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, one loop: it wakes each full second of the node's time to read, at multiples of the
 * interval to cut a window, for the slices, and for signals. Ends by the deadline, by a signal, or
 * when its target ends.
 */
#include "agent/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "agent/local_service.h"
#include "agent/measure.h"
#include "agent/recording.h"
#include "agent/table.h"
#include "agent/target.h"
#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/model/finding.h"
#include "lib/model/hops.h"
#include "lib/model/report_details.h"
#include "lib/net/digest.h"

#define TABLE_BYTES_MAX (1024 * 1024)
#define DETAILS_AT_END  5
#define FIND_PERIOD_NS  (5 * NPT_NS_PER_SECOND)

struct run {
	const struct npt_run_options *options;
	struct npt_target_set target;
	struct npt_measure *measure;
	struct npt_recording *recording;
	struct npt_local_service *service; /* NULL: results are not served */
	uint32_t scope;
	int signal_fd;
	uint64_t started_ns;
	uint64_t deadline_ns; /* CLOCK_BOOTTIME; 0: none */
	uint64_t next_cut_unix_ms;
	uint64_t next_find_ns;
	bool command_ended;
	bool target_gone;
	bool stop;
	bool stop_serving;
};

static void tell(void *context, uint32_t scope, uint32_t slot, const struct npt_edge *delta)
{
	struct run *run = context;

	if (scope == run->scope)
		npt_recording_add(run->recording, slot, delta);
}

static void print_json(struct run *run, struct npt_report *report)
{
	npt_auto_free char *line = NULL;

	npt_hops_link(report);
	npt_findings_set(report);
	line = npt_report_to_json(report);
	if (printf("%s\n", line) < 0 || fflush(stdout) != 0)
		run->stop = true;
}

/* Live: rows for what there is, and below, all metrics of as many edges as fit. */
static struct npt_table_size live_size(size_t edges)
{
	struct winsize window;
	struct npt_table_size size = { .rows = 40 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 8)
		size.rows = window.ws_row - 6u;
	if (size.rows > edges)
		size.details = (size.rows - edges) / NPT_EDGE_DETAILS_LINES;
	return size;
}

static void print_table(struct run *run, bool last)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(TABLE_BYTES_MAX);
	struct npt_report *total = npt_recording_total(run->recording);
	bool live = isatty(STDOUT_FILENO) == 1;
	struct npt_table_size size;
	uint64_t seconds = (npt_clock_boottime_ns() - run->started_ns) / NPT_NS_PER_SECOND;

	if (!live && !last)
		return;
	npt_measure_describe(run->measure, run->scope, total);
	npt_hops_link(total);
	npt_findings_set(total);
	if (live)
		(void)npt_buffer_append_text(&out, "\033[H\033[2J");
	(void)npt_buffer_appendf(&out, "npt-agent: %llus", (unsigned long long)seconds);
	if (run->options->duration_ms && !last)
		(void)npt_buffer_appendf(&out, " of %llus",
					 (unsigned long long)(run->options->duration_ms / 1000));
	(void)npt_buffer_appendf(&out,
				 ", %zu edges, own CPU %llu ms, memory %llu KiB, lost %llu\n\n",
				 total->edges_count, (unsigned long long)total->cost.cpu_ms,
				 (unsigned long long)total->cost.memory_kib,
				 (unsigned long long)total->lost.events + total->lost.edges);
	size = last ? (struct npt_table_size){ .rows = SIZE_MAX, .details = DETAILS_AT_END }
		    : live_size(total->edges_count);
	npt_table_render(total, &size, &out);
	if (fwrite(out.data, 1, out.size_bytes, stdout) != out.size_bytes || fflush(stdout) != 0)
		run->stop = true;
}

/* The first multiple of the interval after now, in the node's Unix time. */
static uint64_t next_cut(const struct run *run, uint64_t now_unix_ms)
{
	return (now_unix_ms / run->options->interval_ms + 1) * run->options->interval_ms;
}

static void cut_window(struct run *run)
{
	uint64_t now = npt_clock_unix_ms();
	npt_auto(npt_report_free) struct npt_report *window =
		npt_recording_cut(run->recording, now);

	run->next_cut_unix_ms = next_cut(run, now);
	if (run->options->output == NPT_RUN_TABLE && !run->service)
		return;
	npt_measure_describe(run->measure, run->scope, window);
	if (run->service)
		npt_local_service_push(run->service, window);
	if (run->options->output == NPT_RUN_JSON)
		print_json(run, window);
}

static int read_measure(struct run *run, struct npt_error *err)
{
	uint64_t now = npt_clock_monotonic_ns();

	if (now >= run->next_find_ns) {
		int r = npt_measure_find_sockets(run->measure, err);

		if (r < 0)
			return r;
		run->next_find_ns = now + FIND_PERIOD_NS;
	}
	return npt_measure_read(run->measure, tell, run, err);
}

/* A full second has begun. */
static int tick(struct run *run, struct npt_error *err)
{
	int r = read_measure(run, err);

	if (r < 0)
		return r;
	if (npt_clock_unix_ms() >= run->next_cut_unix_ms)
		cut_window(run);
	if (run->options->output == NPT_RUN_TABLE)
		print_table(run, false);
	if (run->target.by_process && !run->options->command &&
	    npt_measure_members(run->measure, run->scope) == 0) {
		run->target_gone = true;
		run->stop = true;
	}
	return 0;
}

static void take_signal(struct run *run)
{
	struct signalfd_siginfo info;

	if (read(run->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo != SIGCHLD) {
		/* Ctrl-C ends the measurement first, and what it found can be looked at. */
		run->stop_serving = run->stop || info.ssi_signo == SIGTERM;
		run->stop = true;
		return;
	}
	if (run->target.command_pid > 0 &&
	    waitpid(run->target.command_pid, NULL, WNOHANG) == run->target.command_pid) {
		run->target.command_pid = 0;
		run->command_ended = true;
		run->stop = true;
	}
}

static int wait_ms(const struct run *run)
{
	uint64_t now_ms = npt_clock_unix_ms(), wait = 1000 - now_ms % 1000;
	uint64_t due_ns = npt_measure_due_ns(run->measure);
	uint64_t mono_ns = npt_clock_monotonic_ns(), boot_ns = npt_clock_boottime_ns();

	if (due_ns) {
		uint64_t until = due_ns > mono_ns ? (due_ns - mono_ns) / NPT_NS_PER_MS : 0;

		wait = until < wait ? until : wait;
	}
	if (run->deadline_ns) {
		uint64_t until = run->deadline_ns > boot_ns
					 ? (run->deadline_ns - boot_ns) / NPT_NS_PER_MS
					 : 0;

		wait = until < wait ? until : wait;
	}
	return (int)wait;
}

static int loop(struct run *run, struct npt_error *err)
{
	uint64_t last_second = npt_clock_unix_ms() / 1000;

	while (!run->stop) {
		struct pollfd fds[] = {
			{ .fd = run->signal_fd, .events = POLLIN },
			{ .fd = npt_measure_fd(run->measure), .events = POLLIN },
		};
		uint64_t second;

		(void)poll(fds, NPT_ARRAY_SIZE(fds), wait_ms(run));
		if (fds[0].revents)
			take_signal(run);
		npt_measure_attend(run->measure);
		second = npt_clock_unix_ms() / 1000;
		if (second != last_second) {
			int r = tick(run, err);

			if (r < 0)
				return r;
			last_second = second;
		}
		if (run->deadline_ns && npt_clock_boottime_ns() >= run->deadline_ns)
			run->stop = true;
	}
	return 0;
}

static int finish(struct run *run, struct npt_error *err)
{
	int r;

	npt_measure_remove_scope(run->measure, run->scope);
	r = npt_measure_read(run->measure, tell, run, err);
	if (r < 0)
		return r;
	cut_window(run);
	if (run->options->output == NPT_RUN_JSON) {
		npt_measure_describe(run->measure, run->scope, npt_recording_total(run->recording));
		print_json(run, npt_recording_total(run->recording));
	} else {
		print_table(run, true);
	}
	if (run->target_gone)
		return npt_error_set(err, ESRCH, "the target ended before the time was up");
	return 0;
}

/* The measurement is over; its results are there until somebody has seen enough. */
static void serve_on(struct run *run)
{
	struct pollfd signals = { .fd = run->signal_fd, .events = POLLIN };

	if (!run->service)
		return;
	npt_local_service_drain(run->service);
	if (!run->stop_serving)
		fprintf(stderr, "npt-agent: results at %s until Ctrl-C\n",
			npt_local_service_url(run->service));
	while (!run->stop_serving) {
		if (poll(&signals, 1, -1) > 0)
			take_signal(run);
	}
}

static int open_signals(struct run *run, struct npt_error *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0)
		return npt_error_set(err, errno, "cannot wait for signals: %s",
				     npt_errno_name(errno));
	return 0;
}

static struct npt_recording *new_recording(void)
{
	npt_auto(npt_report_free) struct npt_report *head = npt_report_new();

	npt_random_id(head->instance);
	return npt_recording_new(head, npt_clock_unix_ms());
}

static int start_service(struct run *run, struct npt_error *err)
{
	int r;

	if (!run->options->serve)
		return 0;
	r = npt_local_service_start(run->options->serve, &run->service, err);
	if (r == 0)
		fprintf(stderr, "npt-agent: serving %s\n", npt_local_service_url(run->service));
	return r;
}

static int start(struct run *run, struct npt_error *err)
{
	struct npt_measure_options measure_options = {
		.operations = run->options->operations,
		.protocol = run->options->protocol,
		.tls = run->options->tls,
		.no_trampolines = run->options->no_trampolines,
	};
	struct npt_scope_options scope_options;
	int r = npt_measure_new(&run->measure, &measure_options, err);

	if (r < 0)
		return r;
	npt_measure_set_budget(run->measure, run->options->budget_cpu_millicores,
			       run->options->budget_memory_mib);
	r = npt_target_find(run->options, &run->target, err);
	if (r < 0)
		return r;
	scope_options = (struct npt_scope_options){
		.netns_fd = run->target.netns_fd,
		.by_process = run->target.by_process,
		.members = run->target.members,
		.members_count = run->target.members_count,
	};
	r = npt_measure_add_scope(run->measure, &scope_options, &run->scope, err);
	if (r < 0)
		return r;
	run->target.netns_fd = -1;
	run->recording = new_recording();
	run->started_ns = npt_clock_boottime_ns();
	if (run->options->duration_ms)
		run->deadline_ns = run->started_ns + run->options->duration_ms * NPT_NS_PER_MS;
	run->next_cut_unix_ms = next_cut(run, npt_clock_unix_ms());
	run->next_find_ns = npt_clock_monotonic_ns() + FIND_PERIOD_NS;
	return npt_target_release(&run->target,
				  run->options->command ? run->options->command[0] : "", err);
}

/* A command that outlives the measurement is ended: we started it. */
static void end_command(struct run *run)
{
	if (run->target.command_pid <= 0)
		return;
	(void)kill(run->target.command_pid, SIGTERM);
	for (int i = 0; i < 50; i++) {
		if (waitpid(run->target.command_pid, NULL, WNOHANG) != 0)
			return;
		(void)poll(NULL, 0, 100);
	}
	(void)kill(run->target.command_pid, SIGKILL);
	(void)waitpid(run->target.command_pid, NULL, 0);
}

int npt_run(const struct npt_run_options *options, struct npt_error *err)
{
	struct run run = { .options = options, .target = NPT_TARGET_SET_NONE, .signal_fd = -1 };
	int r = open_signals(&run, err);

	if (r >= 0)
		r = start_service(&run, err);
	if (r >= 0)
		r = start(&run, err);
	if (r >= 0) {
		npt_log_info("measuring", "interval_ms", npt_log_u64(options->interval_ms));
		r = loop(&run, err);
	}
	if (r >= 0)
		r = finish(&run, err);
	if (r >= 0)
		serve_on(&run);
	end_command(&run);
	npt_local_service_free(run.service);
	npt_recording_free(run.recording);
	npt_measure_free(run.measure);
	npt_target_done(&run.target);
	if (run.signal_fd >= 0)
		(void)close(run.signal_fd);
	return r;
}
