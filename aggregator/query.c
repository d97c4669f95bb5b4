/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name that nobody knows is refused rather than ignored: it may be a filter, and then the answer
 * would be of something else than what was asked.
 */
#include "aggregator/query.h"

#include <inttypes.h>
#include <string.h>

#include "aggregator/answer.h"
#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"

#define TIME_MAX_MS     ((UINT64_C(1) << 53) - 1)
#define DURATION_MAX_MS UINT64_C(86400000)
#define CHOICES_BYTES   512

static bool refuse(struct npt_request *request, char *detail)
{
	npt_auto_free char *owned = detail;

	npt_answer_problem(request, 400, owned);
	return false;
}

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

bool npt_query_knows(struct npt_request *request, const char *const *names)
{
	const char *name;

	for (size_t i = 0; (name = npt_request_query_name(request, i)); i++) {
		if (!is_one_of(name, names))
			return refuse(request, npt_format("unknown parameter '%.60s'", name));
		for (size_t k = 0; k < i; k++) {
			if (strcmp(npt_request_query_name(request, k), name) == 0)
				return refuse(request, npt_format("'%s' is there twice", name));
		}
	}
	return true;
}

bool npt_query_number(struct npt_request *request, const char *name, uint64_t without, uint64_t max,
		      uint64_t *value_ret)
{
	const char *text = npt_request_query(request, name);

	*value_ret = without;
	if (!text || npt_parse_u64(text, 1, max, value_ret) == 0)
		return true;
	return refuse(request, npt_format("%s is a number from 1 to %" PRIu64, name, max));
}

bool npt_query_time(struct npt_request *request, const char *name, uint64_t *unix_ms_ret)
{
	const char *text = npt_request_query(request, name);

	*unix_ms_ret = 0;
	if (!text || npt_parse_u64(text, 1, TIME_MAX_MS, unix_ms_ret) == 0 ||
	    npt_rfc3339_parse(text, unix_ms_ret) == 0)
		return true;
	return refuse(request, npt_format("%s is a time: 2026-01-01T00:00:00.000Z, or milliseconds "
					  "since 1970",
					  name));
}

bool npt_query_duration(struct npt_request *request, const char *name, uint64_t *ms_ret)
{
	const char *text = npt_request_query(request, name);

	*ms_ret = 0;
	if (!text || npt_parse_duration_ms(text, 1, DURATION_MAX_MS, ms_ret) == 0)
		return true;
	return refuse(request, npt_format("%s is a duration from 1ms to 24h: 5s, 1m", name));
}

bool npt_query_choice(struct npt_request *request, const char *name, const char *const *choices,
		      size_t *index_ret)
{
	const char *text = npt_request_query(request, name);
	npt_auto(npt_buffer_done) struct npt_buffer all = NPT_BUFFER(CHOICES_BYTES);

	*index_ret = 0;
	if (!text)
		return true;
	for (size_t i = 0; choices[i]; i++) {
		if (strcmp(choices[i], text) == 0) {
			*index_ret = i;
			return true;
		}
		(void)npt_buffer_appendf(&all, "%s%s", i ? ", " : "", choices[i]);
	}
	return refuse(request, npt_format("%s is one of %s", name, all.data));
}
