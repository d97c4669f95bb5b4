/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and permissions; what is said of a task is in task_json.c.
 *
 * A list shows only what the person may see. Whoever may read all namespaces is asked about once;
 * for others each namespace that occurs is asked about once per request, so the work per request
 * is bounded by how many namespaces one page may look at.
 */
#include "aggregator/api.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/access.h"
#include "aggregator/answer.h"
#include "aggregator/task_json.h"
#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/parse.h"
#include "lib/core/queue.h"
#include "lib/core/strmap.h"

#define WORKERS         3
#define JOBS_MAX        128
#define TASKS_DEFAULT   100
#define TASKS_MAX       500
#define NAMESPACES_MAX  64
#define WINDOWS_MAX     1000
#define WINDOWS_DEFAULT 100

struct worker {
	struct npt_api *api;
	struct npt_access_checker *access;
	struct npt_store_reader *reader;
	pthread_t thread;
	bool started;
};

struct npt_api {
	struct npt_queue *jobs;
	struct worker workers[WORKERS];
};

struct job {
	void (*run)(struct worker *worker, struct npt_request *request);
	struct npt_request *request;
};

/* ---- the query ---- */

static bool refuse_unknown(struct npt_request *request, const char *const *known)
{
	const char *name;

	for (size_t i = 0; (name = npt_request_query_name(request, i)); i++) {
		const char *const *at = known;
		npt_auto_free char *detail = NULL;

		while (*at && strcmp(*at, name) != 0)
			at++;
		if (*at)
			continue;
		detail = npt_format("unknown parameter '%.60s'", name);
		npt_answer_problem(request, 400, detail);
		return true;
	}
	return false;
}

/* A number of the query, or what it is without; false: refused. */
static bool query_number(struct npt_request *request, const char *name, uint64_t without,
			 uint64_t max, uint64_t *value_ret)
{
	const char *text = npt_request_query(request, name);
	npt_auto_free char *detail = NULL;

	*value_ret = without;
	if (!text || npt_parse_u64(text, 1, max, value_ret) == 0)
		return true;
	detail = npt_format("%s is a number from 1 to %" PRIu64, name, max);
	npt_answer_problem(request, 400, detail);
	return false;
}

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

/* ---- GET /v1/tasks ---- */

struct list {
	struct npt_identity identity;
	bool sees_all;
	struct npt_strmap *namespaces; /* asked about: "" yes, NULL is unknown */
	struct npt_stored_task *tasks;
	size_t count;
	size_t max;
	uint64_t last_id; /* of the last one looked at */
	bool more;
};

static const char seen[] = "seen", hidden[] = "hidden";

/* Is the task's namespace visible? 0 or a status; *visible_ret. */
static unsigned int check_visible(struct worker *worker, struct list *list, const char *name,
				  bool *visible_ret, struct npt_error *err)
{
	const char *known = npt_strmap_get(list->namespaces, name);
	unsigned int status;

	if (list->sees_all) {
		*visible_ret = true;
		return 0;
	}
	if (!known) {
		status = npt_access_check(worker->access, &list->identity, name, "", err);
		if (status != 0 && status != 403)
			return status;
		known = status == 0 ? seen : hidden;
		(void)npt_strmap_set(list->namespaces, name, (void *)(uintptr_t)known);
	}
	*visible_ret = known == seen;
	return 0;
}

/* Fills the page; 0 or a status. */
static unsigned int fill_list(struct worker *worker, struct list *list, const char *namespace_name,
			      struct npt_error *err)
{
	npt_auto_free struct npt_stored_task *found = npt_alloc(TASKS_MAX, sizeof(*found));
	size_t count = 0;

	do {
		int r = npt_store_list_tasks(worker->reader, namespace_name, list->last_id, found,
					     TASKS_MAX, &count, err);

		if (r < 0)
			return r == -EAGAIN || r == -EACCES || r == -ENOSPC ? 503 : 500;
		for (size_t i = 0; i < count; i++) {
			bool visible = false;
			unsigned int status;

			list->more = true;
			if (list->count == list->max ||
			    npt_strmap_count(list->namespaces) == NAMESPACES_MAX)
				return 0;
			status =
				check_visible(worker, list, found[i].namespace_name, &visible, err);
			if (status != 0)
				return status;
			list->last_id = found[i].id;
			if (visible)
				list->tasks[list->count++] = found[i];
		}
		list->more = false;
	} while (count == TASKS_MAX);
	return 0;
}

static unsigned int begin_list(struct worker *worker, struct list *list,
			       const struct npt_request *request, const char *namespace_name,
			       struct npt_error *err)
{
	unsigned int status =
		npt_access_identify(worker->access, request->authorization, &list->identity, err);

	if (status != 0)
		return status;
	if (namespace_name)
		return npt_access_check(worker->access, &list->identity, namespace_name, "", err);
	status = npt_access_check(worker->access, &list->identity, "", "", err);
	list->sees_all = status == 0;
	return status == 403 ? 0 : status;
}

static void answer_tasks(struct worker *worker, struct npt_request *request)
{
	static const char *const known[] = { "namespace", "limit", "cursor", NULL };
	const char *namespace_name = npt_request_query(request, "namespace");
	npt_auto(npt_strmap_free) struct npt_strmap *namespaces = NULL;
	npt_auto_free struct npt_stored_task *tasks = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct list list = { .count = 0 };
	uint64_t limit;
	unsigned int status;
	char next[24] = "";

	if (refuse_unknown(request, known) ||
	    !query_number(request, "limit", TASKS_DEFAULT, TASKS_MAX, &limit) ||
	    !query_number(request, "cursor", 0, INT64_MAX, &list.last_id))
		return;
	namespaces = npt_strmap_new(NAMESPACES_MAX, NULL);
	tasks = npt_alloc(limit, sizeof(*tasks));
	list.namespaces = namespaces;
	list.tasks = tasks;
	list.max = limit;
	status = begin_list(worker, &list, request, namespace_name, &err);
	if (namespace_name)
		list.sees_all = true; /* of that namespace, as was just checked */
	if (status == 0)
		status = fill_list(worker, &list, namespace_name, &err);
	if (status != 0) {
		npt_answer_problem(request, status, err.text);
		return;
	}
	if (list.more)
		(void)snprintf(next, sizeof(next), "%" PRIu64, list.last_id);
	npt_answer_json_take(request, npt_stored_tasks_to_json(tasks, list.count, next));
}

/* ---- one task ---- */

/* The task of the path, if it is there and the person may see it; false: answered. */
static bool find_visible_task(struct worker *worker, struct npt_request *request,
			      struct npt_stored_task *task_ret)
{
	struct npt_identity identity;
	struct npt_error err = NPT_ERROR_NONE;
	unsigned int status =
		npt_access_identify(worker->access, request->authorization, &identity, &err);
	int r;

	if (status != 0) {
		npt_answer_problem(request, status, err.text);
		return false;
	}
	r = npt_store_find_task(worker->reader, request->params[0], task_ret, &err);
	if (r < 0) {
		answer_error(request, r, &err);
		return false;
	}
	status = npt_access_check(worker->access, &identity, task_ret->namespace_name,
				  task_ret->name, &err);
	if (status != 0) {
		npt_answer_problem(request, status, err.text);
		return false;
	}
	return true;
}

static void answer_task(struct worker *worker, struct npt_request *request)
{
	static const char *const known[] = { "pod", NULL };
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_stored_task task;
	char *text = NULL;
	int r;

	if (refuse_unknown(request, known) || !find_visible_task(worker, request, &task))
		return;
	r = npt_task_report_json(worker->reader, &task, npt_request_query(request, "pod"), &text,
				 &err);
	if (r < 0)
		answer_error(request, r, &err);
	else
		npt_answer_json_take(request, text);
}

static void answer_windows(struct worker *worker, struct npt_request *request)
{
	static const char *const known[] = { "pod", "limit", "cursor", NULL };
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_stored_task task;
	struct npt_store_filter filter = { .task_id = 0 };
	uint64_t limit;
	char *text = NULL;
	int r;

	if (refuse_unknown(request, known) ||
	    !query_number(request, "limit", WINDOWS_DEFAULT, WINDOWS_MAX, &limit) ||
	    !query_number(request, "cursor", 0, INT64_MAX, &filter.after) ||
	    !find_visible_task(worker, request, &task))
		return;
	filter.task_id = task.id;
	filter.pod_uid = npt_request_query(request, "pod");
	filter.limit = limit;
	r = npt_task_windows_json(worker->reader, &filter, &text, &err);
	if (r < 0)
		answer_error(request, r, &err);
	else
		npt_answer_json_take(request, text);
}

/* ---- threads ---- */

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct job *job;

	while ((job = npt_queue_wait(worker->api->jobs, -1))) {
		job->run(worker, job->request);
		free(job);
	}
	return NULL;
}

static void hand_over(struct npt_api *api, struct npt_request *request,
		      void (*run)(struct worker *worker, struct npt_request *request))
{
	struct job *job = npt_alloc(1, sizeof(*job));

	job->run = run;
	job->request = request;
	if (npt_queue_push(api->jobs, job) == 0)
		return;
	free(job);
	npt_answer_problem(request, 503, "too many requests are waiting");
}

void npt_api_handle_tasks(void *context, struct npt_request *request)
{
	hand_over(context, request, answer_tasks);
}

void npt_api_handle_task(void *context, struct npt_request *request)
{
	hand_over(context, request, answer_task);
}

void npt_api_handle_windows(void *context, struct npt_request *request)
{
	hand_over(context, request, answer_windows);
}

static int start_worker(struct worker *worker, const struct npt_kube_config *config,
			struct npt_store *store, struct npt_error *err)
{
	int r = npt_access_checker_new(config, &worker->access, err);

	if (r == 0)
		r = npt_store_open_reader(store, &worker->reader, err);
	if (r < 0)
		return r;
	r = pthread_create(&worker->thread, NULL, work, worker);
	if (r != 0)
		return npt_error_set(err, r, "cannot start a thread: %s", strerror(r));
	worker->started = true;
	return 0;
}

static void free_job(void *item)
{
	struct job *job = item;

	npt_answer_problem(job->request, 503, "the aggregator is stopping");
	free(job);
}

int npt_api_start(const struct npt_kube_config *config, struct npt_store *store,
		  struct npt_api **api_ret, struct npt_error *err)
{
	npt_auto(npt_api_free) struct npt_api *api = npt_alloc(1, sizeof(*api));

	api->jobs = npt_queue_new(JOBS_MAX, free_job);
	for (size_t i = 0; i < WORKERS; i++) {
		int r;

		api->workers[i].api = api;
		r = start_worker(&api->workers[i], config, store, err);
		if (r < 0)
			return r;
	}
	*api_ret = npt_take(api);
	return 0;
}

void npt_api_cancel(struct npt_api *api)
{
	for (size_t i = 0; i < WORKERS; i++)
		npt_access_checker_cancel(api->workers[i].access);
}

void npt_api_free(struct npt_api *api)
{
	if (!api)
		return;
	npt_queue_close(api->jobs);
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *worker = &api->workers[i];

		if (worker->started)
			(void)pthread_join(worker->thread, NULL);
		npt_access_checker_free(worker->access);
		npt_store_reader_free(worker->reader);
	}
	npt_queue_free(api->jobs);
	free(api);
}
