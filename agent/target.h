/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Target - what a local run measures, found and held: a network namespace and, unless all of it is
 * meant, a set of processes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/options.h"
#include "lib/core/error.h"

struct npt_target_set {
	int netns_fd;
	bool by_process;
	uint32_t *members;
	size_t members_count;
	pid_t command_pid; /* of -- COMMAND: stopped before its exec until released */
	int release_fd;
};

#define NPT_TARGET_SET_NONE                                                                        \
	{                                                                                          \
		.netns_fd = -1, .release_fd = -1                                                   \
	}

/* -ESRCH: there is no such target. */
int npt_target_find(const struct npt_run_options *options, struct npt_target_set *set_ret,
		    struct npt_error *err);
/* Lets the command run, once it is measured. -ESRCH, -EPERM: it cannot be run. */
int npt_target_release(struct npt_target_set *set, const char *command, struct npt_error *err);
void npt_target_done(struct npt_target_set *set);
