/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * TLS session - what a library calls a connection, by its address in the process: the plaintext's
 * dialog, and the edge that its calls are counted at.
 *
 * Calls that come before the connection is known are kept with the session, and counted then. Until
 * then, and for good if their session ends or makes room before, they are in no edge: npt_tls_
 * unassigned has how many those are, by process. Adding at the one end and taking away at the other
 * needs no look at how sessions end.
 */
#include "bpf/label.bpf.h"
#include "bpf/messages.bpf.h"

#define NPT_TLS_SESSIONS 8192

struct npt_tls_session_key {
	__u64 session; /* its address in the process */
	__u32 pid;
	__u32 padding;
};

struct npt_tls_counts {
	__u64 writes;
	__u64 written_bytes;
	__u64 reads;
	__u64 read_bytes;
};

struct npt_tls_session {
	struct npt_dialog dialog;     /* of the plaintext */
	struct npt_tls_counts counts; /* as long as the connection is not known */
	__u64 connection;             /* npt_conn.tls_id; 0: not known */
	__u32 slot;
	__u32 generation; /* of the slot */
	__u32 heard;      /* a label that the connection has not got yet; 0: none */
	__u32 sent_seq;   /* plaintext so far, each way */
	__u32 received_seq;
	__u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, NPT_TLS_SESSIONS);
	__type(key, struct npt_tls_session_key);
	__type(value, struct npt_tls_session);
} npt_tls_sessions SEC(".maps");

/* Calls that were seen and are in no edge; what found no room here is a loss. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NPT_TLS_UNASSIGNED_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct npt_bpf_process_key);
	__type(value, __u64);
} npt_tls_unassigned SEC(".maps");

static const struct npt_tls_session npt_tls_session_begin = { .slot = NPT_SLOT_NONE };

static __always_inline struct npt_tls_session *npt_tls_session_of(__u64 session, bool create)
{
	struct npt_tls_session_key key = {
		.session = session,
		.pid = bpf_get_current_pid_tgid() >> 32,
	};
	struct npt_tls_session *found = bpf_map_lookup_elem(&npt_tls_sessions, &key);

	if (found || !create)
		return found;
	bpf_map_update_elem(&npt_tls_sessions, &key, &npt_tls_session_begin, BPF_NOEXIST);
	return bpf_map_lookup_elem(&npt_tls_sessions, &key);
}

/* The numbers of a slot, as long as it is that edge's. */
static __always_inline struct npt_bpf_speech *npt_tls_speech(__u32 slot, __u32 generation)
{
	struct npt_bpf_speech *speech = bpf_map_lookup_elem(&npt_speeches, &slot);

	return speech && speech->generation == generation ? speech : NULL;
}

/* The numbers of the edge that the session's connection belongs to; NULL: not known (any more). */
static __always_inline struct npt_bpf_speech *npt_tls_session_speech(
	const struct npt_tls_session *session)
{
	return session->connection ? npt_tls_speech(session->slot, session->generation) : NULL;
}

/* Of the current process, whose session it is. */
static __noinline int npt_tls_unassigned_one(void)
{
	struct npt_bpf_process_key key = {};
	__u64 *calls, none = 0;

	npt_process_key(&key, bpf_get_current_task_btf(), 0);
	calls = bpf_map_lookup_elem(&npt_tls_unassigned, &key);
	if (!calls) {
		bpf_map_update_elem(&npt_tls_unassigned, &key, &none, BPF_NOEXIST);
		calls = bpf_map_lookup_elem(&npt_tls_unassigned, &key);
	}
	if (calls)
		npt_add(calls, 1);
	else
		npt_count_loss(NPT_LOSS_TLS_CALL);
	return 0;
}

static __always_inline void npt_tls_assigned(__u64 count)
{
	struct npt_bpf_process_key key = {};
	__u64 *calls;

	npt_process_key(&key, bpf_get_current_task_btf(), 0);
	calls = bpf_map_lookup_elem(&npt_tls_unassigned, &key);
	if (calls)
		npt_add(calls, -count);
}

static __always_inline bool npt_tls_session_settled(const struct npt_tls_session *session)
{
	return session->dialog.classified.final && session->connection && !session->heard;
}

static __always_inline void npt_tls_count_at(struct npt_bpf_speech *speech, bool writes,
					     __u32 bytes)
{
	npt_add(writes ? &speech->tls_writes : &speech->tls_reads, 1);
	npt_add(writes ? &speech->tls_written_bytes : &speech->tls_read_bytes, bytes);
}

static __always_inline void npt_tls_count(struct npt_tls_session *session, bool writes, __u32 bytes)
{
	struct npt_bpf_speech *speech = npt_tls_session_speech(session);

	if (speech) {
		npt_tls_count_at(speech, writes, bytes);
		return;
	}
	npt_tls_unassigned_one();
	npt_add(writes ? &session->counts.writes : &session->counts.reads, 1);
	npt_add(writes ? &session->counts.written_bytes : &session->counts.read_bytes, bytes);
}

/* What was counted before the connection was known. */
static __always_inline void npt_tls_count_kept(struct npt_tls_session *session)
{
	struct npt_bpf_speech *speech = npt_tls_session_speech(session);
	__u64 writes, reads;

	if (!speech || !(session->counts.writes | session->counts.reads))
		return;
	writes = __sync_lock_test_and_set(&session->counts.writes, 0);
	reads = __sync_lock_test_and_set(&session->counts.reads, 0);
	npt_tls_assigned(writes + reads);
	npt_add(&speech->tls_writes, writes);
	npt_add(&speech->tls_written_bytes,
		__sync_lock_test_and_set(&session->counts.written_bytes, 0));
	npt_add(&speech->tls_reads, reads);
	npt_add(&speech->tls_read_bytes, __sync_lock_test_and_set(&session->counts.read_bytes, 0));
}

/* Plaintext that is written, or was read: what is spoken inside. */
static __noinline int npt_tls_plaintext(struct npt_tls_session *session, __u64 buffer, __u32 bytes,
					bool sent)
{
	struct npt_dialog *dialog;
	struct npt_chunk chunk = {};
	__u32 protocol;

	if (!session || session->dialog.classified.final)
		return 0;
	dialog = &session->dialog;
	chunk.kind = NPT_CHUNK_USER;
	chunk.user = (const void *)buffer;
	chunk.size = bytes;
	chunk.seq = sent ? session->sent_seq : session->received_seq;
	if (!npt_message_look(dialog, &chunk, NULL, false, sent, NPT_FROM_UNKNOWN, false))
		return 0;
	protocol = dialog->classified.protocol;
	if (protocol != NPT_PROTOCOL_UNKNOWN && protocol != NPT_PROTOCOL_TLS)
		session->heard =
			NPT_LABEL(protocol, NPT_BPF_TLS_YES, dialog->classified.confidence) |
			NPT_LABEL_READ | (dialog->classified.final ? NPT_LABEL_FINAL : 0);
	return 0;
}

/* At once if the edge may have that name; else when the connection is at hand, which has to move.
 */
static __always_inline void npt_tls_label_early(struct npt_tls_session *session)
{
	if (session->heard && npt_tls_session_speech(session) &&
	    npt_label_join(session->slot, session->heard))
		session->heard = 0;
}

/* Its numbers go to the edge that the connection is in now. */
static __always_inline void npt_tls_session_place(struct npt_tls_session *session,
						  const struct npt_conn *conn)
{
	struct npt_bpf_speech *speech;
	__u32 slot = conn->slot;

	if (session->slot == slot || slot == NPT_SLOT_NONE)
		return;
	speech = bpf_map_lookup_elem(&npt_speeches, &slot);
	session->generation = speech ? speech->generation : 0;
	session->slot = slot;
}

/* A socket operation is the session's: from now on its connection is known. */
static __noinline int npt_tls_session_is(struct npt_tls_session *session, struct npt_conn *conn)
{
	if (!session || !conn)
		return 0;
	if (!conn->tls_id)
		conn->tls_id = bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 0xff);
	if (session->connection &&
	    session->connection != conn->tls_id) { /* a new one, same address */
		__builtin_memset(&session->dialog, 0, sizeof(session->dialog));
		session->heard = 0;
	}
	session->connection = conn->tls_id;
	npt_tls_session_place(session, conn);
	npt_tls_count_kept(session);
	if (conn->tls != NPT_BPF_TLS_YES) { /* older than the measurement */
		conn->tls = NPT_BPF_TLS_YES;
		conn->dialog.classified.protocol = NPT_PROTOCOL_TLS;
		conn->dialog.classified.final = 1;
		conn->heard = NPT_LABEL(0, NPT_BPF_TLS_YES, 0);
	}
	if (session->heard) {
		conn->heard = session->heard;
		session->heard = 0;
	}
	return 0;
}
