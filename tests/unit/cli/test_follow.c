/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/follow.h"

#include <stdio.h>

#include "cli/commands.h"
#include "lib/core/clock.h"
#include "tests/support/test.h"

static void check_line(const char *json, uint64_t seconds_after, const char *expected)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(4096);
	json_t *task = json_loads(json, 0, NULL);
	uint64_t start = 0;

	(void)npt_rfc3339_parse("2026-01-01T00:00:00Z", &start);
	npt_follow_append_line(&out, task, start + seconds_after * 1000);
	NPT_CHECK_STR(out.data, expected);
	json_decref(task);
}

static void a_line_says_how_far_the_task_is(void)
{
	check_line("{}", 0, "Pending");
	check_line("{\"status\": {\"phase\": \"Resolving\", \"message\": \"no pod matches\"}}", 0,
		   "Resolving: no pod matches");
	check_line("{\"spec\": {\"durationSeconds\": 60}, \"status\": {\"phase\": \"Running\","
		   "\"startTime\": \"2026-01-01T00:00:00Z\", \"finding\": \"fine\", \"targets\":"
		   "{\"pods\": 3, \"running\": 2}, \"summary\": {\"edges\": 14}}}",
		   12, "Running, 12 of 60 s, 2 of 3 pods, 14 edges: fine");
	check_line("{\"spec\": {\"durationSeconds\": 60}, \"status\": {\"phase\": \"Running\","
		   "\"startTime\": \"2026-01-01T00:00:00Z\"}}",
		   99, "Running, 60 of 60 s");
	check_line("{\"status\": {\"phase\": \"Fai\\u001b[2Jled\"}}", 0, "Fai?[2Jled");
}

static void a_bar_is_full_at_the_end_and_not_before(void)
{
	static const struct {
		uint64_t permille;
		const char *bar;
	} cases[] = {
		{ 0, "[          ]" },    { 500, "[#####     ]" },  { 999, "[######### ]" },
		{ 1000, "[##########]" }, { 5000, "[##########]" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(64);

		npt_follow_append_bar(&out, cases[i].permille, 12);
		NPT_CHECK_STR(out.data, cases[i].bar);
	}
}

static void the_exit_code_says_how_a_task_ended(void)
{
	NPT_CHECK_INT(npt_command_exit_code("Succeeded"), 0);
	NPT_CHECK_INT(npt_command_exit_code("Failed"), 3);
	NPT_CHECK_INT(npt_command_exit_code("PartiallySucceeded"), 4);
	NPT_CHECK_INT(npt_command_exit_code("Cancelled"), 130);
}

static const struct npt_test tests[] = {
	NPT_TEST(a_line_says_how_far_the_task_is),
	NPT_TEST(a_bar_is_full_at_the_end_and_not_before),
	NPT_TEST(the_exit_code_says_how_a_task_ended),
};
NPT_TEST_MAIN(tests)
