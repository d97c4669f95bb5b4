/* SPDX-License-Identifier: Apache-2.0 */
/* tests/cluster reads what results -o yaml prints with a real YAML reader; here are the forms. */
#include "cli/yaml.h"

#include <stdio.h>

#include "tests/support/test.h"

static void check(const char *json, const char *expected)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536);
	json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);

	npt_yaml_append(&out, value);
	if (!NPT_CHECK_STR(out.data, expected))
		printf("of %s\n", json);
	json_decref(value);
}

static void objects_and_lists_are_blocks(void)
{
	check("{\"a\": 1, \"b\": {\"c\": true, \"d\": null}}", "a: 1\nb:\n  c: true\n  d: null\n");
	check("{\"a\": [{\"b\": 1, \"c\": 2}, {\"b\": 3}]}", "a:\n- b: 1\n  c: 2\n- b: 3\n");
	check("{\"a\": [[1, 2], [3, 4]]}", "a:\n- [1,2]\n- [3,4]\n");
	check("[[{\"a\": {\"b\": [{\"c\": 1}]}}]]", "- - a:\n      b:\n      - c: 1\n");
	check("{\"a\": [{\"b\": [{\"c\": 1}, {\"d\": 2}]}, 5]}",
	      "a:\n- b:\n  - c: 1\n  - d: 2\n- 5\n");
}

static void what_is_empty_or_flat_is_one_line(void)
{
	check("{}", "{}\n");
	check("[]", "[]\n");
	check("{\"a\": {}, \"b\": [], \"c\": [1,2]}", "a: {}\nb: []\nc: [1,2]\n");
}

static void no_text_is_taken_for_something_else(void)
{
	check("{\"a\": \"no\"}", "a: \"no\"\n");
	check("{\"a\": \"1\"}", "a: \"1\"\n");
	check("{\"a\": \"x: y # z\\n\\\"q\\\"\"}", "a: \"x: y # z\\n\\\"q\\\"\"\n");
	check("{\"no\": 1, \"1a\": 2, \"a b\": 3, \"\": 4, \"netprof.io/x\": 5}",
	      "\"no\": 1\n\"1a\": 2\n\"a b\": 3\n\"\": 4\n\"netprof.io/x\": 5\n");
	check("{\"confidence\": 0.7}", "confidence: 0.7\n");
}

static const struct npt_test tests[] = {
	NPT_TEST(objects_and_lists_are_blocks),
	NPT_TEST(what_is_empty_or_flat_is_one_line),
	NPT_TEST(no_text_is_taken_for_something_else),
};
NPT_TEST_MAIN(tests)
