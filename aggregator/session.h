/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Session - how a browser shows who it is: POST /v1/session with a Kubernetes token gives a cookie
 * in which the token is sealed (lib/net/seal.h), with a key that all replicas have. So nothing is
 * kept here, and a token that is no longer good ends the session, as it ends everything else.
 *
 * The cookie is for reading only, and for pages of this origin only (SameSite, and Origin where the
 * browser says it): what another site has a browser ask here is asked without it.
 */
#include "aggregator/access.h"
#include "lib/net/server.h"

#define NPT_SESSION_SECONDS 3600

struct npt_session_key {
	const void *key; /* borrowed */
	size_t key_bytes;
};

/*
 * The Authorization to go on with: the request's own, or that of its cookie; "" if there is none of
 * both, or the cookie is not good. The caller's to free.
 */
char *npt_session_authorization(const struct npt_session_key *key, const char *authorization,
				const char *cookie, const char *origin, const char *host);
/* POST: the cookie for the token, whose owner the checker knows. DELETE: takes it back. */
void npt_session_begin(const struct npt_session_key *key, struct npt_access_checker *access,
		       struct npt_request *request);
void npt_session_end(struct npt_request *request);
