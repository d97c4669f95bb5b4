/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "__Host-" makes browsers take the cookie over TLS only, for this host alone and all of its paths
 * (RFC 6265bis, 4.1.3.2).
 */
#include "aggregator/session.h"

#include <string.h>

#include "aggregator/answer.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/net/seal.h"

#define COOKIE           "__Host-npt"
#define PURPOSE          "npt session 1"
#define COOKIE_BYTES_MAX 4000 /* browsers keep 4096 with the name and attributes */
#define ATTRIBUTES       "; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age="

/* The cookie's value in "a=1; __Host-npt=...; b=2"; NULL: not there. */
static char *find_cookie(const char *cookies)
{
	while (*cookies) {
		size_t length = strcspn(cookies, ";");
		size_t name = strlen(COOKIE "=");

		if (length > name && strncmp(cookies, COOKIE "=", name) == 0)
			return npt_strndup(cookies + name, length - name);
		cookies += length;
		cookies += strspn(cookies, "; ");
	}
	return NULL;
}

/* "https://HOST", of the host that was asked; a browser that says none asks for its own page. */
static bool is_own_origin(const char *origin, const char *host)
{
	static const char scheme[] = "https://";

	if (origin[0] == '\0')
		return true;
	return strncmp(origin, scheme, strlen(scheme)) == 0 &&
	       strcasecmp(origin + strlen(scheme), host) == 0;
}

char *npt_session_authorization(const struct npt_session_key *key, const char *authorization,
				const char *cookie, const char *origin, const char *host)
{
	npt_auto_free char *sealed = NULL, *token = NULL;

	if (authorization[0])
		return npt_strdup(authorization);
	if (!is_own_origin(origin, host))
		return npt_strdup("");
	sealed = find_cookie(cookie);
	if (!sealed || npt_unseal(key->key, key->key_bytes, PURPOSE, sealed, npt_clock_unix_ms(),
				  &token, NULL) < 0)
		return npt_strdup("");
	return npt_format("Bearer %s", token);
}

static void answer_with(struct npt_request *request, char *cookie)
{
	npt_request_respond(request, (struct npt_response){ .status = 204, .set_cookie = cookie });
}

void npt_session_begin(const struct npt_session_key *key, struct npt_access_checker *access,
		       struct npt_request *request)
{
	const char *token = npt_bearer_token(request->authorization);
	npt_auto_free char *sealed = NULL;
	struct npt_identity identity;
	struct npt_error err = NPT_ERROR_NONE;
	unsigned int status = npt_access_identify(access, request->authorization, &identity, &err);

	if (status != 0) {
		npt_answer_problem(request, status, err.text);
		return;
	}
	sealed = npt_seal(key->key, key->key_bytes, PURPOSE, token ? token : "",
			  npt_clock_unix_ms() + NPT_SESSION_SECONDS * 1000);
	if (strlen(sealed) > COOKIE_BYTES_MAX) {
		npt_answer_problem(request, 413, "the token is too long for a cookie");
		return;
	}
	answer_with(request, npt_format(COOKIE "=%s" ATTRIBUTES "%d", sealed, NPT_SESSION_SECONDS));
}

void npt_session_end(struct npt_request *request)
{
	answer_with(request, npt_strdup(COOKIE "=" ATTRIBUTES "0"));
}
