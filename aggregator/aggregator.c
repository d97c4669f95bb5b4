/* SPDX-License-Identifier: Apache-2.0 */
/*
 * It stops in the order in which work flows: first no more requests, then what was taken in is
 * stored and answered, then the answers go out.
 */
#include "aggregator/aggregator.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aggregator/api.h"
#include "aggregator/exports/prometheus.h"
#include "aggregator/ingest.h"
#include "aggregator/live.h"
#include "aggregator/store.h"
#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/kube/config.h"
#include "lib/net/health.h"
#include "lib/net/server.h"
#include "lib/net/token.h"

#define INGEST_BODY_BYTES_MAX (4UL * 1024 * 1024)
#define BODIES_BYTES_MAX      (64UL * 1024 * 1024)
#define LIVE_BYTES_MAX        (8UL * 1024 * 1024)
#define CONNECTIONS_MAX       4096
#define STOP_MS               10000

struct aggregator {
	void *key;
	size_t key_bytes;
	struct npt_kube_config config;
	struct npt_store *store;
	struct npt_export_set *exports;
	const char *store_path;
	_Atomic(struct npt_ingest *) ingest;
	struct npt_api *api;
	struct npt_live *live;
	struct npt_endpoint endpoints[1];
	struct npt_server *server;
	struct npt_server *health;
	struct npt_route routes[1 + NPT_API_ROUTES_MAX];
	atomic_bool ready;
};

static void aggregator_done(struct aggregator *aggregator)
{
	npt_server_free(aggregator->health);
	if (aggregator->server)
		npt_server_stop(aggregator->server, 0);
	npt_export_set_stop(aggregator->exports); /* it asks ingest for its numbers */
	npt_ingest_free(aggregator->ingest);
	npt_export_set_free(aggregator->exports);
	npt_api_free(aggregator->api);
	npt_live_free(aggregator->live);
	npt_server_free(aggregator->server); /* after the last answer */
	npt_store_free(aggregator->store);
	npt_kube_config_done(&aggregator->config);
	free(aggregator->key);
}
NPT_DEFINE_AUTO_DONE(struct aggregator, aggregator_done)

static int open_store(struct aggregator *aggregator, const char *path, struct npt_error *err)
{
	npt_auto_free char *kept = NULL;
	int r = npt_store_open(path, &aggregator->store, err);

	if (r != -EUCLEAN)
		return r;
	npt_log_error("store is damaged", "error", err->text);
	r = npt_store_set_aside_file(path, &kept, err);
	if (r < 0)
		return r;
	npt_log_error("store begins anew; the damaged one is kept", "file", kept);
	return npt_store_open(path, &aggregator->store, err);
}

static int start_ingest(struct aggregator *aggregator, const struct npt_aggregator_options *options,
			struct npt_error *err)
{
	struct npt_ingest_options ingest = {
		.key = aggregator->key,
		.key_bytes = aggregator->key_bytes,
		.store = aggregator->store,
		.limits = { .max_age_ms = options->max_age_ms, .max_bytes = options->max_bytes },
	};
	struct npt_ingest *started = NULL;
	int r;

	if (!npt_export_set_is_empty(aggregator->exports)) {
		ingest.on_added = npt_export_set_take;
		ingest.context = aggregator->exports;
	}
	r = npt_ingest_start(&ingest, &started, err);
	atomic_store(&aggregator->ingest, started);
	return r;
}

static uint64_t file_bytes(const char *path, const char *suffix)
{
	npt_auto_free char *name = npt_format("%s%s", path, suffix);
	struct stat status;

	return stat(name, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* This program's numbers, for /metrics; on a thread of the exports. */
static int write_own(void *context, struct npt_buffer *out)
{
	struct aggregator *aggregator = context;
	struct npt_ingest *ingest = atomic_load(&aggregator->ingest);
	struct npt_ingest_stats stats = { .stored = 0 };
	int r;

	if (ingest)
		npt_ingest_stats(ingest, &stats);
	const struct npt_prometheus_value windows[] = {
		{ "stored", stats.stored },
		{ "duplicate", stats.duplicates },
		{ "refused", stats.refused },
		{ "failed", stats.failed },
	};

	r = npt_prometheus_write_numbers(out, "npt_ingest_windows_total", "counter",
					 "Windows that agents posted, by what became of them.",
					 "outcome", windows, NPT_ARRAY_SIZE(windows));
	if (r == 0)
		r = npt_prometheus_write_number(out, "npt_ingest_waiting_windows", "gauge",
						"Windows that wait to be stored.", stats.waiting);
	if (r == 0)
		r = npt_prometheus_write_number(out, "npt_store_bytes", "gauge",
						"Size of the store's files.",
						file_bytes(aggregator->store_path, "") +
							file_bytes(aggregator->store_path, "-wal"));
	return r;
}

static int start_exports(struct aggregator *aggregator,
			 const struct npt_aggregator_options *options, struct npt_error *err)
{
	const struct npt_exports_program program = {
		.tls_cert = options->tls_cert,
		.tls_key = options->tls_key,
		.config = &aggregator->config,
		.write_own = write_own,
		.context = aggregator,
	};

	aggregator->store_path = options->store;
	return npt_export_set_start(&options->exports, &program, &aggregator->exports, err);
}

static int start_api(struct aggregator *aggregator, const struct npt_aggregator_options *options,
		     struct npt_error *err)
{
	const struct npt_api_options api = {
		.config = options->insecure_local ? NULL : &aggregator->config,
		.store = aggregator->store,
		.session_key = { aggregator->key, aggregator->key_bytes },
	};
	int r = npt_api_start(&api, &aggregator->api, err);

	return r < 0 ? r : npt_live_start(&api, &aggregator->live, err);
}

static int serve(struct aggregator *aggregator, const struct npt_aggregator_options *options,
		 struct npt_error *err)
{
	struct npt_server_options server = {
		.listen = options->listen,
		.tls_cert = options->tls_cert,
		.tls_key = options->tls_key,
		.routes = aggregator->routes,
		.max_connections = CONNECTIONS_MAX,
		.loopback_only = options->insecure_local,
		.max_bodies_bytes = BODIES_BYTES_MAX,
		.max_queued_bytes = LIVE_BYTES_MAX,
		.endpoints = aggregator->endpoints,
		.endpoints_count = NPT_ARRAY_SIZE(aggregator->endpoints),
	};
	int r;

	aggregator->routes[0] = (struct npt_route){ .method = "POST",
						    .path = "/v1/ingest",
						    .handler = npt_ingest_handle,
						    .context = aggregator->ingest,
						    .content_type = "application/x-protobuf",
						    .max_body_bytes = INGEST_BODY_BYTES_MAX };
	server.routes_count =
		1 + npt_api_routes(aggregator->api, aggregator->routes + 1, NPT_API_ROUTES_MAX);
	aggregator->endpoints[0] = npt_live_endpoint(aggregator->live);
	r = npt_server_start(&server, &aggregator->server, err);
	if (r == 0)
		npt_live_set_server(aggregator->live, aggregator->server);
	return r;
}

static int start(struct aggregator *aggregator, const struct npt_aggregator_options *options,
		 struct npt_error *err)
{
	int r = npt_token_read_key(options->ingest_key, &aggregator->key, &aggregator->key_bytes,
				   err);

	if (r == 0 && !options->insecure_local)
		r = npt_kube_config_load(&aggregator->config, options->kubeconfig, "npt-aggregator",
					 err);
	if (r == 0)
		r = open_store(aggregator, options->store, err);
	if (r == 0)
		r = start_exports(aggregator, options, err);
	if (r == 0)
		r = start_ingest(aggregator, options, err);
	if (r == 0)
		r = start_api(aggregator, options, err);
	if (r == 0)
		r = serve(aggregator, options, err);
	if (r == 0)
		r = npt_health_serve(options->health, &aggregator->ready, &aggregator->health, err);
	return r;
}

/* The signals that end the program; blocked before any thread is started. */
static void block_signals(sigset_t *signals)
{
	(void)sigemptyset(signals);
	(void)sigaddset(signals, SIGTERM);
	(void)sigaddset(signals, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

int npt_aggregator_run(const struct npt_aggregator_options *options, struct npt_error *err)
{
	npt_auto(aggregator_done) struct aggregator aggregator = { .key = NULL };
	struct npt_ingest_stats stats;
	sigset_t signals;
	int r, number = 0;

	(void)umask(077); /* the store is nobody else's business */
	block_signals(&signals);
	r = start(&aggregator, options, err);
	if (r < 0)
		return r;
	atomic_store(&aggregator.ready, true);
	npt_log_info("serving", "listen", options->listen, "port",
		     npt_log_u64(npt_server_port(aggregator.server)), "store", options->store,
		     "metrics", npt_log_u64(npt_export_set_metrics_port(aggregator.exports)));
	while (sigwait(&signals, &number) != 0)
		;
	npt_log_info("stopping", "signal", number == SIGTERM ? "SIGTERM" : "SIGINT");
	atomic_store(&aggregator.ready, false);
	npt_api_cancel(aggregator.api);
	npt_live_cancel(aggregator.live);
	npt_server_stop(aggregator.server, STOP_MS);
	npt_ingest_stats(atomic_load(&aggregator.ingest), &stats);
	npt_log_info("stopped", "stored", npt_log_u64(stats.stored), "duplicates",
		     npt_log_u64(stats.duplicates), "refused", npt_log_u64(stats.refused), "failed",
		     npt_log_u64(stats.failed));
	return 0;
}
