/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent says is bound to its token: the task, and the node on which the agent runs. The
 * names of the task are taken from the token, too: the controller wrote them.
 */
#include "aggregator/ingest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/answer.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/queue.h"
#include "lib/model/history.h"
#include "lib/model/report_protobuf.h"
#include "lib/net/token.h"

#define POSTS_MAX       256
#define BATCH_WINDOWS   64
#define BATCH_EDGES_MAX 1024 /* a decoded edge is 10 KiB */
#define TRIM_PERIOD_NS  (30 * NPT_NS_PER_SECOND)
#define WAIT_MS         1000
#define AHEAD_MS_MAX    UINT64_C(3600000) /* clocks of nodes differ, but not so much */

struct post {
	struct npt_request *request;
	struct npt_token token;
};

struct npt_ingest {
	struct npt_ingest_options options;
	struct npt_queue *posts;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	uint64_t trimmed_ns;
	bool failing; /* said once, until it works again */
	struct {
		atomic_uint_least64_t stored, duplicates, refused, failed;
	} stats;
};

/* What is to be stored in one transaction. */
struct batch {
	struct npt_request *requests[BATCH_WINDOWS];
	struct npt_report *windows[BATCH_WINDOWS];
	bool added[BATCH_WINDOWS];
	size_t count;
	size_t edges;
};

static void refuse(struct npt_ingest *ingest, struct npt_request *request, unsigned int status,
		   const char *detail)
{
	atomic_fetch_add(&ingest->stats.refused, 1);
	npt_answer_problem(request, status, detail);
}

void npt_ingest_handle(void *context, struct npt_request *request)
{
	struct npt_ingest *ingest = context;
	const char *text = npt_bearer_token(request->authorization);
	npt_auto_free struct post *post = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (!text) {
		refuse(ingest, request, 401, "a post needs the task's ingest token as bearer");
		return;
	}
	post = npt_alloc(1, sizeof(*post));
	post->request = request;
	if (npt_token_verify(ingest->options.key, ingest->options.key_bytes, text,
			     npt_clock_unix_ms(), &post->token, &err) < 0) {
		refuse(ingest, request, 401, err.text);
		return;
	}
	if (npt_queue_push(ingest->posts, post) < 0)
		npt_answer_problem(request, 503, "too many windows are waiting to be stored");
	else
		post = NULL;
}

/* A field of the window against the same one of the token; empty ones say nothing. */
static int check_same(const char *what, const char *said, const char *allowed,
		      struct npt_error *err)
{
	if (strcmp(said, allowed) == 0)
		return 0;
	return npt_error_set(err, EPERM, "the window's %s is '%.60s', the token's is '%.60s'", what,
			     said, allowed);
}

static int check_window(const struct npt_report *window, const struct npt_token *token,
			struct npt_error *err)
{
	int r = check_same("task uid", window->task.uid, token->task_uid, err);

	if (r == 0)
		r = check_same("node", window->node, token->node, err);
	if (r == 0)
		r = check_same("pod namespace", window->pod.namespace_name, token->namespace_name,
			       err);
	if (r < 0)
		return r;
	if (window->start_unix_ms > npt_clock_unix_ms() + AHEAD_MS_MAX)
		return npt_error_set(err, EBADMSG,
				     "the window is of a time more than an hour ahead: is the "
				     "node's clock right?");
	if (window->kind != NPT_REPORT_WINDOW || window->sequence == 0 ||
	    window->instance[0] == '\0' || window->pod.uid[0] == '\0')
		return npt_error_set(err, EBADMSG,
				     "a window needs a pod uid, an instance and a sequence from 1");
	return 0;
}

static int decode(const struct post *post, struct npt_report **window_ret, struct npt_error *err)
{
	npt_auto(npt_report_free) struct npt_report *window = NULL;
	int r = npt_report_from_protobuf(post->request->body, post->request->body_bytes, &window,
					 err);

	if (r == 0)
		r = check_window(window, &post->token, err);
	if (r < 0)
		return r;
	(void)snprintf(window->task.namespace_name, sizeof(window->task.namespace_name), "%s",
		       post->token.namespace_name);
	(void)snprintf(window->task.name, sizeof(window->task.name), "%s", post->token.name);
	*window_ret = npt_take(window);
	return 0;
}

/* Into the batch, or back to the sender. */
static void take(struct npt_ingest *ingest, struct post *post, struct batch *batch)
{
	npt_auto_free struct post *owned = post;
	struct npt_report *window = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	int r = decode(owned, &window, &err);

	if (r < 0) {
		refuse(ingest, owned->request,
		       r == -EPERM      ? 403
		       : r == -EMSGSIZE ? 413
					: 400,
		       err.text);
		return;
	}
	batch->requests[batch->count] = owned->request;
	batch->windows[batch->count] = window;
	batch->count++;
	batch->edges += window->edges_count;
}

/* A damaged store is put aside, with a word about it; what is at hand goes into a new one. */
static int append(struct npt_ingest *ingest, struct batch *batch, struct npt_error *err)
{
	npt_auto_free char *kept = NULL;
	int r = npt_store_append(ingest->options.store, batch->windows, batch->count, batch->added,
				 err);

	if (r != -EUCLEAN)
		return r;
	npt_log_error("store is damaged", "error", err->text);
	r = npt_store_set_aside(ingest->options.store, &kept, err);
	if (r < 0)
		return r;
	npt_log_error("store begins anew; the damaged one is kept", "file", kept);
	return npt_store_append(ingest->options.store, batch->windows, batch->count, batch->added,
				err);
}

static void say_outcome(struct npt_ingest *ingest, int r, const struct npt_error *err)
{
	if (r < 0 && !ingest->failing)
		npt_log_error("windows cannot be stored; agents keep them", "error", err->text);
	if (r == 0 && ingest->failing)
		npt_log_info("windows are stored again");
	ingest->failing = r < 0;
}

static void store(struct npt_ingest *ingest, struct batch *batch)
{
	struct npt_error err = NPT_ERROR_NONE;
	int r = append(ingest, batch, &err);

	say_outcome(ingest, r, &err);
	for (size_t i = 0; i < batch->count; i++) {
		uint64_t sequence = batch->windows[i]->sequence;

		if (r == 0 && batch->added[i] && ingest->options.on_added)
			ingest->options.on_added(ingest->options.context, batch->windows[i]);
		else
			npt_report_free(batch->windows[i]);
		if (r < 0) {
			atomic_fetch_add(&ingest->stats.failed, 1);
			npt_answer_problem(batch->requests[i], 503, "the window was not stored");
			continue;
		}
		atomic_fetch_add(
			batch->added[i] ? &ingest->stats.stored : &ingest->stats.duplicates, 1);
		npt_answer_json_take(batch->requests[i],
				     npt_stored_window_to_json(sequence, batch->added[i]));
	}
}

static void trim_sometimes(struct npt_ingest *ingest)
{
	uint64_t now = npt_clock_monotonic_ns(), removed = 0;
	struct npt_error err = NPT_ERROR_NONE;

	if (now - ingest->trimmed_ns < TRIM_PERIOD_NS)
		return;
	ingest->trimmed_ns = now;
	if (npt_store_trim(ingest->options.store, &ingest->options.limits, npt_clock_unix_ms(),
			   &removed, &err) < 0)
		npt_log_warning("old tasks cannot be removed", "error", err.text);
	else if (removed > 0)
		npt_log_info("old tasks removed", "tasks", npt_log_u64(removed));
}

static void *run(void *argument)
{
	struct npt_ingest *ingest = argument;
	struct post *post;

	for (;;) {
		struct batch batch = { .count = 0 };

		post = npt_queue_wait(ingest->posts, WAIT_MS);
		if (!post && atomic_load(&ingest->stop))
			return NULL;
		while (post) {
			take(ingest, post, &batch);
			if (batch.count == BATCH_WINDOWS || batch.edges >= BATCH_EDGES_MAX)
				break;
			post = npt_queue_pop(ingest->posts);
		}
		if (batch.count > 0)
			store(ingest, &batch);
		trim_sometimes(ingest);
	}
}

static void free_post(void *item)
{
	struct post *post = item;

	npt_answer_problem(post->request, 503, "the aggregator is stopping");
	free(post);
}

int npt_ingest_start(const struct npt_ingest_options *options, struct npt_ingest **ingest_ret,
		     struct npt_error *err)
{
	struct npt_ingest *ingest = npt_alloc(1, sizeof(*ingest));
	int r;

	ingest->options = *options;
	ingest->posts = npt_queue_new(POSTS_MAX, free_post);
	r = pthread_create(&ingest->thread, NULL, run, ingest);
	if (r != 0) {
		npt_ingest_free(ingest);
		return npt_error_set(err, r, "cannot start a thread: %s", strerror(r));
	}
	ingest->started = true;
	*ingest_ret = ingest;
	return 0;
}

void npt_ingest_free(struct npt_ingest *ingest)
{
	if (!ingest)
		return;
	atomic_store(&ingest->stop, true);
	npt_queue_close(ingest->posts);
	if (ingest->started)
		(void)pthread_join(ingest->thread, NULL);
	npt_queue_free(ingest->posts);
	free(ingest);
}

void npt_ingest_stats(struct npt_ingest *ingest, struct npt_ingest_stats *stats_ret)
{
	*stats_ret = (struct npt_ingest_stats){
		.stored = atomic_load(&ingest->stats.stored),
		.duplicates = atomic_load(&ingest->stats.duplicates),
		.refused = atomic_load(&ingest->stats.refused),
		.failed = atomic_load(&ingest->stats.failed),
		.waiting = npt_queue_count(ingest->posts),
	};
}
