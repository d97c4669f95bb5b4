/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are at most 2^53-1 (the decoder saw to it) or ids, so SQLite's signed 64 bits hold them.
 */
#include "aggregator/store/sqlite.h"

#include <errno.h>
#include <stdio.h>

#define BUSY_MS 5000

static int errno_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EUCLEAN;
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return EACCES;
	case SQLITE_NOMEM:
		return ENOMEM;
	default:
		return EIO;
	}
}

int npt_sqlite_error(sqlite3 *db, const char *doing, struct npt_error *err)
{
	return npt_error_set(err, errno_of(sqlite3_errcode(db)), "store: %s: %s", doing,
			     sqlite3_errmsg(db));
}

int npt_sqlite_open(const char *path, sqlite3 **db_ret, struct npt_error *err)
{
	npt_auto(npt_sqlite_close) sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
		int code = db ? errno_of(sqlite3_errcode(db)) : ENOMEM;

		return npt_error_set(err, code, "cannot open the store %s: %s", path,
				     db ? sqlite3_errmsg(db) : "no memory");
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, BUSY_MS);
	*db_ret = npt_take(db);
	return 0;
}

void npt_sqlite_close(sqlite3 *db)
{
	(void)sqlite3_close(db);
}

int npt_sqlite_run(sqlite3 *db, const char *sql, struct npt_error *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return npt_sqlite_error(db, sql, err);
	return 0;
}

int npt_sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement_ret,
		       struct npt_error *err)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement_ret, NULL) !=
	    SQLITE_OK)
		return npt_sqlite_error(db, sql, err);
	return 0;
}

void npt_sqlite_bind_number(sqlite3_stmt *statement, int index, uint64_t value)
{
	(void)sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
}

void npt_sqlite_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	(void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

void npt_sqlite_bind_bytes(sqlite3_stmt *statement, int index, const void *data, size_t size)
{
	(void)sqlite3_bind_blob64(statement, index, data ? data : "", size, SQLITE_STATIC);
}

int npt_sqlite_do(sqlite3_stmt *statement, struct npt_error *err)
{
	int r = sqlite3_step(statement) == SQLITE_DONE
			? 0
			: npt_sqlite_error(sqlite3_db_handle(statement), "write", err);

	(void)sqlite3_reset(statement);
	return r;
}

int npt_sqlite_next(sqlite3_stmt *statement, struct npt_error *err)
{
	int code = sqlite3_step(statement), r = 0;

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		r = npt_sqlite_error(sqlite3_db_handle(statement), "read", err);
	(void)sqlite3_reset(statement);
	return r;
}

uint64_t npt_sqlite_number(sqlite3_stmt *statement, int column)
{
	return (uint64_t)sqlite3_column_int64(statement, column);
}

void npt_sqlite_text(sqlite3_stmt *statement, int column, char *out, size_t size_bytes)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	(void)snprintf(out, size_bytes, "%s", text ? (const char *)text : "");
}
