/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Process - who owns a socket, with its names taken in the kernel: a process that lives for a few
 * milliseconds is gone before anybody could look into /proc.
 */
#include "bpf/state.bpf.h"

static __always_inline void npt_process_key(struct npt_bpf_process_key *key,
					    struct task_struct *task, __u32 scope)
{
	key->pid = (__u32)task->tgid;
	key->start_ns = task->group_leader->start_boottime;
	key->scope = scope;
}

/* Its TLS libraries are to be looked at. */
static __noinline int npt_tls_process_tell(struct task_struct *task, __u32 scope, bool again,
					   bool executes)
{
	struct npt_bpf_tls_process *event;
	struct npt_tls_told now = { .last_ns = bpf_ktime_get_ns(), .times = 1, .scope = scope },
			    *told;
	__u32 pid;

	if (!task)
		return 0;
	pid = (__u32)task->tgid;
	told = bpf_map_lookup_elem(&npt_tls_told, &pid);
	if (told) {
		if (again && told->times >= NPT_TLS_PROCESS_FREELY &&
		    now.last_ns - told->last_ns < NPT_TLS_PROCESS_AGAIN_NS)
			return 0;
		now.times += told->times;
	}
	bpf_map_update_elem(&npt_tls_told, &pid, &now, BPF_ANY);
	event = bpf_ringbuf_reserve(&npt_tls_processes, sizeof(*event), 0);
	if (!event) {
		npt_count_loss(NPT_LOSS_TLS_PROCESS);
		return 0;
	}
	event->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	event->pid = pid;
	event->scope = scope;
	event->executes = executes;
	event->padding = 0;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* Names of a process that is seen for the first time; cgroup_id is 0 if it is not the current. */
static __noinline int npt_process_remember(const struct npt_bpf_process_key *key,
					   struct task_struct *task, __u64 cgroup_id)
{
	struct npt_bpf_process process = {};
	const unsigned char *name;

	if (!key || !task)
		return 0;
	if (bpf_map_lookup_elem(&npt_processes, key))
		return 0;
	process.cgroup_id = cgroup_id;
	BPF_CORE_READ_STR_INTO(&process.comm, task, group_leader, comm);
	name = BPF_CORE_READ(task, group_leader, mm, exe_file, f_path.dentry, d_name.name);
	if (name)
		bpf_probe_read_kernel_str(process.name, sizeof(process.name), name);
	if (bpf_map_update_elem(&npt_processes, key, &process, BPF_NOEXIST) &&
	    !bpf_map_lookup_elem(&npt_processes, key))
		npt_count_loss(NPT_LOSS_PROCESS);
	if (npt_layer_tls)
		npt_tls_process_tell(task, key->scope, false, false);
	return 0;
}

/* Its system calls are worth timing (slices.bpf.h). */
static __always_inline void npt_time_process(__u32 pid)
{
	__u32 yes = 1;

	if (!bpf_map_lookup_elem(&npt_timed_pids, &pid))
		bpf_map_update_elem(&npt_timed_pids, &pid, &yes, BPF_ANY);
}

static __always_inline bool npt_is_kernel_thread(void)
{
	return !bpf_get_current_task_btf()->mm;
}

/* The current process as an owner, remembered. */
static __always_inline void npt_process_current(struct npt_bpf_process_key *key, __u32 scope)
{
	struct task_struct *task = bpf_get_current_task_btf();

	npt_process_key(key, task, scope);
	npt_process_remember(key, task, bpf_get_current_cgroup_id());
	npt_time_process(key->pid);
}

/* The id of the scope, or of the process's own if the scope is a set of processes; 0: none. */
static __always_inline __u32 npt_owner_scope(const struct npt_bpf_scope *scope, __u32 pid)
{
	__u32 *member;

	if (!scope->by_process)
		return scope->id;
	member = bpf_map_lookup_elem(&npt_members, &pid);
	return member ? *member : 0;
}

/* The scope of a socket that is being made by the current process; 0 if there is none. */
static __always_inline __u32 npt_scope_of(struct sock *sk, __u32 pid)
{
	__u32 netns = sk->__sk_common.skc_net.net->ns.inum;
	struct npt_bpf_scope *scope = bpf_map_lookup_elem(&npt_scopes, &netns);

	return scope ? npt_owner_scope(scope, pid) : 0;
}
