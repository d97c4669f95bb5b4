/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Measure - the memory that kernel and agent share: edges, their slots, processes, settings.
 *
 * Fixed widths, explicit padding. Times are nanoseconds of CLOCK_MONOTONIC, starts of processes
 * CLOCK_BOOTTIME. Addresses are 16 bytes, IPv4 mapped (::ffff:a.b.c.d); ports in host order.
 */
#include <linux/types.h>

#include "bpf/histogram.h"
#include "bpf/protocol.h"

#define NPT_SLOT_NONE  0 /* a connection without an owner yet */
#define NPT_SLOT_OTHER 1 /* where edges go that got no slot of their own */
#define NPT_SLOT_FIRST 2
#define NPT_SLOTS_MAX  4096

#define NPT_SCOPES_MAX      1024
#define NPT_SLOT_FAILED_MAX 8
#define NPT_SLOT_DROPS_MAX  8
#define NPT_SLOT_RESETS_MAX 4
#define NPT_PROCESS_NAME    64

enum npt_bpf_role {
	NPT_BPF_UNKNOWN = 0,
	NPT_BPF_CLIENT = 1,
	NPT_BPF_SERVER = 2,
	NPT_BPF_LISTENER = 3,
};

enum npt_bpf_transport {
	NPT_BPF_TCP = 0,
	NPT_BPF_UDP = 1,
};

enum npt_bpf_metric {
	NPT_BPF_WRITE = 0,
	NPT_BPF_READ = 1,
	NPT_BPF_RTT = 2,
	NPT_BPF_OPEN = 3, /* connect of a client, accept of a server */
	NPT_BPF_CLOSE = 4,
	NPT_BPF_RESPONSE = 5,
	NPT_BPF_UNREAD = 6,
	NPT_BPF_METRICS = 7,
};

/* What a sender waited for, in the order of the kernel's enum tcp_chrono, less one. */
enum npt_bpf_limited {
	NPT_BPF_BUSY = 0,
	NPT_BPF_RECEIVE_WINDOW = 1,
	NPT_BPF_SEND_BUFFER = 2,
	NPT_BPF_LIMITED = 3,
};

/* A process for good: a pid comes again, its start does not. */
struct npt_bpf_process_key {
	__u64 start_ns;
	__u32 pid;
	__u32 scope;
};

struct npt_bpf_process {
	char comm[16];
	char name[NPT_PROCESS_NAME]; /* basename of the executable, "" for a kernel thread */
	__u64 cgroup_id;
};

/* How a socket's entry begins: what user space may set (agent/probe/calibration.c). */
struct npt_bpf_conn_head {
	__u32 slot;
	__u32 scope;
	__u32 flags;
	__u32 role;
};

struct npt_bpf_edge_key {
	struct npt_bpf_process_key process;
	__u8 peer_address[16]; /* zero if the peer is a process of the same scope (server side) */
	__u64 peer_start_ns;   /* of that process, else 0 */
	__u32 peer_pid;
	__u16 peer_port;    /* the service's port, on both roles */
	__u8 role : 4;      /* enum npt_bpf_role */
	__u8 transport : 4; /* enum npt_bpf_transport */
	__u8 label; /* 0: the first of this port; else NPT_EDGE_LABEL() of a further protocol */
};
#define NPT_EDGE_LABEL(protocol, tls) ((protocol) | (tls) << 6)
_Static_assert(NPT_PROTOCOL_COUNT <= 64, "room for it in an edge's label");
_Static_assert(sizeof(struct npt_bpf_edge_key) == 48, "no hidden padding in a map key");

struct npt_bpf_metric_slot {
	__u64 count;
	__u64 sum_ns;
	__u32 max_micros; /* user space takes it by exchange with 0 */
	__u32 buckets[NPT_HISTOGRAM_BUCKETS];
};

/* Named by number: errno or skb drop reason; 0 is a free place. */
struct npt_bpf_code_count {
	__u32 code;
	__u32 count;
};

struct npt_bpf_slot {
	struct npt_bpf_edge_key key;
	__u64 opened; /* ESTABLISHED while in scope */
	__u64 found;  /* older than the task */
	__u64 closed;
	__u64 sent_bytes;
	__u64 sent_segments;
	__u64 received_bytes;
	__u64 received_segments;
	__u64 retransmit_segments;
	__u64 retransmit_bytes;
	__u64 retransmit_syn;
	__u64 tail_loss;
	__u64 spurious;
	__u64 drops_unspecified;
	__u64 written_bytes; /* by operations; sent_bytes is what TCP moved */
	__u64 read_bytes;
	__u64 overlapped;       /* turns without a response time: messages crossed */
	__u64 lifetime_jiffies; /* of its connections, as far as measured */
	__u64 limited_jiffies[NPT_BPF_LIMITED]; /* parts of it */
	struct npt_bpf_code_count failed[NPT_SLOT_FAILED_MAX];
	struct npt_bpf_code_count drops[NPT_SLOT_DROPS_MAX];
	struct npt_bpf_code_count resets_sent[NPT_SLOT_RESETS_MAX];
	struct npt_bpf_code_count resets_received[NPT_SLOT_RESETS_MAX];
	__u64 failed_other;
	__u64 drops_other;
	__u64 resets_other;
	/*
	 * The other end of a pair. Client: the process that it reached, and where. Server: the
	 * address and port that its client asked for. The process is 0 if it is of another scope.
	 */
	__u64 pair_start_ns;
	__u32 pair_pid;
	__u16 pair_port;
	__u16 ever_used; /* not 0 once the slot had an edge: the agent reads no further than that */
	__u8 pair_address[16];
	struct npt_bpf_metric_slot metrics[NPT_BPF_METRICS];
};
_Static_assert(sizeof(struct npt_bpf_slot) <= 4096, "DESIGN 3.2: a slot is at most 4 KiB");

/* Gauges of an edge, added up anew by each walk over its connections, or of its listener. */
struct npt_bpf_queue {
	__u64 unread_bytes;
	__u64 unsent_bytes;
	__u32 accept_backlog;
	__u32 accept_backlog_max;
	__u32 syn_backlog;
	__u32 min_rtt_micros; /* 0: unknown */
	__u64 listen_drops;   /* a counter */
};

enum npt_bpf_tls {
	NPT_BPF_TLS_UNKNOWN = 0,
	NPT_BPF_TLS_NO = 1,
	NPT_BPF_TLS_YES = 2,
};

/*
 * What an edge's connections speak, as one number that changes at once: protocol | tls << 8 |
 * confidence in per cent << 16 | NPT_LABEL_FINAL | NPT_LABEL_READ. 0: nothing is known yet.
 */
#define NPT_LABEL(protocol, tls, confidence)                                                       \
	((__u32)(protocol) | (__u32)(tls) << 8 | (__u32)(confidence) << 16)
#define NPT_LABEL_FINAL             (1U << 24)
#define NPT_LABEL_READ              (1U << 25) /* in plaintext, within TLS */
#define NPT_LABEL_PROTOCOL(label)   ((label)&0xff)
#define NPT_LABEL_TLS(label)        ((label) >> 8 & 0xff)
#define NPT_LABEL_CONFIDENCE(label) ((label) >> 16 & 0xff)

/* By slot, beside it: what is spoken, and the calls of TLS libraries. */
struct npt_bpf_speech {
	__u32 label;
	__u32 generation; /* of the slot: who kept its number sees that it is another edge's */
	__u64 moved_in;   /* connections that came from, or went to, another label's edge */
	__u64 moved_out;
	__u64 kernel_tls; /* connections whose TLS is the kernel's (kernel_tls.bpf.h) */
	__u64 tls_writes;
	__u64 tls_written_bytes;
	__u64 tls_reads;
	__u64 tls_read_bytes;
};

/* By network namespace (inode number; the agent holds the namespace open, so it is not reused). */
struct npt_bpf_scope {
	__u32 id;         /* 1 .. NPT_SCOPES_MAX - 1; 0 if by_process */
	__u32 by_process; /* only processes in the members map, each of which says its scope */
};

struct npt_bpf_scope_state {
	__u32 edges_max;
	__u32 edges;
	__u64 other_connections; /* that went to NPT_SLOT_OTHER */
};

/* Failed operations in the kernel: each is a number, never silence. */
enum npt_bpf_loss {
	NPT_LOSS_STORAGE = 0,     /* no socket storage: the connection is not measured */
	NPT_LOSS_EDGE = 1,        /* no slot or no map entry: counted in "other" */
	NPT_LOSS_PROCESS = 2,     /* a process without its names */
	NPT_LOSS_TASK = 3,        /* no task storage: an operation without its time */
	NPT_LOSS_HANDSHAKE = 4,   /* no room for a record of a TLS handshake */
	NPT_LOSS_TLS_CALL = 5,    /* calls of TLS libraries whose result made no sense */
	NPT_LOSS_TLS_PROCESS = 6, /* no room to tell that a process is to be looked at */
	NPT_LOSS_COUNT = 7,
};

/* What a walk of the socket storage map does. */
enum npt_bpf_walk {
	NPT_WALK_FLUSH = 0,  /* fold each connection's totals into its edge */
	NPT_WALK_DELETE = 1, /* the same, then forget the sockets of one scope */
};

/* What a walk of all open files looks for: at the start one after the other, later all at once. */
enum npt_bpf_find {
	NPT_FIND_LISTENERS = 0,
	NPT_FIND_CLIENTS = 1,
	NPT_FIND_SERVERS = 2,
	NPT_FIND_ALL = 3,
};

/*
 * A record of a TLS handshake (RFC 8446 5.1, RFC 5246 6.2), as it was sent or received. Until the
 * handshake is over each record of the connection is told, in the order of its direction; a long
 * one in several pieces. Only handshake messages and alerts come with their bytes; of encrypted
 * ones and of application data there is only the head.
 */
#define NPT_TLS_PIECE_BYTES 2048

enum npt_bpf_tls_kind {
	NPT_TLS_RECORD = 0, /* a record, or the first piece of it */
	NPT_TLS_PIECE = 1,  /* more bytes of the record before */
	NPT_TLS_GONE = 2,   /* bytes were missed: nothing of this direction is told any more */
	NPT_TLS_CLOSED = 3, /* the connection closed before its handshake was over */
};

struct npt_bpf_tls_event {
	__u64 connection; /* of all that this node has ever measured, no two have the same */
	__u64 time_ns;
	__u32 slot;
	__u16 record_bytes; /* as its head says, without the head */
	__u16 version;      /* of the head */
	__u8 kind;          /* enum npt_bpf_tls_kind */
	__u8 type;          /* 20 change cipher spec, 21 alert, 22 handshake, 23 application data */
	__u8 from;          /* enum npt_message_from: client or server of the TLS connection */
	__u8 sent;          /* 1: by this end; 0: received by it */
	__u16 captured_bytes; /* of bytes */
	__u16 padding;
	__u8 bytes[NPT_TLS_PIECE_BYTES];
};

/*
 * A process whose TLS libraries are to be looked at: it was seen for the first time, executes a
 * program, is the child of one that was told, or takes part in a TLS handshake (after the first few
 * not more often than every NPT_TLS_PROCESS_AGAIN_NS).
 */
#define NPT_TLS_PROCESS_FREELY   16
#define NPT_TLS_PROCESS_AGAIN_NS 20000000ULL
#define NPT_TLS_UNASSIGNED_MAX   4096 /* processes with calls in no edge, ended ones too */

struct npt_bpf_tls_process {
	__u64 start_ns; /* with the pid it names the process, as in npt_bpf_process_key */
	__u32 pid;
	__u32 scope;    /* of a child that has done nothing yet: its parent's */
	__u32 executes; /* 1: it is another program from now on */
	__u32 padding;
};

/* The cookie of a probe in a TLS library: how the function says how many bytes it has moved. */
enum npt_bpf_tls_form {
	NPT_TLS_RETURNS_BYTES = 1, /* f(session, buffer, size): the bytes, or <= 0 */
	/*
	 * f(session, buffer, size, bytes) or f(session, buffer, size, flags, bytes): 1 if there are
	 * any. Which of the two is seen by the fourth argument: an address or a small number.
	 */
	NPT_TLS_RETURNS_ONE = 2,
};

#define NPT_TLS_COOKIE(form, writes)  ((__u64)(form) | (__u64)(writes) << 8)
#define NPT_TLS_COOKIE_FORM(cookie)   ((cookie)&0xff)
#define NPT_TLS_COOKIE_WRITES(cookie) ((cookie) >> 8 & 1)
