/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way leads through one process in one direction. Its inner hops are connections with programs of
 * the same pod, seen from their client's end; its outer hops go to or come from elsewhere.
 *
 *	inbound:   elsewhere -> process (outer), process -> program (inner)
 *	outbound:  program -> process (inner), process -> elsewhere (outer)
 *
 * A program that answers one request by asking a database once looks the same. So outbound, only
 * what was redirected counts as inner: the program asked for another place and reached the process
 * by loopback, as no database's client is reached. Inbound nothing of the kind is seen; there the
 * bytes must tell: what is not HTTP goes on as it is, or it is something else.
 *
 * Outer hops to the place that the program asked for are looked at first, on their own; what is
 * left (the process chose the place) as one sum. Of a sum, an edge is linked only if it has more
 * turns than may have begun in the process itself.
 */
#include "lib/model/hops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"

struct hop {
	struct npt_edge *edge;
	uint32_t pid; /* of the process that the way leads through */
	bool outbound;
	bool inner;
	bool settled; /* its messages are accounted for */
};

struct flow {
	uint64_t turns;
	uint64_t requested_bytes;
	uint64_t responded_bytes;
	uint64_t opened;
	bool crossed; /* messages crossed each other: turns cannot be compared */
};

struct way {
	struct flow inner, outer;
	const char *name; /* for the outer hops: NULL if the inner ones do not say one */
	bool several;     /* names, or an inner hop without one */
	const struct npt_edge *plain; /* the inner hop with most turns */
};

/* A proxy may change the version of HTTP, and what gRPC says may come as plain HTTP. */
static const char *name_outside(const struct npt_edge *inner)
{
	static const char *const versions[] = { "http", "http1", "http2", "grpc" };

	if (inner->tls == NPT_TLS_YES || !npt_protocol_is_known(inner->protocol))
		return NULL;
	/* A gateway's other side: nobody speaks it through TLS. */
	if (strcmp(inner->protocol, "fastcgi") == 0)
		return NULL;
	for (size_t i = 0; i < NPT_ARRAY_SIZE(versions); i++) {
		if (strcmp(inner->protocol, versions[i]) == 0)
			return "http";
	}
	return inner->protocol;
}

static bool is_same(const char *known, const char *name)
{
	struct npt_edge edge = { .tls = NPT_TLS_NO };

	(void)snprintf(edge.protocol, sizeof(edge.protocol), "%s", known);
	known = name_outside(&edge);
	return known && strcmp(known, name) == 0;
}

static uint64_t turns_of(const struct npt_edge *edge)
{
	return edge->metrics[NPT_METRIC_RESPONSE].count +
	       edge->metrics[NPT_METRIC_RESPONSE].overlapped;
}

static bool is_idle(const struct npt_edge *edge)
{
	return edge->sent.bytes == 0 && edge->received.bytes == 0;
}

static void add_flow(struct flow *flow, const struct npt_edge *edge)
{
	bool client = edge->role == NPT_ROLE_CLIENT;

	flow->turns += turns_of(edge);
	flow->requested_bytes += client ? edge->sent.bytes : edge->received.bytes;
	flow->responded_bytes += client ? edge->received.bytes : edge->sent.bytes;
	flow->opened += edge->connections.opened;
	flow->crossed |=
		npt_metric_quality(NPT_METRIC_RESPONSE, &edge->metrics[NPT_METRIC_RESPONSE]) ==
		NPT_QUALITY_UNAVAILABLE;
}

static void add_inner(struct way *way, const struct npt_edge *edge)
{
	const char *name = name_outside(edge);

	add_flow(&way->inner, edge);
	if (!name || (way->name && strcmp(way->name, name) != 0))
		way->several = true;
	else
		way->name = name;
	if (!way->plain || turns_of(edge) > turns_of(way->plain))
		way->plain = edge;
}

static struct way add_up(const struct hop *hops, size_t count)
{
	struct way way = { 0 };

	for (size_t i = 0; i < count; i++) {
		if (hops[i].settled || is_idle(hops[i].edge))
			continue;
		if (hops[i].inner)
			add_inner(&way, hops[i].edge);
		else
			add_flow(&way.outer, hops[i].edge);
	}
	return way;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static bool turns_agree(const struct way *way)
{
	uint64_t inner = way->inner.turns, outer = way->outer.turns;
	uint64_t may = inner / NPT_HOPS_TURNS_PART + NPT_HOPS_TURNS_SLACK;

	if (way->inner.crossed || way->outer.crossed || inner < NPT_HOPS_TURNS_MIN)
		return false;
	return less(inner, outer) <= may &&
	       less(outer, inner + NPT_HOPS_HANDSHAKE_TURNS * way->outer.opened) <= may;
}

static bool bytes_agree(const struct way *way, uint64_t inner, uint64_t outer)
{
	bool http = way->several || strcmp(way->name, "http") == 0;
	uint64_t part = http ? NPT_HOPS_HTTP_PART : NPT_HOPS_OPAQUE_PART;
	uint64_t each = http ? NPT_HOPS_HTTP_BYTES : NPT_HOPS_OPAQUE_BYTES;
	uint64_t more = inner / part + each * way->inner.turns +
			NPT_HOPS_HANDSHAKE_BYTES * way->outer.opened;
	uint64_t fewer = http ? more : inner / part;

	return less(outer, inner) <= more && less(inner, outer) <= fewer;
}

static bool is_way(const struct way *way)
{
	return way->plain && turns_agree(way) &&
	       bytes_agree(way, way->inner.requested_bytes, way->outer.requested_bytes) &&
	       bytes_agree(way, way->inner.responded_bytes, way->outer.responded_bytes);
}

/* Of the outer hops' turns, those that may be none of the inner hops'. A handshake has one. */
static uint64_t own_turns(const struct way *way)
{
	return less(way->outer.turns, way->inner.turns + way->outer.opened) + NPT_HOPS_TURNS_SLACK;
}

static void link_edge(struct npt_edge *edge, const struct way *way)
{
	const struct npt_edge *plain = way->plain;
	bool known = npt_protocol_is_known(edge->protocol);

	if (edge->tls != NPT_TLS_YES ||
	    less(turns_of(edge), edge->connections.opened) <= own_turns(way))
		return;
	if (known && !is_same(edge->protocol, way->name))
		return;
	/* Its library was listened to, and what it moved has no name. */
	if (!known && (edge->tls_calls.writes > 0 || edge->tls_calls.reads > 0))
		return;
	(void)snprintf(edge->hop.name, sizeof(edge->hop.name), "%s", way->name);
	memcpy(edge->hop.protocol, plain->protocol, sizeof(edge->hop.protocol));
	edge->hop.port = plain->peer.port;
	if (edge->role == NPT_ROLE_CLIENT) {
		edge->hop.pid = plain->process.pid;
		memcpy(edge->hop.process, plain->process.name, sizeof(edge->hop.process));
	} else {
		edge->hop.pid = plain->peer.pid;
		(void)snprintf(edge->hop.process, sizeof(edge->hop.process), "%.*s",
			       NPT_PROCESS_BYTES - 1, plain->peer.name);
	}
}

/* Hops whose messages are the same are not looked at again. */
static void settle(struct hop *hops, size_t count)
{
	struct way way = add_up(hops, count);

	if (!is_way(&way))
		return;
	for (size_t i = 0; i < count; i++) {
		if (hops[i].settled || is_idle(hops[i].edge))
			continue;
		hops[i].settled = true;
		if (!hops[i].inner && !way.several)
			link_edge(hops[i].edge, &way);
	}
}

static bool is_same_way(const struct hop *a, const struct hop *b)
{
	return a->pid == b->pid && a->outbound == b->outbound;
}

/* The hops of one process in one direction, by the place that was asked for. */
static void settle_way(struct hop *hops, size_t count)
{
	size_t next;

	for (size_t i = 0; hops[0].outbound && i < count; i = next) {
		const char *asked = hops[i].edge->peer.asked;

		for (next = i + 1; next < count; next++) {
			if (strcmp(hops[next].edge->peer.asked, asked) != 0)
				break;
		}
		if (asked[0])
			settle(hops + i, next - i);
	}
	settle(hops, count);
}

static bool is_loopback(const char *endpoint)
{
	return strncmp(endpoint, "127.", 4) == 0 || strncmp(endpoint, "[::1]", 5) == 0;
}

static bool is_redirected(const struct npt_peer *peer)
{
	return peer->asked[0] && !is_loopback(peer->asked) && is_loopback(peer->reached);
}

/* Adds at most two: a client's edge may lead into its peer, and out of its process. */
static size_t add_hops(struct npt_edge *edge, struct hop *hops)
{
	bool client = edge->role == NPT_ROLE_CLIENT, inner = edge->peer.kind == NPT_PEER_PROCESS;
	size_t count = 0;

	if (strcmp(edge->transport, "tcp") != 0 || edge->role == NPT_ROLE_UNKNOWN)
		return 0;
	if (inner && client && edge->peer.pid != 0 && is_redirected(&edge->peer))
		hops[count++] = (struct hop){
			.edge = edge, .pid = edge->peer.pid, .outbound = true, .inner = true
		};
	if (inner == client)
		hops[count++] =
			(struct hop){ .edge = edge, .pid = edge->process.pid, .inner = inner };
	else if (client)
		hops[count++] =
			(struct hop){ .edge = edge, .pid = edge->process.pid, .outbound = true };
	return count;
}

static int compare_hops(const void *left, const void *right)
{
	const struct hop *a = left, *b = right;
	int asked;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->outbound != b->outbound)
		return a->outbound ? 1 : -1;
	asked = strcmp(a->edge->peer.asked, b->edge->peer.asked);
	if (asked != 0)
		return asked;
	return a->edge < b->edge ? -1 : a->edge > b->edge;
}

void npt_hops_link(struct npt_report *report)
{
	npt_auto_free struct hop *hops = npt_alloc(2 * report->edges_count + 1, sizeof(*hops));
	size_t count = 0, next;

	for (size_t i = 0; i < report->edges_count; i++) {
		memset(&report->edges[i].hop, 0, sizeof(report->edges[i].hop));
		count += add_hops(&report->edges[i], hops + count);
	}
	qsort(hops, count, sizeof(*hops), compare_hops);
	for (size_t i = 0; i < count; i = next) {
		for (next = i + 1; next < count; next++) {
			if (!is_same_way(&hops[i], &hops[next]))
				break;
		}
		settle_way(hops + i, next - i);
	}
}
