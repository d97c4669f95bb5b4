/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/headers.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/cleanup.h"
#include "tests/support/test.h"

static void who_takes_gzip_says_so(void)
{
	static const struct {
		const char *header;
		bool takes;
	} cases[] = {
		{ "gzip", true },
		{ "deflate, GZIP;q=0.5, br", true },
		{ "br,gzip", true },
		{ "gzip; q=1.000", true },
		{ "gzip;q=0.001", true },
		{ "gzip;q=0", false },
		{ "deflate, gzip; q=0.000", false },
		{ "gzip;q=0,br", false },
		{ "gzipped", false },
		{ "identity", false },
		{ "", false },
		{ ",,;", false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		if (!NPT_CHECK(npt_header_takes_gzip(cases[i].header) == cases[i].takes))
			printf("%s\n", cases[i].header);
	}
}

static void an_etag_is_named_whole(void)
{
	static const struct {
		const char *header;
		bool names;
	} cases[] = {
		{ "\"v1\"", true },        { "\"v0\", W/\"v1\"", true },
		{ "\"v0\",\"v1\"", true }, { "\"v0\"", false },
		{ "v1", false },           { "\"v1", false },
		{ "\"v11\"", false },      { "", false },
		{ ",, ", false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		if (!NPT_CHECK(npt_header_names_etag(cases[i].header, "\"v1\"") == cases[i].names))
			printf("%s\n", cases[i].header);
	}
}

static void a_loopback_host_has_few_names(void)
{
	static const struct {
		const char *host;
		bool is;
	} cases[] = {
		{ "localhost", true },       { "LocalHost:8444", true },
		{ "127.0.0.1:1", true },     { "[::1]", true },
		{ "[::1]:8444", true },      { "localhost.evil", false },
		{ "127.0.0.1.evil", false }, { "127.0.0.11", false },
		{ "evil", false },           { "", false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		if (!NPT_CHECK(npt_is_loopback_host(cases[i].host) == cases[i].is))
			printf("%s\n", cases[i].host);
	}
}

static void a_path_gives_its_parts(void)
{
	char path[] = "/v1/tasks/u-1/edges/e-2/histogram";
	const char *params[NPT_SERVER_PARAMS_MAX] = { NULL };

	NPT_CHECK(npt_path_match("/v1/tasks/{uid}/edges/{id}/histogram", path, params));
	npt_path_cut(path, params);
	NPT_CHECK_STR(params[0], "u-1");
	NPT_CHECK_STR(params[1], "e-2");
	NPT_CHECK(params[2] == NULL);
	NPT_CHECK(!npt_path_match("/v1/tasks/{uid}", "/v1/tasks/", params));
	NPT_CHECK(!npt_path_match("/v1/tasks/{uid}", "/v1/tasks", params));
	NPT_CHECK(!npt_path_match("/v1/tasks/{uid}", "/v1/tasks/a/b", params));
	NPT_CHECK(!npt_path_match("/v1/tasks", "", params));
}

static const struct npt_test tests[] = {
	NPT_TEST(who_takes_gzip_says_so),
	NPT_TEST(an_etag_is_named_whole),
	NPT_TEST(a_loopback_host_has_few_names),
	NPT_TEST(a_path_gives_its_parts),
};
NPT_TEST_MAIN(tests)
