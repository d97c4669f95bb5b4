/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring under a mutex. The eventfd is a level, not a counter: written when the queue becomes
 * non-empty or closed, read when it becomes empty.
 */
#include "lib/core/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

#include "lib/core/alloc.h"

struct npt_queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	void **items;
	size_t max_items;
	size_t head;
	size_t count;
	uint64_t refused;
	bool closed;
	int event_fd;
	void (*free_item)(void *item);
};

struct npt_queue *npt_queue_new(size_t max_items, void (*free_item)(void *item))
{
	struct npt_queue *queue = npt_alloc(1, sizeof(*queue));
	pthread_condattr_t attributes;

	assert(max_items > 0);
	queue->items = npt_alloc(max_items, sizeof(*queue->items));
	queue->max_items = max_items;
	queue->free_item = free_item;
	queue->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert(queue->event_fd >= 0);
	(void)pthread_mutex_init(&queue->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&queue->filled, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return queue;
}

void npt_queue_free(struct npt_queue *queue)
{
	void *item;

	if (!queue)
		return;
	while ((item = npt_queue_pop(queue))) {
		if (queue->free_item)
			queue->free_item(item);
	}
	(void)close(queue->event_fd);
	(void)pthread_cond_destroy(&queue->filled);
	(void)pthread_mutex_destroy(&queue->lock);
	free(queue->items);
	free(queue);
}

static void raise_event(const struct npt_queue *queue)
{
	(void)eventfd_write(queue->event_fd, 1);
}

int npt_queue_push(struct npt_queue *queue, void *item)
{
	int r = 0;

	(void)pthread_mutex_lock(&queue->lock);
	if (queue->closed) {
		r = -EPIPE;
	} else if (queue->count == queue->max_items) {
		queue->refused++;
		r = -ENOSPC;
	} else {
		queue->items[(queue->head + queue->count) % queue->max_items] = item;
		if (queue->count++ == 0)
			raise_event(queue);
		(void)pthread_cond_signal(&queue->filled);
	}
	(void)pthread_mutex_unlock(&queue->lock);
	return r;
}

/* With the lock held. */
static void *take_first(struct npt_queue *queue)
{
	eventfd_t value;
	void *item;

	if (queue->count == 0)
		return NULL;
	item = queue->items[queue->head];
	queue->head = (queue->head + 1) % queue->max_items;
	if (--queue->count == 0 && !queue->closed)
		(void)eventfd_read(queue->event_fd, &value);
	return item;
}

void *npt_queue_pop(struct npt_queue *queue)
{
	void *item;

	(void)pthread_mutex_lock(&queue->lock);
	item = take_first(queue);
	(void)pthread_mutex_unlock(&queue->lock);
	return item;
}

static struct timespec deadline_after(int timeout_ms)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += timeout_ms / 1000;
	at.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000L;
	}
	return at;
}

void *npt_queue_wait(struct npt_queue *queue, int timeout_ms)
{
	struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
	void *item;
	int r = 0;

	(void)pthread_mutex_lock(&queue->lock);
	while (queue->count == 0 && !queue->closed && r == 0) {
		if (timeout_ms < 0)
			r = pthread_cond_wait(&queue->filled, &queue->lock);
		else
			r = pthread_cond_timedwait(&queue->filled, &queue->lock, &deadline);
	}
	item = take_first(queue);
	(void)pthread_mutex_unlock(&queue->lock);
	return item;
}

void npt_queue_close(struct npt_queue *queue)
{
	(void)pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	raise_event(queue);
	(void)pthread_cond_broadcast(&queue->filled);
	(void)pthread_mutex_unlock(&queue->lock);
}

int npt_queue_fd(const struct npt_queue *queue)
{
	return queue->event_fd;
}

size_t npt_queue_count(struct npt_queue *queue)
{
	size_t count;

	(void)pthread_mutex_lock(&queue->lock);
	count = queue->count;
	(void)pthread_mutex_unlock(&queue->lock);
	return count;
}

uint64_t npt_queue_refused(struct npt_queue *queue)
{
	uint64_t refused;

	(void)pthread_mutex_lock(&queue->lock);
	refused = queue->refused;
	(void)pthread_mutex_unlock(&queue->lock);
	return refused;
}
