/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value itself: allocation, bounded lists, names of its enums.
 */
#include "lib/model/report.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"

struct npt_report *npt_report_new(void)
{
	return npt_alloc(1, sizeof(struct npt_report));
}

void npt_report_free(struct npt_report *report)
{
	if (!report)
		return;
	free(report->edges);
	free(report->tls);
	free(report);
}

void npt_report_expect_edges(struct npt_report *report, size_t count)
{
	size_t capacity = 1;

	if (report->edges || count == 0)
		return;
	while (capacity < count)
		capacity *= 2;
	report->edges = npt_realloc(NULL, capacity, sizeof(*report->edges));
	report->edges_room = capacity;
}

struct npt_edge *npt_report_add_edge(struct npt_report *report)
{
	size_t count = report->edges_count;
	struct npt_edge *edge;

	if (count >= NPT_REPORT_EDGES_MAX)
		return NULL;
	if (count == report->edges_room) {
		report->edges_room = count ? count * 2 : 1;
		report->edges =
			npt_realloc(report->edges, report->edges_room, sizeof(*report->edges));
	}
	edge = &report->edges[report->edges_count++];
	memset(edge, 0, sizeof(*edge));
	return edge;
}

struct npt_tls_use *npt_report_add_tls(struct npt_report *report)
{
	size_t count = report->tls_count;
	struct npt_tls_use *use;

	if (count >= NPT_REPORT_TLS_MAX) {
		report->tls_other++;
		return NULL;
	}
	if ((count & (count - 1)) == 0)
		report->tls = npt_realloc(report->tls, count ? count * 2 : 1, sizeof(*report->tls));
	use = &report->tls[report->tls_count++];
	memset(use, 0, sizeof(*use));
	return use;
}

void npt_named_count_add(struct npt_named_count *counts, size_t max, const char *name,
			 uint64_t count)
{
	for (size_t i = 0; i < max; i++) {
		if (counts[i].name[0] == '\0')
			(void)snprintf(counts[i].name, sizeof(counts[i].name), "%s", name);
		else if (i + 1 == max && strcmp(counts[i].name, name) != 0)
			(void)snprintf(counts[i].name, sizeof(counts[i].name), "other");
		else if (strcmp(counts[i].name, name) != 0)
			continue;
		counts[i].count += count;
		return;
	}
}

static void set_reason(struct npt_named_reason *reasons, size_t max, const char *name,
		       const char *reason)
{
	for (size_t i = 0; i < max; i++) {
		if (reasons[i].name[0] != '\0' && strcmp(reasons[i].name, name) != 0)
			continue;
		(void)snprintf(reasons[i].name, sizeof(reasons[i].name), "%s", name);
		(void)snprintf(reasons[i].reason, sizeof(reasons[i].reason), "%s", reason);
		return;
	}
}

void npt_report_set_unavailable(struct npt_report *report, const char *metric, const char *reason)
{
	set_reason(report->unavailable, NPT_REPORT_UNAVAILABLE_MAX, metric, reason);
}

void npt_report_set_source(struct npt_report *report, const char *metric, const char *source)
{
	set_reason(report->sources, NPT_REPORT_SOURCES_MAX, metric, source);
}

enum npt_quality npt_metric_quality(enum npt_metric_id id, const struct npt_metric *metric)
{
	uint64_t turns = metric->count + metric->overlapped;

	/* Of whole numbers the same as overlapped * 20 > turns, which could overflow. */
	if (id == NPT_METRIC_RESPONSE && metric->overlapped > turns / 20)
		return NPT_QUALITY_UNAVAILABLE;
	return metric->quality;
}

unsigned int npt_verdict_severity(enum npt_verdict verdict)
{
	return verdict > NPT_VERDICT_NONE ? verdict : 0;
}

int npt_edge_worst_first(const void *left, const void *right)
{
	const struct npt_edge *a = *(const struct npt_edge *const *)left;
	const struct npt_edge *b = *(const struct npt_edge *const *)right;
	unsigned int severity_a = npt_verdict_severity(a->finding.verdict);
	unsigned int severity_b = npt_verdict_severity(b->finding.verdict);
	uint64_t bytes_a = a->sent.bytes + a->received.bytes;
	uint64_t bytes_b = b->sent.bytes + b->received.bytes;

	if (severity_a != severity_b)
		return severity_a < severity_b ? 1 : -1;
	return bytes_a < bytes_b ? 1 : -(bytes_a > bytes_b);
}

const char *npt_metric_name(enum npt_metric_id id)
{
	static const char *const names[NPT_METRIC_COUNT] = {
		[NPT_METRIC_WRITE] = "write",       [NPT_METRIC_READ] = "read",
		[NPT_METRIC_RTT] = "rtt",           [NPT_METRIC_CONNECT] = "connect",
		[NPT_METRIC_ACCEPT] = "accept",     [NPT_METRIC_CLOSE] = "close",
		[NPT_METRIC_RESPONSE] = "response", [NPT_METRIC_UNREAD] = "unread",
	};

	return names[id];
}

const char *npt_quality_name(enum npt_quality quality)
{
	static const char *const names[] = { "exact", "sampled", "estimated", "unavailable" };

	return names[quality];
}

const char *npt_role_name(enum npt_role role)
{
	static const char *const names[] = { "unknown", "client", "server" };

	return names[role];
}

const char *npt_peer_kind_name(enum npt_peer_kind kind)
{
	static const char *const names[] = { "address", "process", "pod", "service", "node" };

	return names[kind];
}

const char *npt_tls_name(enum npt_tls tls)
{
	static const char *const names[] = { "unknown", "no", "yes" };

	return names[tls];
}

const char *npt_tls_coverage_name(enum npt_tls_coverage coverage)
{
	static const char *const names[] = { "none", "metadata", "full" };

	return names[coverage];
}

const char *npt_verdict_name(enum npt_verdict verdict)
{
	static const char *const names[NPT_VERDICT_COUNT] = {
		[NPT_VERDICT_UNKNOWN] = "Unknown",
		[NPT_VERDICT_NONE] = "None",
		[NPT_VERDICT_SENDER_APPLICATION] = "SenderApplication",
		[NPT_VERDICT_SENDER_BUFFER] = "SenderBuffer",
		[NPT_VERDICT_RECEIVER_WINDOW] = "ReceiverWindow",
		[NPT_VERDICT_RECEIVER_APPLICATION] = "ReceiverApplication",
		[NPT_VERDICT_NETWORK_DELAY] = "Network",
		[NPT_VERDICT_NETWORK_LOSS] = "Network",
		[NPT_VERDICT_SERVER] = "Server",
		[NPT_VERDICT_LISTENER] = "Listener",
		[NPT_VERDICT_CONNECT_FAILURE] = "ConnectFailure",
	};

	return names[verdict];
}

const char *npt_verdict_cause(enum npt_verdict verdict)
{
	if (verdict == NPT_VERDICT_NETWORK_DELAY)
		return "delay";
	return verdict == NPT_VERDICT_NETWORK_LOSS ? "loss" : "";
}
