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
	NPT_STORE_STATEMENTS,
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
/* A file of version 1, in one transaction. */
int npt_store_sqlite_upgrade(sqlite3 *db, struct npt_error *err);
void npt_store_sqlite_forget_ids(struct npt_store_sqlite *sqlite);
