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
#include "agent/tls_calls_private.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"

#define FILES_MAX       1024
#define DESCRIPTORS_MAX 8192
#define LOOK_MIN_NS     (2 * NPT_NS_PER_MS)
#define LOOK_MAX_NS     (5 * NPT_NS_PER_SECOND)
#define TOO_MANY        "more processes use TLS than are probed at a time"
#define ENDED           "it ended before probes could be set, which takes some 10 ms"

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

static void free_process(struct npt_tls_calls *calls, struct npt_tls_process *process)
{
	npt_probe_forget_tls_unassigned(calls->probe, process->pid, process->start_ns);
	free(process->attachments);
	free(process);
}

static bool is_probed(const struct npt_tls_process *process)
{
	for (size_t i = 0; i < process->count; i++) {
		if (process->attachments[i].links_count > 0)
			return true;
	}
	return false;
}

static void detach(struct npt_tls_calls *calls, struct npt_tls_process *process)
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
		free_process(calls, calls->processes[i]);
	}
	npt_tls_attacher_free(calls->attacher);
	npt_tls_programs_free(calls->programs);
	npt_tls_file_cache_free(calls->files);
	free(calls);
}

struct npt_tls_process *npt_tls_calls_find(const struct npt_tls_calls *calls, uint32_t pid,
					   uint64_t start_ns)
{
	struct npt_tls_process *process = calls->buckets[pid % NPT_TLS_BUCKETS];

	while (process && (process->pid != pid || process->start_ns != start_ns))
		process = process->next;
	return process;
}

static void forget(struct npt_tls_calls *calls, size_t index)
{
	struct npt_tls_process *process = calls->processes[index];
	struct npt_tls_process **link = &calls->buckets[process->pid % NPT_TLS_BUCKETS];

	while (*link != process)
		link = &(*link)->next;
	*link = process->next;
	free_process(calls, process);
	memmove(&calls->processes[index], &calls->processes[index + 1],
		(calls->count - index - 1) * sizeof(struct npt_tls_process *));
	calls->count--;
}

/* The oldest one that is not probed any more makes room. */
static bool make_room(struct npt_tls_calls *calls)
{
	if (calls->count < NPT_TLS_RECORDS_MAX)
		return true;
	for (size_t i = 0; i < calls->count; i++) {
		if (!calls->processes[i]->detached)
			continue;
		forget(calls, i);
		return true;
	}
	return false;
}

static struct npt_tls_process *add(struct npt_tls_calls *calls,
				   const struct npt_bpf_tls_process *told)
{
	struct npt_tls_process *process;

	if (!make_room(calls))
		return NULL;
	process = npt_alloc(1, sizeof(*process));
	process->pid = told->pid;
	process->start_ns = told->start_ns;
	process->scope = told->scope;
	process->look_period_ns = LOOK_MIN_NS;
	process->next = calls->buckets[told->pid % NPT_TLS_BUCKETS];
	calls->buckets[told->pid % NPT_TLS_BUCKETS] = process;
	calls->processes[calls->count++] = process;
	return process;
}

static struct npt_tls_attachment *attachment_of(struct npt_tls_process *process,
						const struct npt_tls_found *found)
{
	for (size_t i = 0; i < process->count; i++) {
		if (npt_tls_attachment_is_of(&process->attachments[i], found))
			return &process->attachments[i];
	}
	return NULL;
}

/* Those that the process has no more: unmapped, or it is another program since an execve(). */
static bool drop_unseen(struct npt_tls_calls *calls, struct npt_tls_process *process)
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

static void attach(struct npt_tls_calls *calls, struct npt_tls_process *process,
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
static void say_ended(struct npt_tls_process *process)
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
static bool compare(struct npt_tls_calls *calls, struct npt_tls_process *process, size_t count)
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

static void look(struct npt_tls_calls *calls, struct npt_tls_process *process)
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
static void begin_program(struct npt_tls_calls *calls, struct npt_tls_process *process)
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

static void put_off(struct npt_tls_calls *calls, struct npt_tls_process *process)
{
	process->put_off = true;
	if (!calls->due_ns || process->look_at_ns < calls->due_ns)
		calls->due_ns = process->look_at_ns;
}

static void take(void *context, const struct npt_bpf_tls_process *told)
{
	struct npt_tls_calls *calls = context;
	struct npt_tls_process *process = npt_tls_calls_find(calls, told->pid, told->start_ns);

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
		struct npt_tls_process *process = calls->processes[i];

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
		struct npt_tls_process *process = calls->processes[i];

		if (!process->detached && kill((pid_t)process->pid, 0) < 0 && errno == ESRCH)
			detach(calls, process);
	}
}

void npt_tls_calls_end_scope(struct npt_tls_calls *calls, uint32_t scope)
{
	npt_tls_calls_attend(calls); /* nobody is told later and probed again */
	for (size_t i = 0; i < calls->count; i++) {
		struct npt_tls_process *process = calls->processes[i];

		if (process->scope == scope && !process->detached)
			detach(calls, process);
	}
}

uint32_t npt_tls_calls_ns_per_call(const struct npt_tls_calls *calls, uint32_t pid,
				   uint64_t start_ns)
{
	const struct npt_tls_process *process = npt_tls_calls_find(calls, pid, start_ns);
	uint32_t ns = 0;

	for (size_t i = 0; process && i < process->count; i++) {
		if (process->attachments[i].ns_per_call > ns)
			ns = process->attachments[i].ns_per_call;
	}
	return ns;
}
