/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who was behind a token is remembered for a minute; what they may is asked each time, so that a
 * right that was taken away is gone at once.
 */
#include "aggregator/access.h"

#include <errno.h>

#include "lib/core/alloc.h"
#include "lib/net/server.h"

#define IDENTITIES_MAX 256
#define KEEP_MS        60000
#define TIMEOUT_MS     10000

struct npt_access_checker {
	struct npt_kube_client *client;
	struct npt_review_cache *cache;
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
	*checker_ret = npt_take(checker);
	return 0;
}

void npt_access_checker_free(struct npt_access_checker *checker)
{
	if (!checker)
		return;
	npt_review_cache_free(checker->cache);
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
	int r;

	if (!checker->client)
		return 0;
	r = npt_access_review(checker->client, identity, &access, err);
	if (r == 0)
		return 0;
	if (r == NPT_KUBE_FORBIDDEN)
		return 403;
	(void)npt_error_wrap(err, "permissions cannot be checked now");
	return 503;
}
