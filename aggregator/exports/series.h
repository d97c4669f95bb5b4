/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Series - running sums of windows, by labels: what every export shows or sends.
 *
 * A table is one export's own: one that is read again and again adds up for as long as it lives,
 * one that is taken (npt_series_take()) holds what came since. It is bounded: what finds no room is
 * added to its task's series of others, or to that of all tasks, and counted. Not thread-safe.
 *
 * Counters saturate at 2^53-1. Times are microseconds here, as in a window.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/exports/labels.h"
#include "lib/core/strmap.h"
#include "lib/model/report.h"

enum npt_series_counter {
	NPT_COUNTER_SENT_BYTES,
	NPT_COUNTER_SENT_SEGMENTS,
	NPT_COUNTER_RECEIVED_BYTES,
	NPT_COUNTER_RECEIVED_SEGMENTS,
	NPT_COUNTER_CONNECTIONS_OPENED,
	NPT_COUNTER_CONNECTIONS_FOUND,
	NPT_COUNTER_CONNECTIONS_CLOSED,
	NPT_COUNTER_WRITES,
	NPT_COUNTER_WRITTEN_BYTES,
	NPT_COUNTER_READS,
	NPT_COUNTER_READ_BYTES,
	NPT_COUNTER_RETRANSMIT_SEGMENTS,
	NPT_COUNTER_RETRANSMIT_BYTES,
	NPT_COUNTER_RETRANSMIT_SYN,
	NPT_COUNTER_RETRANSMIT_TAIL_LOSS,
	NPT_COUNTER_RETRANSMIT_SPURIOUS,
	NPT_COUNTER_LIMITED_APPLICATION, /* these four: microseconds */
	NPT_COUNTER_LIMITED_RECEIVE_WINDOW,
	NPT_COUNTER_LIMITED_SEND_BUFFER,
	NPT_COUNTER_LIMITED_NETWORK,
	NPT_COUNTER_LISTEN_DROPS,
	NPT_COUNTER_TLS_HANDSHAKES,
	NPT_COUNTER_TLS_RESUMED,
	NPT_COUNTER_TLS_FAILED,
	NPT_COUNTER_COUNT,
};

/* As of the end of the last window of the pod. */
enum npt_series_gauge {
	NPT_GAUGE_CONNECTIONS_OPEN,
	NPT_GAUGE_UNREAD_BYTES,
	NPT_GAUGE_UNSENT_BYTES,
	NPT_GAUGE_ACCEPT_BACKLOG,
	NPT_GAUGE_SYN_BACKLOG,
	NPT_GAUGE_COUNT,
};

/* The metrics of enum npt_metric_id, and one more. */
enum { NPT_TIMES_HANDSHAKE = NPT_METRIC_COUNT, NPT_TIMES_COUNT };

enum npt_series_reason_kind {
	NPT_REASON_CONNECT_FAILED,
	NPT_REASON_DROP,
	NPT_REASON_RESET_SENT,
	NPT_REASON_RESET_RECEIVED,
	NPT_REASON_KIND_COUNT,
};

/*
 * Upper bounds that are bounds of our own buckets, so that what is below one is known exactly:
 * powers of two of microseconds, 32 us to 16.8 s.
 */
#define NPT_SERIES_BOUNDS           20
#define NPT_SERIES_FIRST_BOUND_LOG2 5

struct npt_series_times {
	uint64_t count; /* timed ones: all, or the sample */
	uint64_t sum_micros;
	uint64_t max_micros;
	uint64_t buckets[NPT_SERIES_BOUNDS + 1]; /* not cumulative; the last: beyond all bounds */
	uint64_t *fine; /* [NPT_HISTOGRAM_BUCKETS]; NULL unless asked for */
};

struct npt_series_reason {
	enum npt_series_reason_kind kind;
	char name[NPT_REASON_BYTES];
	uint64_t count;
};

struct npt_series {
	struct npt_labels labels;
	bool others;            /* made of all that found no room: no gauges, no verdict */
	uint64_t begin_unix_ms; /* of the first window that is in it */
	uint64_t end_unix_ms;   /* of the last */
	uint64_t counters[NPT_COUNTER_COUNT];
	uint64_t gauges[NPT_GAUGE_COUNT];
	uint64_t window;                                 /* that the gauges are of */
	struct npt_series_times *times[NPT_TIMES_COUNT]; /* NULL: none */
	struct npt_series_reason *reasons;
	size_t reasons_count;
	enum npt_verdict verdict; /* of the last window; the worst of its edges */
};

struct npt_series_task {
	struct npt_strmap *series; /* key of its labels -> struct npt_series */
	struct npt_series *others; /* in the map, too; NULL: none yet */
	uint64_t seen_ns;          /* CLOCK_MONOTONIC */
	uint64_t end_unix_ms;      /* of the last of its windows */
};

struct npt_series_table;

struct npt_series_options {
	uint32_t labels; /* NPT_LABELS_* */
	size_t max_series;
	size_t max_series_per_task;
	bool fine;        /* keep all buckets of windows, too: 1 KiB per histogram */
	uint64_t keep_ns; /* of a task after its last window; 0: for ever */
};

struct npt_series_table *npt_series_table_new(const struct npt_series_options *options);
void npt_series_table_free(struct npt_series_table *table);
NPT_DEFINE_AUTO(struct npt_series_table *, npt_series_table_free)

/* The window's edges; now_ns: when it came. */
void npt_series_add(struct npt_series_table *table, const struct npt_report *window,
		    uint64_t now_ns);
/* Takes away what belongs to tasks that are silent for too long; how many series. */
size_t npt_series_expire(struct npt_series_table *table, uint64_t now_ns);
/* What it holds, in a table of its own that the caller frees; it goes on empty. */
struct npt_series_table *npt_series_take(struct npt_series_table *table);

/* The same once more, the caller's; it goes on as it was. */
struct npt_series_table *npt_series_copy(const struct npt_series_table *table);

size_t npt_series_count(const struct npt_series_table *table);
/* How many edges of windows were added to a series of others. */
uint64_t npt_series_overflowed(const struct npt_series_table *table);
/* The tasks, by index; NULL beyond. Their series: npt_strmap_value_at(task->series, i). */
const struct npt_series_task *npt_series_task_at(const struct npt_series_table *table,
						 size_t index);

/* Microseconds, bound 0 .. NPT_SERIES_BOUNDS-1. */
uint64_t npt_series_bound_micros(size_t bound);
