/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/setup.h"

#include <errno.h>
#include <string.h>

#include "aggregator/exports/exports.h"
#include "aggregator/exports/metrics_server.h"
#include "aggregator/exports/otlp.h"
#include "aggregator/exports/prometheus.h"
#include "aggregator/exports/skywalking.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"

#define SERIES_MAX 100000

const struct npt_exports_options npt_exports_defaults = {
	.max_series_text = "500",
	.max_series_per_task_text = "100",
	.keep_text = "5m",
	.otlp_interval_text = "10s",
	.otlp_temporality_text = "cumulative",
	.skywalking_interval_text = "5s",
};

struct npt_export_set {
	const struct npt_exports_options *options;
	struct npt_exports_program program;
	struct npt_exports *exports; /* NULL: there is none */
	struct npt_metrics_server *metrics;
	struct npt_otlp *otlp;
	struct npt_skywalking *skywalking;
};

static int check_number(const char *option, const char *text, uint64_t *value_ret,
			struct npt_error *err)
{
	if (npt_parse_u64(text, 1, SERIES_MAX, value_ret) == 0)
		return 0;
	return npt_error_set(err, EINVAL, "%s %s is not 1 to %d", option, text, SERIES_MAX);
}

static int check_duration(const char *option, const char *text, uint64_t *ms_ret,
			  struct npt_error *err)
{
	if (npt_parse_duration_ms(text, 100, 86400000, ms_ret) == 0)
		return 0;
	return npt_error_set(err, EINVAL, "%s %s is not 100ms to 24h", option, text);
}

static int check_temporality(struct npt_exports_options *options, struct npt_error *err)
{
	const char *text = options->otlp_temporality_text;

	options->otlp_temporality =
		strcmp(text, "delta") == 0 ? NPT_OTLP_DELTA : NPT_OTLP_CUMULATIVE;
	if (options->otlp_temporality == NPT_OTLP_DELTA || strcmp(text, "cumulative") == 0)
		return 0;
	return npt_error_set(err, EINVAL, "--otlp-temporality %s is not delta or cumulative", text);
}

int npt_exports_options_check(struct npt_exports_options *options, struct npt_error *err)
{
	int r = check_number("--metrics-max-series", options->max_series_text, &options->max_series,
			     err);

	if (r == 0)
		r = check_number("--metrics-max-series-per-task", options->max_series_per_task_text,
				 &options->max_series_per_task, err);
	if (r == 0)
		r = check_duration("--metrics-keep", options->keep_text, &options->keep_ms, err);
	if (r == 0)
		r = check_duration("--otlp-interval", options->otlp_interval_text,
				   &options->otlp_interval_ms, err);
	if (r == 0)
		r = check_temporality(options, err);
	if (r == 0 && options->otlp_endpoint)
		r = npt_otlp_check_endpoint(options->otlp_endpoint, err);
	if (r == 0)
		r = check_duration("--skywalking-interval", options->skywalking_interval_text,
				   &options->skywalking_interval_ms, err);
	if (r == 0 && options->skywalking_endpoint)
		r = npt_skywalking_check_endpoint(options->skywalking_endpoint, err);
	return r;
}

static int write_own(void *context, struct npt_buffer *out)
{
	struct npt_export_set *set = context;
	struct npt_exports_stats stats;
	int r;

	npt_exports_stats(set->exports, &stats);
	r = npt_prometheus_write_number(out, "npt_exporter_windows_total", "counter",
					"Windows given to exports.", stats.windows);
	if (r == 0)
		r = npt_prometheus_write_number(
			out, "npt_exporter_dropped_windows_total", "counter",
			"Windows that no export got: the queue was full.", stats.dropped_windows);
	if (r == 0)
		r = npt_prometheus_write_number(out, "npt_exporter_queued_windows", "gauge",
						"Windows that wait for exports.",
						stats.queued_windows);
	if (r == 0 && set->otlp)
		r = npt_otlp_write_own(set->otlp, out);
	if (r == 0 && set->skywalking)
		r = npt_skywalking_write_own(set->skywalking, out);
	return r < 0 ? r : set->program.write_own(set->program.context, out);
}

static void make_metrics(struct npt_export_set *set)
{
	const struct npt_metrics_options metrics = {
		.listen = set->options->metrics,
		.tls_cert = set->program.tls_cert,
		.tls_key = set->program.tls_key,
		.everybody = set->options->metrics_everybody,
		.config = set->program.config,
		.max_series = set->options->max_series,
		.max_series_per_task = set->options->max_series_per_task,
		.keep_ms = set->options->keep_ms,
		.write_own = write_own,
		.context = set,
	};

	set->metrics = npt_metrics_new(&metrics);
}

static int start_otlp(struct npt_export_set *set, struct npt_error *err)
{
	const struct npt_otlp_options otlp = {
		.endpoint = set->options->otlp_endpoint,
		.header_file = set->options->otlp_header_file,
		.ca_file = set->options->otlp_ca,
		.interval_ms = set->options->otlp_interval_ms,
		.temporality = set->options->otlp_temporality,
		.keep_ns = set->options->keep_ms * NPT_NS_PER_MS,
	};

	return npt_otlp_start(&otlp, &set->otlp, err);
}

static int start_skywalking(struct npt_export_set *set, struct npt_error *err)
{
	const struct npt_skywalking_options skywalking = {
		.endpoint = set->options->skywalking_endpoint,
		.ca_file = set->options->skywalking_ca,
		.header_file = set->options->skywalking_header_file,
		.interval_ms = set->options->skywalking_interval_ms,
	};

	return npt_skywalking_start(&skywalking, &set->skywalking, err);
}

int npt_export_set_start(const struct npt_exports_options *options,
			 const struct npt_exports_program *program, struct npt_export_set **set_ret,
			 struct npt_error *err)
{
	npt_auto(npt_export_set_free) struct npt_export_set *set = npt_alloc(1, sizeof(*set));
	struct npt_exporter exporters[4];
	size_t count = 0;
	int r = 0;

	set->options = options;
	set->program = *program;
	if (options->otlp_endpoint) {
		r = start_otlp(set, err);
		if (r == 0)
			exporters[count++] = npt_otlp_exporter(set->otlp);
	}
	if (r == 0 && options->skywalking_endpoint) {
		r = start_skywalking(set, err);
		if (r == 0)
			exporters[count++] = npt_skywalking_exporter(set->skywalking);
	}
	if (r == 0 && options->metrics) {
		make_metrics(set);
		exporters[count++] = npt_metrics_exporter(set->metrics);
	}
	if (r == 0 && count > 0)
		r = npt_exports_start(exporters, count, &set->exports, err);
	if (r == 0 && options->metrics)
		r = npt_metrics_serve(set->metrics, err);
	if (r == 0)
		*set_ret = npt_take(set);
	return r;
}

void npt_export_set_stop(struct npt_export_set *set)
{
	if (set)
		npt_metrics_stop(set->metrics);
}

void npt_export_set_free(struct npt_export_set *set)
{
	if (!set)
		return;
	npt_metrics_stop(set->metrics); /* it asks the others for their numbers */
	npt_exports_free(npt_take(set->exports));
	npt_metrics_free(set->metrics);
	npt_otlp_free(set->otlp);
	npt_skywalking_free(set->skywalking);
	free(set);
}

void npt_export_set_take(void *set, struct npt_report *window)
{
	npt_exports_take(((struct npt_export_set *)set)->exports, window);
}

bool npt_export_set_is_empty(const struct npt_export_set *set)
{
	return !set->exports;
}

unsigned int npt_export_set_metrics_port(const struct npt_export_set *set)
{
	return set->metrics ? npt_metrics_port(set->metrics) : 0;
}
