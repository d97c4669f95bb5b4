/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Probe - the BPF object: loaded while something is measured, gone with this process at the latest
 * (nothing is pinned). The only place that knows libbpf, with features and slices beside it.
 *
 * Owned by the measurement; all calls from its thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/probe/features.h"
#include "bpf/measure.h"
#include "lib/core/cleanup.h"
#include "lib/core/error.h"

struct npt_probe;

/* What this kernel gives, found by looking. What is false is unavailable; measure says why. */
struct npt_probe_abilities {
	bool trampolines; /* fentry and fexit load and attach */
	bool lengths;     /* sock_send_length, sock_recv_length (6.3+) */
	bool operations;  /* reads and writes are counted, by either of the two */
	bool write_begin; /* a write's begin is seen: trampoline, or tcp_sendmsg_locked (6.16+) */
	bool data_ready;  /* sk_data_ready (6.3+): response and unread times */
	bool splice;      /* tcp_rcv_space_adjust */
	bool drops;       /* kfree_skb with a reason (5.17+) */
	bool drop_receivers; /* and with the receiving socket (6.11+) */
	bool resets;         /* tcp_send_reset, tcp_receive_reset */
	bool reset_reasons;  /* with a reason (6.10+) */
	bool tail_loss;      /* tcp_retransmit_skb */
	bool packets;        /* received bytes are read from packets (dynptrs in tracing, 6.12+) */
	bool messages;       /* what is spoken is seen, by whatever way */
	bool tls_calls;      /* probes in libraries can be set (uprobe.multi, 6.6+) */
};

struct npt_probe_options {
	bool operations;     /* reads and writes; Base alone has no hook on them */
	bool protocol;       /* the first bytes of messages */
	bool tls;            /* calls of TLS libraries; needs protocol */
	bool no_trampolines; /* as if this host refused them: for tests and comparisons */
};

/*
 * Loads and attaches. -EPERM: rights are missing; -EOPNOTSUPP: the kernel lacks something; the text
 * says what to do. features is borrowed and must outlive the probe.
 */
int npt_probe_open(struct npt_probe **probe_ret, const struct npt_features *features,
		   const struct npt_probe_options *options, struct npt_error *err);
void npt_probe_close(struct npt_probe *probe);
NPT_DEFINE_AUTO(struct npt_probe *, npt_probe_close)

/* Measures sockets of this network namespace from now on. By-process scopes may share one. */
int npt_probe_add_scope(struct npt_probe *probe, uint32_t netns_inode, uint32_t scope,
			bool by_process, uint32_t edges_max, struct npt_error *err);
/* 1: from now on; 0: it has been one, or it has ended. */
int npt_probe_add_member(struct npt_probe *probe, uint32_t scope, uint32_t pid,
			 struct npt_error *err);
/* How many processes a by-process scope still has. */
uint32_t npt_probe_members(struct npt_probe *probe, uint32_t scope);
/*
 * Stops: folds what is left, forgets the scope's sockets. Its slots stay readable. last: no other
 * scope is in this namespace.
 */
int npt_probe_remove_scope(struct npt_probe *probe, uint32_t netns_inode, uint32_t scope, bool last,
			   struct npt_error *err);
/* Empties the scope's slots and gives them back; once nobody reads them any more. */
void npt_probe_free_slots(struct npt_probe *probe, uint32_t scope);

/* Looks for sockets that are older than a new scope. */
int npt_probe_find_older(struct npt_probe *probe, struct npt_error *err);
/* Looks, some time later, for those that were in no process's hands then, or have no owner yet. */
int npt_probe_find_left_over(struct npt_probe *probe, struct npt_error *err);
/* Connections without an owner, in the last fold. */
uint64_t npt_probe_unowned(const struct npt_probe *probe);
/* Brings every edge up to date with its connections. */
int npt_probe_fold(struct npt_probe *probe, struct npt_error *err);

/* NPT_SLOTS_MAX slots, written by the kernel at any time. */
struct npt_bpf_slot *npt_probe_slots(struct npt_probe *probe);
/* As many, of the same numbers; their gauges are as of the last fold, but for
 * min_rtt_micros, which closes lower in between. */
struct npt_bpf_queue *npt_probe_queues(struct npt_probe *probe);
/*
 * Tells every record of TLS handshakes that came since the last call. An event is whole up to its
 * captured_bytes, and borrowed during the call.
 */
typedef void npt_probe_tell_tls(void *context, const struct npt_bpf_tls_event *event);
void npt_probe_read_tls(struct npt_probe *probe, npt_probe_tell_tls *tell, void *context);
/*
 * Says what is inside of a TLS edge that has no name yet. One that has another name of HTTP's
 * becomes HTTP of no particular version; a name that was read in its bytes stays.
 */
void npt_probe_name_inner(struct npt_probe *probe, uint32_t slot, uint32_t protocol,
			  uint32_t confidence_percent);
/* Programs for probes in TLS libraries (bpf/tls_calls.bpf.h). */
enum npt_tls_program {
	NPT_TLS_PROGRAM_BEGIN,    /* for uprobe.multi; cookies: NPT_TLS_COOKIE() */
	NPT_TLS_PROGRAM_END,      /* as its return probe, at the same places */
	NPT_TLS_PROGRAM_GO_WRITE, /* for uprobe.multi; no cookie */
	NPT_TLS_PROGRAM_FREE,     /* for uprobe.multi; no cookie */
	NPT_TLS_PROGRAMS,
};
/* Its descriptor, borrowed; -1: this kernel has no use for it, or the layer TLS is off. */
int npt_probe_tls_program(const struct npt_probe *probe, enum npt_tls_program program);
/* Readable when there is a process whose libraries are to be looked at; -1: the layer is off. */
int npt_probe_tls_processes_fd(const struct npt_probe *probe);
/* Tells all that came since the last call; the same process may be told again. */
typedef void npt_probe_tell_process(void *context, const struct npt_bpf_tls_process *process);
void npt_probe_read_tls_processes(struct npt_probe *probe, npt_probe_tell_process *tell,
				  void *context);
/*
 * How many calls of its TLS libraries that process has made of which no connection is known: not
 * yet, or never. Remembered, after its end too, until it is forgotten.
 */
uint64_t npt_probe_tls_unassigned(const struct npt_probe *probe, uint32_t pid, uint64_t start_ns);
void npt_probe_forget_tls_unassigned(struct npt_probe *probe, uint32_t pid, uint64_t start_ns);
/* As many, of the same numbers. */
const struct npt_bpf_speech *npt_probe_speeches(const struct npt_probe *probe);
bool npt_probe_process(struct npt_probe *probe, const struct npt_bpf_process_key *key,
		       struct npt_bpf_process *process_ret);
uint64_t npt_probe_loss(struct npt_probe *probe, enum npt_bpf_loss loss);
/*
 * Events that our counting programs missed, of anybody's sockets: the kernel runs a program once at
 * a time on a CPU, and another task (7.0+) or a packet may come in between. At most: what one of
 * two twins has seen was not missed. What sk_data_ready missed is made good by the next read.
 */
uint64_t npt_probe_missed(struct npt_probe *probe);
uint64_t npt_probe_other_connections(struct npt_probe *probe, uint32_t scope);
/* What the kernel holds for us, in bytes; socket storage at its largest. */
uint64_t npt_probe_map_bytes(struct npt_probe *probe);
/* How much of it is mapped into this process, and so part of its RSS. */
uint64_t npt_probe_mapped_bytes(const struct npt_probe *probe);

/* What the hooks cost one operation of a target, as measured when they were attached; 0: unknown.
 */
uint32_t npt_probe_ns_per_operation(const struct npt_probe *probe);
/* Detaches the hooks of the layer Operations, for good. */
void npt_probe_stop_operations(struct npt_probe *probe);
/* From now on new edges of all scopes go to "other". */
void npt_probe_refuse_edges(struct npt_probe *probe);
const struct npt_probe_abilities *npt_probe_abilities(const struct npt_probe *probe);

/* One slice: on and off. Used by slices.c. */
int npt_probe_slice_begin(struct npt_probe *probe, struct npt_error *err);
void npt_probe_slice_end(struct npt_probe *probe);
