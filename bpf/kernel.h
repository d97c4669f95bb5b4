/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * The kernel, as far as we depend on it: each type and field that a program reads, no more. CO-RE
 * finds them by name in the running kernel's BTF, so order and gaps do not matter.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#if defined(__TARGET_ARCH_arm64)
/* libbpf has a struct of this name for arm64, without the number of the call: ours from here on. */
#include <bpf/bpf_tracing.h>
#define pt_regs___arm64 pt_regs___call
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	int sk_err;
};

struct tcp_sock {
	__u32 data_segs_out;
	__u32 data_segs_in;
	__u32 write_seq;
	__u32 snd_nxt;
	__u32 snd_una;
	__u32 srtt_us;
	__u64 bytes_received;
	__u64 bytes_acked;
	__u64 bytes_retrans;
	__u32 total_retrans;
	__u32 dsack_dups;
} __attribute__((preserve_access_index));

struct sk_buff {
	struct sock *sk;
};

struct socket {
	struct sock *sk;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	void *private_data;
};

struct fdtable {
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	struct file *exe_file;
};

struct task_struct {
	int pid;
	int tgid;
	__u64 start_boottime;
	char comm[16];
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct files_struct *files;
};

/* Registers at a system call: its number and its first argument (x86-64 | arm64). */
struct pt_regs {
	unsigned long di;
	unsigned long orig_ax;
};

struct pt_regs___call {
	__u64 orig_x0;
	int syscallno;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop

/* include/net/tcp_states.h, include/net/sock.h, include/linux/socket.h: fixed for ever in practice.
 */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
	TCP_CLOSING = 11,
};

#define SOCK_DONE   1 /* bit of skc_flags: the peer's FIN is in (tcp_fin()) */
#define AF_INET     2
#define AF_INET6    10
#define IPPROTO_TCP 6
#define MSG_PEEK    2
