/* SPDX-License-Identifier: Apache-2.0 */
/* What only SQLite can show: faults, damage, files of older versions; asked of the file by SQL. */
#include "aggregator/store/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "tests/support/random_report.h"
#include "tests/support/store.h"
#include "tests/support/test.h"

static void stores_nothing_of_a_batch_that_fails(void)
{
	struct npt_test_store world;
	struct npt_report *batch[2];
	struct npt_error err = NPT_ERROR_NONE;
	bool added[2];
	sqlite3 *db = NULL;

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 3)));
	/* A fault in the middle: the second window's rows are refused. */
	NPT_CHECK_INT(sqlite3_open(world.path, &db), 0);
	NPT_CHECK_INT(sqlite3_exec(db,
				   "CREATE TRIGGER fault BEFORE INSERT ON edge_windows WHEN"
				   " new.sent_bytes = 9002 BEGIN SELECT RAISE(ABORT, 'fault');"
				   " END",
				   NULL, NULL, NULL),
		      0);
	batch[0] = npt_test_store_window("new task", "p", "i", 2, 3);
	batch[1] = npt_test_store_window("t", "p", "i", 9, 3);
	NPT_CHECK(npt_store_append(world.store, batch, 2, added, &err) < 0);
	NPT_CHECK(strstr(err.text, "fault") != NULL);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM windows"), 1);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM edge_windows"), 3);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM tasks"), 1);
	NPT_CHECK_INT(sqlite3_exec(db, "DROP TRIGGER fault", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	/* Ids of what was rolled back must not be remembered. */
	NPT_CHECK_INT(npt_store_append(world.store, batch, 2, added, &err), 0);
	NPT_CHECK(added[0] && added[1]);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM measurements"), 9);
	NPT_CHECK_INT(
		npt_test_store_ask(&world,
				   "SELECT count(*) FROM measurements WHERE task_uid='new task'"),
		3);
	npt_report_free(batch[0]);
	npt_report_free(batch[1]);
	npt_test_store_end(&world);
}

static void overwrite(const char *path, long offset)
{
	static const char junk[8192] = "this is no database page";
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	NPT_CHECK(fd >= 0 && pwrite(fd, junk, sizeof(junk), offset) == (ssize_t)sizeof(junk));
	(void)close(fd);
}

/* A page in the middle: the file opens, its schema is there, its newest rows can be read. */
static void a_damaged_page_is_found_at_the_start(void)
{
	struct npt_test_store world;
	struct npt_error err = NPT_ERROR_NONE;

	npt_test_store_begin(&world);
	for (uint64_t sequence = 1; sequence <= 40; sequence++)
		NPT_CHECK(npt_test_store_add(&world,
					     npt_test_store_window("t", "p", "i", sequence, 50)));
	npt_test_store_close(&world);
	NPT_CHECK(npt_test_store_open(&world));
	npt_test_store_close(&world);
	overwrite(world.path, 20L * 8192);
	NPT_CHECK_INT(npt_store_open(world.path, &world.store, &err), -EUCLEAN);
	npt_test_store_end(&world);
}

static void keeps_a_damaged_file_aside_and_goes_on(void)
{
	struct npt_test_store world;
	npt_auto_free char *kept = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 3)));
	npt_test_store_close(&world);
	overwrite(world.path, 0);
	NPT_CHECK_INT(npt_store_open(world.path, &world.store, &err), -EUCLEAN);
	NPT_CHECK(strstr(err.text, "file is not a database") != NULL);
	NPT_CHECK_INT(npt_store_set_aside_file(world.path, &kept, &err), 0);
	NPT_CHECK(strstr(kept, "/w.db.damaged-") != NULL && access(kept, R_OK) == 0);
	NPT_CHECK(npt_test_store_open(&world));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", 1, 3)));
	npt_test_store_end(&world);
}

static void goes_on_with_a_new_file_when_it_is_damaged_while_open(void)
{
	struct npt_test_store world;
	npt_auto_free char *kept = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_stored_task task;
	bool added;
	int r = 0;

	npt_test_store_begin(&world);
	for (uint64_t i = 1; i <= 200; i++)
		NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t", "p", "i", i, 30)));
	npt_test_store_close(&world); /* the WAL goes into the file */
	NPT_CHECK(npt_test_store_open(&world));
	for (long page = 2; page < 60; page++)
		overwrite(world.path, page * 4096);
	for (uint64_t i = 201; r == 0 && i < 900; i++) {
		npt_auto(npt_report_free) struct npt_report *one =
			npt_test_store_window("t2", "p", "i", i, 30);

		r = npt_store_append(world.store, &one, 1, &added, &err);
	}
	NPT_CHECK_INT(r, -EUCLEAN);
	NPT_CHECK_INT(npt_store_set_aside(world.store, &kept, &err), 0);
	NPT_CHECK(kept && access(kept, R_OK) == 0);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t3", "p", "i", 1, 3)));
	/* A reader that was opened before sees the new file. */
	NPT_CHECK_INT(npt_store_find_task(world.reader, "t3", &task, &err), 0);
	NPT_CHECK_INT(npt_store_find_task(world.reader, "t", &task, &err), -ENOENT);
	npt_test_store_end(&world);
}

static int64_t ask_label(const struct npt_test_store *world, const char *protocol, const char *tls)
{
	npt_auto_free char *sql = npt_format(
		"SELECT count(*) FROM edges WHERE protocol = '%s' AND tls = '%s'", protocol, tls);

	return npt_test_store_ask(world, sql);
}

static void columns_say_what_an_edge_speaks_by_now(void)
{
	struct npt_test_store world;

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	npt_test_store_check_label(&world, "unknown", NPT_TLS_UNKNOWN, "");
	NPT_CHECK_INT(ask_label(&world, "unknown", "unknown"), 1);
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(2, "http2", NPT_TLS_YES, "1.3")));
	npt_test_store_check_label(&world, "http2", NPT_TLS_YES, "1.3");
	NPT_CHECK_INT(ask_label(&world, "http2", "yes"), 1);
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(3, "unknown", NPT_TLS_UNKNOWN, "")));
	npt_test_store_check_label(&world, "http2", NPT_TLS_YES, "1.3");
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(4, "grpc", NPT_TLS_UNKNOWN, "")));
	npt_test_store_check_label(&world, "grpc", NPT_TLS_YES, "1.3");
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM edges"), 1);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT sum(sent_bytes) FROM measurements WHERE"
						 " protocol = 'grpc' AND tls = 'yes'"),
		      10000);
	npt_test_store_end(&world);
}

static void a_label_of_a_batch_that_fails_is_not_kept(void)
{
	struct npt_test_store world;
	sqlite3 *db = NULL;
	bool added;

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	NPT_CHECK_INT(sqlite3_open(world.path, &db), 0);
	NPT_CHECK_INT(sqlite3_exec(db,
				   "CREATE TRIGGER fault BEFORE INSERT ON edge_windows WHEN"
				   " NEW.sent_bytes = 2000 BEGIN SELECT RAISE(ABORT, 'no'); END",
				   NULL, NULL, NULL),
		      0);
	NPT_CHECK(npt_test_store_append(&world, npt_test_store_labelled(2, "http1", NPT_TLS_NO, ""),
					&added) < 0);
	npt_test_store_check_label(&world, "unknown", NPT_TLS_UNKNOWN, "");
	NPT_CHECK_INT(sqlite3_exec(db, "DROP TRIGGER fault", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_labelled(2, "http1", NPT_TLS_NO, "")));
	npt_test_store_check_label(&world, "http1", NPT_TLS_NO, "");
	npt_test_store_end(&world);
}

static void change(const struct npt_test_store *world, const char *sql)
{
	sqlite3 *db = NULL;

	NPT_CHECK_INT(sqlite3_open(world->path, &db), 0);
	NPT_CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
}

/* As version 2 left it: each window's head whole, edges without a key. */
static void make_version_2(const struct npt_test_store *world)
{
	change(world, "UPDATE windows SET head = CAST((SELECT c.head FROM constants c WHERE c.id ="
		      " constant_id) || head AS BLOB);"
		      "ALTER TABLE windows DROP COLUMN constant_id; DROP TABLE constants;"
		      "DROP INDEX edges_by_key; ALTER TABLE edges DROP COLUMN edge_key;"
		      "PRAGMA user_version = 2");
}

/* As version 1 left it: with the label in the identity, too, and without columns for it. */
static void make_version_1(const struct npt_test_store *world)
{
	make_version_2(world);
	change(world, "UPDATE edges SET identity ="
		      " CAST(identity || x'8a0107756e6b6e6f776e' AS BLOB);"
		      "ALTER TABLE edges DROP COLUMN label;"
		      "ALTER TABLE edges DROP COLUMN label_unix_ms; PRAGMA user_version = 1");
}

static void goes_on_with_a_file_of_version_1(void)
{
	struct npt_test_store world;

	npt_test_store_begin(&world);
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("t2", "p", "i", 1, 3)));
	npt_test_store_close(&world);
	make_version_1(&world);
	NPT_CHECK(npt_test_store_open(&world));
	NPT_CHECK_INT(npt_test_store_ask(&world, "PRAGMA user_version"), 3);
	npt_test_store_check_label(&world, "unknown", NPT_TLS_UNKNOWN, "");
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_labelled(2, "http1", NPT_TLS_NO, "")));
	npt_test_store_check_label(&world, "http1", NPT_TLS_NO, "");
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM edges"), 4);
	npt_test_store_close(&world);
	NPT_CHECK(npt_test_store_open(&world));
	npt_test_store_check_label(&world, "http1", NPT_TLS_NO, "");
	npt_test_store_end(&world);
}

static void goes_on_with_a_file_of_version_2(void)
{
	struct npt_test_store world;
	uint64_t seed = npt_test_seed();
	npt_auto(npt_report_free) struct npt_report *report = npt_test_random_report(&seed, 5);
	npt_auto_free char *before = npt_report_to_json(report);
	npt_auto_free char *after = NULL;
	struct npt_test_windows found = { .count = 0 };
	struct npt_store_filter filter = { .task_id = 0 };
	bool added = false;

	npt_test_store_begin(&world);
	NPT_CHECK_INT(npt_store_append(world.store, &report, 1, &added, NULL), 0);
	npt_test_store_close(&world);
	make_version_2(&world);
	NPT_CHECK(npt_test_store_open(&world));
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM edges WHERE edge_key = 0"),
		      0);
	filter.task_id = npt_test_store_task_id(&world, report->task.uid);
	npt_test_store_read_all(&world, &filter, &found);
	if (NPT_CHECK_INT(found.count, 1))
		after = npt_report_to_json(found.windows[0]);
	NPT_CHECK_STR(after, before);
	npt_test_store_forget(&found);
	npt_test_store_end(&world);
}

/* What version 1 never wrote, but could have: one edge by two names. */
static void reads_what_a_file_of_version_1_has_twice(void)
{
	struct npt_test_store world;
	struct npt_report *second = npt_test_store_labelled(2, "unknown", NPT_TLS_UNKNOWN, "");
	sqlite3 *db = NULL;

	npt_test_store_begin(&world);
	second->edges[0].process.pid = 101;
	NPT_CHECK(npt_test_store_add(&world,
				     npt_test_store_labelled(1, "unknown", NPT_TLS_UNKNOWN, "")));
	NPT_CHECK(npt_test_store_add(&world, second));
	npt_test_store_close(&world);
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
	NPT_CHECK(npt_test_store_open(&world));
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM edges"), 2);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_labelled(3, "http1", NPT_TLS_NO, "")));
	npt_test_store_check_label(&world, "http1", NPT_TLS_NO, "");
	npt_test_store_end(&world);
}

static void refuses_what_is_not_ours(void)
{
	struct npt_test_store world;
	struct npt_error err = NPT_ERROR_NONE;
	sqlite3 *db = NULL;

	npt_test_store_begin(&world);
	npt_test_store_close(&world);
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
	npt_test_store_end(&world);
}

static void leaves_no_row_of_a_task_that_is_removed(void)
{
	struct npt_test_store world;
	struct npt_store_limits limits = { .max_age_ms = 1000 };
	uint64_t removed = 0, now;

	npt_test_store_begin(&world);
	for (uint64_t i = 1; i <= 30; i++) {
		NPT_CHECK(
			npt_test_store_add(&world, npt_test_store_window("old", "p", "i", i, 100)));
		NPT_CHECK(npt_test_store_add(&world,
					     npt_test_store_window("young", "p", "i", i, 100)));
	}
	(void)usleep(20000);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("young", "p", "i", 31, 100)));
	now = (uint64_t)npt_test_store_ask(&world,
					   "SELECT received_unix_ms FROM tasks WHERE uid = 'old'");
	NPT_CHECK_INT(npt_store_trim(world.store, &limits, now + 900, &removed, NULL), 0);
	NPT_CHECK_INT(removed, 0);
	NPT_CHECK_INT(npt_store_trim(world.store, &limits, now + 1010, &removed, NULL), 0);
	NPT_CHECK_INT(removed, 1);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM measurements"), 3100);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM edge_windows"), 3100);
	NPT_CHECK_INT(npt_test_store_ask(&world, "SELECT count(*) FROM edges"), 100);
	NPT_CHECK_INT(npt_test_store_ask(
			      &world, "SELECT count(*) FROM windows WHERE edges <> (SELECT count(*)"
				      " FROM edge_windows r WHERE r.window_id = windows.id)"),
		      0);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("old", "p", "i", 1, 1)));
	limits = (struct npt_store_limits){ .max_bytes = 1 };
	NPT_CHECK_INT(npt_store_trim(world.store, &limits, now, &removed, NULL), 0);
	NPT_CHECK_INT(removed, 2);
	NPT_CHECK_INT(
		npt_test_store_ask(&world,
				   "SELECT (SELECT count(*) FROM windows) + (SELECT count(*) FROM"
				   " edge_windows) + (SELECT count(*) FROM edges) + (SELECT"
				   " count(*) FROM streams) + (SELECT count(*) FROM tasks)"),
		0);
	NPT_CHECK(npt_test_store_add(&world, npt_test_store_window("young", "p", "i", 1, 1)));
	npt_test_store_end(&world);
}

static const struct npt_test tests[] = {
	NPT_TEST(stores_nothing_of_a_batch_that_fails),
	NPT_TEST(a_damaged_page_is_found_at_the_start),
	NPT_TEST(keeps_a_damaged_file_aside_and_goes_on),
	NPT_TEST(goes_on_with_a_new_file_when_it_is_damaged_while_open),
	NPT_TEST(columns_say_what_an_edge_speaks_by_now),
	NPT_TEST(a_label_of_a_batch_that_fails_is_not_kept),
	NPT_TEST(goes_on_with_a_file_of_version_1),
	NPT_TEST(goes_on_with_a_file_of_version_2),
	NPT_TEST(reads_what_a_file_of_version_1_has_twice),
	NPT_TEST(refuses_what_is_not_ours),
	NPT_TEST(leaves_no_row_of_a_task_that_is_removed),
};
NPT_TEST_MAIN(tests)
