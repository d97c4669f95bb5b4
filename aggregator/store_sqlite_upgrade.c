/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In version 1 what an edge speaks was part of its identity, so that an edge whose protocol became
 * known late would have been two. An edge that cannot be read, and one that is there in both ways,
 * stay as they are: a reader takes the label from wherever it stands, and adds edges up by what is
 * in them.
 */
#include "aggregator/store_sqlite.h"

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/model/report_protobuf.h"

#define IDENTITY_BYTES_MAX (64UL * 1024)

static const char *const statement_texts[] = {
	"ALTER TABLE edges ADD COLUMN label BLOB NOT NULL DEFAULT x''",
	"ALTER TABLE edges ADD COLUMN label_unix_ms INTEGER NOT NULL DEFAULT 0",
};

static int upgrade_edge(sqlite3_stmt *set, uint64_t id, const void *identity, size_t size_bytes,
			struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer apart = NPT_BUFFER(IDENTITY_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer label = NPT_BUFFER(IDENTITY_BYTES_MAX);
	npt_auto_free struct npt_edge *edge = npt_alloc(1, sizeof(*edge));

	if (npt_edge_from_protobuf(identity, size_bytes, edge, NULL) < 0)
		return 0;
	npt_edge_identity_to_protobuf(edge, &apart);
	npt_edge_label_to_protobuf(edge, &label);
	npt_sqlite_bind_number(set, 1, id);
	npt_sqlite_bind_bytes(set, 2, apart.data, apart.size_bytes);
	npt_sqlite_bind_bytes(set, 3, label.data, label.size_bytes);
	return npt_sqlite_do(set, err);
}

static int upgrade_edges(sqlite3 *db, struct npt_error *err)
{
	npt_auto(sqlite3_finalize) sqlite3_stmt *find = NULL;
	npt_auto(sqlite3_finalize) sqlite3_stmt *set = NULL;
	uint64_t id = 0;
	int r = npt_sqlite_prepare(
		db, "SELECT id, identity FROM edges WHERE id > ? ORDER BY id LIMIT 1", &find, err);

	if (r == 0)
		r = npt_sqlite_prepare(
			db, "UPDATE OR IGNORE edges SET identity = ?2, label = ?3 WHERE id = ?1",
			&set, err);
	while (r == 0) {
		npt_sqlite_bind_number(find, 1, id);
		r = npt_sqlite_next(find, err);
		if (r <= 0)
			break;
		id = npt_sqlite_number(find, 0);
		r = upgrade_edge(set, id, sqlite3_column_blob(find, 1),
				 (size_t)sqlite3_column_bytes(find, 1), err);
		(void)sqlite3_reset(find);
	}
	return r;
}

int npt_store_sqlite_upgrade(sqlite3 *db, struct npt_error *err)
{
	int r = npt_sqlite_run(db, "BEGIN IMMEDIATE", err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < NPT_ARRAY_SIZE(statement_texts); i++)
		r = npt_sqlite_run(db, statement_texts[i], err);
	if (r == 0)
		r = upgrade_edges(db, err);
	if (r == 0)
		r = npt_sqlite_run(db, "PRAGMA user_version = 2", err);
	if (r == 0)
		r = npt_sqlite_run(db, "COMMIT", err);
	if (r < 0)
		(void)npt_sqlite_run(db, "ROLLBACK", NULL);
	return r;
}
