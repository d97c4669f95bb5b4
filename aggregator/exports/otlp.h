/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Otlp - pushes series, or deltas of them, to an OpenTelemetry receiver, by HTTP, as protobuf with
 * gzip.
 *
 * Statuses 429, 502, 503 and 504, and a receiver that is not there, are tried again, when it says
 * or with a growing pause; what else it refuses is dropped, counted and said once. A request whose
 * answer was lost is sent again: the receiver may count it twice.
 */
#include <stdint.h>

#include "aggregator/exports/exports.h"
#include "aggregator/exports/otlp_encode.h"
#include "lib/core/buffer.h"

struct npt_otlp;

struct npt_otlp_options {
	const char *endpoint;    /* "http://HOST:PORT[/PATH]"; without a path "/v1/metrics" */
	const char *header_file; /* lines of "Name: value", read again each time; NULL: none */
	const char *ca_file;     /* NULL: what the machine trusts */
	uint64_t interval_ms;
	enum npt_otlp_temporality temporality;
	uint64_t keep_ns; /* of a task's cumulative series after its last window */
};

/* -EINVAL: no URL of http or https. */
int npt_otlp_check_endpoint(const char *endpoint, struct npt_error *err);
int npt_otlp_start(const struct npt_otlp_options *options, struct npt_otlp **otlp_ret,
		   struct npt_error *err);
/* After the exports that feed it. */
void npt_otlp_free(struct npt_otlp *otlp);
NPT_DEFINE_AUTO(struct npt_otlp *, npt_otlp_free)
struct npt_exporter npt_otlp_exporter(struct npt_otlp *otlp);
/* Its own numbers, for /metrics. Any thread. */
int npt_otlp_write_own(struct npt_otlp *otlp, struct npt_buffer *out);
