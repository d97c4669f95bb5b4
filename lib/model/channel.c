/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message itself, and the frames that carry each kind. Pod summaries have their own codec
 * (summary_json.c).
 */
#include "lib/model/channel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/model/json.h"
#include "lib/model/summary_json.h"

#define MILLIS_MAX (UINT64_C(24) * 3600 * 1000)

static const char *const type_names[] = { "hello", "wanted", "summary", "resolve", "names" };

const char *npt_layer_name(enum npt_layer layer)
{
	static const char *const names[NPT_LAYER_COUNT] = { "Base", "Operations", "Protocol", "TLS",
							    "Requests" };

	return names[layer];
}

int npt_layer_parse(const char *text, enum npt_layer *layer_ret)
{
	for (unsigned int i = 0; i < NPT_LAYER_COUNT; i++) {
		if (strcmp(text, npt_layer_name((enum npt_layer)i)) == 0) {
			*layer_ret = (enum npt_layer)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *npt_assignment_state_name(enum npt_assignment_state state)
{
	static const char *const names[] = { "Starting", "Running", "Draining", "Finished",
					     "Rejected" };

	return names[state];
}

static const char *state_name(unsigned int value)
{
	return npt_assignment_state_name((enum npt_assignment_state)value);
}

static const char *peer_kind_name(unsigned int value)
{
	return npt_peer_kind_name((enum npt_peer_kind)value);
}

struct npt_channel_message *npt_channel_message_new(enum npt_channel_type type)
{
	struct npt_channel_message *message = npt_alloc(1, sizeof(*message));

	message->type = type;
	return message;
}

void npt_channel_message_free(struct npt_channel_message *message)
{
	if (!message)
		return;
	for (size_t i = 0; i < message->held_count; i++)
		free(message->held[i].pods);
	for (size_t i = 0; i < message->assignments_count; i++) {
		struct npt_assignment *assignment = &message->assignments[i];

		for (size_t j = 0; j < assignment->targets_count; j++)
			free(assignment->targets[j].containers);
		free(assignment->targets);
		free(assignment->ingest_token);
	}
	free(message->held);
	free(message->assignments);
	free(message->addresses);
	free(message->names);
	free(message);
}

/* --- writing --- */

static json_t *layers_json(const bool *layers)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < NPT_LAYER_COUNT; i++) {
		if (layers[i])
			(void)json_array_append_new(array,
						    json_string(npt_layer_name((enum npt_layer)i)));
	}
	return array;
}

static json_t *held_json(const struct npt_held_assignment *held, bool with_pods)
{
	json_t *object = json_object(), *pods = json_array();

	npt_json_set_text(object, "id", held->id);
	npt_json_set_text(object, "taskUid", held->task_uid);
	npt_json_set_text(object, "state", npt_assignment_state_name(held->state));
	npt_json_set_some_text(object, "reason", held->reason);
	npt_json_set_some_text(object, "message", held->message);
	for (size_t i = 0; with_pods && i < held->pods_count; i++)
		(void)json_array_append_new(pods, npt_pod_summary_to_json(&held->pods[i]));
	npt_json_set(object, "pods", pods);
	return object;
}

static void set_held(json_t *object, const char *key, const struct npt_channel_message *message,
		     bool with_pods)
{
	json_t *array = json_array();

	for (size_t i = 0; i < message->held_count; i++)
		(void)json_array_append_new(array, held_json(&message->held[i], with_pods));
	npt_json_set(object, key, array);
}

static json_t *target_json(const struct npt_target *target)
{
	json_t *object = json_object(), *containers = json_array(), *only = json_array();

	npt_json_set_text(object, "uid", target->uid);
	npt_json_set_text(object, "namespace", target->namespace_name);
	npt_json_set_text(object, "name", target->name);
	npt_json_set_text(object, "ip", target->ip);
	for (size_t i = 0; i < target->containers_count; i++) {
		json_t *container = json_object();

		npt_json_set_text(container, "name", target->containers[i].name);
		npt_json_set_text(container, "id", target->containers[i].id);
		(void)json_array_append_new(containers, container);
	}
	for (size_t i = 0; i < NPT_CHANNEL_CONTAINERS_MAX && target->only[i][0]; i++)
		(void)json_array_append_new(only, npt_json_string(target->only[i]));
	npt_json_set(object, "containers", containers);
	npt_json_set(object, "only", only);
	if (target->host_network)
		npt_json_set(object, "hostNetwork", json_true());
	return object;
}

static json_t *assignment_json(const struct npt_assignment *assignment)
{
	json_t *object = json_object(), *task = json_object(), *targets = json_array();

	npt_json_set_text(task, "namespace", assignment->task.namespace_name);
	npt_json_set_text(task, "name", assignment->task.name);
	npt_json_set_text(task, "uid", assignment->task.uid);
	npt_json_set_text(object, "id", assignment->id);
	npt_json_set(object, "task", task);
	npt_json_set_number(object, "remainingMillis", assignment->remaining_ms);
	npt_json_set_number(object, "intervalSeconds", assignment->interval_seconds);
	npt_json_set(object, "layers", layers_json(assignment->layers));
	npt_json_set_number(object, "maxEdgesPerPod", assignment->max_edges_per_pod);
	npt_json_set_number(object, "budgetCpuMillicores", assignment->budget_cpu_millicores);
	npt_json_set_number(object, "budgetMemoryMiB", assignment->budget_memory_mib);
	npt_json_set_some_text(object, "ingestUrl", assignment->ingest_url);
	if (assignment->ingest_token)
		npt_json_set_text(object, "ingestToken", assignment->ingest_token);
	for (size_t i = 0; i < assignment->targets_count; i++)
		(void)json_array_append_new(targets, target_json(&assignment->targets[i]));
	npt_json_set(object, "targets", targets);
	return object;
}

static void set_kind(json_t *object, const struct npt_channel_message *hello)
{
	npt_json_set_text(object, "version", hello->version);
	npt_json_set_text(object, "kernel", hello->kernel);
	npt_json_set(object, "layers", layers_json(hello->layers));
	npt_json_set(object, "unavailable", npt_reasons_to_json(hello->unavailable));
}

char *npt_channel_kind_to_json(const struct npt_channel_message *hello)
{
	json_t *object = json_object();
	char *text;

	set_kind(object, hello);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

static void write_hello(json_t *object, const struct npt_channel_message *message)
{
	npt_json_set_number(object, "proto", message->proto);
	npt_json_set_text(object, "node", message->node);
	npt_json_set_text(object, "podUid", message->pod_uid);
	npt_json_set_text(object, "instance", message->instance);
	set_kind(object, message);
	set_held(object, "holding", message, false);
}

static void write_wanted(json_t *object, const struct npt_channel_message *message)
{
	json_t *array = json_array();

	for (size_t i = 0; i < message->assignments_count; i++)
		(void)json_array_append_new(array, assignment_json(&message->assignments[i]));
	npt_json_set_text(object, "epoch", message->epoch);
	npt_json_set(object, "assignments", array);
}

static void write_summary(json_t *object, const struct npt_channel_message *message)
{
	set_held(object, "assignments", message, true);
}

static void write_resolve(json_t *object, const struct npt_channel_message *message)
{
	json_t *array = json_array();

	for (size_t i = 0; i < message->addresses_count; i++)
		(void)json_array_append_new(array, npt_json_string(message->addresses[i]));
	npt_json_set(object, "addresses", array);
}

static void write_names(json_t *object, const struct npt_channel_message *message)
{
	json_t *array = json_array();

	for (size_t i = 0; i < message->names_count; i++) {
		const struct npt_resolved_name *name = &message->names[i];
		json_t *item = json_object();

		npt_json_set_text(item, "address", name->address);
		npt_json_set_text(item, "kind", npt_peer_kind_name(name->kind));
		npt_json_set_some_text(item, "namespace", name->namespace_name);
		npt_json_set_some_text(item, "name", name->name);
		(void)json_array_append_new(array, item);
	}
	npt_json_set(object, "names", array);
}

char *npt_channel_encode(const struct npt_channel_message *message)
{
	static void (*const writers[])(json_t * object,
				       const struct npt_channel_message *message) = {
		write_hello, write_wanted, write_summary, write_resolve, write_names
	};
	json_t *object = json_object();
	char *text;

	assert(message->type < NPT_CHANNEL_OTHER);
	npt_json_set_text(object, "type", type_names[message->type]);
	writers[message->type](object, message);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

/* --- reading --- */

static const json_t *element(struct npt_json_reader *reader, const json_t *array, size_t index,
			     const char *key)
{
	const json_t *item = json_array_get(array, index);

	if (!json_is_object(item))
		npt_json_fail(reader, key, "has an element that is no object");
	return item;
}

static void read_layers(struct npt_json_reader *reader, const json_t *object, bool *layers)
{
	const json_t *array = npt_json_array(reader, object, "layers", 64);

	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));
		enum npt_layer layer;

		/* A layer of a newer version is none of ours. */
		if (name && npt_layer_parse(name, &layer) == 0)
			layers[layer] = true;
	}
}

static void read_held(struct npt_json_reader *reader, const json_t *object, const char *key,
		      struct npt_channel_message *message)
{
	const json_t *array = npt_json_array(reader, object, key, NPT_CHANNEL_ASSIGNMENTS_MAX);
	size_t pods_count = 0;

	message->held = npt_alloc(json_array_size(array), sizeof(*message->held));
	for (size_t i = 0; i < json_array_size(array) && reader->result == 0; i++) {
		const json_t *item = element(reader, array, i, key);
		struct npt_held_assignment *held = &message->held[message->held_count++];
		const json_t *pods =
			npt_json_array(reader, item, "pods", NPT_CHANNEL_SUMMARY_PODS - pods_count);

		pods_count += json_array_size(pods);
		npt_json_text(reader, item, "id", held->id, sizeof(held->id));
		npt_json_text(reader, item, "taskUid", held->task_uid, sizeof(held->task_uid));
		held->state = (enum npt_assignment_state)npt_json_enum(reader, item, "state",
								       state_name, 5);
		npt_json_text(reader, item, "reason", held->reason, sizeof(held->reason));
		npt_json_text(reader, item, "message", held->message, sizeof(held->message));
		held->pods = npt_alloc(json_array_size(pods), sizeof(*held->pods));
		for (size_t j = 0; j < json_array_size(pods); j++)
			npt_pod_summary_from_json(reader, json_array_get(pods, j),
						  &held->pods[held->pods_count++]);
		if (reader->result == 0 && held->task_uid[0] == '\0')
			npt_json_fail(reader, key, "has one without taskUid");
	}
}

static void read_target(struct npt_json_reader *reader, const json_t *object,
			struct npt_target *target)
{
	const json_t *containers =
		npt_json_array(reader, object, "containers", NPT_CHANNEL_CONTAINERS_MAX);
	const json_t *only = npt_json_array(reader, object, "only", NPT_CHANNEL_CONTAINERS_MAX);

	npt_json_text(reader, object, "uid", target->uid, sizeof(target->uid));
	npt_json_text(reader, object, "namespace", target->namespace_name,
		      sizeof(target->namespace_name));
	npt_json_text(reader, object, "name", target->name, sizeof(target->name));
	npt_json_text(reader, object, "ip", target->ip, sizeof(target->ip));
	target->host_network = npt_json_bool(reader, object, "hostNetwork");
	target->containers = npt_alloc(json_array_size(containers), sizeof(*target->containers));
	for (size_t i = 0; i < json_array_size(containers); i++) {
		struct npt_target_container *container =
			&target->containers[target->containers_count++];
		const json_t *item = element(reader, containers, i, "containers");

		npt_json_text(reader, item, "name", container->name, sizeof(container->name));
		npt_json_text(reader, item, "id", container->id, sizeof(container->id));
	}
	for (size_t i = 0; i < json_array_size(only); i++) {
		const char *name = json_string_value(json_array_get(only, i));

		if (!name || name[0] == '\0' || strlen(name) >= sizeof(target->only[0]))
			npt_json_fail(reader, "only", "names no container");
		else
			memcpy(target->only[i], name, strlen(name) + 1);
	}
	if (target->uid[0] == '\0')
		npt_json_fail(reader, "targets", "has one without uid");
}

static void read_assignment(struct npt_json_reader *reader, const json_t *object,
			    struct npt_assignment *assignment)
{
	const json_t *task = npt_json_object(reader, object, "task");
	const json_t *targets = npt_json_array(reader, object, "targets", NPT_CHANNEL_PODS_MAX);
	const json_t *token = json_object_get(object, "ingestToken");

	npt_json_text(reader, object, "id", assignment->id, sizeof(assignment->id));
	npt_json_text(reader, task, "namespace", assignment->task.namespace_name,
		      sizeof(assignment->task.namespace_name));
	npt_json_text(reader, task, "name", assignment->task.name, sizeof(assignment->task.name));
	npt_json_text(reader, task, "uid", assignment->task.uid, sizeof(assignment->task.uid));
	assignment->remaining_ms = npt_json_u64(reader, object, "remainingMillis", MILLIS_MAX);
	assignment->interval_seconds =
		(uint32_t)npt_json_u64(reader, object, "intervalSeconds", 3600);
	read_layers(reader, object, assignment->layers);
	assignment->max_edges_per_pod =
		(uint32_t)npt_json_u64(reader, object, "maxEdgesPerPod", UINT32_MAX);
	assignment->budget_cpu_millicores =
		(uint32_t)npt_json_u64(reader, object, "budgetCpuMillicores", UINT32_MAX);
	assignment->budget_memory_mib =
		(uint32_t)npt_json_u64(reader, object, "budgetMemoryMiB", UINT32_MAX);
	npt_json_text(reader, object, "ingestUrl", assignment->ingest_url,
		      sizeof(assignment->ingest_url));
	if (token && !json_is_string(token))
		npt_json_fail(reader, "ingestToken", "is not text");
	else if (token)
		assignment->ingest_token = npt_strdup(json_string_value(token));
	assignment->targets = npt_alloc(json_array_size(targets), sizeof(*assignment->targets));
	for (size_t i = 0; i < json_array_size(targets); i++)
		read_target(reader, json_array_get(targets, i),
			    &assignment->targets[assignment->targets_count++]);
	if (assignment->id[0] == '\0' || assignment->task.uid[0] == '\0' ||
	    assignment->interval_seconds == 0)
		npt_json_fail(reader, "assignments", "has one without id, task or interval");
}

static void read_hello(struct npt_json_reader *reader, const json_t *object,
		       struct npt_channel_message *message)
{
	message->proto = (uint32_t)npt_json_u64(reader, object, "proto", UINT32_MAX);
	npt_json_text(reader, object, "node", message->node, sizeof(message->node));
	npt_json_text(reader, object, "podUid", message->pod_uid, sizeof(message->pod_uid));
	npt_json_text(reader, object, "instance", message->instance, sizeof(message->instance));
	npt_json_text(reader, object, "version", message->version, sizeof(message->version));
	npt_json_text(reader, object, "kernel", message->kernel, sizeof(message->kernel));
	read_layers(reader, object, message->layers);
	npt_reasons_from_json(reader, object, "unavailable", message->unavailable);
	read_held(reader, object, "holding", message);
}

static void read_wanted(struct npt_json_reader *reader, const json_t *object,
			struct npt_channel_message *message)
{
	const json_t *array =
		npt_json_array(reader, object, "assignments", NPT_CHANNEL_ASSIGNMENTS_MAX);

	npt_json_text(reader, object, "epoch", message->epoch, sizeof(message->epoch));
	message->assignments = npt_alloc(json_array_size(array), sizeof(*message->assignments));
	for (size_t i = 0; i < json_array_size(array) && reader->result == 0; i++)
		read_assignment(reader, json_array_get(array, i),
				&message->assignments[message->assignments_count++]);
}

static void read_summary(struct npt_json_reader *reader, const json_t *object,
			 struct npt_channel_message *message)
{
	read_held(reader, object, "assignments", message);
}

static void read_resolve(struct npt_json_reader *reader, const json_t *object,
			 struct npt_channel_message *message)
{
	const json_t *array =
		npt_json_array(reader, object, "addresses", NPT_CHANNEL_ADDRESSES_MAX);

	message->addresses = npt_alloc(json_array_size(array), sizeof(*message->addresses));
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *address = json_string_value(json_array_get(array, i));

		if (!address || strlen(address) >= NPT_ADDRESS_BYTES)
			npt_json_fail(reader, "addresses", "has something that is no address");
		else
			memcpy(message->addresses[message->addresses_count++], address,
			       strlen(address) + 1);
	}
}

static void read_names(struct npt_json_reader *reader, const json_t *object,
		       struct npt_channel_message *message)
{
	const json_t *array = npt_json_array(reader, object, "names", NPT_CHANNEL_ADDRESSES_MAX);

	message->names = npt_alloc(json_array_size(array), sizeof(*message->names));
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct npt_resolved_name *name = &message->names[message->names_count++];
		const json_t *item = element(reader, array, i, "names");

		npt_json_text(reader, item, "address", name->address, sizeof(name->address));
		name->kind =
			(enum npt_peer_kind)npt_json_enum(reader, item, "kind", peer_kind_name, 5);
		npt_json_text(reader, item, "namespace", name->namespace_name,
			      sizeof(name->namespace_name));
		npt_json_text(reader, item, "name", name->name, sizeof(name->name));
	}
}

static enum npt_channel_type type_of(const json_t *object)
{
	const char *type = json_string_value(json_object_get(object, "type"));

	for (unsigned int i = 0; type && i < sizeof(type_names) / sizeof(type_names[0]); i++) {
		if (strcmp(type, type_names[i]) == 0)
			return (enum npt_channel_type)i;
	}
	return NPT_CHANNEL_OTHER;
}

int npt_channel_decode(const char *json, size_t size_bytes,
		       struct npt_channel_message **message_ret, struct npt_error *err)
{
	static void (*const readers[])(struct npt_json_reader * reader, const json_t *object,
				       struct npt_channel_message *message) = {
		read_hello, read_wanted, read_summary, read_resolve, read_names
	};
	npt_auto(npt_channel_message_free) struct npt_channel_message *message = NULL;
	struct npt_json_reader reader = { .err = err };
	json_error_t problem;
	json_t *object;

	if (size_bytes > NPT_CHANNEL_FRAME_BYTES)
		return npt_error_set(err, EMSGSIZE, "a frame of %zu bytes is too large",
				     size_bytes);
	object = json_loadb(json, size_bytes, JSON_REJECT_DUPLICATES, &problem);
	if (!json_is_object(object)) {
		json_decref(object);
		return npt_error_set(err, EBADMSG, "the frame is no JSON object: %.100s",
				     problem.text);
	}
	message = npt_channel_message_new(type_of(object));
	if (!json_is_string(json_object_get(object, "type")))
		npt_json_fail(&reader, "type", "is missing");
	else if (message->type != NPT_CHANNEL_OTHER)
		readers[message->type](&reader, object, message);
	json_decref(object);
	if (reader.result == 0)
		*message_ret = npt_take(message);
	return reader.result;
}
