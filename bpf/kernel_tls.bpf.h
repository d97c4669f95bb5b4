/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Kernel TLS - sockets whose records the kernel makes, or opens: the ULP "tls" (4.13+) with a key.
 * The ULP alone says nothing: libraries ask for it before the handshake, and may have no use of it.
 *
 * It is looked for when a write ends (one load where there is no ULP), before a message of what is
 * not understood yet, and at each walk. Not at close(): by the time of the first state change the
 * key is gone.
 *
 * What a program hands over and gets is plaintext then, at socket calls, and nothing in it is a
 * record: so no message of such a connection is looked at any more, and what its handshake still
 * says this way is missing. What was decrypted comes in packets that know no socket.
 */
#include "bpf/handshake.bpf.h"
#include "bpf/label.bpf.h"

/* The directions, as bits of npt_conn.kernel_tls: received, sent. */
#define NPT_KERNEL_TLS_RECEIVES 1
#define NPT_KERNEL_TLS_SENDS    2

static __always_inline bool npt_has_ulp(struct tcp_sock *tp)
{
	return ((struct inet_connection_sock *)tp)->icsk_ulp_ops != NULL;
}

/* Which directions have a key; 0: none, or it is another ULP. */
static __always_inline __u32 npt_kernel_tls_keys(struct tcp_sock *tp)
{
	struct inet_connection_sock *icsk = (struct inet_connection_sock *)tp;
	struct tls_context *context;
	char name[4] = {};

	bpf_probe_read_kernel(&name, sizeof(name), &BPF_CORE_READ(icsk, icsk_ulp_ops)->name);
	if (name[0] != 't' || name[1] != 'l' || name[2] != 's' || name[3] != '\0')
		return 0;
	context = (struct tls_context *)BPF_CORE_READ(icsk, icsk_ulp_data);
	if (!context || !bpf_core_field_exists(context->tx_conf))
		return 0;
	return (BPF_CORE_READ_BITFIELD_PROBED(context, rx_conf) ? NPT_KERNEL_TLS_RECEIVES : 0) |
	       (BPF_CORE_READ_BITFIELD_PROBED(context, tx_conf) ? NPT_KERNEL_TLS_SENDS : 0);
}

/* Of a handshake that is followed, that direction's bytes are not to be had any more. */
static __always_inline void npt_kernel_tls_hides(struct npt_conn *conn, bool sent)
{
	struct npt_tls_stream *stream = &conn->tls_streams[sent];

	if (!(stream->flags & NPT_STREAM_OVER))
		npt_tls_lost(conn, stream, sent);
}

static __always_inline void npt_kernel_tls_hides_handshake(struct npt_conn *conn, __u32 keys)
{
	if (!(conn->flags & NPT_CONN_HANDSHAKE))
		return;
	if (keys & NPT_KERNEL_TLS_RECEIVES)
		npt_kernel_tls_hides(conn, false);
	if (keys & NPT_KERNEL_TLS_SENDS)
		npt_kernel_tls_hides(conn, true);
	if (conn->tls_streams[0].flags & conn->tls_streams[1].flags & NPT_STREAM_OVER)
		conn->flags &= ~NPT_CONN_HANDSHAKE;
}

/* Is it the kernel's TLS, or is one more direction of it? An owner it has already. */
static __noinline int npt_kernel_tls_look(struct npt_conn *conn, struct sock *sk)
{
	struct npt_bpf_speech *speech;
	struct tcp_sock *tp;
	__u32 index, keys, known;

	if (!npt_layer_protocol || !conn || !sk || conn->slot == NPT_SLOT_NONE)
		return 0;
	known = conn->kernel_tls;
	tp = bpf_skc_to_tcp_sock(sk);
	keys = tp ? npt_kernel_tls_keys(tp) : 0;
	if (!(keys & ~known) ||
	    __sync_val_compare_and_swap(&conn->kernel_tls, known, known | keys) != known)
		return 0;
	npt_kernel_tls_hides_handshake(conn, keys);
	if (known)
		return 0;
	conn->dialog.classified.final = 1;
	if (conn->tls != NPT_BPF_TLS_YES) {
		conn->tls = NPT_BPF_TLS_YES;
		conn->heard = NPT_LABEL(0, NPT_BPF_TLS_YES, 0);
	}
	npt_conn_label(conn, sk);
	index = conn->slot;
	speech = bpf_map_lookup_elem(&npt_speeches, &index);
	if (speech)
		npt_add(&speech->kernel_tls, 1);
	return 0;
}
