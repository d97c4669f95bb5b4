/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * List - all objects of a path at one moment, given out one by one and never held together.
 */
#include <jansson.h>

#include "lib/core/error.h"
#include "lib/kube/client.h"

struct npt_kube_list {
	const char *path;     /* "/api/v1/namespaces/shop/pods" */
	const char *selector; /* encoded query part: "labelSelector=app%3Dweb", or NULL */
	/* At least as new as this, in one piece; NULL: the newest, in pages. */
	const char *version;
	/* The object is borrowed. < 0 ends the list and is what npt_kube_list() returns. */
	int (*on_object)(void *context, json_t *object);
	/* The pages have expired: what was given out so far comes again. May be NULL. */
	void (*on_restart)(void *context);
	void *context;
	unsigned int pages;               /* out */
	unsigned int skipped;             /* out: items that could not be read */
	unsigned int retry_after_seconds; /* out: of NPT_KUBE_BUSY; 0: not said */
	char version_ret[64];             /* out: of the whole list; opaque */
};

/*
 * NPT_KUBE_GONE: the server has not got that version; else as npt_kube_call(). An answer that is no
 * list (a Status, a cut one) is an error, never an empty list.
 */
int npt_kube_list(struct npt_kube_client *client, struct npt_kube_list *list,
		  struct npt_error *err);

/* An object's text as a tree without its managedFields (half of its size); NULL: not readable. */
json_t *npt_kube_parse(const char *text, size_t size_bytes);
