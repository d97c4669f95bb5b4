/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/interrupt.h"
#include "cli/print.h"
#include "cli/result.h"
#include "cli/target.h"
#include "lib/core/alloc.h"

#define PATH_TASKS "/apis/netprof.io/v1alpha1/namespaces/%s/networkprofilingtasks"

int npt_command_exit_code(const char *phase)
{
	if (strcmp(phase, "Succeeded") == 0)
		return NPT_CLI_OK;
	if (strcmp(phase, "PartiallySucceeded") == 0)
		return NPT_CLI_TASK_PARTIAL;
	if (strcmp(phase, "Cancelled") == 0)
		return NPT_CLI_INTERRUPTED;
	return NPT_CLI_TASK_FAILED;
}

static json_t *metadata_of(const struct npt_cli_options *options,
			   const struct npt_target_words *target)
{
	npt_auto_free char *prefix = npt_format("%s-", target->name);

	if (options->name)
		return json_pack("{s:s}", "name", options->name);
	return json_pack("{s:s}", "generateName", prefix);
}

/* What was not asked for is left to the resource's defaults. */
static json_t *make_task(const struct npt_cli_options *options,
			 const struct npt_target_words *target)
{
	json_t *spec = json_pack("{s:O}", "target", target->target), *layers;

	if (options->duration_seconds)
		(void)json_object_set_new(spec, "durationSeconds",
					  json_integer((json_int_t)options->duration_seconds));
	if (options->interval_seconds)
		(void)json_object_set_new(spec, "intervalSeconds",
					  json_integer((json_int_t)options->interval_seconds));
	else if (options->duration_seconds && options->duration_seconds < 5)
		(void)json_object_set_new(spec, "intervalSeconds",
					  json_integer((json_int_t)options->duration_seconds));
	if (options->layers[0]) {
		layers = json_array();
		for (size_t i = 0; i < NPT_CLI_LAYERS_MAX && options->layers[i]; i++)
			(void)json_array_append_new(layers, json_string(options->layers[i]));
		(void)json_object_set_new(spec, "layers", layers);
	}
	return json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "netprof.io/v1alpha1", "kind",
			 "NetworkProfilingTask", "metadata", metadata_of(options, target), "spec",
			 spec);
}

static int create(struct npt_cluster *cluster, const struct npt_target_words *target,
		  json_t **task_ret, struct npt_error *err)
{
	npt_auto_free char *path = npt_format(PATH_TASKS, cluster->namespace_name);
	json_t *task = make_task(cluster->options, target);
	int r = npt_cluster_call(cluster, "create the task", "POST", path, task, task_ret, err);

	json_decref(task);
	if (r == NPT_KUBE_ALREADY_EXISTS)
		return npt_error_set(err, EEXIST,
				     "there is a task %s in namespace %s already: give another "
				     "--name, or none",
				     cluster->options->name, cluster->namespace_name);
	return r > 0 ? -EACCES : r;
}

static void say_created(struct npt_cluster *cluster, const char *name,
			const struct npt_target_words *target)
{
	fprintf(stderr, "task %s in namespace %s\n", name, cluster->namespace_name);
	if (npt_target_count(cluster, target->target) == 0)
		fprintf(stderr,
			"kubectl-npt: no pod matches now; the task waits for one, for a minute\n");
}

/* Pods that were not measured, each with its reason. */
static void say_pods(const json_t *task)
{
	const json_t *pods = npt_cluster_at(task, "status/pods");
	size_t i;
	json_t *pod;

	json_array_foreach(pods, i, pod)
	{
		const char *reason = npt_cluster_text(pod, "reason");
		const char *message = npt_cluster_text(pod, "message");

		if (reason[0])
			fprintf(stderr, "kubectl-npt: pod %s on node %s: %s: %s%s\n",
				npt_cluster_text(pod, "name"), npt_cluster_text(pod, "node"),
				reason, message,
				strcmp(reason, "NoAgentOnNode") == 0
					? "; kubectl npt doctor says why"
					: "");
	}
}

static int finish(struct npt_cluster *cluster, json_t *task, struct npt_error *err)
{
	npt_auto(npt_result_done) struct npt_result result = { .task = NULL };
	const char *phase = npt_cluster_text(task, "status/phase");
	const char *message = npt_cluster_text(task, "status/message");
	int code = npt_command_exit_code(phase), r;

	if (code != NPT_CLI_OK)
		fprintf(stderr, "kubectl-npt: the task ended as %s%s%s\n", phase,
			message[0] ? ": " : "", message);
	say_pods(task);
	r = npt_result_fetch(cluster, task, &result, err);
	if (r < 0) {
		json_decref(task);
		return r;
	}
	npt_result_say_source(&result);
	r = npt_print_result(&result, cluster->options->output, err);
	return r < 0 ? r : code;
}

static int follow(struct npt_cluster *cluster, const char *name, struct npt_error *err)
{
	const struct npt_follow_options options = {
		.namespace_name = cluster->namespace_name,
		.name = name,
		.cancel_if_asked = true,
	};
	json_t *task = NULL;
	int r = npt_follow(cluster, &options, &task, err);

	if (r < 0)
		return r;
	return finish(cluster, task, err);
}

int npt_command_run(const struct npt_cli_options *options, struct npt_error *err)
{
	npt_auto(npt_cluster_close) struct npt_cluster cluster = { .proxy = NPT_CHILD_NONE };
	struct npt_target_words target = { .target = NULL };
	json_t *created = NULL;
	const char *name;
	int r = npt_cluster_open(&cluster, options, err);

	if (r == 0)
		r = npt_target_resolve(&cluster, &target, err);
	if (r == 0) {
		npt_interrupt_ask_first(); /* what is created now is ended if it is not wanted */
		r = create(&cluster, &target, &created, err);
	}
	name = npt_cluster_text(created, "metadata/name");
	if (r == 0 && options->detach)
		r = printf("networkprofilingtask.netprof.io/%s\n", name) < 0 ? -EIO : 0;
	else if (r == 0) {
		say_created(&cluster, name, &target);
		r = follow(&cluster, name, err);
	}
	json_decref(created);
	json_decref(target.target);
	return r;
}
