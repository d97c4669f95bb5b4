/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Settled - what the state machine notes beside the label: bits of npt_bpf_classified.settled.
 */
#include "bpf/protocol/bytes.h"

enum npt_protocol_settled {
	NPT_SETTLED_HINT_FROM = 0x03,  /* enum npt_message_from: who gave the hints */
	NPT_SETTLED_LABEL_FROM = 0x0c, /* who gave the label, the same two bits */
	NPT_SETTLED_PROXY = 0x10,      /* within a PROXY line (no label is known yet) */
	/* A label's own, each begins with its protocol: */
	NPT_SETTLED_ASKED = 0x10,   /* HTTP/1: a WebSocket; PostgreSQL, MySQL: TLS */
	NPT_SETTLED_GRANTED = 0x20, /* HTTP/1: 101 was answered; PostgreSQL: S */
	NPT_SETTLED_FRAME = 0x40, /* HTTP/1: and one frame seen; HTTP/2: within a block of fields */
	NPT_SETTLED_BEGIN = 0x80, /* HTTP/2: the connection was seen from its begin */
};

NPT_PROTOCOL_INLINE __u32 npt_hint_from(const struct npt_bpf_classified *now)
{
	return now->settled & NPT_SETTLED_HINT_FROM;
}

NPT_PROTOCOL_INLINE __u32 npt_label_from(const struct npt_bpf_classified *now)
{
	return (now->settled & NPT_SETTLED_LABEL_FROM) >> 2;
}

NPT_PROTOCOL_INLINE void npt_settle(struct npt_bpf_classified *now, __u32 confidence)
{
	now->confidence = (__u8)confidence;
	now->final = 1;
}
