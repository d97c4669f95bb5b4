/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * History - what the aggregator says of what it has: tasks, and the streams of windows of which
 * each consists. Plain values, and their JSON (docs/api.md).
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/model/report.h"

struct npt_stored_task {
	uint64_t id; /* of the store, in order of arrival; not shown */
	char uid[NPT_UID_BYTES];
	char namespace_name[NPT_NAME_BYTES];
	char name[NPT_NAME_BYTES];
	uint64_t start_unix_ms; /* of its first window */
	uint64_t end_unix_ms;   /* of its last one */
	uint64_t windows;
	uint64_t pods;
};

/* What one agent process said about one pod in one task. */
struct npt_stored_stream {
	uint64_t id;
	char pod_uid[NPT_UID_BYTES];
	char pod_namespace[NPT_NAME_BYTES];
	char pod_name[NPT_NAME_BYTES];
	char node[NPT_NAME_BYTES];
	char instance[NPT_UID_BYTES];
	uint64_t windows;
	uint64_t first_sequence;
	uint64_t last_sequence; /* nothing is missing if windows = last - first + 1 and first = 1 */
};

/* {"kind": "TaskList", "tasks": [...], "next": "..."}; next "" is left out. The caller's to free.
 */
char *npt_stored_tasks_to_json(const struct npt_stored_task *tasks, size_t count, const char *next);
/* An array of the streams by pod, for the "pods" of a Report. The caller's to free. */
char *npt_stored_streams_to_json(const struct npt_stored_stream *streams, size_t count);
/*
 * The Report of a task: the two parts of npt_report_json_frame(), the edges' text between them
 * (NULL: none), and "pods" at its end.
 */
char *npt_task_report_json_text(const char *before, const char *edges, const char *after,
				const char *pods);
/* {"kind": "WindowList", "windows": [...], "next": "..."} around the windows' text. */
char *npt_window_list_json_text(const char *windows, const char *next);
/* What a post of a window is answered. */
char *npt_stored_window_to_json(uint64_t sequence, int added);
/* RFC 9457. The caller's to free. */
char *npt_problem_to_json(unsigned int status, const char *title, const char *detail);
/*
 * {"kind": "FindingList", ...} of what is wrong, worst first: add() for each pod, whose findings
 * are set, then to_json(). "counts" is of all edges, by verdict.
 */
struct npt_finding_list;
struct npt_finding_list *npt_finding_list_new(void);
void npt_finding_list_free(struct npt_finding_list *list);
NPT_DEFINE_AUTO(struct npt_finding_list *, npt_finding_list_free)
void npt_finding_list_add_pod(struct npt_finding_list *list, const struct npt_report *pod);
char *npt_finding_list_to_json(struct npt_finding_list *list, const struct npt_report *head);
