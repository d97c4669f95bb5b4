/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Url - scheme://HOST[:PORT][/PATH], taken apart. Plain value.
 */
#include <stdbool.h>

#include "lib/core/error.h"

#define NPT_URL_HOST_BYTES 256
#define NPT_URL_PATH_BYTES 512

struct npt_url {
	bool tls;                      /* the scheme ended in "s" */
	char host[NPT_URL_HOST_BYTES]; /* without the brackets of an IPv6 address */
	unsigned int port;             /* 443 or 80 if it was not said */
	char path[NPT_URL_PATH_BYTES]; /* with the query; "/" if it was not said */
};

/* scheme is "http" or "ws"; takes it with and without "s". No user, no fragment. */
int npt_url_parse(const char *text, const char *scheme, struct npt_url *url_ret,
		  struct npt_error *err);
/* 127.0.0.0/8, ::1 or "localhost". */
bool npt_url_is_loopback(const struct npt_url *url);
