/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What api.c (threads, the list of tasks) and api_task.c (answers about one) share.
 */
#include "aggregator/access.h"
#include "aggregator/api.h"

/* What a thread that answers has of its own. */
struct npt_api_worker {
	struct npt_access_checker *access;
	struct npt_store_reader *reader;
	struct npt_session_key session_key;
	struct npt_identity identity; /* of who asks now */
};

/* Ends the request. */
typedef void npt_api_answer(struct npt_api_worker *worker, struct npt_request *request);

npt_api_answer npt_api_answer_task, npt_api_answer_windows, npt_api_answer_topology,
	npt_api_answer_findings, npt_api_answer_edge, npt_api_answer_histogram,
	npt_api_answer_compare;
