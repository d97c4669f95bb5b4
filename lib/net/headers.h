/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Headers - what the server reads out of what a client wrote: paths, and values of headers. Pure
 * functions on text that is bounded already.
 */
#include <stdbool.h>

#include "lib/net/server.h"

/*
 * Pattern ("/v1/tasks/{uid}") and path together; params point into path, where npt_path_cut() ends
 * each.
 */
bool npt_path_match(const char *pattern, const char *path,
		    const char *params[NPT_SERVER_PARAMS_MAX]);
void npt_path_cut(char *path, const char *const params[NPT_SERVER_PARAMS_MAX]);
/* Accept-Encoding. */
bool npt_header_takes_gzip(const char *encodings);
/* If-None-Match. */
bool npt_header_names_etag(const char *known, const char *etag);
/* Host: "localhost", "127.0.0.1:8444", "[::1]". */
bool npt_is_loopback_host(const char *host);
