/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/probe/closer.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "lib/core/alloc.h"

#define THREADS_MAX 32
#define STACK_BYTES (64 * 1024)

struct npt_closer {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* the last thread has ended */
	int *fds;
	size_t count;
	size_t room;
	size_t threads;
};

struct npt_closer *npt_closer_new(void)
{
	struct npt_closer *closer = npt_alloc(1, sizeof(*closer));

	(void)pthread_mutex_init(&closer->lock, NULL);
	(void)pthread_cond_init(&closer->idle, NULL);
	return closer;
}

/* Ends when nothing is left: there is none of them while nothing is taken away. */
static void *work(void *context)
{
	struct npt_closer *closer = context;

	(void)pthread_mutex_lock(&closer->lock);
	while (closer->count > 0) {
		int fd = closer->fds[--closer->count];

		(void)pthread_mutex_unlock(&closer->lock);
		(void)close(fd);
		(void)pthread_mutex_lock(&closer->lock);
	}
	if (--closer->threads == 0)
		(void)pthread_cond_signal(&closer->idle);
	(void)pthread_mutex_unlock(&closer->lock);
	return NULL;
}

/* With the lock held. */
static bool start(struct npt_closer *closer)
{
	pthread_attr_t attributes;
	pthread_t thread;
	bool started;

	if (closer->threads >= THREADS_MAX)
		return true;
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	started = pthread_create(&thread, &attributes, work, closer) == 0;
	(void)pthread_attr_destroy(&attributes);
	closer->threads += started;
	return started || closer->threads > 0;
}

void npt_closer_close(struct npt_closer *closer, int fd)
{
	bool later;

	(void)pthread_mutex_lock(&closer->lock);
	if (closer->count == closer->room) {
		closer->room = closer->room ? closer->room * 2 : 16;
		closer->fds = npt_realloc(closer->fds, closer->room, sizeof(*closer->fds));
	}
	closer->fds[closer->count++] = fd;
	later = start(closer);
	if (!later)
		closer->count--;
	(void)pthread_mutex_unlock(&closer->lock);
	if (!later)
		(void)close(fd);
}

void npt_closer_free(struct npt_closer *closer)
{
	if (!closer)
		return;
	(void)pthread_mutex_lock(&closer->lock);
	while (closer->threads > 0)
		(void)pthread_cond_wait(&closer->idle, &closer->lock);
	(void)pthread_mutex_unlock(&closer->lock);
	(void)pthread_cond_destroy(&closer->idle);
	(void)pthread_mutex_destroy(&closer->lock);
	free(closer->fds);
	free(closer);
}
