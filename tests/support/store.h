/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Store - an empty store for a test, on the engine that the environment names, and windows to put
 * into it.
 *
 * NPT_TEST_CLICKHOUSE is the URL of a running server (tests/support/clickhouse.py starts one), of
 * which each test gets a database of its own; without it a store is a file of SQLite in a folder of
 * its own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/store/store.h"

struct npt_test_store {
	char directory[64];
	char path[256]; /* or URL */
	const char *password_file;
	struct npt_store *store;
	struct npt_store_reader *reader;
};

struct npt_test_windows {
	struct npt_report *windows[64];
	uint64_t ids[64];
	size_t count;
};

/* Whether this run is on ClickHouse. */
bool npt_test_store_is_clickhouse(void);
void npt_test_store_begin(struct npt_test_store *world);
void npt_test_store_end(struct npt_test_store *world);
bool npt_test_store_open(struct npt_test_store *world);
void npt_test_store_close(struct npt_test_store *world);

/* One window of a stream; its edges carry bytes that depend on the sequence. */
struct npt_report *npt_test_store_window(const char *task, const char *pod, const char *instance,
					 uint64_t sequence, size_t edges);
/* Both free the report; what npt_store_append() returned, or whether it was stored as new. */
int npt_test_store_append(struct npt_test_store *world, struct npt_report *report, bool *added_ret);
bool npt_test_store_add(struct npt_test_store *world, struct npt_report *report);

/* A window of one edge, with a label. */
void npt_test_store_set_label(struct npt_edge *edge, const char *protocol, enum npt_tls tls,
			      const char *version);
struct npt_report *npt_test_store_labelled(uint64_t sequence, const char *protocol,
					   enum npt_tls tls, const char *version);
/* Every window of task "t", and their sum, are of one edge with this label. */
void npt_test_store_check_label(struct npt_test_store *world, const char *protocol,
				enum npt_tls tls, const char *version);

/* 0: there is no such task. */
uint64_t npt_test_store_task_id(struct npt_test_store *world, const char *uid);
/* How many windows of it are stored; 0: there is no such task. */
uint64_t npt_test_store_count(struct npt_test_store *world, const char *uid);
/* A callback that copies windows into a struct npt_test_windows. */
int npt_test_store_collect(void *context, uint64_t id, struct npt_report *found);
void npt_test_store_forget(struct npt_test_windows *collected);
void npt_test_store_read_all(struct npt_test_store *world, const struct npt_store_filter *filter,
			     struct npt_test_windows *collected);

/* One number out of the store, by SQL and by a connection of its own. */
int64_t npt_test_store_ask(const struct npt_test_store *world, const char *sql);
/* The same of the rows that people ask: "sum(sent_bytes)", "task_uid = 't'". */
int64_t npt_test_store_ask_rows(const struct npt_test_store *world, const char *what,
				const char *where);
