/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/skywalking_process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "skywalking.pb-c.h"

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"
#include "lib/core/strmap.h"

#define LAYER          "K8S_SERVICE"
#define FORGET_NS      (600 * NPT_NS_PER_SECOND)
#define PER_MESSAGE    1000
#define RANDOM_LETTERS "bcdfghjklmnpqrstvwxz2456789" /* of Kubernetes' random names */
#define SUFFIX_LENGTH  5
#define HASH_MIN       6
#define HASH_MAX       10

struct npt_sw_processes {
	struct npt_strmap *known; /* service, instance, name -> struct npt_sw_process */
	char *agent;
	uint64_t keep_alive_ns;
};

struct npt_sw_processes *npt_sw_processes_new(const char *agent, uint64_t keep_alive_ns)
{
	struct npt_sw_processes *processes = npt_alloc(1, sizeof(*processes));

	processes->known = npt_strmap_new(NPT_SW_PROCESSES_MAX, free);
	processes->agent = npt_strdup(agent);
	processes->keep_alive_ns = keep_alive_ns;
	return processes;
}

void npt_sw_processes_free(struct npt_sw_processes *processes)
{
	if (!processes)
		return;
	npt_strmap_free(processes->known);
	free(processes->agent);
	free(processes);
}

/* The last part of a name, if it is of these letters and of such a length; else its end. */
static size_t without_part(const char *name, size_t length, const char *letters, size_t min,
			   size_t max)
{
	size_t part = 0;

	while (part < length && strchr(letters, name[length - part - 1]))
		part++;
	if (part < min || part > max || part + 1 >= length || name[length - part - 1] != '-')
		return length;
	return length - part - 1;
}

void npt_sw_service_of_pod(const char *namespace_name, const char *pod,
			   char out[static NPT_SW_NAME_BYTES])
{
	size_t whole = strlen(pod);
	size_t length = without_part(pod, whole, RANDOM_LETTERS, SUFFIX_LENGTH, SUFFIX_LENGTH);

	if (length < whole)
		length = without_part(pod, length, RANDOM_LETTERS, HASH_MIN, HASH_MAX);
	else
		length = without_part(pod, whole, "0123456789", 1, 4); /* of a StatefulSet */
	(void)snprintf(out, NPT_SW_NAME_BYTES, "%.*s.%s", (int)length, pod, namespace_name);
}

static char *key_of(const struct npt_sw_process *process)
{
	return npt_format("%s\x1f%s\x1f%s", process->service, process->instance, process->name);
}

static void describe(const struct npt_series *series, bool peer, struct npt_sw_process *process)
{
	const char *const *texts = series->labels.texts;
	uint64_t pid = 0;

	npt_sw_service_of_pod(texts[NPT_LABEL_POD_NAMESPACE], texts[NPT_LABEL_POD],
			      process->service);
	(void)snprintf(process->instance, sizeof(process->instance), "%s", texts[NPT_LABEL_POD]);
	(void)snprintf(process->name, sizeof(process->name), "%s",
		       texts[peer ? NPT_LABEL_PEER : NPT_LABEL_PROCESS]);
	if (!peer)
		(void)snprintf(process->container, sizeof(process->container), "%s",
			       texts[NPT_LABEL_CONTAINER]);
	(void)npt_parse_u64(texts[peer ? NPT_LABEL_PEER_PID : NPT_LABEL_PID], 0, INT32_MAX, &pid);
	process->pid = (uint32_t)pid;
}

struct npt_sw_process *npt_sw_process_of(struct npt_sw_processes *processes,
					 const struct npt_series *series, bool peer,
					 uint64_t now_ns)
{
	struct npt_sw_process found = { .pid = 0 }, *process;
	npt_auto_free char *key = NULL;

	describe(series, peer, &found);
	if (found.name[0] == '\0' || found.instance[0] == '\0')
		return NULL;
	key = key_of(&found);
	process = npt_strmap_get(processes->known, key);
	if (!process) {
		process = npt_memdup(&found, sizeof(found));
		if (npt_strmap_set(processes->known, key, process) < 0) {
			free(process);
			return NULL;
		}
	}
	if (!peer && process->container[0] == '\0')
		memcpy(process->container, found.container, sizeof(process->container));
	process->seen_ns = now_ns;
	return process;
}

void npt_sw_processes_expire(struct npt_sw_processes *processes, uint64_t now_ns)
{
	for (size_t i = npt_strmap_count(processes->known); i-- > 0;) {
		const struct npt_sw_process *process = npt_strmap_value_at(processes->known, i);

		if (now_ns - process->seen_ns >= FORGET_NS)
			npt_strmap_remove(processes->known, npt_strmap_key_at(processes->known, i));
	}
}

void npt_sw_processes_forget_ids(struct npt_sw_processes *processes)
{
	struct npt_sw_process *process;

	for (size_t i = 0; (process = npt_strmap_value_at(processes->known, i)); i++)
		process->id[0] = '\0';
}

/* --- messages: packed one process at a time, each a field of the message --- */

#define PROCESS_TAG (1U << 3 | 2)
#define AGENT_TAG   (2U << 3 | 2)

static void put_bytes(struct npt_buffer *out, unsigned int tag, const void *data, size_t size_bytes)
{
	unsigned char head[12];
	size_t used = 0, left = size_bytes;

	head[used++] = (unsigned char)tag;
	for (; left >= 0x80; left >>= 7)
		head[used++] = (unsigned char)(left | 0x80);
	head[used++] = (unsigned char)left;
	(void)npt_buffer_append(out, head, used);
	(void)npt_buffer_append(out, data, size_bytes);
}

static void put_message(struct npt_buffer *out, const ProtobufCMessage *message)
{
	size_t size_bytes = protobuf_c_message_get_packed_size(message);
	npt_auto_free uint8_t *data = npt_alloc(1, size_bytes + 1);

	(void)protobuf_c_message_pack(message, data);
	put_bytes(out, PROCESS_TAG, data, size_bytes);
}

static void fill_entity(Npt__Skywalking__Entity *entity, struct npt_sw_process *process)
{
	npt__skywalking__entity__init(entity);
	entity->layer = (char *)(uintptr_t)LAYER;
	entity->service = process->service;
	entity->instance = process->instance;
	entity->process = process->name;
}

struct properties {
	char pid[16];
	Npt__Skywalking__Pair pairs[3];
	Npt__Skywalking__Pair *pointers[3];
};

static void fill_properties(struct properties *properties, struct npt_sw_process *process)
{
	const struct {
		const char *key;
		char *value;
	} values[] = { { "pod_name", process->instance },
		       { "container_name", process->container },
		       { "pid", properties->pid } };

	(void)snprintf(properties->pid, sizeof(properties->pid), "%u", process->pid);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(values); i++) {
		npt__skywalking__pair__init(&properties->pairs[i]);
		properties->pairs[i].key = (char *)(uintptr_t)values[i].key;
		properties->pairs[i].value = values[i].value;
		properties->pointers[i] = &properties->pairs[i];
	}
}

static void put_process(struct npt_buffer *message, struct npt_sw_process *process)
{
	Npt__Skywalking__Properties outer;
	Npt__Skywalking__Metadata metadata;
	Npt__Skywalking__Entity entity;
	struct properties properties;

	npt__skywalking__properties__init(&outer);
	npt__skywalking__metadata__init(&metadata);
	fill_entity(&entity, process);
	fill_properties(&properties, process);
	metadata.entity = &entity;
	metadata.pid = (int32_t)process->pid;
	metadata.property = properties.pointers;
	metadata.n_property = NPT_ARRAY_SIZE(properties.pointers);
	outer.kubernetes = &metadata;
	put_message(message, &outer.base);
}

bool npt_sw_processes_report(struct npt_sw_processes *processes, struct npt_buffer *message)
{
	struct npt_sw_process *process;
	size_t count = 0;

	for (size_t i = 0; (process = npt_strmap_value_at(processes->known, i)); i++) {
		if (process->id[0] || count == PER_MESSAGE)
			continue;
		put_process(message, process);
		count++;
	}
	put_bytes(message, AGENT_TAG, processes->agent, strlen(processes->agent));
	return count > 0;
}

bool npt_sw_processes_keep_alive(struct npt_sw_processes *processes, struct npt_buffer *message,
				 uint64_t now_ns)
{
	struct npt_sw_process *process;
	size_t count = 0;

	for (size_t i = 0; (process = npt_strmap_value_at(processes->known, i)); i++) {
		Npt__Skywalking__Ping ping;
		Npt__Skywalking__Entity entity;
		struct properties properties;

		npt__skywalking__ping__init(&ping);
		if (!process->id[0] || now_ns - process->told_ns < processes->keep_alive_ns ||
		    count == PER_MESSAGE)
			continue;
		fill_entity(&entity, process);
		fill_properties(&properties, process);
		ping.entity = &entity;
		ping.property = properties.pointers;
		ping.n_property = NPT_ARRAY_SIZE(properties.pointers);
		put_message(message, &ping.base);
		process->told_ns = now_ns;
		count++;
	}
	put_bytes(message, AGENT_TAG, processes->agent, strlen(processes->agent));
	return count > 0;
}

/* False: it does not fit. */
static bool copy(const ProtobufCBinaryData *from, char *out, size_t out_bytes)
{
	if (from->len >= out_bytes ||
	    memchr(from->data ? from->data : (const uint8_t *)"", '\0', from->len))
		return false;
	if (from->len > 0)
		memcpy(out, from->data, from->len);
	out[from->len] = '\0';
	return true;
}

/* Ids are letters and digits, "_", "-", "." and "=" of base 64. */
static bool is_id(const char *id)
{
	return id[0] && id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.=+/")] == '\0';
}

static void take_id(struct npt_sw_processes *processes, const Npt__Skywalking__Known *known,
		    uint64_t now_ns)
{
	const Npt__Skywalking__KnownEntity *entity =
		known->kubernetes ? known->kubernetes->entity : NULL;
	struct npt_sw_process named = { .pid = 0 }, *process;
	npt_auto_free char *key = NULL;

	if (!entity || !copy(&entity->service, named.service, sizeof(named.service)) ||
	    !copy(&entity->instance, named.instance, sizeof(named.instance)) ||
	    !copy(&entity->process, named.name, sizeof(named.name)) ||
	    !copy(&known->id, named.id, sizeof(named.id)) || !is_id(named.id))
		return;
	key = key_of(&named);
	process = npt_strmap_get(processes->known, key);
	if (!process)
		return;
	memcpy(process->id, named.id, sizeof(process->id));
	process->told_ns = now_ns;
}

int npt_sw_processes_take_ids(struct npt_sw_processes *processes, const void *data,
			      size_t size_bytes, uint64_t now_ns, struct npt_error *err)
{
	Npt__Skywalking__Reported *reported =
		size_bytes <= NPT_SW_MESSAGE_BYTES
			? npt__skywalking__reported__unpack(NULL, size_bytes, data)
			: NULL;

	if (!reported)
		return npt_error_set(err, EBADMSG, "the answer is no EBPFReportProcessDownstream");
	for (size_t i = 0; i < reported->n_process; i++)
		take_id(processes, reported->process[i], now_ns);
	npt__skywalking__reported__free_unpacked(reported, NULL);
	return 0;
}
