/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An authenticator that knows no audiences answers without any; such an answer is not for us.
 *
 * The cache knows a token by its SHA-256 only. Its entries stand in the order in which they were
 * made, so the first is the oldest; refusals are not kept, a token may become valid.
 */
#include "lib/kube/review.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/strmap.h"
#include "lib/net/digest.h"

#define EXTRA           "authentication.kubernetes.io/"
#define TOKEN_BYTES_MAX (16U * 1024)

struct cached_identity {
	struct npt_identity identity;
	uint64_t until_ms; /* Unix time */
};

struct npt_review_cache {
	struct npt_strmap *entries; /* SHA-256 of audience and token -> cached_identity */
	size_t max_entries;
	uint64_t keep_ms;
	uint64_t (*now_unix_ms)(void);
};

static void copy(char *out, size_t size_bytes, const json_t *text)
{
	const char *value = json_string_value(text);

	(void)snprintf(out, size_bytes, "%s", value ? value : "");
}

static bool has_audience(const json_t *status, const char *audience)
{
	size_t i;
	json_t *item;

	json_array_foreach(json_object_get(status, "audiences"), i, item)
	{
		if (json_is_string(item) && strcmp(json_string_value(item), audience) == 0)
			return true;
	}
	return false;
}

static void read_identity(const json_t *user, struct npt_identity *identity)
{
	const json_t *extra = json_object_get(user, "extra");
	const json_t *groups = json_object_get(user, "groups");

	memset(identity, 0, sizeof(*identity));
	copy(identity->username, sizeof(identity->username), json_object_get(user, "username"));
	copy(identity->uid, sizeof(identity->uid), json_object_get(user, "uid"));
	for (size_t i = 0; i < json_array_size(groups) && i < NPT_IDENTITY_GROUPS; i++)
		copy(identity->groups[i], sizeof(identity->groups[i]), json_array_get(groups, i));
	copy(identity->node_name, sizeof(identity->node_name),
	     json_array_get(json_object_get(extra, EXTRA "node-name"), 0));
	copy(identity->pod_name, sizeof(identity->pod_name),
	     json_array_get(json_object_get(extra, EXTRA "pod-name"), 0));
	copy(identity->pod_uid, sizeof(identity->pod_uid),
	     json_array_get(json_object_get(extra, EXTRA "pod-uid"), 0));
}

int npt_token_review(struct npt_kube_client *client, const char *token, const char *audience,
		     struct npt_identity *identity_ret, struct npt_error *err)
{
	json_t *body =
		json_pack("{s:s, s:s, s:{s:s, s:[s]}}", "apiVersion", "authentication.k8s.io/v1",
			  "kind", "TokenReview", "spec", "token", token, "audiences", audience);
	json_t *answer = NULL, *status;
	int r;

	if (!body)
		return npt_error_set(err, EINVAL, "the token is not text");
	r = npt_kube_call(client, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", body,
			  &answer, err);
	json_decref(body);
	if (r != 0)
		return r;
	status = json_object_get(answer, "status");
	if (json_is_true(json_object_get(status, "authenticated")) &&
	    has_audience(status, audience)) {
		read_identity(json_object_get(status, "user"), identity_ret);
	} else {
		(void)npt_error_set(err, EACCES, "the token is not valid for the audience %s",
				    audience);
		r = NPT_KUBE_UNAUTHORIZED;
	}
	json_decref(answer);
	return r;
}

int npt_access_review(struct npt_kube_client *client, const struct npt_identity *identity,
		      const struct npt_access *access, struct npt_error *err)
{
	json_t *groups = json_array(), *answer = NULL;
	json_t *body, *status;
	int r;

	for (size_t i = 0; i < NPT_IDENTITY_GROUPS && identity->groups[i][0]; i++)
		(void)json_array_append_new(groups, json_string(identity->groups[i]));
	body = json_pack("{s:s, s:s, s:{s:s, s:s, s:o, s:{s:s, s:s, s:s, s:s, s:s}}}", "apiVersion",
			 "authorization.k8s.io/v1", "kind", "SubjectAccessReview", "spec", "user",
			 identity->username, "uid", identity->uid, "groups", groups,
			 "resourceAttributes", "verb", access->verb, "group", access->group,
			 "resource", access->resource, "namespace", access->namespace_name, "name",
			 access->name);
	r = npt_kube_call(client, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
			  body, &answer, err);
	json_decref(body);
	if (r != 0)
		return r;
	status = json_object_get(answer, "status");
	if (!json_is_true(json_object_get(status, "allowed")) ||
	    json_is_true(json_object_get(status, "denied"))) {
		(void)npt_error_set(err, EACCES, "%s may not %s %s in %s", identity->username,
				    access->verb, access->resource, access->namespace_name);
		r = NPT_KUBE_FORBIDDEN;
	}
	json_decref(answer);
	return r;
}

struct npt_review_cache *npt_review_cache_new(size_t max_entries, uint64_t keep_ms,
					      uint64_t (*now_unix_ms)(void))
{
	struct npt_review_cache *cache = npt_alloc(1, sizeof(*cache));

	cache->entries = npt_strmap_new(max_entries, free);
	cache->max_entries = max_entries;
	cache->keep_ms = keep_ms;
	cache->now_unix_ms = now_unix_ms ? now_unix_ms : npt_clock_unix_ms;
	return cache;
}

void npt_review_cache_free(struct npt_review_cache *cache)
{
	if (!cache)
		return;
	npt_strmap_free(cache->entries);
	free(cache);
}

/* When a JWT expires, by its own word (the server has checked it); UINT64_MAX: it does not say. */
static uint64_t expiry_unix_ms(const char *token)
{
	const char *payload = strchr(token, '.');
	npt_auto_free void *text = NULL;
	size_t size = 0;
	json_t *claims, *expiry;
	uint64_t ms = UINT64_MAX;

	if (!payload ||
	    npt_base64url_decode(payload + 1, strcspn(payload + 1, "."), &text, &size) < 0)
		return ms;
	claims = json_loadb(text, size, 0, NULL);
	expiry = json_object_get(claims, "exp");
	if (json_is_number(expiry) && json_number_value(expiry) >= 0 &&
	    json_number_value(expiry) < 1e12)
		ms = (uint64_t)json_number_value(expiry) * 1000;
	json_decref(claims);
	return ms;
}

static void keep(struct npt_review_cache *cache, const char *key, const char *token,
		 const struct npt_identity *identity)
{
	struct cached_identity *entry = npt_alloc(1, sizeof(*entry));
	uint64_t expiry = expiry_unix_ms(token);

	entry->identity = *identity;
	entry->until_ms = cache->now_unix_ms() + cache->keep_ms;
	if (entry->until_ms > expiry)
		entry->until_ms = expiry;
	npt_strmap_remove(cache->entries, key);
	if (npt_strmap_count(cache->entries) >= cache->max_entries)
		npt_strmap_remove(cache->entries, npt_strmap_key_at(cache->entries, 0));
	if (npt_strmap_set(cache->entries, key, entry) < 0)
		free(entry);
}

int npt_token_review_cached(struct npt_review_cache *cache, struct npt_kube_client *client,
			    const char *token, const char *audience,
			    struct npt_identity *identity_ret, struct npt_error *err)
{
	npt_auto_free char *text = NULL;
	char key[NPT_SHA256_HEX_BYTES];
	const struct cached_identity *entry;
	int r;

	if (strlen(token) > TOKEN_BYTES_MAX) {
		(void)npt_error_set(err, EACCES, "the token is larger than %u bytes",
				    TOKEN_BYTES_MAX);
		return NPT_KUBE_UNAUTHORIZED;
	}
	text = npt_format("%s\n%s", audience, token);
	npt_sha256_hex(text, strlen(text), key);
	explicit_bzero(text, strlen(text));
	entry = npt_strmap_get(cache->entries, key);
	if (entry && cache->now_unix_ms() < entry->until_ms) {
		*identity_ret = entry->identity;
		return 0;
	}
	r = npt_token_review(client, token, audience, identity_ret, err);
	if (r == 0)
		keep(cache, key, token, identity_ret);
	return r;
}
