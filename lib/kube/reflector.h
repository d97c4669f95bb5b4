/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reflector - keeps up with one resource path: LIST, then WATCH from there, for ever.
 *
 * It remembers only which objects exist (namespace/name and uid); what matters of an object is
 * taken out by its owner when it is told. Its own thread and connection; callbacks run there.
 */
#include <jansson.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/kube/client.h"

struct npt_reflector;

struct npt_reflector_options {
	const struct npt_kube_config *config; /* borrowed, outlives the reflector */
	const char *path;                     /* "/api/v1/namespaces/shop/pods" */
	const char *selector; /* encoded query part: "labelSelector=app%3Dweb", or NULL */
	const char *kind;     /* "Pod": an object that names another kind is skipped; NULL: any */
	size_t max_objects;   /* more are left out and said; 0: 20000 */
	uint64_t backoff_ms_first; /* doubled with each failure in a row, up to 30 s; 0: 800 */
	void *context;
	/* Added or changed; object is borrowed. A name that comes again with another uid is told as
	 * deleted first. */
	void (*on_object)(void *context, json_t *object);
	void (*on_delete)(void *context, const char *namespace_name, const char *name,
			  const char *uid);
	void (*on_synced)(void *context); /* after each LIST; may be NULL */
	/* Something failed and is being tried again; also when it is no error of the server. May be
	 * NULL. */
	void (*on_trouble)(void *context, const char *text);
};

struct npt_reflector_stats {
	uint64_t lists;
	uint64_t watches;
	uint64_t short_watches; /* ended within a second without an event */
	uint64_t failures;      /* of all kinds; each was told by on_trouble */
	uint64_t events;
	uint64_t skipped; /* objects of another kind, without a name, not readable, or too many */
};

/* Copies path, selector and kind. */
int npt_reflector_start(struct npt_reflector **reflector_ret,
			const struct npt_reflector_options *options, struct npt_error *err);
/* Ends its thread at once, but waits for a callback that runs; none runs afterwards. */
void npt_reflector_free(struct npt_reflector *reflector);
NPT_DEFINE_AUTO(struct npt_reflector *, npt_reflector_free)
/* From any thread. */
void npt_reflector_stats(const struct npt_reflector *reflector,
			 struct npt_reflector_stats *stats_ret);
