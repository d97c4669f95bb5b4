/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Hops - what comes to a sidecar encrypted goes on to its program in plain, and the other way
 * round: two edges of one process with the same messages. What is spoken inside of TLS that cannot
 * be looked into is told by the plain one (docs/protocols.md has the conditions).
 *
 * Pure: the same report gives the same links, whatever they were before. Wrong is worse than
 * unknown: where it is not certain which messages went on, or the numbers of both hops disagree,
 * nothing is linked.
 */
#include "lib/model/report.h"

#define NPT_HOPS_CONFIDENCE      700 /* permille; less than whatever was read on the wire */
#define NPT_HOPS_TURNS_MIN       10  /* requests with their responses, on the plain hop */
#define NPT_HOPS_TURNS_PART      10  /* that may be on one hop alone: one in so many... */
#define NPT_HOPS_TURNS_SLACK     2   /* ...and those that are under way */
#define NPT_HOPS_HANDSHAKE_TURNS 2   /* of a connection with TLS: at most */
#define NPT_HOPS_HANDSHAKE_BYTES 8192
/* What a proxy does to messages of HTTP, each way: its headers, another version, compression. */
#define NPT_HOPS_HTTP_PART  4 /* of the bytes: one in so many */
#define NPT_HOPS_HTTP_BYTES 1024
/* What TLS alone adds to bytes that are passed on as they are. */
#define NPT_HOPS_OPAQUE_PART  20
#define NPT_HOPS_OPAQUE_BYTES 64

/* Sets the hop of every edge; nothing else changes. */
void npt_hops_link(struct npt_report *report);
