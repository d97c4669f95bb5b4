/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Store on SQLite: one file, no server. store_sqlite.c has the layout, opens and sets
 * aside; the others append, read, remove what is too old, and make a file of an older version one
 * of this.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "aggregator/sqlite.h"
#include "aggregator/store.h"
#include "lib/core/strmap.h"
#include "lib/net/digest.h"

enum npt_store_statement {
	NPT_STORE_FIND_TASK,
	NPT_STORE_ADD_TASK,
	NPT_STORE_TOUCH_TASK,
	NPT_STORE_FIND_STREAM,
	NPT_STORE_ADD_STREAM,
	NPT_STORE_TOUCH_STREAM,
	NPT_STORE_ADD_WINDOW,
	NPT_STORE_FIND_EDGE,
	NPT_STORE_ADD_EDGE,
	NPT_STORE_FIND_LABEL,
	NPT_STORE_SET_LABEL,
	NPT_STORE_ADD_ROW,
	NPT_STORE_FIND_CONSTANT,
	NPT_STORE_ADD_CONSTANT,
	NPT_STORE_STATEMENTS,
};

/*
 * Counters that have a column of their own, in this order, and so are not in the blob. The others
 * of the table are sums for people who ask by SQL.
 */
#define NPT_STORE_COLUMNS_SQL                                                                      \
	"r.connections_opened, r.connections_closed, r.sent_bytes, r.sent_segments,"               \
	" r.received_bytes, r.received_segments, r.write_count, r.write_bytes, r.read_count,"      \
	" r.read_bytes, r.retransmit_segments"
#define NPT_STORE_COLUMNS 11

struct npt_store_known_edge {
	uint64_t id;
	uint64_t said_unix_ms;           /* the latest window that said something of its label, */
	char said[NPT_SHA256_HEX_BYTES]; /* and what */
};

struct npt_store_sqlite {
	struct npt_store store; /* first: what the interface sees */
	char *path;
	sqlite3 *db;
	sqlite3_stmt *statements[NPT_STORE_STATEMENTS];
	uint64_t next_row; /* of edge_windows: a window's rows are consecutive */
	/* Ids of what was looked up, so that a steady stream asks the database for nothing. */
	struct npt_strmap *streams;
	struct npt_strmap *edges; /* with what was said last of what they speak */
	struct npt_strmap *constants;
	struct npt_edge *scratch; /* of append: an edge without what stands in columns */
	/* Any thread: counted up when a new file takes the place of the old one. */
	atomic_uint_least64_t generation;
};

int npt_store_sqlite_open(const char *path, struct npt_store **store_ret, struct npt_error *err);
int npt_store_sqlite_set_aside_file(const char *path, char **kept_ret, struct npt_error *err);
int npt_store_sqlite_append(struct npt_store *store, struct npt_report *const *windows,
			    size_t count, bool *added, struct npt_error *err);
int npt_store_sqlite_open_reader(struct npt_store *store, struct npt_store_reader **reader_ret,
				 struct npt_error *err);
int npt_store_sqlite_trim(struct npt_store *store, const struct npt_store_limits *limits,
			  uint64_t now_unix_ms, uint64_t *tasks_ret, struct npt_error *err);
/* What the window of that time says of what the edge speaks. */
int npt_store_sqlite_learn_label(struct npt_store_sqlite *sqlite,
				 struct npt_store_known_edge *known, const struct npt_edge *edge,
				 uint64_t unix_ms, struct npt_error *err);
/* From version 1 or 2, in one transaction. */
int npt_store_sqlite_upgrade(sqlite3 *db, uint64_t version, struct npt_error *err);
/* The index-th of NPT_STORE_COLUMNS_SQL. */
uint64_t *npt_store_sqlite_column(struct npt_edge *edge, size_t index);
void npt_store_sqlite_forget_ids(struct npt_store_sqlite *sqlite);
