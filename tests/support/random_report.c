/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/random_report.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"

static uint64_t below(uint64_t *state, uint64_t limit)
{
	return npt_test_random(state) % limit;
}

/* Mostly small, sometimes the largest that may be. */
static uint64_t number(uint64_t *state)
{
	switch (below(state, 8)) {
	case 0:
		return 0;
	case 1:
		return NPT_NUMBER_MAX - below(state, 3);
	default:
		return below(state, UINT64_C(1) << below(state, 48));
	}
}

static void text(uint64_t *state, const char *prefix, char *out, size_t size_bytes)
{
	(void)snprintf(out, size_bytes, "%s%llx", prefix,
		       (unsigned long long)below(state, UINT64_C(1) << 40));
}

static void counts(uint64_t *state, struct npt_named_count *out, size_t max)
{
	size_t count = below(state, max + 1);

	for (size_t i = 0; i < count; i++) {
		(void)snprintf(out[i].name, sizeof(out[i].name), "REASON_%zu", i);
		out[i].count = number(state);
	}
}

static void metric(uint64_t *state, struct npt_metric *out)
{
	size_t values = below(state, 40);

	out->quality = (enum npt_quality)below(state, 4);
	out->count = number(state);
	out->bytes = number(state);
	for (size_t i = 0; i < values; i++)
		npt_histogram_add(&out->micros, below(state, UINT64_C(1) << below(state, 36)));
}

static void waits(uint64_t *state, struct npt_edge *edge)
{
	edge->limited.application_micros = number(state);
	edge->limited.receive_window_micros = number(state);
	edge->limited.send_buffer_micros = number(state);
	edge->limited.network_micros = number(state);
	edge->queue.unread_bytes = number(state);
	edge->queue.unsent_bytes = number(state);
	edge->queue.accept_backlog = number(state);
	edge->queue.accept_backlog_max = number(state);
	edge->queue.syn_backlog = number(state);
	edge->queue.listen_drops = number(state);
}

static void label(uint64_t *state, struct npt_edge *edge)
{
	static const char *const protocols[] = { "unknown", "http1", "grpc", "mysql" };

	edge->label = (uint32_t)below(state, 3);
	(void)snprintf(edge->protocol, sizeof(edge->protocol), "%s", protocols[below(state, 4)]);
	if (npt_protocol_is_known(edge->protocol))
		edge->protocol_confidence_permille = (uint32_t)below(state, 1001);
	edge->tls = (enum npt_tls)below(state, 3);
	if (below(state, 2))
		return;
	(void)snprintf(edge->tls_facts.version, sizeof(edge->tls_facts.version), "1.%u",
		       (unsigned int)below(state, 4));
	text(state, "name\xfe-", edge->tls_facts.sni, sizeof(edge->tls_facts.sni));
	text(state, "alpn\xff-", edge->tls_facts.alpn, sizeof(edge->tls_facts.alpn));
	text(state, "TLS_", edge->tls_facts.cipher, sizeof(edge->tls_facts.cipher));
}

static void tls(uint64_t *state, struct npt_edge *edge)
{
	size_t values = below(state, 20);

	edge->connections.moved_in = number(state);
	edge->connections.moved_out = number(state);
	edge->connections.kernel_tls = number(state);
	edge->handshakes.count = number(state);
	edge->handshakes.resumed = number(state);
	edge->handshakes.client_certificates = number(state);
	edge->handshakes.failed = number(state);
	counts(state, edge->handshakes.alerts_sent, NPT_EDGE_ALERTS_MAX);
	counts(state, edge->handshakes.alerts_received, NPT_EDGE_ALERTS_MAX);
	for (size_t i = 0; i < values; i++)
		npt_histogram_add(&edge->handshakes.micros,
				  below(state, UINT64_C(1) << below(state, 36)));
	edge->tls_calls.writes = number(state);
	edge->tls_calls.written_bytes = number(state);
	edge->tls_calls.reads = number(state);
	edge->tls_calls.read_bytes = number(state);
}

static void tls_use(uint64_t *state, uint32_t index, struct npt_tls_use *use)
{
	use->pid = 1000 + index;
	use->start_ns = npt_test_random(state);
	text(state, "program-\xff", use->process, sizeof(use->process));
	text(state, "library-", use->library, sizeof(use->library));
	if (below(state, 2))
		text(state, "3.0.", use->version, sizeof(use->version));
	text(state, "uprobe of ", use->how, sizeof(use->how));
	use->coverage = (enum npt_tls_coverage)below(state, 3);
	text(state, "since ", use->why, sizeof(use->why));
	use->unassigned_calls = number(state);
}

void npt_test_random_edge(uint64_t *state, uint32_t index, struct npt_edge *edge)
{
	memset(edge, 0, sizeof(*edge));
	edge->process.pid = 1000 + index;
	edge->process.start_ns = npt_test_random(state);
	text(state, "program-", edge->process.name, sizeof(edge->process.name));
	(void)snprintf(edge->process.comm, sizeof(edge->process.comm), "comm-%u\xff", index % 9999);
	text(state, "container-", edge->process.container, sizeof(edge->process.container));
	text(state, "pod-", edge->process.pod, sizeof(edge->process.pod));
	edge->role = (enum npt_role)below(state, 3);
	edge->peer.kind = (enum npt_peer_kind)below(state, 5);
	text(state, "peer-", edge->peer.name, sizeof(edge->peer.name));
	text(state, "ns-", edge->peer.namespace_name, sizeof(edge->peer.namespace_name));
	edge->peer.pid = (uint32_t)npt_test_random(state);
	(void)snprintf(edge->peer.address, sizeof(edge->peer.address), "10.%u.%u.%u",
		       index >> 16 & 255, index >> 8 & 255, index & 255);
	edge->peer.port = (uint16_t)npt_test_random(state);
	if (below(state, 2))
		text(state, "10.96.0.1:", edge->peer.asked, sizeof(edge->peer.asked));
	if (below(state, 2))
		text(state, "10.0.0.1:", edge->peer.reached, sizeof(edge->peer.reached));
	(void)snprintf(edge->transport, sizeof(edge->transport), below(state, 4) ? "tcp" : "udp");
	label(state, edge);
	edge->connections.open = number(state);
	edge->connections.opened = number(state);
	edge->connections.found = number(state);
	edge->connections.closed = number(state);
	counts(state, edge->connections.failed, NPT_EDGE_FAILED_MAX);
	edge->sent.bytes = number(state);
	edge->sent.segments = number(state);
	edge->received.bytes = number(state);
	edge->received.segments = number(state);
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++)
		metric(state, &edge->metrics[i]);
	edge->metrics[NPT_METRIC_RESPONSE].overlapped = number(state);
	edge->metrics[NPT_METRIC_RTT].min_micros = number(state);
	edge->retransmit.segments = number(state);
	edge->retransmit.bytes = number(state);
	edge->retransmit.syn = number(state);
	edge->retransmit.tail_loss = number(state);
	edge->retransmit.spurious = number(state);
	counts(state, edge->drops, NPT_EDGE_DROPS_MAX);
	edge->drops_unspecified = number(state);
	counts(state, edge->resets_sent, NPT_EDGE_RESETS_MAX);
	counts(state, edge->resets_received, NPT_EDGE_RESETS_MAX);
	waits(state, edge);
	tls(state, edge);
}

struct npt_report *npt_test_random_report(uint64_t *state, size_t edges)
{
	struct npt_report *report = npt_report_new();
	size_t reasons = below(state, NPT_REPORT_UNAVAILABLE_MAX + 1);
	size_t steps = below(state, NPT_REPORT_DEGRADED_MAX + 1);
	size_t uses = below(state, 4) ? below(state, 8) : below(state, NPT_REPORT_TLS_MAX + 1);

	report->kind = (enum npt_report_kind)below(state, 2);
	report->start_unix_ms = 1767225600000 + below(state, 1000000);
	report->duration_ms = below(state, 60000);
	text(state, "instance-", report->instance, sizeof(report->instance));
	report->sequence = 1 + below(state, 1000);
	text(state, "task-ns-", report->task.namespace_name, sizeof(report->task.namespace_name));
	text(state, "task-", report->task.name, sizeof(report->task.name));
	text(state, "task-uid-", report->task.uid, sizeof(report->task.uid));
	text(state, "pod-ns-", report->pod.namespace_name, sizeof(report->pod.namespace_name));
	text(state, "pod-", report->pod.name, sizeof(report->pod.name));
	text(state, "pod-uid-", report->pod.uid, sizeof(report->pod.uid));
	text(state, "node-", report->node, sizeof(report->node));
	for (uint32_t i = 0; i < edges; i++)
		npt_test_random_edge(state, i, npt_report_add_edge(report));
	report->other_edges = number(state);
	report->lost.events = number(state);
	report->lost.edges = number(state);
	for (size_t i = 0; i < reasons; i++) {
		char name[NPT_REASON_BYTES];

		(void)snprintf(name, sizeof(name), "metric-%zu", i);
		npt_report_set_unavailable(report, name, "this kernel lacks it");
	}
	report->cost.cpu_ms = number(state);
	report->cost.ns_per_operation = number(state);
	report->cost.memory_kib = number(state);
	for (size_t i = 0; i < steps; i++)
		text(state, "step ", report->cost.degraded[i], sizeof(report->cost.degraded[i]));
	for (uint32_t i = 0; i < uses; i++)
		tls_use(state, i, npt_report_add_tls(report));
	report->tls_other = number(state);
	return report;
}
