/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load_windows.h"

#include <stdio.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"

static void add_metric(struct npt_edge *edge, enum npt_metric_id id, uint64_t *state)
{
	struct npt_metric *metric = &edge->metrics[id];
	unsigned int buckets = 3 + (unsigned int)(*state % 5);

	for (unsigned int i = 0; i < buckets; i++) {
		uint64_t micros;

		*state = *state * 6364136223846793005U + 1442695040888963407U;
		micros = 40 + (*state >> 33) % 600;
		for (unsigned int k = 0; k <= (*state >> 60); k++)
			npt_histogram_add(&metric->micros, micros);
	}
	metric->count = metric->micros.count;
	metric->bytes = metric->count * (200 + (*state >> 40) % 1000);
}

void npt_load_edge(struct npt_edge *edge, unsigned int index, uint64_t *state)
{
	static const enum npt_metric_id ids[] = { NPT_METRIC_WRITE, NPT_METRIC_READ, NPT_METRIC_RTT,
						  NPT_METRIC_RESPONSE, NPT_METRIC_UNREAD };

	edge->process.pid = 100 + index / 8;
	edge->process.start_ns = 1000000 + index / 8;
	(void)snprintf(edge->process.name, sizeof(edge->process.name), "envoy");
	(void)snprintf(edge->process.comm, sizeof(edge->process.comm), "envoy");
	(void)snprintf(edge->process.container, sizeof(edge->process.container), "istio-proxy");
	edge->role = index % 3 ? NPT_ROLE_CLIENT : NPT_ROLE_SERVER;
	edge->peer.kind = NPT_PEER_POD;
	(void)snprintf(edge->peer.name, sizeof(edge->peer.name), "reviews-v%u", index);
	(void)snprintf(edge->peer.namespace_name, sizeof(edge->peer.namespace_name), "shop");
	(void)snprintf(edge->peer.address, sizeof(edge->peer.address), "10.244.1.%u", index);
	edge->peer.port = (uint16_t)(8000 + index);
	(void)snprintf(edge->transport, sizeof(edge->transport), "tcp");
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "http1");
	edge->protocol_confidence_permille = 1000;
	for (size_t i = 0; i < NPT_ARRAY_SIZE(ids); i++)
		add_metric(edge, ids[i], state);
	edge->connections.open = 2;
	edge->sent.bytes = edge->metrics[NPT_METRIC_WRITE].bytes;
	edge->sent.segments = edge->metrics[NPT_METRIC_WRITE].count;
	edge->received.bytes = edge->metrics[NPT_METRIC_READ].bytes;
	edge->received.segments = edge->metrics[NPT_METRIC_READ].count;
	edge->limited.application_micros = NPT_LOAD_INTERVAL_MS * 1000;
	edge->retransmit.segments = index == 7;
}

struct npt_report *npt_load_head(uint64_t task, unsigned int pod, unsigned int window)
{
	struct npt_report *head = npt_report_new();

	/* Tasks follow each other, and end now: none is too old to be kept. */
	head->start_unix_ms = npt_clock_unix_ms() / NPT_LOAD_INTERVAL_MS * NPT_LOAD_INTERVAL_MS +
			      (uint64_t)window * NPT_LOAD_INTERVAL_MS;
	head->duration_ms = NPT_LOAD_INTERVAL_MS;
	head->sequence = window + 1;
	(void)snprintf(head->instance, sizeof(head->instance), "agent");
	(void)snprintf(head->task.uid, sizeof(head->task.uid), "task-%llu",
		       (unsigned long long)task);
	(void)snprintf(head->pod.namespace_name, sizeof(head->pod.namespace_name), "shop");
	(void)snprintf(head->pod.name, sizeof(head->pod.name), "pod-%u", pod);
	(void)snprintf(head->pod.uid, sizeof(head->pod.uid), "pod-uid-%u", pod);
	(void)snprintf(head->node, sizeof(head->node), "node");
	for (enum npt_metric_id id = 0; id < NPT_METRIC_COUNT; id++)
		npt_report_set_source(head, npt_metric_name(id),
				      "tracepoint/raw_syscalls/sys_enter, sys_exit; slices");
	npt_report_set_unavailable(head, "handshakes", "the layer Protocol is not asked for");
	head->cost.cpu_ms = 10 * window;
	head->cost.memory_kib = 20000 + window;
	return head;
}
