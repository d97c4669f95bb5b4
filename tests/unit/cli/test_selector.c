/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/selector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static void each_form_becomes_what_the_resource_holds(void)
{
	static const char *const cases[][2] = {
		{ "app=web", "{\"matchLabels\":{\"app\":\"web\"}}" },
		{ "app==web", "{\"matchLabels\":{\"app\":\"web\"}}" },
		{ " app = web , tier = a ", "{\"matchLabels\":{\"app\":\"web\",\"tier\":\"a\"}}" },
		{ "a.b/c-d_e=f", "{\"matchLabels\":{\"a.b/c-d_e\":\"f\"}}" },
		{ "app=", "{\"matchLabels\":{\"app\":\"\"}}" },
		{ "app!=web", "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\","
			      "\"values\":[\"web\"]}]}" },
		{ "app", "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}" },
		{ "!app",
		  "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"DoesNotExist\"}]}" },
		{ "app in (a, b)", "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"In\","
				   "\"values\":[\"a\",\"b\"]}]}" },
		{ "app notin (a)", "{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"NotIn\","
				   "\"values\":[\"a\"]}]}" },
		{ "x=1,y in (2,3),!z", "{\"matchLabels\":{\"x\":\"1\"},\"matchExpressions\":[{"
				       "\"key\":\"y\",\"operator\":"
				       "\"In\",\"values\":[\"2\",\"3\"]},{\"key\":\"z\","
				       "\"operator\":\"DoesNotExist\"}]}" },
		{ "x=1,x=2", "{\"matchLabels\":{\"x\":\"1\"},\"matchExpressions\":[{\"key\":\"x\","
			     "\"operator\":\"In\",\"values\":[\"2\"]}]}" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_error err = NPT_ERROR_NONE;
		npt_auto_free char *text = NULL;
		json_t *selector = NULL;

		if (!NPT_CHECK_INT(npt_selector_parse(cases[i][0], &selector, &err), 0)) {
			printf("%s: %s\n", cases[i][0], err.text);
			continue;
		}
		text = json_dumps(selector, JSON_COMPACT);
		NPT_CHECK_STR(text, cases[i][1]);
		json_decref(selector);
	}
}

static void what_is_no_selector_is_refused_with_the_place(void)
{
	static const char *const cases[] = {
		"",         ",",         "=x",           "a,",          "app in",
		"app in (", "app in ()", "app in (a",    "app in (a,)", "app of (a)",
		"a=b c",    "a=b)",      "app in (a) b", "!",           "a=(b)"
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_error err = NPT_ERROR_NONE;
		json_t *selector = NULL;

		if (!NPT_CHECK_INT(npt_selector_parse(cases[i], &selector, &err), -EINVAL))
			printf("%s\n", cases[i]);
		NPT_CHECK(!selector && strstr(err.text, "cannot read"));
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(each_form_becomes_what_the_resource_holds),
	NPT_TEST(what_is_no_selector_is_refused_with_the_place),
};
NPT_TEST_MAIN(tests)
