/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface, on each engine: the same cases, on SQLite as unit.aggregator.store and on a real
 * clickhouse-server as unit.aggregator.store_on_clickhouse.
 */
#include "aggregator/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/model/report_merge.h"
#include "tests/support/random_report.h"
#include "tests/support/store.h"
#include "tests/support/test.h"

static void gives_back_every_window_as_it_came(void)
{
	struct npt_test_store world;
	uint64_t seed = npt_test_seed();
	struct npt_report *reports[20];
	bool added[20];

	npt_test_store_begin(&world);
	for (size_t i = 0; i < 20; i++) {
		reports[i] = npt_test_random_report(&seed, i % 9);
		reports[i]->sequence = i + 1;
	}
	NPT_CHECK_INT(npt_store_append(world.store, reports, 20, added, NULL), 0);
	for (size_t i = 0; i < 20; i++) {
		struct npt_test_windows found = { .count = 0 };
		struct npt_store_filter filter = { .task_id = npt_test_store_task_id(
							   &world, reports[i]->task.uid) };

		NPT_CHECK(added[i]);
		npt_test_store_read_all(&world, &filter, &found);
		if (NPT_CHECK_INT(found.count, 1)) {
			npt_auto_free char *before = npt_report_to_json(reports[i]);
			npt_auto_free char *after = npt_report_to_json(found.windows[0]);

			NPT_CHECK_STR(after, before);
			for (size_t e = 0; e < reports[i]->edges_count; e++)
				NPT_CHECK(memcmp(&reports[i]->edges[e], &found.windows[0]->edges[e],
						 sizeof(struct npt_edge)) == 0);
		}
		npt_test_store_forget(&found);
		npt_report_free(reports[i]);
	}
	npt_test_store_end(&world);
}

static void stores_a_window_once_whoever_repeats_it(void)
{
	struct npt_test_store world;
	struct npt_report *batch[3];
	bool added[3];

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 3)));
	NPT_CHECK(!npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 3)));
	NPT_CHECK(!npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 5)));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 2, 3)));
	NPT_CHECK(
		npt_test_store_add(&world, npt_test_store_window("t", "p", "another agent", 1, 3)));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "another pod", "i", 1, 3)));
	NPT_CHECK(
		npt_test_store_add(&world, npt_test_store_window("another task", "p", "i", 1, 3)));
	batch[0] = npt_test_store_window("t", "p", "i", 3, 1); /* twice in one transaction */
	batch[1] = npt_test_store_window("t", "p", "i", 3, 1);
	batch[2] = npt_test_store_window("t", "p", "i", 4, 1);
	NPT_CHECK_INT(npt_store_append(world.store, batch, 3, added, NULL), 0);
	NPT_CHECK(added[0] && !added[1] && added[2]);
	for (size_t i = 0; i < 3; i++)
		npt_report_free(batch[i]);
	npt_test_store_close(&world);
	NPT_CHECK(npt_test_store_open(&world));
	NPT_CHECK(!npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 4, 1)));
	NPT_CHECK_INT(npt_test_store_count(&world, "t"), 6);
	NPT_CHECK_INT(npt_test_store_count(&world, "another task"), 1);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "count(*)", "1 = 1"), 17);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "count(*)", "pid = 103"), 0);
	npt_test_store_end(&world);
}

static void sums_are_equal_by_sql_and_in_what_was_sent(void)
{
	struct npt_test_store world;
	uint64_t seed = npt_test_seed(), sent = 0, writes = 0, drops = 0;

	npt_test_store_begin(&world);
	for (uint64_t sequence = 1; sequence <= 40; sequence++) {
		size_t edges = npt_test_random(&seed) % 20;
		npt_auto(npt_report_free) struct npt_report *one =
			npt_test_store_window("t", "p1", "i", sequence, edges);

		for (size_t i = 0; i < edges; i++) {
			sent += one->edges[i].sent.bytes;
			writes += one->edges[i].metrics[NPT_METRIC_WRITE].count;
			drops += one->edges[i].drops[0].count;
		}
		NPT_CHECK(npt_test_store_add(&world, npt_take(one)));
		NPT_CHECK(npt_test_store_add(&world,
					     npt_test_store_window("t", "p2", "i", sequence, 1)));
		NPT_CHECK(npt_test_store_add(&world,
					     npt_test_store_window("u", "p1", "i", sequence, 1)));
	}
	NPT_CHECK_INT(npt_test_store_ask_rows(
			      &world, "sum(sent_bytes)",
			      "task_uid = 't' AND pod_name = 'name-p1' AND process = 'nginx'"),
		      sent);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "sum(write_count)",
					      "task_uid = 't' AND pod_uid = 'p1'"),
		      writes);
	NPT_CHECK_INT(
		npt_test_store_ask_rows(&world, "sum(drops)", "task_uid = 't' AND pod_uid = 'p1'"),
		drops);
	npt_test_store_end(&world);
}

static void reads_by_task_by_pod_and_by_stream_and_goes_on_where_it_stopped(void)
{
	struct npt_test_store world;
	struct npt_test_windows found = { .count = 0 };
	struct npt_store_filter filter = { .limit = 4 };
	struct npt_stored_stream *streams = NULL;
	size_t count = 0;

	npt_test_store_begin(&world);
	for (uint64_t sequence = 3; sequence >= 1; sequence--) { /* late ones come last */
		NPT_CHECK(npt_test_store_add(&world,
					     npt_test_store_window("t", "p1", "i", sequence, 2)));
		NPT_CHECK(npt_test_store_add(&world,
					     npt_test_store_window("t", "p2", "i", sequence, 1)));
		NPT_CHECK(npt_test_store_add(
			&world, npt_test_store_window("other", "p1", "i", sequence, 1)));
	}
	filter.task_id = npt_test_store_task_id(&world, "t");
	npt_test_store_read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 4);
	filter.after = found.ids[3];
	npt_test_store_read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 6);
	NPT_CHECK_STR(found.windows[0]->pod.uid, "p1");
	NPT_CHECK_STR(found.windows[5]->pod.uid, "p2");
	NPT_CHECK_INT(found.windows[4]->sequence, 1);
	npt_test_store_forget(&found);
	filter = (struct npt_store_filter){ .task_id = filter.task_id, .pod_uid = "p2" };
	npt_test_store_read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 3);
	NPT_CHECK_STR(found.windows[2]->pod.uid, "p2");
	npt_test_store_forget(&found);
	NPT_CHECK_INT(npt_store_list_streams(world.reader, filter.task_id, &streams, &count, NULL),
		      0);
	NPT_CHECK_INT(count, 2);
	NPT_CHECK_STR(streams[0].pod_uid, "p1");
	NPT_CHECK_INT(streams[0].windows, 3);
	NPT_CHECK_INT(streams[0].first_sequence, 1);
	NPT_CHECK_INT(streams[0].last_sequence, 3);
	filter = (struct npt_store_filter){ .task_id = filter.task_id,
					    .stream_id = streams[0].id,
					    .after = 1 };
	npt_test_store_read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 2);
	NPT_CHECK_INT(found.windows[0]->sequence, 2);
	NPT_CHECK_INT(found.windows[1]->sequence, 3);
	npt_test_store_forget(&found);
	free(streams);
	npt_test_store_end(&world);
}

static void reads_what_has_part_of_a_time(void)
{
	/* Windows of a second, from 1001 on. */
	static const struct {
		uint64_t from, until;
		size_t count;
	} cases[] = {
		{ 0, 0, 5 },    { 0, 1001, 0 },    { 0, 1002, 1 },    { 2001, 0, 4 },
		{ 2000, 0, 5 }, { 3500, 3501, 1 }, { 3001, 4001, 1 }, { 3001, 4002, 2 },
		{ 6001, 0, 0 }, { 6000, 0, 1 },
	};
	struct npt_test_store world;

	npt_test_store_begin(&world);
	for (uint64_t sequence = 1; sequence <= 5; sequence++) {
		struct npt_report *report = npt_test_store_window("t", "p", "i", sequence, 2);

		report->start_unix_ms = 1 + sequence * 1000;
		NPT_CHECK(npt_test_store_add(&world, report));
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_test_windows found = { .count = 0 };
		const struct npt_store_filter filter = { .task_id = npt_test_store_task_id(&world,
											   "t"),
							 .from_unix_ms = cases[i].from,
							 .until_unix_ms = cases[i].until };

		npt_test_store_read_all(&world, &filter, &found);
		if (!NPT_CHECK_INT(found.count, cases[i].count))
			printf("case %zu\n", i);
		npt_test_store_forget(&found);
	}
	npt_test_store_end(&world);
}

struct edge_windows {
	size_t count;
	uint64_t last_start;
	uint64_t bytes;
	uint32_t pid;
};

static int count_edge_window(void *context, const struct npt_stored_edge_window *window)
{
	struct edge_windows *found = context;

	NPT_CHECK(window->start_unix_ms >= found->last_start);
	NPT_CHECK_INT(window->duration_ms, 1000);
	found->last_start = window->start_unix_ms;
	found->bytes += window->edge->sent.bytes;
	found->pid = window->edge->process.pid;
	found->count++;
	return found->count == 6; /* more than there are, but in one case */
}

static void reads_the_windows_of_one_edge_by_time(void)
{
	struct npt_test_store world;
	struct npt_report *first = npt_test_store_window("t", "p", "i", 1, 3);
	struct npt_store_edge_filter filter = { .edge_key = npt_edge_key(&first->edges[1]) };
	struct edge_windows found = { .count = 0 };

	npt_test_store_begin(&world);
	/* Late ones, other streams, the same edge by another name, other tasks with such an edge.
	 */
	(void)snprintf(first->edges[1].peer.name, sizeof(first->edges[1].peer.name), "later");
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 3, 3)));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "j", 2, 3)));
	NPT_CHECK(npt_test_store_add(&world, first));
	NPT_CHECK(npt_test_store_add(
		&world, npt_test_store_window("t", "p", "i", 4, 1))); /* without the edge */
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("u", "p", "i", 1, 3)));
	filter.task_id = npt_test_store_task_id(&world, "t");
	NPT_CHECK_INT(npt_store_read_edge(world.reader, &filter, count_edge_window, &found, NULL),
		      0);
	NPT_CHECK_INT(found.count, 3);
	NPT_CHECK_INT(found.pid, 101);
	NPT_CHECK_INT(found.bytes, 1001 + 2001 + 3001);
	filter.from_unix_ms = 1767225600000 + 2000;
	filter.until_unix_ms = 1767225600000 + 3000;
	found = (struct edge_windows){ .count = 5 };
	NPT_CHECK_INT(npt_store_read_edge(world.reader, &filter, count_edge_window, &found, NULL),
		      0);
	NPT_CHECK_INT(found.bytes, 2001);
	filter.edge_key++;
	NPT_CHECK_INT(npt_store_read_edge(world.reader, &filter, count_edge_window, &found, NULL),
		      -ENOENT);
	npt_test_store_end(&world);
}

static void lists_the_newest_tasks_first(void)
{
	struct npt_test_store world;
	struct npt_stored_task tasks[4], task;
	struct npt_error err = NPT_ERROR_NONE;
	size_t count = 0;

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t1", "p", "i", 2, 1)));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t1", "p", "i", 1, 1)));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t1", "q", "i", 1, 1)));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t2", "p", "i", 1, 1)));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t3", "p", "i", 1, 1)));
	NPT_CHECK_INT(npt_store_list_tasks(world.reader, NULL, 0, tasks, 2, &count, NULL), 0);
	NPT_CHECK_INT(count, 2);
	NPT_CHECK_STR(tasks[0].uid, "t3");
	NPT_CHECK_STR(tasks[1].uid, "t2");
	NPT_CHECK_INT(
		npt_store_list_tasks(world.reader, "shop", tasks[1].id, tasks, 4, &count, NULL), 0);
	NPT_CHECK_INT(count, 1);
	NPT_CHECK_STR(tasks[0].uid, "t1");
	NPT_CHECK_INT(tasks[0].windows, 3);
	NPT_CHECK_INT(tasks[0].pods, 2);
	NPT_CHECK_INT(tasks[0].start_unix_ms, 1767225601000);
	NPT_CHECK_INT(tasks[0].end_unix_ms, 1767225603000);
	NPT_CHECK_INT(npt_store_list_tasks(world.reader, "bank", 0, tasks, 4, &count, NULL), 0);
	NPT_CHECK_INT(count, 0);
	NPT_CHECK_INT(npt_store_find_task(world.reader, "t4", &task, &err), -ENOENT);
	NPT_CHECK_STR(err.text, "no window of a task with this uid is stored");
	npt_test_store_end(&world);
}

static void an_edge_whose_protocol_becomes_known_late_is_one_that_speaks_it(void)
{
	struct npt_test_store world;

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	npt_test_store_check_label(&world, "unknown", NPT_TLS_UNKNOWN, "");
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(2, "http2", NPT_TLS_YES, "1.3")));
	npt_test_store_check_label(&world, "http2", NPT_TLS_YES, "1.3");
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(3, "unknown", NPT_TLS_UNKNOWN, "")));
	npt_test_store_check_label(&world, "http2", NPT_TLS_YES, "1.3");
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(4, "grpc", NPT_TLS_UNKNOWN, "")));
	npt_test_store_check_label(&world, "grpc", NPT_TLS_YES, "1.3");
	npt_test_store_end(&world);
}

static void labels_outlive_a_restart(void)
{
	struct npt_test_store world;

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(1, "http2", NPT_TLS_YES, "1.3")));
	npt_test_store_close(&world);
	NPT_CHECK(npt_test_store_open(&world));
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(2, "unknown", NPT_TLS_UNKNOWN, "")));
	npt_test_store_check_label(&world, "http2", NPT_TLS_YES, "1.3");
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(3, "grpc", NPT_TLS_UNKNOWN, "")));
	npt_test_store_check_label(&world, "grpc", NPT_TLS_YES, "1.3");
	npt_test_store_end(&world);
}

/* As when an agent could not reach us for a while, or says it once more. */
static void a_window_that_comes_late_does_not_bring_an_older_label_back(void)
{
	static const struct {
		uint64_t first, again, late, later; /* sequences; 0: not said again */
	} cases[] = { { 5, 0, 2, 1 }, { 5, 8, 7, 6 } };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_test_store world;

		npt_test_store_begin(&world);
		NPT_CHECK(npt_test_store_add(&world, npt_test_store_labelled(cases[i].first, "grpc",
									     NPT_TLS_UNKNOWN, "")));
		if (cases[i].again)
			NPT_CHECK(npt_test_store_add(&world,
						     npt_test_store_labelled(cases[i].again, "grpc",
									     NPT_TLS_UNKNOWN, "")));
		NPT_CHECK(npt_test_store_add(&world, npt_test_store_labelled(cases[i].late, "http2",
									     NPT_TLS_YES, "1.2")));
		npt_test_store_check_label(&world, "grpc", NPT_TLS_YES, "1.2");
		NPT_CHECK(npt_test_store_add(
			&world, npt_test_store_labelled(cases[i].later, "mysql", NPT_TLS_NO, "")));
		npt_test_store_check_label(&world, "grpc", NPT_TLS_YES, "1.2");
		npt_test_store_end(&world);
	}
}

static void edges_of_one_port_that_speak_several_protocols_stay_apart(void)
{
	struct npt_test_store world;
	struct npt_report *report = npt_test_store_labelled(1, "http1", NPT_TLS_NO, "");
	struct npt_edge second = report->edges[0];
	struct npt_store_filter filter = { .limit = 4 };
	struct npt_test_windows found = { .count = 0 };

	npt_test_store_begin(&world);
	second.label = 1;
	npt_test_store_set_label(&second, "websocket", NPT_TLS_NO, "");
	*npt_report_add_edge(report) = second;
	NPT_CHECK(npt_test_store_add(&world, report));
	filter.task_id = npt_test_store_task_id(&world, "t");
	npt_test_store_read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.windows[0]->edges_count, 2);
	NPT_CHECK_STR(found.windows[0]->edges[0].protocol, "http1");
	NPT_CHECK_STR(found.windows[0]->edges[1].protocol, "websocket");
	npt_test_store_forget(&found);
	npt_test_store_end(&world);
}

/* ClickHouse removes behind our back, and one thing at a time: as often as that takes. */
static uint64_t trim(struct npt_test_store *world, const struct npt_store_limits *limits,
		     uint64_t now, uint64_t expected)
{
	uint64_t removed = 0, sum = 0;

	for (int i = 0; i < 400 && (i == 0 || sum < expected); i++) {
		if (i > 0)
			(void)usleep(50000);
		NPT_CHECK_INT(npt_store_trim(world->store, limits, now, &removed, NULL), 0);
		sum += removed;
	}
	return sum;
}

static uint64_t count_when_gone(struct npt_test_store *world, const char *uid)
{
	uint64_t count = npt_test_store_count(world, uid);

	for (int i = 0; i < 400 && count > 0 && npt_test_store_is_clickhouse(); i++) {
		(void)usleep(50000);
		count = npt_test_store_count(world, uid);
	}
	return count;
}

static void removes_whole_tasks_that_are_too_old_or_too_much(void)
{
	struct npt_test_store world;
	struct npt_store_limits limits = { .max_age_ms = 60000 };
	uint64_t now;

	npt_test_store_begin(&world);
	for (uint64_t i = 1; i <= 30; i++) {
		NPT_CHECK(
			npt_test_store_add(&world, npt_test_store_window("old", "p", "i", i, 100)));
		NPT_CHECK(npt_test_store_add(&world,
					     npt_test_store_window("young", "p", "i", i, 100)));
	}
	now = npt_clock_unix_ms();
	(void)usleep(20000);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("young", "p", "i", 31, 100)));
	NPT_CHECK_INT(trim(&world, &limits, now + 30000, 0), 0);
	NPT_CHECK_INT(npt_test_store_count(&world, "old"), 30);
	NPT_CHECK_INT(trim(&world, &limits, now + 60010, 1), 1);
	NPT_CHECK_INT(count_when_gone(&world, "old"), 0);
	NPT_CHECK_INT(npt_test_store_count(&world, "young"), 31);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "count(*)", "1 = 1"), 3100);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("old", "p", "i", 1, 1)));
	limits = (struct npt_store_limits){ .max_bytes = UINT64_C(1) << 40 };
	NPT_CHECK_INT(trim(&world, &limits, now, 0), 0);
	limits.max_bytes = 1;
	NPT_CHECK_INT(trim(&world, &limits, now + 3600000, 2), 2);
	NPT_CHECK_INT(count_when_gone(&world, "old"), 0);
	NPT_CHECK_INT(count_when_gone(&world, "young"), 0);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "count(*)", "1 = 1"), 0);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("young", "p", "i", 1, 1)));
	npt_test_store_end(&world);
}

static const struct npt_test tests[] = {
	NPT_TEST(gives_back_every_window_as_it_came),
	NPT_TEST(stores_a_window_once_whoever_repeats_it),
	NPT_TEST(sums_are_equal_by_sql_and_in_what_was_sent),
	NPT_TEST(reads_by_task_by_pod_and_by_stream_and_goes_on_where_it_stopped),
	NPT_TEST(reads_what_has_part_of_a_time),
	NPT_TEST(reads_the_windows_of_one_edge_by_time),
	NPT_TEST(lists_the_newest_tasks_first),
	NPT_TEST(an_edge_whose_protocol_becomes_known_late_is_one_that_speaks_it),
	NPT_TEST(labels_outlive_a_restart),
	NPT_TEST(a_window_that_comes_late_does_not_bring_an_older_label_back),
	NPT_TEST(edges_of_one_port_that_speak_several_protocols_stay_apart),
	NPT_TEST(removes_whole_tasks_that_are_too_old_or_too_much),
};
NPT_TEST_MAIN(tests)
