/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * State - every map and setting of the measuring programs, and how losses are counted.
 */
#include "bpf/kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/measure.h"

enum npt_conn_flag {
	NPT_CONN_ESTABLISHED = 1, /* seen becoming so, or older than the task */
	NPT_CONN_OLDER = 2,       /* existed before the task */
	NPT_CONN_SYN = 4,         /* our SYN is part of the sequence numbers that we subtract */
	NPT_CONN_FIN_QUEUED = 8,  /* the FIN is part of write_seq */
	NPT_CONN_CLOSED = 16,
	NPT_CONN_DATAGRAM = 32,   /* a UDP socket */
	NPT_CONN_MANY = 64,       /* that has sent to more than one destination */
	NPT_CONN_HANDSHAKE = 128, /* its TLS handshake is followed */
};

/* Where we are among the TLS records of one direction. */
struct npt_tls_stream {
	__u32 seq;  /* of the next byte to look at */
	__u16 left; /* bytes of the record that are still to come */
	__u8 head[5];
	__u8 head_length;
	__u8 flags;   /* enum npt_tls_stream_flag */
	__u8 records; /* told */
	__u8 data;    /* of them, application data */
	__u8 padding;
};

/*
 * What two sides say to each other, as far as it is looked at: the message that is under way, and
 * what came of it.
 */
struct npt_dialog {
	struct npt_bpf_message message;
	__u32 seq; /* of its first byte */
	__u8 sent; /* its direction + 1; 0: there was none yet */
	__u8 padding[3];
	struct npt_bpf_classified classified;
	/* The verifier sees a read of 64 bytes behind those of the message that are there already.
	 */
	__u8 room[NPT_MESSAGE_BYTES - 32];
};
_Static_assert(sizeof(struct npt_dialog) >= 2 * NPT_MESSAGE_BYTES, "room behind the bytes");

/*
 * What we keep with a socket. reported_* are the values of the socket that are in its edge already;
 * an exchange makes them the new ones, so that two walkers at once add every byte once.
 */
struct npt_conn {
	__u32 slot; /* NPT_SLOT_NONE until it has an owner */
	__u32 scope;
	__u32 flags;
	__u32 role;
	struct npt_bpf_process_key owner; /* until it has one: the listener's */
	__u8 local_address[16];
	__u8 peer_address[16] __attribute__((aligned(8)));
	__u16 local_port;
	__u16 peer_port;
	__u32 syn_retransmits;
	__u64 started_ns;
	__u64 established_ns;
	__u64 write_started_ns;
	__u64 read_started_ns;
	__u64 request_ns; /* when the last byte of the current request came or went; 0: none */
	__u64 ready_ns;   /* since when data waits for a read; 0: none does */
	__u32 write_tid;
	__u32 read_tid;
	__u32 client_seq; /* the two ends' first numbers, alike on both whatever NAT is between */
	__u32 server_seq;
	__u32 answered_seq; /* client: write_seq when the last response began */
	__u32 copied_seq;   /* how far operations have told of what was read */
	__u32 born_jiffies;
	__u32 reported_lifetime_jiffies;
	__u32 reported_limited_jiffies[NPT_BPF_LIMITED];
	__u32 reported_retransmit_segments;
	__u64 reported_sent_bytes;
	__u64 reported_received_bytes;
	__u64 reported_retransmit_bytes;
	__u32 reported_sent_segments;
	__u32 reported_received_segments;
	__u32 reported_spurious;
	__u32 reported_listen_drops;
	__u32 state;      /* the last TCP state that was seen to */
	__u32 kernel_tls; /* directions whose TLS is the kernel's (kernel_tls.bpf.h) */
	/* Drops while it had no owner yet. */
	struct npt_bpf_code_count early_drops[2];
	__u64 early_drops_other;
	__u64 early_drops_unspecified;
	struct npt_dialog dialog;
	__u32 heard; /* a label that its edge is not looked at for yet; 0: none */
	__u8 tls;    /* enum npt_bpf_tls */
	__u8 padding_speech[3];
	__u64 tls_id; /* of a TLS connection: of events of its handshake, for calls of libraries */
	struct npt_tls_stream tls_streams[2]; /* received, sent */
};
_Static_assert(__builtin_offsetof(struct npt_conn, role) ==
		       __builtin_offsetof(struct npt_bpf_conn_head, role),
	       "it begins like npt_bpf_conn_head");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct npt_conn);
} npt_conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NPT_SLOTS_MAX);
	__type(key, struct npt_bpf_edge_key);
	__type(value, __u32);
} npt_edges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NPT_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct npt_bpf_slot);
} npt_slots SEC(".maps");

/* By slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NPT_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct npt_bpf_queue);
} npt_queues SEC(".maps");

/* Records of TLS handshakes: struct npt_bpf_tls_event, cut behind its bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} npt_tls_events SEC(".maps");

/* Processes whose TLS libraries are to be looked at: struct npt_bpf_tls_process. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} npt_tls_processes SEC(".maps");

struct npt_tls_told {
	__u64 last_ns; /* CLOCK_MONOTONIC */
	__u32 times;
	__u32 scope;
};

/* Those that were told already, by pid. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct npt_tls_told);
} npt_tls_told SEC(".maps");

/* By slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NPT_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct npt_bpf_speech);
} npt_speeches SEC(".maps");

/* Numbers of free slots, lowest on top; the agent fills it and gives slots back. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, NPT_SLOTS_MAX);
	__type(value, __u32);
} npt_free_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NPT_SCOPES_MAX);
	__type(key, __u32);
	__type(value, struct npt_bpf_scope);
} npt_scopes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NPT_SCOPES_MAX);
	__type(key, __u32);
	__type(value, struct npt_bpf_scope_state);
} npt_scope_state SEC(".maps");

/* Processes of by-process scopes: pid -> scope id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} npt_members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct npt_bpf_process_key);
	__type(value, struct npt_bpf_process);
} npt_processes SEC(".maps");

/* Processes that are worth timing: owners of connections or listeners. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} npt_timed_pids SEC(".maps");

struct npt_endpoint_key {
	__u8 address[16];
	__u32 scope;
	__u16 port;
	__u16 padding;
};

/*
 * A new connection by the first sequence numbers of its two ends -> the client's slot. Both ends of
 * a connection know them, and REDIRECT, TPROXY and every other NAT leave them as they are.
 */
struct npt_pair_key {
	__u32 client_seq;
	__u32 server_seq;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct npt_pair_key);
	__type(value, __u32);
} npt_pairs SEC(".maps");

/*
 * Where clients of this scope come from: their address and port -> their slot. Pairs the ends of
 * connections that are older than the task; finds the edge of a dropped packet without a socket.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct npt_endpoint_key);
	__type(value, __u32);
} npt_client_ends SEC(".maps");

/* {zero address, scope, port} that somebody listens on: tells the role of older connections. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct npt_endpoint_key);
	__type(value, __u8);
} npt_listening SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NPT_LOSS_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} npt_losses SEC(".maps");

/* Set once before load, from the running kernel's BTF; 0 if the kernel has no such reason. */
const volatile __u32 npt_reason_not_specified = 0;
const volatile __u32 npt_reason_queue_purge = 0;
const volatile __u32 npt_reason_consumed = 0;
const volatile __u32 npt_reason_tcp_close = 0;
/* How many arguments the running kernel's tracepoints have. */
const volatile __u32 npt_drop_arguments = 4;
const volatile __u32 npt_reset_arguments = 3;
const volatile __u32 npt_retransmit_arguments = 3;
/* Whether a write's begin is seen, so that its end need not stand for it. */
const volatile bool npt_sees_write_begin = true;
/* Which layers are on. */
const volatile bool npt_layer_operations = true;
const volatile bool npt_layer_protocol = true;
const volatile bool npt_layer_tls = false;

/* Set by the agent while it runs. */
__u32 npt_walk_mode = NPT_WALK_FLUSH;
__u32 npt_walk_scope = 0;
__u64 npt_walk_sockets = 0; /* seen by the walk since the agent set it to 0 */
__u64 npt_walk_unowned = 0; /* of them, established ones that no process has touched */
__u32 npt_find_what = NPT_FIND_LISTENERS;
__u32 npt_conns_map_id = 0;
__u32 npt_refuse_edges = 0;  /* new edges go to "other" */
__u32 npt_calls_pending = 0; /* starts of calls that nobody has taken yet; at most */
__u32 npt_slice_on = 0;      /* not 0 once there was a slice */
__u32 npt_slice_number = 0;  /* of the current or last slice */

/* Its entry, or NULL. Most sockets of a node have no storage at all: two loads instead of a call.
 */
static __always_inline struct npt_conn *npt_conn_of(struct sock *sk)
{
	return sk->sk_bpf_storage ? bpf_sk_storage_get(&npt_conns, sk, NULL, 0) : NULL;
}

static __always_inline void npt_count_loss(__u32 loss)
{
	__u64 *count = bpf_map_lookup_elem(&npt_losses, &loss);

	if (count)
		(*count)++;
}

/* Its entry, made if there is none; NULL, and counted, where there is no memory for it. */
static __always_inline struct npt_conn *npt_conn_make(struct sock *sk)
{
	struct npt_conn *conn =
		bpf_sk_storage_get(&npt_conns, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!conn)
		npt_count_loss(NPT_LOSS_STORAGE);
	return conn;
}
