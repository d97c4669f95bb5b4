/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an edge speaks becomes known late, and may change: the later window wins, by the time that
 * it is of, not by when it came; what it does not know stays as it was.
 */
#include <errno.h>
#include <string.h>

#include "aggregator/store_sqlite.h"
#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/model/report_merge.h"
#include "lib/model/report_protobuf.h"

#define BLOB_BYTES_MAX (256UL * 1024)

/* What the file has: the label, and of when the window was that said it last. */
static int read_label(sqlite3_stmt *find, uint64_t id, struct npt_buffer *label,
		      uint64_t *unix_ms_ret, struct npt_error *err)
{
	int r;

	npt_sqlite_bind_number(find, 1, id);
	r = npt_sqlite_next(find, err);
	if (r > 0) {
		(void)npt_buffer_append(label, sqlite3_column_blob(find, 0),
					(size_t)sqlite3_column_bytes(find, 0));
		*unix_ms_ret = npt_sqlite_number(find, 1);
	}
	(void)sqlite3_reset(find);
	return r < 0 ? r : 0;
}

static int write_label(sqlite3_stmt *set, uint64_t id, const struct npt_edge *edge,
		       const struct npt_buffer *label, uint64_t unix_ms, struct npt_error *err)
{
	npt_sqlite_bind_number(set, 1, id);
	npt_sqlite_bind_bytes(set, 2, label->data, label->size_bytes);
	npt_sqlite_bind_number(set, 3, unix_ms);
	npt_sqlite_bind_text(set, 4, edge->protocol);
	npt_sqlite_bind_text(set, 5, npt_tls_name(edge->tls));
	return npt_sqlite_do(set, err);
}

/* Puts together what the file and a window of then know of an edge. */
static int add_label(struct npt_store_sqlite *sqlite, const struct npt_store_known_edge *known,
		     const struct npt_edge *said, uint64_t unix_ms, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer before = NPT_BUFFER(BLOB_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer after = NPT_BUFFER(BLOB_BYTES_MAX);
	npt_auto_free struct npt_edge *stored = npt_alloc(1, sizeof(*stored));
	npt_auto_free struct npt_edge *sum = npt_alloc(1, sizeof(*sum));
	uint64_t before_unix_ms = 0;
	bool is_late;
	int r = read_label(sqlite->statements[NPT_STORE_FIND_LABEL], known->id, &before,
			   &before_unix_ms, err);

	if (r < 0)
		return r;
	if (npt_edge_from_protobuf(before.data, before.size_bytes, stored, err) < 0)
		return npt_error_set(err, EUCLEAN, "store: a label cannot be read");
	if (known->said_unix_ms > before_unix_ms)
		before_unix_ms = known->said_unix_ms;
	is_late = unix_ms < before_unix_ms;
	npt_edge_relabel(sum, is_late ? said : stored);
	npt_edge_relabel(sum, is_late ? stored : said);
	npt_edge_label_to_protobuf(sum, &after);
	if (before.size_bytes == after.size_bytes &&
	    memcmp(before.data, after.data, after.size_bytes) == 0)
		return 0;
	return write_label(sqlite->statements[NPT_STORE_SET_LABEL], known->id, sum, &after,
			   is_late ? before_unix_ms : unix_ms, err);
}

/* A window that says the same as the one before asks the database for nothing. */
int npt_store_sqlite_learn_label(struct npt_store_sqlite *sqlite,
				 struct npt_store_known_edge *known, const struct npt_edge *edge,
				 uint64_t unix_ms, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer label = NPT_BUFFER(BLOB_BYTES_MAX);
	char said[NPT_SHA256_HEX_BYTES];
	int r = 0;

	npt_edge_label_to_protobuf(edge, &label);
	if (label.size_bytes == 0)
		return 0;
	npt_sha256_hex(label.data, label.size_bytes, said);
	if (strcmp(said, known->said) != 0)
		r = add_label(sqlite, known, edge, unix_ms, err);
	if (r < 0 || unix_ms < known->said_unix_ms)
		return r;
	memcpy(known->said, said, sizeof(said));
	known->said_unix_ms = unix_ms;
	return 0;
}
