/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules are client-go's: the first LIST is consistent (no resourceVersion, in pages), a relist
 * asks for at least the last version seen (then without a limit, which would bypass the watch
 * cache) unless the server said that it has not got it any more. A watch that ends without an error
 * goes on from the last version, without a new LIST; bookmarks keep that version fresh in quiet
 * times.
 */
#include "lib/kube/reflector.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/strmap.h"
#include "lib/kube/framer.h"

#define MAX_OBJECTS_DEFAULT 20000
#define PAGE_LIMIT          500
#define LIST_TIMEOUT_MS     60000
#define WATCH_SECONDS_MIN   300
#define WATCH_SILENCE       180
#define BACKOFF_MS_FIRST    800
#define BACKOFF_MS_MAX      30000
#define BACKOFF_RESET_NS    (120 * NPT_NS_PER_SECOND)
#define SHORT_WATCH_NS      NPT_NS_PER_SECOND

struct npt_reflector {
	struct npt_reflector_options options;
	char *path;
	char *selector;
	struct npt_kube_client *client;
	pthread_t thread;
	atomic_bool stop;
	struct npt_strmap *known;  /* "namespace/name" -> uid */
	struct npt_strmap *listed; /* while a LIST runs */
	char *version;             /* last resource version seen; opaque */
	bool version_lost;         /* the server has not got it: LIST anew */
	char *next_page;
	struct npt_framer framer;
	uint64_t events;
	uint64_t backoff_ms;
	uint64_t failed_ns;
	int watch_outcome; /* of an ERROR event */
	atomic_ullong lists, watches, failures;
};

static bool is_stopped(void *context)
{
	return atomic_load(&((struct npt_reflector *)context)->stop);
}

static void trouble(struct npt_reflector *reflector, const char *text)
{
	atomic_fetch_add(&reflector->failures, 1);
	if (reflector->options.on_trouble)
		reflector->options.on_trouble(reflector->options.context, text);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static char *key_of(const json_t *metadata)
{
	return npt_format("%s/%s", text_of(metadata, "namespace"), text_of(metadata, "name"));
}

static void set_version(struct npt_reflector *reflector, const char *version)
{
	if (version[0] == '\0')
		return;
	free(reflector->version);
	reflector->version = npt_strdup(version);
}

static void tell_delete(struct npt_reflector *reflector, const char *key, const char *uid)
{
	const char *slash = strchr(key, '/');
	npt_auto_free char *namespace_name = npt_strndup(key, (size_t)(slash - key));

	reflector->options.on_delete(reflector->options.context, namespace_name, slash + 1, uid);
}

/* Added or changed; a name with a new uid is another object. */
static void apply_object(struct npt_reflector *reflector, json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");
	npt_auto_free char *key = key_of(metadata);
	const char *uid = text_of(metadata, "uid");
	const char *known = npt_strmap_get(reflector->known, key);
	char *copy;

	if (known && strcmp(known, uid) != 0) {
		tell_delete(reflector, key, known);
		known = NULL;
	}
	if (!known) {
		copy = npt_strdup(uid);
		if (npt_strmap_set(reflector->known, key, copy) < 0) {
			free(copy);
			trouble(reflector,
				"there are more objects than are watched; one is left out");
			return;
		}
	}
	reflector->options.on_object(reflector->options.context, object);
}

static void apply_delete(struct npt_reflector *reflector, const json_t *object)
{
	npt_auto_free char *key = key_of(json_object_get(object, "metadata"));
	npt_auto_free char *uid = npt_strmap_steal(reflector->known, key);

	if (uid)
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

static int take_list_object(void *context, bool is_metadata, const char *text, size_t size_bytes)
{
	struct npt_reflector *reflector = context;
	json_t *object = json_loadb(text, size_bytes, 0, NULL);
	npt_auto_free char *key = NULL;

	if (!object)
		return -EBADMSG;
	if (is_metadata) {
		set_version(reflector, text_of(object, "resourceVersion"));
		free(reflector->next_page);
		reflector->next_page = npt_strdup(text_of(object, "continue"));
	} else {
		key = key_of(json_object_get(object, "metadata"));
		(void)npt_strmap_set(reflector->listed, key, reflector);
		apply_object(reflector, object);
	}
	json_decref(object);
	return 0;
}

static int feed(void *context, const char *data, size_t size_bytes)
{
	struct npt_reflector *reflector = context;

	return npt_framer_feed(&reflector->framer, data, size_bytes, NULL);
}

static char *list_path(const struct npt_reflector *reflector, const char *page, bool whole)
{
	const char *selector = reflector->selector ? reflector->selector : "";
	const char *and = reflector->selector ? "&" : "";

	if (page)
		return npt_format("%s?%s%slimit=%d&continue=%s", reflector->path, selector, and,
				  PAGE_LIMIT, page);
	if (reflector->version && !reflector->version_lost)
		return npt_format("%s?%s%sresourceVersion=%s", reflector->path, selector, and,
				  reflector->version);
	if (whole)
		return npt_format("%s?%s", reflector->path, selector);
	return npt_format("%s?%s%slimit=%d", reflector->path, selector, and, PAGE_LIMIT);
}

static int list_page(struct npt_reflector *reflector, const char *page, bool whole,
		     struct npt_error *err)
{
	npt_auto_free char *path = list_path(reflector, page, whole);
	struct npt_kube_stream stream = {
		.path = path,
		.timeout_ms = LIST_TIMEOUT_MS,
		.on_data = feed,
		.is_cancelled = is_stopped,
		.context = reflector,
	};
	int r;

	free(npt_take(reflector->next_page));
	npt_framer_init(&reflector->framer, NPT_FRAMER_LIST, take_list_object, reflector);
	r = npt_kube_stream(reflector->client, &stream, err);
	if (r == 0 && !npt_framer_is_between(&reflector->framer))
		r = npt_error_set(err, EBADMSG, "%s: the list was cut", reflector->path);
	npt_framer_done(&reflector->framer);
	return r;
}

/* All pages; a page whose token has expired means one LIST without pages. */
static int list_pages(struct npt_reflector *reflector, struct npt_error *err)
{
	int r = list_page(reflector, NULL, false, err);

	while (r == 0 && reflector->next_page && reflector->next_page[0]) {
		npt_auto_free char *page = npt_take(reflector->next_page);

		r = list_page(reflector, page, false, err);
		if (r == NPT_KUBE_GONE) {
			free(npt_take(reflector->version));
			return list_page(reflector, NULL, true, err);
		}
	}
	return r;
}

static int list(struct npt_reflector *reflector, struct npt_error *err)
{
	int r;

	atomic_fetch_add(&reflector->lists, 1);
	reflector->listed = npt_strmap_new(reflector->options.max_objects, NULL);
	r = list_pages(reflector, err);
	if (r == NPT_KUBE_GONE) {
		reflector->version_lost = true;
		r = list_pages(reflector, err);
	}
	if (r == 0) {
		delete_unlisted(reflector);
		reflector->version_lost = false;
		if (reflector->options.on_synced)
			reflector->options.on_synced(reflector->options.context);
	}
	npt_strmap_free(npt_take(reflector->listed));
	return r;
}

static int take_event(void *context, bool is_metadata, const char *text, size_t size_bytes)
{
	struct npt_reflector *reflector = context;
	json_t *event = json_loadb(text, size_bytes, 0, NULL);
	const char *type = text_of(event, "type");
	json_t *object = json_object_get(event, "object");
	const char *version = text_of(json_object_get(object, "metadata"), "resourceVersion");
	int r = 0;

	(void)is_metadata;
	if (!event || !json_is_object(object)) {
		r = -EBADMSG;
	} else if (strcmp(type, "ERROR") == 0) {
		reflector->watch_outcome = (int)npt_kube_outcome_of_status(object);
		r = -ECONNABORTED;
	} else {
		reflector->events++;
		if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0)
			apply_object(reflector, object);
		else if (strcmp(type, "DELETED") == 0)
			apply_delete(reflector, object);
		set_version(reflector, version); /* a BOOKMARK is only that */
	}
	json_decref(event);
	return r;
}

static uint64_t random_below(uint64_t limit)
{
	uint64_t value = 0;

	if (limit == 0 || getrandom(&value, sizeof(value), 0) < 0)
		return 0;
	return value % limit;
}

static int watch(struct npt_reflector *reflector, struct npt_error *err)
{
	uint64_t seconds = WATCH_SECONDS_MIN + random_below(WATCH_SECONDS_MIN);
	npt_auto_free char *path = npt_format(
		"%s?%s%swatch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%llu",
		reflector->path, reflector->selector ? reflector->selector : "",
		reflector->selector ? "&" : "", reflector->version, (unsigned long long)seconds);
	struct npt_kube_stream stream = {
		.path = path,
		.timeout_ms = (seconds + 30) * 1000,
		.silence_seconds = WATCH_SILENCE,
		.on_data = feed,
		.is_cancelled = is_stopped,
		.context = reflector,
	};
	int r;

	atomic_fetch_add(&reflector->watches, 1);
	reflector->watch_outcome = 0;
	reflector->events = 0;
	npt_framer_init(&reflector->framer, NPT_FRAMER_STREAM, take_event, reflector);
	r = npt_kube_stream(reflector->client, &stream, err);
	npt_framer_done(&reflector->framer);
	if (r == -ECONNABORTED && reflector->watch_outcome)
		r = reflector->watch_outcome;
	return r;
}

static void sleep_ms(struct npt_reflector *reflector, uint64_t ms)
{
	while (ms > 0 && !is_stopped(reflector)) {
		uint64_t part = ms < 100 ? ms : 100;
		struct timespec time = { .tv_nsec = (long)(part * NPT_NS_PER_MS) };

		(void)nanosleep(&time, NULL);
		ms -= part;
	}
}

static void back_off(struct npt_reflector *reflector)
{
	uint64_t now = npt_clock_boottime_ns();

	if (now > reflector->failed_ns + BACKOFF_RESET_NS || reflector->backoff_ms == 0)
		reflector->backoff_ms = BACKOFF_MS_FIRST;
	sleep_ms(reflector, reflector->backoff_ms + random_below(reflector->backoff_ms));
	reflector->failed_ns = npt_clock_boottime_ns();
	reflector->backoff_ms *= 2;
	if (reflector->backoff_ms > BACKOFF_MS_MAX)
		reflector->backoff_ms = BACKOFF_MS_MAX;
}

/* Watches until a new LIST is due. */
static void watch_on(struct npt_reflector *reflector)
{
	while (!is_stopped(reflector)) {
		struct npt_error err = NPT_ERROR_NONE;
		uint64_t began = npt_clock_boottime_ns();
		int r = watch(reflector, &err);

		if (is_stopped(reflector))
			return;
		if (r == NPT_KUBE_GONE)
			return;
		if (r == -EBADMSG || r == -EMSGSIZE) {
			trouble(reflector, "the watch was no JSON or too large; listing again");
			back_off(reflector);
			return;
		}
		if (r != 0 && err.code != EIO && r != -ETIMEDOUT) {
			trouble(reflector, err.text);
			back_off(reflector);
		} else if (npt_clock_boottime_ns() - began < SHORT_WATCH_NS &&
			   reflector->events == 0) {
			trouble(reflector, "the watch ended at once");
			back_off(reflector);
		}
	}
}

static void *run(void *context)
{
	struct npt_reflector *reflector = context;

	while (!is_stopped(reflector)) {
		struct npt_error err = NPT_ERROR_NONE;
		int r = list(reflector, &err);

		if (r == 0) {
			watch_on(reflector);
		} else if (!is_stopped(reflector)) {
			trouble(reflector, err.text);
			back_off(reflector);
		}
	}
	return NULL;
}

int npt_reflector_start(struct npt_reflector **reflector_ret,
			const struct npt_reflector_options *options, struct npt_error *err)
{
	struct npt_reflector *reflector = npt_alloc(1, sizeof(*reflector));
	int r = npt_kube_client_new(&reflector->client, options->config, err);

	if (r < 0) {
		free(reflector);
		return r;
	}
	reflector->options = *options;
	if (reflector->options.max_objects == 0)
		reflector->options.max_objects = MAX_OBJECTS_DEFAULT;
	reflector->path = npt_strdup(options->path);
	reflector->selector = options->selector ? npt_strdup(options->selector) : NULL;
	reflector->known = npt_strmap_new(reflector->options.max_objects, free);
	if (pthread_create(&reflector->thread, NULL, run, reflector) != 0) {
		atomic_store(&reflector->stop, true);
		return npt_error_set(err, EAGAIN, "cannot start a thread");
	}
	*reflector_ret = reflector;
	return 0;
}

void npt_reflector_free(struct npt_reflector *reflector)
{
	if (!reflector)
		return;
	atomic_store(&reflector->stop, true);
	(void)pthread_join(reflector->thread, NULL);
	npt_kube_client_free(reflector->client);
	npt_strmap_free(reflector->known);
	free(reflector->path);
	free(reflector->selector);
	free(reflector->version);
	free(reflector->next_page);
	free(reflector);
}

void npt_reflector_stats(const struct npt_reflector *reflector,
			 struct npt_reflector_stats *stats_ret)
{
	stats_ret->lists = atomic_load(&reflector->lists);
	stats_ret->watches = atomic_load(&reflector->watches);
	stats_ret->failures = atomic_load(&reflector->failures);
}
