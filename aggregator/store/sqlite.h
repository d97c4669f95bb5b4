/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sqlite - the few calls that the store needs, with our errors.
 */
#include <stdint.h>

#include <sqlite3.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

NPT_DEFINE_AUTO(sqlite3_stmt *, sqlite3_finalize)

/* The last error of the connection in words; -EUCLEAN for a damaged file, -ENOSPC ... */
int npt_sqlite_error(sqlite3 *db, const char *doing, struct npt_error *err);
/* WAL, foreign keys not used, waits 5 s for a lock. */
int npt_sqlite_open(const char *path, sqlite3 **db_ret, struct npt_error *err);
void npt_sqlite_close(sqlite3 *db);
NPT_DEFINE_AUTO(sqlite3 *, npt_sqlite_close)
int npt_sqlite_run(sqlite3 *db, const char *sql, struct npt_error *err);
/* A statement that is kept. */
int npt_sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement_ret,
		       struct npt_error *err);
/* Parameters are numbered from 1; text and bytes are borrowed until the statement is reset. */
void npt_sqlite_bind_number(sqlite3_stmt *statement, int index, uint64_t value);
void npt_sqlite_bind_text(sqlite3_stmt *statement, int index, const char *text);
void npt_sqlite_bind_bytes(sqlite3_stmt *statement, int index, const void *data, size_t size);
/* Runs a statement without rows and resets it. */
int npt_sqlite_do(sqlite3_stmt *statement, struct npt_error *err);
/* 1: there is a row; 0: no more (and reset); < 0. */
int npt_sqlite_next(sqlite3_stmt *statement, struct npt_error *err);
/* Columns from 0. */
uint64_t npt_sqlite_number(sqlite3_stmt *statement, int column);
void npt_sqlite_text(sqlite3_stmt *statement, int column, char *out, size_t size_bytes);
