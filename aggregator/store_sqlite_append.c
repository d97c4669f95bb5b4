/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A window is new if (stream, sequence) is; the constraint decides, in the transaction that stores
 * it, so nothing is stored twice, whoever repeats what and when.
 *
 * Ids of streams and edges are remembered, so that a steady stream of windows asks the database for
 * nothing; what was remembered of a transaction that failed is forgotten with it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/store_sqlite.h"
#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/model/report_merge.h"
#include "lib/model/report_protobuf.h"
#include "lib/net/digest.h"

#define CACHED_STREAMS   16384
#define CACHED_EDGES     32768
#define CACHED_CONSTANTS 4096
#define BLOB_BYTES_MAX   (256UL * 1024) /* a head with all lines of TLS has 100 KiB */
#define KEY_BYTES        256

void npt_store_sqlite_forget_ids(struct npt_store_sqlite *sqlite)
{
	npt_strmap_free(sqlite->streams);
	npt_strmap_free(sqlite->edges);
	sqlite->streams = npt_strmap_new(CACHED_STREAMS, NULL);
	sqlite->edges = npt_strmap_new(CACHED_EDGES, free);
	npt_strmap_free(sqlite->constants);
	sqlite->constants = npt_strmap_new(CACHED_CONSTANTS, NULL);
}

/* An id, in a map of pointers; 0 is none. */
static uint64_t cached(const struct npt_strmap *map, const char *key)
{
	return (uint64_t)(uintptr_t)npt_strmap_get(map, key);
}

/* A full cache begins anew: what is in use comes back at once. */
static void remember_stream(struct npt_store_sqlite *sqlite, const char *key, uint64_t id)
{
	if (npt_strmap_set(sqlite->streams, key, (void *)(uintptr_t)id) == 0)
		return;
	npt_strmap_free(sqlite->streams);
	sqlite->streams = npt_strmap_new(CACHED_STREAMS, NULL);
	(void)npt_strmap_set(sqlite->streams, key, (void *)(uintptr_t)id);
}

static struct npt_store_known_edge *remember_edge(struct npt_store_sqlite *sqlite, const char *key,
						  uint64_t id)
{
	struct npt_store_known_edge *known = npt_alloc(1, sizeof(*known));

	known->id = id;
	if (npt_strmap_set(sqlite->edges, key, known) == 0)
		return known;
	npt_strmap_free(sqlite->edges);
	sqlite->edges = npt_strmap_new(CACHED_EDGES, free);
	(void)npt_strmap_set(sqlite->edges, key, known);
	return known;
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
		remember_stream(sqlite, key, *id_ret);
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
	(void)sqlite3_bind_int64(find, 2, (sqlite3_int64)npt_edge_key(edge));
	npt_sqlite_bind_bytes(find, 3, identity->data, identity->size_bytes);
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
	npt_sqlite_bind_text(insert, 15, NPT_PROTOCOL_UNSAID);
	npt_sqlite_bind_text(insert, 16, npt_tls_name(NPT_TLS_UNKNOWN));
	npt_sqlite_bind_bytes(insert, 17, NULL, 0);
	npt_sqlite_bind_number(insert, 18, 0);
	(void)sqlite3_bind_int64(insert, 19, (sqlite3_int64)npt_edge_key(edge));
	return add(sqlite, insert, id_ret, err);
}

static int edge_of(struct npt_store_sqlite *sqlite, uint64_t task_id, const struct npt_edge *edge,
		   struct npt_store_known_edge **known_ret, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer identity = NPT_BUFFER(BLOB_BYTES_MAX);
	char key[24 + NPT_SHA256_HEX_BYTES];
	uint64_t id = 0;
	int length, r;

	npt_edge_identity_to_protobuf(edge, &identity);
	length = snprintf(key, 24, "%llu ", (unsigned long long)task_id);
	npt_sha256_hex(identity.data, identity.size_bytes, key + length);
	*known_ret = npt_strmap_get(sqlite->edges, key);
	if (*known_ret)
		return 0;
	r = find_or_add_edge(sqlite, task_id, edge, &identity, &id, err);
	if (r == 0)
		*known_ret = remember_edge(sqlite, key, id);
	return r;
}

static int edge_id_of(struct npt_store_sqlite *sqlite, uint64_t task_id,
		      const struct npt_report *window, const struct npt_edge *edge,
		      uint64_t *id_ret, struct npt_error *err)
{
	struct npt_store_known_edge *known = NULL;
	int r = edge_of(sqlite, task_id, edge, &known, err);

	if (r == 0)
		r = npt_store_sqlite_learn_label(sqlite, known, edge, window->start_unix_ms, err);
	if (r == 0)
		*id_ret = known->id;
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

	*sqlite->scratch = *edge;
	for (size_t i = 0; i < NPT_STORE_COLUMNS; i++)
		*npt_store_sqlite_column(sqlite->scratch, i) = 0;
	npt_edge_counters_to_protobuf(sqlite->scratch, &counters);
	for (int i = 0; i < (int)NPT_ARRAY_SIZE(numbers); i++)
		npt_sqlite_bind_number(insert, i + 1, numbers[i]);
	npt_sqlite_bind_bytes(insert, (int)NPT_ARRAY_SIZE(numbers) + 1, counters.data,
			      counters.size_bytes);
	sqlite->next_row++;
	return npt_sqlite_do(insert, err);
}

/* What is the same in most windows of a task, and what is not. */
static void split_head(const struct npt_report *window, struct npt_report *constant,
		       struct npt_report *rest)
{
	*constant = *window;
	constant->start_unix_ms = constant->duration_ms = constant->sequence = 0;
	constant->other_edges = constant->tls_other = 0;
	memset(&constant->lost, 0, sizeof(constant->lost));
	constant->cost.cpu_ms = constant->cost.hooks_ms = 0;
	constant->cost.ns_per_operation = constant->cost.memory_kib = 0;
	*rest = (struct npt_report){
		.start_unix_ms = window->start_unix_ms,
		.duration_ms = window->duration_ms,
		.sequence = window->sequence,
		.other_edges = window->other_edges,
		.lost = window->lost,
		.tls_other = window->tls_other,
		.cost = { .cpu_ms = window->cost.cpu_ms,
			  .hooks_ms = window->cost.hooks_ms,
			  .ns_per_operation = window->cost.ns_per_operation,
			  .memory_kib = window->cost.memory_kib },
	};
}

static int find_or_add_constant(struct npt_store_sqlite *sqlite, uint64_t task_id, const char *hash,
				const struct npt_buffer *head, uint64_t *id_ret,
				struct npt_error *err)
{
	sqlite3_stmt *find = sqlite->statements[NPT_STORE_FIND_CONSTANT];
	sqlite3_stmt *insert = sqlite->statements[NPT_STORE_ADD_CONSTANT];
	int r;

	npt_sqlite_bind_number(find, 1, task_id);
	npt_sqlite_bind_text(find, 2, hash);
	r = find_id(find, id_ret, err);
	if (r < 0 || *id_ret)
		return r;
	npt_sqlite_bind_number(insert, 1, task_id);
	npt_sqlite_bind_text(insert, 2, hash);
	npt_sqlite_bind_bytes(insert, 3, head->data, head->size_bytes);
	return add(sqlite, insert, id_ret, err);
}

static int constant_id_of(struct npt_store_sqlite *sqlite, uint64_t task_id,
			  const struct npt_report *constant, uint64_t *id_ret,
			  struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer head = NPT_BUFFER(BLOB_BYTES_MAX);
	char key[24 + NPT_SHA256_HEX_BYTES];
	int length, r;

	npt_report_head_to_protobuf(constant, &head);
	length = snprintf(key, 24, "%llu ", (unsigned long long)task_id);
	npt_sha256_hex(head.data, head.size_bytes, key + length);
	*id_ret = cached(sqlite->constants, key);
	if (*id_ret)
		return 0;
	r = find_or_add_constant(sqlite, task_id, key + length, &head, id_ret, err);
	if (r < 0)
		return r;
	if (npt_strmap_set(sqlite->constants, key, (void *)(uintptr_t)*id_ret) == 0)
		return 0;
	npt_strmap_free(sqlite->constants);
	sqlite->constants = npt_strmap_new(CACHED_CONSTANTS, NULL);
	return 0;
}

static int add_window(struct npt_store_sqlite *sqlite, uint64_t task_id, uint64_t stream_id,
		      const struct npt_report *window, uint64_t now_unix_ms, uint64_t *id_ret,
		      struct npt_error *err)
{
	sqlite3_stmt *insert = sqlite->statements[NPT_STORE_ADD_WINDOW];
	npt_auto(npt_buffer_done) struct npt_buffer head = NPT_BUFFER(BLOB_BYTES_MAX);
	struct npt_report constant, rest;
	uint64_t constant_id = 0;
	int r;

	split_head(window, &constant, &rest);
	npt_report_head_to_protobuf(&rest, &head);
	r = constant_id_of(sqlite, task_id, &constant, &constant_id, err);
	if (r < 0)
		return r;
	npt_sqlite_bind_number(insert, 1, task_id);
	npt_sqlite_bind_number(insert, 2, stream_id);
	npt_sqlite_bind_number(insert, 3, window->sequence);
	npt_sqlite_bind_number(insert, 4, window->start_unix_ms);
	npt_sqlite_bind_number(insert, 5, window->duration_ms);
	npt_sqlite_bind_number(insert, 6, now_unix_ms);
	npt_sqlite_bind_number(insert, 7, sqlite->next_row);
	npt_sqlite_bind_number(insert, 8, window->edges_count);
	npt_sqlite_bind_bytes(insert, 9, head.data, head.size_bytes);
	npt_sqlite_bind_number(insert, 10, constant_id);
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
		r = edge_id_of(sqlite, task_id, window, &window->edges[i], &edge_id, err);
		if (r == 0)
			r = add_row(sqlite, window_id, edge_id, &window->edges[i], err);
	}
	return r < 0 ? r : touch(sqlite, task_id, stream_id, window, now, err);
}

int npt_store_sqlite_append(struct npt_store *store, struct npt_report *const *windows,
			    size_t count, bool *added, struct npt_error *err)
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
