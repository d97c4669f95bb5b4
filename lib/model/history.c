/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names as in the rest of the JSON: the same noun for the same thing.
 */
#include "lib/model/history.h"

#include <string.h>

#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/model/json.h"

#define API_VERSION "netprof.io/v1alpha1"

static char *dump(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	return text;
}

static void set_time(json_t *object, const char *key, uint64_t unix_ms)
{
	char text[NPT_RFC3339_BYTES];

	npt_rfc3339_ms(unix_ms, text);
	npt_json_set_text(object, key, text);
}

static json_t *task_json(const struct npt_stored_task *task)
{
	json_t *object = json_object();

	npt_json_set_text(object, "namespace", task->namespace_name);
	npt_json_set_text(object, "name", task->name);
	npt_json_set_text(object, "uid", task->uid);
	set_time(object, "start", task->start_unix_ms);
	set_time(object, "end", task->end_unix_ms);
	npt_json_set_number(object, "windows", task->windows);
	npt_json_set_number(object, "pods", task->pods);
	return object;
}

char *npt_stored_tasks_to_json(const struct npt_stored_task *tasks, size_t count, const char *next)
{
	json_t *object = json_object(), *array = json_array();

	npt_json_set_text(object, "kind", "TaskList");
	npt_json_set_text(object, "apiVersion", API_VERSION);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(array, task_json(&tasks[i]));
	npt_json_set(object, "tasks", array);
	npt_json_set_some_text(object, "next", next);
	return dump(object);
}

static json_t *stream_json(const struct npt_stored_stream *stream)
{
	json_t *object = json_object();
	uint64_t span = stream->last_sequence - stream->first_sequence + 1;

	npt_json_set_text(object, "namespace", stream->pod_namespace);
	npt_json_set_text(object, "name", stream->pod_name);
	npt_json_set_text(object, "uid", stream->pod_uid);
	npt_json_set_text(object, "node", stream->node);
	npt_json_set_text(object, "instance", stream->instance);
	npt_json_set(object, "windows", npt_json_number(stream->windows));
	npt_json_set(object, "firstSequence", npt_json_number(stream->first_sequence));
	npt_json_set(object, "lastSequence", npt_json_number(stream->last_sequence));
	npt_json_set(object, "missing",
		     npt_json_number(stream->first_sequence - 1 + span - stream->windows));
	return object;
}

char *npt_stored_streams_to_json(const struct npt_stored_stream *streams, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(array, stream_json(&streams[i]));
	return dump(array);
}

char *npt_task_report_json_text(const char *before, const char *edges, const char *after,
				const char *pods)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(SIZE_MAX / 4);

	(void)npt_buffer_append_text(&text, before);
	if (edges)
		(void)npt_buffer_append_text(&text, edges);
	(void)npt_buffer_append(&text, after, strlen(after) - 1); /* without its "}" */
	(void)npt_buffer_append_text(&text, ",\"pods\":");
	(void)npt_buffer_append_text(&text, pods);
	(void)npt_buffer_append_text(&text, "}");
	return npt_buffer_take(&text);
}

char *npt_window_list_json_text(const char *windows, const char *next)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(SIZE_MAX / 4);

	(void)npt_buffer_append_text(&text, "{\"kind\":\"WindowList\",\"apiVersion\":\"" API_VERSION
					    "\",\"windows\":[");
	if (windows)
		(void)npt_buffer_append_text(&text, windows);
	(void)npt_buffer_append_text(&text, "]");
	if (next[0]) /* digits: nothing to quote */
		(void)npt_buffer_appendf(&text, ",\"next\":\"%s\"", next);
	(void)npt_buffer_append_text(&text, "}");
	return npt_buffer_take(&text);
}

char *npt_stored_window_to_json(uint64_t sequence, int added)
{
	json_t *object = json_object();

	npt_json_set(object, "sequence", npt_json_number(sequence));
	npt_json_set(object, "stored", json_boolean(added));
	return dump(object);
}

char *npt_problem_to_json(unsigned int status, const char *title, const char *detail)
{
	json_t *object = json_object();

	npt_json_set_text(object, "type", "about:blank");
	npt_json_set_text(object, "title", title);
	npt_json_set(object, "status", npt_json_number(status));
	npt_json_set_some_text(object, "detail", detail);
	return dump(object);
}
