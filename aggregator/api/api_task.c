/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers about a task: who may see it, what of it is wanted, and whether the client has it
 * already.
 *
 * All of them are made of the task's windows alone, so the number of windows that are stored says
 * whether an answer is still good: it is the etag, and finding out costs one row.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/api/answer.h"
#include "aggregator/api/api_private.h"
#include "aggregator/api/query.h"
#include "aggregator/api/task_json.h"
#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/parse.h"
#include "lib/model/report_merge.h"

#define WINDOWS_MAX     1000
#define WINDOWS_DEFAULT 100
#define JSON            "application/json"

static void answer_error(struct npt_request *request, int r, const struct npt_error *err)
{
	if (r == -ENOENT) {
		npt_answer_problem(request, 404, err->text);
	} else if (r == -EMSGSIZE) {
		npt_answer_problem(request, 413, err->text);
	} else if (r == -EAGAIN || r == -EACCES || r == -ENOSPC) {
		/* Who stores, and the store's connection, have a word for the log. */
		npt_answer_problem(request, 503, "the store does not answer now");
	} else {
		npt_log_error("the store cannot be read", "error", err->text);
		npt_answer_problem(request, 500, "the store cannot be read; see the log");
	}
}

/* A task, if it is there and the person may see it; false: answered. */
static bool find_visible(struct npt_api_worker *worker, struct npt_request *request,
			 const char *uid, struct npt_stored_task *task_ret)
{
	struct npt_error err = NPT_ERROR_NONE;
	unsigned int status;
	int r = npt_store_find_task(worker->reader, uid, task_ret, &err);

	if (r < 0) {
		answer_error(request, r, &err);
		return false;
	}
	status = npt_access_check(worker->access, &worker->identity, task_ret->namespace_name,
				  task_ret->name, &err);
	if (status != 0) {
		npt_answer_problem(request, status, err.text);
		return false;
	}
	return true;
}

static bool find_task(struct npt_api_worker *worker, struct npt_request *request,
		      struct npt_stored_task *task_ret)
{
	return find_visible(worker, request, request->params[0], task_ret);
}

/* The answer's etag; the path and query are the client's key already. */
static char *etag_of(const struct npt_stored_task *task)
{
	return npt_format("\"%s-%" PRIu64 "-%" PRIu64 "\"", NPT_VERSION, task->id, task->windows);
}

/* True: the client has it, and was told so. Takes the etag then. */
static bool answered_unchanged(struct npt_request *request, char **etag)
{
	if (!npt_request_has(request, *etag))
		return false;
	npt_answer_unchanged(request, npt_take(*etag));
	return true;
}

static void answer(struct npt_request *request, int r, const char *content_type, char *text,
		   char *etag, const struct npt_error *err)
{
	if (r == 0) {
		npt_answer_named(request, content_type, text, etag);
		return;
	}
	free(etag);
	answer_error(request, r, err);
}

/* ---- which part ---- */

static const char *const part_names[] = { "pod", "from", "to", "at", NULL };

static bool query_part(struct npt_request *request, struct npt_task_part *part_ret)
{
	uint64_t at = 0;

	*part_ret = (struct npt_task_part){ .pod_uid = npt_request_query(request, "pod") };
	if (!npt_query_time(request, "from", &part_ret->from_unix_ms) ||
	    !npt_query_time(request, "to", &part_ret->until_unix_ms) ||
	    !npt_query_time(request, "at", &at))
		return false;
	if (at && (part_ret->from_unix_ms || part_ret->until_unix_ms)) {
		npt_answer_problem(request, 400, "either at, or from and to");
		return false;
	}
	if (at) {
		part_ret->from_unix_ms = at;
		part_ret->until_unix_ms = at + 1;
	}
	if (part_ret->until_unix_ms && part_ret->until_unix_ms <= part_ret->from_unix_ms) {
		npt_answer_problem(request, 400, "to is not after from");
		return false;
	}
	return true;
}

/* ---- the task, in several views ---- */

typedef int task_view(struct npt_store_reader *reader, const struct npt_stored_task *task,
		      const struct npt_task_part *part, char **text_ret, struct npt_error *err);

/* names: the parameters that there may be. */
static void answer_view(struct npt_api_worker *worker, struct npt_request *request,
			const char *const *names, task_view *view, const char *content_type)
{
	npt_auto_free char *etag = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_task_part part;
	struct npt_stored_task task;
	char *text = NULL;
	int r;

	if (!npt_query_knows(request, names) || !query_part(request, &part) ||
	    !find_task(worker, request, &task))
		return;
	etag = etag_of(&task);
	if (answered_unchanged(request, &etag))
		return;
	r = view(worker->reader, &task, &part, &text, &err);
	answer(request, r, content_type, text, npt_take(etag), &err);
}

void npt_api_answer_task(struct npt_api_worker *worker, struct npt_request *request)
{
	static const char *const names[] = { "pod", "from", "to", "at", "format", NULL };
	static const char *const formats[] = { "json", "csv", "dot", NULL };
	static const struct {
		task_view *view;
		const char *content_type;
	} views[] = {
		{ npt_task_report_json, JSON },
		{ npt_task_report_csv, "text/csv; charset=utf-8" },
		{ npt_task_report_dot, "text/vnd.graphviz; charset=utf-8" },
	};
	size_t format;

	if (npt_query_choice(request, "format", formats, &format))
		answer_view(worker, request, names, views[format].view, views[format].content_type);
}

void npt_api_answer_topology(struct npt_api_worker *worker, struct npt_request *request)
{
	answer_view(worker, request, part_names, npt_task_topology_json, JSON);
}

void npt_api_answer_findings(struct npt_api_worker *worker, struct npt_request *request)
{
	answer_view(worker, request, part_names, npt_task_findings_json, JSON);
}

void npt_api_answer_windows(struct npt_api_worker *worker, struct npt_request *request)
{
	static const char *const known[] = { "pod", "from", "to", "at", "limit", "cursor", NULL };
	npt_auto_free char *etag = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_task_part part;
	struct npt_stored_task task;
	struct npt_store_filter filter = { .task_id = 0 };
	uint64_t limit;
	char *text = NULL;
	int r;

	if (!npt_query_knows(request, known) ||
	    !npt_query_number(request, "limit", WINDOWS_DEFAULT, WINDOWS_MAX, &limit) ||
	    !npt_query_number(request, "cursor", 0, INT64_MAX, &filter.after) ||
	    !query_part(request, &part) || !find_task(worker, request, &task))
		return;
	etag = etag_of(&task);
	if (answered_unchanged(request, &etag))
		return;
	filter.task_id = task.id;
	filter.pod_uid = part.pod_uid;
	filter.from_unix_ms = part.from_unix_ms;
	filter.until_unix_ms = part.until_unix_ms;
	filter.limit = limit;
	r = npt_task_windows_json(worker->reader, &filter, &text, &err);
	answer(request, r, JSON, text, npt_take(etag), &err);
}

/* ---- an edge ---- */

static void answer_history(struct npt_api_worker *worker, struct npt_request *request,
			   struct npt_edge_history_options *options)
{
	npt_auto_free char *etag = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_store_edge_filter filter = { .task_id = 0 };
	struct npt_task_part part;
	struct npt_stored_task task;
	char *text = NULL;
	int r;

	if (!query_part(request, &part) || !npt_query_duration(request, "step", &options->step_ms))
		return;
	if (!npt_edge_key_from_id(request->params[1], &filter.edge_key)) {
		npt_answer_problem(request, 404, "an edge's id is 16 hexadecimal digits");
		return;
	}
	if (!find_task(worker, request, &task))
		return;
	etag = etag_of(&task);
	if (answered_unchanged(request, &etag))
		return;
	filter.task_id = task.id;
	filter.from_unix_ms = part.from_unix_ms;
	filter.until_unix_ms = part.until_unix_ms;
	r = npt_task_edge_json(worker->reader, &filter, options, &text, &err);
	answer(request, r, JSON, text, npt_take(etag), &err);
}

void npt_api_answer_edge(struct npt_api_worker *worker, struct npt_request *request)
{
	static const char *const known[] = { "from", "to", "at", "step", NULL };
	struct npt_edge_history_options options = { .step_ms = 0 };

	if (npt_query_knows(request, known))
		answer_history(worker, request, &options);
}

/* "0.5" in permille: 0 to 1 with up to three digits. */
static bool parse_quantile(const char *text, size_t length, uint32_t *permille_ret)
{
	uint32_t permille = 0;

	if (length < 3 || length > 5 || text[0] != '0' || text[1] != '.')
		return false;
	for (size_t i = 2; i < 5; i++) {
		if (i < length && (text[i] < '0' || text[i] > '9'))
			return false;
		permille = permille * 10 + (i < length ? (uint32_t)(text[i] - '0') : 0);
	}
	*permille_ret = permille;
	return permille > 0;
}

static bool query_quantiles(struct npt_request *request, uint32_t *permille)
{
	const char *text = npt_request_query(request, "quantiles");
	size_t count = 0;

	text = text ? text : "0.5,0.95,0.99";
	while (*text) {
		size_t length = strcspn(text, ",");

		if (count == NPT_HISTORY_QUANTILES_MAX ||
		    !parse_quantile(text, length, &permille[count++])) {
			npt_answer_problem(request, 400,
					   "quantiles are up to 16 numbers like 0.5,0.999");
			return false;
		}
		text += length + (text[length] == ',');
	}
	return true;
}

void npt_api_answer_histogram(struct npt_api_worker *worker, struct npt_request *request)
{
	static const char *const known[] = {
		"from", "to", "at", "step", "metric", "quantiles", NULL
	};
	const char *metrics[NPT_METRIC_COUNT + 1] = { NULL };
	struct npt_edge_history_options options = { .is_histogram = true };
	size_t metric = 0;

	for (size_t i = 0; i < NPT_METRIC_COUNT; i++)
		metrics[i] = npt_metric_name((enum npt_metric_id)i);
	if (!npt_query_knows(request, known))
		return;
	if (!npt_request_query(request, "metric")) {
		npt_answer_problem(request, 400, "metric is missing");
		return;
	}
	if (!npt_query_choice(request, "metric", metrics, &metric) ||
	    !query_quantiles(request, options.quantiles_permille))
		return;
	options.metric = (enum npt_metric_id)metric;
	answer_history(worker, request, &options);
}

/* ---- two tasks ---- */

void npt_api_answer_compare(struct npt_api_worker *worker, struct npt_request *request)
{
	static const char *const known[] = { "a", "b", NULL };
	npt_auto_free char *first = NULL, *second = NULL, *etag = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_stored_task tasks[2];
	char *text = NULL;
	int r;

	if (!npt_query_knows(request, known))
		return;
	for (size_t i = 0; i < NPT_ARRAY_SIZE(tasks); i++) {
		const char *uid = npt_request_query(request, known[i]);

		if (!uid || !uid[0]) {
			npt_answer_problem(request, 400, "a and b are the uids of two tasks");
			return;
		}
		if (!find_visible(worker, request, uid, &tasks[i]))
			return;
	}
	first = etag_of(&tasks[0]);
	second = etag_of(&tasks[1]);
	etag = npt_format("%.*s/%s", (int)strlen(first) - 1, first, second + 1);
	if (answered_unchanged(request, &etag))
		return;
	r = npt_tasks_comparison_json(worker->reader, tasks, &text, &err);
	answer(request, r, JSON, text, npt_take(etag), &err);
}
