/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Store on ClickHouse: for several replicas of the aggregator and long history.
 * store_clickhouse.c has the layout and opens; the others append, read, and remove what is too old.
 *
 * Nothing of what is stored is remembered between calls, since other replicas write and remove,
 * too.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "aggregator/store/clickhouse.h"
#include "aggregator/store/store.h"

#define NPT_STORE_REPLICA_BITS 12
/* Of what is asked before it is written: with the INSERT, less than an agent waits for an answer.
 */
#define NPT_STORE_ASK_SECONDS 5

struct npt_store_clickhouse {
	struct npt_store store; /* first: what the interface sees */
	struct npt_clickhouse_server *server;
	struct npt_clickhouse *connection; /* of the thread that appends and trims */
	bool prepared;                     /* the tables were found or made */
	const char *insert_settings;
	uint64_t last_micros; /* of the last id that was given */
	uint64_t replica;     /* the low bits of our ids */
	uint64_t removed_ns;  /* monotonic: when tasks were last removed by age */
};

int npt_store_clickhouse_open(const struct npt_store_options *options, struct npt_store **store_ret,
			      struct npt_error *err);
/* Makes the tables if they are not there; cheap once it was done. */
int npt_store_clickhouse_prepare(struct npt_store_clickhouse *clickhouse, struct npt_error *err);
int npt_store_clickhouse_append(struct npt_store *store, struct npt_report *const *windows,
				size_t count, bool *added, struct npt_error *err);
int npt_store_clickhouse_trim(struct npt_store *store, const struct npt_store_limits *limits,
			      uint64_t now_unix_ms, uint64_t *tasks_ret, struct npt_error *err);
int npt_store_clickhouse_open_reader(struct npt_store *store, struct npt_store_reader **reader_ret,
				     struct npt_error *err);

/* The id of a stream: the same on every replica, from 1, below 2^63. */
uint64_t npt_store_clickhouse_stream_id(const struct npt_report *window);
