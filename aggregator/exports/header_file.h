/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Header file - lines of "Name: value" that a request carries: tokens of a receiver.
 *
 * Empty lines and those that begin with "#" are skipped. A name or a value with characters that no
 * header may have is refused: it would be two headers.
 */
#include <stddef.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

#define NPT_HEADERS_MAX 16

struct npt_headers {
	char *text;
	const char *lines[NPT_HEADERS_MAX + 1]; /* NULL at the end */
};

int npt_headers_read(const char *path, struct npt_headers *headers_ret, struct npt_error *err);
/* text is changed and taken over. */
int npt_headers_parse(char *text, struct npt_headers *headers_ret, struct npt_error *err);
void npt_headers_done(struct npt_headers *headers);
NPT_DEFINE_AUTO_DONE(struct npt_headers, npt_headers_done)
