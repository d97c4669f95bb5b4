/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Options - the command line of npt-agent run, checked.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/core/error.h"

enum npt_run_target {
	NPT_RUN_PID,
	NPT_RUN_CONTAINER,
	NPT_RUN_CGROUP,
	NPT_RUN_NETNS,
	NPT_RUN_COMMAND,
};

enum npt_run_output { NPT_RUN_TABLE, NPT_RUN_JSON };

struct npt_run_options {
	enum npt_run_target target;
	uint32_t pid;
	const char *text; /* container id, control group or namespace path; borrowed from argv */
	char **command;   /* NULL-terminated; borrowed from argv */
	uint64_t duration_ms; /* 0: until interrupted, or until the command ends */
	uint64_t interval_ms;
	bool operations, protocol, tls; /* layers beside Base */
	bool no_trampolines;
	uint32_t budget_cpu_millicores; /* 0: none */
	uint32_t budget_memory_mib;     /* 0: none */
	enum npt_run_output output;
	const char *serve; /* a loopback ADDRESS:PORT that results are served at; NULL: not */
	const char *log_level;
	bool help;
};

/* argv[0] is "run". -EINVAL with the line for the user. */
int npt_run_options_parse(int argc, char **argv, struct npt_run_options *options_ret,
			  struct npt_error *err);
extern const char npt_run_help[];
