/* SPDX-License-Identifier: Apache-2.0 */
/* What only ClickHouse can show: several who write, and a server that is not as it should be. */
#include "aggregator/store/store_clickhouse.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "tests/support/store.h"
#include "tests/support/test.h"

static bool has_server(void)
{
	if (npt_test_store_is_clickhouse())
		return true;
	npt_test_skip("no server: tests/support/clickhouse.py starts one");
	return false;
}

static void run(const struct npt_test_store *world, const char *sql)
{
	const struct npt_clickhouse_options options = { .url = world->path,
							.password_file = world->password_file };
	npt_auto(npt_clickhouse_server_free) struct npt_clickhouse_server *server = NULL;
	npt_auto(npt_clickhouse_free) struct npt_clickhouse *connection = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (!NPT_CHECK_INT(npt_clickhouse_server_new(&options, &server, &err), 0) ||
	    !NPT_CHECK_INT(npt_clickhouse_connect(server, &connection, &err), 0) ||
	    !NPT_CHECK_INT(npt_clickhouse_run(connection, sql, true, &err), 0))
		printf("%s\n", err.text);
}

/* A removal goes on behind our back. */
static void wait_for_count(const struct npt_test_store *world, const char *sql, int64_t count)
{
	int64_t is = npt_test_store_ask(world, sql);

	for (int i = 0; i < 400 && is != count; i++) {
		(void)usleep(50000);
		is = npt_test_store_ask(world, sql);
	}
	NPT_CHECK_INT(is, count);
}

/* Until there are so many heads: a merge that goes on already keeps another one from beginning. */
static void merge(const struct npt_test_store *world, int64_t heads)
{
	static const char count[] = "SELECT count() FROM npt_windows WHERE is_edge = 0";
	int64_t is = -1;

	for (int i = 0; i < 400 && is != heads; i++) {
		(void)usleep(i > 0 ? 50000 : 0);
		run(world, "OPTIMIZE TABLE npt_windows FINAL");
		is = npt_test_store_ask(world, count);
	}
	NPT_CHECK_INT(is, heads);
}

#define COPIED                                                                                     \
	"is_edge, task_uid, task_namespace, task_name, pod_uid, pod_namespace, pod_name, node,"    \
	" instance, stream_id, sequence, received_unix_ms, start_unix_ms, duration_ms, head,"      \
	" edge_key, pid, process, sent_bytes, identity, label, counters"

/* The rows once more, as an INSERT that was sent twice; with a later id, as another replica wrote
 * them at the same time; and, as another agent might say, with an edge more. */
static void write_again(const struct npt_test_store *world)
{
	run(world, "INSERT INTO npt_windows (" COPIED ", written, number, edges) SELECT " COPIED
		   ", written, number, edges FROM npt_windows");
	run(world, "INSERT INTO npt_windows (" COPIED ", written, number, edges) SELECT " COPIED
		   ", written + 40960, number, edges + 1 - is_edge FROM npt_windows");
	run(world,
	    "INSERT INTO npt_windows (" COPIED ", written, number, edges) SELECT " COPIED
	    ", written, number + 1, edges FROM npt_windows WHERE is_edge = 1 AND (written, number)"
	    " IN (SELECT max(written), max(number) FROM npt_windows WHERE is_edge = 1 GROUP BY"
	    " stream_id, sequence)");
}

static void check_once(struct npt_test_store *world)
{
	struct npt_test_windows found = { .count = 0 };
	struct npt_store_filter filter = { .task_id = npt_test_store_task_id(world, "t") };
	struct npt_stored_stream *streams = NULL;
	size_t count = 0;

	NPT_CHECK_INT(npt_test_store_count(world, "t"), 3);
	for (int by_stream = 0; by_stream < 2; by_stream++) {
		npt_test_store_read_all(world, &filter, &found);
		if (NPT_CHECK_INT(found.count, 3)) {
			for (uint64_t i = 0; i < 3; i++) {
				NPT_CHECK_INT(found.windows[i]->sequence, i + 1);
				NPT_CHECK_INT(found.windows[i]->edges_count, 2);
				NPT_CHECK_INT(found.windows[i]->edges[1].sent.bytes,
					      1000 * (i + 1) + 1);
			}
		}
		npt_test_store_forget(&found);
		NPT_CHECK_INT(npt_store_list_streams(world->reader, filter.task_id, &streams,
						     &count, NULL),
			      0);
		NPT_CHECK_INT(count, 1);
		NPT_CHECK_INT(streams[0].windows, 3);
		filter.stream_id = streams[0].id;
		free(streams);
	}
	/* A page that ends between a window and its repeat does not bring it again. */
	filter = (struct npt_store_filter){ .task_id = filter.task_id, .limit = 2 };
	npt_test_store_read_all(world, &filter, &found);
	filter.after = found.ids[1];
	npt_test_store_read_all(world, &filter, &found);
	NPT_CHECK_INT(found.count, 3);
	npt_test_store_forget(&found);
	NPT_CHECK_INT(npt_test_store_ask_rows(world, "sum(sent_bytes)", "task_uid = 't'"), 12003);
}

static void a_window_that_was_written_twice_is_there_once(void)
{
	struct npt_test_store world;

	if (!has_server())
		return;
	npt_test_store_begin(&world);
	for (uint64_t i = 1; i <= 3; i++)
		NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", i, 2)));
	check_once(&world);
	run(&world, "SYSTEM STOP MERGES npt_windows"); /* which would hide a part of it */
	write_again(&world);
	NPT_CHECK(npt_test_store_ask(&world, "SELECT count() FROM npt_windows") >= 18);
	check_once(&world);
	run(&world, "SYSTEM START MERGES npt_windows");
	merge(&world, 6);
	check_once(&world);
	npt_test_store_end(&world);
}

static void rows_without_a_head_are_seen_by_nobody_and_the_window_can_come_again(void)
{
	struct npt_test_store world;
	struct npt_test_windows found = { .count = 0 };
	struct npt_store_filter filter = { .limit = 4 };

	if (!has_server())
		return;
	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 3)));
	run(&world, "ALTER TABLE npt_windows DELETE WHERE is_edge = 0");
	wait_for_count(&world, "SELECT count() FROM npt_windows WHERE is_edge = 0", 0);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count() FROM npt_windows"), 3);
	NPT_CHECK_INT(npt_test_store_count(&world, "t"), 0);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "count()", "1 = 1"), 0);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 3)));
	filter.task_id = npt_test_store_task_id(&world, "t");
	npt_test_store_read_all(&world, &filter, &found);
	if (NPT_CHECK_INT(found.count, 1))
		NPT_CHECK_INT(found.windows[0]->edges_count, 3);
	npt_test_store_forget(&found);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "count()", "1 = 1"), 3);
	merge(&world, 1);
	npt_test_store_read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 1);
	npt_test_store_forget(&found);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "count()", "1 = 1"), 3);
	npt_test_store_end(&world);
}

#define REPLICAS 3

struct replica {
	struct npt_store *store;
	pthread_t thread;
	uint64_t stored;
};

static void *replicate(void *argument)
{
	struct replica *replica = argument;

	for (uint64_t i = 1; i <= 40; i++) {
		npt_auto(npt_report_free) struct npt_report *one =
			npt_test_store_window("t", "p", "i", i, 5);
		struct npt_error err = NPT_ERROR_NONE;
		bool added = false;

		if (!NPT_CHECK_INT(npt_store_append(replica->store, &one, 1, &added, &err), 0))
			printf("%s\n", err.text);
		replica->stored += added;
	}
	return NULL;
}

static void replicas_that_store_the_same_at_once_store_it_once(void)
{
	struct npt_test_store world;
	struct replica replicas[REPLICAS] = { { .stored = 0 } };
	struct npt_test_windows found = { .count = 0 };
	struct npt_store_filter filter = { .limit = 50 };
	uint64_t stored = 0;

	if (!has_server())
		return;
	npt_test_store_begin(&world);
	for (int i = 0; i < REPLICAS; i++) {
		const struct npt_store_options options = { .where = world.path,
							   .password_file = world.password_file };

		NPT_CHECK_INT(npt_store_open_with(&options, &replicas[i].store, NULL), 0);
		NPT_CHECK_INT(pthread_create(&replicas[i].thread, NULL, replicate, &replicas[i]),
			      0);
	}
	for (int i = 0; i < REPLICAS; i++) {
		(void)pthread_join(replicas[i].thread, NULL);
		npt_store_free(replicas[i].store);
		stored += replicas[i].stored;
	}
	printf("of 40 windows %llu were said to be new\n", (unsigned long long)stored);
	NPT_CHECK(stored >= 40);
	NPT_CHECK_INT(npt_test_store_count(&world, "t"), 40);
	filter.task_id = npt_test_store_task_id(&world, "t");
	npt_test_store_read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 40);
	npt_test_store_forget(&found);
	NPT_CHECK_INT(npt_test_store_ask_rows(&world, "count()", "1 = 1"), 200);
	npt_test_store_end(&world);
}

static void names_are_only_names_whatever_is_in_them(void)
{
	static const char uid[] = "it's \\' OR 1=1 -- \n\xc3\xbc%s";
	struct npt_test_store world;
	struct npt_stored_task tasks[2], task;
	size_t count = 0;

	if (!has_server())
		return;
	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window(uid, uid, uid, 1, 1)));
	NPT_CHECK(!npt_test_store_add(&world, npt_test_store_window(uid, uid, uid, 1, 1)));
	NPT_CHECK_INT(npt_test_store_count(&world, uid), 1);
	NPT_CHECK_INT(npt_store_find_task(world.reader, "' OR '1'='1", &task, NULL), -ENOENT);
	NPT_CHECK_INT(npt_store_list_tasks(world.reader, "' OR '1'='1", 0, tasks, 2, &count, NULL),
		      0);
	NPT_CHECK_INT(count, 0);
	npt_test_store_end(&world);
}

static void tables_that_somebody_removed_are_made_anew(void)
{
	struct npt_test_store world;
	struct npt_stored_task task;
	struct npt_error err = NPT_ERROR_NONE;

	if (!has_server())
		return;
	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 1)));
	run(&world, "DROP TABLE npt_windows");
	NPT_CHECK_INT(npt_store_find_task(world.reader, "t", &task, &err), -EAGAIN);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 1)));
	NPT_CHECK_INT(npt_test_store_count(&world, "t"), 1);
	npt_test_store_end(&world);
}

static void refuses_a_store_of_a_newer_version(void)
{
	struct npt_test_store world;
	struct npt_store_options options;
	struct npt_store *store = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (!has_server())
		return;
	npt_test_store_begin(&world);
	run(&world, "INSERT INTO npt_schema VALUES (2)");
	options = (struct npt_store_options){ .where = world.path,
					      .password_file = world.password_file };
	NPT_CHECK_INT(npt_store_open_with(&options, &store, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "is of a newer version of npt-aggregator") != NULL);
	npt_test_store_end(&world);
}

static void refuses_a_wrong_password_without_saying_it(void)
{
	struct npt_test_store world;
	struct npt_store *store = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free char *file = NULL;
	npt_auto_fclose FILE *wrong = NULL;
	struct npt_store_options options = { .where = NULL };

	if (!has_server() || getenv("NPT_TEST_CLICKHOUSE_NO_USERS"))
		return;
	npt_test_store_begin(&world);
	file = npt_format("%s/password", world.directory);
	wrong = fopen(file, "we");
	NPT_CHECK(wrong != NULL && fputs("hunter2\n", wrong) >= 0 && fflush(wrong) == 0);
	options = (struct npt_store_options){ .where = world.path, .password_file = file };
	NPT_CHECK_INT(npt_store_open_with(&options, &store, &err), -EACCES);
	NPT_CHECK(strstr(err.text, "hunter2") == NULL && strlen(err.text) > 20);
	options.password_file = "/nowhere";
	NPT_CHECK_INT(npt_store_open_with(&options, &store, &err), -EACCES);
	NPT_CHECK(strstr(err.text, "cannot read the store's password file /nowhere") != NULL);
	npt_test_store_end(&world);
}

static void a_server_that_is_away_is_waited_for(void)
{
	const struct npt_store_options options = { .where = "http://127.0.0.1:1/npt" };
	npt_auto(npt_store_free) struct npt_store *store = NULL;
	npt_auto(npt_store_reader_free) struct npt_store_reader *reader = NULL;
	npt_auto(npt_report_free) struct npt_report *one =
		npt_test_store_window("t", "p", "i", 1, 1);
	const struct npt_store_limits limits = { .max_age_ms = 1000 };
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_stored_task task;
	uint64_t removed = 0;
	bool added = false;

	NPT_CHECK_INT(npt_store_open_with(&options, &store, &err), 0);
	NPT_CHECK_INT(npt_store_append(store, &one, 1, &added, &err), -EAGAIN);
	NPT_CHECK(strstr(err.text, "ClickHouse at http://127.0.0.1:1/npt does not answer") != NULL);
	NPT_CHECK_INT(npt_store_trim(store, &limits, 1, &removed, &err), -EAGAIN);
	NPT_CHECK_INT(npt_store_open_reader(store, &reader, &err), 0);
	NPT_CHECK_INT(npt_store_find_task(reader, "t", &task, &err), -EAGAIN);
}

static void refuses_addresses_that_make_no_sense(void)
{
	static const struct {
		const char *url, *words;
		bool plain, ca;
	} cases[] = {
		{ "http://u@127.0.0.1:8123/", "ends in no database", false, false },
		{ "http://u@127.0.0.1:8123", "ends in no database", false, false },
		{ "http://127.0.0.1:8123/a/b", "ends in no database", false, false },
		{ "http://127.0.0.1:8123/a;b", "ends in no database", false, false },
		{ "http://127.0.0.1:8123/a?b=c", "ends in no database", false, false },
		{ "http://u:secret@127.0.0.1/a", "belongs into a file", false, false },
		{ "http://@127.0.0.1/a", "no user", false, false },
		{ "http://127.0.0.1:0/a", "the port is not 1 to 65535", false, false },
		{ "http:///a", "the host is not a name", false, false },
		{ "http://clickhouse:8123/a", "plain http to another host", false, false },
		{ "http://clickhouse:8123/a", NULL, true, false },
		{ "https://clickhouse:8443/a", "needs --store-ca", false, false },
		{ "https://u@clickhouse:8443/a", NULL, false, true },
		{ "http://[::1]:8123/a", NULL, false, false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		const struct npt_clickhouse_options options = {
			.url = cases[i].url,
			.ca_file = cases[i].ca ? "ca.crt" : NULL,
			.allow_plain_http = cases[i].plain
		};
		npt_auto(npt_clickhouse_server_free) struct npt_clickhouse_server *server = NULL;
		struct npt_error err = NPT_ERROR_NONE;
		int r = npt_clickhouse_server_new(&options, &server, &err);

		NPT_CHECK_INT(r, cases[i].words ? -EINVAL : 0);
		if (cases[i].words && !NPT_CHECK(strstr(err.text, cases[i].words) != NULL))
			printf("%s: %s\n", cases[i].url, err.text);
		NPT_CHECK(strstr(err.text, "secret") == NULL);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(a_window_that_was_written_twice_is_there_once),
	NPT_TEST(rows_without_a_head_are_seen_by_nobody_and_the_window_can_come_again),
	NPT_TEST(replicas_that_store_the_same_at_once_store_it_once),
	NPT_TEST(names_are_only_names_whatever_is_in_them),
	NPT_TEST(tables_that_somebody_removed_are_made_anew),
	NPT_TEST(refuses_a_store_of_a_newer_version),
	NPT_TEST(refuses_a_wrong_password_without_saying_it),
	NPT_TEST(a_server_that_is_away_is_waited_for),
	NPT_TEST(refuses_addresses_that_make_no_sense),
};
NPT_TEST_MAIN(tests)
