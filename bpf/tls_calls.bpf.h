/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * TLS calls - the layer TLS: reads and writes of TLS libraries, their plaintext's first bytes, and
 * the connection that each belongs to.
 *
 * Probes are in the libraries of the processes that are measured and nowhere else; the agent sets
 * them (agent/tls_calls.c). A call is kept with its thread from its begin to its result. The
 * connection is found in one of two ways:
 *
 *	nested    a socket operation within the call is the session's (most libraries)
 *	followed  after a write that touched no socket, the thread's next write on one begins with a
 *	          record of the length that these bytes give (libraries that write to memory)
 *
 * Go's calls are of the second kind whatever they do inside, as their end is not seen: its stacks
 * move, so a return probe would crash the program.
 */
#include "bpf/tls_session.bpf.h"

#define NPT_TLS_SMALL_NUMBER 4096        /* flags, where others have an address */
#define NPT_TLS_CALL_MAX     0x7fffffffU /* bytes: the functions' own limit is an int's */
#define NPT_TLS_RECORD_BYTES 16384       /* of plaintext */
#define NPT_TLS_OVERHEAD_MAX 256         /* RFC 8446 5.2 */
#define NPT_TLS_NESTED_BYTES (1 << 20)   /* of stack between two calls, one within the other */

/* Registers of a program in user space, as the kernel keeps them at a uprobe. */
struct npt_user_regs {
#if defined(__TARGET_ARCH_arm64)
	__u64 x[31];
	__u64 sp;
#else
	__u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	__u64 orig_ax, ip, cs, flags, sp;
#endif
};

#if defined(__TARGET_ARCH_arm64)
#define NPT_ARGUMENT_1(regs) ((regs)->x[0])
#define NPT_ARGUMENT_2(regs) ((regs)->x[1])
#define NPT_ARGUMENT_3(regs) ((regs)->x[2])
#define NPT_ARGUMENT_4(regs) ((regs)->x[3])
#define NPT_ARGUMENT_5(regs) ((regs)->x[4])
#define NPT_RESULT(regs)     ((regs)->x[0])
#define NPT_GO_1(regs)       ((regs)->x[0])
#define NPT_GO_2(regs)       ((regs)->x[1])
#define NPT_GO_3(regs)       ((regs)->x[2])
#define NPT_GOROUTINE(regs)  ((regs)->x[28])
#else
#define NPT_ARGUMENT_1(regs) ((regs)->di)
#define NPT_ARGUMENT_2(regs) ((regs)->si)
#define NPT_ARGUMENT_3(regs) ((regs)->dx)
#define NPT_ARGUMENT_4(regs) ((regs)->cx)
#define NPT_ARGUMENT_5(regs) ((regs)->r8)
#define NPT_RESULT(regs)     ((regs)->ax)
#define NPT_GO_1(regs)       ((regs)->ax)
#define NPT_GO_2(regs)       ((regs)->bx)
#define NPT_GO_3(regs)       ((regs)->cx)
#define NPT_GOROUTINE(regs)  ((regs)->r14)
#endif

struct npt_tls_call {
	__u64 session; /* 0: none is under way */
	__u64 buffer;
	__u64 bytes_at; /* where the function says how many; 0: it returns them */
	__u64 stack;    /* its stack pointer: calls that are nested in it lie below */
	__u64 followed; /* the session of a write whose records are still to be written; 0: none */
	__u64 goroutine;
	__u32 followed_bytes; /* of plaintext */
	__u32 size;
	__u8 writes;
	__u8 touched; /* a socket operation was nested in it */
	/*
	 * Nothing is to be learnt about its session any more, of which this is all that counting
	 * needs: most calls look a session up once.
	 */
	__u8 settled;
	__u8 padding[5];
	__u64 connection;
	__u32 slot;
	__u32 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct npt_tls_call);
} npt_tls_calls SEC(".maps");

static __always_inline void npt_tls_call_begins(const struct npt_user_regs *regs, __u64 cookie)
{
	struct npt_tls_session *session;
	struct npt_tls_call *call;
	__u64 size = NPT_ARGUMENT_3(regs);

	call = bpf_task_storage_get(&npt_tls_calls, bpf_get_current_task_btf(), NULL,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call) {
		npt_count_loss(NPT_LOSS_TASK);
		return;
	}
	if (call->session && regs->sp < call->stack &&
	    call->stack - regs->sp < NPT_TLS_NESTED_BYTES)
		return; /* one on another stack has left a call that will not come back */
	call->session = NPT_ARGUMENT_1(regs);
	call->buffer = NPT_ARGUMENT_2(regs);
	call->size = size > NPT_TLS_CALL_MAX ? NPT_TLS_CALL_MAX : (__u32)size;
	call->stack = regs->sp;
	call->writes = NPT_TLS_COOKIE_WRITES(cookie);
	call->touched = false;
	call->bytes_at = 0;
	if (NPT_TLS_COOKIE_FORM(cookie) == NPT_TLS_RETURNS_ONE)
		call->bytes_at = NPT_ARGUMENT_4(regs) >= NPT_TLS_SMALL_NUMBER
					 ? NPT_ARGUMENT_4(regs)
					 : NPT_ARGUMENT_5(regs);
	if (!call->session)
		return;
	session = npt_tls_session_of(call->session, true);
	call->settled = session && npt_tls_session_settled(session);
	if (!session)
		return;
	call->connection = session->connection;
	call->slot = session->slot;
	call->generation = session->generation;
	if (call->writes && !call->settled)
		npt_tls_plaintext(session, call->buffer, call->size, true);
}

/* How many bytes the call has moved; 0: none. */
static __always_inline __u32 npt_tls_call_moved(const struct npt_tls_call *call,
						const struct npt_user_regs *regs)
{
	__s32 result = (__s32)NPT_RESULT(regs);
	__u64 bytes = 0;

	if (result <= 0)
		return 0;
	if (!call->bytes_at)
		bytes = (__u64)result;
	else if (result != 1 ||
		 bpf_probe_read_user(&bytes, sizeof(bytes), (const void *)call->bytes_at))
		bytes = ~0ULL;
	if (bytes > call->size) {
		npt_count_loss(NPT_LOSS_TLS_CALL);
		return 0;
	}
	return (__u32)bytes;
}

static __always_inline void npt_tls_call_learn(const struct npt_tls_call *call, __u32 bytes)
{
	struct npt_tls_session *session = npt_tls_session_of(call->session, true);

	if (!session) {
		npt_tls_unassigned_one();
		return;
	}
	if (!call->writes)
		npt_tls_plaintext(session, call->buffer, bytes, false);
	if (call->writes)
		session->sent_seq += bytes;
	else
		session->received_seq += bytes;
	npt_tls_count(session, call->writes, bytes);
	npt_tls_label_early(session);
}

static __always_inline int npt_tls_call_ends(const struct npt_user_regs *regs)
{
	struct npt_tls_call *call =
		bpf_task_storage_get(&npt_tls_calls, bpf_get_current_task_btf(), NULL, 0);
	struct npt_bpf_speech *speech;
	__u32 bytes;

	if (!call || !call->session || regs->sp < call->stack)
		return 0;
	bytes = npt_tls_call_moved(call, regs);
	speech = call->settled ? npt_tls_speech(call->slot, call->generation) : NULL;
	if (bytes && speech)
		npt_tls_count_at(speech, call->writes, bytes);
	else if (bytes)
		npt_tls_call_learn(call, bytes);
	if (call->writes && bytes && !call->touched && !call->followed) {
		call->followed = call->session;
		call->followed_bytes = bytes;
		call->goroutine = 0;
	}
	call->session = 0;
	return 0;
}

/* Is the first record of this write what the bytes of the call before give? */
static __always_inline bool npt_tls_follows(const struct npt_tls_call *call,
					    const struct npt_chunk *chunk)
{
	__u32 bytes = call->followed_bytes, length;
	__u8 head[8] = {};

	if (npt_chunk_read(chunk, NULL, 0, head, 5, 5) != 5)
		return false;
	if (head[0] != NPT_TLS_DATA || head[1] != 3)
		return false;
	length = (__u32)head[3] << 8 | head[4];
	if (call->goroutine && length <= bytes) /* Go cuts its first records small */
		return true;
	if (bytes > NPT_TLS_RECORD_BYTES)
		bytes = NPT_TLS_RECORD_BYTES;
	return length > bytes && length - bytes <= NPT_TLS_OVERHEAD_MAX;
}

/* The goroutine that is in this system call; 0 in other programs. */
static __always_inline __u64 npt_current_goroutine(void)
{
	struct npt_user_regs *regs =
		(struct npt_user_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

	return NPT_GOROUTINE(regs);
}

static __always_inline struct npt_tls_session *npt_tls_write_follows(struct npt_tls_call *call,
								     struct msghdr *msg)
{
	struct npt_tls_session *session;
	struct npt_chunk chunk = {};

	if (call->goroutine && call->goroutine != npt_current_goroutine())
		return NULL;
	session = npt_tls_session_of(call->followed, false);
	call->followed = 0;
	if (!session || !npt_chunk_of_iterator(&chunk, msg) || !npt_tls_follows(call, &chunk))
		return NULL;
	return session;
}

/* Whose operation this is, if it is news; msg: of a write, else NULL. */
static __always_inline struct npt_tls_session *npt_tls_session_here(const struct npt_conn *conn,
								    struct msghdr *msg)
{
	struct npt_tls_call *call =
		bpf_task_storage_get(&npt_tls_calls, bpf_get_current_task_btf(), NULL, 0);

	if (!call)
		return NULL;
	if (!call->session)
		return call->followed && msg ? npt_tls_write_follows(call, msg) : NULL;
	call->touched = true;
	if (call->settled && call->connection == conn->tls_id && call->slot == conn->slot)
		return NULL;
	call->settled = false;
	return npt_tls_session_of(call->session, true);
}

/* A write on this connection; its label is brought up to date. */
static __noinline int npt_tls_sent(struct sock *sk, struct npt_conn *conn, struct msghdr *msg)
{
	struct npt_tls_session *session;

	if (!sk || !conn || !msg || conn->slot == NPT_SLOT_NONE)
		return 0;
	session = npt_tls_session_here(conn, msg);
	if (!session)
		return 0;
	npt_tls_session_is(session, conn);
	npt_conn_label(conn, sk);
	npt_tls_session_place(session, conn);
	return 0;
}

/* A packet's bytes are read; the label comes with the end of the read. */
static __noinline int npt_tls_received(struct npt_conn *conn)
{
	struct npt_tls_session *session;

	if (!conn || conn->slot == NPT_SLOT_NONE)
		return 0;
	session = npt_tls_session_here(conn, NULL);
	if (session)
		npt_tls_session_is(session, conn);
	return 0;
}

/* The connection was brought to another edge by the end of a read. */
static __always_inline void npt_tls_moved(const struct npt_conn *conn)
{
	struct npt_tls_session *session = npt_tls_session_here(conn, NULL);

	if (session && session->connection == conn->tls_id)
		npt_tls_session_place(session, conn);
}

/*
 * Two links of uprobe.multi (6.6+) at one place, so one trap and one return: the begin and the
 * result of each read and write of a TLS library that a measured process makes. Not one
 * uprobe.session (6.13+): it costs the same, and what tells its two ends apart has another form in
 * each kernel.
 */
SEC("uprobe")
int npt_tls_call_begin(struct npt_user_regs *regs)
{
	npt_tls_call_begins(regs, bpf_get_attach_cookie(regs));
	return 0;
}

SEC("uprobe")
int npt_tls_call_end(struct npt_user_regs *regs)
{
	return npt_tls_call_ends(regs);
}

/*
 * crypto/tls.(*Conn).Write, behind the check of its stack; once per call. That it will not fail is
 * assumed: what fails ends the connection.
 */
SEC("uprobe")
int npt_tls_go_write(struct npt_user_regs *regs)
{
	__u64 size = NPT_GO_3(regs);
	struct npt_tls_session *session;
	struct npt_tls_call *call;
	__u32 bytes;

	if (size == 0 || size > NPT_TLS_CALL_MAX)
		return 0;
	bytes = (__u32)size;
	call = bpf_task_storage_get(&npt_tls_calls, bpf_get_current_task_btf(), NULL,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
	session = npt_tls_session_of(NPT_GO_1(regs), true);
	if (!call || !session) {
		npt_count_loss(NPT_LOSS_TASK);
		return 0;
	}
	if (session->dialog.message.length == NPT_MESSAGE_BYTES)
		session->dialog.sent = 0; /* nobody says when the other side has spoken */
	npt_tls_plaintext(session, NPT_GO_2(regs), bytes, true);
	session->sent_seq += bytes;
	npt_tls_count(session, true, bytes);
	npt_tls_label_early(session);
	call->session = 0;
	call->followed = NPT_GO_1(regs);
	call->followed_bytes = bytes;
	call->goroutine = NPT_GOROUTINE(regs);
	return 0;
}

/* A session is freed: the next one at its address is another one. */
SEC("uprobe")
int npt_tls_free(struct npt_user_regs *regs)
{
	struct npt_tls_session_key key = {
		.session = NPT_ARGUMENT_1(regs),
		.pid = bpf_get_current_pid_tgid() >> 32,
	};

	bpf_map_delete_elem(&npt_tls_sessions, &key);
	return 0;
}

/*
 * tp_btf/sched_process_fork: a server's worker is looked at before it takes its first connection;
 * once per process and thread of the node, while the layer is on.
 */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(npt_tls_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_pid = (__u32)parent->tgid;
	struct npt_tls_told *told;

	if (parent_pid == (__u32)child->tgid)
		return 0;
	told = bpf_map_lookup_elem(&npt_tls_told, &parent_pid);
	if (told)
		npt_tls_process_tell(child, told->scope, false, false);
	return 0;
}

/*
 * tp_btf/sched_process_exec: a program that is known is probed before it makes its first call; once
 * per execve() of the node, while the layer is on.
 */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(npt_tls_exec, struct task_struct *task)
{
	__u32 netns = task->nsproxy->net_ns->ns.inum, id;
	struct npt_bpf_scope *scope = bpf_map_lookup_elem(&npt_scopes, &netns);

	id = scope ? npt_owner_scope(scope, (__u32)task->tgid) : 0;
	if (id)
		npt_tls_process_tell(task, id, false, true);
	return 0;
}
