/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads, and the list of tasks; answers about one task are in api_task.c.
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
#include "aggregator/api_private.h"
#include "aggregator/query.h"
#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/queue.h"
#include "lib/core/strmap.h"

#define WORKERS        3
#define JOBS_MAX       128
#define TASKS_DEFAULT  100
#define TASKS_MAX      500
#define NAMESPACES_MAX 64

struct worker {
	struct npt_api_worker own; /* first: what answers see */
	struct npt_api *api;
	pthread_t thread;
	bool started;
};

struct npt_api {
	struct npt_queue *jobs;
	struct worker workers[WORKERS];
};

struct job {
	npt_api_answer *run;
	struct npt_request *request;
};

/* ---- GET /v1/tasks ---- */

struct list {
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
static unsigned int check_visible(struct npt_api_worker *worker, struct list *list,
				  const char *name, bool *visible_ret, struct npt_error *err)
{
	const char *known = npt_strmap_get(list->namespaces, name);
	unsigned int status;

	if (list->sees_all) {
		*visible_ret = true;
		return 0;
	}
	if (!known) {
		status = npt_access_check(worker->access, &worker->identity, name, "", err);
		if (status != 0 && status != 403)
			return status;
		known = status == 0 ? seen : hidden;
		(void)npt_strmap_set(list->namespaces, name, (void *)(uintptr_t)known);
	}
	*visible_ret = known == seen;
	return 0;
}

/* Fills the page; 0 or a status. */
static unsigned int fill_list(struct npt_api_worker *worker, struct list *list,
			      const char *namespace_name, struct npt_error *err)
{
	npt_auto_free struct npt_stored_task *found = npt_alloc(TASKS_MAX, sizeof(*found));
	size_t count = 0;

	do {
		int r = npt_store_list_tasks(worker->reader, namespace_name, list->last_id, found,
					     TASKS_MAX, &count, err);

		if (r < 0)
			return 500;
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

static unsigned int begin_list(struct npt_api_worker *worker, struct list *list,
			       const char *namespace_name, struct npt_error *err)
{
	unsigned int status;

	if (namespace_name)
		return npt_access_check(worker->access, &worker->identity, namespace_name, "", err);
	status = npt_access_check(worker->access, &worker->identity, "", "", err);
	list->sees_all = status == 0;
	return status == 403 ? 0 : status;
}

static void answer_tasks(struct npt_api_worker *worker, struct npt_request *request)
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

	if (!npt_query_knows(request, known) ||
	    !npt_query_number(request, "limit", TASKS_DEFAULT, TASKS_MAX, &limit) ||
	    !npt_query_number(request, "cursor", 0, INT64_MAX, &list.last_id))
		return;
	namespaces = npt_strmap_new(NAMESPACES_MAX, NULL);
	tasks = npt_alloc(limit, sizeof(*tasks));
	list.namespaces = namespaces;
	list.tasks = tasks;
	list.max = limit;
	status = begin_list(worker, &list, namespace_name, &err);
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

/* ---- threads ---- */

/* Who asks comes before what is asked: a stranger learns nothing, not even what is a question. */
static void run_job(struct npt_api_worker *worker, const struct job *job)
{
	const struct npt_request *request = job->request;
	npt_auto_free char *authorization =
		npt_session_authorization(&worker->session_key, request->authorization,
					  request->cookie, request->origin, request->host);
	struct npt_error err = NPT_ERROR_NONE;
	unsigned int status =
		npt_access_identify(worker->access, authorization, &worker->identity, &err);

	if (status == 0)
		job->run(worker, job->request);
	else
		npt_answer_problem(job->request, status, err.text);
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	struct job *job;

	while ((job = npt_queue_wait(worker->api->jobs, -1))) {
		run_job(&worker->own, job);
		free(job);
	}
	return NULL;
}

static void hand_over(struct npt_api *api, struct npt_request *request, npt_api_answer *run)
{
	struct job *job = npt_alloc(1, sizeof(*job));

	job->run = run;
	job->request = request;
	if (npt_queue_push(api->jobs, job) == 0)
		return;
	free(job);
	npt_answer_problem(request, 503, "too many requests are waiting");
}

extern const unsigned char npt_openapi[];
extern const size_t npt_openapi_bytes;

/* What may be asked, for everybody to read: it says nothing of anybody. */
static void handle_openapi(void *context, struct npt_request *request)
{
	char *text = npt_strndup((const char *)npt_openapi, npt_openapi_bytes);

	(void)context;
	npt_answer_json_take(request, text);
}

#define DEFINE_HANDLER(name, answer)                                                               \
	static void name(void *context, struct npt_request *request)                               \
	{                                                                                          \
		hand_over(context, request, answer);                                               \
	}

static void begin_session(struct npt_api_worker *worker, struct npt_request *request)
{
	npt_session_begin(&worker->session_key, worker->access, request);
}

static void handle_session_end(void *context, struct npt_request *request)
{
	(void)context;
	npt_session_end(request);
}

DEFINE_HANDLER(handle_session, begin_session)
DEFINE_HANDLER(handle_tasks, answer_tasks)
DEFINE_HANDLER(handle_task, npt_api_answer_task)
DEFINE_HANDLER(handle_windows, npt_api_answer_windows)
DEFINE_HANDLER(handle_topology, npt_api_answer_topology)
DEFINE_HANDLER(handle_findings, npt_api_answer_findings)
DEFINE_HANDLER(handle_edge, npt_api_answer_edge)
DEFINE_HANDLER(handle_histogram, npt_api_answer_histogram)
DEFINE_HANDLER(handle_compare, npt_api_answer_compare)

size_t npt_api_routes(struct npt_api *api, struct npt_route *routes, size_t max)
{
	static const struct {
		const char *method;
		const char *path;
		void (*handler)(void *context, struct npt_request *request);
	} all[] = {
		{ "GET", "/v1/tasks", handle_tasks },
		{ "GET", "/v1/tasks/{uid}", handle_task },
		{ "GET", "/v1/tasks/{uid}/windows", handle_windows },
		{ "GET", "/v1/tasks/{uid}/topology", handle_topology },
		{ "GET", "/v1/tasks/{uid}/findings", handle_findings },
		{ "GET", "/v1/tasks/{uid}/edges/{id}", handle_edge },
		{ "GET", "/v1/tasks/{uid}/edges/{id}/histogram", handle_histogram },
		{ "GET", "/v1/compare", handle_compare },
		{ "GET", "/v1/openapi.json", handle_openapi },
		{ "POST", "/v1/session", handle_session },
		{ "DELETE", "/v1/session", handle_session_end },
	};
	size_t count = 0;

	for (; count < NPT_ARRAY_SIZE(all) && count < max; count++)
		routes[count] = (struct npt_route){ .method = all[count].method,
						    .path = all[count].path,
						    .handler = all[count].handler,
						    .context = api };
	return count;
}

static int start_worker(struct worker *worker, const struct npt_api_options *options,
			struct npt_error *err)
{
	int r = npt_access_checker_new(options->config, &worker->own.access, err);

	worker->own.session_key = options->session_key;
	if (r == 0)
		r = npt_store_open_reader(options->store, &worker->own.reader, err);
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

int npt_api_start(const struct npt_api_options *options, struct npt_api **api_ret,
		  struct npt_error *err)
{
	npt_auto(npt_api_free) struct npt_api *api = npt_alloc(1, sizeof(*api));

	api->jobs = npt_queue_new(JOBS_MAX, free_job);
	for (size_t i = 0; i < WORKERS; i++) {
		int r;

		api->workers[i].api = api;
		r = start_worker(&api->workers[i], options, err);
		if (r < 0)
			return r;
	}
	*api_ret = npt_take(api);
	return 0;
}

void npt_api_cancel(struct npt_api *api)
{
	for (size_t i = 0; i < WORKERS; i++)
		npt_access_checker_cancel(api->workers[i].own.access);
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
		npt_access_checker_free(worker->own.access);
		npt_store_reader_free(worker->own.reader);
	}
	npt_queue_free(api->jobs);
	free(api);
}
