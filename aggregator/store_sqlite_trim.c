/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task goes whole or not at all, so that a report that is still there is the sum of all its
 * windows. It goes in small transactions, so that ingest waits for none of them long; the windows
 * last, which makes a removal that was interrupted go on at the next one. Freed pages are used
 * again; the file does not shrink.
 */
#include <errno.h>

#include "aggregator/store_sqlite.h"

#define ROWS_AT_A_TIME 20000

static int read_pragma(sqlite3 *db, const char *sql, uint64_t *value_ret, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *statement = NULL;
	int r = npt_sqlite_prepare(db, sql, &statement, err);

	if (r < 0)
		return r;
	r = npt_sqlite_next(statement, err);
	*value_ret = r > 0 ? npt_sqlite_number(statement, 0) : 0;
	return r < 0 ? r : 0;
}

static int used_bytes(sqlite3 *db, uint64_t *bytes_ret, struct npt_error *err)
{
	uint64_t pages = 0, unused = 0, size = 0;
	int r = read_pragma(db, "PRAGMA page_count", &pages, err);

	if (r == 0)
		r = read_pragma(db, "PRAGMA freelist_count", &unused, err);
	if (r == 0)
		r = read_pragma(db, "PRAGMA page_size", &size, err);
	*bytes_ret = (pages - unused) * size;
	return r;
}

/* Runs a statement with the task's id as its only parameter; says how many rows it changed. */
static int run_for(sqlite3 *db, const char *sql, uint64_t task_id, int *changed_ret,
		   struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *statement = NULL;
	int r = npt_sqlite_prepare(db, sql, &statement, err);

	if (r < 0)
		return r;
	npt_sqlite_bind_number(statement, 1, task_id);
	r = npt_sqlite_do(statement, err);
	*changed_ret = sqlite3_changes(db);
	return r;
}

/* The rows of some windows, those windows, and nothing else. */
static int remove_some(sqlite3 *db, uint64_t task_id, uint64_t windows, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *found = NULL;
	npt_auto(sqlite3_finalize) sqlite3_stmt *remove_rows = NULL;
	npt_auto(sqlite3_finalize) sqlite3_stmt *remove_window = NULL;
	uint64_t rows = 0;
	int r = npt_sqlite_prepare(db,
				   "SELECT id, first_row, edges FROM windows WHERE task_id = ?"
				   " ORDER BY id LIMIT ?",
				   &found, err);

	if (r == 0)
		r = npt_sqlite_prepare(db, "DELETE FROM edge_windows WHERE id >= ? AND id < ?",
				       &remove_rows, err);
	if (r == 0)
		r = npt_sqlite_prepare(db, "DELETE FROM windows WHERE id = ?", &remove_window, err);
	if (r < 0)
		return r;
	npt_sqlite_bind_number(found, 1, task_id);
	npt_sqlite_bind_number(found, 2, windows);
	while (rows < ROWS_AT_A_TIME && (r = npt_sqlite_next(found, err)) > 0) {
		uint64_t first = npt_sqlite_number(found, 1), count = npt_sqlite_number(found, 2);

		npt_sqlite_bind_number(remove_rows, 1, first);
		npt_sqlite_bind_number(remove_rows, 2, first + count);
		npt_sqlite_bind_number(remove_window, 1, npt_sqlite_number(found, 0));
		r = npt_sqlite_do(remove_rows, err);
		if (r == 0)
			r = npt_sqlite_do(remove_window, err);
		if (r < 0)
			return r;
		rows += count + 1;
	}
	return r < 0 ? r : 0;
}

static int count_windows(sqlite3 *db, uint64_t task_id, uint64_t *count_ret, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *statement = NULL;
	int r = npt_sqlite_prepare(db, "SELECT count(*) FROM windows WHERE task_id = ?", &statement,
				   err);

	if (r < 0)
		return r;
	npt_sqlite_bind_number(statement, 1, task_id);
	r = npt_sqlite_next(statement, err);
	*count_ret = r > 0 ? npt_sqlite_number(statement, 0) : 0;
	return r < 0 ? r : 0;
}

static int remove_rest(sqlite3 *db, uint64_t task_id, struct npt_error *err)
{
	int changed, r = run_for(db, "DELETE FROM edges WHERE task_id = ?", task_id, &changed, err);

	if (r == 0)
		r = run_for(db, "DELETE FROM constants WHERE task_id = ?", task_id, &changed, err);
	if (r == 0)
		r = run_for(db, "DELETE FROM streams WHERE task_id = ?", task_id, &changed, err);
	if (r == 0)
		r = run_for(db, "DELETE FROM tasks WHERE id = ?", task_id, &changed, err);
	return r;
}

static int in_transaction(sqlite3 *db, int r, struct npt_error *err)
{
	if (r == 0)
		r = npt_sqlite_run(db, "COMMIT", err);
	if (r < 0)
		(void)npt_sqlite_run(db, "ROLLBACK", NULL);
	return r;
}

static int remove_task(sqlite3 *db, uint64_t task_id, struct npt_error *err)
{
	uint64_t left = 1;
	int r = 0;

	while (r == 0 && left > 0) {
		r = npt_sqlite_run(db, "BEGIN IMMEDIATE", err);
		if (r < 0)
			return r;
		r = remove_some(db, task_id, 1000, err);
		if (r == 0)
			r = count_windows(db, task_id, &left, err);
		if (r == 0 && left == 0)
			r = remove_rest(db, task_id, err);
		r = in_transaction(db, r, err);
	}
	return r;
}

/* The task whose last window came longest ago: 1, or 0 if there is none. */
static int oldest_task(sqlite3 *db, uint64_t *id_ret, uint64_t *received_ret, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *statement = NULL;
	int r = npt_sqlite_prepare(db,
				   "SELECT id, received_unix_ms FROM tasks ORDER BY"
				   " received_unix_ms, id LIMIT 1",
				   &statement, err);

	if (r < 0)
		return r;
	r = npt_sqlite_next(statement, err);
	if (r > 0) {
		*id_ret = npt_sqlite_number(statement, 0);
		*received_ret = npt_sqlite_number(statement, 1);
	}
	return r;
}

static bool is_beyond(const struct npt_store_limits *limits, uint64_t age_ms, uint64_t bytes)
{
	return (limits->max_age_ms && age_ms > limits->max_age_ms) ||
	       (limits->max_bytes && bytes > limits->max_bytes);
}

int npt_store_sqlite_trim(struct npt_store *store, const struct npt_store_limits *limits,
			  uint64_t now_unix_ms, uint64_t *tasks_ret, struct npt_error *err)
{
	struct npt_store_sqlite *sqlite = (struct npt_store_sqlite *)store;
	uint64_t id = 0, received = 0, bytes = 0, removed = 0;
	int r;

	while ((r = oldest_task(sqlite->db, &id, &received, err)) > 0) {
		uint64_t age = now_unix_ms > received ? now_unix_ms - received : 0;

		r = used_bytes(sqlite->db, &bytes, err);
		if (r < 0 || !is_beyond(limits, age, bytes))
			break;
		r = remove_task(sqlite->db, id, err);
		if (r < 0)
			break;
		removed++;
	}
	if (removed > 0)
		npt_store_sqlite_forget_ids(sqlite);
	if (r < 0)
		return r;
	*tasks_ret = removed;
	return 0;
}
