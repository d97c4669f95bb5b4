/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Resolve - all addresses of a name, in random order (a headless Service has one per replica).
 */
#include <netdb.h>
#include <stddef.h>

#include "lib/core/error.h"

/* Blocks as long as the resolver does. At least one address, or an error. */
int npt_resolve(const char *host, char (*addresses)[NI_MAXHOST], size_t max, size_t *count_ret,
		struct npt_error *err);
