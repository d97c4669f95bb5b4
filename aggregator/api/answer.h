/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Answer - how a request is answered: JSON, or a problem (RFC 9457). Both end the request.
 */
#include "lib/net/server.h"

/* text is taken over. */
void npt_answer_json_take(struct npt_request *request, char *text);
/* Of a type (static), with the name of its content, taken over, too (struct npt_response). */
void npt_answer_named(struct npt_request *request, const char *content_type, char *text,
		      char *etag);
/* 304: the client has what has this name. */
void npt_answer_unchanged(struct npt_request *request, char *etag);
/* detail: a sentence for a person, or "". A 503 says when to come again. */
void npt_answer_problem(struct npt_request *request, unsigned int status, const char *detail);
