/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Upload - windows on their way to the aggregator, kept until it acknowledged them.
 *
 * Each window is a file in the spool directory until then, so that neither an aggregator that is
 * away nor an agent that restarts loses it; when the spool is full, the oldest window that is
 * not just being sent goes first and is counted. Per task and pod, windows are sent in the order in
 * which they were pushed. Its own thread; the functions may be called from any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

struct npt_upload;

struct npt_upload_options {
	const char *directory;   /* the spool; made if it is not there, mode 0700 */
	uint64_t max_bytes;      /* of all windows kept; 0: 64 MiB */
	const char *ca_file;     /* PEM: who may sign the aggregator's certificate */
	uint64_t retry_ms_first; /* 0: 500, doubling with full jitter up to */
	uint64_t retry_ms_max;   /* 0: 10000 */
	uint64_t timeout_ms;     /* of one POST; 0: 20000 */
};

struct npt_upload_stats {
	uint64_t stored;  /* acknowledged by the aggregator */
	uint64_t dropped; /* given up: spool full, refused for good, or its token expired */
	uint64_t pending;
	char last_error[256]; /* why the last attempt failed; "" after a success */
};

struct npt_upload_window {
	const void *data; /* npt_report_to_protobuf() */
	size_t size_bytes;
	const char *url;   /* https://HOST:PORT/v1/ingest */
	const char *token; /* of the task, for this node */
	const char *task_uid;
	const char *pod_uid;
	const char *instance;
	uint64_t sequence;
};

/* Reads what an earlier process left in the spool and goes on with it. */
int npt_upload_new(const struct npt_upload_options *options, struct npt_upload **upload_ret,
		   struct npt_error *err);
/* Stops at once; what is pending stays in the spool directory. */
void npt_upload_free(struct npt_upload *upload);
NPT_DEFINE_AUTO(struct npt_upload *, npt_upload_free)

/*
 * Copies all of it. The newest token and URL of a task are used for its older windows too, so that
 * a renewed token lets them through. -EMSGSIZE: larger than the whole spool.
 */
int npt_upload_push(struct npt_upload *upload, const struct npt_upload_window *window,
		    struct npt_error *err);
/* Of one pod in one task since this process started (what was found in the spool is pending). */
void npt_upload_stats(struct npt_upload *upload, const char *task_uid, const char *pod_uid,
		      struct npt_upload_stats *stats_ret);
/* Forgets counters and way of a task that is over; its pending windows stay, with their own. */
void npt_upload_forget(struct npt_upload *upload, const char *task_uid);
/* Waits until nothing of the task (NULL: of any) is pending: true, or false after timeout_ms. */
bool npt_upload_drain(struct npt_upload *upload, const char *task_uid, uint64_t timeout_ms);
