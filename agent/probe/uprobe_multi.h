/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Uprobe multi - BPF programs on instructions of other programs' files, by links of type
 * uprobe.multi (6.6+): BPF and PERFMON suffice, as no perf event is opened. The offsets are the
 * caller's (agent/tls/site.h).
 *
 * A link is a descriptor: what it has attached ends with its close(), or with the process.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/core/error.h"

/* What a program has to be loaded with, as expected_attach_type; older headers lack them. */
#define NPT_ATTACH_UPROBE_MULTI   48
#define NPT_ATTACH_UPROBE_SESSION 57

#define NPT_UPROBES_MAX 4096

/*
 * Attaches a program, loaded as BPF_PROG_TYPE_KPROBE for NPT_ATTACH_UPROBE_MULTI, to count offsets
 * in the file at path (offsets in the file, not addresses). cookies: one for each, what
 * bpf_get_attach_cookie() gives; or NULL. pid: that process and its threads only; 0: any, those
 * too that start later. is_return: when the function returns that begins there: only where
 * npt_site.returns says so, and never in Go, whose stacks move; elsewhere it crashes the process.
 *
 * Returns the link's descriptor. -EOPNOTSUPP: the kernel has no such links; -EPERM, -EACCES: rights
 * are missing; -ESRCH: no such process; -ENOENT, ...: of the file; -ENOTSUP (the same number as
 * -EOPNOTSUPP, by its text another thing): the kernel refuses an instruction there; -EINVAL and
 * others: an offset is not in the file. It is all or none.
 */
int npt_uprobe_multi_attach(int program_fd, const char *path, const uint64_t *offsets,
			    const uint64_t *cookies, size_t count, pid_t pid, bool is_return,
			    struct npt_error *err);
/*
 * The same for a program that was loaded for NPT_ATTACH_UPROBE_SESSION: it runs at the offset and,
 * if it has returned 0 there, when the function returns; bpf_session_is_return() tells which. The
 * same places as return probes only.
 */
int npt_uprobe_session_attach(int program_fd, const char *path, const uint64_t *offsets,
			      const uint64_t *cookies, size_t count, pid_t pid,
			      struct npt_error *err);

/* The kernel has uprobe.multi (6.6+), by trying; false also where rights are missing. */
bool npt_uprobe_multi_is_there(void);
/* It has uprobe.session (6.13+). */
bool npt_uprobe_session_is_there(void);
