/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as the API server sends it, read as a task and as a pod: whatever is in it, the texts
 * end, and a task that is not called invalid can be carried out.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/kube/list.h"
#include "lib/kube/pod.h"
#include "lib/model/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* rows texts, each with room for size bytes. */
static void must_end(const char *texts, size_t rows, size_t size)
{
	for (size_t i = 0; i < rows; i++)
		must(memchr(texts + i * size, '\0', size) != NULL);
}

#define MUST_END(text)       must_end((text), 1, sizeof(text))
#define MUST_END_EACH(texts) must_end((texts)[0], NPT_ARRAY_SIZE(texts), sizeof((texts)[0]))

static void check_spec(const struct npt_task *task)
{
	must((task->selector && task->selector[0]) || task->names[0][0]);
	must(task->duration_seconds >= 1 && task->duration_seconds <= 3600);
	must(task->interval_seconds >= 1 && task->interval_seconds <= 60);
	must(task->max_targets >= 1 && task->max_targets <= 5000);
	must(task->max_edges_per_pod >= 1 && task->max_edges_per_pod <= 4096);
	must(task->start_deadline_seconds >= 1 && task->start_deadline_seconds <= 3600);
	must(!task->selector || strlen(task->selector) <= NPT_TASK_SELECTOR_BYTES);
}

static void read_task(const json_t *object)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_task task;

	if (npt_task_from_json(object, &task, &err) < 0) {
		must(err.code != 0 && err.text[0]);
		return;
	}
	must(task.uid[0] && task.name[0]);
	MUST_END(task.namespace_name);
	MUST_END(task.name);
	MUST_END(task.uid);
	MUST_END(task.resource_version);
	MUST_END(task.invalid);
	MUST_END_EACH(task.names);
	MUST_END_EACH(task.containers);
	if (task.invalid[0] == '\0')
		check_spec(&task);
	npt_task_done(&task);
}

static void read_pod(const json_t *object)
{
	struct npt_pod pod;

	memset(&pod, 0xff, sizeof(pod));
	npt_pod_from_json(object, &pod);
	MUST_END(pod.namespace_name);
	MUST_END(pod.name);
	MUST_END(pod.uid);
	MUST_END(pod.node);
	MUST_END(pod.ip);
	MUST_END(pod.phase);
	must(pod.containers_count <= NPT_CHANNEL_CONTAINERS_MAX);
	for (size_t i = 0; i < pod.containers_count; i++) {
		MUST_END(pod.containers[i].name);
		MUST_END(pod.containers[i].id);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *object = npt_kube_parse((const char *)data, size);

	if (!object)
		return 0;
	read_task(object);
	read_pod(object);
	json_decref(object);
	return 0;
}
