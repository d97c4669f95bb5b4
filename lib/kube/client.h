/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Client - calls to a Kubernetes API server.
 *
 * The token is read again as it rotates; an answer that says when to come again is obeyed, within
 * bounds. One thread at a time, but for npt_kube_client_cancel(); each client has a connection of
 * its own, so that what must be in time (a lease) shares none with what may be slow (a LIST).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/kube/config.h"

/* What the API server answered other than yes: positive, for the direct caller to handle. */
enum npt_kube_outcome {
	NPT_KUBE_OK = 0,
	NPT_KUBE_NOT_FOUND,      /* 404 */
	NPT_KUBE_CONFLICT,       /* 409 Conflict: somebody wrote in between */
	NPT_KUBE_ALREADY_EXISTS, /* 409 AlreadyExists */
	NPT_KUBE_GONE,           /* 410: the resource version is too old (or too new to be there) */
	NPT_KUBE_FORBIDDEN,      /* 403 */
	NPT_KUBE_UNAUTHORIZED,   /* 401, after the token was read again */
	NPT_KUBE_INVALID,        /* 400, 422 */
	NPT_KUBE_BUSY,           /* 429, 5xx and what else is worth another try later */
};

struct npt_kube_client;

/* config is borrowed and must outlive the client. */
int npt_kube_client_new(struct npt_kube_client **client_ret, const struct npt_kube_config *config,
			struct npt_error *err);
void npt_kube_client_free(struct npt_kube_client *client);
NPT_DEFINE_AUTO(struct npt_kube_client *, npt_kube_client_free)
/* From any thread, for good: the call that runs, and each later one, ends with -ECANCELED. */
void npt_kube_client_cancel(struct npt_kube_client *client);
/* Waits before another try. 0, or -ECANCELED at once. */
int npt_kube_client_pause(struct npt_kube_client *client, uint64_t ms);
/* Of the calls to come; 0: 30 s. */
void npt_kube_client_set_timeout(struct npt_kube_client *client, uint64_t timeout_ms);

/*
 * One call; a PATCH is a merge patch. A 429, or a 5xx to anything but a POST, that says when to
 * come again is tried again then, at most 10 times and 30 s in all. path begins with "/" and may
 * carry a query that is encoded already. body NULL or an object, borrowed. On NPT_KUBE_OK
 * *object_ret (may be NULL) is the answer, the caller's to decref. Positive outcomes carry the
 * server's words in err; negative ones are transport errors.
 */
int npt_kube_call(struct npt_kube_client *client, const char *method, const char *path,
		  const json_t *body, json_t **object_ret, struct npt_error *err);

struct npt_kube_stream {
	const char *path;
	uint64_t timeout_ms;
	uint64_t silence_seconds; /* 0: no limit */
	size_t max_bytes;         /* 0: no limit */
	bool accept_gzip;
	int (*on_data)(void *context, const char *data, size_t size_bytes);
	bool (*is_cancelled)(void *context);
	void *context;
	unsigned int retry_after_seconds; /* out: of NPT_KUBE_BUSY; 0: not said */
};
/* GET whose answer is given in pieces: lists and watches. Outcomes as npt_kube_call(). */
int npt_kube_stream(struct npt_kube_client *client, struct npt_kube_stream *stream,
		    struct npt_error *err);

/* The outcome of a Status object: its reason first, its code second; NPT_KUBE_BUSY if unknown. */
enum npt_kube_outcome npt_kube_outcome_of_status(const json_t *status);
