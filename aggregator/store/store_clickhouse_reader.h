/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reader of a store on ClickHouse: one connection. store_clickhouse_tasks.c has tasks and streams,
 * store_clickhouse_read.c windows and edges.
 */
#include "aggregator/store/clickhouse.h"
#include "aggregator/store/store.h"

#define NPT_STORE_SQL_BYTES_MAX (64UL * 1024)

struct npt_store_clickhouse_reader {
	struct npt_store_reader reader; /* first: what the interface sees */
	struct npt_clickhouse *connection;
	uint64_t task_id; /* of the task found last; 0: none yet */
	char task_uid[NPT_UID_BYTES];
};

/* As npt_clickhouse_select(), with the errors of the interface: what a server refuses is EAGAIN. */
int npt_store_clickhouse_select(struct npt_store_clickhouse_reader *reader,
				const struct npt_clickhouse_query *query, struct npt_error *err);
/* -EIO and -ENOENT of the server, in the interface's words. */
int npt_store_clickhouse_error(int r, const struct npt_error *cause, struct npt_error *err);
/* Makes task_id the task that the reader speaks of; its uid is "" if it is not there. */
int npt_store_clickhouse_find_uid(struct npt_store_clickhouse_reader *reader, uint64_t task_id,
				  struct npt_error *err);

int npt_store_clickhouse_find_task(struct npt_store_reader *reader, const char *uid,
				   struct npt_stored_task *task_ret, struct npt_error *err);
int npt_store_clickhouse_list_tasks(struct npt_store_reader *reader, const char *namespace_name,
				    uint64_t before, struct npt_stored_task *tasks, size_t max,
				    size_t *count_ret, struct npt_error *err);
int npt_store_clickhouse_list_streams(struct npt_store_reader *reader, uint64_t task_id,
				      struct npt_stored_stream **streams_ret, size_t *count_ret,
				      struct npt_error *err);
