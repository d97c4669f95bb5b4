/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Measure - scopes on, scopes off, and once a second everything that is new.
 *
 * Loads the BPF object for the first scope and unloads it after the last. Owned by a local run or
 * by the agent's service; all calls from one thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/model/report.h"

struct npt_measure;

struct npt_measure_options {
	bool operations;
	bool protocol;            /* what is spoken, and what TLS shows of itself on the wire */
	bool tls;                 /* what TLS libraries are called with */
	bool no_trampolines;      /* do without fentry even where the kernel has it */
	uint64_t slice_period_ms; /* 0: the default; how often a slice for execution times begins */
};

struct npt_scope_options {
	int netns_fd;    /* kept until the scope ends; taken over on success */
	bool by_process; /* only members and their children */
	const uint32_t *members;
	size_t members_count;
	uint32_t edges_max; /* 0: as many as there are slots */
};

/* -EOPNOTSUPP, -EPERM: the text says what to do. Loads nothing yet. */
int npt_measure_new(struct npt_measure **measure_ret, const struct npt_measure_options *options,
		    struct npt_error *err);
void npt_measure_free(struct npt_measure *measure);
NPT_DEFINE_AUTO(struct npt_measure *, npt_measure_free)

/*
 * Measures from now on, older connections included. Several scopes may share a namespace if all are
 * by process. -EBUSY: this one and another that is there cannot.
 */
int npt_measure_add_scope(struct npt_measure *measure, const struct npt_scope_options *options,
			  uint32_t *scope_ret, struct npt_error *err);
/* Stops measuring; what was measured is told by one last read. */
void npt_measure_remove_scope(struct npt_measure *measure, uint32_t scope);
/* After that last read: nobody asks for this scope any more. */
void npt_measure_forget_scope(struct npt_measure *measure, uint32_t scope);
/*
 * A process that came later to a by-process scope and is no child of a member. 1: it is one from
 * now on, and what it has open already is found by the next read; 0: it has been one, or it ended.
 */
int npt_measure_add_member(struct npt_measure *measure, uint32_t scope, uint32_t pid,
			   struct npt_error *err);
/* Members that are alive, of a by-process scope. */
uint32_t npt_measure_members(struct npt_measure *measure, uint32_t scope);

/*
 * Calls tell with what is new for each edge since the last read; edges without news are told while
 * they have open connections.
 */
typedef void npt_measure_tell(void *context, uint32_t scope, uint32_t slot,
			      const struct npt_edge *delta);
int npt_measure_read(struct npt_measure *measure, npt_measure_tell *tell, void *context,
		     struct npt_error *err);
/*
 * Looks for sockets without an owner; once a window is enough. It walks all open files of the node,
 * so it is left out where nothing can be found: a minute after the last scope began a namespace's
 * sockets are all known, but for those that no process has touched yet.
 */
int npt_measure_find_sockets(struct npt_measure *measure, struct npt_error *err);

/*
 * What has its own time: slices for execution times, probes in a new process, to be set before it
 * writes. Call it when the descriptor (-1: none now) is readable and when the time
 * (CLOCK_MONOTONIC, 0: never) has come.
 */
void npt_measure_attend(struct npt_measure *measure);
int npt_measure_fd(const struct npt_measure *measure);
uint64_t npt_measure_due_ns(const struct npt_measure *measure);

/* What is asked for beside Base and Operations, by all tasks together. */
void npt_measure_set_layers(struct npt_measure *measure, bool protocol, bool tls);
/* From the next read on. 0: no limit. What was given up is in the reports' cost.degraded. */
void npt_measure_set_budget(struct npt_measure *measure, uint32_t cpu_millicores,
			    uint32_t memory_mib);
/* Fills lost, unavailable and cost of a window or report. */
void npt_measure_describe(struct npt_measure *measure, uint32_t scope, struct npt_report *report);
