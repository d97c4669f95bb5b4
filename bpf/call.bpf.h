/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Call - the system call that the current thread is in, by its saved registers.
 *
 * bpf_task_pt_regs() (5.15+) gives a pointer that the verifier trusts: plain loads, no helper. Only
 * for threads that are in a system call; in a worker of io_uring the number is none of those that
 * are asked for.
 */
#include "bpf/state.bpf.h"

static __always_inline __u64 npt_call_number(struct task_struct *task)
{
#if defined(__TARGET_ARCH_arm64)
	return (__u64)((struct pt_regs___call *)bpf_task_pt_regs(task))->syscallno;
#else
	return ((struct pt_regs *)bpf_task_pt_regs(task))->orig_ax;
#endif
}

/* Arguments 0, 1, 2 and 4 are asked for; argument must be a constant. */
static __always_inline __u64 npt_call_argument(struct task_struct *task, __u32 argument)
{
#if defined(__TARGET_ARCH_arm64)
	struct pt_regs___call *regs = (struct pt_regs___call *)bpf_task_pt_regs(task);

	return argument == 0 ? regs->orig_x0 : regs->regs[argument];
#else
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	return argument == 0   ? regs->di
	       : argument == 1 ? regs->si
	       : argument == 2 ? regs->dx
			       : regs->r8;
#endif
}
