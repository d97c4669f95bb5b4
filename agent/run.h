/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Run - npt-agent run: a measurement on this machine without Kubernetes.
 */
#include "agent/options.h"
#include "lib/core/error.h"

enum npt_exit {
	NPT_EXIT_OK = 0,
	NPT_EXIT_FAILURE = 1,
	NPT_EXIT_USAGE = 2,
	NPT_EXIT_PERMISSION = 3,
	NPT_EXIT_KERNEL = 4,
	NPT_EXIT_TARGET_GONE = 5,
};

/* Measures and prints until done. 0 or -errno: -EPERM, -EOPNOTSUPP, -ESRCH as the exit codes. */
int npt_run(const struct npt_run_options *options, struct npt_error *err);
