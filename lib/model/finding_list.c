/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The findings of a task. Of each pod's edges only those with something wrong are kept, as JSON;
 * sorted when all are there.
 */
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/model/history.h"
#include "lib/model/json.h"
#include "lib/model/report_merge.h"

#define FINDINGS_MAX 1024

struct entry {
	unsigned int severity;
	uint64_t bytes;
	json_t *object;
};

struct npt_finding_list {
	struct entry entries[FINDINGS_MAX];
	size_t count;
	uint64_t other; /* findings that found no room */
	uint64_t by_verdict[NPT_VERDICT_COUNT];
};

struct npt_finding_list *npt_finding_list_new(void)
{
	return npt_alloc(1, sizeof(struct npt_finding_list));
}

void npt_finding_list_free(struct npt_finding_list *list)
{
	for (size_t i = 0; list && i < list->count; i++)
		json_decref(list->entries[i].object);
	free(list);
}

static json_t *finding_json(const struct npt_report *pod, const struct npt_edge *edge)
{
	json_t *object = json_object(), *process = json_object(), *peer = json_object();
	char id[NPT_EDGE_ID_BYTES], title[NPT_PROTOCOL_TITLE_BYTES];

	npt_edge_id(edge, id);
	npt_edge_protocol_title(edge, title);
	npt_json_set_text(object, "edge", id);
	npt_json_set_text(object, "pod", pod->pod.name);
	npt_json_set_text(process, "name", edge->process.name);
	npt_json_set_number(process, "pid", edge->process.pid);
	npt_json_set_some_text(process, "container", edge->process.container);
	npt_json_set(object, "process", process);
	npt_json_set_text(object, "role", npt_role_name(edge->role));
	npt_json_set_text(peer, "kind", npt_peer_kind_name(edge->peer.kind));
	npt_json_set_text(peer, "name", edge->peer.name);
	npt_json_set_text(peer, "address", edge->peer.address);
	npt_json_set_number(peer, "port", edge->peer.port);
	npt_json_set(object, "peer", peer);
	npt_json_set_text(object, "title", title);
	npt_json_set_text(object, "verdict", npt_verdict_name(edge->finding.verdict));
	npt_json_set_some_text(object, "cause", npt_verdict_cause(edge->finding.verdict));
	npt_json_set_number(object, "severity", npt_verdict_severity(edge->finding.verdict));
	npt_json_set(object, "confidence", json_real(edge->finding.confidence_permille / 1000.0));
	npt_json_set_text(object, "text", edge->finding.text);
	return object;
}

void npt_finding_list_add_pod(struct npt_finding_list *list, const struct npt_report *pod)
{
	for (size_t i = 0; i < pod->edges_count; i++) {
		const struct npt_edge *edge = &pod->edges[i];

		list->by_verdict[edge->finding.verdict]++;
		if (npt_verdict_severity(edge->finding.verdict) == 0)
			continue;
		if (list->count == FINDINGS_MAX) {
			list->other++;
			continue;
		}
		list->entries[list->count++] = (struct entry){
			.severity = npt_verdict_severity(edge->finding.verdict),
			.bytes = edge->sent.bytes + edge->received.bytes,
			.object = finding_json(pod, edge),
		};
	}
}

static int worst_first(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	if (a->severity != b->severity)
		return a->severity < b->severity ? 1 : -1;
	return a->bytes < b->bytes ? 1 : -(a->bytes > b->bytes);
}

/* "Network" is one name for two verdicts: they add up. */
static json_t *counts_json(const struct npt_finding_list *list)
{
	json_t *object = json_object();

	for (size_t i = 0; i < NPT_VERDICT_COUNT; i++) {
		const char *name = npt_verdict_name((enum npt_verdict)i);
		const json_t *before = json_object_get(object, name);

		npt_json_set_number(object, name,
				    list->by_verdict[i] +
					    (uint64_t)(before ? json_integer_value(before) : 0));
	}
	return object;
}

char *npt_finding_list_to_json(struct npt_finding_list *list, const struct npt_report *head)
{
	json_t *object = npt_json_head("FindingList", head), *findings = json_array();
	char *text;

	qsort(list->entries, list->count, sizeof(list->entries[0]), worst_first);
	for (size_t i = 0; i < list->count; i++)
		(void)json_array_append(findings, list->entries[i].object);
	npt_json_set(object, "counts", counts_json(list));
	npt_json_set(object, "findings", findings);
	npt_json_set_some_number(object, "otherFindings", list->other);
	text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(3));
	json_decref(object);
	return text;
}
