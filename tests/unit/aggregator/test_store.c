/* SPDX-License-Identifier: Apache-2.0 */
/* The interface, on each engine; what only SQLite can show is asked of the file itself by SQL. */
#include "aggregator/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/model/report_merge.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

struct world {
	char directory[64];
	char path[96];
	struct npt_store *store;
	struct npt_store_reader *reader;
};

static bool open_store(struct world *world)
{
	struct npt_error err = NPT_ERROR_NONE;

	if (NPT_CHECK_INT(npt_store_open(world->path, &world->store, &err), 0) &&
	    NPT_CHECK_INT(npt_store_open_reader(world->store, &world->reader, &err), 0))
		return true;
	printf("%s\n", err.text);
	return false;
}

static void close_store(struct world *world)
{
	npt_store_reader_free(world->reader);
	npt_store_free(world->store);
	world->reader = NULL;
	world->store = NULL;
}

static void begin(struct world *world)
{
	*world = (struct world){ .directory = "/tmp/npt-test-store-XXXXXX" };
	NPT_CHECK(mkdtemp(world->directory) != NULL);
	(void)snprintf(world->path, sizeof(world->path), "%s/w.db", world->directory);
	if (!open_store(world))
		abort();
}

static void end(struct world *world)
{
	npt_auto_closedir DIR *directory = NULL;
	const struct dirent *entry;

	close_store(world);
	directory = opendir(world->directory);
	while (directory && (entry = readdir(directory)))
		(void)unlinkat(dirfd(directory), entry->d_name, 0);
	(void)rmdir(world->directory);
}

/* One window of a stream; its edges carry bytes that depend on the sequence. */
static struct npt_report *window(const char *task, const char *pod, const char *instance,
				 uint64_t sequence, size_t edges)
{
	struct npt_report *report = npt_report_new();

	(void)snprintf(report->task.uid, sizeof(report->task.uid), "%s", task);
	(void)snprintf(report->task.namespace_name, sizeof(report->task.namespace_name), "shop");
	(void)snprintf(report->task.name, sizeof(report->task.name), "name-%.60s", task);
	(void)snprintf(report->pod.uid, sizeof(report->pod.uid), "%s", pod);
	(void)snprintf(report->pod.name, sizeof(report->pod.name), "name-%.60s", pod);
	(void)snprintf(report->instance, sizeof(report->instance), "%s", instance);
	(void)snprintf(report->node, sizeof(report->node), "node-1");
	report->sequence = sequence;
	report->start_unix_ms = 1767225600000 + sequence * 1000;
	report->duration_ms = 1000;
	for (size_t i = 0; i < edges; i++) {
		struct npt_edge *edge = npt_report_add_edge(report);

		edge->process.pid = (uint32_t)(100 + i);
		(void)snprintf(edge->process.name, sizeof(edge->process.name), "nginx");
		edge->role = NPT_ROLE_CLIENT;
		edge->sent.bytes = 1000 * sequence + i;
		edge->metrics[NPT_METRIC_WRITE].count = sequence;
		edge->drops[0] = (struct npt_named_count){ .name = "NO_SOCKET", .count = i };
	}
	return report;
}

static int append(struct world *world, struct npt_report *report, bool *added_ret)
{
	npt_auto(npt_report_free) struct npt_report *owned = report;
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_store_append(world->store, &owned, 1, added_ret, &err);

	if (r < 0)
		printf("%s\n", err.text);
	return r;
}

static bool add(struct world *world, struct npt_report *report)
{
	bool added = false;

	return NPT_CHECK_INT(append(world, report, &added), 0) && added;
}

/* One number out of the file, by a connection of its own. */
static int64_t ask(const struct world *world, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	int64_t value = -1;

	if (NPT_CHECK_INT(sqlite3_open_v2(world->path, &db, SQLITE_OPEN_READWRITE, NULL), 0) &&
	    NPT_CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), 0) &&
	    NPT_CHECK_INT(sqlite3_step(statement), SQLITE_ROW))
		value = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
	return value;
}

struct collected {
	struct npt_report *windows[64];
	uint64_t ids[64];
	size_t count;
};

static int collect(void *context, uint64_t id, struct npt_report *found)
{
	struct collected *collected = context;
	struct npt_report *copy = npt_report_new();

	*copy = *found;
	copy->edges = NULL;
	copy->edges_count = copy->edges_room = 0;
	copy->tls = NULL;
	copy->tls_count = 0;
	for (size_t i = 0; i < found->tls_count; i++)
		*npt_report_add_tls(copy) = found->tls[i];
	for (size_t i = 0; i < found->edges_count; i++)
		*npt_report_add_edge(copy) = found->edges[i];
	collected->ids[collected->count] = id;
	collected->windows[collected->count++] = copy;
	return 0;
}

static void forget(struct collected *collected)
{
	for (size_t i = 0; i < collected->count; i++)
		npt_report_free(collected->windows[i]);
	collected->count = 0;
}

static uint64_t task_id(struct world *world, const char *uid)
{
	struct npt_stored_task task = { 0 };

	NPT_CHECK_INT(npt_store_find_task(world->reader, uid, &task, NULL), 0);
	return task.id;
}

static void read_all(struct world *world, const struct npt_store_filter *filter,
		     struct collected *collected)
{
	struct npt_error err = NPT_ERROR_NONE;

	if (!NPT_CHECK_INT(npt_store_read_windows(world->reader, filter, collect, collected, &err),
			   0))
		printf("%s\n", err.text);
}

static void gives_back_every_window_as_it_came(void)
{
	struct world world;
	uint64_t seed = npt_test_seed();
	struct npt_report *reports[20];
	bool added[20];

	begin(&world);
	for (size_t i = 0; i < 20; i++) {
		reports[i] = npt_test_random_report(&seed, i % 9);
		reports[i]->sequence = i + 1;
	}
	NPT_CHECK_INT(npt_store_append(world.store, reports, 20, added, NULL), 0);
	for (size_t i = 0; i < 20; i++) {
		struct collected found = { .count = 0 };
		struct npt_store_filter filter = { .task_id =
							   task_id(&world, reports[i]->task.uid) };

		NPT_CHECK(added[i]);
		read_all(&world, &filter, &found);
		if (NPT_CHECK_INT(found.count, 1)) {
			npt_auto_free char *before = npt_report_to_json(reports[i]);
			npt_auto_free char *after = npt_report_to_json(found.windows[0]);

			NPT_CHECK_STR(after, before);
			for (size_t e = 0; e < reports[i]->edges_count; e++)
				NPT_CHECK(memcmp(&reports[i]->edges[e], &found.windows[0]->edges[e],
						 sizeof(struct npt_edge)) == 0);
		}
		forget(&found);
		npt_report_free(reports[i]);
	}
	end(&world);
}

static void stores_a_window_once_whoever_repeats_it(void)
{
	struct world world;
	struct npt_report *batch[3];
	bool added[3];

	begin(&world);
	NPT_CHECK(add(&world, window("t", "p", "i", 1, 3)));
	NPT_CHECK(!add(&world, window("t", "p", "i", 1, 3)));
	NPT_CHECK(!add(&world, window("t", "p", "i", 1, 5)));
	NPT_CHECK(add(&world, window("t", "p", "i", 2, 3)));
	NPT_CHECK(add(&world, window("t", "p", "another agent", 1, 3)));
	NPT_CHECK(add(&world, window("t", "another pod", "i", 1, 3)));
	NPT_CHECK(add(&world, window("another task", "p", "i", 1, 3)));
	batch[0] = window("t", "p", "i", 3, 1); /* twice in one transaction */
	batch[1] = window("t", "p", "i", 3, 1);
	batch[2] = window("t", "p", "i", 4, 1);
	NPT_CHECK_INT(npt_store_append(world.store, batch, 3, added, NULL), 0);
	NPT_CHECK(added[0] && !added[1] && added[2]);
	for (size_t i = 0; i < 3; i++)
		npt_report_free(batch[i]);
	close_store(&world);
	NPT_CHECK(open_store(&world));
	NPT_CHECK(!add(&world, window("t", "p", "i", 4, 1)));
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM windows"), 7);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM edge_windows"), 17);
	NPT_CHECK_INT(ask(&world, "SELECT windows FROM tasks WHERE uid = 't'"), 6);
	end(&world);
}

static void sums_are_equal_in_the_file_and_in_what_was_sent(void)
{
	struct world world;
	uint64_t seed = npt_test_seed(), sent = 0, writes = 0, drops = 0;
	static const char query[] = "SELECT sum(sent_bytes) FROM measurements WHERE task_uid='t'"
				    " AND pod_name = 'name-p1' AND process = 'nginx'";

	begin(&world);
	for (uint64_t sequence = 1; sequence <= 40; sequence++) {
		size_t edges = npt_test_random(&seed) % 20;
		npt_auto(npt_report_free) struct npt_report *one =
			window("t", "p1", "i", sequence, edges);

		for (size_t i = 0; i < edges; i++) {
			sent += one->edges[i].sent.bytes;
			writes += one->edges[i].metrics[NPT_METRIC_WRITE].count;
			drops += one->edges[i].drops[0].count;
		}
		NPT_CHECK(add(&world, npt_take(one)));
		NPT_CHECK(add(&world, window("t", "p2", "i", sequence, 1)));
		NPT_CHECK(add(&world, window("u", "p1", "i", sequence, 1)));
	}
	NPT_CHECK_INT(ask(&world, query), sent);
	NPT_CHECK_INT(ask(&world, "SELECT sum(write_count) FROM measurements WHERE task_uid='t'"
				  " AND pod_uid = 'p1'"),
		      writes);
	NPT_CHECK_INT(ask(&world, "SELECT sum(drops) FROM measurements WHERE task_uid='t'"
				  " AND pod_uid = 'p1'"),
		      drops);
	end(&world);
}

static void reads_by_task_by_pod_and_by_stream_and_goes_on_where_it_stopped(void)
{
	struct world world;
	struct collected found = { .count = 0 };
	struct npt_store_filter filter = { .limit = 4 };
	struct npt_stored_stream *streams = NULL;
	size_t count = 0;

	begin(&world);
	for (uint64_t sequence = 3; sequence >= 1; sequence--) { /* late ones come last */
		NPT_CHECK(add(&world, window("t", "p1", "i", sequence, 2)));
		NPT_CHECK(add(&world, window("t", "p2", "i", sequence, 1)));
		NPT_CHECK(add(&world, window("other", "p1", "i", sequence, 1)));
	}
	filter.task_id = task_id(&world, "t");
	read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 4);
	filter.after = found.ids[3];
	read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 6);
	NPT_CHECK_STR(found.windows[0]->pod.uid, "p1");
	NPT_CHECK_STR(found.windows[5]->pod.uid, "p2");
	NPT_CHECK_INT(found.windows[4]->sequence, 1);
	forget(&found);
	filter = (struct npt_store_filter){ .task_id = filter.task_id, .pod_uid = "p2" };
	read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 3);
	NPT_CHECK_STR(found.windows[2]->pod.uid, "p2");
	forget(&found);
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
	read_all(&world, &filter, &found);
	NPT_CHECK_INT(found.count, 2);
	NPT_CHECK_INT(found.windows[0]->sequence, 2);
	NPT_CHECK_INT(found.windows[1]->sequence, 3);
	forget(&found);
	free(streams);
	end(&world);
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
	struct world world;

	begin(&world);
	for (uint64_t sequence = 1; sequence <= 5; sequence++) {
		struct npt_report *report = window("t", "p", "i", sequence, 2);

		report->start_unix_ms = 1 + sequence * 1000;
		NPT_CHECK(add(&world, report));
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct collected found = { .count = 0 };
		const struct npt_store_filter filter = { .task_id = task_id(&world, "t"),
							 .from_unix_ms = cases[i].from,
							 .until_unix_ms = cases[i].until };

		read_all(&world, &filter, &found);
		if (!NPT_CHECK_INT(found.count, cases[i].count))
			printf("case %zu\n", i);
		forget(&found);
	}
	end(&world);
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
	struct world world;
	struct npt_report *first = window("t", "p", "i", 1, 3);
	struct npt_store_edge_filter filter = { .edge_key = npt_edge_key(&first->edges[1]) };
	struct edge_windows found = { .count = 0 };

	begin(&world);
	/* Late ones, other streams, the same edge by another name, other tasks with such an edge.
	 */
	(void)snprintf(first->edges[1].peer.name, sizeof(first->edges[1].peer.name), "later");
	NPT_CHECK(add(&world, window("t", "p", "i", 3, 3)));
	NPT_CHECK(add(&world, window("t", "p", "j", 2, 3)));
	NPT_CHECK(add(&world, first));
	NPT_CHECK(add(&world, window("t", "p", "i", 4, 1))); /* without the edge */
	NPT_CHECK(add(&world, window("u", "p", "i", 1, 3)));
	filter.task_id = task_id(&world, "t");
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
	end(&world);
}

static void lists_the_newest_tasks_first(void)
{
	struct world world;
	struct npt_stored_task tasks[4], task;
	struct npt_error err = NPT_ERROR_NONE;
	size_t count = 0;

	begin(&world);
	NPT_CHECK(add(&world, window("t1", "p", "i", 2, 1)));
	NPT_CHECK(add(&world, window("t1", "p", "i", 1, 1)));
	NPT_CHECK(add(&world, window("t1", "q", "i", 1, 1)));
	NPT_CHECK(add(&world, window("t2", "p", "i", 1, 1)));
	NPT_CHECK(add(&world, window("t3", "p", "i", 1, 1)));
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
	end(&world);
}

static void stores_nothing_of_a_batch_that_fails(void)
{
	struct world world;
	struct npt_report *batch[2];
	struct npt_error err = NPT_ERROR_NONE;
	bool added[2];
	sqlite3 *db = NULL;

	begin(&world);
	NPT_CHECK(add(&world, window("t", "p", "i", 1, 3)));
	/* A fault in the middle: the second window's rows are refused. */
	NPT_CHECK_INT(sqlite3_open(world.path, &db), 0);
	NPT_CHECK_INT(sqlite3_exec(db,
				   "CREATE TRIGGER fault BEFORE INSERT ON edge_windows WHEN"
				   " new.sent_bytes = 9002 BEGIN SELECT RAISE(ABORT, 'fault');"
				   " END",
				   NULL, NULL, NULL),
		      0);
	batch[0] = window("new task", "p", "i", 2, 3);
	batch[1] = window("t", "p", "i", 9, 3);
	NPT_CHECK(npt_store_append(world.store, batch, 2, added, &err) < 0);
	NPT_CHECK(strstr(err.text, "fault") != NULL);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM windows"), 1);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM edge_windows"), 3);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM tasks"), 1);
	NPT_CHECK_INT(sqlite3_exec(db, "DROP TRIGGER fault", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	/* Ids of what was rolled back must not be remembered. */
	NPT_CHECK_INT(npt_store_append(world.store, batch, 2, added, &err), 0);
	NPT_CHECK(added[0] && added[1]);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM measurements"), 9);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM measurements WHERE task_uid='new task'"),
		      3);
	npt_report_free(batch[0]);
	npt_report_free(batch[1]);
	end(&world);
}

static void overwrite(const char *path, long offset)
{
	static const char junk[8192] = "this is no database page";
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	NPT_CHECK(fd >= 0 && pwrite(fd, junk, sizeof(junk), offset) == (ssize_t)sizeof(junk));
	(void)close(fd);
}

static void keeps_a_damaged_file_aside_and_goes_on(void)
{
	struct world world;
	npt_auto_free char *kept = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	begin(&world);
	NPT_CHECK(add(&world, window("t", "p", "i", 1, 3)));
	close_store(&world);
	overwrite(world.path, 0);
	NPT_CHECK_INT(npt_store_open(world.path, &world.store, &err), -EUCLEAN);
	NPT_CHECK(strstr(err.text, "file is not a database") != NULL);
	NPT_CHECK_INT(npt_store_set_aside_file(world.path, &kept, &err), 0);
	NPT_CHECK(strstr(kept, "/w.db.damaged-") != NULL && access(kept, R_OK) == 0);
	NPT_CHECK(open_store(&world));
	NPT_CHECK(add(&world, window("t", "p", "i", 1, 3)));
	end(&world);
}

static void goes_on_with_a_new_file_when_it_is_damaged_while_open(void)
{
	struct world world;
	npt_auto_free char *kept = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_stored_task task;
	bool added;
	int r = 0;

	begin(&world);
	for (uint64_t i = 1; i <= 200; i++)
		NPT_CHECK(add(&world, window("t", "p", "i", i, 30)));
	close_store(&world); /* the WAL goes into the file */
	NPT_CHECK(open_store(&world));
	for (long page = 2; page < 60; page++)
		overwrite(world.path, page * 4096);
	for (uint64_t i = 201; r == 0 && i < 900; i++) {
		npt_auto(npt_report_free) struct npt_report *one = window("t2", "p", "i", i, 30);

		r = npt_store_append(world.store, &one, 1, &added, &err);
	}
	NPT_CHECK_INT(r, -EUCLEAN);
	NPT_CHECK_INT(npt_store_set_aside(world.store, &kept, &err), 0);
	NPT_CHECK(kept && access(kept, R_OK) == 0);
	NPT_CHECK(add(&world, window("t3", "p", "i", 1, 3)));
	/* A reader that was opened before sees the new file. */
	NPT_CHECK_INT(npt_store_find_task(world.reader, "t3", &task, &err), 0);
	NPT_CHECK_INT(npt_store_find_task(world.reader, "t", &task, &err), -ENOENT);
	end(&world);
}

static void set_label(struct npt_edge *edge, const char *protocol, enum npt_tls tls,
		      const char *version)
{
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "%s", protocol);
	edge->protocol_confidence_permille = npt_protocol_is_known(protocol) ? 990 : 0;
	edge->tls = tls;
	(void)snprintf(edge->tls_facts.version, sizeof(edge->tls_facts.version), "%s", version);
}

/* A window of one edge, with a label. */
static struct npt_report *labelled(uint64_t sequence, const char *protocol, enum npt_tls tls,
				   const char *version)
{
	struct npt_report *report = window("t", "p", "i", sequence, 1);

	set_label(&report->edges[0], protocol, tls, version);
	return report;
}

/* Every window of the task, and their sum, are of one edge with this label. */
static void check_label(struct world *world, const char *protocol, enum npt_tls tls,
			const char *version)
{
	struct npt_store_filter filter = { .task_id = task_id(world, "t") };
	struct collected found = { .count = 0 };
	npt_auto(npt_report_free) struct npt_report *sum = npt_report_new();

	read_all(world, &filter, &found);
	NPT_CHECK(found.count > 0);
	for (size_t i = 0; i < found.count; i++) {
		const struct npt_edge *edge = &found.windows[i]->edges[0];

		NPT_CHECK_STR(edge->protocol, protocol);
		NPT_CHECK_INT(edge->tls, tls);
		NPT_CHECK_STR(edge->tls_facts.version, version);
		NPT_CHECK_INT(edge->protocol_confidence_permille,
			      npt_protocol_is_known(protocol) ? 990 : 0);
		NPT_CHECK_INT(edge->sent.bytes, 1000 * found.windows[i]->sequence);
		npt_report_merge(sum, found.windows[i]);
	}
	NPT_CHECK_INT(sum->edges_count, 1);
	NPT_CHECK_STR(sum->edges[0].protocol, protocol);
	forget(&found);
}

static int64_t ask_label(const struct world *world, const char *protocol, const char *tls)
{
	npt_auto_free char *sql = npt_format(
		"SELECT count(*) FROM edges WHERE protocol = '%s' AND tls = '%s'", protocol, tls);

	return ask(world, sql);
}

static void an_edge_whose_protocol_becomes_known_late_is_one_that_speaks_it(void)
{
	struct world world;

	begin(&world);
	NPT_CHECK(add(&world, labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	check_label(&world, "unknown", NPT_TLS_UNKNOWN, "");
	NPT_CHECK_INT(ask_label(&world, "unknown", "unknown"), 1);
	NPT_CHECK(add(&world, labelled(2, "http2", NPT_TLS_YES, "1.3")));
	check_label(&world, "http2", NPT_TLS_YES, "1.3");
	NPT_CHECK_INT(ask_label(&world, "http2", "yes"), 1);
	NPT_CHECK(add(&world, labelled(3, "unknown", NPT_TLS_UNKNOWN, "")));
	check_label(&world, "http2", NPT_TLS_YES, "1.3");
	NPT_CHECK(add(&world, labelled(4, "grpc", NPT_TLS_UNKNOWN, "")));
	check_label(&world, "grpc", NPT_TLS_YES, "1.3");
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM edges"), 1);
	NPT_CHECK_INT(ask(&world, "SELECT sum(sent_bytes) FROM measurements WHERE"
				  " protocol = 'grpc' AND tls = 'yes'"),
		      10000);
	end(&world);
}

static void labels_outlive_a_restart(void)
{
	struct world world;

	begin(&world);
	NPT_CHECK(add(&world, labelled(1, "http2", NPT_TLS_YES, "1.3")));
	close_store(&world);
	NPT_CHECK(open_store(&world));
	NPT_CHECK(add(&world, labelled(2, "unknown", NPT_TLS_UNKNOWN, "")));
	check_label(&world, "http2", NPT_TLS_YES, "1.3");
	NPT_CHECK(add(&world, labelled(3, "grpc", NPT_TLS_UNKNOWN, "")));
	check_label(&world, "grpc", NPT_TLS_YES, "1.3");
	end(&world);
}

/* As when an agent could not reach us for a while, or says it once more. */
static void a_window_that_comes_late_does_not_bring_an_older_label_back(void)
{
	static const struct {
		uint64_t first, again, late, later; /* sequences; 0: not said again */
	} cases[] = { { 5, 0, 2, 1 }, { 5, 8, 7, 6 } };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct world world;

		begin(&world);
		NPT_CHECK(add(&world, labelled(cases[i].first, "grpc", NPT_TLS_UNKNOWN, "")));
		if (cases[i].again)
			NPT_CHECK(
				add(&world, labelled(cases[i].again, "grpc", NPT_TLS_UNKNOWN, "")));
		NPT_CHECK(add(&world, labelled(cases[i].late, "http2", NPT_TLS_YES, "1.2")));
		check_label(&world, "grpc", NPT_TLS_YES, "1.2");
		NPT_CHECK(add(&world, labelled(cases[i].later, "mysql", NPT_TLS_NO, "")));
		check_label(&world, "grpc", NPT_TLS_YES, "1.2");
		end(&world);
	}
}

static void edges_of_one_port_that_speak_several_protocols_stay_apart(void)
{
	struct world world;
	struct npt_report *report = labelled(1, "http1", NPT_TLS_NO, "");
	struct npt_edge second = report->edges[0];

	begin(&world);
	second.label = 1;
	set_label(&second, "websocket", NPT_TLS_NO, "");
	*npt_report_add_edge(report) = second;
	NPT_CHECK(add(&world, report));
	NPT_CHECK_INT(ask_label(&world, "http1", "no"), 1);
	NPT_CHECK_INT(ask_label(&world, "websocket", "no"), 1);
	end(&world);
}

static void a_label_of_a_batch_that_fails_is_not_kept(void)
{
	struct world world;
	sqlite3 *db = NULL;
	bool added;

	begin(&world);
	NPT_CHECK(add(&world, labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	NPT_CHECK_INT(sqlite3_open(world.path, &db), 0);
	NPT_CHECK_INT(sqlite3_exec(db,
				   "CREATE TRIGGER fault BEFORE INSERT ON edge_windows WHEN"
				   " NEW.sent_bytes = 2000 BEGIN SELECT RAISE(ABORT, 'no'); END",
				   NULL, NULL, NULL),
		      0);
	NPT_CHECK(append(&world, labelled(2, "http1", NPT_TLS_NO, ""), &added) < 0);
	check_label(&world, "unknown", NPT_TLS_UNKNOWN, "");
	NPT_CHECK_INT(sqlite3_exec(db, "DROP TRIGGER fault", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	NPT_CHECK(add(&world, labelled(2, "http1", NPT_TLS_NO, "")));
	check_label(&world, "http1", NPT_TLS_NO, "");
	end(&world);
}

static void change(const struct world *world, const char *sql)
{
	sqlite3 *db = NULL;

	NPT_CHECK_INT(sqlite3_open(world->path, &db), 0);
	NPT_CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
}

/* As version 2 left it: each window's head whole, edges without a key. */
static void make_version_2(const struct world *world)
{
	change(world, "UPDATE windows SET head = CAST((SELECT c.head FROM constants c WHERE c.id ="
		      " constant_id) || head AS BLOB);"
		      "ALTER TABLE windows DROP COLUMN constant_id; DROP TABLE constants;"
		      "DROP INDEX edges_by_key; ALTER TABLE edges DROP COLUMN edge_key;"
		      "PRAGMA user_version = 2");
}

/* As version 1 left it: with the label in the identity, too, and without columns for it. */
static void make_version_1(const struct world *world)
{
	make_version_2(world);
	change(world, "UPDATE edges SET identity ="
		      " CAST(identity || x'8a0107756e6b6e6f776e' AS BLOB);"
		      "ALTER TABLE edges DROP COLUMN label;"
		      "ALTER TABLE edges DROP COLUMN label_unix_ms; PRAGMA user_version = 1");
}

static void goes_on_with_a_file_of_version_1(void)
{
	struct world world;

	begin(&world);
	NPT_CHECK(add(&world, labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	NPT_CHECK(add(&world, window("t2", "p", "i", 1, 3)));
	close_store(&world);
	make_version_1(&world);
	NPT_CHECK(open_store(&world));
	NPT_CHECK_INT(ask(&world, "PRAGMA user_version"), 3);
	check_label(&world, "unknown", NPT_TLS_UNKNOWN, "");
	NPT_CHECK(add(&world, labelled(2, "http1", NPT_TLS_NO, "")));
	check_label(&world, "http1", NPT_TLS_NO, "");
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM edges"), 4);
	close_store(&world);
	NPT_CHECK(open_store(&world));
	check_label(&world, "http1", NPT_TLS_NO, "");
	end(&world);
}

static void goes_on_with_a_file_of_version_2(void)
{
	struct world world;
	uint64_t seed = npt_test_seed();
	npt_auto(npt_report_free) struct npt_report *report = npt_test_random_report(&seed, 5);
	npt_auto_free char *before = npt_report_to_json(report);
	npt_auto_free char *after = NULL;
	struct collected found = { .count = 0 };
	struct npt_store_filter filter = { .task_id = 0 };
	bool added = false;

	begin(&world);
	NPT_CHECK_INT(npt_store_append(world.store, &report, 1, &added, NULL), 0);
	close_store(&world);
	make_version_2(&world);
	NPT_CHECK(open_store(&world));
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM edges WHERE edge_key = 0"), 0);
	filter.task_id = task_id(&world, report->task.uid);
	read_all(&world, &filter, &found);
	if (NPT_CHECK_INT(found.count, 1))
		after = npt_report_to_json(found.windows[0]);
	NPT_CHECK_STR(after, before);
	forget(&found);
	end(&world);
}

/* What version 1 never wrote, but could have: one edge by two names. */
static void reads_what_a_file_of_version_1_has_twice(void)
{
	struct world world;
	struct npt_report *second = labelled(2, "unknown", NPT_TLS_UNKNOWN, "");
	sqlite3 *db = NULL;

	begin(&world);
	second->edges[0].process.pid = 101;
	NPT_CHECK(add(&world, labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	NPT_CHECK(add(&world, second));
	close_store(&world);
	make_version_1(&world);
	NPT_CHECK_INT(sqlite3_open(world.path, &db), 0);
	NPT_CHECK_INT(
		sqlite3_exec(db,
			     "UPDATE edges SET identity = (SELECT CAST(identity ||"
			     " x'8a010568747470319001018803de07' AS BLOB) FROM edges WHERE id = 1)"
			     " WHERE id = 2",
			     NULL, NULL, NULL),
		0);
	(void)sqlite3_close(db);
	NPT_CHECK(open_store(&world));
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM edges"), 2);
	NPT_CHECK(add(&world, labelled(3, "http1", NPT_TLS_NO, "")));
	check_label(&world, "http1", NPT_TLS_NO, "");
	end(&world);
}

static void refuses_what_is_not_ours(void)
{
	struct world world;
	struct npt_error err = NPT_ERROR_NONE;
	sqlite3 *db = NULL;

	begin(&world);
	close_store(&world);
	NPT_CHECK_INT(sqlite3_open(world.path, &db), 0);
	NPT_CHECK_INT(sqlite3_exec(db, "PRAGMA user_version = 4", NULL, NULL, NULL), 0);
	NPT_CHECK_INT(npt_store_open(world.path, &world.store, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "is of a newer version of npt-aggregator") != NULL);
	NPT_CHECK_INT(sqlite3_exec(db, "PRAGMA user_version = 0", NULL, NULL, NULL), 0);
	NPT_CHECK_INT(npt_store_open(world.path, &world.store, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "is a database of another program") != NULL);
	(void)sqlite3_close(db);
	NPT_CHECK_INT(npt_store_open("/nowhere/w.db", &world.store, &err), -EACCES);
	NPT_CHECK_STR(err.text,
		      "cannot open the store /nowhere/w.db: unable to open database file");
	end(&world);
}

static void removes_whole_tasks_that_are_too_old_or_too_much(void)
{
	struct world world;
	struct npt_store_limits limits = { .max_age_ms = 1000 };
	uint64_t removed = 0, now;

	begin(&world);
	for (uint64_t i = 1; i <= 30; i++) {
		NPT_CHECK(add(&world, window("old", "p", "i", i, 100)));
		NPT_CHECK(add(&world, window("young", "p", "i", i, 100)));
	}
	(void)usleep(20000);
	NPT_CHECK(add(&world, window("young", "p", "i", 31, 100)));
	now = (uint64_t)ask(&world, "SELECT received_unix_ms FROM tasks WHERE uid = 'old'");
	NPT_CHECK_INT(npt_store_trim(world.store, &limits, now + 900, &removed, NULL), 0);
	NPT_CHECK_INT(removed, 0);
	NPT_CHECK_INT(npt_store_trim(world.store, &limits, now + 1010, &removed, NULL), 0);
	NPT_CHECK_INT(removed, 1);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM measurements"), 3100);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM edge_windows"), 3100);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM edges"), 100);
	NPT_CHECK_INT(ask(&world, "SELECT count(*) FROM windows WHERE edges <> (SELECT count(*)"
				  " FROM edge_windows r WHERE r.window_id = windows.id)"),
		      0);
	NPT_CHECK(add(&world, window("old", "p", "i", 1, 1)));
	limits = (struct npt_store_limits){ .max_bytes = 1 };
	NPT_CHECK_INT(npt_store_trim(world.store, &limits, now, &removed, NULL), 0);
	NPT_CHECK_INT(removed, 2);
	NPT_CHECK_INT(ask(&world, "SELECT (SELECT count(*) FROM windows) + (SELECT count(*) FROM"
				  " edge_windows) + (SELECT count(*) FROM edges) + (SELECT"
				  " count(*) FROM streams) + (SELECT count(*) FROM tasks)"),
		      0);
	NPT_CHECK(add(&world, window("young", "p", "i", 1, 1)));
	end(&world);
}

static const struct npt_test tests[] = {
	NPT_TEST(gives_back_every_window_as_it_came),
	NPT_TEST(stores_a_window_once_whoever_repeats_it),
	NPT_TEST(sums_are_equal_in_the_file_and_in_what_was_sent),
	NPT_TEST(reads_by_task_by_pod_and_by_stream_and_goes_on_where_it_stopped),
	NPT_TEST(reads_what_has_part_of_a_time),
	NPT_TEST(reads_the_windows_of_one_edge_by_time),
	NPT_TEST(lists_the_newest_tasks_first),
	NPT_TEST(stores_nothing_of_a_batch_that_fails),
	NPT_TEST(keeps_a_damaged_file_aside_and_goes_on),
	NPT_TEST(goes_on_with_a_new_file_when_it_is_damaged_while_open),
	NPT_TEST(an_edge_whose_protocol_becomes_known_late_is_one_that_speaks_it),
	NPT_TEST(labels_outlive_a_restart),
	NPT_TEST(a_window_that_comes_late_does_not_bring_an_older_label_back),
	NPT_TEST(edges_of_one_port_that_speak_several_protocols_stay_apart),
	NPT_TEST(a_label_of_a_batch_that_fails_is_not_kept),
	NPT_TEST(goes_on_with_a_file_of_version_1),
	NPT_TEST(goes_on_with_a_file_of_version_2),
	NPT_TEST(reads_what_a_file_of_version_1_has_twice),
	NPT_TEST(refuses_what_is_not_ours),
	NPT_TEST(removes_whole_tasks_that_are_too_old_or_too_much),
};
NPT_TEST_MAIN(tests)
