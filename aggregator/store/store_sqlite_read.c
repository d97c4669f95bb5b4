/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader has a connection and one window in memory at a time. Windows are found by task or by
 * stream, their rows by the range of ids that the window names.
 */
#include "aggregator/store/store_sqlite.h"

#include <errno.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/model/report_protobuf.h"

#define BLOB_BYTES_MAX (256UL * 1024)
#define STREAMS_MAX    65536
#define TASK_COLUMNS                                                                               \
	"t.id, t.uid, t.namespace, t.name, t.start_unix_ms, t.end_unix_ms, t.windows,"             \
	" (SELECT count(DISTINCT pod_uid) FROM streams WHERE task_id = t.id)"

struct reader {
	struct npt_store_reader reader; /* first: what the interface sees */
	struct npt_store_sqlite *sqlite;
	uint64_t generation;
	sqlite3 *db;
};

/* The file may be another one by now. */
static int connect_now(struct reader *reader, struct npt_error *err)
{
	uint64_t generation = atomic_load(&reader->sqlite->generation);
	int r;

	if (reader->db && reader->generation == generation)
		return 0;
	npt_sqlite_close(reader->db);
	reader->db = NULL;
	r = npt_sqlite_open(reader->sqlite->path, &reader->db, err);
	if (r == 0)
		r = npt_sqlite_run(reader->db, "PRAGMA query_only = 1; PRAGMA cache_size = -2048;",
				   err);
	reader->generation = generation;
	return r;
}

static int prepare(struct npt_store_reader *interface, const char *sql,
		   sqlite3_stmt **statement_ret, struct npt_error *err)
{
	struct reader *reader = (struct reader *)interface;
	int r = connect_now(reader, err);

	return r < 0 ? r : npt_sqlite_prepare(reader->db, sql, statement_ret, err);
}

static void read_task(sqlite3_stmt *row, struct npt_stored_task *task)
{
	memset(task, 0, sizeof(*task));
	task->id = npt_sqlite_number(row, 0);
	npt_sqlite_text(row, 1, task->uid, sizeof(task->uid));
	npt_sqlite_text(row, 2, task->namespace_name, sizeof(task->namespace_name));
	npt_sqlite_text(row, 3, task->name, sizeof(task->name));
	task->start_unix_ms = npt_sqlite_number(row, 4);
	task->end_unix_ms = npt_sqlite_number(row, 5);
	task->windows = npt_sqlite_number(row, 6);
	task->pods = npt_sqlite_number(row, 7);
}

static int find_task(struct npt_store_reader *reader, const char *uid,
		     struct npt_stored_task *task_ret, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *row = NULL;
	int r = prepare(reader, "SELECT " TASK_COLUMNS " FROM tasks t WHERE t.uid = ?", &row, err);

	if (r < 0)
		return r;
	npt_sqlite_bind_text(row, 1, uid);
	r = npt_sqlite_next(row, err);
	if (r < 0)
		return r;
	if (r == 0)
		return npt_error_set(err, ENOENT, "no window of a task with this uid is stored");
	read_task(row, task_ret);
	return 0;
}

static int list_tasks(struct npt_store_reader *reader, const char *namespace_name, uint64_t before,
		      struct npt_stored_task *tasks, size_t max, size_t *count_ret,
		      struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *row = NULL;
	size_t count = 0;
	int r = prepare(reader,
			"SELECT " TASK_COLUMNS " FROM tasks t WHERE t.id < ?1 AND"
			" (?2 IS NULL OR t.namespace = ?2) ORDER BY t.id DESC LIMIT ?3",
			&row, err);

	if (r < 0)
		return r;
	npt_sqlite_bind_number(row, 1, before ? before : INT64_MAX);
	if (namespace_name)
		npt_sqlite_bind_text(row, 2, namespace_name);
	npt_sqlite_bind_number(row, 3, max);
	while (count < max && (r = npt_sqlite_next(row, err)) > 0)
		read_task(row, &tasks[count++]);
	if (r < 0)
		return r;
	*count_ret = count;
	return 0;
}

static void read_stream(sqlite3_stmt *row, struct npt_stored_stream *stream)
{
	stream->id = npt_sqlite_number(row, 0);
	npt_sqlite_text(row, 1, stream->pod_uid, sizeof(stream->pod_uid));
	npt_sqlite_text(row, 2, stream->instance, sizeof(stream->instance));
	npt_sqlite_text(row, 3, stream->pod_namespace, sizeof(stream->pod_namespace));
	npt_sqlite_text(row, 4, stream->pod_name, sizeof(stream->pod_name));
	npt_sqlite_text(row, 5, stream->node, sizeof(stream->node));
	stream->windows = npt_sqlite_number(row, 6);
	stream->first_sequence = npt_sqlite_number(row, 7);
	stream->last_sequence = npt_sqlite_number(row, 8);
}

static int list_streams(struct npt_store_reader *reader, uint64_t task_id,
			struct npt_stored_stream **streams_ret, size_t *count_ret,
			struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *row = NULL;
	npt_auto_free struct npt_stored_stream *streams = NULL;
	size_t count = 0;
	int r = prepare(reader,
			"SELECT id, pod_uid, instance, pod_namespace, pod_name, node, windows,"
			" first_sequence, last_sequence FROM streams WHERE task_id = ?"
			" ORDER BY pod_namespace, pod_name, pod_uid, id LIMIT ?",
			&row, err);

	if (r < 0)
		return r;
	npt_sqlite_bind_number(row, 1, task_id);
	npt_sqlite_bind_number(row, 2, STREAMS_MAX);
	while ((r = npt_sqlite_next(row, err)) > 0) {
		if ((count & (count - 1)) == 0)
			streams = npt_realloc(streams, count ? count * 2 : 1, sizeof(*streams));
		memset(&streams[count], 0, sizeof(*streams));
		read_stream(row, &streams[count++]);
	}
	if (r < 0)
		return r;
	*streams_ret = npt_take(streams);
	*count_ret = count;
	return 0;
}

/*
 * One edge: what it is, what was counted then, what is known by now of what it speaks (columns
 * EDGE_COLUMNS from 0 on).
 */
static int read_edge_row(sqlite3_stmt *row, struct npt_edge *edge, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer whole = NPT_BUFFER(BLOB_BYTES_MAX);

	for (int column = 0; column < 3; column++) {
		const void *data = sqlite3_column_blob(row, column);
		int size = sqlite3_column_bytes(row, column);

		if (npt_buffer_append(&whole, data, (size_t)size) < 0)
			return npt_error_set(err, EUCLEAN, "store: an edge is too large");
	}
	if (npt_edge_from_protobuf(whole.data, whole.size_bytes, edge, err) < 0)
		return npt_error_set(err, EUCLEAN, "store: an edge cannot be read");
	for (int i = 0; i < NPT_STORE_COLUMNS; i++)
		*npt_store_sqlite_column(edge, (size_t)i) = npt_sqlite_number(row, 3 + i);
	return 0;
}

static int read_row(sqlite3_stmt *row, struct npt_report *window, struct npt_error *err)
{
	struct npt_edge *edge = npt_report_add_edge(window);

	if (!edge)
		return npt_error_set(err, EUCLEAN, "store: a window has too many edges");
	return read_edge_row(row, edge, err);
}

/* Columns 4 and 5: what is its own, and what it has in common with others. */
static int read_head(sqlite3_stmt *found, struct npt_report **window_ret, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer whole = NPT_BUFFER(2 * BLOB_BYTES_MAX);

	for (int column = 5; column >= 4; column--) {
		const void *data = sqlite3_column_blob(found, column);
		int size = sqlite3_column_bytes(found, column);

		if (npt_buffer_append(&whole, data, (size_t)size) < 0)
			return npt_error_set(err, EUCLEAN, "store: a window is too large");
	}
	if (npt_report_from_protobuf(whole.data, whole.size_bytes, window_ret, err) < 0)
		return npt_error_set(err, EUCLEAN, "store: a window cannot be read");
	return 0;
}

static int read_window(sqlite3_stmt *found, sqlite3_stmt *rows, struct npt_report **window_ret,
		       struct npt_error *err)
{
	npt_auto(npt_report_free) struct npt_report *window = NULL;
	uint64_t first_row = npt_sqlite_number(found, 2), count = npt_sqlite_number(found, 3);
	int r = read_head(found, &window, err);

	if (r < 0)
		return r;
	npt_report_expect_edges(window, count < NPT_REPORT_EDGES_MAX ? count : 0);
	npt_sqlite_bind_number(rows, 1, first_row);
	npt_sqlite_bind_number(rows, 2, first_row + count);
	while ((r = npt_sqlite_next(rows, err)) > 0) {
		r = read_row(rows, window, err);
		if (r < 0)
			break;
	}
	(void)sqlite3_reset(rows);
	if (r < 0)
		return r;
	if (window->edges_count != count)
		return npt_error_set(err, EUCLEAN, "store: a window has lost edges");
	*window_ret = npt_take(window);
	return 0;
}

#define WINDOW_COLUMNS                                                                             \
	" w.first_row, w.edges, w.head, (SELECT c.head FROM constants c WHERE c.id ="              \
	" w.constant_id) FROM windows w WHERE"                                                     \
	" w.start_unix_ms < ?6 AND w.start_unix_ms + w.duration_ms > ?7 AND "
#define EDGE_COLUMNS "e.identity, r.counters, e.label, " NPT_STORE_COLUMNS_SQL

static const char *windows_query(const struct npt_store_filter *filter)
{
	if (filter->stream_id)
		return "SELECT w.id, w.sequence," WINDOW_COLUMNS
		       "w.stream_id = ?2 AND w.sequence > ?3 ORDER BY w.sequence LIMIT ?5";
	if (filter->pod_uid)
		return "SELECT w.id, w.id," WINDOW_COLUMNS
		       "w.task_id = ?1 AND w.id > ?3 AND w.stream_id IN (SELECT id FROM streams"
		       " WHERE task_id = ?1 AND pod_uid = ?4) ORDER BY w.id LIMIT ?5";
	return "SELECT w.id, w.id," WINDOW_COLUMNS
	       "w.task_id = ?1 AND w.id > ?3 ORDER BY w.id LIMIT ?5";
}

/* From, until: as an engine without "no end" compares them. */
static void bind_time(sqlite3_stmt *statement, int until_index, uint64_t from_unix_ms,
		      uint64_t until_unix_ms)
{
	npt_sqlite_bind_number(statement, until_index, until_unix_ms ? until_unix_ms : INT64_MAX);
	npt_sqlite_bind_number(statement, until_index + 1, from_unix_ms);
}

static int read_windows(struct npt_store_reader *reader, const struct npt_store_filter *filter,
			npt_store_window_fn *on_window, void *context, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *found = NULL;
	npt_auto(sqlite3_finalize) sqlite3_stmt *rows = NULL;
	int r = prepare(reader, windows_query(filter), &found, err);

	if (r == 0)
		r = prepare(reader,
			    "SELECT " EDGE_COLUMNS " FROM edge_windows r JOIN edges e"
			    " ON e.id = r.edge_id WHERE r.id >= ? AND r.id < ? ORDER BY r.id",
			    &rows, err);
	if (r < 0)
		return r;
	(void)sqlite3_bind_int64(found, 1, (sqlite3_int64)filter->task_id);
	(void)sqlite3_bind_int64(found, 2, (sqlite3_int64)filter->stream_id);
	(void)sqlite3_bind_int64(found, 3, (sqlite3_int64)filter->after);
	if (filter->pod_uid && !filter->stream_id)
		npt_sqlite_bind_text(found, 4, filter->pod_uid);
	npt_sqlite_bind_number(found, 5, filter->limit ? filter->limit : INT64_MAX);
	bind_time(found, 6, filter->from_unix_ms, filter->until_unix_ms);
	while ((r = npt_sqlite_next(found, err)) > 0) {
		npt_auto(npt_report_free) struct npt_report *window = NULL;

		r = read_window(found, rows, &window, err);
		if (r < 0)
			return r;
		if (on_window(context, npt_sqlite_number(found, 1), window) != 0)
			break;
	}
	return r < 0 ? r : 0;
}

/* Rows of the edge, by whatever names it had. */
static int find_edge(struct npt_store_reader *reader, const struct npt_store_edge_filter *filter,
		     struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *found = NULL;
	int r = prepare(reader, "SELECT 1 FROM edges WHERE task_id = ? AND edge_key = ?", &found,
			err);

	if (r < 0)
		return r;
	npt_sqlite_bind_number(found, 1, filter->task_id);
	(void)sqlite3_bind_int64(found, 2, (sqlite3_int64)filter->edge_key);
	r = npt_sqlite_next(found, err);
	if (r == 0)
		return npt_error_set(err, ENOENT, "the task has no edge with this id");
	return r < 0 ? r : 0;
}

static int read_edge(struct npt_store_reader *reader, const struct npt_store_edge_filter *filter,
		     npt_store_edge_fn *on_edge, void *context, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *row = NULL;
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	int r = find_edge(reader, filter, err);

	if (r == 0)
		r = prepare(reader,
			    "SELECT " EDGE_COLUMNS ", w.stream_id, w.sequence, w.start_unix_ms,"
			    " w.duration_ms FROM windows w CROSS JOIN edge_windows r ON"
			    " r.id >= w.first_row AND r.id < w.first_row + w.edges"
			    " JOIN edges e ON e.id = r.edge_id WHERE w.task_id = ?1 AND"
			    " r.edge_id IN (SELECT id FROM edges WHERE task_id = ?1 AND"
			    " edge_key = ?2) AND w.start_unix_ms < ?3 AND"
			    " w.start_unix_ms + w.duration_ms > ?4"
			    " ORDER BY w.start_unix_ms, w.stream_id, w.sequence",
			    &row, err);
	if (r < 0)
		return r;
	npt_sqlite_bind_number(row, 1, filter->task_id);
	(void)sqlite3_bind_int64(row, 2, (sqlite3_int64)filter->edge_key);
	bind_time(row, 3, filter->from_unix_ms, filter->until_unix_ms);
	while ((r = npt_sqlite_next(row, err)) > 0) {
		const struct npt_stored_edge_window window = {
			.stream_id = npt_sqlite_number(row, 3 + NPT_STORE_COLUMNS),
			.sequence = npt_sqlite_number(row, 4 + NPT_STORE_COLUMNS),
			.start_unix_ms = npt_sqlite_number(row, 5 + NPT_STORE_COLUMNS),
			.duration_ms = npt_sqlite_number(row, 6 + NPT_STORE_COLUMNS),
			.edge = edge,
		};

		r = read_edge_row(row, edge, err);
		if (r < 0)
			return r;
		if (on_edge(context, &window) != 0)
			break;
	}
	return r < 0 ? r : 0;
}

static void free_reader(struct npt_store_reader *interface)
{
	struct reader *reader = (struct reader *)interface;

	npt_sqlite_close(reader->db);
	free(reader);
}

int npt_store_sqlite_open_reader(struct npt_store *store, struct npt_store_reader **reader_ret,
				 struct npt_error *err)
{
	static const struct npt_store_reader_operations operations = {
		.find_task = find_task,
		.list_tasks = list_tasks,
		.list_streams = list_streams,
		.read_windows = read_windows,
		.read_edge = read_edge,
		.free = free_reader,
	};
	struct reader *reader = npt_alloc(1, sizeof(*reader));
	int r;

	reader->reader.operations = &operations;
	reader->sqlite = (struct npt_store_sqlite *)store;
	r = connect_now(reader, err);
	if (r < 0) {
		free_reader(&reader->reader);
		return r;
	}
	*reader_ret = &reader->reader;
	return 0;
}
