/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Assignment - one task's work on this node: its pods, their recordings, its deadline.
 *
 * Starting -> running -> draining -> finished, or rejected. It stops by its own clock
 * (CLOCK_BOOTTIME), whatever the channel does. Owned by the service; its thread.
 */
#include "agent/measure.h"
#include "agent/names.h"
#include "agent/upload.h"
#include "agent/watch.h"
#include "lib/core/cleanup.h"
#include "lib/model/channel.h"

/* What an assignment works with; borrowed, outlives it. */
struct npt_assignment_tools {
	struct npt_measure *measure;
	struct npt_watch *watch;
	struct npt_names *names;
	struct npt_upload *upload; /* NULL: keep no history */
	const char *instance;
	const char *node;
};

struct npt_assigned;

struct npt_assigned *npt_assigned_new(const struct npt_assignment_tools *tools,
				      const struct npt_assignment *wanted);
void npt_assigned_free(struct npt_assigned *assigned);
NPT_DEFINE_AUTO(struct npt_assigned *, npt_assigned_free)

/* Sets those that this task asks for, while it measures; the others stay as they are. */
void npt_assigned_add_layers(const struct npt_assigned *assigned, bool layers[NPT_LAYER_COUNT]);
const char *npt_assigned_id(const struct npt_assigned *assigned);
/* Adds what this task may cost to the sums. */
void npt_assigned_add_budget(const struct npt_assigned *assigned, uint64_t *cpu_millicores,
			     uint64_t *memory_mib);
/* The same assignment, as the controller sees it now: targets come and go, the token is renewed. */
void npt_assigned_update(struct npt_assigned *assigned, const struct npt_assignment *wanted);
/* Takes over which pods are being measured: before each read, so that nothing of it is missed. */
void npt_assigned_follow(struct npt_assigned *assigned);
/* What was measured for a scope. */
void npt_assigned_tell(struct npt_assigned *assigned, uint32_t scope, uint32_t slot,
		       const struct npt_edge *delta);
/* After each read: cuts windows that are due, drains and finishes when its time is up. */
void npt_assigned_step(struct npt_assigned *assigned, uint64_t now_unix_ms);
/* Makes a window of what there is, though none is due: this process ends, the task goes on. */
void npt_assigned_cut(struct npt_assigned *assigned, uint64_t now_unix_ms);
/* For hello and summary; with_pods: the pods' numbers too. held is zeroed by the caller. */
void npt_assigned_describe(struct npt_assigned *assigned, bool with_pods,
			   struct npt_held_assignment *held);
