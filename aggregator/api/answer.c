/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The titles of the statuses that this program gives.
 */
#include "aggregator/api/answer.h"

#include <string.h>

#include "lib/model/history.h"

#define RETRY_SECONDS 5

static const char *title_of(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *title;
	} titles[] = {
		{ 400, "Bad Request" },         { 401, "Unauthorized" },
		{ 403, "Forbidden" },           { 404, "Not Found" },
		{ 413, "Content Too Large" },   { 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(titles); i++) {
		if (titles[i].status == status)
			return titles[i].title;
	}
	return "Error";
}

void npt_answer_json_take(struct npt_request *request, char *text)
{
	npt_request_respond(
		request,
		(struct npt_response){ .status = 200, .body = text, .body_bytes = strlen(text) });
}

void npt_answer_named(struct npt_request *request, const char *content_type, char *text, char *etag)
{
	npt_request_respond(request, (struct npt_response){ .status = 200,
							    .content_type = content_type,
							    .body = text,
							    .body_bytes = strlen(text),
							    .etag = etag });
}

void npt_answer_unchanged(struct npt_request *request, char *etag)
{
	npt_request_respond(request, (struct npt_response){ .status = 304, .etag = etag });
}

void npt_answer_problem(struct npt_request *request, unsigned int status, const char *detail)
{
	char *text = npt_problem_to_json(status, title_of(status), detail);

	npt_request_respond(request,
			    (struct npt_response){
				    .status = status,
				    .content_type = "application/problem+json",
				    .body = text,
				    .body_bytes = strlen(text),
				    .retry_after_seconds = status == 503 ? RETRY_SECONDS : 0,
			    });
}
