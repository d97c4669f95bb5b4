/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Store - where windows are kept. One interface for every engine (today SQLite, store_sqlite.c).
 *
 * One thread appends and trims; any number of threads read, each with a reader of its own. Rows are
 * appended in the order in which they came; what belongs to one task is found by an index.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/model/history.h"
#include "lib/model/report.h"

struct npt_store;
struct npt_store_reader;

struct npt_store_limits {
	uint64_t max_age_ms; /* of a task's last window; 0: for ever */
	uint64_t max_bytes;  /* the tasks that ended longest ago go first; 0: no limit */
};

/* What an engine can do; the functions below say what each means. */
struct npt_store_operations {
	int (*append)(struct npt_store *store, struct npt_report *const *windows, size_t count,
		      bool *added, struct npt_error *err);
	int (*trim)(struct npt_store *store, const struct npt_store_limits *limits,
		    uint64_t now_unix_ms, uint64_t *tasks_ret, struct npt_error *err);
	int (*set_aside)(struct npt_store *store, char **kept_ret, struct npt_error *err);
	void (*free)(struct npt_store *store);
	int (*open_reader)(struct npt_store *store, struct npt_store_reader **reader_ret,
			   struct npt_error *err);
};

struct npt_store {
	const struct npt_store_operations *operations;
};

/* A window found: its id orders them; the report is borrowed, what is made of its numbers may be
 * filled in. Nonzero ends the reading (no error). */
typedef int npt_store_window_fn(void *context, uint64_t id, struct npt_report *window);

struct npt_store_filter {
	uint64_t task_id;
	uint64_t stream_id;  /* 0: all streams of the task, in order of arrival; else of one, in
				order of sequence */
	const char *pod_uid; /* NULL: all */
	uint64_t after;      /* windows behind this id (of one stream: behind this sequence) */
	size_t limit;        /* 0: all */
	/* Windows that have part of this time: end > from, start < until; until 0: no end. */
	uint64_t from_unix_ms;
	uint64_t until_unix_ms;
};

/* Of one edge in one window. */
struct npt_stored_edge_window {
	uint64_t stream_id;
	uint64_t sequence;
	uint64_t start_unix_ms;
	uint64_t duration_ms;
	const struct npt_edge *edge; /* borrowed */
};

/* Nonzero ends the reading (no error). */
typedef int npt_store_edge_fn(void *context, const struct npt_stored_edge_window *window);

struct npt_store_edge_filter {
	uint64_t task_id;
	uint64_t edge_key;     /* npt_edge_key() */
	uint64_t from_unix_ms; /* as in npt_store_filter */
	uint64_t until_unix_ms;
};

struct npt_store_reader_operations {
	int (*find_task)(struct npt_store_reader *reader, const char *uid,
			 struct npt_stored_task *task_ret, struct npt_error *err);
	int (*list_tasks)(struct npt_store_reader *reader, const char *namespace_name,
			  uint64_t before, struct npt_stored_task *tasks, size_t max,
			  size_t *count_ret, struct npt_error *err);
	int (*list_streams)(struct npt_store_reader *reader, uint64_t task_id,
			    struct npt_stored_stream **streams_ret, size_t *count_ret,
			    struct npt_error *err);
	int (*read_windows)(struct npt_store_reader *reader, const struct npt_store_filter *filter,
			    npt_store_window_fn *on_window, void *context, struct npt_error *err);
	int (*read_edge)(struct npt_store_reader *reader,
			 const struct npt_store_edge_filter *filter, npt_store_edge_fn *on_edge,
			 void *context, struct npt_error *err);
	void (*free)(struct npt_store_reader *reader);
};

struct npt_store_reader {
	const struct npt_store_reader_operations *operations;
};

/* path: a file of SQLite. -EUCLEAN: it is no database of ours, or damaged (see set_aside). */
int npt_store_open(const char *path, struct npt_store **store_ret, struct npt_error *err);
void npt_store_free(struct npt_store *store);
NPT_DEFINE_AUTO(struct npt_store *, npt_store_free)

/*
 * All windows in one transaction; when it returns 0 they outlive a loss of power. added[i] tells a
 * new window from one that was there already by (task, pod, instance, sequence), which is left as
 * it was. On failure nothing is stored: -ENOSPC: the disk is full; -EUCLEAN: damaged.
 */
int npt_store_append(struct npt_store *store, struct npt_report *const *windows, size_t count,
		     bool *added, struct npt_error *err);
/* Removes whole tasks that are beyond the limits; says how many. */
int npt_store_trim(struct npt_store *store, const struct npt_store_limits *limits,
		   uint64_t now_unix_ms, uint64_t *tasks_ret, struct npt_error *err);
/* Moves a damaged store out of the way, to *kept_ret, and begins a new one. */
int npt_store_set_aside(struct npt_store *store, char **kept_ret, struct npt_error *err);

/* Moves a damaged file that could not even be opened out of the way. */
int npt_store_set_aside_file(const char *path, char **kept_ret, struct npt_error *err);

/* For one thread; sees what was committed before each call. The store must outlive it. */
int npt_store_open_reader(struct npt_store *store, struct npt_store_reader **reader_ret,
			  struct npt_error *err);
void npt_store_reader_free(struct npt_store_reader *reader);
NPT_DEFINE_AUTO(struct npt_store_reader *, npt_store_reader_free)

/* -ENOENT: no such task. */
int npt_store_find_task(struct npt_store_reader *reader, const char *uid,
			struct npt_stored_task *task_ret, struct npt_error *err);
/* The newest first; of one namespace, or of all (NULL); with ids below before (0: all). */
int npt_store_list_tasks(struct npt_store_reader *reader, const char *namespace_name,
			 uint64_t before, struct npt_stored_task *tasks, size_t max,
			 size_t *count_ret, struct npt_error *err);
/* By pod, then by age. *streams_ret is the caller's to free. */
int npt_store_list_streams(struct npt_store_reader *reader, uint64_t task_id,
			   struct npt_stored_stream **streams_ret, size_t *count_ret,
			   struct npt_error *err);
int npt_store_read_windows(struct npt_store_reader *reader, const struct npt_store_filter *filter,
			   npt_store_window_fn *on_window, void *context, struct npt_error *err);
/* The windows of one edge, by time. -ENOENT: the task has no such edge. */
int npt_store_read_edge(struct npt_store_reader *reader, const struct npt_store_edge_filter *filter,
			npt_store_edge_fn *on_edge, void *context, struct npt_error *err);
