/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "tests/support/test.h"

static bool readable(const struct npt_queue *queue)
{
	struct pollfd fd = { .fd = npt_queue_fd(queue), .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

static void is_first_in_first_out_and_bounded(void)
{
	npt_auto(npt_queue_free) struct npt_queue *queue = npt_queue_new(2, NULL);
	int a = 0, b = 0, c = 0;

	NPT_CHECK(npt_queue_push(queue, &a) == 0);
	NPT_CHECK(npt_queue_push(queue, &b) == 0);
	NPT_CHECK(npt_queue_push(queue, &c) == -ENOSPC);
	NPT_CHECK_INT(npt_queue_refused(queue), 1);
	NPT_CHECK_INT(npt_queue_count(queue), 2);
	NPT_CHECK(npt_queue_pop(queue) == &a);
	NPT_CHECK(npt_queue_pop(queue) == &b);
	NPT_CHECK(npt_queue_pop(queue) == NULL);
}

static void its_descriptor_is_readable_while_something_is_queued(void)
{
	npt_auto(npt_queue_free) struct npt_queue *queue = npt_queue_new(2, NULL);
	int a = 0;

	NPT_CHECK(!readable(queue));
	NPT_CHECK(npt_queue_push(queue, &a) == 0);
	NPT_CHECK(npt_queue_push(queue, &a) == 0);
	(void)npt_queue_pop(queue);
	NPT_CHECK(readable(queue));
	(void)npt_queue_pop(queue);
	NPT_CHECK(!readable(queue));
	npt_queue_close(queue);
	NPT_CHECK(readable(queue));
	NPT_CHECK(npt_queue_push(queue, &a) == -EPIPE);
}

static void *push_many(void *argument)
{
	static int items[1000];

	for (size_t i = 0; i < 1000; i++) {
		while (npt_queue_push(argument, &items[i]) == -ENOSPC)
			(void)poll(NULL, 0, 1);
	}
	npt_queue_close(argument);
	return NULL;
}

static void carries_everything_between_threads_in_order(void)
{
	npt_auto(npt_queue_free) struct npt_queue *queue = npt_queue_new(16, NULL);
	pthread_t thread;
	int *item, *last = NULL;
	int count = 0;

	NPT_CHECK(pthread_create(&thread, NULL, push_many, queue) == 0);
	while ((item = npt_queue_wait(queue, 10000))) {
		NPT_CHECK(last == NULL || item == last + 1);
		last = item;
		count++;
	}
	(void)pthread_join(thread, NULL);
	NPT_CHECK_INT(count, 1000);
}

static const struct npt_test tests[] = {
	NPT_TEST(is_first_in_first_out_and_bounded),
	NPT_TEST(its_descriptor_is_readable_while_something_is_queued),
	NPT_TEST(carries_everything_between_threads_in_order),
};
NPT_TEST_MAIN(tests)
