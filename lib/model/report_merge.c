/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quality merges to the worse one: a sum with a sampled part is sampled.
 */
#include "lib/model/report_merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void merge_counts(struct npt_named_count *into, const struct npt_named_count *from,
			 size_t max)
{
	for (size_t i = 0; i < max && from[i].name[0]; i++)
		npt_named_count_add(into, max, from[i].name, from[i].count);
}

static void merge_metric(struct npt_metric *into, const struct npt_metric *from)
{
	into->count += from->count;
	into->bytes += from->bytes;
	into->overlapped += from->overlapped;
	if (from->min_micros && (!into->min_micros || from->min_micros < into->min_micros))
		into->min_micros = from->min_micros;
	if (from->quality > into->quality)
		into->quality = from->quality;
	npt_histogram_merge(&into->micros, &from->micros);
}

static void merge_losses(struct npt_edge *into, const struct npt_edge *later)
{
	into->retransmit.segments += later->retransmit.segments;
	into->retransmit.bytes += later->retransmit.bytes;
	into->retransmit.syn += later->retransmit.syn;
	into->retransmit.tail_loss += later->retransmit.tail_loss;
	into->retransmit.spurious += later->retransmit.spurious;
	merge_counts(into->drops, later->drops, NPT_EDGE_DROPS_MAX);
	into->drops_unspecified += later->drops_unspecified;
	merge_counts(into->resets_sent, later->resets_sent, NPT_EDGE_RESETS_MAX);
	merge_counts(into->resets_received, later->resets_received, NPT_EDGE_RESETS_MAX);
}

static void merge_tls(struct npt_edge *into, const struct npt_edge *later)
{
	into->handshakes.count += later->handshakes.count;
	into->handshakes.resumed += later->handshakes.resumed;
	into->handshakes.client_certificates += later->handshakes.client_certificates;
	into->handshakes.failed += later->handshakes.failed;
	merge_counts(into->handshakes.alerts_sent, later->handshakes.alerts_sent,
		     NPT_EDGE_ALERTS_MAX);
	merge_counts(into->handshakes.alerts_received, later->handshakes.alerts_received,
		     NPT_EDGE_ALERTS_MAX);
	npt_histogram_merge(&into->handshakes.micros, &later->handshakes.micros);
	into->tls_calls.writes += later->tls_calls.writes;
	into->tls_calls.written_bytes += later->tls_calls.written_bytes;
	into->tls_calls.reads += later->tls_calls.reads;
	into->tls_calls.read_bytes += later->tls_calls.read_bytes;
}

static void merge_waits(struct npt_edge *into, const struct npt_edge *later)
{
	uint64_t listen_drops = into->queue.listen_drops + later->queue.listen_drops;

	into->limited.application_micros += later->limited.application_micros;
	into->limited.receive_window_micros += later->limited.receive_window_micros;
	into->limited.send_buffer_micros += later->limited.send_buffer_micros;
	into->limited.network_micros += later->limited.network_micros;
	into->queue = later->queue;
	into->queue.listen_drops = listen_drops;
}

/* They are made of the numbers, which are others now. */
static void clear_conclusions(struct npt_edge *edge)
{
	memset(&edge->finding, 0, sizeof(edge->finding));
	memset(&edge->hop, 0, sizeof(edge->hop));
}

static void take_known(char *into, const char *later, size_t size_bytes)
{
	if (later[0])
		memcpy(into, later, size_bytes);
}

void npt_edge_relabel(struct npt_edge *into, const struct npt_edge *later)
{
	if (npt_protocol_is_known(later->protocol) || into->protocol[0] == '\0') {
		memcpy(into->protocol, later->protocol, sizeof(into->protocol));
		into->protocol_confidence_permille = later->protocol_confidence_permille;
	}
	if (later->tls != NPT_TLS_UNKNOWN)
		into->tls = later->tls;
	take_known(into->tls_facts.version, later->tls_facts.version,
		   sizeof(into->tls_facts.version));
	take_known(into->tls_facts.sni, later->tls_facts.sni, sizeof(into->tls_facts.sni));
	take_known(into->tls_facts.alpn, later->tls_facts.alpn, sizeof(into->tls_facts.alpn));
	take_known(into->tls_facts.cipher, later->tls_facts.cipher, sizeof(into->tls_facts.cipher));
}

void npt_edge_merge(struct npt_edge *into, const struct npt_edge *later)
{
	into->process = later->process;
	into->peer = later->peer;
	npt_edge_relabel(into, later);
	into->connections.open = later->connections.open;
	into->connections.opened += later->connections.opened;
	into->connections.found += later->connections.found;
	into->connections.closed += later->connections.closed;
	into->connections.moved_in += later->connections.moved_in;
	into->connections.moved_out += later->connections.moved_out;
	into->connections.kernel_tls += later->connections.kernel_tls;
	merge_counts(into->connections.failed, later->connections.failed, NPT_EDGE_FAILED_MAX);
	into->sent.bytes += later->sent.bytes;
	into->sent.segments += later->sent.segments;
	into->received.bytes += later->received.bytes;
	into->received.segments += later->received.segments;
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++)
		merge_metric(&into->metrics[i], &later->metrics[i]);
	merge_losses(into, later);
	merge_waits(into, later);
	merge_tls(into, later);
	clear_conclusions(into);
}

bool npt_edge_same(const struct npt_edge *a, const struct npt_edge *b)
{
	return a->process.pid == b->process.pid && a->process.start_ns == b->process.start_ns &&
	       a->role == b->role && a->peer.port == b->peer.port && a->peer.pid == b->peer.pid &&
	       a->label == b->label && strcmp(a->transport, b->transport) == 0 &&
	       strcmp(a->process.pod, b->process.pod) == 0 &&
	       strcmp(a->peer.address, b->peer.address) == 0 &&
	       (a->role != NPT_ROLE_CLIENT || strcmp(a->peer.asked, b->peer.asked) == 0);
}

#define FNV_BASIS UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

/* FNV-1a, as published; text with its NUL, so that neighbours do not run together. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * FNV_PRIME;
	while (*text++);
	return hash;
}

static uint64_t add_number(uint64_t hash, uint64_t number)
{
	for (unsigned int shift = 0; shift < 64; shift += 8)
		hash = (hash ^ (number >> shift & 0xff)) * FNV_PRIME;
	return hash;
}

/* What npt_edge_same() compares. */
uint64_t npt_edge_key(const struct npt_edge *edge)
{
	uint64_t hash = add_number(FNV_BASIS, edge->process.pid);

	hash = add_number(hash, edge->process.start_ns);
	hash = add_number(hash, edge->role);
	hash = add_number(hash, edge->peer.port);
	hash = add_number(hash, edge->peer.pid);
	hash = add_number(hash, edge->label);
	hash = add_text(hash, edge->transport);
	hash = add_text(hash, edge->process.pod);
	hash = add_text(hash, edge->peer.address);
	return add_text(hash, edge->role == NPT_ROLE_CLIENT ? edge->peer.asked : "");
}

void npt_edge_id(const struct npt_edge *edge, char id_ret[static NPT_EDGE_ID_BYTES])
{
	(void)snprintf(id_ret, NPT_EDGE_ID_BYTES, "%016" PRIx64, npt_edge_key(edge));
}

bool npt_edge_key_from_id(const char *id, uint64_t *key_ret)
{
	if (strlen(id) != NPT_EDGE_ID_BYTES - 1 ||
	    strspn(id, "0123456789abcdef") != NPT_EDGE_ID_BYTES - 1)
		return false;
	*key_ret = strtoull(id, NULL, 16);
	return true;
}

/* Windows of one pod mostly list the same edges in the same order: the guess is its place. */
static struct npt_edge *find_same(struct npt_report *report, const struct npt_edge *edge,
				  size_t guess)
{
	if (guess < report->edges_count && npt_edge_same(&report->edges[guess], edge))
		return &report->edges[guess];
	for (size_t i = 0; i < report->edges_count; i++) {
		if (npt_edge_same(&report->edges[i], edge))
			return &report->edges[i];
	}
	return NULL;
}

static struct npt_tls_use *find_use(const struct npt_report *report, const struct npt_tls_use *use)
{
	for (size_t i = 0; i < report->tls_count; i++) {
		if (report->tls[i].pid == use->pid && report->tls[i].start_ns == use->start_ns &&
		    strcmp(report->tls[i].library, use->library) == 0)
			return &report->tls[i];
	}
	return NULL;
}

void npt_report_merge_tls(struct npt_report *into, const struct npt_report *later)
{
	into->tls_other = later->tls_other;
	for (size_t i = 0; i < later->tls_count; i++) {
		struct npt_tls_use *use = find_use(into, &later->tls[i]);

		if (!use)
			use = npt_report_add_tls(into);
		if (use)
			*use = later->tls[i];
	}
}

void npt_report_merge(struct npt_report *into, const struct npt_report *later)
{
	for (size_t i = 0; i < later->edges_count; i++) {
		struct npt_edge *edge = find_same(into, &later->edges[i], i);

		if (edge) {
			npt_edge_merge(edge, &later->edges[i]);
			continue;
		}
		edge = npt_report_add_edge(into);
		if (!edge) {
			into->other_edges++;
			continue;
		}
		*edge = later->edges[i];
		clear_conclusions(edge);
	}
	into->duration_ms = later->start_unix_ms + later->duration_ms - into->start_unix_ms;
	into->sequence = later->sequence;
	into->lost = later->lost;
	into->cost = later->cost;
	memcpy(into->unavailable, later->unavailable, sizeof(into->unavailable));
	memcpy(into->sources, later->sources, sizeof(into->sources));
	npt_report_merge_tls(into, later);
}
