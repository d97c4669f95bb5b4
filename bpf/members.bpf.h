/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Members - scopes that are a set of processes: children belong to their parent's scope.
 *
 * tp_btf/sched_process_fork and sched_process_exit fire once per process or thread; attached only
 * while such a scope exists.
 */
#include "bpf/state.bpf.h"

SEC("tp_btf/sched_process_fork")
int BPF_PROG(npt_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_pid = (__u32)parent->tgid, child_pid = (__u32)child->tgid;
	__u32 *scope = bpf_map_lookup_elem(&npt_members, &parent_pid);
	__u32 id;

	if (!scope || parent_pid == child_pid)
		return 0;
	id = *scope;
	if (bpf_map_update_elem(&npt_members, &child_pid, &id, BPF_ANY))
		npt_count_loss(NPT_LOSS_PROCESS);
	return 0;
}

/*
 * A process ends with its last thread, which need not be its first: that one ends before, too, when
 * another thread executes a program.
 */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(npt_exit, struct task_struct *task)
{
	__u32 pid = (__u32)task->tgid;

	if (task->signal->live.counter == 0)
		bpf_map_delete_elem(&npt_members, &pid);
	return 0;
}
