/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Slices - execution time of reads, accepts and closes where no trampoline is to be had.
 *
 * The start of a system call is seen only by tp_btf/sys_enter, which taxes every call of every
 * process on the node. So these two programs are attached in short slices; each call that starts in
 * a slice is timed to its end, so the sample is drawn by start and long calls are not lost. Times
 * are sampled, counts stay exact.
 *
 * A start is kept per thread. A read's is believed later only if the thread is still in the same
 * call (number and descriptor), since a slice may end while some other call runs; each receive on a
 * socket takes it. A close is timed only if it begins and ends in one slice. An accept that does is
 * a sample of how long connections waited in the accept queue.
 *
 * Where trampolines are to be had (trampolines.bpf.h), none of this is attached.
 */
#include "bpf/call.bpf.h"
#include "bpf/connection.bpf.h"

enum npt_call_kind {
	NPT_CALL_NONE = 0,
	NPT_CALL_READ = 1,
	NPT_CALL_ACCEPT = 2,
	NPT_CALL_CLOSE = 3,
};

struct npt_call {
	__u64 started_ns; /* 0: none */
	__u64 number;
	__u64 descriptor;
	__u32 kind;
	__u32 slice; /* accept and close must end in the slice in which they began */
	__u32 padding;
	__u32 closing_slot; /* the edge whose connection this close() ends */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct npt_call);
} npt_calls SEC(".maps");

/* Which system call is of which kind, by number; the agent fills it for its architecture. */
const volatile __u8 npt_call_kinds[512] = {};
const volatile __u32 npt_splice_number = 0;

/* A call has one start; while none is pending, no reader need look. */
static __always_inline void npt_call_begins(struct npt_call *call)
{
	if (!call->started_ns)
		__sync_fetch_and_add(&npt_calls_pending, 1);
	call->started_ns = bpf_ktime_get_ns();
}

static __always_inline __u64 npt_call_ends(struct npt_call *call)
{
	__u64 started_ns = call->started_ns;

	call->started_ns = 0;
	__sync_fetch_and_sub(&npt_calls_pending, 1);
	return started_ns;
}

/* Takes the start of the call that the current thread is in: its duration, or 0. */
static __always_inline __u64 npt_call_take(__u32 kind)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct npt_call *call = bpf_task_storage_get(&npt_calls, task, NULL, 0);
	__u64 started;

	if (!call || !call->started_ns)
		return 0;
	started = npt_call_ends(call);
	if (call->kind != kind || call->number != npt_call_number(task) ||
	    call->descriptor != npt_call_argument(task, 0))
		return 0;
	return bpf_ktime_get_ns() - started;
}

static __always_inline void npt_slice_closing(const struct npt_conn *conn)
{
	struct npt_call *call;

	if (!npt_slice_on)
		return;
	call = bpf_task_storage_get(&npt_calls, bpf_get_current_task_btf(), NULL, 0);
	if (call && call->started_ns && call->kind == NPT_CALL_CLOSE)
		call->closing_slot = conn->slot;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(npt_sys_enter, struct pt_regs *regs, long number)
{
	struct task_struct *task;
	struct npt_call *call;
	__u32 kind, pid;

	if (number < 0 || number >= 512)
		return 0;
	kind = npt_call_kinds[number];
	if (kind == NPT_CALL_NONE)
		return 0;
	pid = (__u32)(bpf_get_current_pid_tgid() >> 32);
	if (!bpf_map_lookup_elem(&npt_timed_pids, &pid))
		return 0;
	task = bpf_get_current_task_btf();
	call = bpf_task_storage_get(&npt_calls, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call) {
		npt_count_loss(NPT_LOSS_TASK);
		return 0;
	}
	call->number = (__u64)number;
	call->descriptor = npt_call_argument(task, 0);
	call->kind = kind;
	call->closing_slot = NPT_SLOT_NONE;
	call->slice = npt_slice_number;
	npt_call_begins(call);
	return 0;
}

/* The socket behind a descriptor that accept() just returned, by plain reads. */
static __always_inline struct sock *npt_accepted(struct task_struct *task, long fd)
{
	struct file **files = BPF_CORE_READ(task, files, fdt, fd);
	struct file *file = NULL;
	struct socket *socket;

	if (bpf_probe_read_kernel(&file, sizeof(file), files + fd) || !file)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

/* What a copy of an entry holds: all but what it says, so that it fits on the stack. */
#define NPT_CONN_COPIED __builtin_offsetof(struct npt_conn, dialog)

/*
 * A copy of the socket's entry, by plain reads: the way to it that helpers know asks for a pointer
 * that the verifier trusts, and a descriptor gives none.
 */
static __always_inline bool npt_conn_copy(struct sock *sk, void *copy)
{
	struct bpf_local_storage *storage = BPF_CORE_READ(sk, sk_bpf_storage);
	struct hlist_node *node = BPF_CORE_READ(storage, list.first);
	struct bpf_local_storage_elem *elem;

	for (int i = 0; i < 16 && node; i++) {
		elem = (void *)node - bpf_core_field_offset(struct bpf_local_storage_elem, snode);
		if (BPF_CORE_READ(elem, sdata.smap, map.id) == npt_conns_map_id)
			return !bpf_probe_read_kernel(
				copy, NPT_CONN_COPIED,
				(void *)elem + bpf_core_field_offset(elem->sdata.data));
		node = BPF_CORE_READ(node, next);
	}
	return false;
}

/* How long a connection that a process takes now has waited for that. */
static __always_inline void npt_accept_waited(struct npt_conn *conn, struct npt_bpf_slot *slot)
{
	if (slot && (conn->flags & NPT_CONN_ESTABLISHED) && !(conn->flags & NPT_CONN_OLDER))
		npt_metric_time(&slot->metrics[NPT_BPF_OPEN],
				bpf_ktime_get_ns() - conn->established_ns);
}

/* It may have no edge yet: that of its owner is looked up, and made, all the same. */
static __noinline int npt_accept_done(struct task_struct *task, long fd)
{
	struct npt_bpf_process_key owner = {};
	struct npt_bpf_edge_key key = {};
	__u64 copy[NPT_CONN_COPIED / sizeof(__u64)];
	struct npt_conn *conn = (struct npt_conn *)copy;

	if (!task || !npt_conn_copy(npt_accepted(task, fd), copy) || conn->role != NPT_BPF_SERVER)
		return 0;
	if (conn->slot == NPT_SLOT_NONE) {
		npt_process_current(&owner, conn->scope);
		npt_conn_key(conn, &owner, npt_conn_client(conn), &key);
		conn->slot = npt_edge_slot_quietly(&key);
	}
	if (conn->slot != NPT_SLOT_OTHER)
		npt_accept_waited(conn, npt_slot(conn->slot));
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(npt_sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct npt_call *call = bpf_task_storage_get(&npt_calls, task, NULL, 0);
	struct npt_bpf_slot *slot;
	__u64 ns;

	if (!call || !call->started_ns)
		return 0;
	ns = bpf_ktime_get_ns() - npt_call_ends(call);
	if (call->slice != npt_slice_number)
		return 0;
	if (call->kind == NPT_CALL_ACCEPT && result >= 0) {
		npt_accept_done(task, result);
	} else if (call->kind == NPT_CALL_CLOSE && call->closing_slot != NPT_SLOT_NONE) {
		slot = npt_slot(call->closing_slot);
		if (slot)
			npt_metric_time(&slot->metrics[NPT_BPF_CLOSE], ns);
	}
	return 0;
}
