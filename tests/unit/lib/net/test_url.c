/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/url.h"

#include <errno.h>
#include <stdio.h>

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static void takes_a_url_apart(void)
{
	static const struct {
		const char *text;
		struct npt_url url;
	} cases[] = {
		{ "ws://a", { false, "a", 80, "/" } },
		{ "wss://npt-controller-agents.npt-system.svc:9443/v1/agents",
		  { true, "npt-controller-agents.npt-system.svc", 9443, "/v1/agents" } },
		{ "wss://10.0.0.1/x?y=z", { true, "10.0.0.1", 443, "/x?y=z" } },
		{ "wss://[::1]:1/", { true, "::1", 1, "/" } },
		{ "wss://[fd00::1]", { true, "fd00::1", 443, "/" } },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_url url;
		struct npt_error err = NPT_ERROR_NONE;

		if (!NPT_CHECK_INT(npt_url_parse(cases[i].text, "ws", &url, &err), 0)) {
			printf("%s\n", err.text);
			continue;
		}
		NPT_CHECK(url.tls == cases[i].url.tls);
		NPT_CHECK_STR(url.host, cases[i].url.host);
		NPT_CHECK_INT(url.port, cases[i].url.port);
		NPT_CHECK_STR(url.path, cases[i].url.path);
	}
}

static void refuses_what_is_no_url(void)
{
	static const char *const cases[] = {
		"",          "ws",           "ws:",       "ws:/a",    "http://a",    "wsx://a",
		"ws://",     "ws://:80",     "ws:///x",   "ws://a:",  "ws://a:0",    "ws://a:65536",
		"ws://a:8x", "ws://a:80:80", "ws://[::1", "ws://[]",  "ws://[::1]8", "ws://u@a",
		"ws://a b",  "ws://a/ b",    "ws://a/#x", "ws://a?x", "ws://a/\n",   "ws://a\n",
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_url url;

		if (!NPT_CHECK_INT(npt_url_parse(cases[i], "ws", &url, NULL), -EINVAL))
			printf("%s\n", cases[i]);
	}
}

static void knows_loopback(void)
{
	static const struct {
		const char *text;
		bool loopback;
	} cases[] = {
		{ "ws://127.0.0.1", true },
		{ "ws://127.9.9.9", true },
		{ "ws://[::1]", true },
		{ "ws://localhost", true },
		{ "ws://128.0.0.1", false },
		{ "ws://[::2]", false },
		{ "ws://localhost.example", false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_url url;

		NPT_CHECK_INT(npt_url_parse(cases[i].text, "ws", &url, NULL), 0);
		NPT_CHECK_INT(npt_url_is_loopback(&url), cases[i].loopback);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(takes_a_url_apart),
	NPT_TEST(refuses_what_is_no_url),
	NPT_TEST(knows_loopback),
};
NPT_TEST_MAIN(tests)
