/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the API server and writing a page take time, so both are done by one thread, not by the
 * server's. Tasks that are over leave the table when somebody asks, or when the next window comes.
 */
#include "aggregator/exports/metrics_server.h"

#include <pthread.h>
#include <string.h>

#include "aggregator/api/access.h"
#include "aggregator/api/answer.h"
#include "aggregator/exports/prometheus.h"
#include "aggregator/exports/series.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/queue.h"
#include "lib/net/server.h"

#define PAGE_BYTES_MAX  (64UL * 1024 * 1024)
#define REQUESTS_MAX    16
#define CONNECTIONS_MAX 64

struct npt_metrics_server {
	struct npt_metrics_options options;
	struct npt_route route;
	struct npt_server *server;
	struct npt_access_checker *access;
	struct npt_queue *requests;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* of the table */
	struct npt_series_table *table;
};

static void add(void *context, const struct npt_report *window)
{
	struct npt_metrics_server *server = context;
	uint64_t now = npt_clock_monotonic_ns();

	(void)pthread_mutex_lock(&server->lock);
	npt_series_add(server->table, window, now);
	(void)npt_series_expire(server->table, now);
	(void)pthread_mutex_unlock(&server->lock);
}

struct npt_exporter npt_metrics_exporter(struct npt_metrics_server *server)
{
	return (struct npt_exporter){ .context = server, .add = add };
}

static int write_table(struct npt_metrics_server *server, struct npt_buffer *out)
{
	uint64_t overflowed, count;
	int r;

	(void)pthread_mutex_lock(&server->lock);
	(void)npt_series_expire(server->table, npt_clock_monotonic_ns());
	r = npt_prometheus_write(server->table, out);
	count = npt_series_count(server->table);
	overflowed = npt_series_overflowed(server->table);
	(void)pthread_mutex_unlock(&server->lock);
	if (r == 0)
		r = npt_prometheus_write_number(out, "npt_exporter_edges", "gauge",
						"Edges that are shown on this page.", count);
	if (r == 0)
		r = npt_prometheus_write_number(
			out, "npt_exporter_overflowed_edges_total", "counter",
			"Edges of windows that found no room and were added to \"other\".",
			overflowed);
	return r;
}

static void answer_page(struct npt_metrics_server *server, struct npt_request *request)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(PAGE_BYTES_MAX);
	size_t size_bytes;

	if (write_table(server, &out) < 0 ||
	    server->options.write_own(server->options.context, &out) < 0) {
		npt_answer_problem(request, 500,
				   "the page is larger than 64 MiB; lower --metrics-max-series");
		return;
	}
	size_bytes = out.size_bytes;
	npt_request_respond(request,
			    (struct npt_response){ .status = 200,
						   .content_type = NPT_PROMETHEUS_CONTENT_TYPE,
						   .body = npt_buffer_take(&out),
						   .body_bytes = size_bytes });
}

static unsigned int check(struct npt_metrics_server *server, const struct npt_request *request,
			  struct npt_error *err)
{
	struct npt_identity identity;
	unsigned int status;

	if (server->options.everybody)
		return 0;
	status = npt_access_identify(server->access, request->authorization, &identity, err);
	return status ? status : npt_access_check(server->access, &identity, "", "", err);
}

static void *run(void *argument)
{
	struct npt_metrics_server *server = argument;
	struct npt_request *request;

	while ((request = npt_queue_wait(server->requests, -1))) {
		struct npt_error err = NPT_ERROR_NONE;
		unsigned int status = check(server, request, &err);

		if (status)
			npt_answer_problem(request, status, err.text);
		else
			answer_page(server, request);
	}
	return NULL;
}

static void handle(void *context, struct npt_request *request)
{
	struct npt_metrics_server *server = context;

	if (npt_queue_push(server->requests, request) < 0)
		npt_answer_problem(request, 503, "too many requests are waiting");
}

static void refuse(void *item)
{
	npt_answer_problem(item, 503, "the aggregator is stopping");
}

static int serve(struct npt_metrics_server *server, struct npt_error *err)
{
	struct npt_server_options options = {
		.listen = server->options.listen,
		.tls_cert = server->options.tls_cert,
		.tls_key = server->options.tls_key,
		.routes = &server->route,
		.routes_count = 1,
		.max_connections = CONNECTIONS_MAX,
		.max_requests = REQUESTS_MAX,
	};

	server->route = (struct npt_route){
		.method = "GET", .path = "/metrics", .handler = handle, .context = server
	};
	return npt_server_start(&options, &server->server, err);
}

struct npt_metrics_server *npt_metrics_new(const struct npt_metrics_options *options)
{
	struct npt_metrics_server *server = npt_alloc(1, sizeof(*server));
	const struct npt_series_options series = {
		.labels = NPT_LABELS_FEW,
		.max_series = options->max_series,
		.max_series_per_task = options->max_series_per_task,
		.keep_ns = options->keep_ms * NPT_NS_PER_MS,
	};

	server->options = *options;
	(void)pthread_mutex_init(&server->lock, NULL);
	server->table = npt_series_table_new(&series);
	server->requests = npt_queue_new(REQUESTS_MAX, refuse);
	return server;
}

int npt_metrics_serve(struct npt_metrics_server *server, struct npt_error *err)
{
	int r = 0;

	if (!server->options.everybody)
		r = npt_access_checker_new(server->options.config, &server->access, err);
	if (r < 0)
		return r;
	r = pthread_create(&server->thread, NULL, run, server);
	if (r != 0)
		return npt_error_set(err, r, "cannot start a thread: %s", strerror(r));
	server->started = true;
	r = serve(server, err);
	return r < 0 ? npt_error_wrap(err, "metrics") : 0;
}

void npt_metrics_stop(struct npt_metrics_server *server)
{
	if (!server)
		return;
	if (server->server)
		npt_server_stop(server->server, 0);
	if (server->access)
		npt_access_checker_cancel(server->access);
	npt_queue_close(server->requests);
	if (server->started)
		(void)pthread_join(server->thread, NULL);
	server->started = false;
}

void npt_metrics_free(struct npt_metrics_server *server)
{
	if (!server)
		return;
	npt_metrics_stop(server);
	npt_queue_free(server->requests);
	npt_access_checker_free(server->access);
	npt_server_free(server->server); /* after the last answer */
	npt_series_table_free(server->table);
	(void)pthread_mutex_destroy(&server->lock);
	free(server);
}

unsigned int npt_metrics_port(const struct npt_metrics_server *server)
{
	return npt_server_port(server->server);
}
