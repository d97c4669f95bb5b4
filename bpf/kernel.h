/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * The kernel, as far as we depend on it: each type and field that a program reads, no more. CO-RE
 * finds them by name in the running kernel's BTF, so order and gaps do not matter.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

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

typedef struct {
	int counter;
} atomic_t;

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	int sk_err;
	int sk_err_soft;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	atomic_t sk_drops;
	__u8 sk_userlocks : 4;
	__s64 sk_stamp;
	struct bpf_local_storage *sk_bpf_storage;
};

struct request_sock_queue {
	atomic_t qlen;
};

struct tcp_ulp_ops {
	char name[16];
};

struct inet_connection_sock {
	struct request_sock_queue icsk_accept_queue;
	const struct tcp_ulp_ops *icsk_ulp_ops;
	void *icsk_ulp_data;
	__u8 icsk_ca_state : 5;
};

/* Of the ULP "tls": 0 as long as a direction has no key. */
struct tls_context {
	__u8 tx_conf : 3;
	__u8 rx_conf : 3;
};

struct minmax_sample {
	__u32 t;
	__u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_sock {
	__u32 data_segs_out;
	__u32 data_segs_in;
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 write_seq;
	__u32 snd_nxt;
	__u32 snd_una;
	__u32 srtt_us;
	__u64 bytes_received;
	__u64 bytes_acked;
	__u64 bytes_retrans;
	__u32 total_retrans;
	__u32 dsack_dups;
	struct minmax rtt_min;
	__u32 chrono_start; /* jiffies */
	__u32 chrono_stat[3];
	__u8 chrono_type : 2; /* enum tcp_chrono: 1 is the first of chrono_stat */
} __attribute__((preserve_access_index));

struct net_device {
	possible_net_t nd_net;
};

struct sk_buff {
	struct sock *sk;
	char cb[48];
	unsigned int len;
	struct net_device *dev;
	unsigned char *head;
	__u16 network_header;
	__be16 protocol;
};

struct socket {
	struct sock *sk;
};

/* What TCP keeps of a segment in sk_buff.cb (include/net/tcp.h). */
struct tcp_skb_cb {
	__u32 seq;
};

enum iter_type {
	ITER_UBUF, /* 6.0+ */
	ITER_IOVEC,
};

struct iov_iter {
	__u8 iter_type;
	unsigned long iov_offset;
	const void *__iov; /* struct iovec, of the program's in memory of the kernel's */
	const void *ubuf;
	unsigned long count;
	unsigned long nr_segs;
};

struct iov_iter___before_6_4 {
	const void *iov;
};

struct msghdr {
	struct iov_iter msg_iter;
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

struct signal_struct {
	atomic_t live; /* threads that have not ended */
};

struct nsproxy {
	struct net *net_ns;
};

struct task_struct {
	int pid;
	int tgid;
	__u64 start_boottime;
	char comm[16];
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct files_struct *files;
	struct signal_struct *signal;
	struct nsproxy *nsproxy;
};

/* Registers at a system call: its number and some arguments (x86-64 | arm64). */
struct pt_regs {
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long r8;
	unsigned long orig_ax;
};

struct pt_regs___call {
	__u64 regs[31];
	__u64 orig_x0;
	int syscallno;
};

/* How the kernel keeps our entries with a socket (linux/bpf_local_storage.h). */
struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct bpf_map {
	__u32 id;
};

struct bpf_local_storage_map {
	struct bpf_map map;
};

struct bpf_local_storage_data {
	struct bpf_local_storage_map *smap;
	__u8 data[];
};

struct bpf_local_storage_elem {
	struct hlist_node snode;
	struct bpf_local_storage_data sdata;
};

struct bpf_local_storage {
	struct hlist_head list;
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

#define SOCK_DONE       1 /* bit of skc_flags: the peer's FIN is in (tcp_fin()) */
#define AF_INET         2
#define AF_INET6        10
#define IPPROTO_UDP     17
#define IPPROTO_MPTCP   262
#define IPPROTO_TCP     6
#define MSG_PEEK        2
#define MSG_ERRQUEUE    0x2000
#define TCP_CA_RECOVERY 3 /* enum tcp_ca_state: from here on it knows of a loss */
#define ECONNREFUSED    111
#define ECONNRESET      104
#define EPIPE           32
#define ECANCELED       125
