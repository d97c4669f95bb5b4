/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An authenticator that knows no audiences answers without any; such an answer is not for us.
 */
#include "lib/kube/review.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EXTRA "authentication.kubernetes.io/"

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
	json_t *body;
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
	if (!json_is_true(json_object_get(json_object_get(answer, "status"), "allowed"))) {
		(void)npt_error_set(err, EACCES, "%s may not %s %s in %s", identity->username,
				    access->verb, access->resource, access->namespace_name);
		r = NPT_KUBE_FORBIDDEN;
	}
	json_decref(answer);
	return r;
}
