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

struct npt_access {
	const char *verb, *group, *resource, *namespace_name, *name; /* name "": any */
};
/* 0: allowed. NPT_KUBE_FORBIDDEN: not. */
int npt_access_review(struct npt_kube_client *client, const struct npt_identity *identity,
		      const struct npt_access *access, struct npt_error *err);
