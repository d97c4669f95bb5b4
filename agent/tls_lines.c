/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of the TLS of each process: a line for each of its libraries, and one for TLS that
 * no library accounts for.
 */
#include <stdio.h>
#include <string.h>

#include "agent/tls_calls_private.h"

#define NOT_LOOKED_AT "it was not looked at: more processes than are kept, or its event was lost"
#define NO_LIBRARY    "no TLS library was found in the files that the process has mapped"
#define BY_KERNEL     "kTLS: sockets with the ULP tls and a key"
#define WITHIN_KERNEL                                                                              \
	"the kernel makes the records: write and read are of plaintext, not looked into"

/* NULL: no room for it. */
static struct npt_tls_use *add_line(struct npt_report *report, const struct npt_edge *edge,
				    const struct npt_tls_attachment *attachment)
{
	struct npt_tls_use *use = npt_report_add_tls(report);

	if (!use)
		return NULL;
	use->pid = edge->process.pid;
	use->start_ns = edge->process.start_ns;
	memcpy(use->process, edge->process.name, sizeof(use->process));
	(void)snprintf(use->library, sizeof(use->library), "%s",
		       npt_tls_kind_name(attachment->kind));
	(void)snprintf(use->version, sizeof(use->version), "%s", attachment->version);
	memcpy(use->how, attachment->how, sizeof(use->how));
	use->coverage = attachment->coverage;
	memcpy(use->why, attachment->why, sizeof(use->why));
	return use;
}

/* Which of its libraries a call is of is not known: the first one whose calls are seen says it. */
static void add_lines(const struct npt_tls_calls *calls, const struct npt_tls_process *process,
		      const struct npt_edge *edge, struct npt_report *report)
{
	bool said = false;

	for (size_t i = 0; i < process->count; i++) {
		struct npt_tls_use *use = add_line(report, edge, &process->attachments[i]);

		if (!use || said || use->coverage != NPT_COVERAGE_FULL)
			continue;
		use->unassigned_calls =
			npt_probe_tls_unassigned(calls->probe, process->pid, process->start_ns);
		said = true;
	}
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
	(void)add_line(report, edge, &unknown);
}

/* Beside the library that made the handshake, if that was this process. */
static void add_kernel(struct npt_report *report, const struct npt_edge *edge)
{
	struct npt_tls_attachment kernel = { .coverage = NPT_COVERAGE_METADATA };
	struct npt_tls_use *use = add_line(report, edge, &kernel);

	if (!use)
		return;
	(void)snprintf(use->library, sizeof(use->library), "kernel");
	(void)snprintf(use->how, sizeof(use->how), "%s", BY_KERNEL);
	(void)snprintf(use->why, sizeof(use->why), "%s", WITHIN_KERNEL);
}

/* An edge says it once, in the window in which it was found; the process goes on with it. */
static void note_kernel_tls(const struct npt_tls_calls *calls, const struct npt_report *report)
{
	for (size_t i = 0; i < report->edges_count; i++) {
		const struct npt_edge *edge = &report->edges[i];
		struct npt_tls_process *process = NULL;

		if (edge->connections.kernel_tls > 0)
			process = npt_tls_calls_find(calls, edge->process.pid,
						     edge->process.start_ns);
		if (process)
			process->kernel_tls = true;
	}
}

static void describe(const struct npt_tls_calls *calls, struct npt_tls_process *process,
		     const struct npt_edge *edge, struct npt_report *report)
{
	bool has_tls = process->kernel_tls || edge->tls == NPT_TLS_YES;

	if (process->told)
		return;
	add_lines(calls, process, edge, report);
	if (process->kernel_tls)
		add_kernel(report, edge);
	else if (has_tls && process->count == 0)
		add_unknown(report, edge, process->why[0] ? process->why : NO_LIBRARY);
	process->told = has_tls || process->count > 0;
}

/* Of a process without a record. */
static void describe_stranger(const struct npt_edge *edge, struct npt_report *report)
{
	if (edge->process.pid == 0 || is_told(report, edge))
		return;
	if (edge->connections.kernel_tls > 0)
		add_kernel(report, edge);
	else if (edge->tls == NPT_TLS_YES)
		add_unknown(report, edge, NOT_LOOKED_AT);
}

void npt_tls_calls_describe(const struct npt_tls_calls *calls, struct npt_report *report)
{
	report->tls_count = 0;
	report->tls_other = 0;
	for (size_t i = 0; i < calls->count; i++)
		calls->processes[i]->told = false;
	note_kernel_tls(calls, report);
	for (size_t i = 0; i < report->edges_count; i++) {
		const struct npt_edge *edge = &report->edges[i];
		struct npt_tls_process *process =
			npt_tls_calls_find(calls, edge->process.pid, edge->process.start_ns);

		if (process)
			describe(calls, process, edge, report);
		else
			describe_stranger(edge, report);
	}
}
