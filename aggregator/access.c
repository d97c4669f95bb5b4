/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who was behind a token is remembered for a minute, that they may read something for a few
 * seconds: a page that asks ten questions at once asks the API server one. A refusal is not
 * remembered.
 */
#include "aggregator/access.h"

#include <errno.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/core/strmap.h"
#include "lib/net/server.h"

#define IDENTITIES_MAX 256
#define KEEP_MS        60000
#define TIMEOUT_MS     10000
#define ALLOWED_MAX    1024
#define ALLOWED_NS     (5 * NPT_NS_PER_SECOND)

struct npt_access_checker {
	struct npt_kube_client *client;
	struct npt_review_cache *cache;
	struct npt_strmap *allowed; /* until when, by who and what */
};

int npt_access_checker_new(const struct npt_kube_config *config,
			   struct npt_access_checker **checker_ret, struct npt_error *err)
{
	npt_auto(npt_access_checker_free) struct npt_access_checker *checker =
		npt_alloc(1, sizeof(*checker));
	int r;

	if (!config) {
		*checker_ret = npt_take(checker);
		return 0;
	}
	r = npt_kube_client_new(&checker->client, config, err);
	if (r < 0)
		return r;
	npt_kube_client_set_timeout(checker->client, TIMEOUT_MS);
	checker->cache = npt_review_cache_new(IDENTITIES_MAX, KEEP_MS, NULL);
	checker->allowed = npt_strmap_new(ALLOWED_MAX, free);
	*checker_ret = npt_take(checker);
	return 0;
}

void npt_access_checker_free(struct npt_access_checker *checker)
{
	if (!checker)
		return;
	npt_review_cache_free(checker->cache);
	npt_strmap_free(checker->allowed);
	npt_kube_client_free(checker->client);
	free(checker);
}

void npt_access_checker_cancel(struct npt_access_checker *checker)
{
	if (checker->client)
		npt_kube_client_cancel(checker->client);
}

unsigned int npt_access_identify(struct npt_access_checker *checker, const char *authorization,
				 struct npt_identity *identity_ret, struct npt_error *err)
{
	const char *token = npt_bearer_token(authorization);
	int r;

	if (!checker->client) {
		*identity_ret = (struct npt_identity){ .username = "" };
		return 0;
	}
	if (!token) {
		(void)npt_error_set(err, EACCES,
				    "this needs a bearer token: kubectl create token "
				    "ACCOUNT --audience " NPT_ACCESS_AUDIENCE);
		return 401;
	}
	r = npt_token_review_cached(checker->cache, checker->client, token, NPT_ACCESS_AUDIENCE,
				    identity_ret, err);
	if (r == 0)
		return 0;
	if (r == NPT_KUBE_UNAUTHORIZED)
		return 401;
	(void)npt_error_wrap(err, "the token cannot be checked now");
	return 503;
}

/* Groups belong to it: two tokens of one name need not have the same. */
static char *key_of(const struct npt_identity *identity, const char *namespace_name,
		    const char *name)
{
	npt_auto(npt_buffer_done) struct npt_buffer key = NPT_BUFFER(SIZE_MAX / 4);

	(void)npt_buffer_appendf(&key, "%s\n%s\n%s\n%s", namespace_name, name, identity->username,
				 identity->uid);
	for (size_t i = 0; i < NPT_IDENTITY_GROUPS && identity->groups[i][0]; i++)
		(void)npt_buffer_appendf(&key, "\n%s", identity->groups[i]);
	return npt_buffer_take(&key);
}

static void remember(struct npt_access_checker *checker, const char *key)
{
	uint64_t *until = npt_alloc(1, sizeof(*until));

	*until = npt_clock_monotonic_ns() + ALLOWED_NS;
	if (npt_strmap_set(checker->allowed, key, until) == 0)
		return;
	free(until);
	npt_strmap_free(checker->allowed); /* full of what is mostly over */
	checker->allowed = npt_strmap_new(ALLOWED_MAX, free);
}

unsigned int npt_access_check(struct npt_access_checker *checker,
			      const struct npt_identity *identity, const char *namespace_name,
			      const char *name, struct npt_error *err)
{
	const struct npt_access access = {
		.verb = "get",
		.group = "netprof.io",
		.resource = "networkprofilingtasks",
		.namespace_name = namespace_name,
		.name = name,
	};
	npt_auto_free char *key = NULL;
	const uint64_t *until;
	int r;

	if (!checker->client)
		return 0;
	key = key_of(identity, namespace_name, name);
	until = npt_strmap_get(checker->allowed, key);
	if (until && npt_clock_monotonic_ns() < *until)
		return 0;
	r = npt_access_review(checker->client, identity, &access, err);
	if (r == 0) {
		remember(checker, key);
		return 0;
	}
	if (r == NPT_KUBE_FORBIDDEN)
		return 403;
	(void)npt_error_wrap(err, "permissions cannot be checked now");
	return 503;
}
