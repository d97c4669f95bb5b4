/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows are read some at a time: first their heads, in order and each once, however often it was
 * written; then what their edges speak; then the edges' rows, in the order of the heads, and handed
 * on window by window. A row whose id ("written") is not the head's is of a repeat.
 *
 * The same holds for the rows of one edge: only those count that are of a window's first writing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/store/store_clickhouse.h"
#include "aggregator/store/store_clickhouse_labels.h"
#include "aggregator/store/store_clickhouse_reader.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/model/report_protobuf.h"

#define EDGE_BYTES_MAX (256UL * 1024)
#define HEADS_MAX      256 /* read at a time */

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
	struct npt_store_clickhouse_reader *reader;
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

static void put_time(struct npt_buffer *sql, uint64_t from_unix_ms, uint64_t until_unix_ms)
{
	if (from_unix_ms)
		(void)npt_buffer_appendf(sql, " AND start_unix_ms + duration_ms > %" PRIu64,
					 from_unix_ms);
	if (until_unix_ms)
		(void)npt_buffer_appendf(sql, " AND start_unix_ms < %" PRIu64, until_unix_ms);
}

/* The id that windows are before. */
static uint64_t youngest(const struct npt_store_filter *filter)
{
	if (!filter->is_going_on)
		return INT64_MAX;
	return (npt_clock_unix_ms() - NPT_STORE_SETTLED_MS) * 1000 << NPT_STORE_REPLICA_BITS;
}

/* By stream: in order of sequence; else in order of the ids of their first writing. */
static int read_heads(struct windows *windows, uint64_t after, struct npt_error *err)
{
	const struct npt_store_filter *filter = windows->filter;
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer which = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
	struct npt_clickhouse_query query = { .types = "nnnns",
					      .on_row = add_head,
					      .context = windows };
	int r;

	(void)npt_buffer_append_text(&which, "is_edge = 0 AND task_uid = ");
	npt_clickhouse_quote(&which, windows->reader->task_uid);
	put_time(&which, filter->from_unix_ms, filter->until_unix_ms);
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
			" %" PRIu64 " AND first < %" PRIu64
			" ORDER BY first LIMIT %zu)) ORDER BY written LIMIT 1 BY written",
			which.data, which.data, after, youngest(filter), windows->max);
	}
	if (r < 0)
		return npt_error_set(err, ENOENT, "no window of such a pod is stored");
	query.sql = sql.data;
	return npt_store_clickhouse_select(windows->reader, &query, err);
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
		return npt_store_clickhouse_error(r, &cause, err);
	windows->labels_are_whole = whole;
	return 0;
}

/* One edge: what it is, what was counted then, what is known by now of what it speaks. */
static int decode_edge(const struct npt_clickhouse_labels *labels, uint64_t edge_key,
		       const struct npt_rowbinary_value parts[static 2], struct npt_edge *edge_ret,
		       struct npt_error *err)
{
	const struct npt_clickhouse_label *label = npt_clickhouse_labels_find(labels, edge_key);
	npt_auto(npt_buffer_done) struct npt_buffer whole = NPT_BUFFER(EDGE_BYTES_MAX);
	int r = 0;

	for (size_t i = 0; r == 0 && i < 2; i++)
		r = npt_buffer_append(&whole, parts[i].text, parts[i].size_bytes);
	if (r == 0 && label)
		r = npt_buffer_append(&whole, label->data, label->size_bytes);
	if (r == 0)
		r = npt_edge_from_protobuf(whole.data, whole.size_bytes, edge_ret, err);
	return r < 0 ? npt_error_set(err, EUCLEAN, "store: an edge cannot be read") : 0;
}

static int add_edge(const struct windows *windows, struct npt_report *window,
		    const struct npt_rowbinary_value *values, struct npt_error *err)
{
	struct npt_edge *edge = npt_report_add_edge(window);

	if (!edge)
		return npt_error_set(err, EUCLEAN, "store: a window has too many edges");
	return decode_edge(&windows->labels, values[2].number, &values[3], edge, err);
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
	npt_auto(npt_buffer_done) struct npt_buffer condition = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer uid = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
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
	sql = npt_format("SELECT written, number, edge_key, identity, counters FROM npt_windows"
			 " WHERE is_edge = 1 AND task_uid = %s AND %s ORDER BY %s, number",
			 uid.data, condition.data,
			 windows->filter->stream_id ? "sequence" : "written");
	query.sql = sql;
	r = npt_store_clickhouse_select(windows->reader, &query, err);
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
	windows->reader = (struct npt_store_clickhouse_reader *)interface;
	windows->on_window = on_window;
	windows->context = context;
	r = npt_store_clickhouse_find_uid(windows->reader, filter->task_id, err);
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

struct edge_reading {
	struct npt_clickhouse_labels labels;
	uint64_t edge_key;
	struct npt_edge *edge;
	size_t count;
	npt_store_edge_fn *on_edge;
	void *context;
};

static int add_edge_window(void *context, const struct npt_rowbinary_value *values,
			   struct npt_error *err)
{
	struct edge_reading *reading = context;
	const struct npt_stored_edge_window window = { .stream_id = values[0].number,
						       .sequence = values[1].number,
						       .start_unix_ms = values[2].number,
						       .duration_ms = values[3].number,
						       .edge = reading->edge };
	int r = decode_edge(&reading->labels, reading->edge_key, &values[4], reading->edge, err);

	if (r < 0)
		return r;
	reading->count++;
	return reading->on_edge(reading->context, &window) != 0;
}

static int read_edge_windows(struct npt_store_clickhouse_reader *reader,
			     const struct npt_store_edge_filter *filter,
			     struct edge_reading *reading, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer uid = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
	struct npt_clickhouse_query query = { .types = "nnnnss",
					      .on_row = add_edge_window,
					      .context = reading };

	npt_clickhouse_quote(&uid, reader->task_uid);
	(void)npt_buffer_appendf(
		&sql,
		"SELECT stream_id, sequence, start_unix_ms, duration_ms, identity, counters FROM"
		" npt_windows WHERE is_edge = 1 AND task_uid = %s AND edge_key = %" PRIu64
		" AND written IN (SELECT min(written) FROM npt_windows WHERE is_edge = 0 AND"
		" task_uid = %s GROUP BY stream_id, sequence)",
		uid.data, filter->edge_key, uid.data);
	put_time(&sql, filter->from_unix_ms, filter->until_unix_ms);
	(void)npt_buffer_append_text(&sql, " ORDER BY start_unix_ms, stream_id, sequence, number"
					   " LIMIT 1 BY stream_id, sequence, number");
	query.sql = sql.data;
	return npt_store_clickhouse_select(reader, &query, err);
}

static int take_row(void *context, const struct npt_rowbinary_value *values, struct npt_error *err)
{
	uint64_t *number = context;

	(void)err;
	*number = values[0].number;
	return 1;
}

static int check_edge(struct npt_store_clickhouse_reader *reader, uint64_t edge_key,
		      struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
	uint64_t count = 0;
	struct npt_clickhouse_query query = { .types = "n", .on_row = take_row, .context = &count };
	int r;

	(void)npt_buffer_append_text(&sql, "SELECT count() FROM npt_windows WHERE is_edge = 1 AND"
					   " task_uid = ");
	npt_clickhouse_quote(&sql, reader->task_uid);
	(void)npt_buffer_appendf(&sql, " AND edge_key = %" PRIu64, edge_key);
	query.sql = sql.data;
	r = npt_store_clickhouse_select(reader, &query, err);
	if (r == 0 && count == 0)
		return npt_error_set(err, ENOENT, "the task has no edge with this id");
	return r;
}

static int read_edge(struct npt_store_reader *interface, const struct npt_store_edge_filter *filter,
		     npt_store_edge_fn *on_edge, void *context, struct npt_error *err)
{
	struct npt_store_clickhouse_reader *reader =
		(struct npt_store_clickhouse_reader *)interface;
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	npt_auto_free char *condition = npt_format("edge_key = %" PRIu64, filter->edge_key);
	struct edge_reading reading = {
		.edge_key = filter->edge_key, .edge = edge, .on_edge = on_edge, .context = context
	};
	struct npt_error cause = NPT_ERROR_NONE;
	int r = npt_store_clickhouse_find_uid(reader, filter->task_id, err);

	if (r < 0)
		return r;
	r = npt_clickhouse_labels_read(reader->connection, reader->task_uid, condition,
				       &reading.labels, &cause);
	r = npt_store_clickhouse_error(r, &cause, err);
	if (r == 0)
		r = read_edge_windows(reader, filter, &reading, err);
	if (r == 0 && reading.count == 0)
		r = check_edge(reader, filter->edge_key, err);
	npt_clickhouse_labels_done(&reading.labels);
	return r;
}

static void free_reader(struct npt_store_reader *interface)
{
	struct npt_store_clickhouse_reader *reader =
		(struct npt_store_clickhouse_reader *)interface;

	npt_clickhouse_free(reader->connection);
	free(reader);
}

int npt_store_clickhouse_open_reader(struct npt_store *store, struct npt_store_reader **reader_ret,
				     struct npt_error *err)
{
	static const struct npt_store_reader_operations operations = {
		.find_task = npt_store_clickhouse_find_task,
		.list_tasks = npt_store_clickhouse_list_tasks,
		.list_streams = npt_store_clickhouse_list_streams,
		.read_windows = read_windows,
		.read_edge = read_edge,
		.free = free_reader,
	};
	const struct npt_store_clickhouse *clickhouse = (struct npt_store_clickhouse *)store;
	struct npt_store_clickhouse_reader *reader = npt_alloc(1, sizeof(*reader));
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
