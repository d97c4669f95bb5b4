/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key is the clean texts with a unit separator between them, which no clean text holds.
 */
#include "aggregator/exports/labels.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"

#define SEPARATOR '\x1f'

/* How many bytes the well-formed UTF-8 character at text has; 0: it is none, or a control. */
static size_t character_bytes(const unsigned char *text)
{
	static const struct {
		unsigned char mask, value, low, high; /* of the first byte; of the second */
		size_t bytes;
	} forms[] = {
		{ 0xff, 0xe0, 0xa0, 0xbf, 3 }, { 0xff, 0xed, 0x80, 0x9f, 3 },
		{ 0xf0, 0xe0, 0x80, 0xbf, 3 }, { 0xff, 0xf0, 0x90, 0xbf, 4 },
		{ 0xff, 0xf4, 0x80, 0x8f, 4 }, { 0xff, 0xf1, 0x80, 0xbf, 4 },
		{ 0xfe, 0xf2, 0x80, 0xbf, 4 }, { 0xe0, 0xc0, 0x80, 0xbf, 2 },
	};

	if (text[0] < 0x80)
		return text[0] >= ' ' && text[0] != 0x7f;
	if (text[0] == 0xc0 || text[0] == 0xc1)
		return 0;
	if (text[0] == 0xc2 && text[1] < 0xa0)
		return 0; /* controls of Latin-1 */
	for (size_t i = 0; i < NPT_ARRAY_SIZE(forms); i++) {
		if ((text[0] & forms[i].mask) != forms[i].value)
			continue;
		if (text[1] < forms[i].low || text[1] > forms[i].high)
			return 0;
		for (size_t k = 2; k < forms[i].bytes; k++) {
			if ((text[k] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].bytes;
	}
	return 0;
}

void npt_label_clean(const char *text, char *out, size_t size_bytes)
{
	size_t used = 0;

	while (*text) {
		size_t bytes = character_bytes((const unsigned char *)text);

		if (used + (bytes ? bytes : 1) >= size_bytes)
			break;
		if (bytes)
			memcpy(out + used, text, bytes);
		else
			out[used] = '?';
		used += bytes ? bytes : 1;
		text += bytes ? bytes : 1;
	}
	out[used] = '\0';
}

/* A pod, a Service or a process by its name, all else by its address. */
static const char *peer_name(const struct npt_peer *peer)
{
	return peer->name[0] ? peer->name : peer->address;
}

static void make(const char *const *raw, uint32_t set, struct npt_labels *labels)
{
	char clean[NPT_LABEL_COUNT][NPT_NAME_BYTES];
	size_t bytes = 0;
	char *at;

	for (size_t i = 0; i < NPT_LABEL_COUNT; i++) {
		const char *text = raw[i] && set & NPT_LABEL_BIT(i) ? raw[i] : "";

		npt_label_clean(text, clean[i], sizeof(clean[i]));
		bytes += strlen(clean[i]) + 1;
	}
	labels->memory = npt_alloc(2, bytes);
	labels->key = labels->memory + bytes;
	at = labels->memory;
	for (size_t i = 0; i < NPT_LABEL_COUNT; i++) {
		size_t length = strlen(clean[i]) + 1;

		memcpy(at, clean[i], length);
		labels->texts[i] = at;
		at += length;
	}
	memcpy(labels->key, labels->memory, bytes);
	for (size_t i = 0; i + 1 < bytes; i++) {
		if (labels->key[i] == '\0')
			labels->key[i] = SEPARATOR;
	}
}

void npt_labels_of_edge(const struct npt_report *window, const struct npt_edge *edge, uint32_t set,
			struct npt_labels *labels_ret)
{
	const struct npt_peer *peer = &edge->peer;
	char port[8], pid[16], peer_pid[16] = "";
	const char *raw[NPT_LABEL_COUNT] = {
		[NPT_LABEL_TASK_NAMESPACE] = window->task.namespace_name,
		[NPT_LABEL_TASK] = window->task.name,
		[NPT_LABEL_POD] = window->pod.name,
		[NPT_LABEL_PROCESS] = edge->process.name,
		[NPT_LABEL_ROLE] = npt_role_name(edge->role),
		[NPT_LABEL_PEER_KIND] = npt_peer_kind_name(peer->kind),
		[NPT_LABEL_PEER_NAMESPACE] = peer->namespace_name,
		[NPT_LABEL_PEER] = peer_name(peer),
		[NPT_LABEL_PEER_PORT] = port,
		[NPT_LABEL_TRANSPORT] = edge->transport,
		[NPT_LABEL_PROTOCOL] = npt_edge_protocol(edge),
		[NPT_LABEL_TLS] = npt_tls_name(edge->tls),
		[NPT_LABEL_TASK_UID] = window->task.uid,
		[NPT_LABEL_POD_NAMESPACE] = window->pod.namespace_name,
		[NPT_LABEL_POD_UID] = window->pod.uid,
		[NPT_LABEL_NODE] = window->node,
		[NPT_LABEL_CONTAINER] = edge->process.container,
		[NPT_LABEL_PID] = pid,
		[NPT_LABEL_PEER_ADDRESS] = peer->address,
		[NPT_LABEL_PEER_PID] = peer_pid,
		[NPT_LABEL_TLS_VERSION] = edge->tls_facts.version,
	};

	(void)snprintf(port, sizeof(port), "%u", peer->port);
	(void)snprintf(pid, sizeof(pid), "%u", edge->process.pid);
	if (peer->pid)
		(void)snprintf(peer_pid, sizeof(peer_pid), "%u", peer->pid);
	make(raw, set, labels_ret);
}

void npt_labels_of_others(const char *task_namespace, const char *task,
			  struct npt_labels *labels_ret)
{
	const char *raw[NPT_LABEL_COUNT] = {
		[NPT_LABEL_TASK_NAMESPACE] = task_namespace ? task_namespace : NPT_LABEL_OTHER,
		[NPT_LABEL_TASK] = task ? task : NPT_LABEL_OTHER,
		[NPT_LABEL_POD] = NPT_LABEL_OTHER,
		[NPT_LABEL_PROCESS] = NPT_LABEL_OTHER,
		[NPT_LABEL_ROLE] = NPT_LABEL_OTHER,
		[NPT_LABEL_PEER_KIND] = NPT_LABEL_OTHER,
		[NPT_LABEL_PEER] = NPT_LABEL_OTHER,
	};

	make(raw, NPT_LABELS_ALL, labels_ret);
}

void npt_labels_copy(const struct npt_labels *labels, struct npt_labels *labels_ret)
{
	make(labels->texts, NPT_LABELS_ALL, labels_ret);
}

void npt_labels_done(struct npt_labels *labels)
{
	free(labels->memory);
	labels->memory = labels->key = NULL;
}
