/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules are client-go's: the first LIST is consistent (no resourceVersion), a relist asks for
 * at least the last version seen, unless the server said that it has not got it any more. A watch
 * that ends without an error goes on from the last version, without a new LIST; bookmarks keep that
 * version fresh in quiet times. A version is text that is compared with nothing.
 */
#include "lib/kube/reflector.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/strmap.h"
#include "lib/core/random.h"
#include "lib/kube/framer.h"
#include "lib/kube/list.h"
#include "lib/net/http_client.h"

#define MAX_OBJECTS_DEFAULT 20000
#define NAME_BYTES_MAX      253
#define WATCH_SECONDS_MIN   300
#define WATCH_SILENCE       180
#define BACKOFF_MS_FIRST    800
#define BACKOFF_MS_MAX      30000
#define BACKOFF_RESET_NS    (120 * NPT_NS_PER_SECOND)
#define SHORT_WATCH_NS      NPT_NS_PER_SECOND
#define ERROR_EVENTS_MAX    5

struct npt_reflector {
	struct npt_reflector_options options; /* its texts are our copies */
	char *texts[3];
	struct npt_kube_client *client;
	pthread_t thread;
	bool is_running;
	atomic_bool stop;
	struct npt_strmap *known;  /* "namespace/name" -> uid */
	struct npt_strmap *listed; /* while a LIST runs: which of the known are still there */
	char version[64];          /* last one seen; opaque */
	bool version_lost;         /* the server has not got it: LIST without */
	bool is_fresh;             /* no watch went well since the LIST */
	struct npt_framer framer;
	struct npt_error stream_err;
	int error_event;            /* outcome of an ERROR event; 0: none came */
	unsigned int error_events;  /* in a row, but for 410 */
	unsigned int retry_seconds; /* the server asked for */
	uint64_t watch_events;      /* of this watch */
	uint64_t backoff_ms;
	uint64_t failed_ns;
	atomic_ullong lists, watches, short_watches, failures, events, skipped;
};

static bool is_stopped(const struct npt_reflector *reflector)
{
	return atomic_load(&reflector->stop);
}

static void trouble(struct npt_reflector *reflector, const char *text)
{
	atomic_fetch_add(&reflector->failures, 1);
	if (reflector->options.on_trouble)
		reflector->options.on_trouble(reflector->options.context, text);
}

static void skip(struct npt_reflector *reflector, const char *text)
{
	atomic_fetch_add(&reflector->skipped, 1);
	trouble(reflector, text);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* "namespace/name", or NULL for what is no object of ours. */
static char *key_of(const struct npt_reflector *reflector, const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const char *namespace_name = text_of(metadata, "namespace");
	const char *name = text_of(metadata, "name"), *kind = text_of(object, "kind");

	if (reflector->options.kind && kind[0] && strcmp(kind, reflector->options.kind) != 0)
		return NULL;
	if (!name[0] || strlen(name) > NAME_BYTES_MAX || strlen(namespace_name) > NAME_BYTES_MAX ||
	    strlen(text_of(metadata, "uid")) > NAME_BYTES_MAX)
		return NULL;
	return npt_format("%s/%s", namespace_name, name);
}

static void set_version(struct npt_reflector *reflector, const char *version)
{
	if (version[0] && strlen(version) < sizeof(reflector->version))
		(void)snprintf(reflector->version, sizeof(reflector->version), "%s", version);
}

static void tell_delete(struct npt_reflector *reflector, const char *key, const char *uid)
{
	const char *slash = strchr(key, '/');
	npt_auto_free char *namespace_name = npt_strndup(key, (size_t)(slash - key));

	reflector->options.on_delete(reflector->options.context, namespace_name, slash + 1, uid);
}

/* Added or changed; a name with a new uid is another object. False: not kept. */
static bool apply_object(struct npt_reflector *reflector, const char *key, json_t *object)
{
	const char *uid = text_of(json_object_get(object, "metadata"), "uid");
	const char *known = npt_strmap_get(reflector->known, key);
	npt_auto_free char *copy = NULL;

	if (known && strcmp(known, uid) != 0) {
		tell_delete(reflector, key, known);
		known = NULL;
	}
	if (!known) {
		copy = npt_strdup(uid);
		if (npt_strmap_set(reflector->known, key, copy) < 0) {
			skip(reflector, "there are more objects than are watched; one is left out");
			return false;
		}
		(void)npt_take(copy);
	}
	reflector->options.on_object(reflector->options.context, object);
	return true;
}

/* Of an object that we do not know, or know by another uid, nothing is told. */
static void apply_delete(struct npt_reflector *reflector, const char *key, const json_t *object)
{
	const char *known = npt_strmap_get(reflector->known, key);
	npt_auto_free char *uid = NULL;

	if (!known || strcmp(known, text_of(json_object_get(object, "metadata"), "uid")) != 0)
		return;
	uid = npt_strmap_steal(reflector->known, key);
	tell_delete(reflector, key, uid);
}

/* After a LIST: what was known and is not there any more was deleted while nobody watched. */
static void delete_unlisted(struct npt_reflector *reflector)
{
	for (size_t i = npt_strmap_count(reflector->known); i > 0; i--) {
		npt_auto_free char *key = npt_strdup(npt_strmap_key_at(reflector->known, i - 1));
		npt_auto_free char *uid = NULL;

		if (npt_strmap_get(reflector->listed, key))
			continue;
		uid = npt_strmap_steal(reflector->known, key);
		tell_delete(reflector, key, uid);
	}
}

static int take_listed(void *context, json_t *object)
{
	struct npt_reflector *reflector = context;
	npt_auto_free char *key = key_of(reflector, object);

	if (!key)
		skip(reflector, "the list holds an object of another kind or without a name");
	else if (apply_object(reflector, key, object))
		(void)npt_strmap_set(reflector->listed, key, reflector);
	return 0;
}

static void forget_listed(void *context)
{
	struct npt_reflector *reflector = context;

	npt_strmap_free(reflector->listed);
	reflector->listed = npt_strmap_new(reflector->options.max_objects, NULL);
}

static int list_once(struct npt_reflector *reflector, const char *version, struct npt_error *err)
{
	struct npt_kube_list list = {
		.path = reflector->options.path,
		.selector = reflector->options.selector,
		.version = version,
		.on_object = take_listed,
		.on_restart = forget_listed,
		.context = reflector,
	};
	int r;

	atomic_fetch_add(&reflector->lists, 1);
	forget_listed(reflector);
	r = npt_kube_list(reflector->client, &list, err);
	reflector->retry_seconds = list.retry_after_seconds;
	if (r == 0)
		set_version(reflector, list.version_ret);
	if (r == 0 && list.skipped)
		skip(reflector, "the list holds an object that is not readable");
	return r;
}

static int list(struct npt_reflector *reflector, struct npt_error *err)
{
	bool again = reflector->version[0] && !reflector->version_lost;
	int r = list_once(reflector, again ? reflector->version : NULL, err);

	if (r == NPT_KUBE_GONE && again) {
		reflector->version_lost = true;
		r = list_once(reflector, NULL, err);
	}
	if (r == 0) {
		delete_unlisted(reflector);
		reflector->version_lost = false;
		reflector->is_fresh = true;
		if (reflector->options.on_synced)
			reflector->options.on_synced(reflector->options.context);
	}
	npt_strmap_free(npt_take(reflector->listed));
	return r;
}

static void apply_event(struct npt_reflector *reflector, const char *type, json_t *object)
{
	const char *version = text_of(json_object_get(object, "metadata"), "resourceVersion");
	bool is_bookmark = strcmp(type, "BOOKMARK") == 0;
	npt_auto_free char *key = is_bookmark ? NULL : key_of(reflector, object);

	if (!is_bookmark && !key) {
		skip(reflector, "the watch told of an object of another kind or without a name");
		return;
	}
	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0)
		(void)apply_object(reflector, key, object);
	else if (strcmp(type, "DELETED") == 0)
		apply_delete(reflector, key, object);
	else if (!is_bookmark)
		skip(reflector, "the watch told of an event of unknown type");
	set_version(reflector, version);
}

static int take_event(void *context, bool is_metadata, const char *text, size_t size_bytes)
{
	struct npt_reflector *reflector = context;
	json_t *event = npt_kube_parse(text, size_bytes);
	json_t *object = json_object_get(event, "object");
	const char *type = text_of(event, "type");
	int r = 0;

	(void)is_metadata;
	(void)json_object_del(json_object_get(object, "metadata"), "managedFields");
	if (!json_is_object(object)) {
		skip(reflector, "the watch told of something that is not readable");
	} else if (strcmp(type, "ERROR") == 0) {
		reflector->error_event = (int)npt_kube_outcome_of_status(object);
		reflector->retry_seconds = (unsigned int)json_integer_value(
			json_object_get(json_object_get(object, "details"), "retryAfterSeconds"));
		r = npt_error_set(&reflector->stream_err, ECONNABORTED,
				  "%s: the watch said: %.200s", reflector->options.path,
				  text_of(object, "message"));
	} else {
		atomic_fetch_add(&reflector->events, 1);
		reflector->watch_events++;
		apply_event(reflector, type, object);
	}
	json_decref(event);
	return r;
}

static int feed(void *context, const char *data, size_t size_bytes)
{
	struct npt_reflector *reflector = context;

	return npt_framer_feed(&reflector->framer, data, size_bytes, &reflector->stream_err);
}

/* One watch to its end. 0 or -ECONNRESET: it just ended; an outcome may be that of an event. */
static int watch(struct npt_reflector *reflector, struct npt_error *err)
{
	uint64_t seconds = WATCH_SECONDS_MIN + npt_random_below(WATCH_SECONDS_MIN);
	const char *selector = reflector->options.selector;
	npt_auto_free char *version = npt_http_escape(reflector->version);
	npt_auto_free char *path = npt_format(
		"%s?%s%swatch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%llu",
		reflector->options.path, selector ? selector : "", selector ? "&" : "", version,
		(unsigned long long)seconds);
	struct npt_kube_stream stream = {
		.path = path,
		.timeout_ms = (seconds + 30) * 1000,
		.silence_seconds = WATCH_SILENCE,
		.on_data = feed,
		.context = reflector,
	};
	int r;

	atomic_fetch_add(&reflector->watches, 1);
	reflector->error_event = 0;
	reflector->watch_events = 0;
	reflector->retry_seconds = 0;
	reflector->stream_err = (struct npt_error)NPT_ERROR_NONE;
	npt_framer_init(&reflector->framer, NPT_FRAMER_STREAM, take_event, reflector);
	r = npt_kube_stream(reflector->client, &stream, err);
	npt_framer_done(&reflector->framer);
	if (stream.retry_after_seconds)
		reflector->retry_seconds = stream.retry_after_seconds;
	if (r < 0 && reflector->stream_err.code && err)
		*err = reflector->stream_err;
	return r < 0 && reflector->error_event ? reflector->error_event : r;
}

/* 800 ms, doubled up to 30 s, up to as much again by chance; forgotten after two good minutes. */
static void back_off(struct npt_reflector *reflector)
{
	uint64_t now = npt_clock_boottime_ns(), ms;

	if (now > reflector->failed_ns + BACKOFF_RESET_NS || reflector->backoff_ms == 0)
		reflector->backoff_ms = reflector->options.backoff_ms_first;
	ms = reflector->backoff_ms + npt_random_below(reflector->backoff_ms);
	if (reflector->retry_seconds > BACKOFF_MS_MAX / 1000)
		reflector->retry_seconds = BACKOFF_MS_MAX / 1000;
	if (ms < reflector->retry_seconds * 1000ULL)
		ms = reflector->retry_seconds * 1000ULL;
	(void)npt_kube_client_pause(reflector->client, ms);
	reflector->failed_ns = npt_clock_boottime_ns();
	reflector->backoff_ms *= 2;
	if (reflector->backoff_ms > BACKOFF_MS_MAX)
		reflector->backoff_ms = BACKOFF_MS_MAX;
}

static void fail(struct npt_reflector *reflector, const char *text)
{
	trouble(reflector, text);
	back_off(reflector);
}

/* A watch has ended: what now? True: watch on from the last version; false: LIST. */
static bool go_on(struct npt_reflector *reflector, int r, uint64_t lasted_ns, const char *text)
{
	bool was_short = lasted_ns < SHORT_WATCH_NS && reflector->watch_events == 0;

	if (r == NPT_KUBE_GONE) {
		if (reflector->is_fresh && was_short) /* LIST and 410 must not chase each other */
			back_off(reflector);
		return false;
	}
	reflector->is_fresh = false;
	if (r == 0 || r == -ECONNRESET || r == -ETIMEDOUT) {
		reflector->error_events = 0;
		if (was_short) {
			atomic_fetch_add(&reflector->short_watches, 1);
			fail(reflector, r ? text : "the watch ended at once");
		}
		return true;
	}
	fail(reflector, text);
	if (reflector->error_event && ++reflector->error_events >= ERROR_EVENTS_MAX) {
		reflector->error_events = 0;
		return false;
	}
	return r == NPT_KUBE_BUSY || r == -ECONNREFUSED;
}

static void watch_on(struct npt_reflector *reflector)
{
	bool more = true;

	while (more && !is_stopped(reflector)) {
		struct npt_error err = NPT_ERROR_NONE;
		uint64_t began_ns = npt_clock_boottime_ns();
		int r = watch(reflector, &err);

		if (!is_stopped(reflector))
			more = go_on(reflector, r, npt_clock_boottime_ns() - began_ns, err.text);
	}
}

static void *run(void *context)
{
	struct npt_reflector *reflector = context;

	while (!is_stopped(reflector)) {
		struct npt_error err = NPT_ERROR_NONE;

		if (list(reflector, &err) == 0)
			watch_on(reflector);
		else if (!is_stopped(reflector))
			fail(reflector, err.text);
	}
	return NULL;
}

static const char *copy_text(char **text_ret, const char *text)
{
	*text_ret = text ? npt_strdup(text) : NULL;
	return *text_ret;
}

int npt_reflector_start(struct npt_reflector **reflector_ret,
			const struct npt_reflector_options *options, struct npt_error *err)
{
	npt_auto(npt_reflector_free) struct npt_reflector *reflector =
		npt_alloc(1, sizeof(*reflector));
	int r = npt_kube_client_new(&reflector->client, options->config, err);

	if (r < 0)
		return r;
	reflector->options = *options;
	if (reflector->options.max_objects == 0)
		reflector->options.max_objects = MAX_OBJECTS_DEFAULT;
	if (reflector->options.backoff_ms_first == 0)
		reflector->options.backoff_ms_first = BACKOFF_MS_FIRST;
	reflector->options.path = copy_text(&reflector->texts[0], options->path);
	reflector->options.selector = copy_text(&reflector->texts[1], options->selector);
	reflector->options.kind = copy_text(&reflector->texts[2], options->kind);
	reflector->known = npt_strmap_new(reflector->options.max_objects, free);
	r = pthread_create(&reflector->thread, NULL, run, reflector);
	if (r != 0)
		return npt_error_set(err, r, "cannot start a thread");
	reflector->is_running = true;
	*reflector_ret = npt_take(reflector);
	return 0;
}

void npt_reflector_free(struct npt_reflector *reflector)
{
	if (!reflector)
		return;
	atomic_store(&reflector->stop, true);
	if (reflector->is_running) {
		npt_kube_client_cancel(reflector->client);
		(void)pthread_join(reflector->thread, NULL);
	}
	npt_kube_client_free(reflector->client);
	npt_strmap_free(reflector->known);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(reflector->texts); i++)
		free(reflector->texts[i]);
	free(reflector);
}

void npt_reflector_stats(const struct npt_reflector *reflector,
			 struct npt_reflector_stats *stats_ret)
{
	*stats_ret = (struct npt_reflector_stats){
		.lists = atomic_load(&reflector->lists),
		.watches = atomic_load(&reflector->watches),
		.short_watches = atomic_load(&reflector->short_watches),
		.failures = atomic_load(&reflector->failures),
		.events = atomic_load(&reflector->events),
		.skipped = atomic_load(&reflector->skipped),
	};
}
