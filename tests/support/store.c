/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test asks by SQL it asks by a connection of its own, as other people would.
 */
#include "tests/support/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "aggregator/store/clickhouse.h"
#include "lib/core/alloc.h"
#include "lib/model/report_merge.h"
#include "tests/support/test.h"

bool npt_test_store_is_clickhouse(void)
{
	return getenv("NPT_TEST_CLICKHOUSE") != NULL;
}

bool npt_test_store_open(struct npt_test_store *world)
{
	const struct npt_store_options options = { .where = world->path,
						   .password_file = world->password_file };
	struct npt_error err = NPT_ERROR_NONE;

	if (NPT_CHECK_INT(npt_store_open_with(&options, &world->store, &err), 0) &&
	    NPT_CHECK_INT(npt_store_open_reader(world->store, &world->reader, &err), 0))
		return true;
	printf("%s\n", err.text);
	return false;
}

void npt_test_store_close(struct npt_test_store *world)
{
	npt_store_reader_free(world->reader);
	npt_store_free(world->store);
	world->reader = NULL;
	world->store = NULL;
}

/* Each a database that nobody else uses: the process and a number are in its name. */
static void name_database(struct npt_test_store *world)
{
	static unsigned int number;

	(void)snprintf(world->path, sizeof(world->path), "%s_%ld_%u", getenv("NPT_TEST_CLICKHOUSE"),
		       (long)getpid(), ++number);
	world->password_file = getenv("NPT_TEST_CLICKHOUSE_PASSWORD");
}

void npt_test_store_begin(struct npt_test_store *world)
{
	*world = (struct npt_test_store){ .directory = "/tmp/npt-test-store-XXXXXX" };
	NPT_CHECK(mkdtemp(world->directory) != NULL);
	(void)snprintf(world->path, sizeof(world->path), "%s/w.db", world->directory);
	if (npt_test_store_is_clickhouse())
		name_database(world);
	if (!npt_test_store_open(world))
		abort();
}

static int take_number(void *context, const struct npt_rowbinary_value *values,
		       struct npt_error *err)
{
	(void)err;
	*(int64_t *)context = (int64_t)values[0].number;
	return 0;
}

/* sql with a number as its result, or without any. */
static int ask_clickhouse(const struct npt_test_store *world, const char *sql, int64_t *number)
{
	const struct npt_clickhouse_options options = { .url = world->path,
							.password_file = world->password_file };
	npt_auto(npt_clickhouse_server_free) struct npt_clickhouse_server *server = NULL;
	npt_auto(npt_clickhouse_free) struct npt_clickhouse *connection = NULL;
	struct npt_clickhouse_query query = {
		.sql = sql, .types = "n", .on_row = take_number, .context = number
	};
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_clickhouse_server_new(&options, &server, &err);

	if (r == 0)
		r = npt_clickhouse_connect(server, &connection, &err);
	if (r == 0)
		r = number ? npt_clickhouse_select(connection, &query, &err)
			   : npt_clickhouse_run(connection, sql, true, &err);
	if (r < 0)
		printf("%s: %s\n", sql, err.text);
	return r;
}

void npt_test_store_end(struct npt_test_store *world)
{
	npt_auto_closedir DIR *directory = NULL;
	const struct dirent *entry;

	npt_test_store_close(world);
	if (npt_test_store_is_clickhouse()) {
		npt_auto_free char *drop =
			npt_format("DROP DATABASE IF EXISTS %s", strrchr(world->path, '/') + 1);
		int r = -EAGAIN;

		/* It waits for merges; on a busy machine longer than we wait for it. */
		for (int i = 0; i < 30 && r == -EAGAIN; i++) {
			r = ask_clickhouse(world, drop, NULL);
			(void)usleep(r == -EAGAIN ? 1000000 : 0);
		}
		NPT_CHECK_INT(r, 0);
	}
	directory = opendir(world->directory);
	while (directory && (entry = readdir(directory)))
		(void)unlinkat(dirfd(directory), entry->d_name, 0);
	(void)rmdir(world->directory);
}

struct npt_report *npt_test_store_window(const char *task, const char *pod, const char *instance,
					 uint64_t sequence, size_t edges)
{
	struct npt_report *report = npt_report_new();

	(void)snprintf(report->task.uid, sizeof(report->task.uid), "%s", task);
	(void)snprintf(report->task.namespace_name, sizeof(report->task.namespace_name), "shop");
	(void)snprintf(report->task.name, sizeof(report->task.name), "name-%.60s", task);
	(void)snprintf(report->pod.uid, sizeof(report->pod.uid), "%s", pod);
	(void)snprintf(report->pod.name, sizeof(report->pod.name), "name-%.60s", pod);
	(void)snprintf(report->instance, sizeof(report->instance), "%s", instance);
	(void)snprintf(report->node, sizeof(report->node), "node-1");
	report->sequence = sequence;
	report->start_unix_ms = 1767225600000 + sequence * 1000;
	report->duration_ms = 1000;
	for (size_t i = 0; i < edges; i++) {
		struct npt_edge *edge = npt_report_add_edge(report);

		edge->process.pid = (uint32_t)(100 + i);
		(void)snprintf(edge->process.name, sizeof(edge->process.name), "nginx");
		edge->role = NPT_ROLE_CLIENT;
		edge->sent.bytes = 1000 * sequence + i;
		edge->metrics[NPT_METRIC_WRITE].count = sequence;
		edge->drops[0] = (struct npt_named_count){ .name = "NO_SOCKET", .count = i };
	}
	return report;
}

int npt_test_store_append(struct npt_test_store *world, struct npt_report *report, bool *added_ret)
{
	npt_auto(npt_report_free) struct npt_report *owned = report;
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_store_append(world->store, &owned, 1, added_ret, &err);

	if (r < 0)
		printf("%s\n", err.text);
	return r;
}

bool npt_test_store_add(struct npt_test_store *world, struct npt_report *report)
{
	bool added = false;

	return NPT_CHECK_INT(npt_test_store_append(world, report, &added), 0) && added;
}

void npt_test_store_set_label(struct npt_edge *edge, const char *protocol, enum npt_tls tls,
			      const char *version)
{
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "%s", protocol);
	edge->protocol_confidence_permille = npt_protocol_is_known(protocol) ? 990 : 0;
	edge->tls = tls;
	(void)snprintf(edge->tls_facts.version, sizeof(edge->tls_facts.version), "%s", version);
}

struct npt_report *npt_test_store_labelled(uint64_t sequence, const char *protocol,
					   enum npt_tls tls, const char *version)
{
	struct npt_report *report = npt_test_store_window("t", "p", "i", sequence, 1);

	npt_test_store_set_label(&report->edges[0], protocol, tls, version);
	return report;
}

static int64_t ask_sqlite(const struct npt_test_store *world, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	int64_t value = -1;

	if (NPT_CHECK_INT(sqlite3_open_v2(world->path, &db, SQLITE_OPEN_READWRITE, NULL), 0) &&
	    NPT_CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), 0) &&
	    NPT_CHECK_INT(sqlite3_step(statement), SQLITE_ROW))
		value = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
	return value;
}

int64_t npt_test_store_ask(const struct npt_test_store *world, const char *sql)
{
	int64_t value = -1;

	if (!npt_test_store_is_clickhouse())
		return ask_sqlite(world, sql);
	NPT_CHECK_INT(ask_clickhouse(world, sql, &value), 0);
	return value;
}

int64_t npt_test_store_ask_rows(const struct npt_test_store *world, const char *what,
				const char *where)
{
	bool is_clickhouse = npt_test_store_is_clickhouse();
	npt_auto_free char *sql =
		npt_format(is_clickhouse ? "SELECT toUInt64(%s) FROM npt_%s WHERE %s"
					 : "SELECT %s FROM %s WHERE %s",
			   what, "measurements", where);

	return npt_test_store_ask(world, sql);
}

uint64_t npt_test_store_task_id(struct npt_test_store *world, const char *uid)
{
	struct npt_stored_task task = { 0 };

	(void)npt_store_find_task(world->reader, uid, &task, NULL);
	return task.id;
}

uint64_t npt_test_store_count(struct npt_test_store *world, const char *uid)
{
	struct npt_stored_task task = { 0 };

	(void)npt_store_find_task(world->reader, uid, &task, NULL);
	return task.windows;
}

int npt_test_store_collect(void *context, uint64_t id, struct npt_report *found)
{
	struct npt_test_windows *collected = context;
	struct npt_report *copy = npt_report_new();

	*copy = *found;
	copy->edges = NULL;
	copy->edges_count = copy->edges_room = 0;
	copy->tls = NULL;
	copy->tls_count = 0;
	for (size_t i = 0; i < found->tls_count; i++)
		*npt_report_add_tls(copy) = found->tls[i];
	for (size_t i = 0; i < found->edges_count; i++)
		*npt_report_add_edge(copy) = found->edges[i];
	collected->ids[collected->count] = id;
	collected->windows[collected->count++] = copy;
	return 0;
}

void npt_test_store_forget(struct npt_test_windows *collected)
{
	for (size_t i = 0; i < collected->count; i++)
		npt_report_free(collected->windows[i]);
	collected->count = 0;
}

void npt_test_store_read_all(struct npt_test_store *world, const struct npt_store_filter *filter,
			     struct npt_test_windows *collected)
{
	struct npt_error err = NPT_ERROR_NONE;

	if (!NPT_CHECK_INT(npt_store_read_windows(world->reader, filter, npt_test_store_collect,
						  collected, &err),
			   0))
		printf("%s\n", err.text);
}

void npt_test_store_check_label(struct npt_test_store *world, const char *protocol,
				enum npt_tls tls, const char *version)
{
	struct npt_store_filter filter = { .task_id = npt_test_store_task_id(world, "t") };
	struct npt_test_windows found = { .count = 0 };
	npt_auto(npt_report_free) struct npt_report *sum = npt_report_new();

	npt_test_store_read_all(world, &filter, &found);
	NPT_CHECK(found.count > 0);
	for (size_t i = 0; i < found.count; i++) {
		const struct npt_edge *edge = &found.windows[i]->edges[0];

		NPT_CHECK_STR(edge->protocol, protocol);
		NPT_CHECK_INT(edge->tls, tls);
		NPT_CHECK_STR(edge->tls_facts.version, version);
		NPT_CHECK_INT(edge->protocol_confidence_permille,
			      npt_protocol_is_known(protocol) ? 990 : 0);
		NPT_CHECK_INT(edge->sent.bytes, 1000 * found.windows[i]->sequence);
		npt_report_merge(sum, found.windows[i]);
	}
	NPT_CHECK_INT(sum->edges_count, 1);
	NPT_CHECK_STR(sum->edges[0].protocol, protocol);
	npt_test_store_forget(&found);
}
