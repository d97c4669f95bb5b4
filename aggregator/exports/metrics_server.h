/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Metrics server - GET /metrics for Prometheus: the edges of running tasks, and how this program
 * does. An exporter, and a server of its own.
 *
 * Who asks must be known and may get NetworkProfilingTasks in all namespaces, as the page names all
 * tasks; unless everybody may.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/exports/exports.h"
#include "lib/core/buffer.h"
#include "lib/kube/config.h"

struct npt_metrics_server;

struct npt_metrics_options {
	const char *listen;
	const char *tls_cert; /* both NULL: plain HTTP, on a loopback address only */
	const char *tls_key;
	bool everybody; /* no token is asked for */
	const struct npt_kube_config *config;
	size_t max_series;
	size_t max_series_per_task;
	uint64_t keep_ms; /* of a task after its last window */
	/* Adds the program's own numbers; on the server's thread for pages. */
	int (*write_own)(void *context, struct npt_buffer *out);
	void *context;
};

/* options are copied, what they point to is borrowed. */
struct npt_metrics_server *npt_metrics_new(const struct npt_metrics_options *options);
int npt_metrics_serve(struct npt_metrics_server *server, struct npt_error *err);
/* Nothing is served, and write_own() is not called any more. */
void npt_metrics_stop(struct npt_metrics_server *server);
/* After the exports that feed it. */
void npt_metrics_free(struct npt_metrics_server *server);
NPT_DEFINE_AUTO(struct npt_metrics_server *, npt_metrics_free)
struct npt_exporter npt_metrics_exporter(struct npt_metrics_server *server);
unsigned int npt_metrics_port(const struct npt_metrics_server *server);
