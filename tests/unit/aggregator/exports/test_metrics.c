/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two names of a metric are one, by the rules that OpenTelemetry has for Prometheus.
 */
#include "aggregator/exports/metrics.h"

#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

static void translate(const struct npt_export_metric *metric, char *out, size_t size_bytes)
{
	const char *unit = strcmp(metric->unit, "By") == 0  ? "_bytes"
			   : strcmp(metric->unit, "s") == 0 ? "_seconds"
							    : "";
	bool counter = metric->kind == NPT_EXPORT_COUNTER || metric->kind == NPT_EXPORT_REASONS;

	(void)snprintf(out, size_bytes, "%s%s%s", metric->otlp, unit, counter ? "_total" : "");
	for (char *at = out; *at; at++) {
		if (*at == '.')
			*at = '_';
	}
}

static void both_names_are_one(void)
{
	for (size_t i = 0; i < npt_export_metrics_count; i++) {
		char name[128];

		translate(&npt_export_metrics[i], name, sizeof(name));
		NPT_CHECK_STR(npt_export_metrics[i].name, name);
	}
}

static void every_number_of_a_series_has_one_name(void)
{
	unsigned int counters[NPT_COUNTER_COUNT] = { 0 }, gauges[NPT_GAUGE_COUNT] = { 0 };
	unsigned int times[NPT_TIMES_COUNT] = { 0 }, reasons[NPT_REASON_KIND_COUNT] = { 0 };

	for (size_t i = 0; i < npt_export_metrics_count; i++) {
		const struct npt_export_metric *metric = &npt_export_metrics[i];

		NPT_CHECK(metric->help[strlen(metric->help) - 1] == '.');
		NPT_CHECK((metric->label == NULL) == (metric->parts_count == 1));
		for (size_t k = 0; k < metric->parts_count; k++) {
			unsigned int *counts = metric->kind == NPT_EXPORT_COUNTER   ? counters
					       : metric->kind == NPT_EXPORT_GAUGE   ? gauges
					       : metric->kind == NPT_EXPORT_REASONS ? reasons
										    : times;

			counts[metric->parts[k].index]++;
		}
	}
	for (size_t i = 0; i < NPT_COUNTER_COUNT; i++)
		NPT_CHECK_INT(counters[i], 1);
	for (size_t i = 0; i < NPT_GAUGE_COUNT; i++)
		NPT_CHECK_INT(gauges[i], 1);
	for (size_t i = 0; i < NPT_TIMES_COUNT; i++)
		NPT_CHECK_INT(times[i], 1);
	for (size_t i = 0; i < NPT_REASON_KIND_COUNT; i++)
		NPT_CHECK_INT(reasons[i], 1);
}

static const struct npt_test tests[] = {
	NPT_TEST(both_names_are_one),
	NPT_TEST(every_number_of_a_series_has_one_name),
};
NPT_TEST_MAIN(tests)
