/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Query - the parameters of a request, checked. What makes no sense is answered with 400 and the
 * reason; the caller only ends then (false).
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/net/server.h"

/* Nothing but these names, a list that NULL ends, each at most once. */
bool npt_query_knows(struct npt_request *request, const char *const *names);
/* A number from 1 to max, or what it is without. */
bool npt_query_number(struct npt_request *request, const char *name, uint64_t without, uint64_t max,
		      uint64_t *value_ret);
/*
 * A time, RFC 3339 in UTC or milliseconds of the Unix epoch, as milliseconds; 0 without. Times of
 * before 1970 or beyond 2^53 ms are none.
 */
bool npt_query_time(struct npt_request *request, const char *name, uint64_t *unix_ms_ret);
/* "5s", "500ms", "1m"; 0 without. */
bool npt_query_duration(struct npt_request *request, const char *name, uint64_t *ms_ret);
/* Which of choices (NULL ends them) it is; 0, the first, without. */
bool npt_query_choice(struct npt_request *request, const char *name, const char *const *choices,
		      size_t *index_ret);
