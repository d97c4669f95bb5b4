/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Clickhouse - statements over ClickHouse's HTTP interface, with our errors. Knows nothing of what
 * is stored.
 *
 * A server is what all threads share: its address, and whether it answers. Each thread has a
 * connection of its own. Every call is bounded in time; when the server has just not answered,
 * those that follow within a second fail at once, so that nobody queues up behind it.
 *
 * -EAGAIN: no answer, or one that says "not now" (the text says which); -EACCES: the user or the
 * password is not accepted; -ENOENT: the table or the database is not there; -ENOSPC: the disk is
 * full; -EIO: refused for another reason; -EBADMSG: the answer makes no sense.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/store/rowbinary.h"
#include "lib/core/buffer.h"
#include "lib/core/cleanup.h"
#include "lib/core/error.h"

struct npt_clickhouse_server;
struct npt_clickhouse;

struct npt_clickhouse_options {
	const char *url;           /* http[s]://[USER@]HOST[:PORT]/DATABASE */
	const char *password_file; /* read for each statement, so that it may change; or NULL */
	const char *ca_file;       /* for https */
	bool allow_plain_http;     /* to another host than this one */
};

/* -EINVAL: the options make no sense. Asks nobody. */
int npt_clickhouse_server_new(const struct npt_clickhouse_options *options,
			      struct npt_clickhouse_server **server_ret, struct npt_error *err);
void npt_clickhouse_server_free(struct npt_clickhouse_server *server);
NPT_DEFINE_AUTO(struct npt_clickhouse_server *, npt_clickhouse_server_free)
/* The database's name; borrowed. */
const char *npt_clickhouse_database(const struct npt_clickhouse_server *server);
/* "http://HOST:PORT/DATABASE", without the user; borrowed. */
const char *npt_clickhouse_name(const struct npt_clickhouse_server *server);

int npt_clickhouse_connect(struct npt_clickhouse_server *server,
			   struct npt_clickhouse **connection_ret, struct npt_error *err);
void npt_clickhouse_free(struct npt_clickhouse *connection);
NPT_DEFINE_AUTO(struct npt_clickhouse *, npt_clickhouse_free)

/* A statement without a result. In no database, but for what it names, if in_database is false. */
int npt_clickhouse_run(struct npt_clickhouse *connection, const char *sql, bool in_database,
		       struct npt_error *err);
/* "INSERT INTO ... FORMAT RowBinary", and the rows. settings: "&name=value...", or "". */
int npt_clickhouse_insert(struct npt_clickhouse *connection, const char *sql, const char *settings,
			  const struct npt_buffer *rows, struct npt_error *err);

/* Nonzero ends the reading; below 0 it is the error of the whole, set in err by who returns it. */
typedef int npt_clickhouse_row_fn(void *context, const struct npt_rowbinary_value *values,
				  struct npt_error *err);

struct npt_clickhouse_query {
	const char *sql; /* without FORMAT */
	const char *types;
	npt_clickhouse_row_fn *on_row;
	void *context;
	unsigned int seconds; /* until it is given up; 0: 20 */
};

int npt_clickhouse_select(struct npt_clickhouse *connection,
			  const struct npt_clickhouse_query *query, struct npt_error *err);
/* Text as a literal of SQL. */
void npt_clickhouse_quote(struct npt_buffer *sql, const char *text);
