/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Kernel TLS - sockets whose records the kernel makes, or opens: the ULP "tls" (4.13+) with a key.
 * The ULP alone says nothing: libraries ask for it before the handshake, and may have no use of it.
 *
 * It is looked for when a read or write ends (one load where there is no ULP), before a message of
 * what is not understood yet, at a reset, and at each walk. Not at close(): by the time of its
 * first state change the key is gone.
 *
 * What a program hands over and gets is plaintext then, at socket calls, and nothing in it is a
 * record: so no message of such a connection is looked at any more, and what its handshake still
 * says this way is missing. What was decrypted comes in packets that know no socket.
 */
#include "bpf/handshake.bpf.h"
#include "bpf/label.bpf.h"

/* Of npt_conn.kernel_tls: directions, and that it is not counted yet. */
#define NPT_KERNEL_TLS_RECEIVES 1
#define NPT_KERNEL_TLS_SENDS    2
#define NPT_KERNEL_TLS_NEWS     4

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

/*
 * Directions with a key. If it is news that its TLS is the kernel's, it is to be labelled, then
 * counted. A global function, and news in memory, so that what follows is verified once.
 */
__noinline int npt_kernel_tls_see(struct npt_conn *conn, __u32 keys)
{
	__u32 known;

	if (!npt_layer_protocol || !conn || conn->slot == NPT_SLOT_NONE)
		return 0;
	known = conn->kernel_tls;
	if (!(keys & ~known) ||
	    __sync_val_compare_and_swap(&conn->kernel_tls, known,
					known | keys | (known ? 0 : NPT_KERNEL_TLS_NEWS)) != known)
		return 0;
	npt_kernel_tls_hides_handshake(conn, keys);
	if (known)
		return 0;
	conn->dialog.classified.final = 1;
	if (conn->tls != NPT_BPF_TLS_YES) {
		conn->tls = NPT_BPF_TLS_YES;
		conn->heard = NPT_LABEL(0, NPT_BPF_TLS_YES, 0);
	}
	return 0;
}

/* In the edge that it has come to by its label. */
static __always_inline void npt_kernel_tls_count_news(struct npt_conn *conn)
{
	__u32 index = conn->slot, news = conn->kernel_tls;
	struct npt_bpf_speech *speech;

	if (!(news & NPT_KERNEL_TLS_NEWS))
		return;
	speech = bpf_map_lookup_elem(&npt_speeches, &index);
	if (speech && __sync_val_compare_and_swap(&conn->kernel_tls, news,
						  news & ~NPT_KERNEL_TLS_NEWS) == news)
		npt_add(&speech->kernel_tls, 1);
}

/* Brings its label up to date, too. An owner it has already. */
static __always_inline void npt_kernel_tls_look(struct npt_conn *conn, struct sock *sk,
						struct tcp_sock *tp)
{
	if (npt_layer_protocol && npt_has_ulp(tp))
		npt_kernel_tls_see(conn, npt_kernel_tls_keys(tp));
	npt_conn_label(conn, sk);
	if (npt_layer_protocol)
		npt_kernel_tls_count_news(conn);
}
