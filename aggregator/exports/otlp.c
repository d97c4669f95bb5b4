/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/otlp.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "aggregator/exports/delivery.h"
#include "aggregator/exports/header_file.h"
#include "aggregator/exports/otlp_encode.h"
#include "aggregator/exports/prometheus.h"
#include "lib/core/alloc.h"
#include "lib/core/backoff.h"
#include "lib/core/log.h"
#include "lib/net/http_client.h"
#include "lib/net/url.h"

#define SERIES_MAX          10000
#define SERIES_PER_TASK_MAX 5000
#define ANSWER_BYTES_MAX    (64UL * 1024)
#define TIMEOUT_MS          10000
#define BACKOFF_FIRST_MS    1000
#define BACKOFF_MAX_MS      30000
#define RETRY_AFTER_MAX_MS  300000

struct npt_otlp {
	struct npt_otlp_options options;
	char *url;
	struct npt_http_client *client;
	struct npt_delivery *delivery;
	bool failing; /* said once, until it works again */
	bool refused; /* likewise */
	struct {
		atomic_uint_least64_t sent_points, dropped_points, rejected_points, retries;
	} stats;
};

enum outcome { OUTCOME_DONE, OUTCOME_AGAIN, OUTCOME_REFUSED };

int npt_otlp_check_endpoint(const char *endpoint, struct npt_error *err)
{
	struct npt_url url;
	int r = npt_url_parse(endpoint, "http", &url, err);

	return r < 0 ? npt_error_wrap(err, "--otlp-endpoint") : 0;
}

static char *make_url(const char *endpoint)
{
	const char *path = strchr(strstr(endpoint, "://") + 3, '/');

	if (path && strcmp(path, "/") != 0)
		return npt_strdup(endpoint);
	return npt_format("%s%sv1/metrics", endpoint, path ? "" : "/");
}

static bool is_worth_another_try(unsigned int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

static bool is_over(void *context)
{
	return npt_delivery_is_over(((struct npt_otlp *)context)->delivery);
}

static void say_failing(struct npt_otlp *otlp, const char *why)
{
	if (!otlp->failing)
		npt_log_warning("otlp receiver does not take metrics; they are kept and sent later",
				"endpoint", otlp->url, "error", why);
	otlp->failing = true;
}

static void drop(struct npt_otlp *otlp, uint64_t points, const char *why)
{
	atomic_fetch_add(&otlp->stats.dropped_points, points);
	if (!otlp->refused)
		npt_log_warning("otlp metrics are dropped", "endpoint", otlp->url, "points",
				npt_log_u64(points), "error", why);
	otlp->refused = true;
}

static void take_answer(struct npt_otlp *otlp, const struct npt_otlp_request *request,
			const struct npt_http_response *response)
{
	struct npt_otlp_answer answer;
	uint64_t rejected;

	if (npt_otlp_decode_answer(response->body, response->body_bytes, &answer, NULL) < 0)
		answer = (struct npt_otlp_answer){ .rejected_points = 0 };
	rejected =
		answer.rejected_points < request->points ? answer.rejected_points : request->points;
	atomic_fetch_add(&otlp->stats.sent_points, request->points - rejected);
	atomic_fetch_add(&otlp->stats.rejected_points, rejected);
	if (rejected && !otlp->refused)
		npt_log_warning("otlp receiver rejected points", "endpoint", otlp->url, "points",
				npt_log_u64(rejected), "message", answer.message);
	if (otlp->failing)
		npt_log_info("otlp receiver takes metrics again", "endpoint", otlp->url);
	otlp->failing = false;
	otlp->refused = rejected > 0;
}

static enum outcome judge(struct npt_otlp *otlp, const struct npt_otlp_request *request,
			  const struct npt_http_response *response)
{
	npt_auto_free char *why = NULL;
	char words[256];

	if (response->status / 100 == 2) {
		take_answer(otlp, request, response);
		return OUTCOME_DONE;
	}
	npt_otlp_decode_status(response->body, response->body_bytes, words, sizeof(words));
	why = npt_format("status %u %s", response->status, words);
	if (is_worth_another_try(response->status)) {
		say_failing(otlp, why);
		return OUTCOME_AGAIN;
	}
	drop(otlp, request->points, why);
	return OUTCOME_REFUSED;
}

/* *wait_ms_ret: what the receiver asked for; 0: nothing. */
static enum outcome try(struct npt_otlp *otlp, const struct npt_otlp_request *request,
			uint64_t timeout_ms, uint64_t *wait_ms_ret)
{
	npt_auto(npt_http_response_done) struct npt_http_response response = { .status = 0 };
	npt_auto(npt_headers_done) struct npt_headers headers = { .text = NULL };
	const char *lines[NPT_HEADERS_MAX + 2] = { "Content-Encoding: gzip" };
	const struct npt_http_request http = {
		.method = "POST",
		.url = otlp->url,
		.content_type = "application/x-protobuf",
		.headers = lines,
		.body = request->data,
		.body_bytes = request->size_bytes,
		.timeout_ms = timeout_ms,
		.max_response_bytes = ANSWER_BYTES_MAX,
		.is_cancelled = is_over,
		.context = otlp,
	};
	struct npt_error err = NPT_ERROR_NONE;
	int r = 0;

	if (otlp->options.header_file)
		r = npt_headers_read(otlp->options.header_file, &headers, &err);
	if (r == 0) {
		memcpy(lines + 1, headers.lines, sizeof(headers.lines));
		r = npt_http_perform(otlp->client, &http, &response, &err);
	}
	if (r < 0) {
		say_failing(otlp, err.text);
		return OUTCOME_AGAIN;
	}
	*wait_ms_ret = response.retry_after_seconds * UINT64_C(1000);
	return judge(otlp, request, &response);
}

static void deliver(struct npt_otlp *otlp, const struct npt_otlp_request *request)
{
	for (unsigned int failures = 1;; failures++) {
		uint64_t timeout_ms = npt_delivery_timeout_ms(otlp->delivery, TIMEOUT_MS);
		uint64_t wait_ms = 0;

		if (timeout_ms == 0)
			break;
		if (try(otlp, request, timeout_ms, &wait_ms) != OUTCOME_AGAIN)
			return;
		if (wait_ms == 0)
			wait_ms = npt_backoff_ms(failures, BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
		if (wait_ms > RETRY_AFTER_MAX_MS)
			wait_ms = RETRY_AFTER_MAX_MS;
		if (!npt_delivery_pause(otlp->delivery, wait_ms))
			break;
		atomic_fetch_add(&otlp->stats.retries, 1);
	}
	drop(otlp, request->points, "the program ends");
}

static void send(void *context, const struct npt_series_table *table)
{
	struct npt_otlp *otlp = context;
	struct npt_otlp_request *requests;
	size_t count;

	npt_otlp_encode(table, otlp->options.temporality, &requests, &count);
	for (size_t i = 0; i < count; i++) {
		deliver(otlp, &requests[i]);
		free(requests[i].data);
	}
	free(requests);
}

int npt_otlp_start(const struct npt_otlp_options *options, struct npt_otlp **otlp_ret,
		   struct npt_error *err)
{
	npt_auto(npt_otlp_free) struct npt_otlp *otlp = npt_alloc(1, sizeof(*otlp));
	const struct npt_http_client_options http = {
		.ca_file = options->ca_file,
		.system_trust = !options->ca_file,
		.plain_anywhere = true,
	};
	const struct npt_delivery_options delivery = {
		.series = { .labels = NPT_LABELS_ALL,
			    .max_series = SERIES_MAX,
			    .max_series_per_task = SERIES_PER_TASK_MAX,
			    .keep_ns = options->keep_ns },
		.cumulative = options->temporality == NPT_OTLP_CUMULATIVE,
		.interval_ms = options->interval_ms,
		.send = send,
		.context = otlp,
	};
	int r;

	otlp->options = *options;
	otlp->url = make_url(options->endpoint);
	r = npt_http_client_new(&http, &otlp->client, err);
	if (r == 0)
		r = npt_delivery_start(&delivery, &otlp->delivery, err);
	if (r == 0)
		*otlp_ret = npt_take(otlp);
	return r;
}

void npt_otlp_free(struct npt_otlp *otlp)
{
	if (!otlp)
		return;
	npt_delivery_free(otlp->delivery);
	npt_http_client_free(otlp->client);
	free(otlp->url);
	free(otlp);
}

struct npt_exporter npt_otlp_exporter(struct npt_otlp *otlp)
{
	return npt_delivery_exporter(otlp->delivery);
}

int npt_otlp_write_own(struct npt_otlp *otlp, struct npt_buffer *out)
{
	const struct npt_prometheus_value points[] = {
		{ "sent", atomic_load(&otlp->stats.sent_points) },
		{ "rejected", atomic_load(&otlp->stats.rejected_points) },
		{ "dropped", atomic_load(&otlp->stats.dropped_points) },
	};
	int r = npt_prometheus_write_numbers(out, "npt_exporter_otlp_points_total", "counter",
					     "Data points by what became of them: taken, rejected "
					     "by the receiver, dropped here.",
					     "outcome", points, NPT_ARRAY_SIZE(points));

	if (r < 0)
		return r;
	return npt_prometheus_write_number(out, "npt_exporter_otlp_retries_total", "counter",
					   "Requests that were sent again.",
					   atomic_load(&otlp->stats.retries));
}
