/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/workqueue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/clock.h"
#include "tests/support/test.h"

static uint64_t test_ns;

static uint64_t test_clock(void)
{
	return test_ns;
}

static void pass_ms(uint64_t ms)
{
	test_ns += ms * NPT_NS_PER_MS;
}

static struct npt_workqueue *new_queue(size_t max_keys)
{
	struct npt_workqueue_options options = { .max_keys = max_keys, .now_ns = test_clock };

	test_ns = NPT_NS_PER_SECOND;
	return npt_workqueue_new(&options);
}

/* Takes what is ready; it must be that key (NULL: nothing). Leaves it worked on. */
static void takes(struct npt_workqueue *queue, const char *expected)
{
	npt_auto_free char *key = npt_workqueue_take(queue, 0);

	NPT_CHECK_STR(key, expected);
}

/* C1 */
static void a_key_is_queued_once_in_order(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(8);

	NPT_CHECK_INT(npt_workqueue_add(queue, "a"), 0);
	NPT_CHECK_INT(npt_workqueue_add(queue, "b"), 0);
	NPT_CHECK_INT(npt_workqueue_add(queue, "a"), 0);
	takes(queue, "a");
	takes(queue, "b");
	takes(queue, NULL);
}

/* C1 */
static void a_key_that_is_worked_on_comes_again_when_done(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(8);

	(void)npt_workqueue_add(queue, "a");
	takes(queue, "a");
	(void)npt_workqueue_add(queue, "a");
	(void)npt_workqueue_add(queue, "a");
	takes(queue, NULL);
	npt_workqueue_done(queue, "a");
	takes(queue, "a");
	npt_workqueue_done(queue, "a");
	takes(queue, NULL);
}

/* C2 */
static void retries_are_later_each_time_until_forgotten(void)
{
	static const uint64_t delays_ms[] = { 5, 10, 20, 40, 80 };
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(8);

	for (size_t i = 0; i < NPT_ARRAY_SIZE(delays_ms); i++) {
		NPT_CHECK_INT(npt_workqueue_retry(queue, "a"), 0);
		pass_ms(delays_ms[i] - 1);
		takes(queue, NULL);
		pass_ms(1);
		takes(queue, "a");
		npt_workqueue_done(queue, "a");
	}
	npt_workqueue_forget(queue, "a");
	(void)npt_workqueue_retry(queue, "a");
	pass_ms(5);
	takes(queue, "a");
}

/* C2 */
static void retries_are_never_later_than_a_minute(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(8);

	for (size_t i = 0; i < 80; i++) {
		(void)npt_workqueue_retry(queue, "a");
		pass_ms(60000);
		takes(queue, "a");
		npt_workqueue_done(queue, "a");
	}
}

/* C2: 100 at once, then 10 a second; what is no retry is not held up. */
static void retries_of_all_keys_together_are_limited(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(300);
	struct npt_workqueue_stats stats;
	char key[16];

	for (unsigned int i = 0; i < 200; i++) {
		(void)snprintf(key, sizeof(key), "k%u", i);
		(void)npt_workqueue_retry(queue, key);
	}
	(void)npt_workqueue_add(queue, "new");
	takes(queue, "new");
	pass_ms(50);
	free(npt_workqueue_take(queue, 0));
	npt_workqueue_stats(queue, &stats);
	NPT_CHECK_INT(stats.depth, 99);
	NPT_CHECK_INT(stats.waiting, 100);
	pass_ms(2000);
	takes(queue, "k1");
	npt_workqueue_stats(queue, &stats);
	NPT_CHECK_INT(stats.waiting, 80);
}

/* C3: timers; of two the earlier one, and an add at once makes both needless. */
static void of_two_delays_the_earlier_counts(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(8);

	(void)npt_workqueue_add_after(queue, "a", 1000);
	(void)npt_workqueue_add_after(queue, "a", 100);
	(void)npt_workqueue_add_after(queue, "a", 500);
	(void)npt_workqueue_add_after(queue, "b", 50);
	pass_ms(99);
	takes(queue, "b");
	takes(queue, NULL);
	pass_ms(1);
	takes(queue, "a");
	npt_workqueue_done(queue, "a");
	pass_ms(2000);
	takes(queue, NULL);
	(void)npt_workqueue_add_after(queue, "a", 100);
	(void)npt_workqueue_add(queue, "a");
	takes(queue, "a");
	npt_workqueue_done(queue, "a");
	pass_ms(100);
	takes(queue, NULL);
}

static void what_became_ready_first_is_taken_first(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(8);

	(void)npt_workqueue_add_after(queue, "late", 30);
	(void)npt_workqueue_add_after(queue, "early", 10);
	(void)npt_workqueue_add_after(queue, "middle", 20);
	pass_ms(100);
	takes(queue, "early");
	takes(queue, "middle");
	takes(queue, "late");
}

static void more_keys_than_allowed_are_refused_and_counted(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(2);
	struct npt_workqueue_stats stats;

	NPT_CHECK_INT(npt_workqueue_add(queue, "a"), 0);
	NPT_CHECK_INT(npt_workqueue_add_after(queue, "b", 10), 0);
	NPT_CHECK_INT(npt_workqueue_add(queue, "c"), -ENOSPC);
	NPT_CHECK_INT(npt_workqueue_retry(queue, "c"), -ENOSPC);
	NPT_CHECK_INT(npt_workqueue_add(queue, "a"), 0);
	takes(queue, "a");
	npt_workqueue_done(queue, "a");
	NPT_CHECK_INT(npt_workqueue_add(queue, "c"), 0);
	npt_workqueue_stats(queue, &stats);
	NPT_CHECK_INT(stats.refused, 2);
}

static void after_shut_down_nothing_is_given_out(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(8);

	(void)npt_workqueue_add(queue, "a");
	(void)npt_workqueue_add(queue, "b");
	takes(queue, "a");
	npt_workqueue_shut_down(queue);
	takes(queue, NULL);
	NPT_CHECK_INT(npt_workqueue_add(queue, "c"), -EPIPE);
	NPT_CHECK_INT(npt_workqueue_retry(queue, "c"), -EPIPE);
	npt_workqueue_done(queue, "a");
}

/* C4 */
static void a_stuck_worker_shows(void)
{
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = new_queue(8);
	struct npt_workqueue_stats stats;

	(void)npt_workqueue_add(queue, "a");
	(void)npt_workqueue_add(queue, "b");
	takes(queue, "a");
	pass_ms(700);
	takes(queue, "b");
	pass_ms(300);
	npt_workqueue_stats(queue, &stats);
	NPT_CHECK_INT(stats.longest_working_ms, 1000);
	NPT_CHECK_INT(stats.working, 2);
	npt_workqueue_done(queue, "a");
	npt_workqueue_done(queue, "b");
	npt_workqueue_stats(queue, &stats);
	NPT_CHECK_INT(stats.longest_working_ms, 0);
	NPT_CHECK_INT(stats.working, 0);
}

#define WORKERS 4
#define KEYS    5
#define ROUNDS  2000

static struct {
	struct npt_workqueue *queue;
	atomic_int in_work[KEYS];
	atomic_int wanted[KEYS]; /* numbered adds */
	atomic_int seen[KEYS];   /* the number that the last work on it saw */
	atomic_int collisions;
} shared;

static void *work(void *context)
{
	char *key;

	(void)context;
	while ((key = npt_workqueue_take(shared.queue, -1))) {
		int i = key[0] - '0';

		if (atomic_fetch_add(&shared.in_work[i], 1) != 0)
			atomic_fetch_add(&shared.collisions, 1);
		atomic_store(&shared.seen[i], atomic_load(&shared.wanted[i]));
		atomic_fetch_sub(&shared.in_work[i], 1);
		npt_workqueue_done(shared.queue, key);
		free(key);
	}
	return NULL;
}

/* C1: never two workers on one key, and no add is lost: the last work on a key saw its last add. */
static void workers_never_meet_on_a_key_and_miss_nothing(void)
{
	struct npt_workqueue_options options = { .max_keys = KEYS };
	uint64_t random = npt_test_seed();
	struct npt_workqueue_stats stats;
	pthread_t workers[WORKERS];

	shared.queue = npt_workqueue_new(&options);
	for (size_t i = 0; i < WORKERS; i++)
		(void)pthread_create(&workers[i], NULL, work, NULL);
	for (int round = 1; round <= ROUNDS; round++) {
		int i = (int)(npt_test_random(&random) % KEYS);
		char key[2] = { (char)('0' + i), '\0' };

		atomic_fetch_add(&shared.wanted[i], 1);
		if (round % 3)
			(void)npt_workqueue_add(shared.queue, key);
		else
			(void)npt_workqueue_add_after(shared.queue, key, round % 2 ? 1 : 0);
	}
	do {
		npt_workqueue_stats(shared.queue, &stats);
	} while (stats.depth + stats.waiting + stats.working > 0);
	for (size_t i = 0; i < KEYS; i++)
		NPT_CHECK_INT(atomic_load(&shared.seen[i]), atomic_load(&shared.wanted[i]));
	NPT_CHECK_INT(atomic_load(&shared.collisions), 0);
	npt_workqueue_shut_down(shared.queue);
	for (size_t i = 0; i < WORKERS; i++)
		(void)pthread_join(workers[i], NULL);
	npt_workqueue_free(shared.queue);
}

static void a_taker_waits_for_its_time_and_no_longer(void)
{
	struct npt_workqueue_options options = { .max_keys = 4 };
	npt_auto(npt_workqueue_free) struct npt_workqueue *queue = npt_workqueue_new(&options);
	uint64_t began = npt_clock_monotonic_ns();
	npt_auto_free char *key = NULL;

	NPT_CHECK(npt_workqueue_take(queue, 30) == NULL);
	NPT_CHECK(npt_clock_monotonic_ns() - began >= 30 * NPT_NS_PER_MS);
	(void)npt_workqueue_add_after(queue, "a", 20);
	began = npt_clock_monotonic_ns();
	key = npt_workqueue_take(queue, 10000);
	NPT_CHECK_STR(key, "a");
	NPT_CHECK(npt_clock_monotonic_ns() - began >= 20 * NPT_NS_PER_MS);
	NPT_CHECK(npt_clock_monotonic_ns() - began < 5 * NPT_NS_PER_SECOND);
}

static const struct npt_test tests[] = {
	NPT_TEST(a_key_is_queued_once_in_order),
	NPT_TEST(a_key_that_is_worked_on_comes_again_when_done),
	NPT_TEST(retries_are_later_each_time_until_forgotten),
	NPT_TEST(retries_are_never_later_than_a_minute),
	NPT_TEST(retries_of_all_keys_together_are_limited),
	NPT_TEST(of_two_delays_the_earlier_counts),
	NPT_TEST(what_became_ready_first_is_taken_first),
	NPT_TEST(more_keys_than_allowed_are_refused_and_counted),
	NPT_TEST(after_shut_down_nothing_is_given_out),
	NPT_TEST(a_stuck_worker_shows),
	NPT_TEST(workers_never_meet_on_a_key_and_miss_nothing),
	NPT_TEST(a_taker_waits_for_its_time_and_no_longer),
};
NPT_TEST_MAIN(tests)
