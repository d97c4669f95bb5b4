/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compare.h"

#include <string.h>

#include "tests/support/test.h"

static void append(struct npt_buffer *out, const char *json)
{
	json_t *comparison = json_loads(json, 0, NULL);

	npt_compare_append(out, comparison, false);
	json_decref(comparison);
}

static void a_change_is_told_from_noise(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536);

	append(&out,
	       "{\"edges\": [{\"process\": {\"name\": \"envoy\", \"workload\": \"web\"}, \"role\": "
	       "\"client\", \"peer\": {\"name\": \"db\", \"port\": 5432}, \"in\": \"both\","
	       "\"rates\": {\"sentBytesPerSecond\": {\"a\": 1000, \"b\": 500}},"
	       "\"micros\": {\"response\": {\"p50\": {\"a\": 100, \"b\": 480}, \"p95\": {\"a\": "
	       "200,"
	       "\"b\": 210}, \"change\": \"more\"}, \"rtt\": {\"p50\": {\"a\": 50, \"b\": 50},"
	       "\"change\": \"none\"}, \"connect\": {\"p95\": {\"a\": 0, \"b\": 9}, \"change\":"
	       "\"unknown\"}}, \"changes\": [\"response is longer\"]},"
	       "{\"process\": {\"name\": \"curl\"}, \"role\": \"server\", \"peer\": {\"name\": "
	       "\"x\","
	       "\"port\": 1}, \"in\": \"b\"}], \"otherEdges\": 3}");
	NPT_CHECK(strncmp(out.data, "web/envoy -> db:5432: response is longer\n\n", 41) == 0);
	NPT_CHECK(strstr(out.data, "sent/s"));
	NPT_CHECK(strstr(out.data, "-50 %\n"));
	NPT_CHECK(strstr(out.data, "100us   480us     x4.8   more\n"));
	NPT_CHECK(strstr(out.data, "200us   210us     +5 %   more\n"));
	NPT_CHECK(strstr(out.data, "50us    50us     same   noise\n"));
	NPT_CHECK(strstr(out.data, "0us     9us      new   too little was seen\n"));
	NPT_CHECK(strstr(out.data, "curl <- x:1            only in B\n"));
	NPT_CHECK(strstr(out.data, "(3 edges more were not compared)\n"));
}

static void nothing_changed_is_said(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(65536);

	append(&out, "{\"edges\": []}");
	NPT_CHECK(strstr(out.data, "no time and no loss has changed by more than noise\n"));
}

static const struct npt_test tests[] = {
	NPT_TEST(a_change_is_told_from_noise),
	NPT_TEST(nothing_changed_is_said),
};
NPT_TEST_MAIN(tests)
