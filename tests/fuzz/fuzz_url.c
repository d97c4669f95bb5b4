/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a URL that is accepted, put together again, are the same URL. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check(const char *text, const char *scheme)
{
	npt_auto_free char *whole = NULL;
	struct npt_url url, again;
	bool brackets;

	memset(&url, 0xff, sizeof(url));
	if (npt_url_parse(text, scheme, &url, NULL) < 0)
		return;
	must(memchr(url.host, '\0', sizeof(url.host)) && memchr(url.path, '\0', sizeof(url.path)));
	must(url.host[0] && url.path[0] == '/' && url.port >= 1 && url.port <= 65535);
	(void)npt_url_is_loopback(&url);
	brackets = strchr(url.host, ':') != NULL;
	if (strpbrk(url.host, "[]"))
		return; /* never a name that resolves */
	whole = npt_format("%s%s://%s%s%s:%u%s", scheme, url.tls ? "s" : "", brackets ? "[" : "",
			   url.host, brackets ? "]" : "", url.port, url.path);
	must(npt_url_parse(whole, scheme, &again, NULL) == 0);
	must(again.tls == url.tls && again.port == url.port);
	must(strcmp(again.host, url.host) == 0 && strcmp(again.path, url.path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto_free char *text = npt_strndup((const char *)data, size);
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_url url;
	int http, ws;

	check(text, "http");
	check(text, "ws");
	http = npt_url_parse(text, "http", &url, &err);
	ws = npt_url_parse(text, "ws", &url, &err);
	must(http < 0 || ws < 0);
	must(memchr(err.text, '\0', sizeof(err.text)) && strstr(err.text, "bad URL") == err.text);
	return 0;
}
