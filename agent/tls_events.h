/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS events - from the kernel's records of handshakes to facts, and from those back to the names
 * of edges: what ALPN says is inside of a TLS connection. Where probe/ and tls/ meet.
 */
#include "agent/probe/probe.h"
#include "agent/tls/handshakes.h"

/* Takes in what came since the last call; before edges are read. */
void npt_tls_events_read(struct npt_tls_handshakes *handshakes, struct npt_probe *probe);
/* Handshakes that are not told for want of room, here or in the kernel. */
uint64_t npt_tls_events_lost(const struct npt_tls_handshakes *handshakes, struct npt_probe *probe);
