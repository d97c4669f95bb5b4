/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write that fails leaves nothing behind but the wish: what was written last is forgotten, so
 * that the next second's status differs from it. The uid in the patch guards against a task made
 * anew.
 *
 * Pending is not written while the pods are about to be known: the one write of this second is to
 * be the start, before which no agent begins.
 */
#include "controller/status.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"

#define WRITE_PERIOD_NS NPT_NS_PER_SECOND

static json_t *status_patch(const struct npt_task_run *run, const char *text)
{
	json_t *status = json_loads(text, 0, NULL);

	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion", "netprof.io/v1alpha1",
			 "kind", "NetworkProfilingTask", "metadata", "uid", run->task.uid, "name",
			 run->task.name, "status", status);
}

void npt_status_write(struct npt_api *api, struct npt_task_run *run, uint64_t now_ns)
{
	npt_auto_free char *text = NULL;
	json_t *status;

	if (run->task.finished || run->write_pending || now_ns < run->next_write_ns)
		return;
	if (run->status.phase == NPT_TASK_PENDING && now_ns < run->seen_ns + WRITE_PERIOD_NS)
		return;
	status = npt_task_status_to_json(&run->status);
	text = json_dumps(status, JSON_COMPACT);
	json_decref(status);
	if (run->written && strcmp(run->written, text) == 0)
		return;
	if (npt_api_write_status(api, &run->task, status_patch(run, text)) < 0)
		return;
	run->write_pending = true;
	run->start_pending = run->status.started_unix_ms != 0;
	run->next_write_ns = now_ns + WRITE_PERIOD_NS;
	free(run->written);
	run->written = npt_take(text);
}

void npt_status_written(struct npt_task_run *run, const struct npt_event *event)
{
	run->write_pending = false;
	if (event->outcome == NPT_KUBE_OK) {
		if (run->start_pending && !run->start_written) {
			run->start_written = true;
			run->dirty = true;
		}
		return;
	}
	free(npt_take(run->written));
	/* Gone or made anew: the watch says so. Everything else is tried again in a second. */
	if (event->outcome != NPT_KUBE_NOT_FOUND && event->outcome != NPT_KUBE_CONFLICT)
		npt_log_warning("status not written; it is tried again", "task", run->task.name,
				"error", event->text);
}
