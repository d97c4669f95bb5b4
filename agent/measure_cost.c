/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What measuring costs, what is given up to keep to the budget, and how a report says so.
 */
#include <string.h>

#include "agent/measure_private.h"
#include "agent/tls_events.h"
#include "agent/usage.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"

#define SLOW_PERIOD_NS (5 * NPT_NS_PER_SECOND)

void npt_measure_stop_slices(struct npt_measure *measure)
{
	if (measure->slicing)
		npt_slices_stop(&measure->slices);
	measure->slicing = false;
}

static uint64_t memory_kib(struct npt_measure *measure)
{
	uint64_t maps = 0;

	if (measure->probe)
		maps = npt_probe_map_bytes(measure->probe) -
		       npt_probe_mapped_bytes(measure->probe); /* those are in the RSS */
	return (npt_usage_rss_bytes() + maps) / 1024;
}

static uint64_t hooks_ns(const struct npt_measure *measure)
{
	return measure->operations_counted * npt_probe_ns_per_operation(measure->probe) +
	       measure->tls_calls_ns;
}

static void stop_tls(struct npt_measure *measure)
{
	npt_tls_calls_free(npt_take(measure->tls_calls));
	measure->layers.tls = false;
	measure->layers.tls_off = "switched off to keep to the budget; cost.degraded says when";
}

/* What was counted until then stays in the sums; the report says since when it is missing. */
static void stop_operations(struct npt_measure *measure)
{
	npt_measure_stop_slices(measure);
	npt_probe_stop_operations(measure->probe);
	measure->layers.operations = false;
	measure->layers.protocol = false;
	measure->layers.operations_off = measure->layers.protocol_off =
		"switched off to keep to the budget; cost.degraded says when";
}

static void step_down(struct npt_measure *measure)
{
	switch (measure->budget.rung) {
	case NPT_RUNG_NO_TLS:
		stop_tls(measure);
		break;
	case NPT_RUNG_SHORT_SLICES:
		npt_slices_shorten(&measure->slices);
		break;
	case NPT_RUNG_NO_SLICES:
		npt_measure_stop_slices(measure);
		measure->layers.slices_off = true;
		break;
	case NPT_RUNG_NO_OPERATIONS:
		stop_operations(measure);
		break;
	case NPT_RUNG_SLOW_SAMPLING:
		measure->read_period_ns = SLOW_PERIOD_NS;
		break;
	case NPT_RUNG_FULL:
	case NPT_RUNG_COUNT:
		break;
	}
}

void npt_measure_keep_to_budget(struct npt_measure *measure)
{
	struct npt_ladder ladder = { .tls = measure->layers.tls,
				     .slices = measure->slicing,
				     .operations = measure->layers.operations };
	struct npt_usage usage = {
		.now_ns = npt_clock_monotonic_ns(),
		.now_unix_ms = npt_clock_unix_ms(),
		.cpu_ns = npt_usage_cpu_ns(),
		.hooks_ns = hooks_ns(measure),
		.memory_kib = memory_kib(measure),
	};

	enum npt_rung before = measure->budget.rung;

	if (!npt_budget_check(&measure->budget, &ladder, &usage))
		return;
	npt_log_warning("less is measured, to keep to the budget", "rung",
			npt_log_u64(measure->budget.rung));
	if (measure->budget.rung != before) /* else it was the memory's step */
		step_down(measure);
	if (measure->budget.no_new_edges)
		npt_probe_refuse_edges(measure->probe);
}

void npt_measure_describe(struct npt_measure *measure, uint32_t scope, struct npt_report *report)
{
	report->cost.cpu_ms = npt_usage_cpu_ns() / NPT_NS_PER_MS;
	report->cost.memory_kib = memory_kib(measure);
	memcpy(report->cost.degraded, measure->budget.degraded, sizeof(report->cost.degraded));
	if (!measure->probe)
		return;
	npt_sources_describe(npt_probe_abilities(measure->probe), &measure->layers, report);
	if (measure->tls_calls)
		npt_tls_calls_describe(measure->tls_calls, report);
	report->lost.events = npt_probe_loss(measure->probe, NPT_LOSS_STORAGE) +
			      npt_probe_loss(measure->probe, NPT_LOSS_PROCESS) +
			      npt_probe_loss(measure->probe, NPT_LOSS_TASK) +
			      npt_probe_loss(measure->probe, NPT_LOSS_TLS_CALL) +
			      npt_probe_loss(measure->probe, NPT_LOSS_TLS_PROCESS) +
			      npt_probe_missed(measure->probe);
	if (measure->handshakes)
		report->lost.events += npt_tls_events_lost(measure->handshakes, measure->probe);
	report->lost.edges = npt_probe_other_connections(measure->probe, scope);
	report->other_edges = report->lost.edges;
	report->cost.hooks_ms = hooks_ns(measure) / NPT_NS_PER_MS;
	report->cost.ns_per_operation = npt_probe_ns_per_operation(measure->probe);
	if (measure->options.operations && report->cost.ns_per_operation == 0)
		npt_report_set_unavailable(report, "cost.nanosPerOperation",
					   "no loopback connection could be timed");
}
