/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/history.h"

#include "tests/support/test.h"

static void says_which_windows_of_a_pod_are_missing(void)
{
	struct npt_stored_stream streams[] = {
		{ .pod_namespace = "shop",
		  .pod_name = "web-1",
		  .pod_uid = "p",
		  .node = "n",
		  .instance = "i",
		  .windows = 12,
		  .first_sequence = 1,
		  .last_sequence = 12 },
		{ .windows = 5, .first_sequence = 3, .last_sequence = 9 },
	};
	npt_auto_free char *text = npt_stored_streams_to_json(streams, 2);

	NPT_CHECK_STR(
		text,
		"[{\"namespace\":\"shop\",\"name\":\"web-1\",\"uid\":\"p\",\"node\":\"n\","
		"\"instance\":\"i\",\"windows\":12,\"firstSequence\":1,\"lastSequence\":12,"
		"\"missing\":0},"
		"{\"namespace\":\"\",\"name\":\"\",\"uid\":\"\",\"node\":\"\",\"instance\":\"\","
		"\"windows\":5,\"firstSequence\":3,\"lastSequence\":9,\"missing\":4}]");
}

static void lists_tasks_and_where_to_go_on(void)
{
	struct npt_stored_task task = { .uid = "u",
					.namespace_name = "shop",
					.name = "slow",
					.start_unix_ms = 1767225600000,
					.end_unix_ms = 1767225605123,
					.windows = 3,
					.pods = 2 };
	npt_auto_free char *text = npt_stored_tasks_to_json(&task, 1, "17");
	npt_auto_free char *none = npt_stored_tasks_to_json(NULL, 0, "");

	NPT_CHECK_STR(text, "{\"kind\":\"TaskList\",\"apiVersion\":\"netprof.io/v1alpha1\","
			    "\"tasks\":[{\"namespace\":\"shop\",\"name\":\"slow\",\"uid\":\"u\","
			    "\"start\":\"2026-01-01T00:00:00.000Z\","
			    "\"end\":\"2026-01-01T00:00:05.123Z\",\"windows\":3,\"pods\":2}],"
			    "\"next\":\"17\"}");
	NPT_CHECK_STR(none, "{\"kind\":\"TaskList\",\"apiVersion\":\"netprof.io/v1alpha1\","
			    "\"tasks\":[]}");
}

static void quotes_what_a_problem_says(void)
{
	npt_auto_free char *text = npt_problem_to_json(400, "Bad Request", "unknown \"limit\"\n");

	NPT_CHECK_STR(text, "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
			    "\"detail\":\"unknown \\\"limit\\\"\\n\"}");
}

static const struct npt_test tests[] = {
	NPT_TEST(says_which_windows_of_a_pod_are_missing),
	NPT_TEST(lists_tasks_and_where_to_go_on),
	NPT_TEST(quotes_what_a_problem_says),
};
NPT_TEST_MAIN(tests)
