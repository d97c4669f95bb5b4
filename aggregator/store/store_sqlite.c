/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout. Edge windows, the rows in volume, are appended with consecutive ids and have no index
 * of their own: a window knows its first row and how many there are. What says which edge it is
 * (names, addresses) stands once per task in "edges"; what was counted stands in columns, so that
 * people can ask by SQL, and what has none, histograms above all, as protobuf. What an edge speaks,
 * its label, stands in "edges", too, since it becomes known late: all its windows, those of before
 * too, are then of an edge that speaks that. Identity, counters and label, one after the other, are
 * the Edge message of window.proto again.
 *
 * So is what a window says besides its edges: what is the same in most windows of a task (names,
 * sources, reasons, lines of TLS) stands once in "constants", the rest in the window's "head".
 */
#include "aggregator/store/store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"

#define SCHEMA_VERSION    3
#define CHECK_SECONDS_MAX 5
#define CHECK_STEPS       100000 /* of SQLite's machine, between two looks at the clock */

static const char schema[] =
	"CREATE TABLE tasks (id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE,"
	" namespace TEXT NOT NULL, name TEXT NOT NULL, start_unix_ms INTEGER NOT NULL,"
	" end_unix_ms INTEGER NOT NULL, received_unix_ms INTEGER NOT NULL,"
	" windows INTEGER NOT NULL);"
	"CREATE TABLE streams (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL,"
	" pod_uid TEXT NOT NULL, instance TEXT NOT NULL, pod_namespace TEXT NOT NULL,"
	" pod_name TEXT NOT NULL, node TEXT NOT NULL, windows INTEGER NOT NULL,"
	" first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL,"
	" UNIQUE (task_id, pod_uid, instance));"
	"CREATE TABLE windows (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL,"
	" stream_id INTEGER NOT NULL, sequence INTEGER NOT NULL, start_unix_ms INTEGER NOT NULL,"
	" duration_ms INTEGER NOT NULL, received_unix_ms INTEGER NOT NULL,"
	" first_row INTEGER NOT NULL, edges INTEGER NOT NULL, head BLOB NOT NULL,"
	" constant_id INTEGER NOT NULL DEFAULT 0, UNIQUE (stream_id, sequence));"
	"CREATE INDEX windows_by_task ON windows (task_id);"
	"CREATE TABLE constants (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL,"
	" hash TEXT NOT NULL, head BLOB NOT NULL, UNIQUE (task_id, hash));"
	"CREATE TABLE edges (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL,"
	" identity BLOB NOT NULL, pid INTEGER NOT NULL, process TEXT NOT NULL,"
	" container TEXT NOT NULL, role TEXT NOT NULL, peer_kind TEXT NOT NULL,"
	" peer_name TEXT NOT NULL, peer_namespace TEXT NOT NULL, peer_address TEXT NOT NULL,"
	" peer_port INTEGER NOT NULL, asked TEXT NOT NULL, reached TEXT NOT NULL,"
	" transport TEXT NOT NULL, protocol TEXT NOT NULL, tls TEXT NOT NULL,"
	" label BLOB NOT NULL, label_unix_ms INTEGER NOT NULL,"
	" edge_key INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX edges_by_key ON edges (task_id, edge_key);"
	"CREATE TABLE edge_windows (id INTEGER PRIMARY KEY, window_id INTEGER NOT NULL,"
	" edge_id INTEGER NOT NULL, connections_opened INTEGER NOT NULL,"
	" connections_closed INTEGER NOT NULL, connections_failed INTEGER NOT NULL,"
	" sent_bytes INTEGER NOT NULL, sent_segments INTEGER NOT NULL,"
	" received_bytes INTEGER NOT NULL, received_segments INTEGER NOT NULL,"
	" write_count INTEGER NOT NULL, write_bytes INTEGER NOT NULL,"
	" read_count INTEGER NOT NULL, read_bytes INTEGER NOT NULL,"
	" retransmit_segments INTEGER NOT NULL, drops INTEGER NOT NULL, counters BLOB NOT NULL);"
	"CREATE VIEW measurements AS SELECT t.namespace AS task_namespace, t.name AS task_name,"
	" t.uid AS task_uid, s.pod_name, s.pod_uid, s.node, s.instance, w.sequence,"
	" w.start_unix_ms, w.duration_ms, e.pid, e.process, e.container, e.role, e.peer_kind,"
	" e.peer_name, e.peer_namespace, e.peer_address, e.peer_port, e.asked, e.reached,"
	" e.transport, e.protocol, e.tls, r.connections_opened, r.connections_closed,"
	" r.connections_failed, r.sent_bytes, r.sent_segments, r.received_bytes,"
	" r.received_segments, r.write_count, r.write_bytes, r.read_count, r.read_bytes,"
	" r.retransmit_segments, r.drops FROM edge_windows r JOIN windows w ON w.id = r.window_id"
	" JOIN streams s ON s.id = w.stream_id JOIN tasks t ON t.id = w.task_id"
	" JOIN edges e ON e.id = r.edge_id;"
	"PRAGMA user_version = 3;";

static const char *const statement_texts[NPT_STORE_STATEMENTS] = {
	[NPT_STORE_FIND_TASK] = "SELECT id FROM tasks WHERE uid = ?",
	[NPT_STORE_ADD_TASK] = "INSERT INTO tasks (uid, namespace, name, start_unix_ms,"
			       " end_unix_ms, received_unix_ms, windows) VALUES (?,?,?,?,?,?,0)",
	[NPT_STORE_TOUCH_TASK] = "UPDATE tasks SET windows = windows + 1,"
				 " start_unix_ms = min(start_unix_ms, ?2),"
				 " end_unix_ms = max(end_unix_ms, ?3),"
				 " received_unix_ms = ?4 WHERE id = ?1",
	[NPT_STORE_FIND_STREAM] = "SELECT id FROM streams WHERE task_id = ? AND pod_uid = ? AND"
				  " instance = ?",
	[NPT_STORE_ADD_STREAM] = "INSERT INTO streams (task_id, pod_uid, instance, pod_namespace,"
				 " pod_name, node, windows, first_sequence, last_sequence)"
				 " VALUES (?,?,?,?,?,?,0,?7,?7)",
	[NPT_STORE_TOUCH_STREAM] = "UPDATE streams SET windows = windows + 1,"
				   " first_sequence = min(first_sequence, ?2),"
				   " last_sequence = max(last_sequence, ?2) WHERE id = ?1",
	[NPT_STORE_ADD_WINDOW] = "INSERT OR IGNORE INTO windows (task_id, stream_id, sequence,"
				 " start_unix_ms, duration_ms, received_unix_ms, first_row, edges,"
				 " head, constant_id) VALUES (?,?,?,?,?,?,?,?,?,?)",
	[NPT_STORE_FIND_EDGE] = "SELECT id FROM edges WHERE task_id = ? AND edge_key = ? AND"
				" identity = ?",
	[NPT_STORE_ADD_EDGE] =
		"INSERT INTO edges (task_id, identity, pid, process, container, role, peer_kind,"
		" peer_name, peer_namespace, peer_address, peer_port, asked, reached, transport,"
		" protocol, tls, label, label_unix_ms, edge_key) VALUES "
		"(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[NPT_STORE_FIND_LABEL] = "SELECT label, label_unix_ms FROM edges WHERE id = ?",
	[NPT_STORE_SET_LABEL] = "UPDATE edges SET label = ?2, label_unix_ms = ?3, protocol = ?4,"
				" tls = ?5 WHERE id = ?1",
	[NPT_STORE_ADD_ROW] = "INSERT INTO edge_windows VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[NPT_STORE_FIND_CONSTANT] = "SELECT id FROM constants WHERE task_id = ? AND hash = ?",
	[NPT_STORE_ADD_CONSTANT] = "INSERT INTO constants (task_id, hash, head) VALUES (?,?,?)",
};

uint64_t *npt_store_sqlite_column(struct npt_edge *edge, size_t index)
{
	uint64_t *const columns[NPT_STORE_COLUMNS] = {
		&edge->connections.opened,
		&edge->connections.closed,
		&edge->sent.bytes,
		&edge->sent.segments,
		&edge->received.bytes,
		&edge->received.segments,
		&edge->metrics[NPT_METRIC_WRITE].count,
		&edge->metrics[NPT_METRIC_WRITE].bytes,
		&edge->metrics[NPT_METRIC_READ].count,
		&edge->metrics[NPT_METRIC_READ].bytes,
		&edge->retransmit.segments,
	};

	return columns[index];
}

static int read_number(sqlite3 *db, const char *sql, uint64_t *value_ret, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *statement = NULL;
	int r = npt_sqlite_prepare(db, sql, &statement, err);

	if (r < 0)
		return r;
	r = npt_sqlite_next(statement, err);
	if (r > 0)
		*value_ret = npt_sqlite_number(statement, 0);
	return r < 0 ? r : 0;
}

static int check_schema(sqlite3 *db, const char *path, struct npt_error *err)
{
	uint64_t version = 0, tables = 0;
	int r = read_number(db, "PRAGMA user_version", &version, err);

	if (r == 0)
		r = read_number(db, "SELECT count(*) FROM sqlite_master", &tables, err);
	if (r < 0)
		return r;
	if (version == 0 && tables == 0) {
		r = npt_sqlite_run(db, "BEGIN IMMEDIATE", err);
		if (r == 0)
			r = npt_sqlite_run(db, schema, err);
		return r < 0 ? r : npt_sqlite_run(db, "COMMIT", err);
	}
	if (version == 0 || version > SCHEMA_VERSION)
		return npt_error_set(err, EINVAL,
				     "the store %s is %s: name another file with --store", path,
				     version == 0 ? "a database of another program"
						  : "of a newer version of npt-aggregator");
	return version < SCHEMA_VERSION ? npt_store_sqlite_upgrade(db, version, err) : 0;
}

static int is_late(void *deadline_ns)
{
	return npt_clock_monotonic_ns() > *(const uint64_t *)deadline_ns;
}

/*
 * Looks for pages that cannot be what they should be, as far as a start may take: a file of some
 * gigabytes is not seen whole, and what is wrong behind is found when it is read.
 */
static int check_pages(sqlite3 *db, const char *path, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *statement = NULL;
	uint64_t deadline_ns = npt_clock_monotonic_ns() + CHECK_SECONDS_MAX * NPT_NS_PER_SECOND;
	int r = npt_sqlite_prepare(db, "PRAGMA quick_check(1)", &statement, err), step;

	if (r < 0)
		return r;
	sqlite3_progress_handler(db, CHECK_STEPS, is_late, &deadline_ns);
	step = sqlite3_step(statement);
	sqlite3_progress_handler(db, 0, NULL, NULL);
	if (step == SQLITE_INTERRUPT) {
		npt_log_info("the store is too large to be checked whole at the start", "store",
			     path);
		return 0;
	}
	if (step != SQLITE_ROW)
		return npt_sqlite_error(db, "quick_check", err);
	if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0)
		return 0;
	return npt_error_set(err, EUCLEAN, "store: %.200s",
			     (const char *)sqlite3_column_text(statement, 0));
}

/* A file in which not even this can be read is damaged. */
static int open_file(struct npt_store_sqlite *sqlite, struct npt_error *err)
{
	uint64_t last_row = 0, ignored = 0;
	int r = npt_sqlite_open(sqlite->path, &sqlite->db, err);

	if (r == 0)
		r = npt_sqlite_run(sqlite->db,
				   "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA "
				   "synchronous = FULL;"
				   "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;"
				   "PRAGMA wal_autocheckpoint = 2000;"
				   "PRAGMA journal_size_limit = 67108864;",
				   err);
	if (r == 0)
		r = check_pages(sqlite->db, sqlite->path, err);
	if (r == 0)
		(void)sqlite3_db_release_memory(sqlite->db); /* of all that was looked at */
	if (r == 0)
		r = check_schema(sqlite->db, sqlite->path, err);
	if (r == 0)
		r = read_number(sqlite->db, "SELECT max(id) FROM edge_windows", &last_row, err);
	if (r == 0)
		r = read_number(sqlite->db, "SELECT max(id) FROM windows", &ignored, err);
	for (size_t i = 0; r == 0 && i < NPT_STORE_STATEMENTS; i++)
		r = npt_sqlite_prepare(sqlite->db, statement_texts[i], &sqlite->statements[i], err);
	sqlite->next_row = last_row + 1;
	if (r == 0 && sqlite3_db_readonly(sqlite->db, "main") == 1)
		npt_log_warning("the store may only be read: windows are turned away", "store",
				sqlite->path);
	return r;
}

static void close_file(struct npt_store_sqlite *sqlite)
{
	for (size_t i = 0; i < NPT_STORE_STATEMENTS; i++) {
		(void)sqlite3_finalize(sqlite->statements[i]);
		sqlite->statements[i] = NULL;
	}
	npt_sqlite_close(sqlite->db);
	sqlite->db = NULL;
}

static int move(const char *from, const char *to, struct npt_error *err)
{
	if (rename(from, to) == 0 || errno == ENOENT)
		return 0;
	return npt_error_set(err, errno, "cannot move %s to %s: %s", from, to, strerror(errno));
}

int npt_store_sqlite_set_aside_file(const char *path, char **kept_ret, struct npt_error *err)
{
	npt_auto_free char *kept = NULL, *wal = NULL, *kept_wal = NULL, *shm = NULL;
	int r;

	kept = npt_format("%s.damaged-%llu", path, (unsigned long long)npt_clock_unix_ms());
	wal = npt_format("%s-wal", path);
	kept_wal = npt_format("%s-wal", kept);
	shm = npt_format("%s-shm", path);
	r = move(path, kept, err);
	if (r == 0)
		r = move(wal, kept_wal, err);
	if (r < 0)
		return r;
	(void)unlink(shm);
	*kept_ret = npt_take(kept);
	return 0;
}

static int set_aside(struct npt_store *store, char **kept_ret, struct npt_error *err)
{
	struct npt_store_sqlite *sqlite = (struct npt_store_sqlite *)store;
	int r;

	close_file(sqlite);
	npt_store_sqlite_forget_ids(sqlite);
	r = npt_store_sqlite_set_aside_file(sqlite->path, kept_ret, err);
	if (r == 0)
		r = open_file(sqlite, err);
	atomic_fetch_add(&sqlite->generation, 1);
	return r;
}

static void free_store(struct npt_store *store)
{
	struct npt_store_sqlite *sqlite = (struct npt_store_sqlite *)store;

	close_file(sqlite);
	npt_strmap_free(sqlite->streams);
	npt_strmap_free(sqlite->edges);
	npt_strmap_free(sqlite->constants);
	free(sqlite->scratch);
	free(sqlite->path);
	free(sqlite);
}

int npt_store_sqlite_open(const char *path, struct npt_store **store_ret, struct npt_error *err)
{
	static const struct npt_store_operations operations = {
		.append = npt_store_sqlite_append,
		.trim = npt_store_sqlite_trim,
		.set_aside = set_aside,
		.free = free_store,
		.open_reader = npt_store_sqlite_open_reader,
	};
	struct npt_store_sqlite *sqlite = npt_alloc(1, sizeof(*sqlite));
	npt_auto(npt_store_free) struct npt_store *store = &sqlite->store;
	int r;

	sqlite->store.operations = &operations;
	sqlite->path = npt_strdup(path);
	sqlite->scratch = npt_alloc(1, sizeof(*sqlite->scratch));
	npt_store_sqlite_forget_ids(sqlite);
	r = open_file(sqlite, err);
	if (r < 0)
		return r;
	*store_ret = npt_take(store);
	return 0;
}
