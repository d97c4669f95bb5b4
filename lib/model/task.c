/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server has checked the schema; we check again, since a field that this version does not
 * expect must not be misread. A label selector becomes the text that LIST and WATCH take.
 */
#include "lib/model/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/model/json.h"

const char *npt_task_phase_name(enum npt_task_phase phase)
{
	static const char *const names[NPT_TASK_PHASES] = {
		"Pending",   "Resolving",          "Running", "Collecting",
		"Succeeded", "PartiallySucceeded", "Failed",  "Cancelled",
	};

	return names[phase];
}

static void append_term(struct npt_buffer *out, struct npt_json_reader *reader, const char *format,
			const char *key, const char *value)
{
	npt_auto_free char *prefix = npt_strdup(out->size_bytes > 0 ? "," : "");
	npt_auto_free char *term = NULL;

	if (strcmp(format, "equal") == 0)
		term = npt_format("%s%s=%s", prefix, key, value);
	else if (strcmp(format, "in") == 0)
		term = npt_format("%s%s in (%s)", prefix, key, value);
	else if (strcmp(format, "notin") == 0)
		term = npt_format("%s%s notin (%s)", prefix, key, value);
	else
		term = npt_format("%s%s%s", prefix, strcmp(format, "exists") == 0 ? "" : "!", key);
	if (npt_buffer_append_text(out, term) < 0)
		npt_json_fail(reader, "podSelector", "is too long");
}

/* The text of a list or map; NULL and refused if it is none, or has a NUL in it. */
static const char *read_text(struct npt_json_reader *reader, const char *what, const json_t *value)
{
	const char *text = json_string_value(value);

	if (text && strlen(text) == json_string_length(value))
		return text;
	npt_json_fail(reader, what, "has something that is no text");
	return NULL;
}

/* A comma or a parenthesis in a label would mean something else in the text form. */
static void check_label(struct npt_json_reader *reader, const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_./";

	if (text[strspn(text, allowed)] != '\0')
		npt_json_fail(reader, "podSelector", "has what can be no label");
}

static void append_labels(struct npt_json_reader *reader, const json_t *selector,
			  struct npt_buffer *out)
{
	json_t *labels = npt_json_object(reader, selector, "matchLabels"), *value;
	const char *key;

	json_object_foreach(labels, key, value)
	{
		const char *text = read_text(reader, "matchLabels", value);

		check_label(reader, key);
		if (key[0] == '\0' || !text)
			npt_json_fail(reader, "matchLabels", "has one without a name");
		else
			check_label(reader, text);
		if (text)
			append_term(out, reader, "equal", key, text);
	}
}

static bool takes_values(const char *operator)
{
	return strcmp(operator, "In") == 0 || strcmp(operator, "NotIn") == 0;
}

static void append_expression(struct npt_json_reader *reader, const json_t *expression,
			      struct npt_buffer *out)
{
	static const char *const operators[][2] = { { "In", "in" },
						    { "NotIn", "notin" },
						    { "Exists", "exists" },
						    { "DoesNotExist", "absent" } };
	npt_auto(npt_buffer_done) struct npt_buffer values = NPT_BUFFER(8192);
	const json_t *list = npt_json_array(reader, expression, "values", 64);
	char key[512] = "", operator[16] = "";

	npt_json_text(reader, expression, "key", key, sizeof(key));
	npt_json_text(reader, expression, "operator", operator, sizeof(operator));
	check_label(reader, key);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *value = read_text(reader, "values", json_array_get(list, i));

		if (value)
			check_label(reader, value);
		if (value && npt_buffer_appendf(&values, "%s%s", i ? "," : "", value) < 0)
			npt_json_fail(reader, "values", "are too long");
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(operators); i++) {
		if (strcmp(operator, operators[i][0]) == 0) {
			if (key[0] == '\0' || (json_array_size(list) > 0) != takes_values(operator))
				npt_json_fail(reader, "matchExpressions",
					      "has no key, or values that do not fit its operator");
			append_term(out, reader, operators[i][1], key,
				    values.data ? values.data : "");
			return;
		}
	}
	npt_json_fail(reader, "operator", "is none of In, NotIn, Exists, DoesNotExist");
}

static void read_selector(struct npt_json_reader *reader, const json_t *selector,
			  struct npt_task *task)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(NPT_TASK_SELECTOR_BYTES);
	const json_t *expressions = npt_json_array(reader, selector, "matchExpressions", 32);

	append_labels(reader, selector, &out);
	for (size_t i = 0; i < json_array_size(expressions); i++)
		append_expression(reader, json_array_get(expressions, i), &out);
	if (out.size_bytes == 0)
		npt_json_fail(reader, "podSelector", "is empty");
	task->selector = npt_buffer_take(&out);
}

static void read_texts(struct npt_json_reader *reader, const json_t *object, const char *key,
		       char *out, size_t size_bytes, size_t max)
{
	const json_t *array = npt_json_array(reader, object, key, max);

	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *text = read_text(reader, key, json_array_get(array, i));

		if (!text || text[0] == '\0' || strlen(text) >= size_bytes)
			npt_json_fail(reader, key, "has something that is no name");
		else
			memcpy(out + i * size_bytes, text, strlen(text) + 1);
	}
}

static void read_layers(struct npt_json_reader *reader, const json_t *spec, struct npt_task *task)
{
	const json_t *array = npt_json_array(reader, spec, "layers", NPT_LAYER_COUNT);

	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		enum npt_layer layer;

		if (!name || npt_layer_parse(name, &layer) < 0)
			npt_json_fail(reader, "layers", "has one that does not exist");
		else
			task->layers[layer] = true;
	}
}

static void read_spec(struct npt_json_reader *reader, const json_t *spec, struct npt_task *task)
{
	const json_t *target = npt_json_object(reader, spec, "target");
	const json_t *selector = npt_json_object(reader, target, "podSelector");
	const json_t *limits = npt_json_object(reader, spec, "limits");
	const json_t *budget = npt_json_object(reader, spec, "budget");

	if (selector)
		read_selector(reader, selector, task);
	read_texts(reader, target, "podNames", task->names[0], sizeof(task->names[0]),
		   NPT_TASK_NAMES_MAX);
	read_texts(reader, target, "containers", task->containers[0], sizeof(task->containers[0]),
		   NPT_TASK_CONTAINERS_MAX);
	if (!selector && task->names[0][0] == '\0')
		npt_json_fail(reader, "target", "names no pods");
	task->duration_seconds = (uint32_t)npt_json_u64(reader, spec, "durationSeconds", 3600);
	task->interval_seconds = (uint32_t)npt_json_u64(reader, spec, "intervalSeconds", 60);
	read_layers(reader, spec, task);
	task->max_targets = (uint32_t)npt_json_u64(reader, limits, "maxTargets", 5000);
	task->max_edges_per_pod = (uint32_t)npt_json_u64(reader, limits, "maxEdgesPerPod", 4096);
	task->budget_cpu_millicores =
		(uint32_t)npt_json_u64(reader, budget, "cpuMillicores", UINT32_MAX);
	task->budget_memory_mib = (uint32_t)npt_json_u64(reader, budget, "memoryMiB", UINT32_MAX);
	task->start_deadline_seconds =
		(uint32_t)npt_json_u64(reader, spec, "startDeadlineSeconds", 3600);
	task->cancel = npt_json_bool(reader, spec, "cancel");
	if (task->duration_seconds == 0 || task->interval_seconds == 0)
		npt_json_fail(reader, "durationSeconds or intervalSeconds", "is missing");
	if (task->max_targets == 0)
		task->max_targets = 50;
	if (task->max_edges_per_pod == 0)
		task->max_edges_per_pod = 1024;
	if (task->start_deadline_seconds == 0)
		task->start_deadline_seconds = 60;
}

static uint64_t read_time(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	uint64_t unix_ms = 0;

	return text && npt_rfc3339_parse(text, &unix_ms) == 0 ? unix_ms : 0;
}

static void read_spec_or_say_why(const json_t *spec, struct npt_task *task)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_json_reader reader = { .err = &err };

	read_spec(&reader, spec, task);
	if (reader.result == 0)
		return;
	npt_task_done(task);
	(void)snprintf(task->invalid, sizeof(task->invalid), "spec: %.200s", err.text);
}

int npt_task_from_json(const json_t *object, struct npt_task *task_ret, struct npt_error *err)
{
	struct npt_json_reader reader = { .err = err };
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *status = json_object_get(object, "status");
	struct npt_task *task = npt_alloc(1, sizeof(*task));

	npt_json_text(&reader, metadata, "namespace", task->namespace_name,
		      sizeof(task->namespace_name));
	npt_json_text(&reader, metadata, "name", task->name, sizeof(task->name));
	npt_json_text(&reader, metadata, "uid", task->uid, sizeof(task->uid));
	npt_json_text(&reader, metadata, "resourceVersion", task->resource_version,
		      sizeof(task->resource_version));
	if (task->name[0] == '\0' || task->uid[0] == '\0')
		npt_json_fail(&reader, "metadata", "has no name or no uid");
	task->generation = json_integer_value(json_object_get(metadata, "generation"));
	task->created_unix_ms = read_time(metadata, "creationTimestamp");
	task->started_unix_ms = read_time(status, "startTime");
	task->finished = json_is_true(json_object_get(status, "finished"));
	read_spec_or_say_why(json_object_get(object, "spec"), task);
	if (reader.result == 0)
		*task_ret = *task;
	else
		npt_task_done(task);
	free(task);
	return reader.result;
}

void npt_task_done(struct npt_task *task)
{
	free(task->selector);
	task->selector = NULL;
}
