/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout. There is one table. A window is a row for each of its edges and, behind them, a head
 * (is_edge = 0), all in one INSERT of one partition, which ClickHouse takes whole or not at all. A
 * window is there if its head is.
 *
 * ClickHouse has neither constraints nor transactions, and several replicas write. So a window may
 * be written twice, when two of them are sent it at once, or when an INSERT was done of which we
 * did not hear. Each time it is written it gets an id of its own, "written", in order of time; the
 * first one that has a head counts, and readers leave out the others, always. They are rare, and
 * stay: a merge that kept the first of two rows would not know which of them has a head. Merges
 * remove only rows that are there twice with one id, as when libcurl sends a request again since a
 * connection that it had kept turns out dead.
 *
 * Rows name all that they are of, so that nobody has to look up anything to write: text that
 * repeats itself costs next to nothing in columns. What an edge speaks, its label, stands in each
 * row as its window said it; readers put the windows' words together, the later one first.
 */
#include "aggregator/store/store_clickhouse.h"

#include <errno.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/net/digest.h"

#define SCHEMA_VERSION 1

static const char *const schema[] = {
	"CREATE TABLE IF NOT EXISTS npt_schema (version UInt64) ENGINE = MergeTree"
	" ORDER BY version",
	"CREATE TABLE IF NOT EXISTS npt_windows (is_edge UInt8, task_uid String,"
	" task_namespace String, task_name String, pod_uid String, pod_namespace String,"
	" pod_name String, node String, instance String, stream_id UInt64, sequence UInt64,"
	" number UInt64, written UInt64, received_unix_ms UInt64, start_unix_ms UInt64,"
	" duration_ms UInt64, edges UInt64, head String, edge_key UInt64, pid UInt64,"
	" process String, container String, role String, peer_kind String, peer_name String,"
	" peer_namespace String, peer_address String, peer_port UInt64, asked String,"
	" reached String, transport String, protocol String, tls String,"
	" connections_opened UInt64, connections_closed UInt64, connections_failed UInt64,"
	" sent_bytes UInt64, sent_segments UInt64, received_bytes UInt64,"
	" received_segments UInt64, write_count UInt64, write_bytes UInt64, read_count UInt64,"
	" read_bytes UInt64, retransmit_segments UInt64, drops UInt64, identity String,"
	" label String, counters String)"
	" ENGINE = ReplacingMergeTree()"
	" PARTITION BY intDiv(received_unix_ms, 86400000)"
	" ORDER BY (is_edge, task_uid, pod_uid, stream_id, sequence, written, number)"
	" SETTINGS index_granularity = 2048",
	"CREATE VIEW IF NOT EXISTS npt_measurements AS SELECT task_namespace, task_name, task_uid,"
	" pod_name, pod_uid, node, instance, sequence, start_unix_ms, duration_ms, pid, process,"
	" container, role, peer_kind, peer_name, peer_namespace, peer_address, peer_port, asked,"
	" reached, transport, protocol, tls, connections_opened, connections_closed,"
	" connections_failed, sent_bytes, sent_segments, received_bytes, received_segments,"
	" write_count, write_bytes, read_count, read_bytes, retransmit_segments, drops"
	" FROM npt_windows FINAL WHERE is_edge = 1 AND written IN (SELECT min(written) FROM "
	"npt_windows"
	" WHERE is_edge = 0 GROUP BY stream_id, sequence)",
};

struct about {
	uint64_t rows;
	uint64_t version;
};

static int read_about(void *context, const struct npt_rowbinary_value *values,
		      struct npt_error *err)
{
	struct about *about = context;

	(void)err;
	about->rows = values[0].number;
	about->version = values[1].number;
	return 0;
}

static int ask_about(struct npt_store_clickhouse *clickhouse, const char *sql, struct about *about,
		     struct npt_error *err)
{
	const struct npt_clickhouse_query query = {
		.sql = sql,
		.types = "nn",
		.on_row = read_about,
		.context = about,
		.seconds = NPT_STORE_ASK_SECONDS,
	};

	return npt_clickhouse_select(clickhouse->connection, &query, err);
}

static int check_version(struct npt_store_clickhouse *clickhouse, struct npt_error *err)
{
	struct about about = { .rows = 0 };
	int r = ask_about(clickhouse, "SELECT count(), max(version) FROM npt_schema", &about, err);

	if (r < 0)
		return r;
	if (about.version > SCHEMA_VERSION)
		return npt_error_set(err, EINVAL,
				     "the store %s is of a newer version of npt-aggregator: name "
				     "another database with --store",
				     npt_clickhouse_name(clickhouse->server));
	return about.rows > 0 ? 0
			      : npt_clickhouse_run(clickhouse->connection,
						   "INSERT INTO npt_schema VALUES (1)", true, err);
}

/* An INSERT that is only queued would be acknowledged too early; old servers know no queue. */
static int choose_settings(struct npt_store_clickhouse *clickhouse, struct npt_error *err)
{
	struct about about = { .rows = 0 };
	int r = ask_about(clickhouse,
			  "SELECT count(), max(toUInt64(1)) FROM system.settings WHERE"
			  " name = 'async_insert'",
			  &about, err);

	if (r == 0)
		clickhouse->insert_settings = about.rows > 0 ? "&async_insert=0" : "";
	return r;
}

/* Whoever may make no database finds it made. */
static int make_database(struct npt_store_clickhouse *clickhouse, struct npt_error *err)
{
	struct about about = { .rows = 0 };
	npt_auto_free char *create = npt_format("CREATE DATABASE IF NOT EXISTS %s",
						npt_clickhouse_database(clickhouse->server));
	int r = ask_about(clickhouse, "SELECT toUInt64(1), toUInt64(1)", &about, err);

	return r == -ENOENT ? npt_clickhouse_run(clickhouse->connection, create, false, err) : r;
}

int npt_store_clickhouse_prepare(struct npt_store_clickhouse *clickhouse, struct npt_error *err)
{
	int r;

	if (clickhouse->prepared)
		return 0;
	r = make_database(clickhouse, err);
	for (size_t i = 0; r == 0 && i < NPT_ARRAY_SIZE(schema); i++)
		r = npt_clickhouse_run(clickhouse->connection, schema[i], true, err);
	if (r == 0)
		r = check_version(clickhouse, err);
	if (r == 0)
		r = choose_settings(clickhouse, err);
	clickhouse->prepared = r == 0;
	return r;
}

uint64_t npt_store_clickhouse_stream_id(const struct npt_report *window)
{
	npt_auto_free char *text =
		npt_format("%s\n%s\n%s", window->task.uid, window->pod.uid, window->instance);
	uint8_t hash[NPT_SHA256_BYTES];
	uint64_t id;

	npt_sha256(text, strlen(text), hash);
	memcpy(&id, hash, sizeof(id));
	id &= INT64_MAX;
	return id ? id : 1;
}

static int set_aside(struct npt_store *store, char **kept_ret, struct npt_error *err)
{
	(void)store;
	(void)kept_ret;
	return npt_error_set(err, ENOTSUP, "a store on ClickHouse cannot be put aside");
}

static void free_store(struct npt_store *store)
{
	struct npt_store_clickhouse *clickhouse = (struct npt_store_clickhouse *)store;

	npt_clickhouse_free(clickhouse->connection);
	npt_clickhouse_server_free(clickhouse->server);
	free(clickhouse);
}

/* A server that is away now is no reason to end: agents and readers are told to come again. */
static int begin(struct npt_store_clickhouse *clickhouse, struct npt_error *err)
{
	struct npt_error away = NPT_ERROR_NONE;
	int r = npt_store_clickhouse_prepare(clickhouse, &away);

	if (r == -EAGAIN) {
		npt_log_warning("the store is used as soon as it answers", "store",
				npt_clickhouse_name(clickhouse->server));
		return 0;
	}
	return r < 0 ? npt_error_set(err, -r, "%s", away.text) : 0;
}

int npt_store_clickhouse_open(const struct npt_store_options *options, struct npt_store **store_ret,
			      struct npt_error *err)
{
	static const struct npt_store_operations operations = {
		.append = npt_store_clickhouse_append,
		.trim = npt_store_clickhouse_trim,
		.set_aside = set_aside,
		.free = free_store,
		.open_reader = npt_store_clickhouse_open_reader,
	};
	const struct npt_clickhouse_options server = { .url = options->where,
						       .password_file = options->password_file,
						       .ca_file = options->ca_file,
						       .allow_plain_http =
							       options->allow_plain_http };
	struct npt_store_clickhouse *clickhouse = npt_alloc(1, sizeof(*clickhouse));
	npt_auto(npt_store_free) struct npt_store *store = &clickhouse->store;
	int r;

	clickhouse->store.operations = &operations;
	npt_random_bytes(&clickhouse->replica, sizeof(clickhouse->replica));
	clickhouse->replica &= (UINT64_C(1) << NPT_STORE_REPLICA_BITS) - 1;
	r = npt_clickhouse_server_new(&server, &clickhouse->server, err);
	if (r == 0)
		r = npt_clickhouse_connect(clickhouse->server, &clickhouse->connection, err);
	if (r == 0)
		r = begin(clickhouse, err);
	if (r < 0)
		return r;
	*store_ret = npt_take(store);
	return 0;
}
