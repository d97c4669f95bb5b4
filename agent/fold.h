/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Fold - from the kernel's slots to an edge's differences. Pure: no kernel, no names.
 *
 * Counters in a slot only grow, with one exception: the bytes of a connection may step back by one
 * for an instant (a FIN that is counted before it is known as one). A step back is held until the
 * counter is past it again, so that sums of differences are right and no difference is negative.
 */
#include "bpf/measure.h"
#include "lib/model/report.h"

/* What the running kernel means by its numbers. */
struct npt_fold_names {
	void (*drop_reason)(const void *context, uint32_t reason, char *out, size_t size_bytes);
	void (*reset_reason)(const void *context, uint32_t reason, char *out, size_t size_bytes);
	const void *context;
	uint32_t jiffies_per_second;
};

/*
 * Copies a slot that the kernel goes on writing, and takes its maxima (they start again at 0).
 */
void npt_fold_read_slot(struct npt_bpf_slot *live, struct npt_bpf_slot *copy);

/* The same of a queue: its smallest RTT is taken. */
void npt_fold_read_queue(struct npt_bpf_queue *live, struct npt_bpf_queue *copy);

/*
 * Sets *delta's numbers to what is new in now since seen, and makes seen what was told. Identity
 * fields of delta are left alone. True if anything is new or a connection is open.
 */
bool npt_fold_advance(struct npt_bpf_slot *seen, const struct npt_bpf_slot *now,
		      const struct npt_fold_names *names, struct npt_edge *delta);

/*
 * The same for what waits: gauges as they are (the smallest RTT is one), the counter among them as
 * a difference.
 */
bool npt_fold_queue(__u64 *seen_listen_drops, const struct npt_bpf_queue *now,
		    struct npt_edge *delta);

/*
 * The same for what is spoken: the label as it is now, counters as differences. After
 * npt_fold_advance(), whose count of open connections it corrects by those that moved.
 */
bool npt_fold_speech(struct npt_bpf_speech *seen, const struct npt_bpf_speech *now,
		     struct npt_edge *delta);
