/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Answer - how a request is answered: JSON, or a problem (RFC 9457). Both end the request.
 */
#include "lib/net/server.h"

/* text is taken over. */
void npt_answer_json_take(struct npt_request *request, char *text);
/* detail: a sentence for a person, or "". A 503 says when to come again. */
void npt_answer_problem(struct npt_request *request, unsigned int status, const char *detail);
