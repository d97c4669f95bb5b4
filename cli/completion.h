/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Completion - what may come next on a command line, in the form that kubectl's own completion
 * understands: a word a line, a description behind a tab, at the end ":DIRECTIVE".
 */
#include "cli/options.h"
#include "lib/core/buffer.h"

#define NPT_COMPLETE_COMMAND "__complete"

/* words: those behind kubectl npt, the last one is to be completed (it may be empty). */
int npt_completion_complete(int count, char **words);
/* The same but for names that the cluster has; true: a task's name is wanted. For tests. */
bool npt_completion_append(struct npt_buffer *out, int count, char *const *words);
/* NULL: no such shell. */
const char *npt_completion_script(const char *shell);
