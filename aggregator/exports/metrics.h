/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Metrics - what the numbers of a series are called outside: one table for every export that does
 * not have to speak somebody else's names (docs/exports.md has it for people).
 *
 * The two names of a metric are one: OTLP's, by the rules that OpenTelemetry has for Prometheus
 * (dots become underscores, then the unit, then "_total" of a counter), is Prometheus'.
 */
#include <stdbool.h>
#include <stddef.h>

#include "aggregator/exports/series.h"

enum npt_export_kind {
	NPT_EXPORT_COUNTER, /* part.index: enum npt_series_counter */
	NPT_EXPORT_REASONS, /* a counter by reason; part.index: enum npt_series_reason_kind */
	NPT_EXPORT_GAUGE,   /* enum npt_series_gauge */
	NPT_EXPORT_TIMES,   /* a histogram; enum npt_metric_id or NPT_TIMES_HANDSHAKE */
};

struct npt_export_part {
	unsigned int index;
	const char *label; /* the value of the metric's own label; NULL: it has none */
};

#define NPT_EXPORT_PARTS_MAX 4

struct npt_export_metric {
	enum npt_export_kind kind;
	const char *name; /* Prometheus' */
	const char *otlp; /* OpenTelemetry's */
	const char *unit; /* UCUM, as OpenTelemetry has it: "s", "By", "{segment}" */
	const char *help;
	const char *label;     /* what tells its parts apart; NULL: it has one part */
	const char *attribute; /* the same for OpenTelemetry */
	bool micros;           /* the counter is one of microseconds, to be told in seconds */
	bool sparse;           /* told only if it is not 0 */
	struct npt_export_part parts[NPT_EXPORT_PARTS_MAX];
	size_t parts_count;
};

extern const struct npt_export_metric npt_export_metrics[];
extern const size_t npt_export_metrics_count;

/* The label of Prometheus and the attribute of OpenTelemetry; NULL: it is none of that one's. */
const char *npt_label_prometheus_name(enum npt_label label);
