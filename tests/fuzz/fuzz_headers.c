/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client wrote, a line each: path, Accept-Encoding, If-None-Match, Host, Authorization,
 * Cookie, Origin. Whatever it says, what is taken from it is a part of it, and no cookie opens that
 * was not sealed here.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/session.h"
#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/net/headers.h"

#define LINES 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_path(char *path)
{
	static const char *const patterns[] = { "/v1/tasks", "/v1/tasks/{uid}",
						"/v1/tasks/{uid}/edges/{id}/histogram" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(patterns); i++) {
		npt_auto_free char *copy = npt_strdup(path);
		const char *params[NPT_SERVER_PARAMS_MAX] = { NULL };

		if (!npt_path_match(patterns[i], copy, params))
			continue;
		npt_path_cut(copy, params);
		must((params[0] != NULL) == (i > 0) && (params[1] != NULL) == (i > 1));
		for (size_t k = 0; params[k]; k++)
			must(params[k][0] && !strchr(params[k], '/') && strstr(path, params[k]));
	}
}

static void check_session(char *const lines[LINES])
{
	static const char secret[] = "0123456789abcdef0123456789abcdef";
	const struct npt_session_key key = { secret, sizeof(secret) - 1 };
	npt_auto_free char *found =
		npt_session_authorization(&key, lines[4], lines[5], lines[6], lines[3]);

	must(strcmp(found, lines[4]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto_free char *text = npt_strndup((const char *)data, size);
	char *at = text, *lines[LINES];
	const char *token;

	for (size_t i = 0; i < LINES; i++) {
		lines[i] = at;
		at += strcspn(at, "\n");
		if (*at)
			*at++ = '\0';
	}
	check_path(lines[0]);
	if (npt_header_takes_gzip(lines[1]))
		must(strcasestr(lines[1], "gzip") != NULL);
	must(!npt_header_names_etag(lines[2], "\"0.1.0-1-2\"") ||
	     strstr(lines[2], "\"0.1.0-1-2\""));
	if (npt_is_loopback_host(lines[3]))
		must(strcspn(lines[3], ":") == strlen(lines[3]) || lines[3][0] == '[' ||
		     lines[3][strcspn(lines[3], ":")] == ':');
	token = npt_bearer_token(lines[4]);
	must(!token || (token[0] && strstr(lines[4], token)));
	check_session(lines);
	return 0;
}
