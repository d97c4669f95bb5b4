/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which windows are there already is asked first: that is what is answered, and what keeps repeats
 * from being written. It is no guarantee (another replica may be writing one of them right now),
 * nor need it be one: see store_clickhouse.c.
 *
 * A head comes behind its edges, so that an INSERT that is cut between two rows, as when we are
 * killed, leaves rows without a head, which nobody sees.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "aggregator/store/store_clickhouse.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/model/report_merge.h"
#include "lib/model/report_protobuf.h"

#define BLOB_BYTES_MAX    (256UL * 1024)
#define ROWS_BYTES_MAX    (256UL * 1024 * 1024)
#define SQL_BYTES_MAX     (200UL * 1024) /* the server's limit is 256 KiB */
#define WINDOWS_PER_QUERY 500

#define COLUMNS                                                                                    \
	"is_edge, task_uid, task_namespace, task_name, pod_uid, pod_namespace, pod_name, node,"    \
	" instance, stream_id, sequence, number, written, received_unix_ms, start_unix_ms,"        \
	" duration_ms, edges, head, edge_key, pid, process, container, role, peer_kind,"           \
	" peer_name, peer_namespace, peer_address, peer_port, asked, reached, transport,"          \
	" protocol, tls, connections_opened, connections_closed, connections_failed, sent_bytes,"  \
	" sent_segments, received_bytes, received_segments, write_count, write_bytes,"             \
	" read_count, read_bytes, retransmit_segments, drops, identity, label, counters"

struct appending {
	struct npt_report *const *windows;
	size_t count;
	uint64_t *stream_ids;
	bool *added;
	uint64_t received_unix_ms; /* of all, so that they are of one partition */
};

static void put_text(struct npt_buffer *rows, const char *text)
{
	(void)npt_rowbinary_put_text(rows, text, strlen(text));
}

static void put_number(struct npt_buffer *rows, uint64_t number)
{
	(void)npt_rowbinary_put_number(rows, number);
}

static void put_bytes(struct npt_buffer *rows, const struct npt_buffer *bytes)
{
	(void)npt_rowbinary_put_text(rows, bytes->data, bytes->size_bytes);
}

/* The columns up to duration_ms: what each row of a window says of it. */
static void put_window(struct npt_buffer *rows, const struct npt_report *window, bool is_edge,
		       const uint64_t numbers[static 5])
{
	(void)npt_rowbinary_put_number8(rows, is_edge);
	put_text(rows, window->task.uid);
	put_text(rows, window->task.namespace_name);
	put_text(rows, window->task.name);
	put_text(rows, window->pod.uid);
	put_text(rows, window->pod.namespace_name);
	put_text(rows, window->pod.name);
	put_text(rows, window->node);
	put_text(rows, window->instance);
	for (size_t i = 0; i < 5; i++)
		put_number(rows, numbers[i]);
	put_number(rows, window->start_unix_ms);
	put_number(rows, window->duration_ms);
}

/* From "pid" to "tls". */
static void put_names(struct npt_buffer *rows, const struct npt_edge *edge)
{
	put_number(rows, edge->process.pid);
	put_text(rows, edge->process.name);
	put_text(rows, edge->process.container);
	put_text(rows, npt_role_name(edge->role));
	put_text(rows, npt_peer_kind_name(edge->peer.kind));
	put_text(rows, edge->peer.name);
	put_text(rows, edge->peer.namespace_name);
	put_text(rows, edge->peer.address);
	put_number(rows, edge->peer.port);
	put_text(rows, edge->peer.asked);
	put_text(rows, edge->peer.reached);
	put_text(rows, edge->transport);
	put_text(rows, edge->protocol[0] ? edge->protocol : NPT_PROTOCOL_UNSAID);
	put_text(rows, npt_tls_name(edge->tls));
}

static uint64_t sum(const struct npt_named_count *counts, size_t max)
{
	uint64_t total = 0;

	for (size_t i = 0; i < max && counts[i].name[0]; i++)
		total += counts[i].count;
	return total < NPT_NUMBER_MAX ? total : NPT_NUMBER_MAX;
}

/* From "connections_opened" to "drops". */
static void put_counts(struct npt_buffer *rows, const struct npt_edge *edge)
{
	const struct npt_metric *writes = &edge->metrics[NPT_METRIC_WRITE];
	const struct npt_metric *reads = &edge->metrics[NPT_METRIC_READ];
	const uint64_t numbers[] = {
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

	for (size_t i = 0; i < NPT_ARRAY_SIZE(numbers); i++)
		put_number(rows, numbers[i]);
}

static void put_edge(struct npt_buffer *rows, const struct npt_edge *edge)
{
	npt_auto(npt_buffer_done) struct npt_buffer identity = NPT_BUFFER(BLOB_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer label = NPT_BUFFER(BLOB_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer counters = NPT_BUFFER(BLOB_BYTES_MAX);

	npt_edge_identity_to_protobuf(edge, &identity);
	npt_edge_label_to_protobuf(edge, &label);
	npt_edge_counters_to_protobuf(edge, &counters);
	put_number(rows, 0); /* edges */
	put_text(rows, "");  /* head */
	put_number(rows, npt_edge_key(edge));
	put_names(rows, edge);
	put_counts(rows, edge);
	put_bytes(rows, &identity);
	put_bytes(rows, &label);
	put_bytes(rows, &counters);
}

static void put_head(struct npt_buffer *rows, const struct npt_report *window)
{
	static const struct npt_edge none = { .role = NPT_ROLE_UNKNOWN };
	npt_auto(npt_buffer_done) struct npt_buffer head = NPT_BUFFER(BLOB_BYTES_MAX);

	npt_report_head_to_protobuf(window, &head);
	put_number(rows, window->edges_count);
	put_bytes(rows, &head);
	put_number(rows, 0); /* edge_key */
	put_names(rows, &none);
	put_counts(rows, &none);
	for (size_t i = 0; i < 3; i++)
		put_text(rows, "");
}

/* Later than every one that this process gave; in the low bits, who we are. */
static uint64_t next_id(struct npt_store_clickhouse *clickhouse, uint64_t now_unix_ms)
{
	uint64_t micros = now_unix_ms * 1000;

	if (micros <= clickhouse->last_micros)
		micros = clickhouse->last_micros + 1;
	clickhouse->last_micros = micros;
	return (micros << NPT_STORE_REPLICA_BITS | clickhouse->replica) & INT64_MAX;
}

static void put_rows(struct npt_store_clickhouse *clickhouse, const struct appending *appending,
		     struct npt_buffer *rows)
{
	for (size_t i = 0; i < appending->count; i++) {
		const struct npt_report *window = appending->windows[i];
		uint64_t numbers[] = { appending->stream_ids[i], window->sequence, 0,
				       next_id(clickhouse, appending->received_unix_ms),
				       appending->received_unix_ms };

		if (!appending->added[i])
			continue;
		for (size_t k = 0; k < window->edges_count; k++) {
			numbers[2] = k + 1;
			put_window(rows, window, true, numbers);
			put_edge(rows, &window->edges[k]);
		}
		numbers[2] = 0;
		put_window(rows, window, false, numbers);
		put_head(rows, window);
	}
}

/* A window that is twice among them is new once. */
static void mark_first(const struct appending *appending)
{
	for (size_t i = 0; i < appending->count; i++) {
		appending->added[i] = true;
		for (size_t k = 0; k < i && appending->added[i]; k++)
			appending->added[i] =
				appending->stream_ids[k] != appending->stream_ids[i] ||
				appending->windows[k]->sequence != appending->windows[i]->sequence;
	}
}

static int mark_found(void *context, const struct npt_rowbinary_value *values,
		      struct npt_error *err)
{
	const struct appending *appending = context;

	(void)err;
	for (size_t i = 0; i < appending->count; i++) {
		if (appending->stream_ids[i] == values[0].number &&
		    appending->windows[i]->sequence == values[1].number)
			appending->added[i] = false;
	}
	return 0;
}

static void list_tasks(const struct appending *appending, size_t begin, size_t end,
		       struct npt_buffer *sql)
{
	for (size_t i = begin; i < end; i++) {
		if (i > begin && strcmp(appending->windows[i]->task.uid,
					appending->windows[i - 1]->task.uid) == 0)
			continue;
		(void)npt_buffer_append_text(sql, i > begin ? "," : "");
		npt_clickhouse_quote(sql, appending->windows[i]->task.uid);
	}
}

static int find_some(struct npt_clickhouse *connection, struct appending *appending, size_t begin,
		     size_t end, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(SQL_BYTES_MAX);
	struct npt_clickhouse_query query = { .types = "nn",
					      .on_row = mark_found,
					      .seconds = NPT_STORE_ASK_SECONDS,
					      .context = appending };

	(void)npt_buffer_append_text(&sql, "SELECT stream_id, sequence FROM npt_windows WHERE"
					   " is_edge = 0 AND task_uid IN (");
	list_tasks(appending, begin, end, &sql);
	(void)npt_buffer_append_text(&sql, ") AND (stream_id, sequence) IN (");
	for (size_t i = begin; i < end; i++)
		(void)npt_buffer_appendf(&sql, "%s(%" PRIu64 ",%" PRIu64 ")", i > begin ? "," : "",
					 appending->stream_ids[i], appending->windows[i]->sequence);
	if (npt_buffer_append_text(&sql, ")") < 0)
		return npt_error_set(err, EMSGSIZE, "too many windows at once");
	query.sql = sql.data;
	return npt_clickhouse_select(connection, &query, err);
}

static int find_known(struct npt_clickhouse *connection, struct appending *appending,
		      struct npt_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < appending->count; i += WINDOWS_PER_QUERY) {
		size_t end = i + WINDOWS_PER_QUERY < appending->count ? i + WINDOWS_PER_QUERY
								      : appending->count;

		r = find_some(connection, appending, i, end, err);
	}
	return r;
}

static int write_new(struct npt_store_clickhouse *clickhouse, const struct appending *appending,
		     struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer rows = NPT_BUFFER(ROWS_BYTES_MAX);
	put_rows(clickhouse, appending, &rows);
	if (rows.size_bytes == 0)
		return 0;
	/* What found no room was smaller than this. */
	if (rows.size_bytes > ROWS_BYTES_MAX - NPT_ROWBINARY_TEXT_BYTES_MAX)
		return npt_error_set(err, EMSGSIZE, "the windows are too large for one INSERT");
	return npt_clickhouse_insert(clickhouse->connection,
				     "INSERT INTO npt_windows (" COLUMNS ") FORMAT RowBinary",
				     clickhouse->insert_settings, &rows, err);
}

static int append(struct npt_store_clickhouse *clickhouse, struct appending *appending,
		  struct npt_error *err)
{
	int r = npt_store_clickhouse_prepare(clickhouse, err);

	if (r < 0)
		return r;
	mark_first(appending);
	r = find_known(clickhouse->connection, appending, err);
	if (r == 0)
		r = write_new(clickhouse, appending, err);
	if (r == -ENOENT)
		clickhouse->prepared = false;
	return r;
}

int npt_store_clickhouse_append(struct npt_store *store, struct npt_report *const *windows,
				size_t count, bool *added, struct npt_error *err)
{
	struct npt_store_clickhouse *clickhouse = (struct npt_store_clickhouse *)store;
	npt_auto_free uint64_t *stream_ids = npt_alloc(count ? count : 1, sizeof(*stream_ids));
	struct appending appending = { .windows = windows,
				       .count = count,
				       .stream_ids = stream_ids,
				       .added = added,
				       .received_unix_ms = npt_clock_unix_ms() };
	int r;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		stream_ids[i] = npt_store_clickhouse_stream_id(windows[i]);
	r = append(clickhouse, &appending, err);
	/* Somebody removed the tables: they are made anew, once. */
	return r == -ENOENT ? append(clickhouse, &appending, err) : r;
}
