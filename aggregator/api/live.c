/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread owns the list of watchers; the server's thread only tells it who came and went.
 *
 * Who may watch is asked again each minute: a right that was taken away ends the watching.
 */
#include "aggregator/api/live.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "aggregator/api/access.h"
#include "aggregator/api/task_json.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/parse.h"
#include "lib/core/queue.h"
#include "lib/core/strmap.h"

#define EVENTS_MAX     8192
#define WATCHERS_MAX   2048
#define POLL_MS        500
#define MORE_MS        20 /* while somebody has not got all that there is */
#define CHECK_NS       (60 * NPT_NS_PER_SECOND)
#define PAGE_WINDOWS   20
#define FRAME_BYTES    1024 /* nothing that a watcher says means anything */
#define CLOSE_POLICY   1008
#define CLOSE_LATER    1013
#define CLOSE_UNKNOWN  4404
#define CLOSE_DENIED   4403
#define CLOSE_STRANGER 4401

struct event {
	uint64_t socket;
	bool is_open;
	char *uid;
	char *authorization;
	uint64_t after;
};

struct watcher {
	LIST_ENTRY(watcher) entry;
	uint64_t socket;
	char *authorization;
	struct npt_stored_task task; /* as it was when the watcher was up to date */
	uint64_t after;
	uint64_t checked_ns;
	bool behind;         /* there may be more than it has got */
	uint64_t settled_ns; /* until then windows may come that others have overtaken (store.h) */
};

struct npt_live {
	struct npt_access_checker *access;
	struct npt_store_reader *reader;
	struct npt_session_key session_key;
	struct npt_server *_Atomic server;
	struct npt_queue *events;
	LIST_HEAD(, watcher) watchers;
	size_t count;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	/* The page that was made last: many watch the same. */
	struct {
		uint64_t task_id, after, next;
		size_t windows;
		char *text;
	} page;
};

/* ---- the server's thread ---- */

static void free_event(void *item)
{
	struct event *event = item;

	free(event->uid);
	free(event->authorization);
	free(event);
}

/* "after=123", alone. */
static bool parse_after(const char *query, uint64_t *after_ret)
{
	*after_ret = 0;
	return query[0] == '\0' || (strncmp(query, "after=", 6) == 0 &&
				    npt_parse_u64(query + 6, 1, INT64_MAX, after_ret) == 0);
}

static void on_open(void *context, uint64_t socket, const struct npt_opening *opening)
{
	struct npt_live *live = context;
	struct event *event;
	uint64_t after;

	if (!live->server) /* not set yet: closed when nobody decides in time */
		return;
	if (!parse_after(opening->query, &after)) {
		(void)npt_server_socket_close(live->server, socket, CLOSE_POLICY,
					      "the only parameter is after, a number");
		return;
	}
	event = npt_alloc(1, sizeof(*event));
	event->is_open = true;
	event->socket = socket;
	event->uid = npt_strdup(opening->params[0]);
	event->authorization =
		npt_session_authorization(&live->session_key, opening->authorization,
					  opening->cookie, opening->origin, opening->host);
	event->after = after;
	if (npt_queue_push(live->events, event) == 0)
		return;
	free_event(event);
	(void)npt_server_socket_close(live->server, socket, CLOSE_LATER, "too many at once");
}

/* If even that finds no room, the thread finds out by itself: what it sends arrives nowhere. */
static void on_close(void *context, uint64_t socket)
{
	struct npt_live *live = context;
	struct event *event = npt_alloc(1, sizeof(*event));

	event->socket = socket;
	if (npt_queue_push(live->events, event) < 0)
		free_event(event);
}

struct npt_endpoint npt_live_endpoint(struct npt_live *live)
{
	return (struct npt_endpoint){ .path = "/v1/tasks/{uid}/live",
				      .max_frame_bytes = FRAME_BYTES,
				      .context = live,
				      .on_open = on_open,
				      .on_close = on_close };
}

/* ---- the thread ---- */

static void free_watcher(struct npt_live *live, struct watcher *watcher)
{
	LIST_REMOVE(watcher, entry);
	live->count--;
	free(watcher->authorization);
	free(watcher);
}

/* 0, or the code to close with, and why. */
static unsigned int check_access(struct npt_live *live, const char *authorization, const char *uid,
				 struct npt_stored_task *task_ret, struct npt_error *err)
{
	struct npt_identity identity;
	unsigned int status = npt_access_identify(live->access, authorization, &identity, err);
	int r;

	if (status != 0)
		return status == 401 ? CLOSE_STRANGER : CLOSE_LATER;
	r = npt_store_find_task(live->reader, uid, task_ret, err);
	if (r < 0)
		return r == -ENOENT ? CLOSE_UNKNOWN : CLOSE_LATER;
	status = npt_access_check(live->access, &identity, task_ret->namespace_name, task_ret->name,
				  err);
	if (status != 0)
		return status == 403 ? CLOSE_DENIED : CLOSE_LATER;
	return 0;
}

static void add_watcher(struct npt_live *live, struct event *event)
{
	struct watcher *watcher;
	struct npt_stored_task task;
	struct npt_error err = NPT_ERROR_NONE;
	unsigned int code;

	if (live->count == WATCHERS_MAX) {
		(void)npt_server_socket_close(live->server, event->socket, CLOSE_LATER,
					      "too many watch already");
		return;
	}
	code = check_access(live, event->authorization, event->uid, &task, &err);
	if (code != 0) {
		(void)npt_server_socket_close(live->server, event->socket, code, err.text);
		return;
	}
	if (npt_server_socket_accept(live->server, event->socket) < 0) {
		(void)npt_server_socket_close(live->server, event->socket, CLOSE_LATER,
					      "too many at once");
		return;
	}
	watcher = npt_alloc(1, sizeof(*watcher));
	watcher->socket = event->socket;
	watcher->authorization = npt_take(event->authorization);
	watcher->task = task;
	watcher->after = event->after;
	watcher->checked_ns = npt_clock_monotonic_ns();
	watcher->settled_ns = watcher->checked_ns + 2 * NPT_STORE_SETTLED_MS * NPT_NS_PER_MS;
	watcher->behind = true;
	LIST_INSERT_HEAD(&live->watchers, watcher, entry);
	live->count++;
}

static void remove_watcher(struct npt_live *live, uint64_t socket)
{
	struct watcher *watcher;

	LIST_FOREACH(watcher, &live->watchers, entry)
	{
		if (watcher->socket != socket)
			continue;
		free_watcher(live, watcher);
		return;
	}
}

static void handle(struct npt_live *live, struct event *event)
{
	if (event->is_open)
		add_watcher(live, event);
	else
		remove_watcher(live, event->socket);
	free_event(event);
}

/* The page behind a cursor, made once for all who are there. */
static int make_page(struct npt_live *live, const struct watcher *watcher, struct npt_error *err)
{
	const struct npt_store_filter filter = { .task_id = watcher->task.id,
						 .after = watcher->after,
						 .limit = PAGE_WINDOWS,
						 .is_going_on = true };

	if (live->page.text && live->page.task_id == watcher->task.id &&
	    live->page.after == watcher->after)
		return 0;
	free(live->page.text);
	live->page.text = NULL;
	live->page.task_id = watcher->task.id;
	live->page.after = watcher->after;
	return npt_task_live_json(live->reader, &filter, &live->page.text, &live->page.windows,
				  &live->page.next, err);
}

/* Sends what there is, a page at a time; who has not read the last one gets the next one later. */
static void send_pages(struct npt_live *live, struct watcher *watcher)
{
	struct npt_error err = NPT_ERROR_NONE;

	while (npt_server_socket_queued_bytes(live->server, watcher->socket) == 0) {
		int r = make_page(live, watcher, &err);

		if (r < 0 && r != -EAGAIN)
			npt_log_error("the store cannot be read", "error", err.text);
		if (r < 0)
			return;
		if (live->page.windows == 0) {
			watcher->behind = false;
			return;
		}
		if (npt_server_socket_send(live->server, watcher->socket, live->page.text,
					   strlen(live->page.text)) < 0)
			return;
		watcher->after = live->page.next;
	}
}

/* True: somebody has not got all that there is. */
static bool send_to_all(struct npt_live *live)
{
	struct watcher *watcher;
	bool behind = false;

	LIST_FOREACH(watcher, &live->watchers, entry)
	{
		if (watcher->behind)
			send_pages(live, watcher);
		behind = behind || watcher->behind;
	}
	return behind;
}

/* As it is in this round: many watch the same, and the store may be a server far away. */
static bool find_once(struct npt_live *live, struct npt_strmap *round, const char *uid,
		      struct npt_stored_task *task_ret)
{
	struct npt_stored_task *known = npt_strmap_get(round, uid);

	if (!known) {
		known = npt_alloc(1, sizeof(*known));
		if (npt_store_find_task(live->reader, uid, known, NULL) < 0)
			known->id = 0;
		(void)npt_strmap_set(round, uid, known); /* one a watcher at most: there is room */
	}
	*task_ret = *known;
	return known->id != 0;
}

/* Is there more than the watcher has got? A task that was removed has no more. */
static void look(struct npt_live *live, struct npt_strmap *round, struct watcher *watcher,
		 uint64_t now_ns)
{
	struct npt_stored_task now;

	if (!find_once(live, round, watcher->task.uid, &now))
		return;
	if (now.windows == watcher->task.windows && now_ns >= watcher->settled_ns)
		return;
	if (now.windows != watcher->task.windows)
		watcher->settled_ns = now_ns + 2 * NPT_STORE_SETTLED_MS * NPT_NS_PER_MS;
	watcher->task = now;
	watcher->behind = true;
}

/* False: the watcher is gone. */
static bool may_still_watch(struct npt_live *live, struct watcher *watcher, uint64_t now_ns)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_stored_task task;
	unsigned int code;

	if (now_ns - watcher->checked_ns < CHECK_NS)
		return true;
	watcher->checked_ns = now_ns;
	code = check_access(live, watcher->authorization, watcher->task.uid, &task, &err);
	if (code != CLOSE_STRANGER && code != CLOSE_DENIED)
		return true;
	(void)npt_server_socket_close(live->server, watcher->socket, code, err.text);
	free_watcher(live, watcher);
	return false;
}

static void look_at_all(struct npt_live *live, uint64_t now_ns)
{
	npt_auto(npt_strmap_free) struct npt_strmap *round = npt_strmap_new(WATCHERS_MAX, free);
	struct watcher *watcher = LIST_FIRST(&live->watchers), *next;

	/* What was read before may have more by now. */
	free(live->page.text);
	live->page.text = NULL;
	for (; watcher; watcher = next) {
		next = LIST_NEXT(watcher, entry);
		if (may_still_watch(live, watcher, now_ns))
			look(live, round, watcher, now_ns);
	}
}

static void *run(void *argument)
{
	struct npt_live *live = argument;
	uint64_t looked_ns = 0;
	bool behind = false;

	while (!atomic_load(&live->stop)) {
		struct event *event = npt_queue_wait(live->events, behind ? MORE_MS : POLL_MS);
		uint64_t now = npt_clock_monotonic_ns();

		while (event) {
			handle(live, event);
			event = npt_queue_pop(live->events);
		}
		if (now - looked_ns >= POLL_MS * NPT_NS_PER_MS) {
			looked_ns = now;
			look_at_all(live, now);
		}
		behind = send_to_all(live);
	}
	return NULL;
}

int npt_live_start(const struct npt_api_options *options, struct npt_live **live_ret,
		   struct npt_error *err)
{
	npt_auto(npt_live_free) struct npt_live *live = npt_alloc(1, sizeof(*live));
	int r;

	live->session_key = options->session_key;
	LIST_INIT(&live->watchers);
	live->events = npt_queue_new(EVENTS_MAX, free_event);
	r = npt_access_checker_new(options->config, &live->access, err);
	if (r == 0)
		r = npt_store_open_reader(options->store, &live->reader, err);
	if (r < 0)
		return r;
	r = pthread_create(&live->thread, NULL, run, live);
	if (r != 0)
		return npt_error_set(err, r, "cannot start a thread: %s", strerror(r));
	live->started = true;
	*live_ret = npt_take(live);
	return 0;
}

void npt_live_set_server(struct npt_live *live, struct npt_server *server)
{
	atomic_store(&live->server, server);
}

void npt_live_cancel(struct npt_live *live)
{
	npt_access_checker_cancel(live->access);
}

void npt_live_free(struct npt_live *live)
{
	struct watcher *watcher;

	if (!live)
		return;
	atomic_store(&live->stop, true);
	npt_queue_close(live->events);
	if (live->started)
		(void)pthread_join(live->thread, NULL);
	while ((watcher = LIST_FIRST(&live->watchers)))
		free_watcher(live, watcher);
	npt_queue_free(live->events);
	npt_store_reader_free(live->reader);
	npt_access_checker_free(live->access);
	free(live->page.text);
	free(live);
}
