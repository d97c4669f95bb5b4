/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Review - who is behind a token, and what may they: TokenReview and SubjectAccessReview.
 */
#include <stdbool.h>

#include "lib/kube/client.h"

#define NPT_IDENTITY_BYTES  512
#define NPT_IDENTITY_GROUPS 16

struct npt_identity {
	char username[NPT_IDENTITY_BYTES];
	char uid[128];
	char groups[NPT_IDENTITY_GROUPS][NPT_IDENTITY_BYTES];
	char node_name[256]; /* of a pod's token: the node that it runs on; "" if the token has none
			      */
	char pod_name[256];
	char pod_uid[64];
};

/*
 * 0: authenticated, for this audience. NPT_KUBE_UNAUTHORIZED: not. Else what the call returned.
 */
int npt_token_review(struct npt_kube_client *client, const char *token, const char *audience,
		     struct npt_identity *identity_ret, struct npt_error *err);

/* Who was behind a token, for a while. One thread. */
struct npt_review_cache;

/* keep_ms: at most that long, never beyond the token's own expiry; now_unix_ms NULL: the clock. */
struct npt_review_cache *npt_review_cache_new(size_t max_entries, uint64_t keep_ms,
					      uint64_t (*now_unix_ms)(void));
void npt_review_cache_free(struct npt_review_cache *cache);
NPT_DEFINE_AUTO(struct npt_review_cache *, npt_review_cache_free)
/* As npt_token_review(), without a call for a token that was valid a moment ago. */
int npt_token_review_cached(struct npt_review_cache *cache, struct npt_kube_client *client,
			    const char *token, const char *audience,
			    struct npt_identity *identity_ret, struct npt_error *err);

struct npt_access {
	const char *verb, *group, *resource, *namespace_name, *name; /* name "": any */
};
/* 0: allowed. NPT_KUBE_FORBIDDEN: not. */
int npt_access_review(struct npt_kube_client *client, const struct npt_identity *identity,
		      const struct npt_access *access, struct npt_error *err);
