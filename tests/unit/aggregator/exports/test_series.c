/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever is added, in whatever order and however little room there is: nothing is lost, nothing
 * is counted twice.
 */
#include "aggregator/exports/series.h"

#include <stdio.h>

#include "tests/support/random_report.h"
#include "tests/support/test.h"

#define KEEP_NS 1000

static struct npt_series_table *table_of(size_t max, size_t max_per_task, bool fine)
{
	const struct npt_series_options options = { .labels = NPT_LABELS_FEW,
						    .max_series = max,
						    .max_series_per_task = max_per_task,
						    .fine = fine,
						    .keep_ns = KEEP_NS };

	return npt_series_table_new(&options);
}

static struct npt_report *window_of(uint64_t *state, unsigned int task, size_t edges)
{
	struct npt_report *window = npt_test_random_report(state, edges);

	(void)snprintf(window->task.name, sizeof(window->task.name), "task-%u", task);
	for (size_t i = 0; i < edges; i++) {
		struct npt_edge *edge = &window->edges[i];

		edge->sent.bytes %= 1000; /* sums stay below saturation */
		for (int k = 0; k < NPT_METRIC_COUNT; k++)
			edge->metrics[k].quality = NPT_QUALITY_EXACT;
		edge->metrics[NPT_METRIC_RESPONSE].overlapped = 0;
	}
	return window;
}

struct sums {
	uint64_t series;
	uint64_t sent;
	uint64_t timed;
	uint64_t buckets;
	uint64_t fine;
};

static void sum_up(const struct npt_series_table *table, struct sums *sums)
{
	const struct npt_series_task *task;
	const struct npt_series *series;

	*sums = (struct sums){ .series = 0 };
	for (size_t i = 0; (task = npt_series_task_at(table, i)); i++) {
		for (size_t k = 0; (series = npt_strmap_value_at(task->series, k)); k++) {
			sums->series++;
			sums->sent += series->counters[NPT_COUNTER_SENT_BYTES];
			for (int t = 0; t < NPT_TIMES_COUNT; t++) {
				const struct npt_series_times *times = series->times[t];

				if (!times)
					continue;
				sums->timed += times->count;
				for (size_t b = 0; b <= NPT_SERIES_BOUNDS; b++)
					sums->buckets += times->buckets[b];
				for (size_t b = 0; times->fine && b < NPT_HISTOGRAM_BUCKETS; b++)
					sums->fine += times->fine[b];
			}
		}
	}
}

static void truth_of(const struct npt_report *window, struct sums *truth)
{
	for (size_t i = 0; i < window->edges_count; i++) {
		truth->sent += window->edges[i].sent.bytes;
		truth->timed += window->edges[i].handshakes.micros.count;
		for (int k = 0; k < NPT_METRIC_COUNT; k++)
			truth->timed += window->edges[i].metrics[k].micros.count;
	}
}

static void nothing_is_lost_however_little_room_there_is(void)
{
	static const struct {
		size_t max, max_per_task;
	} rooms[] = { { 1, 1 }, { 2, 1 }, { 3, 2 }, { 10, 4 }, { 1000, 1000 } };
	uint64_t state = npt_test_seed();

	for (size_t r = 0; r < NPT_ARRAY_SIZE(rooms); r++) {
		npt_auto(npt_series_table_free) struct npt_series_table *table =
			table_of(rooms[r].max, rooms[r].max_per_task, true);
		struct sums truth = { .series = 0 }, sums;

		for (unsigned int i = 0; i < 12; i++) {
			npt_auto(npt_report_free) struct npt_report *window =
				window_of(&state, i % 5, 6);

			truth_of(window, &truth);
			npt_series_add(table, window, i);
		}
		sum_up(table, &sums);
		NPT_CHECK_INT(sums.sent, truth.sent);
		NPT_CHECK_INT(sums.timed, truth.timed);
		NPT_CHECK_INT(sums.buckets, truth.timed);
		NPT_CHECK_INT(sums.fine, truth.timed);
		NPT_CHECK_INT(sums.series, npt_series_count(table));
		NPT_CHECK(sums.series <= rooms[r].max + 1);
		NPT_CHECK((npt_series_overflowed(table) > 0) == (rooms[r].max < 1000));
	}
}

static void a_time_falls_below_the_bounds_that_are_larger_than_it(void)
{
	npt_auto(npt_series_table_free) struct npt_series_table *table = table_of(10, 10, false);
	npt_auto(npt_report_free) struct npt_report *window = npt_report_new();
	struct npt_edge *edge = npt_report_add_edge(window);
	const struct npt_series_times *times;
	const struct npt_series *series;
	uint64_t below = 0;

	for (size_t i = 0; i < NPT_SERIES_BOUNDS; i++) {
		npt_histogram_add(&edge->metrics[NPT_METRIC_RTT].micros,
				  npt_series_bound_micros(i) - 1);
		npt_histogram_add(&edge->metrics[NPT_METRIC_RTT].micros,
				  npt_series_bound_micros(i));
	}
	npt_series_add(table, window, 0);
	series = npt_strmap_value_at(npt_series_task_at(table, 0)->series, 0);
	times = series->times[NPT_METRIC_RTT];
	for (size_t i = 0; i < NPT_SERIES_BOUNDS; i++) {
		below += times->buckets[i];
		NPT_CHECK_INT(below, 2 * i + 1);
	}
	NPT_CHECK_INT(times->buckets[NPT_SERIES_BOUNDS], 1);
}

static void what_is_taken_is_gone_and_the_table_begins_anew(void)
{
	npt_auto(npt_series_table_free) struct npt_series_table *table = table_of(4, 3, false);
	uint64_t state = npt_test_seed();
	struct sums truth = { .series = 0 }, sums, all = { .series = 0 };

	for (unsigned int i = 0; i < 20; i++) {
		npt_auto(npt_report_free) struct npt_report *window = window_of(&state, i % 3, 3);
		npt_auto(npt_series_table_free) struct npt_series_table *taken = NULL;

		truth_of(window, &truth);
		npt_series_add(table, window, i);
		if (i % 4 != 3)
			continue;
		taken = npt_series_take(table);
		sum_up(taken, &sums);
		NPT_CHECK(sums.series <= 5 && sums.series == npt_series_count(taken));
		NPT_CHECK_INT(npt_series_count(table), 0);
		all.sent += sums.sent;
	}
	NPT_CHECK_INT(all.sent, truth.sent);
}

static void a_silent_task_goes_away_with_its_series(void)
{
	npt_auto(npt_series_table_free) struct npt_series_table *table = table_of(6, 4, false);
	uint64_t state = npt_test_seed();

	for (unsigned int i = 0; i < 4; i++) {
		npt_auto(npt_report_free) struct npt_report *window = window_of(&state, i, 5);

		npt_series_add(table, window, i * 100);
	}
	NPT_CHECK_INT(npt_series_expire(table, KEEP_NS - 1), 0);
	NPT_CHECK(npt_series_expire(table, KEEP_NS) > 0);
	NPT_CHECK(npt_series_count(table) > 0);
	NPT_CHECK(npt_series_expire(table, 10 * KEEP_NS) > 0);
	NPT_CHECK_INT(npt_series_count(table), 0);
	NPT_CHECK(npt_series_task_at(table, 0) == NULL);
}

static void counters_saturate(void)
{
	npt_auto(npt_series_table_free) struct npt_series_table *table = table_of(10, 10, false);
	npt_auto(npt_report_free) struct npt_report *window = npt_report_new();
	const struct npt_series *series;

	npt_report_add_edge(window)->sent.bytes = NPT_NUMBER_MAX;
	npt_series_add(table, window, 0);
	npt_series_add(table, window, 0);
	series = npt_strmap_value_at(npt_series_task_at(table, 0)->series, 0);
	NPT_CHECK_INT(series->counters[NPT_COUNTER_SENT_BYTES], NPT_NUMBER_MAX);
}

static const struct npt_test tests[] = {
	NPT_TEST(nothing_is_lost_however_little_room_there_is),
	NPT_TEST(a_time_falls_below_the_bounds_that_are_larger_than_it),
	NPT_TEST(what_is_taken_is_gone_and_the_table_begins_anew),
	NPT_TEST(a_silent_task_goes_away_with_its_series),
	NPT_TEST(counters_saturate),
};
NPT_TEST_MAIN(tests)
