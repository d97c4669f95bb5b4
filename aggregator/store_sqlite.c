/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout. Edge windows, the rows in volume, are appended with consecutive ids and have no index
 * of their own: a window knows its first row and how many there are. What says which edge it is
 * (names, addresses) stands once per task in "edges"; what was counted stands in columns for people
 * who ask by SQL, and whole, with histograms, as protobuf. Identity and counters, one after the
 * other, are the Edge message of window.proto again.
 *
 * A window is new if (stream, sequence) is; the constraint decides, in the transaction that stores
 * it, so nothing is stored twice, whoever repeats what and when.
 */
#include "aggregator/store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/model/report_protobuf.h"
#include "lib/net/digest.h"

#define SCHEMA_VERSION 1
#define CACHED_STREAMS 16384
#define CACHED_EDGES   131072
#define BLOB_BYTES_MAX (64UL * 1024)
#define KEY_BYTES      256

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
	" UNIQUE (stream_id, sequence));"
	"CREATE INDEX windows_by_task ON windows (task_id);"
	"CREATE TABLE edges (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL,"
	" identity BLOB NOT NULL, pid INTEGER NOT NULL, process TEXT NOT NULL,"
	" container TEXT NOT NULL, role TEXT NOT NULL, peer_kind TEXT NOT NULL,"
	" peer_name TEXT NOT NULL, peer_namespace TEXT NOT NULL, peer_address TEXT NOT NULL,"
	" peer_port INTEGER NOT NULL, asked TEXT NOT NULL, reached TEXT NOT NULL,"
	" transport TEXT NOT NULL, protocol TEXT NOT NULL, tls TEXT NOT NULL,"
	" UNIQUE (task_id, identity));"
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
	"PRAGMA user_version = 1;";

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
				 " head) VALUES (?,?,?,?,?,?,?,?,?)",
	[NPT_STORE_FIND_EDGE] = "SELECT id FROM edges WHERE task_id = ? AND identity = ?",
	[NPT_STORE_ADD_EDGE] =
		"INSERT INTO edges (task_id, identity, pid, process, container, role, peer_kind,"
		" peer_name, peer_namespace, peer_address, peer_port, asked, reached, transport,"
		" protocol, tls) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[NPT_STORE_ADD_ROW] = "INSERT INTO edge_windows VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
};

/* ---- opening ---- */

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
	return 0;
}

/* A file in which not even this can be read is damaged. */
static int open_file(struct npt_store_sqlite *sqlite, struct npt_error *err)
{
	uint64_t last_row = 0, ignored = 0;
	int r = npt_sqlite_open(sqlite->path, &sqlite->db, err);

	if (r == 0)
		r = npt_sqlite_run(sqlite->db,
				   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				   "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;"
				   "PRAGMA wal_autocheckpoint = 4000;"
				   "PRAGMA journal_size_limit = 67108864;",
				   err);
	if (r == 0)
		r = check_schema(sqlite->db, sqlite->path, err);
	if (r == 0)
		r = read_number(sqlite->db, "SELECT max(id) FROM edge_windows", &last_row, err);
	if (r == 0)
		r = read_number(sqlite->db, "SELECT max(id) FROM windows", &ignored, err);
	for (size_t i = 0; r == 0 && i < NPT_STORE_STATEMENTS; i++)
		r = npt_sqlite_prepare(sqlite->db, statement_texts[i], &sqlite->statements[i], err);
	sqlite->next_row = last_row + 1;
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

void npt_store_sqlite_forget_ids(struct npt_store_sqlite *sqlite)
{
	npt_strmap_free(sqlite->streams);
	npt_strmap_free(sqlite->edges);
	sqlite->streams = npt_strmap_new(CACHED_STREAMS, NULL);
	sqlite->edges = npt_strmap_new(CACHED_EDGES, NULL);
}

/* ---- appending ---- */

/* An id, in a map of pointers; 0 is none. */
static uint64_t cached(const struct npt_strmap *map, const char *key)
{
	return (uint64_t)(uintptr_t)npt_strmap_get(map, key);
}

/* A full cache begins anew: what is in use comes back at once. */
static void remember(struct npt_strmap **map, size_t max, const char *key, uint64_t id)
{
	if (npt_strmap_set(*map, key, (void *)(uintptr_t)id) == 0)
		return;
	npt_strmap_free(*map);
	*map = npt_strmap_new(max, NULL);
	(void)npt_strmap_set(*map, key, (void *)(uintptr_t)id);
}

/* The id in the first row of a statement whose parameters are bound, or 0. */
static int find_id(sqlite3_stmt *statement, uint64_t *id_ret, struct npt_error *err)
{
	int r = npt_sqlite_next(statement, err);

	*id_ret = r > 0 ? npt_sqlite_number(statement, 0) : 0;
	(void)sqlite3_reset(statement);
	return r < 0 ? r : 0;
}

static int add(struct npt_store_sqlite *sqlite, sqlite3_stmt *statement, uint64_t *id_ret,
	       struct npt_error *err)
{
	int r = npt_sqlite_do(statement, err);

	if (r == 0)
		*id_ret = (uint64_t)sqlite3_last_insert_rowid(sqlite->db);
	return r;
}

static int task_id_of(struct npt_store_sqlite *sqlite, const struct npt_report *window,
		      uint64_t now_unix_ms, uint64_t *id_ret, struct npt_error *err)
{
	sqlite3_stmt *find = sqlite->statements[NPT_STORE_FIND_TASK];
	sqlite3_stmt *insert = sqlite->statements[NPT_STORE_ADD_TASK];
	int r;

	npt_sqlite_bind_text(find, 1, window->task.uid);
	r = find_id(find, id_ret, err);
	if (r < 0 || *id_ret)
		return r;
	npt_sqlite_bind_text(insert, 1, window->task.uid);
	npt_sqlite_bind_text(insert, 2, window->task.namespace_name);
	npt_sqlite_bind_text(insert, 3, window->task.name);
	npt_sqlite_bind_number(insert, 4, window->start_unix_ms);
	npt_sqlite_bind_number(insert, 5, window->start_unix_ms + window->duration_ms);
	npt_sqlite_bind_number(insert, 6, now_unix_ms);
	return add(sqlite, insert, id_ret, err);
}

static int find_or_add_stream(struct npt_store_sqlite *sqlite, uint64_t task_id,
			      const struct npt_report *window, uint64_t *id_ret,
			      struct npt_error *err)
{
	sqlite3_stmt *find = sqlite->statements[NPT_STORE_FIND_STREAM];
	sqlite3_stmt *insert = sqlite->statements[NPT_STORE_ADD_STREAM];
	int r;

	npt_sqlite_bind_number(find, 1, task_id);
	npt_sqlite_bind_text(find, 2, window->pod.uid);
	npt_sqlite_bind_text(find, 3, window->instance);
	r = find_id(find, id_ret, err);
	if (r < 0 || *id_ret)
		return r;
	npt_sqlite_bind_number(insert, 1, task_id);
	npt_sqlite_bind_text(insert, 2, window->pod.uid);
	npt_sqlite_bind_text(insert, 3, window->instance);
	npt_sqlite_bind_text(insert, 4, window->pod.namespace_name);
	npt_sqlite_bind_text(insert, 5, window->pod.name);
	npt_sqlite_bind_text(insert, 6, window->node);
	npt_sqlite_bind_number(insert, 7, window->sequence);
	return add(sqlite, insert, id_ret, err);
}

static int stream_id_of(struct npt_store_sqlite *sqlite, uint64_t task_id,
			const struct npt_report *window, uint64_t *id_ret, struct npt_error *err)
{
	char key[KEY_BYTES];
	int r;

	(void)snprintf(key, sizeof(key), "%llu %s %s", (unsigned long long)task_id, window->pod.uid,
		       window->instance);
	*id_ret = cached(sqlite->streams, key);
	if (*id_ret)
		return 0;
	r = find_or_add_stream(sqlite, task_id, window, id_ret, err);
	if (r == 0)
		remember(&sqlite->streams, CACHED_STREAMS, key, *id_ret);
	return r;
}

static int find_or_add_edge(struct npt_store_sqlite *sqlite, uint64_t task_id,
			    const struct npt_edge *edge, const struct npt_buffer *identity,
			    uint64_t *id_ret, struct npt_error *err)
{
	sqlite3_stmt *find = sqlite->statements[NPT_STORE_FIND_EDGE];
	sqlite3_stmt *insert = sqlite->statements[NPT_STORE_ADD_EDGE];
	int r;

	npt_sqlite_bind_number(find, 1, task_id);
	npt_sqlite_bind_bytes(find, 2, identity->data, identity->size_bytes);
	r = find_id(find, id_ret, err);
	if (r < 0 || *id_ret)
		return r;
	npt_sqlite_bind_number(insert, 1, task_id);
	npt_sqlite_bind_bytes(insert, 2, identity->data, identity->size_bytes);
	npt_sqlite_bind_number(insert, 3, edge->process.pid);
	npt_sqlite_bind_text(insert, 4, edge->process.name);
	npt_sqlite_bind_text(insert, 5, edge->process.container);
	npt_sqlite_bind_text(insert, 6, npt_role_name(edge->role));
	npt_sqlite_bind_text(insert, 7, npt_peer_kind_name(edge->peer.kind));
	npt_sqlite_bind_text(insert, 8, edge->peer.name);
	npt_sqlite_bind_text(insert, 9, edge->peer.namespace_name);
	npt_sqlite_bind_text(insert, 10, edge->peer.address);
	npt_sqlite_bind_number(insert, 11, edge->peer.port);
	npt_sqlite_bind_text(insert, 12, edge->peer.asked);
	npt_sqlite_bind_text(insert, 13, edge->peer.reached);
	npt_sqlite_bind_text(insert, 14, edge->transport);
	npt_sqlite_bind_text(insert, 15, edge->protocol);
	npt_sqlite_bind_text(insert, 16, npt_tls_name(edge->tls));
	return add(sqlite, insert, id_ret, err);
}

static int edge_id_of(struct npt_store_sqlite *sqlite, uint64_t task_id,
		      const struct npt_edge *edge, uint64_t *id_ret, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer identity = NPT_BUFFER(BLOB_BYTES_MAX);
	char key[24 + NPT_SHA256_HEX_BYTES];
	int length, r;

	npt_edge_identity_to_protobuf(edge, &identity);
	length = snprintf(key, 24, "%llu ", (unsigned long long)task_id);
	npt_sha256_hex(identity.data, identity.size_bytes, key + length);
	*id_ret = cached(sqlite->edges, key);
	if (*id_ret)
		return 0;
	r = find_or_add_edge(sqlite, task_id, edge, &identity, id_ret, err);
	if (r == 0)
		remember(&sqlite->edges, CACHED_EDGES, key, *id_ret);
	return r;
}

static uint64_t sum(const struct npt_named_count *counts, size_t max)
{
	uint64_t total = 0;

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		total += counts[i].count;
	return total < NPT_NUMBER_MAX ? total : NPT_NUMBER_MAX;
}

static int add_row(struct npt_store_sqlite *sqlite, uint64_t window_id, uint64_t edge_id,
		   const struct npt_edge *edge, struct npt_error *err)
{
	sqlite3_stmt *insert = sqlite->statements[NPT_STORE_ADD_ROW];
	npt_auto(npt_buffer_done) struct npt_buffer counters = NPT_BUFFER(BLOB_BYTES_MAX);
	const struct npt_metric *writes = &edge->metrics[NPT_METRIC_WRITE];
	const struct npt_metric *reads = &edge->metrics[NPT_METRIC_READ];
	const uint64_t numbers[] = {
		sqlite->next_row,
		window_id,
		edge_id,
		edge->connections.opened,
		edge->connections.closed,
		sum(edge->connections.failed, NPT_EDGE_FAILED_MAX),
		edge->sent.bytes,
		edge->sent.segments,
		edge->received.bytes,
		edge->received.segments,
		writes->count,
		writes->bytes,
		reads->count,
		reads->bytes,
		edge->retransmit.segments,
		sum(edge->drops, NPT_EDGE_DROPS_MAX),
	};

	npt_edge_counters_to_protobuf(edge, &counters);
	for (int i = 0; i < (int)NPT_ARRAY_SIZE(numbers); i++)
		npt_sqlite_bind_number(insert, i + 1, numbers[i]);
	npt_sqlite_bind_bytes(insert, (int)NPT_ARRAY_SIZE(numbers) + 1, counters.data,
			      counters.size_bytes);
	sqlite->next_row++;
	return npt_sqlite_do(insert, err);
}

static int add_window(struct npt_store_sqlite *sqlite, uint64_t task_id, uint64_t stream_id,
		      const struct npt_report *window, uint64_t now_unix_ms, uint64_t *id_ret,
		      struct npt_error *err)
{
	sqlite3_stmt *insert = sqlite->statements[NPT_STORE_ADD_WINDOW];
	npt_auto(npt_buffer_done) struct npt_buffer head = NPT_BUFFER(BLOB_BYTES_MAX);
	int r;

	npt_report_head_to_protobuf(window, &head);
	npt_sqlite_bind_number(insert, 1, task_id);
	npt_sqlite_bind_number(insert, 2, stream_id);
	npt_sqlite_bind_number(insert, 3, window->sequence);
	npt_sqlite_bind_number(insert, 4, window->start_unix_ms);
	npt_sqlite_bind_number(insert, 5, window->duration_ms);
	npt_sqlite_bind_number(insert, 6, now_unix_ms);
	npt_sqlite_bind_number(insert, 7, sqlite->next_row);
	npt_sqlite_bind_number(insert, 8, window->edges_count);
	npt_sqlite_bind_bytes(insert, 9, head.data, head.size_bytes);
	r = add(sqlite, insert, id_ret, err);
	if (r == 0 && sqlite3_changes(sqlite->db) == 0)
		*id_ret = 0; /* it is there already */
	return r;
}

static int touch(struct npt_store_sqlite *sqlite, uint64_t task_id, uint64_t stream_id,
		 const struct npt_report *window, uint64_t now_unix_ms, struct npt_error *err)
{
	sqlite3_stmt *task = sqlite->statements[NPT_STORE_TOUCH_TASK];
	sqlite3_stmt *stream = sqlite->statements[NPT_STORE_TOUCH_STREAM];
	int r;

	npt_sqlite_bind_number(task, 1, task_id);
	npt_sqlite_bind_number(task, 2, window->start_unix_ms);
	npt_sqlite_bind_number(task, 3, window->start_unix_ms + window->duration_ms);
	npt_sqlite_bind_number(task, 4, now_unix_ms);
	r = npt_sqlite_do(task, err);
	if (r < 0)
		return r;
	npt_sqlite_bind_number(stream, 1, stream_id);
	npt_sqlite_bind_number(stream, 2, window->sequence);
	return npt_sqlite_do(stream, err);
}

static int append_one(struct npt_store_sqlite *sqlite, const struct npt_report *window,
		      bool *added_ret, struct npt_error *err)
{
	uint64_t now = npt_clock_unix_ms(), task_id, stream_id, window_id = 0, edge_id;
	int r = task_id_of(sqlite, window, now, &task_id, err);

	if (r == 0)
		r = stream_id_of(sqlite, task_id, window, &stream_id, err);
	if (r == 0)
		r = add_window(sqlite, task_id, stream_id, window, now, &window_id, err);
	if (r < 0)
		return r;
	*added_ret = window_id != 0;
	if (window_id == 0)
		return 0;
	for (size_t i = 0; r == 0 && i < window->edges_count; i++) {
		r = edge_id_of(sqlite, task_id, &window->edges[i], &edge_id, err);
		if (r == 0)
			r = add_row(sqlite, window_id, edge_id, &window->edges[i], err);
	}
	return r < 0 ? r : touch(sqlite, task_id, stream_id, window, now, err);
}

static int append(struct npt_store *store, struct npt_report *const *windows, size_t count,
		  bool *added, struct npt_error *err)
{
	struct npt_store_sqlite *sqlite = (struct npt_store_sqlite *)store;
	uint64_t next_row = sqlite->next_row;
	int r = npt_sqlite_run(sqlite->db, "BEGIN IMMEDIATE", err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = append_one(sqlite, windows[i], &added[i], err);
	if (r == 0)
		r = npt_sqlite_run(sqlite->db, "COMMIT", err);
	if (r < 0) {
		(void)npt_sqlite_run(sqlite->db, "ROLLBACK", NULL);
		npt_store_sqlite_forget_ids(sqlite);
		sqlite->next_row = next_row;
	}
	return r;
}

/* ---- a damaged file ---- */

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
	free(sqlite->path);
	free(sqlite);
}

int npt_store_sqlite_open(const char *path, struct npt_store **store_ret, struct npt_error *err)
{
	static const struct npt_store_operations operations = {
		.append = append,
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
	npt_store_sqlite_forget_ids(sqlite);
	(void)umask(077); /* network metadata: nobody else's business */
	r = open_file(sqlite, err);
	if (r < 0)
		return r;
	*store_ret = npt_take(store);
	return 0;
}
