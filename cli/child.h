/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Child - kubectl as a child process: started without a shell, read line by line, ended with us.
 *
 * A terminal's Ctrl-C does not reach it: what is to be done after that needs it still.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

struct npt_child {
	pid_t pid;  /* 0: none */
	int output; /* its standard output, -1: none */
	int errors; /* a file in memory with its standard error, -1: none */
};

#define NPT_CHILD_NONE                                                                             \
	{                                                                                          \
		.pid = 0, .output = -1, .errors = -1                                               \
	}

/* argv ends with NULL; argv[0] is looked for in PATH. */
int npt_child_start(const char *const *argv, struct npt_child *child_ret, struct npt_error *err);
/* The next line without its end. -EPIPE with the child's own words: it ended; -ETIMEDOUT. */
int npt_child_read_line(struct npt_child *child, uint64_t timeout_ms, char *line, size_t size_bytes,
			struct npt_error *err);
/* All that it prints until it ends, the caller's to free. -EIO with its words: it failed. */
int npt_child_finish(struct npt_child *child, size_t max_bytes, char **text_ret,
		     struct npt_error *err);
/* The last line that it wrote to its standard error; "" if none. */
void npt_child_last_error(const struct npt_child *child, char *line, size_t size_bytes);
void npt_child_stop(struct npt_child *child);
NPT_DEFINE_AUTO_DONE(struct npt_child, npt_child_stop)
