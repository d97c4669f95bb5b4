/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/headers.h"

#include <string.h>

#include "lib/core/cleanup.h"

bool npt_path_match(const char *pattern, const char *path,
		    const char *params[NPT_SERVER_PARAMS_MAX])
{
	size_t count = 0;

	while (*pattern == '/' && *path == '/') {
		size_t pattern_length = strcspn(++pattern, "/");
		size_t length = strcspn(++path, "/");
		bool last = path[length] == '\0';

		if ((pattern[pattern_length] == '\0') != last)
			return false;
		if (pattern[0] == '{') {
			if (length == 0 || count == NPT_SERVER_PARAMS_MAX)
				return false;
			params[count++] = path;
		} else if (length != pattern_length || strncmp(pattern, path, length) != 0) {
			return false;
		}
		pattern += pattern_length;
		path += length;
		if (last)
			return true;
	}
	return false;
}

void npt_path_cut(char *path, const char *const params[NPT_SERVER_PARAMS_MAX])
{
	for (size_t i = 0; i < NPT_SERVER_PARAMS_MAX && params[i]; i++) {
		size_t at = (size_t)(params[i] - path);

		path[at + strcspn(path + at, "/")] = '\0';
	}
}

/* "q=0", "q=0.000" */
static bool weighs_nothing(const char *weight)
{
	return strncasecmp(weight, "q=0", 3) == 0 &&
	       strspn(weight + 3, ".0") == strcspn(weight + 3, ", \t");
}

/* "deflate, gzip;q=0.5": named, and not with a weight of 0 (RFC 9110, 12.5.3). */
bool npt_header_takes_gzip(const char *encodings)
{
	while (*encodings) {
		size_t length = strcspn(encodings, ",");
		const char *at = encodings + strspn(encodings, " \t");
		size_t name = strcspn(at, ",; \t");

		if (name == 4 && strncasecmp(at, "gzip", name) == 0) {
			at += name;
			return !weighs_nothing(at + strspn(at, "; \t"));
		}
		encodings += length + (encodings[length] == ',');
	}
	return false;
}

bool npt_header_names_etag(const char *known, const char *etag)
{
	while (*known) {
		size_t length;

		known += strspn(known, ", \t");
		if (strncmp(known, "W/", 2) == 0)
			known += 2;
		length = strcspn(known, ", \t");
		if (length == strlen(etag) && strncmp(known, etag, length) == 0)
			return true;
		known += length;
	}
	return false;
}

bool npt_is_loopback_host(const char *host)
{
	static const char *const names[] = { "127.0.0.1", "localhost", "[::1]" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(names); i++) {
		size_t length = strlen(names[i]);

		if (strncasecmp(host, names[i], length) == 0 &&
		    (host[length] == '\0' || host[length] == ':'))
			return true;
	}
	return false;
}

const char *npt_bearer_token(const char *authorization)
{
	static const char scheme[] = "Bearer ";

	if (strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	authorization += sizeof(scheme) - 1;
	authorization += strspn(authorization, " ");
	return *authorization ? authorization : NULL;
}
