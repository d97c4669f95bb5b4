/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Follow - waits for the end of a task and says meanwhile how far it is: a bar that is drawn anew
 * on a terminal, a line for each change elsewhere; on the standard error.
 */
#include "cli/cluster.h"
#include "lib/core/buffer.h"

struct npt_follow_options {
	const char *namespace_name, *name;
	bool quiet;           /* only what is wrong is said */
	bool cancel_if_asked; /* Ctrl-C ends the task and waits for it; else it ends the waiting */
	/* Called with each state of the task that differs from the one before; may be NULL. */
	void (*on_change)(void *context, const json_t *task);
	void *context;
};

/*
 * 0: finished, *task_ret is its last state, the caller's. -ECANCELED: Ctrl-C, and the task is not
 * finished. -ETIMEDOUT: no controller takes it. -ENOENT: it was deleted.
 */
int npt_follow(struct npt_cluster *cluster, const struct npt_follow_options *options,
	       json_t **task_ret, struct npt_error *err);

/* "Running, 12 of 60 s, 2 of 3 pods, 14 edges: FINDING"; into out. For tests. */
void npt_follow_append_line(struct npt_buffer *out, const json_t *task, uint64_t now_unix_ms);
/* "[#####     ]": permille of width - 2 places. */
void npt_follow_append_bar(struct npt_buffer *out, uint64_t permille, size_t width);
