/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Access - who asks, and may they? TokenReview for this program's audience, then a
 * SubjectAccessReview: whoever may get NetworkProfilingTasks in a namespace may read their results.
 *
 * One thread's own.
 */
#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/kube/review.h"

#define NPT_ACCESS_AUDIENCE "npt-aggregator"

struct npt_access_checker;

/* config is borrowed; NULL: whoever asks may read everything, without a token. */
int npt_access_checker_new(const struct npt_kube_config *config,
			   struct npt_access_checker **checker_ret, struct npt_error *err);
void npt_access_checker_free(struct npt_access_checker *checker);
NPT_DEFINE_AUTO(struct npt_access_checker *, npt_access_checker_free)
/* From any thread: ends a call that waits for the API server. */
void npt_access_checker_cancel(struct npt_access_checker *checker);

/* 0, or the HTTP status that says why not (401, 503), with the words in err. */
unsigned int npt_access_identify(struct npt_access_checker *checker, const char *authorization,
				 struct npt_identity *identity_ret, struct npt_error *err);
/* namespace_name "": in all namespaces; name "": any task. 0, 403 or 503. */
unsigned int npt_access_check(struct npt_access_checker *checker,
			      const struct npt_identity *identity, const char *namespace_name,
			      const char *name, struct npt_error *err);
