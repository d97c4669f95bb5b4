/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Task run - what the controller knows of one task: its spec, its targets, what agents said of
 * them, and the status that follows. Owned by the controller; its thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/kube/pod.h"
#include "lib/model/task.h"

/* One pod that is or was a target. */
struct npt_target_row {
	struct npt_pod pod;
	bool present; /* matches now */
	bool heard;   /* an agent has spoken of it */
	enum npt_assignment_state assignment;
	char instance[NPT_UID_BYTES];    /* of the agent that said it */
	struct npt_pod_summary summary;  /* the last one, with those of earlier agents added */
	struct npt_pod_summary *earlier; /* what agents said that are gone; NULL: none */
	uint32_t restarts;
};

struct npt_task_run {
	struct npt_task task;
	struct npt_task_status status;
	struct npt_target_row **rows;
	size_t rows_count;
	bool pods_synced;
	char pods_trouble[NPT_TEXT_BYTES]; /* why the pods are not known yet; "": no trouble */
	bool dirty;
	bool start_written;     /* status.startTime is in the API server: agents may begin */
	uint64_t skipped;       /* pods beyond maxTargets */
	uint64_t seen_ns;       /* CLOCK_BOOTTIME when it was first seen by this process */
	uint64_t next_write_ns; /* not before */
	bool write_pending;
	bool start_pending; /* the write that is on its way has startTime in it */
	char *written;      /* the status as it was written last */
};

struct npt_task_run *npt_task_run_new(const struct npt_task *task);
void npt_task_run_free(struct npt_task_run *run);
NPT_DEFINE_AUTO(struct npt_task_run *, npt_task_run_free)

/* Takes task.selector over. */
void npt_task_run_update(struct npt_task_run *run, const struct npt_task *task);
/* A pod that matches, or not any more. */
void npt_task_run_pod(struct npt_task_run *run, const struct npt_pod *pod);
void npt_task_run_pod_gone(struct npt_task_run *run, const char *uid);
/* All pods that match were told. */
void npt_task_run_pods_synced(struct npt_task_run *run);
/* They could not be told; it is tried again. */
void npt_task_run_pods_trouble(struct npt_task_run *run, const char *text);
/*
 * What the agent of a node said; what is not on that node is left out. Another instance than last
 * time is an agent that restarted: its numbers begin at 0 and are added to those before.
 */
void npt_task_run_hear(struct npt_task_run *run, const char *node, const char *instance,
		       const struct npt_held_assignment *held);

/* Whether an agent of that node is connected. */
typedef bool npt_is_connected(const void *context, const char *node);
/* Brings the status up to date; pure but for the times that are given. */
void npt_task_run_reconcile(struct npt_task_run *run, uint64_t now_unix_ms, uint64_t now_ns,
			    npt_is_connected *is_connected, const void *context);
/* Whether this node is to measure something for it now. */
bool npt_task_run_wants(const struct npt_task_run *run, const char *node);
/* It is running, but which pods it means is not known yet. */
bool npt_task_run_is_undecided(const struct npt_task_run *run);
/* The assignment of a node; targets point into fresh memory that the message owns. */
void npt_task_run_assign(const struct npt_task_run *run, const char *node, uint64_t now_unix_ms,
			 struct npt_assignment *assignment);
