/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hands each call to the engine.
 */
#include "aggregator/store.h"

#include "aggregator/store_sqlite.h"

int npt_store_open(const char *path, struct npt_store **store_ret, struct npt_error *err)
{
	return npt_store_sqlite_open(path, store_ret, err);
}

void npt_store_free(struct npt_store *store)
{
	if (store)
		store->operations->free(store);
}

int npt_store_append(struct npt_store *store, struct npt_report *const *windows, size_t count,
		     bool *added, struct npt_error *err)
{
	return store->operations->append(store, windows, count, added, err);
}

int npt_store_trim(struct npt_store *store, const struct npt_store_limits *limits,
		   uint64_t now_unix_ms, uint64_t *tasks_ret, struct npt_error *err)
{
	return store->operations->trim(store, limits, now_unix_ms, tasks_ret, err);
}

int npt_store_set_aside(struct npt_store *store, char **kept_ret, struct npt_error *err)
{
	return store->operations->set_aside(store, kept_ret, err);
}

int npt_store_set_aside_file(const char *path, char **kept_ret, struct npt_error *err)
{
	return npt_store_sqlite_set_aside_file(path, kept_ret, err);
}

int npt_store_open_reader(struct npt_store *store, struct npt_store_reader **reader_ret,
			  struct npt_error *err)
{
	return store->operations->open_reader(store, reader_ret, err);
}

void npt_store_reader_free(struct npt_store_reader *reader)
{
	if (reader)
		reader->operations->free(reader);
}

int npt_store_find_task(struct npt_store_reader *reader, const char *uid,
			struct npt_stored_task *task_ret, struct npt_error *err)
{
	return reader->operations->find_task(reader, uid, task_ret, err);
}

int npt_store_list_tasks(struct npt_store_reader *reader, const char *namespace_name,
			 uint64_t before, struct npt_stored_task *tasks, size_t max,
			 size_t *count_ret, struct npt_error *err)
{
	return reader->operations->list_tasks(reader, namespace_name, before, tasks, max, count_ret,
					      err);
}

int npt_store_list_streams(struct npt_store_reader *reader, uint64_t task_id,
			   struct npt_stored_stream **streams_ret, size_t *count_ret,
			   struct npt_error *err)
{
	return reader->operations->list_streams(reader, task_id, streams_ret, count_ret, err);
}

int npt_store_read_windows(struct npt_store_reader *reader, const struct npt_store_filter *filter,
			   npt_store_window_fn *on_window, void *context, struct npt_error *err)
{
	return reader->operations->read_windows(reader, filter, on_window, context, err);
}

int npt_store_read_edge(struct npt_store_reader *reader, const struct npt_store_edge_filter *filter,
			npt_store_edge_fn *on_edge, void *context, struct npt_error *err)
{
	return reader->operations->read_edge(reader, filter, on_edge, context, err);
}
