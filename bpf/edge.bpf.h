/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Edge - from a key to a slot, and how a slot counts.
 *
 * Slots come from a queue of free numbers. An edge that gets none goes to "other", counted in its
 * scope. Counters are added to with atomics: an edge is written from all CPUs.
 */
#include "bpf/state.bpf.h"

static __always_inline struct npt_bpf_slot *npt_slot(__u32 index)
{
	return bpf_map_lookup_elem(&npt_slots, &index);
}

static __always_inline void npt_add(__u64 *counter, __u64 value)
{
	__sync_fetch_and_add(counter, value);
}

static __always_inline void npt_metric_time(struct npt_bpf_metric_slot *metric, __u64 ns)
{
	__u64 micros = ns / 1000;
	__u32 bucket = npt_histogram_bucket(micros);

	npt_add(&metric->sum_ns, ns);
	/* The compiler knows the bound and would leave out the test that the verifier needs. */
	barrier_var(bucket);
	if (bucket < NPT_HISTOGRAM_BUCKETS)
		__sync_fetch_and_add(&metric->buckets[bucket], 1);
	if (micros > 0xffffffff)
		micros = 0xffffffff;
	/* Two at once may lose the smaller of two maxima for an instant; counts never. */
	if (micros > metric->max_micros)
		metric->max_micros = (__u32)micros;
}

/* The place of a code, a free one if it is new; what finds no place goes to *other. */
static __always_inline void npt_count_codes(struct npt_bpf_code_count *counts, __u32 places,
					    __u32 code, __u32 count, __u64 *other)
{
	for (__u32 i = 0; i < places; i++) {
		__u32 there = __sync_val_compare_and_swap(&counts[i].code, 0, code);

		if (there == 0 || there == code) {
			__sync_fetch_and_add(&counts[i].count, count);
			return;
		}
	}
	npt_add(other, count);
}

static __noinline __u32 npt_edge_overflow(__u32 scope)
{
	struct npt_bpf_scope_state *state = bpf_map_lookup_elem(&npt_scope_state, &scope);

	npt_count_loss(NPT_LOSS_EDGE);
	if (state)
		npt_add(&state->other_connections, 1);
	return NPT_SLOT_OTHER;
}

static __always_inline __u32 npt_edge_make(const struct npt_bpf_edge_key *key)
{
	struct npt_bpf_scope_state *state;
	struct npt_bpf_slot *slot;
	__u32 scope = key->process.scope, index = 0, *found;

	state = bpf_map_lookup_elem(&npt_scope_state, &scope);
	if (!state || state->edges >= state->edges_max || npt_refuse_edges)
		return npt_edge_overflow(scope);
	if (bpf_map_pop_elem(&npt_free_slots, &index))
		return npt_edge_overflow(scope);
	slot = npt_slot(index);
	if (!slot)
		return npt_edge_overflow(scope);
	slot->key = *key;
	slot->ever_used = 1;
	if (bpf_map_update_elem(&npt_edges, key, &index, BPF_NOEXIST)) {
		bpf_map_push_elem(&npt_free_slots, &index, 0);
		found = bpf_map_lookup_elem(&npt_edges, key);
		return found ? *found : npt_edge_overflow(scope);
	}
	__sync_fetch_and_add(&state->edges, 1);
	return index;
}

static __noinline __u32 npt_edge_slot(const struct npt_bpf_edge_key *key)
{
	__u32 *found;

	if (!key)
		return NPT_SLOT_OTHER;
	found = bpf_map_lookup_elem(&npt_edges, key);
	if (found)
		return *found;
	return npt_edge_make(key);
}

/* The same for who only adds a time: a connection that gets no edge is counted when it is owned. */
static __always_inline __u32 npt_edge_slot_quietly(const struct npt_bpf_edge_key *key)
{
	__u32 scope = key->process.scope, *found = bpf_map_lookup_elem(&npt_edges, key);
	struct npt_bpf_scope_state *state;

	if (found)
		return *found;
	state = bpf_map_lookup_elem(&npt_scope_state, &scope);
	if (!state || state->edges >= state->edges_max || npt_refuse_edges)
		return NPT_SLOT_OTHER;
	return npt_edge_slot(key);
}
