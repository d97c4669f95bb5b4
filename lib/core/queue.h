/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Queue - how threads meet: a bounded first-in first-out of pointers.
 *
 * Any thread may push or pop. A full queue refuses (and counts) rather than grow or block. Its file
 * descriptor is readable while something is queued, so that a loop can wait for it.
 */
#include "lib/core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct npt_queue;

/* free_item is called for what is still queued when the queue is freed. */
struct npt_queue *npt_queue_new(size_t max_items, void (*free_item)(void *item));
void npt_queue_free(struct npt_queue *queue);
/* 0; -ENOSPC: full; -EPIPE: closed. The item then stays the caller's. */
int npt_queue_push(struct npt_queue *queue, void *item);
/* The oldest item, the caller's from now on; NULL when empty. Does not wait. */
void *npt_queue_pop(struct npt_queue *queue);
/* Waits up to timeout_ms (-1: for ever); NULL on time-out or when closed and empty. */
void *npt_queue_wait(struct npt_queue *queue, int timeout_ms);
/* No more pushes; waiters wake up. */
void npt_queue_close(struct npt_queue *queue);
int npt_queue_fd(const struct npt_queue *queue);
/* How many items are in it. */
size_t npt_queue_count(struct npt_queue *queue);
/* How many pushes were refused because the queue was full. */
uint64_t npt_queue_refused(struct npt_queue *queue);
NPT_DEFINE_AUTO(struct npt_queue *, npt_queue_free)
