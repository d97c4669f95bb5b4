/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version 2 took what an edge speaks out of its identity, so that an edge whose protocol becomes
 * known late is not two. An edge that cannot be read, and one that is there in both ways, stay as
 * they are: a reader takes the label from wherever it stands, and adds edges up by what is in them.
 *
 * Version 3 gave edges their key, and took out of each window what most have in common. Rows that
 * were there stay as they are: what a row has twice is equal, and a window without a constant part
 * has all in its head.
 */
#include "aggregator/store_sqlite.h"

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/model/report_merge.h"
#include "lib/model/report_protobuf.h"

#define IDENTITY_BYTES_MAX (64UL * 1024)

static const char to_version_2[] =
	"ALTER TABLE edges ADD COLUMN label BLOB NOT NULL DEFAULT x'';"
	"ALTER TABLE edges ADD COLUMN label_unix_ms INTEGER NOT NULL DEFAULT 0;";

static const char to_version_3[] =
	"ALTER TABLE edges ADD COLUMN edge_key INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE windows ADD COLUMN constant_id INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE constants (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL,"
	" hash TEXT NOT NULL, head BLOB NOT NULL, UNIQUE (task_id, hash));"
	"CREATE INDEX edges_by_key ON edges (task_id, edge_key);"
	"PRAGMA user_version = 3;";

typedef int edge_fn(sqlite3_stmt *set, uint64_t id, const struct npt_edge *edge,
		    struct npt_error *err);

static int split_label(sqlite3_stmt *set, uint64_t id, const struct npt_edge *edge,
		       struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer apart = NPT_BUFFER(IDENTITY_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer label = NPT_BUFFER(IDENTITY_BYTES_MAX);

	npt_edge_identity_to_protobuf(edge, &apart);
	npt_edge_label_to_protobuf(edge, &label);
	npt_sqlite_bind_number(set, 1, id);
	npt_sqlite_bind_bytes(set, 2, apart.data, apart.size_bytes);
	npt_sqlite_bind_bytes(set, 3, label.data, label.size_bytes);
	return npt_sqlite_do(set, err);
}

static int set_key(sqlite3_stmt *set, uint64_t id, const struct npt_edge *edge,
		   struct npt_error *err)
{
	npt_sqlite_bind_number(set, 1, id);
	(void)sqlite3_bind_int64(set, 2, (sqlite3_int64)npt_edge_key(edge));
	return npt_sqlite_do(set, err);
}

/* For each edge that can be read, with the statement to change it by. */
static int upgrade_edges(sqlite3 *db, const char *change, edge_fn *on_edge, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *find = NULL;
	npt_auto(sqlite3_finalize) sqlite3_stmt *set = NULL;
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));
	uint64_t id = 0;
	int r = npt_sqlite_prepare(
		db, "SELECT id, identity FROM edges WHERE id > ? ORDER BY id LIMIT 1", &find, err);

	if (r == 0)
		r = npt_sqlite_prepare(db, change, &set, err);
	while (r == 0) {
		npt_sqlite_bind_number(find, 1, id);
		r = npt_sqlite_next(find, err);
		if (r <= 0)
			break;
		id = npt_sqlite_number(find, 0);
		r = 0;
		if (npt_edge_from_protobuf(sqlite3_column_blob(find, 1),
					   (size_t)sqlite3_column_bytes(find, 1), edge, NULL) == 0)
			r = on_edge(set, id, edge, err);
		(void)sqlite3_reset(find);
	}
	return r;
}

static int upgrade(sqlite3 *db, uint64_t version, struct npt_error *err)
{
	int r = 0;

	if (version < 2)
		r = npt_sqlite_run(db, to_version_2, err);
	if (r == 0 && version < 2)
		r = upgrade_edges(
			db, "UPDATE OR IGNORE edges SET identity = ?2, label = ?3 WHERE id = ?1",
			split_label, err);
	if (r == 0)
		r = npt_sqlite_run(db, to_version_3, err);
	if (r == 0)
		r = upgrade_edges(db, "UPDATE edges SET edge_key = ?2 WHERE id = ?1", set_key, err);
	return r;
}

int npt_store_sqlite_upgrade(sqlite3 *db, uint64_t version, struct npt_error *err)
{
	int r = npt_sqlite_run(db, "BEGIN IMMEDIATE", err);

	if (r < 0)
		return r;
	r = upgrade(db, version, err);
	if (r == 0)
		r = npt_sqlite_run(db, "COMMIT", err);
	if (r < 0)
		(void)npt_sqlite_run(db, "ROLLBACK", NULL);
	return r;
}
