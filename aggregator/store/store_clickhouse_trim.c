/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A task goes whole: by ALTER TABLE ... DELETE, which writes anew the parts that have rows of it. A
 * TTL would remove windows one by one, so that a report of a task would shrink from its beginning;
 * servers of 2018 have none, besides.
 *
 * Writing parts anew is dear, so tasks are collected: by age nothing is removed more often than
 * each 24th part of the age, or each hour; by size more is removed than needs be; and nothing while
 * an earlier removal goes on. What comes in for a task after that was decided stays.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "aggregator/store/store_clickhouse.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"

#define TASKS_MAX     1000 /* removed at a time */
#define SQL_BYTES_MAX (200UL * 1024)
#define PERIOD_MS_MAX (60UL * 60 * 1000)

struct found {
	struct npt_buffer uids; /* quoted, with commas */
	uint64_t tasks;
	uint64_t rows;
	uint64_t rows_enough; /* by size: as many rows are to go; UINT64_MAX: all that are found */
};

static int add_task(void *context, const struct npt_rowbinary_value *values, struct npt_error *err)
{
	struct found *found = context;
	char uid[256];

	(void)err;
	if (found->rows >= found->rows_enough || found->tasks == TASKS_MAX)
		return 1;
	npt_rowbinary_copy(&values[0], uid, sizeof(uid));
	(void)npt_buffer_append_text(&found->uids, found->tasks ? "," : "");
	npt_clickhouse_quote(&found->uids, uid);
	found->tasks++;
	found->rows += values[1].number;
	return 0;
}

static int find_tasks(struct npt_store_clickhouse *clickhouse, const char *having,
		      struct found *found, struct npt_error *err)
{
	npt_auto_free char *sql = npt_format(
		"SELECT task_uid, sum(edges + 1) AS all_rows, max(received_unix_ms) AS last FROM"
		" npt_windows WHERE is_edge = 0 GROUP BY task_uid %s ORDER BY last, task_uid"
		" LIMIT %d",
		having, TASKS_MAX);
	const struct npt_clickhouse_query query = {
		.sql = sql,
		.types = "snn",
		.on_row = add_task,
		.context = found,
		.seconds = 2 * NPT_STORE_ASK_SECONDS,
	};

	return npt_clickhouse_select(clickhouse->connection, &query, err);
}

static int take_numbers(void *context, const struct npt_rowbinary_value *values,
			struct npt_error *err)
{
	uint64_t *numbers = context;

	(void)err;
	numbers[0] = values[0].number;
	numbers[1] = values[1].number;
	return 0;
}

static int ask_numbers(struct npt_store_clickhouse *clickhouse, const char *sql,
		       uint64_t numbers[static 2], struct npt_error *err)
{
	const struct npt_clickhouse_query query = {
		.sql = sql,
		.types = "nn",
		.on_row = take_numbers,
		.context = numbers,
		.seconds = NPT_STORE_ASK_SECONDS,
	};

	return npt_clickhouse_select(clickhouse->connection, &query, err);
}

/* By size: as many rows as are beyond nine tenths of the limit, if the limit is passed. */
static int find_by_size(struct npt_store_clickhouse *clickhouse, uint64_t max_bytes,
			struct found *found, struct npt_error *err)
{
	uint64_t size[2] = { 0, 0 }, excess;
	int r = ask_numbers(clickhouse,
			    "SELECT sum(bytes_on_disk), sum(rows) FROM system.parts WHERE active"
			    " AND database = currentDatabase() AND table = 'npt_windows'",
			    size, err);

	if (r < 0 || size[0] <= max_bytes || size[1] == 0)
		return r;
	excess = size[0] - max_bytes / 10 * 9;
	found->rows_enough = excess / (size[0] / size[1] + 1) + 1;
	return find_tasks(clickhouse, "", found, err);
}

static int find_by_age(struct npt_store_clickhouse *clickhouse, uint64_t oldest_unix_ms,
		       struct found *found, struct npt_error *err)
{
	npt_auto_free char *having = npt_format("HAVING last < %" PRIu64, oldest_unix_ms);

	found->rows_enough = UINT64_MAX;
	return find_tasks(clickhouse, having, found, err);
}

static int remove_tasks(struct npt_store_clickhouse *clickhouse, const struct found *found,
			uint64_t now_unix_ms, struct npt_error *err)
{
	npt_auto_free char *sql =
		npt_format("ALTER TABLE npt_windows DELETE WHERE task_uid IN (%s) AND"
			   " received_unix_ms <= %" PRIu64,
			   found->uids.data, now_unix_ms);

	return npt_clickhouse_run(clickhouse->connection, sql, true, err);
}

static bool is_time(const struct npt_store_clickhouse *clickhouse,
		    const struct npt_store_limits *limits)
{
	uint64_t period_ms = limits->max_age_ms / 24;

	if (period_ms > PERIOD_MS_MAX || limits->max_age_ms == 0)
		period_ms = PERIOD_MS_MAX;
	return clickhouse->removed_ns == 0 ||
	       npt_clock_monotonic_ns() - clickhouse->removed_ns >= period_ms * NPT_NS_PER_MS;
}

static int find_and_remove(struct npt_store_clickhouse *clickhouse,
			   const struct npt_store_limits *limits, uint64_t now_unix_ms,
			   struct found *found, struct npt_error *err)
{
	int r = 0;

	if (limits->max_age_ms && now_unix_ms > limits->max_age_ms && is_time(clickhouse, limits))
		r = find_by_age(clickhouse, now_unix_ms - limits->max_age_ms, found, err);
	if (found->tasks > 0)
		clickhouse->removed_ns = npt_clock_monotonic_ns();
	if (r == 0 && limits->max_bytes && found->tasks == 0)
		r = find_by_size(clickhouse, limits->max_bytes, found, err);
	if (r < 0 || found->tasks == 0)
		return r;
	return remove_tasks(clickhouse, found, now_unix_ms, err);
}

int npt_store_clickhouse_trim(struct npt_store *store, const struct npt_store_limits *limits,
			      uint64_t now_unix_ms, uint64_t *tasks_ret, struct npt_error *err)
{
	struct npt_store_clickhouse *clickhouse = (struct npt_store_clickhouse *)store;
	struct found found = { .uids = NPT_BUFFER(SQL_BYTES_MAX) };
	uint64_t going_on[2] = { 0, 0 };
	int r = npt_store_clickhouse_prepare(clickhouse, err);

	if (r == 0)
		r = ask_numbers(clickhouse,
				"SELECT count(), count() FROM system.mutations WHERE is_done = 0"
				" AND database = currentDatabase() AND table = 'npt_windows'",
				going_on, err);
	if (r == 0 && going_on[0] == 0)
		r = find_and_remove(clickhouse, limits, now_unix_ms, &found, err);
	npt_buffer_done(&found.uids);
	if (r == -ENOENT)
		clickhouse->prepared = false;
	if (r < 0)
		return r;
	*tasks_ret = found.tasks;
	return 0;
}
