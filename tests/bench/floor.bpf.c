/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Floor - programs that do nothing, on the hooks that the agent uses
 * (agent/probe/probe_programs.c): what no tool on these hooks can go below. And the least that is
 * of any use: count_send and count_recv add bytes and calls up in socket storage. floor.c chooses
 * among them.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define EMPTY(name, hook)                                                                          \
	SEC(hook)                                                                                  \
	int name(void *ctx)                                                                        \
	{                                                                                          \
		return 0;                                                                          \
	}

/* Base. */
EMPTY(floor_state, "tp_btf/inet_sock_set_state")
EMPTY(floor_state_twin, "tp_btf/inet_sock_set_state")
EMPTY(floor_drop, "tp_btf/kfree_skb")
EMPTY(floor_send_reset, "tp_btf/tcp_send_reset")
EMPTY(floor_receive_reset, "tp_btf/tcp_receive_reset")
EMPTY(floor_retransmit, "tp_btf/tcp_retransmit_skb")
/* Operations. */
EMPTY(floor_send, "tp_btf/sock_send_length")
EMPTY(floor_recv, "tp_btf/sock_recv_length")
EMPTY(floor_space, "tp_btf/tcp_rcv_space_adjust")
EMPTY(floor_ready, "tp_btf/sk_data_ready")
/* The begin of calls: by one tracepoint, or by trampolines. */
EMPTY(floor_locked, "tp_btf/tcp_sendmsg_locked")
EMPTY(floor_begin_send, "fentry/inet_sendmsg")
EMPTY(floor_begin_send6, "fentry/inet6_sendmsg")
EMPTY(floor_begin_recv, "fentry/inet_recvmsg")
EMPTY(floor_begin_recv6, "fentry/inet6_recvmsg")
EMPTY(floor_accepted, "fexit/inet_accept")
EMPTY(floor_release, "fentry/inet_release")
EMPTY(floor_released, "fexit/inet_release")

struct floor_count {
	__u64 calls;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct floor_count);
} floor_counts SEC(".maps");

static __always_inline int count(unsigned long long *arguments)
{
	struct floor_count *count;

	count = bpf_sk_storage_get(&floor_counts, (void *)arguments[0], NULL,
				   BPF_SK_STORAGE_GET_F_CREATE);
	if (count && (int)arguments[1] > 0) {
		count->calls++;
		count->bytes += (int)arguments[1];
	}
	return 0;
}

SEC("tp_btf/sock_send_length")
int count_send(unsigned long long *arguments)
{
	return count(arguments);
}

SEC("tp_btf/sock_recv_length")
int count_recv(unsigned long long *arguments)
{
	return count(arguments);
}

#define HELPER(name, ...)                                                                          \
	SEC("tp_btf/sock_send_length")                                                             \
	int name(unsigned long long *arguments)                                                    \
	{                                                                                          \
		void *sk = (void *)arguments[0];                                                   \
                                                                                                   \
		(void)sk;                                                                          \
		sink = (__u64)(__VA_ARGS__);                                                       \
		return 0;                                                                          \
	}

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct floor_count);
} floor_tasks SEC(".maps");

__u64 sink;

HELPER(helper_none, sk)
HELPER(helper_storage, bpf_sk_storage_get(&floor_counts, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE))
HELPER(helper_no_storage, bpf_sk_storage_get(&floor_counts, sk, NULL, 0))
HELPER(helper_clock, bpf_ktime_get_ns())
HELPER(helper_pid, bpf_get_current_pid_tgid())
HELPER(helper_tcp, bpf_skc_to_tcp_sock(sk))
HELPER(helper_task, bpf_task_storage_get(&floor_tasks, bpf_get_current_task_btf(), NULL,
					 BPF_LOCAL_STORAGE_GET_F_CREATE))
HELPER(helper_atomic, __sync_fetch_and_add(&sink, 1))

char LICENSE[] SEC("license") = "Dual BSD/GPL";
