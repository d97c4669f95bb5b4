/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gave a token wants the service's answer: then its refusal is an error, not a reason to show
 * less.
 */
#include "cli/result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/service.h"
#include "cli/status_report.h"
#include "lib/core/alloc.h"
#include "lib/net/http_client.h"

#define PATH_TASK "/apis/netprof.io/v1alpha1/namespaces/%s/networkprofilingtasks/%s"

int npt_result_find_task(struct npt_cluster *cluster, const char *namespace_name, const char *name,
			 json_t **task_ret, struct npt_error *err)
{
	int r;

	if (!npt_cluster_is_name(name))
		return npt_error_set(err, EINVAL, "'%.100s' is no name of a task", name);
	r = npt_cluster_get(cluster, "read the task", task_ret, err, PATH_TASK, namespace_name,
			    name);
	if (r == NPT_KUBE_NOT_FOUND)
		return npt_error_set(err, ENOENT,
				     "there is no task %s in namespace %s; see: kubectl npt "
				     "results -A",
				     name, namespace_name);
	return r > 0 ? -EACCES : r;
}

static int ask_service(struct npt_cluster *cluster, const json_t *task, struct npt_result *result,
		       struct npt_error *err)
{
	npt_auto(npt_service_close) struct npt_service service = { .forward = NPT_CHILD_NONE };
	npt_auto_free char *uid = npt_http_escape(npt_cluster_text(task, "metadata/uid"));
	npt_auto_free char *path = npt_format("/v1/tasks/%s", uid);
	int r = npt_service_open(&service, cluster, err);

	if (r == 0)
		r = npt_service_get(&service, path, &result->text, &result->size_bytes, err);
	if (r == -ENOENT && service.http)
		return npt_error_set(err, ENOENT,
				     "the aggregation service has no window of this task");
	return r;
}

static void sort(struct npt_result *result)
{
	struct npt_report *report = result->report;

	result->sorted = npt_alloc(report->edges_count + 1, sizeof(*result->sorted));
	for (size_t i = 0; i < report->edges_count; i++)
		result->sorted[i] = &report->edges[i];
	qsort(result->sorted, report->edges_count, sizeof(*result->sorted), npt_edge_worst_first);
}

static void take_status(const json_t *task, struct npt_result *result)
{
	json_t *report = npt_status_report(task);

	result->from_status = true;
	result->text = json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(6));
	result->size_bytes = strlen(result->text);
	json_decref(report);
}

int npt_result_fetch(struct npt_cluster *cluster, json_t *task, struct npt_result *result_ret,
		     struct npt_error *err)
{
	struct npt_result result = { .from_status = false };
	struct npt_error why = NPT_ERROR_NONE;
	bool asked = cluster->options->token || cluster->options->service_account;
	int r = ask_service(cluster, task, &result, &why);

	if (r < 0 && r != -ENOENT && asked) {
		*err = why;
		return r;
	}
	if (r < 0) {
		(void)snprintf(result.why, sizeof(result.why), "%s", why.text);
		take_status(task, &result);
	}
	r = npt_report_from_json(result.text, result.size_bytes, &result.report, &result.quantiles,
				 err);
	if (r < 0) {
		npt_result_done(&result);
		return npt_error_wrap(err, "the result cannot be read");
	}
	sort(&result);
	result.task = task;
	*result_ret = result;
	return 0;
}

int npt_result_open(struct npt_cluster *cluster, const char *namespace_name, const char *name,
		    struct npt_result *result_ret, struct npt_error *err)
{
	json_t *task = NULL;
	int r = npt_result_find_task(cluster, namespace_name, name, &task, err);

	if (r < 0)
		return r;
	r = npt_result_fetch(cluster, task, result_ret, err);
	if (r < 0)
		json_decref(task);
	return r;
}

void npt_result_done(struct npt_result *result)
{
	json_decref(npt_take(result->task));
	free(npt_take(result->text));
	npt_report_free(npt_take(result->report));
	free(npt_take(result->quantiles));
	free(npt_take(result->sorted));
}

void npt_result_say_source(const struct npt_result *result)
{
	size_t listed = result->report->edges_count;
	uint64_t all = listed + result->report->other_edges;

	if (!result->from_status)
		return;
	fprintf(stderr,
		"kubectl-npt: this is the summary in the task's status: %zu of %llu edges, without "
		"histograms (%s)\n",
		listed, (unsigned long long)all, result->why);
}

const struct npt_edge_quantiles *npt_result_quantiles(const struct npt_result *result,
						      const struct npt_edge *edge)
{
	return &result->quantiles[edge - result->report->edges];
}
