/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Setup - which exports there are, from the command line's words to running threads.
 */
#include <stdbool.h>
#include <stdint.h>

#include "aggregator/exports/otlp_encode.h"
#include "lib/core/buffer.h"
#include "lib/core/error.h"
#include "lib/kube/config.h"
#include "lib/model/report.h"

/* The words of the command line; npt_exports_options_check() puts numbers beside them. */
struct npt_exports_options {
	const char *metrics; /* ADDRESS:PORT; NULL: not served */
	bool metrics_everybody;
	const char *max_series_text;
	const char *max_series_per_task_text;
	const char *keep_text;
	const char *otlp_endpoint; /* NULL: nothing is pushed */
	const char *otlp_header_file;
	const char *otlp_ca;
	const char *otlp_interval_text;
	const char *otlp_temporality_text;
	const char *skywalking_endpoint; /* NULL: nothing is sent */
	const char *skywalking_header_file;
	const char *skywalking_ca;
	const char *skywalking_interval_text;
	uint64_t max_series;
	uint64_t max_series_per_task;
	uint64_t keep_ms;
	uint64_t otlp_interval_ms;
	enum npt_otlp_temporality otlp_temporality;
	uint64_t skywalking_interval_ms;
};

/* How the program around it looks to exports. */
struct npt_exports_program {
	const char *tls_cert; /* of the metrics' server */
	const char *tls_key;
	const struct npt_kube_config *config;
	int (*write_own)(void *context, struct npt_buffer *out); /* numbers of the program */
	void *context;
};

extern const struct npt_exports_options npt_exports_defaults;

int npt_exports_options_check(struct npt_exports_options *options, struct npt_error *err);

struct npt_export_set;

/* options are borrowed. */
int npt_export_set_start(const struct npt_exports_options *options,
			 const struct npt_exports_program *program, struct npt_export_set **set_ret,
			 struct npt_error *err);
/* No metrics are served any more: nobody asks the program for its numbers. May be NULL. */
void npt_export_set_stop(struct npt_export_set *set);
/* After whoever hands over windows; sends what is left, within some seconds. */
void npt_export_set_free(struct npt_export_set *set);
NPT_DEFINE_AUTO(struct npt_export_set *, npt_export_set_free)
/* Takes the window over: a callback of struct npt_ingest_options. */
void npt_export_set_take(void *set, struct npt_report *window);
bool npt_export_set_is_empty(const struct npt_export_set *set);
/* 0: no metrics are served. */
unsigned int npt_export_set_metrics_port(const struct npt_export_set *set);
