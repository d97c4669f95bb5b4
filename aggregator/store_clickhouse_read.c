/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows are read some at a time: first their heads, in order and each once, however often it was
 * written; then what their edges speak; then the edges' rows, in the order of the heads, and handed
 * on window by window. A row whose id ("written") is not the head's is of a repeat.
 *
 * A task's id is that of its first window; the reader remembers of which task it spoke last, since
 * whoever asks for windows has just found the task.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/store_clickhouse.h"
#include "aggregator/store_clickhouse_labels.h"
#include "lib/core/alloc.h"
#include "lib/model/report_protobuf.h"

#define SQL_BYTES_MAX  (64UL * 1024)
#define EDGE_BYTES_MAX (256UL * 1024)
#define STREAMS_MAX    65536
#define HEADS_MAX      256 /* read at a time */
#define TASK_COLUMNS                                                                               \
	"min(written) AS id, task_uid, argMin(task_namespace, written),"                           \
	" argMin(task_name, written), min(start_unix_ms), max(start_unix_ms + duration_ms),"       \
	" uniqExact(stream_id, sequence), uniqExact(pod_uid)"
#define TASK_TYPES "nsssnnnn"

struct reader {
	struct npt_store_reader reader; /* first: what the interface sees */
	struct npt_clickhouse *connection;
	uint64_t task_id; /* of the task found last; 0: none yet */
	char task_uid[NPT_UID_BYTES];
};

/* The tables may not be there yet, when the server has just come up. */
static int select_rows(struct reader *reader, const struct npt_clickhouse_query *query,
		       struct npt_error *err)
{
	struct npt_error cause = NPT_ERROR_NONE;
	int r = npt_clickhouse_select(reader->connection, query, &cause);

	if (r < 0)
		return npt_error_set(err, r == -ENOENT || r == -EIO ? EAGAIN : -r, "%s",
				     cause.text);
	return 0;
}

/* ---- tasks ---- */

struct tasks {
	struct npt_stored_task *tasks;
	size_t count;
	size_t max;
};

static int add_task(void *context, const struct npt_rowbinary_value *values, struct npt_error *err)
{
	struct tasks *found = context;
	struct npt_stored_task *task;

	(void)err;
	if (found->count == found->max)
		return 1;
	task = &found->tasks[found->count++];
	memset(task, 0, sizeof(*task));
	task->id = values[0].number;
	npt_rowbinary_copy(&values[1], task->uid, sizeof(task->uid));
	npt_rowbinary_copy(&values[2], task->namespace_name, sizeof(task->namespace_name));
	npt_rowbinary_copy(&values[3], task->name, sizeof(task->name));
	task->start_unix_ms = values[4].number;
	task->end_unix_ms = values[5].number;
	task->windows = values[6].number;
	task->pods = values[7].number;
	return 0;
}

static void remember(struct reader *reader, const struct npt_stored_task *task)
{
	reader->task_id = task->id;
	memcpy(reader->task_uid, task->uid, sizeof(reader->task_uid));
}

static int find_task(struct npt_store_reader *interface, const char *uid,
		     struct npt_stored_task *task_ret, struct npt_error *err)
{
	struct reader *reader = (struct reader *)interface;
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(SQL_BYTES_MAX);
	struct npt_stored_task task;
	struct tasks found = { .tasks = &task, .max = 1 };
	struct npt_clickhouse_query query = { .types = TASK_TYPES,
					      .on_row = add_task,
					      .context = &found };
	int r;

	(void)npt_buffer_append_text(&sql, "SELECT " TASK_COLUMNS " FROM npt_windows WHERE"
					   " is_edge = 0 AND task_uid = ");
	npt_clickhouse_quote(&sql, uid);
	if (npt_buffer_append_text(&sql, " GROUP BY task_uid") < 0)
		found.max = 0; /* no uid is so long */
	query.sql = sql.data;
	r = found.max ? select_rows(reader, &query, err) : 0;
	if (r < 0)
		return r;
	if (found.count == 0)
		return npt_error_set(err, ENOENT, "no window of a task with this uid is stored");
	remember(reader, &task);
	*task_ret = task;
	return 0;
}

static int list_tasks(struct npt_store_reader *interface, const char *namespace_name,
		      uint64_t before, struct npt_stored_task *tasks, size_t max, size_t *count_ret,
		      struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(SQL_BYTES_MAX);
	struct tasks found = { .tasks = tasks, .max = max };
	struct npt_clickhouse_query query = { .types = TASK_TYPES,
					      .on_row = add_task,
					      .context = &found };
	int r;

	/* Which tasks is found in two columns of all heads; the rest is read of those tasks only.
	 */
	(void)npt_buffer_append_text(&sql, "SELECT " TASK_COLUMNS
					   " FROM npt_windows WHERE is_edge = 0 AND task_uid IN"
					   " (SELECT task_uid FROM (SELECT task_uid, min(written)"
					   " AS first FROM npt_windows WHERE is_edge = 0");
	if (namespace_name) {
		(void)npt_buffer_append_text(&sql, " AND task_namespace = ");
		npt_clickhouse_quote(&sql, namespace_name);
	}
	r = npt_buffer_appendf(&sql,
			       " GROUP BY task_uid HAVING first < %" PRIu64 " ORDER BY first DESC"
			       " LIMIT %zu)) GROUP BY task_uid ORDER BY id DESC",
			       before ? before : (uint64_t)INT64_MAX, max);
	query.sql = sql.data;
	r = r < 0 ? npt_error_set(err, EMSGSIZE, "the namespace's name is too long")
		  : select_rows((struct reader *)interface, &query, err);
	if (r < 0)
		return r;
	*count_ret = found.count;
	return 0;
}

static int take_uid(void *context, const struct npt_rowbinary_value *values, struct npt_error *err)
{
	(void)err;
	npt_rowbinary_copy(&values[0], context, NPT_UID_BYTES);
	return 1;
}

/* The uid of a task of which the reader did not speak last; "" if there is none. */
static int find_uid(struct reader *reader, uint64_t task_id, struct npt_error *err)
{
	npt_auto_free char *sql = npt_format("SELECT task_uid FROM npt_windows WHERE is_edge = 0"
					     " AND written = %" PRIu64 " LIMIT 1",
					     task_id);
	char uid[NPT_UID_BYTES] = "";
	const struct npt_clickhouse_query query = {
		.sql = sql, .types = "s", .on_row = take_uid, .context = uid
	};
	int r;

	if (reader->task_id == task_id)
		return 0;
	r = select_rows(reader, &query, err);
	if (r < 0)
		return r;
	reader->task_id = task_id;
	memcpy(reader->task_uid, uid, sizeof(uid));
	return 0;
}

/* ---- streams ---- */

struct streams {
	struct npt_stored_stream *streams;
	size_t count;
};

static int add_stream(void *context, const struct npt_rowbinary_value *values,
		      struct npt_error *err)
{
	struct streams *found = context;
	struct npt_stored_stream *stream;

	if (found->count == STREAMS_MAX)
		return npt_error_set(err, EMSGSIZE, "store: a task has too many streams");
	if ((found->count & (found->count - 1)) == 0)
		found->streams = npt_realloc(found->streams, found->count ? found->count * 2 : 1,
					     sizeof(*found->streams));
	stream = &found->streams[found->count++];
	memset(stream, 0, sizeof(*stream));
	stream->id = values[0].number;
	npt_rowbinary_copy(&values[1], stream->pod_uid, sizeof(stream->pod_uid));
	npt_rowbinary_copy(&values[2], stream->pod_namespace, sizeof(stream->pod_namespace));
	npt_rowbinary_copy(&values[3], stream->pod_name, sizeof(stream->pod_name));
	npt_rowbinary_copy(&values[4], stream->node, sizeof(stream->node));
	npt_rowbinary_copy(&values[5], stream->instance, sizeof(stream->instance));
	stream->windows = values[6].number;
	stream->first_sequence = values[7].number;
	stream->last_sequence = values[8].number;
	return 0;
}

static int list_streams(struct npt_store_reader *interface, uint64_t task_id,
			struct npt_stored_stream **streams_ret, size_t *count_ret,
			struct npt_error *err)
{
	struct reader *reader = (struct reader *)interface;
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(SQL_BYTES_MAX);
	struct streams found = { .count = 0 };
	struct npt_clickhouse_query query = { .types = "nsssssnnnn",
					      .on_row = add_stream,
					      .context = &found };
	int r = find_uid(reader, task_id, err);

	if (r < 0)
		return r;
	(void)npt_buffer_append_text(
		&sql, "SELECT stream_id, pod_uid, argMin(pod_namespace, written),"
		      " argMin(pod_name, written), argMin(node, written),"
		      " argMin(instance, written), uniqExact(sequence), min(sequence),"
		      " max(sequence), min(written) AS first FROM npt_windows WHERE is_edge = 0"
		      " AND task_uid = ");
	npt_clickhouse_quote(&sql, reader->task_uid);
	(void)npt_buffer_append_text(&sql, " GROUP BY stream_id, pod_uid ORDER BY pod_uid, first");
	query.sql = sql.data;
	r = select_rows(reader, &query, err);
	if (r < 0) {
		free(found.streams);
		return r;
	}
	*streams_ret = found.streams;
	*count_ret = found.count;
	return 0;
}

/* ---- windows ---- */

struct head {
	uint64_t stream_id;
	uint64_t sequence;
	uint64_t written;
	uint64_t edges;
	struct npt_report *window;
};

/* Some windows, and where the reading of their rows stands. */
struct windows {
	const struct npt_store_filter *filter;
	struct reader *reader;
	struct head heads[HEADS_MAX];
	size_t count;
	size_t max;
	size_t handed_on;
	struct npt_clickhouse_labels labels;
	bool labels_are_whole; /* of all windows of the filter */
	npt_store_window_fn *on_window;
	void *context;
	bool enough; /* said on_window */
};

static void windows_done(struct windows *windows)
{
	for (size_t i = 0; i < windows->count; i++)
		npt_report_free(windows->heads[i].window);
	windows->count = 0;
	windows->handed_on = 0;
}

static void free_windows(struct windows *windows)
{
	if (!windows)
		return;
	windows_done(windows);
	npt_clickhouse_labels_done(&windows->labels);
	free(windows);
}
NPT_DEFINE_AUTO(struct windows *, free_windows)

static int add_head(void *context, const struct npt_rowbinary_value *values, struct npt_error *err)
{
	struct windows *windows = context;
	struct head *head;

	if (windows->count == windows->max)
		return 1;
	head = &windows->heads[windows->count];
	*head = (struct head){ .stream_id = values[0].number,
			       .sequence = values[1].number,
			       .written = values[2].number,
			       .edges = values[3].number };
	if (npt_report_from_protobuf(values[4].text, values[4].size_bytes, &head->window, err) < 0)
		return npt_error_set(err, EUCLEAN, "store: a window cannot be read");
	windows->count++;
	return 0;
}

/* By stream: in order of sequence; else in order of the ids of their first writing. */
static int read_heads(struct windows *windows, uint64_t after, struct npt_error *err)
{
	const struct npt_store_filter *filter = windows->filter;
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(SQL_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer which = NPT_BUFFER(SQL_BYTES_MAX);
	struct npt_clickhouse_query query = { .types = "nnnns",
					      .on_row = add_head,
					      .context = windows };
	int r;

	(void)npt_buffer_append_text(&which, "is_edge = 0 AND task_uid = ");
	npt_clickhouse_quote(&which, windows->reader->task_uid);
	if (filter->stream_id) {
		r = npt_buffer_appendf(&sql,
				       "SELECT stream_id, sequence, written, edges, head FROM"
				       " npt_windows WHERE %s AND stream_id = %" PRIu64
				       " AND sequence > %" PRIu64 " ORDER BY sequence, written"
				       " LIMIT 1 BY sequence LIMIT %zu",
				       which.data, filter->stream_id, after, windows->max);
	} else {
		if (filter->pod_uid) {
			(void)npt_buffer_append_text(&which, " AND pod_uid = ");
			npt_clickhouse_quote(&which, filter->pod_uid);
		}
		r = npt_buffer_appendf(
			&sql,
			"SELECT stream_id, sequence, written, edges, head FROM npt_windows WHERE"
			" %s AND written IN (SELECT first FROM (SELECT min(written) AS first FROM"
			" npt_windows WHERE %s GROUP BY stream_id, sequence HAVING first >"
			" %" PRIu64
			" ORDER BY first LIMIT %zu)) ORDER BY written LIMIT 1 BY written",
			which.data, which.data, after, windows->max);
	}
	if (r < 0)
		return npt_error_set(err, ENOENT, "no window of such a pod is stored");
	query.sql = sql.data;
	return select_rows(windows->reader, &query, err);
}

/* Which rows are of these windows, as a condition. */
static int describe(const struct windows *windows, struct npt_buffer *condition,
		    struct npt_error *err)
{
	int r = 0;

	if (windows->filter->stream_id) {
		(void)npt_buffer_appendf(condition,
					 "stream_id = %" PRIu64 " AND sequence >= %" PRIu64
					 " AND sequence <= %" PRIu64,
					 windows->filter->stream_id, windows->heads[0].sequence,
					 windows->heads[windows->count - 1].sequence);
	} else {
		(void)npt_buffer_append_text(condition, "stream_id IN (");
		for (size_t i = 0; i < windows->count; i++)
			(void)npt_buffer_appendf(condition, "%s%" PRIu64, i ? "," : "",
						 windows->heads[i].stream_id);
		(void)npt_buffer_append_text(condition, ")");
	}
	(void)npt_buffer_append_text(condition, " AND written IN (");
	for (size_t i = 0; i < windows->count; i++)
		(void)npt_buffer_appendf(condition, "%s%" PRIu64, i ? "," : "",
					 windows->heads[i].written);
	r = npt_buffer_append_text(condition, ")");
	return r < 0 ? npt_error_set(err, EMSGSIZE, "too many windows at once") : 0;
}

/* A stream's labels are the same for all of its windows: read once. */
static int read_labels(struct windows *windows, const char *condition, struct npt_error *err)
{
	npt_auto_free char *stream = npt_format("stream_id = %" PRIu64, windows->filter->stream_id);
	bool whole = windows->filter->stream_id != 0;
	struct npt_error cause = NPT_ERROR_NONE;
	int r;

	if (windows->labels_are_whole)
		return 0;
	r = npt_clickhouse_labels_read(windows->reader->connection, windows->reader->task_uid,
				       whole ? stream : condition, &windows->labels, &cause);
	if (r < 0)
		return npt_error_set(err, r == -EIO || r == -ENOENT ? EAGAIN : -r, "%s",
				     cause.text);
	windows->labels_are_whole = whole;
	return 0;
}

/* One edge: what it is, what was counted then, what is known by now of what it speaks. */
static int add_edge(const struct windows *windows, struct npt_report *window,
		    const struct npt_rowbinary_value *values, struct npt_error *err)
{
	const struct npt_clickhouse_label *label =
		npt_clickhouse_labels_find(&windows->labels, values[2].number);
	npt_auto(npt_buffer_done) struct npt_buffer whole = NPT_BUFFER(EDGE_BYTES_MAX);
	struct npt_edge *edge = npt_report_add_edge(window);
	int r = edge ? 0 : -EMSGSIZE;

	for (size_t i = 3; r == 0 && i < 5; i++)
		r = npt_buffer_append(&whole, values[i].text, values[i].size_bytes);
	if (r == 0 && label)
		r = npt_buffer_append(&whole, label->data, label->size_bytes);
	if (r == 0)
		r = npt_edge_from_protobuf(whole.data, whole.size_bytes, edge, err);
	return r < 0 ? npt_error_set(err, EUCLEAN, "store: an edge cannot be read") : 0;
}

/* Windows that are complete are handed on and let go. */
static int hand_on(struct windows *windows, struct npt_error *err)
{
	while (windows->handed_on < windows->count) {
		struct head *head = &windows->heads[windows->handed_on];
		uint64_t id = windows->filter->stream_id ? head->sequence : head->written;

		if (head->window->edges_count < head->edges)
			return 0;
		if (head->window->edges_count > head->edges)
			return npt_error_set(err, EUCLEAN, "store: a window has too many edges");
		windows->enough = windows->on_window(windows->context, id, head->window) != 0;
		npt_report_free(head->window);
		head->window = NULL;
		windows->handed_on++;
		if (windows->enough)
			return 1;
	}
	return 0;
}

/* Rows come in the order of the heads. One that is there twice is of an INSERT that was sent twice;
 * the number tells. */
static int add_row(void *context, const struct npt_rowbinary_value *values, struct npt_error *err)
{
	struct windows *windows = context;
	struct head *head = &windows->heads[windows->handed_on];
	int r;

	if (windows->handed_on == windows->count || values[0].number != head->written ||
	    values[1].number <= head->window->edges_count)
		return 0;
	if (values[1].number > head->window->edges_count + 1)
		return npt_error_set(err, EUCLEAN, "store: a window has lost edges");
	r = add_edge(windows, head->window, values, err);
	return r < 0 ? r : hand_on(windows, err);
}

static int read_rows(struct windows *windows, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer condition = NPT_BUFFER(SQL_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer uid = NPT_BUFFER(SQL_BYTES_MAX);
	npt_auto_free char *sql = NULL;
	struct npt_clickhouse_query query = { .types = "nnnss",
					      .on_row = add_row,
					      .context = windows };
	int r = describe(windows, &condition, err);

	if (r == 0)
		r = read_labels(windows, condition.data, err);
	if (r == 0)
		r = hand_on(windows, err); /* that have no edges */
	if (r != 0 || windows->handed_on == windows->count)
		return r < 0 ? r : 0;
	npt_clickhouse_quote(&uid, windows->reader->task_uid);
	sql = npt_format("SELECT written, number, edge_id, identity, counters FROM npt_windows"
			 " WHERE is_edge = 1 AND task_uid = %s AND %s ORDER BY %s, number",
			 uid.data, condition.data,
			 windows->filter->stream_id ? "sequence" : "written");
	query.sql = sql;
	r = select_rows(windows->reader, &query, err);
	if (r < 0 || windows->enough)
		return r;
	return windows->handed_on == windows->count
		       ? 0
		       : npt_error_set(err, EUCLEAN, "store: a window has lost edges");
}

static int read_windows(struct npt_store_reader *interface, const struct npt_store_filter *filter,
			npt_store_window_fn *on_window, void *context, struct npt_error *err)
{
	npt_auto(free_windows) struct windows *windows = npt_alloc(1, sizeof(*windows));
	uint64_t after = filter->after, left = filter->limit ? filter->limit : UINT64_MAX;
	int r;

	windows->filter = filter;
	windows->reader = (struct reader *)interface;
	windows->on_window = on_window;
	windows->context = context;
	r = find_uid(windows->reader, filter->task_id, err);
	while (r == 0 && left > 0 && !windows->enough) {
		windows->max = left < HEADS_MAX ? (size_t)left : HEADS_MAX;
		windows_done(windows);
		r = read_heads(windows, after, err);
		if (r < 0 || windows->count == 0)
			break;
		after = filter->stream_id ? windows->heads[windows->count - 1].sequence
					  : windows->heads[windows->count - 1].written;
		left -= windows->count;
		r = read_rows(windows, err);
		if (windows->count < windows->max)
			break;
	}
	return r;
}

static void free_reader(struct npt_store_reader *interface)
{
	struct reader *reader = (struct reader *)interface;

	npt_clickhouse_free(reader->connection);
	free(reader);
}

int npt_store_clickhouse_open_reader(struct npt_store *store, struct npt_store_reader **reader_ret,
				     struct npt_error *err)
{
	static const struct npt_store_reader_operations operations = {
		.find_task = find_task,
		.list_tasks = list_tasks,
		.list_streams = list_streams,
		.read_windows = read_windows,
		.free = free_reader,
	};
	const struct npt_store_clickhouse *clickhouse = (struct npt_store_clickhouse *)store;
	struct reader *reader = npt_alloc(1, sizeof(*reader));
	int r;

	reader->reader.operations = &operations;
	r = npt_clickhouse_connect(clickhouse->server, &reader->connection, err);
	if (r < 0) {
		free_reader(&reader->reader);
		return r;
	}
	*reader_ret = &reader->reader;
	return 0;
}
