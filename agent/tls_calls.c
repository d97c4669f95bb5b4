/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls_calls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/proc.h"
#include "agent/tls_attachment.h"
#include "agent/tls_programs.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"

#define FILES_MAX       1024
#define RECORDS_MAX     4096 /* of processes, those that ended included */
#define BUCKETS         1024
#define DESCRIPTORS_MAX 8192
#define LOOK_MIN_NS     (2 * NPT_NS_PER_MS)
#define LOOK_MAX_NS     (5 * NPT_NS_PER_SECOND)
#define TOO_MANY        "more processes use TLS than are probed at a time"
#define ENDED           "it ended before probes could be set, which takes some 10 ms"
#define NOT_LOOKED_AT   "it was not looked at: more processes than are kept, or its event was lost"
#define NO_LIBRARY      "no TLS library was found in the files that the process has mapped"

struct process {
	uint32_t pid;
	uint32_t scope;
	uint64_t start_ns;
	uint64_t look_at_ns; /* CLOCK_MONOTONIC: not before */
	uint64_t look_period_ns;
	struct process *next;                   /* in its bucket, by pid: the next older one */
	bool put_off;                           /* a look is due then */
	bool told;                              /* has its lines in the report that is made */
	bool detached;                          /* ended, or its scope did */
	char why[NPT_TEXT_BYTES];               /* why it could not be looked at; "" if it was */
	struct npt_tls_attachment *attachments; /* up to NPT_TLS_PROCESS_LIBRARIES */
	size_t count;
};

struct npt_tls_calls {
	struct npt_probe *probe;
	struct npt_tls_file_cache *files;
	struct npt_tls_attacher *attacher;
	struct npt_tls_programs *programs;
	uint64_t due_ns;                        /* the next look that was put off; 0: none */
	struct process *processes[RECORDS_MAX]; /* the oldest first */
	struct process *buckets[BUCKETS];
	size_t count;
	size_t probed;                                         /* with at least one link */
	struct npt_tls_found found[NPT_TLS_PROCESS_LIBRARIES]; /* of the process at hand */
};

/* Links are descriptors; the limit that programs start with is for a few. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_MAX)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

struct npt_tls_calls *npt_tls_calls_new(struct npt_probe *probe)
{
	struct npt_tls_calls *calls = npt_alloc(1, sizeof(*calls));

	calls->probe = probe;
	calls->files = npt_tls_file_cache_new(FILES_MAX);
	calls->attacher = npt_tls_attacher_new(probe);
	calls->programs = npt_tls_programs_new();
	raise_descriptors();
	return calls;
}

static void free_process(struct process *process)
{
	free(process->attachments);
	free(process);
}

static bool is_probed(const struct process *process)
{
	for (size_t i = 0; i < process->count; i++) {
		if (process->attachments[i].links_count > 0)
			return true;
	}
	return false;
}

static void detach(struct npt_tls_calls *calls, struct process *process)
{
	if (is_probed(process))
		calls->probed--;
	for (size_t i = 0; i < process->count; i++)
		npt_tls_detach(&process->attachments[i], calls->attacher);
	process->detached = true;
}

void npt_tls_calls_free(struct npt_tls_calls *calls)
{
	if (!calls)
		return;
	for (size_t i = 0; i < calls->count; i++) {
		detach(calls, calls->processes[i]);
		free_process(calls->processes[i]);
	}
	npt_tls_attacher_free(calls->attacher);
	npt_tls_programs_free(calls->programs);
	npt_tls_file_cache_free(calls->files);
	free(calls);
}

static struct process *find(const struct npt_tls_calls *calls, uint32_t pid, uint64_t start_ns)
{
	struct process *process = calls->buckets[pid % BUCKETS];

	while (process && (process->pid != pid || process->start_ns != start_ns))
		process = process->next;
	return process;
}

static void forget(struct npt_tls_calls *calls, size_t index)
{
	struct process *process = calls->processes[index];
	struct process **link = &calls->buckets[process->pid % BUCKETS];

	while (*link != process)
		link = &(*link)->next;
	*link = process->next;
	free_process(process);
	memmove(&calls->processes[index], &calls->processes[index + 1],
		(calls->count - index - 1) * sizeof(struct process *));
	calls->count--;
}

/* The oldest one that is not probed any more makes room. */
static bool make_room(struct npt_tls_calls *calls)
{
	if (calls->count < RECORDS_MAX)
		return true;
	for (size_t i = 0; i < calls->count; i++) {
		if (!calls->processes[i]->detached)
			continue;
		forget(calls, i);
		return true;
	}
	return false;
}

static struct process *add(struct npt_tls_calls *calls, const struct npt_bpf_tls_process *told)
{
	struct process *process;

	if (!make_room(calls))
		return NULL;
	process = npt_alloc(1, sizeof(*process));
	process->pid = told->pid;
	process->start_ns = told->start_ns;
	process->scope = told->scope;
	process->look_period_ns = LOOK_MIN_NS;
	process->next = calls->buckets[told->pid % BUCKETS];
	calls->buckets[told->pid % BUCKETS] = process;
	calls->processes[calls->count++] = process;
	return process;
}

static struct npt_tls_attachment *attachment_of(struct process *process,
						const struct npt_tls_found *found)
{
	for (size_t i = 0; i < process->count; i++) {
		if (npt_tls_attachment_is_of(&process->attachments[i], found))
			return &process->attachments[i];
	}
	return NULL;
}

/* Those that the process has no more: unmapped, or it is another program since an execve(). */
static bool drop_unseen(struct npt_tls_calls *calls, struct process *process)
{
	size_t kept = 0, before = process->count;

	for (size_t i = 0; i < before; i++) {
		if (process->attachments[i].seen)
			process->attachments[kept++] = process->attachments[i];
		else
			npt_tls_detach(&process->attachments[i], calls->attacher);
	}
	process->count = kept;
	return kept < before;
}

static void attach(struct npt_tls_calls *calls, struct process *process,
		   const struct npt_tls_found *found, bool early)
{
	bool room = calls->probed < NPT_TLS_PROCESSES_MAX || is_probed(process);
	struct npt_tls_attachment *attachment;

	process->attachments = npt_realloc(process->attachments, process->count + 1,
					   sizeof(*process->attachments));
	attachment = &process->attachments[process->count++];
	npt_tls_attach(attachment, calls->attacher, process->pid, found, early,
		       room ? NULL : TOO_MANY);
	attachment->seen = true;
	npt_log_debug("TLS library", "pid", npt_log_u64(process->pid), "library",
		      npt_tls_kind_name(attachment->kind), "how", attachment->how, "why",
		      attachment->why);
}

/* What is said of files then is said of a process that is not there any more. */
static void say_ended(struct process *process)
{
	for (size_t i = 0; i < process->count; i++) {
		struct npt_tls_attachment *attachment = &process->attachments[i];

		if (attachment->coverage != NPT_COVERAGE_FULL)
			(void)snprintf(attachment->why, sizeof(attachment->why), "%s", ENDED);
	}
	if (process->count == 0)
		(void)snprintf(process->why, sizeof(process->why), "%s", ENDED);
}

/* True if something is not as it was at the last look. */
static bool compare(struct npt_tls_calls *calls, struct process *process, size_t count)
{
	bool changed = false, probed = is_probed(process);

	for (size_t i = 0; i < process->count; i++)
		process->attachments[i].seen = false;
	for (size_t i = 0; i < count; i++) {
		struct npt_tls_attachment *attachment = attachment_of(process, &calls->found[i]);

		if (attachment)
			attachment->seen = true;
	}
	changed = drop_unseen(calls, process);
	for (size_t i = 0; i < count && process->count < NPT_TLS_PROCESS_LIBRARIES; i++) {
		if (attachment_of(process, &calls->found[i]))
			continue;
		attach(calls, process, &calls->found[i], false);
		changed = true;
	}
	calls->probed += (size_t)is_probed(process);
	calls->probed -= (size_t)probed;
	return changed;
}

static void look(struct npt_tls_calls *calls, struct process *process)
{
	struct npt_error err = NPT_ERROR_NONE;
	uint64_t now_ns = npt_clock_monotonic_ns();
	bool changed = false;
	size_t count = 0;
	int r;

	r = npt_tls_libraries_of(calls->files, process->pid, calls->found, &count, &err);
	process->why[0] = '\0';
	if (r < 0)
		(void)snprintf(process->why, sizeof(process->why), "%.255s", err.text);
	else if (count > 0 || npt_proc_is_running(process->pid)) /* one that ends has no maps */
		changed = compare(calls, process, count);
	if (changed)
		npt_tls_programs_learn(calls->programs, process->pid, calls->found, count);
	if ((changed || process->count == 0) && !npt_proc_is_running(process->pid)) {
		say_ended(process);
		detach(calls, process);
	}
	process->look_period_ns = changed ? LOOK_MIN_NS : process->look_period_ns * 2;
	if (process->look_period_ns > LOOK_MAX_NS)
		process->look_period_ns = LOOK_MAX_NS;
	process->look_at_ns = now_ns + process->look_period_ns;
	process->put_off = false;
}

/* It has mapped nothing of its new program yet: what that had the last time is probed. */
static void begin_program(struct npt_tls_calls *calls, struct process *process)
{
	const struct npt_tls_found *found;
	size_t count;

	detach(calls, process);
	process->detached = false;
	process->count = 0;
	process->look_period_ns = LOOK_MIN_NS;
	if (!npt_tls_programs_recall(calls->programs, process->pid, &found, &count)) {
		look(calls, process);
		process->look_at_ns = 0; /* its libraries are mapped in a moment */
		return;
	}
	for (size_t i = 0; i < count; i++)
		attach(calls, process, &found[i], true);
	calls->probed += (size_t)is_probed(process);
	process->look_at_ns = 0;
}

static void put_off(struct npt_tls_calls *calls, struct process *process)
{
	process->put_off = true;
	if (!calls->due_ns || process->look_at_ns < calls->due_ns)
		calls->due_ns = process->look_at_ns;
}

static void take(void *context, const struct npt_bpf_tls_process *told)
{
	struct npt_tls_calls *calls = context;
	struct process *process = find(calls, told->pid, told->start_ns);

	if (!process)
		process = add(calls, told);
	if (!process)
		return;
	process->scope = told->scope;
	process->detached = false;
	if (told->executes)
		begin_program(calls, process);
	else if (npt_clock_monotonic_ns() >= process->look_at_ns)
		look(calls, process);
	else
		put_off(calls, process);
}

static void look_at_due(struct npt_tls_calls *calls)
{
	uint64_t now_ns = npt_clock_monotonic_ns();

	if (!calls->due_ns || now_ns < calls->due_ns)
		return;
	calls->due_ns = 0;
	for (size_t i = 0; i < calls->count; i++) {
		struct process *process = calls->processes[i];

		if (!process->put_off || process->detached)
			continue;
		if (now_ns >= process->look_at_ns)
			look(calls, process);
		else
			put_off(calls, process);
	}
}

void npt_tls_calls_attend(struct npt_tls_calls *calls)
{
	npt_probe_read_tls_processes(calls->probe, take, calls);
	look_at_due(calls);
}

uint64_t npt_tls_calls_due_ns(const struct npt_tls_calls *calls)
{
	return calls->due_ns;
}

void npt_tls_calls_tick(struct npt_tls_calls *calls)
{
	npt_tls_calls_attend(calls);
	for (size_t i = 0; i < calls->count; i++) {
		struct process *process = calls->processes[i];

		if (!process->detached && kill((pid_t)process->pid, 0) < 0 && errno == ESRCH)
			detach(calls, process);
	}
}

void npt_tls_calls_end_scope(struct npt_tls_calls *calls, uint32_t scope)
{
	npt_tls_calls_attend(calls); /* nobody is told later and probed again */
	for (size_t i = 0; i < calls->count; i++) {
		struct process *process = calls->processes[i];

		if (process->scope == scope && !process->detached)
			detach(calls, process);
	}
}

static void add_line(struct npt_report *report, const struct npt_edge *edge,
		     const struct npt_tls_attachment *attachment)
{
	struct npt_tls_use *use = npt_report_add_tls(report);

	if (!use)
		return;
	use->pid = edge->process.pid;
	use->start_ns = edge->process.start_ns;
	memcpy(use->process, edge->process.name, sizeof(use->process));
	(void)snprintf(use->library, sizeof(use->library), "%s",
		       npt_tls_kind_name(attachment->kind));
	(void)snprintf(use->version, sizeof(use->version), "%s", attachment->version);
	memcpy(use->how, attachment->how, sizeof(use->how));
	use->coverage = attachment->coverage;
	memcpy(use->why, attachment->why, sizeof(use->why));
}

static bool is_told(const struct npt_report *report, const struct npt_edge *edge)
{
	for (size_t i = report->tls_count; i > 0; i--) {
		const struct npt_tls_use *use = &report->tls[i - 1];

		if (use->pid == edge->process.pid && use->start_ns == edge->process.start_ns)
			return true;
	}
	return false;
}

/* TLS that no library of the process accounts for has a line, too. */
static void add_unknown(struct npt_report *report, const struct npt_edge *edge, const char *why)
{
	struct npt_tls_attachment unknown = { .kind = NPT_TLS_KIND_UNKNOWN,
					      .coverage = NPT_COVERAGE_METADATA };

	(void)snprintf(unknown.why, sizeof(unknown.why), "%s", why);
	add_line(report, edge, &unknown);
}

uint32_t npt_tls_calls_ns_per_call(const struct npt_tls_calls *calls, uint32_t pid,
				   uint64_t start_ns)
{
	const struct process *process = find(calls, pid, start_ns);
	uint32_t ns = 0;

	for (size_t i = 0; process && i < process->count; i++) {
		if (process->attachments[i].ns_per_call > ns)
			ns = process->attachments[i].ns_per_call;
	}
	return ns;
}

static void describe(struct process *process, const struct npt_edge *edge,
		     struct npt_report *report)
{
	if (process->told)
		return;
	for (size_t i = 0; i < process->count; i++)
		add_line(report, edge, &process->attachments[i]);
	process->told = process->count > 0 || edge->tls == NPT_TLS_YES;
	if (process->count == 0 && process->told)
		add_unknown(report, edge, process->why[0] ? process->why : NO_LIBRARY);
}

void npt_tls_calls_describe(const struct npt_tls_calls *calls, struct npt_report *report)
{
	report->tls_count = 0;
	report->tls_other = 0;
	for (size_t i = 0; i < calls->count; i++)
		calls->processes[i]->told = false;
	for (size_t i = 0; i < report->edges_count; i++) {
		const struct npt_edge *edge = &report->edges[i];
		struct process *process = find(calls, edge->process.pid, edge->process.start_ns);

		if (process)
			describe(process, edge, report);
		else if (edge->process.pid != 0 && edge->tls == NPT_TLS_YES &&
			 !is_told(report, edge))
			add_unknown(report, edge, NOT_LOOKED_AT);
	}
}
