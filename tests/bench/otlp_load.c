/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-otlp-load URL WINDOWS - what bench-store-load posts, as OTLP to somebody else's store: as
 * many series and histograms as our own exporter makes of the same windows.
 *
 * Requests are made first and kept, so that the time is the receiver's: a window a request, so many
 * at once. A line of JSON at the end: edge-windows, points and seconds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "aggregator/exports/labels.h"
#include "aggregator/exports/otlp_encode.h"
#include "aggregator/exports/series.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"
#include "lib/net/http_client.h"
#include "tests/bench/load_windows.h"

#define THREADS 4

struct load {
	const char *url;
	struct npt_otlp_request *requests;
	size_t count;
	atomic_size_t next;
	atomic_uint_least64_t points;
	atomic_bool failed;
};

static struct npt_otlp_request encode(uint64_t task, unsigned int pod, unsigned int window)
{
	const struct npt_series_options options = { .labels = NPT_LABELS_ALL,
						    .max_series = 10000,
						    .max_series_per_task = 10000 };
	npt_auto(npt_series_table_free) struct npt_series_table *table =
		npt_series_table_new(&options);
	npt_auto(npt_report_free) struct npt_report *report = npt_load_head(task, pod, window);
	struct npt_otlp_request *requests, first;
	uint64_t state = task * 1000 + pod * 100 + window + 1;
	size_t count;

	/* In the past, so that each window of a pod has a time of its own. */
	report->start_unix_ms -= (uint64_t)NPT_LOAD_WINDOWS * NPT_LOAD_INTERVAL_MS;
	for (unsigned int i = 0; i < NPT_LOAD_EDGES; i++)
		npt_load_edge(npt_report_add_edge(report), i, &state);
	npt_series_add(table, report, npt_clock_monotonic_ns());
	npt_otlp_encode(table, NPT_OTLP_CUMULATIVE, &requests, &count);
	if (count != 1)
		abort();
	first = requests[0];
	free(requests);
	return first;
}

static int post(struct load *load, struct npt_http_client *client,
		const struct npt_otlp_request *wanted, struct npt_error *err)
{
	static const char *const headers[] = { "Content-Encoding: gzip", NULL };
	npt_auto(npt_http_response_done) struct npt_http_response response = { .status = 0 };
	const struct npt_http_request request = { .method = "POST",
						  .url = load->url,
						  .content_type = "application/x-protobuf",
						  .headers = headers,
						  .body = wanted->data,
						  .body_bytes = wanted->size_bytes };
	int r = npt_http_perform(client, &request, &response, err);

	if (r == 0 && response.status / 100 != 2)
		return npt_error_set(err, EIO, "answered %u: %.200s", response.status,
				     response.body);
	return r;
}

static void *run(void *argument)
{
	struct load *load = argument;
	const struct npt_http_client_options options = { .ca_file = NULL };
	npt_auto(npt_http_client_free) struct npt_http_client *client = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_http_client_new(&options, &client, &err);
	size_t at;

	while (r == 0 && (at = atomic_fetch_add(&load->next, 1)) < load->count) {
		r = post(load, client, &load->requests[at], &err);
		atomic_fetch_add(&load->points, load->requests[at].points);
	}
	if (r < 0) {
		atomic_store(&load->failed, true);
		fprintf(stderr, "bench-otlp-load: %s\n", err.text);
	}
	return NULL;
}

static void prepare(struct load *load)
{
	load->requests = npt_alloc(load->count, sizeof(*load->requests));
	for (size_t i = 0; i < load->count; i++) {
		size_t in_task = i % ((size_t)NPT_LOAD_PODS * NPT_LOAD_WINDOWS);

		load->requests[i] = encode(i / ((size_t)NPT_LOAD_PODS * NPT_LOAD_WINDOWS),
					   (unsigned int)(in_task % NPT_LOAD_PODS),
					   (unsigned int)(in_task / NPT_LOAD_PODS));
	}
}

int main(int argc, char **argv)
{
	static struct load load;
	pthread_t threads[THREADS];
	uint64_t windows, begin_ns;

	if (argc != 3 || npt_parse_u64(argv[2], 1, 1000000, &windows) < 0) {
		fprintf(stderr, "Usage: bench-otlp-load URL WINDOWS\n");
		return 2;
	}
	load.url = argv[1];
	load.count = windows;
	prepare(&load);
	begin_ns = npt_clock_monotonic_ns();
	for (size_t i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, run, &load) != 0)
			return 1;
	}
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	printf("{\"rows\": %llu, \"points\": %llu, \"seconds\": %.3f}\n",
	       (unsigned long long)windows * NPT_LOAD_EDGES,
	       (unsigned long long)atomic_load(&load.points),
	       (double)(npt_clock_monotonic_ns() - begin_ns) / 1e9);
	return atomic_load(&load.failed) ? 1 : 0;
}
