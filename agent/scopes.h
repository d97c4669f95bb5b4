/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Scopes - the table of what is measured: a network namespace, or some of its processes.
 *
 * An id is given again only after all others (they are 1023) had their turn, so that nothing of an
 * ended scope is taken for a new one. Namespaces are held open: their inode numbers are reused at
 * once when they end. Sockets in a namespace of by-process scopes are asked for their process's
 * scope, so any number of such scopes can share one.
 */
#include <stdbool.h>
#include <stdint.h>

#include "bpf/measure.h"
#include "lib/core/error.h"

struct npt_scope {
	uint32_t id; /* 0: free place */
	uint32_t netns_inode;
	int netns_fd; /* -1: none yet; owned */
	bool by_process;
	bool measuring;
};

/* All zero is an empty one. */
struct npt_scopes {
	struct npt_scope places[NPT_SCOPES_MAX]; /* by id */
	uint32_t last;                           /* the id that was given last; 0: none yet */
	uint32_t count;
};

/* NULL: there is none of this id. */
struct npt_scope *npt_scopes_find(struct npt_scopes *scopes, uint32_t id);
/* Whether one is being measured in this namespace. */
bool npt_scopes_has_namespace(const struct npt_scopes *scopes, uint32_t netns_inode);
/* Whether one that is being measured is a set of processes. */
bool npt_scopes_has_processes(const struct npt_scopes *scopes);
/* -EBUSY: this one and another that is being measured cannot share the namespace. -ENOSPC. */
int npt_scopes_take(struct npt_scopes *scopes, uint32_t netns_inode, bool by_process,
		    struct npt_scope **scope_ret, struct npt_error *err);
void npt_scopes_give_back(struct npt_scopes *scopes, struct npt_scope *scope);
