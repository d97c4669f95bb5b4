/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks and streams stand in no table of their own: they are what the heads of windows say, each
 * window once, however often it was written.
 *
 * A task's id is that of its first window; the reader remembers of which task it spoke last, since
 * whoever asks for windows has just found the task.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "aggregator/store/store_clickhouse_reader.h"
#include "lib/core/alloc.h"

#define STREAMS_MAX 65536
#define TASK_COLUMNS                                                                               \
	"min(written) AS id, task_uid, argMin(task_namespace, written),"                           \
	" argMin(task_name, written), min(start_unix_ms), max(start_unix_ms + duration_ms),"       \
	" uniqExact(stream_id, sequence), uniqExact(pod_uid)"
#define TASK_TYPES "nsssnnnn"

int npt_store_clickhouse_error(int r, const struct npt_error *cause, struct npt_error *err)
{
	if (r >= 0)
		return r;
	/* The tables may not be there yet, when the server has just come up. */
	return npt_error_set(err, r == -ENOENT || r == -EIO ? EAGAIN : -r, "%s", cause->text);
}

int npt_store_clickhouse_select(struct npt_store_clickhouse_reader *reader,
				const struct npt_clickhouse_query *query, struct npt_error *err)
{
	struct npt_error cause = NPT_ERROR_NONE;
	int r = npt_clickhouse_select(reader->connection, query, &cause);

	return npt_store_clickhouse_error(r, &cause, err);
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

static void remember(struct npt_store_clickhouse_reader *reader, const struct npt_stored_task *task)
{
	reader->task_id = task->id;
	memcpy(reader->task_uid, task->uid, sizeof(reader->task_uid));
}

int npt_store_clickhouse_find_task(struct npt_store_reader *interface, const char *uid,
				   struct npt_stored_task *task_ret, struct npt_error *err)
{
	struct npt_store_clickhouse_reader *reader =
		(struct npt_store_clickhouse_reader *)interface;
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
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
	r = found.max ? npt_store_clickhouse_select(reader, &query, err) : 0;
	if (r < 0)
		return r;
	if (found.count == 0)
		return npt_error_set(err, ENOENT, "no window of a task with this uid is stored");
	remember(reader, &task);
	*task_ret = task;
	return 0;
}

int npt_store_clickhouse_list_tasks(struct npt_store_reader *interface, const char *namespace_name,
				    uint64_t before, struct npt_stored_task *tasks, size_t max,
				    size_t *count_ret, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
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
		  : npt_store_clickhouse_select((struct npt_store_clickhouse_reader *)interface,
						&query, err);
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
int npt_store_clickhouse_find_uid(struct npt_store_clickhouse_reader *reader, uint64_t task_id,
				  struct npt_error *err)
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
	r = npt_store_clickhouse_select(reader, &query, err);
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

int npt_store_clickhouse_list_streams(struct npt_store_reader *interface, uint64_t task_id,
				      struct npt_stored_stream **streams_ret, size_t *count_ret,
				      struct npt_error *err)
{
	struct npt_store_clickhouse_reader *reader =
		(struct npt_store_clickhouse_reader *)interface;
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(NPT_STORE_SQL_BYTES_MAX);
	struct streams found = { .count = 0 };
	struct npt_clickhouse_query query = { .types = "nsssssnnnn",
					      .on_row = add_stream,
					      .context = &found };
	int r = npt_store_clickhouse_find_uid(reader, task_id, err);

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
	r = npt_store_clickhouse_select(reader, &query, err);
	if (r < 0) {
		free(found.streams);
		return r;
	}
	*streams_ret = found.streams;
	*count_ret = found.count;
	return 0;
}
