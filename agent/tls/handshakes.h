/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Handshakes - those of all connections of this agent, and what they add to each edge.
 *
 * Two bounded tables. Connections by their number: at the maximum the one that was silent for the
 * longest is forgotten, and counted if its handshake was not over. Edges by their slot: the facts
 * of the last completed handshake (of the last hello, as long as none was completed) stay until the
 * slot is forgotten; counts are taken as differences. A handshake counts for the edge that its
 * connection had with the last event; while that is NPT_SLOT_NONE it waits for one.
 *
 * Owned by whoever called npt_tls_handshakes_new(); one thread. About 2 KiB for each connection and
 * 2 KiB for each slot with news.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/measure.h"
#include "bpf/protocol.h"
#include "lib/core/cleanup.h"
#include "lib/model/report.h"

#define NPT_TLS_CONNECTIONS_MAX 4096
#define NPT_TLS_SETTLE_NS       UINT64_C(1000000000)

struct npt_tls_handshakes;

/* What was given up or refused, since the start: numbers, never silence. */
struct npt_tls_handshakes_stats {
	uint64_t evicted;       /* connections whose handshake was not over yet */
	uint64_t unseen;        /* handshakes of which a part was missed: not counted for an edge */
	uint64_t unowned;       /* outcomes of connections that never got an edge */
	uint64_t refused;       /* events that no kernel tells */
	uint64_t bad_hellos;    /* whose lengths contradict each other */
	uint64_t refused_names; /* of hosts and of ALPN, that are not printable or too long */
};

/* At most so many connections at a time. */
struct npt_tls_handshakes *npt_tls_handshakes_new(size_t connections_max);
void npt_tls_handshakes_free(struct npt_tls_handshakes *table);
NPT_DEFINE_AUTO(struct npt_tls_handshakes *, npt_tls_handshakes_free)

/*
 * Takes an event in. True if the protocol inside of this connection became known by it, or changed:
 * npt_tls_handshakes_inner() tells it.
 */
bool npt_tls_handshakes_add(struct npt_tls_handshakes *table,
			    const struct npt_bpf_tls_event *event);
/*
 * Completes handshakes that wait since NPT_TLS_SETTLE_NS for a last word that the other side need
 * not say, and forgets those that failed with their connection's close so long ago: until then the
 * alert may be read that a reset had overtaken. To be called before edges are read; now_ns is the
 * events' clock.
 */
void npt_tls_handshakes_settle(struct npt_tls_handshakes *table, uint64_t now_ns);
/*
 * Sets tls_facts and handshakes of an edge to what is new since the last call; the rest of it is
 * left alone. False if there is nothing new: then nothing is set. An edge whose tls is NO gets no
 * facts: its connection moved to another edge when it had said hello.
 */
bool npt_tls_handshakes_take(struct npt_tls_handshakes *table, uint32_t slot,
			     struct npt_edge *delta);
/* The slot is another edge's from now on. Its connections have none until an event names it. */
void npt_tls_handshakes_forget(struct npt_tls_handshakes *table, uint32_t slot);
/*
 * The protocol inside of a connection that is still known here, by ALPN, with its confidence in per
 * cent: NPT_TLS_INNER_AGREED or NPT_TLS_INNER_OFFERED (agent/tls/alpn.h). False: not known.
 */
bool npt_tls_handshakes_inner(const struct npt_tls_handshakes *table, uint64_t connection,
			      enum npt_bpf_protocol *protocol_ret, uint32_t *confidence_ret);
/* The same of the connection that last said so on that slot. */
bool npt_tls_handshakes_slot_inner(const struct npt_tls_handshakes *table, uint32_t slot,
				   enum npt_bpf_protocol *protocol_ret, uint32_t *confidence_ret);
void npt_tls_handshakes_stats(const struct npt_tls_handshakes *table,
			      struct npt_tls_handshakes_stats *stats_ret);
