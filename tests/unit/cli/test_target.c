/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

#include <errno.h>
#include <string.h>

#include "cli/explain.h"
#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static void kinds_have_kubectls_names(void)
{
	static const struct {
		const char *word, *group, *plural, *name;
	} cases[] = {
		{ "web-1", "/api/v1", NULL, "web-1" },
		{ "pod/web-1", "/api/v1", NULL, "web-1" },
		{ "deploy/web", "/apis/apps/v1", "deployments", "web" },
		{ "deployments.apps/web", "/apis/apps/v1", "deployments", "web" },
		{ "svc/web", "/api/v1", "services", "web" },
		{ "sts/db", "/apis/apps/v1", "statefulsets", "db" },
		{ "daemonset/x.y", "/apis/apps/v1", "daemonsets", "x.y" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		const char *group = "", *plural = "", *name = "";

		NPT_CHECK_INT(npt_target_parse_word(cases[i].word, &group, &plural, &name, NULL),
			      0);
		NPT_CHECK_STR(group, cases[i].group);
		NPT_CHECK_STR(name, cases[i].name);
		NPT_CHECK((plural == NULL) == (cases[i].plural == NULL));
		if (plural && cases[i].plural)
			NPT_CHECK_STR(plural, cases[i].plural);
	}
}

/* A name becomes a part of a path: nothing in it may mean anything there. */
static void what_could_be_another_path_is_refused(void)
{
	static const char *const words[] = { "",          "node/x",  "deploy/",    "deploy/a/b",
					     "../x",      "a?b",     "a%2f",       "A",
					     "deploy/..", ".hidden", "-l",         "a b",
					     "job/x",     "/x",      "deploy/a#b", "a\nb" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(words); i++) {
		const char *group, *plural, *name;
		struct npt_error err = NPT_ERROR_NONE;

		NPT_CHECK_INT(npt_target_parse_word(words[i], &group, &plural, &name, &err),
			      -EINVAL);
		NPT_CHECK(err.text[0]);
	}
}

static void paths_of_keys_are_followed(void)
{
	json_t *object = json_loads("{\"a\": {\"b\": {\"c\": \"x\", \"n\": 1}}}", 0, NULL);

	NPT_CHECK_STR(npt_cluster_text(object, "a/b/c"), "x");
	NPT_CHECK_STR(npt_cluster_text(object, "a/b/n"), "");
	NPT_CHECK_STR(npt_cluster_text(object, "a/z/c"), "");
	NPT_CHECK_STR(npt_cluster_text(NULL, "a"), "");
	json_decref(object);
}

static void an_edge_is_meant_by_its_number_or_by_a_part_of_its_text(void)
{
	struct npt_edge edge = { .role = NPT_ROLE_CLIENT, .peer = { .port = 9080 } };

	memcpy(edge.process.name, "envoy", 6);
	memcpy(edge.process.pod, "web-1", 6);
	memcpy(edge.peer.name, "ratings", 8);
	NPT_CHECK(npt_explain_matches(&edge, 3, "3"));
	NPT_CHECK(!npt_explain_matches(&edge, 9080, "90"));
	NPT_CHECK(npt_explain_matches(&edge, 3, "envoy"));
	NPT_CHECK(npt_explain_matches(&edge, 3, "ratings:9080"));
	NPT_CHECK(npt_explain_matches(&edge, 3, "web-1/"));
	NPT_CHECK(!npt_explain_matches(&edge, 3, "nginx"));
}

static const struct npt_test tests[] = {
	NPT_TEST(kinds_have_kubectls_names),
	NPT_TEST(what_could_be_another_path_is_refused),
	NPT_TEST(paths_of_keys_are_followed),
	NPT_TEST(an_edge_is_meant_by_its_number_or_by_a_part_of_its_text),
};
NPT_TEST_MAIN(tests)
