/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-store-load URL KEY_FILE ROWS [THREADS] - agents that post windows as fast as they are
 * taken, until ROWS edge-windows are acknowledged.
 *
 * Each thread is an agent: task after task, each with some pods of some edges in some windows
 * (load_windows.h) (a task of a minute with windows of five seconds). An edge has five metrics with
 * a few buckets each, as one of a sidecar has. Encoded before, but for what differs (RFC: protobuf
 * messages one after the other are one message), so that the time is the aggregator's. A line of
 * JSON a second: rows and posts acknowledged, posts that were turned away (503) and tried again.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"
#include "lib/model/report_protobuf.h"
#include "lib/net/http_client.h"
#include "lib/net/token.h"
#include "tests/bench/load_windows.h"

#define VARIANTS    8
#define THREADS_MAX 64
#define BODY_BYTES  (1UL << 20)

struct load {
	const char *url;
	void *key;
	size_t key_bytes;
	uint64_t rows_wanted;
	struct npt_buffer edges[VARIANTS];
	atomic_uint_least64_t next_task, rows, posts, refused;
	atomic_bool failed;
};

static void encode_edges(struct npt_buffer *into, uint64_t state)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto_free void *data = NULL;
	size_t size;

	npt_buffer_init(into, BODY_BYTES);
	for (unsigned int i = 0; i < NPT_LOAD_EDGES; i++)
		npt_load_edge(npt_report_add_edge(report), i, &state);
	npt_report_to_protobuf(report, &data, &size);
	(void)npt_buffer_append(into, data, size);
}

static int post(struct load *load, struct npt_http_client *client, const char *token,
		const struct npt_buffer *body, struct npt_error *err)
{
	const struct npt_http_request request = { .method = "POST",
						  .url = load->url,
						  .bearer = token,
						  .content_type = "application/x-protobuf",
						  .body = body->data,
						  .body_bytes = body->size_bytes };

	for (;;) {
		npt_auto(npt_http_response_done) struct npt_http_response response = { .status =
											       0 };
		int r = npt_http_perform(client, &request, &response, err);

		if (r < 0)
			return r;
		if (response.status == 200)
			return 0;
		if (response.status != 503)
			return npt_error_set(err, EIO, "answered %u: %s", response.status,
					     response.body);
		atomic_fetch_add(&load->refused, 1);
		(void)usleep(20000);
	}
}

static int post_window(struct load *load, struct npt_http_client *client, const char *token,
		       uint64_t task, unsigned int pod, unsigned int window, struct npt_error *err)
{
	npt_auto(npt_report_free) struct npt_report *head = npt_load_head(task, pod, window);
	npt_auto(npt_buffer_done) struct npt_buffer body = NPT_BUFFER(BODY_BYTES);
	const struct npt_buffer *edges = &load->edges[(task + pod + window) % VARIANTS];
	int r;

	npt_report_head_to_protobuf(head, &body);
	(void)npt_buffer_append(&body, edges->data, edges->size_bytes);
	r = post(load, client, token, &body, err);
	if (r < 0)
		return r;
	atomic_fetch_add(&load->posts, 1);
	atomic_fetch_add(&load->rows, NPT_LOAD_EDGES);
	return 0;
}

static int run_task(struct load *load, struct npt_http_client *client, uint64_t task,
		    struct npt_error *err)
{
	struct npt_token token = { .expires_unix_ms = npt_clock_unix_ms() + 3600000 };
	npt_auto_free char *text = NULL;
	int r;

	(void)snprintf(token.task_uid, sizeof(token.task_uid), "task-%llu",
		       (unsigned long long)task);
	(void)snprintf(token.namespace_name, sizeof(token.namespace_name), "shop");
	(void)snprintf(token.name, sizeof(token.name), "task-%llu", (unsigned long long)task);
	(void)snprintf(token.node, sizeof(token.node), "node");
	r = npt_token_mint(load->key, load->key_bytes, &token, &text, err);
	for (unsigned int window = 0; r == 0 && window < NPT_LOAD_WINDOWS; window++) {
		for (unsigned int pod = 0; r == 0 && pod < NPT_LOAD_PODS; pod++)
			r = post_window(load, client, text, task, pod, window, err);
	}
	return r;
}

static void *run(void *argument)
{
	struct load *load = argument;
	const struct npt_http_client_options options = { .ca_file = NULL };
	npt_auto(npt_http_client_free) struct npt_http_client *client = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	int r = npt_http_client_new(&options, &client, &err);

	while (r == 0 && !atomic_load(&load->failed) &&
	       atomic_load(&load->rows) < load->rows_wanted)
		r = run_task(load, client, atomic_fetch_add(&load->next_task, 1), &err);
	if (r < 0) {
		atomic_store(&load->failed, true);
		fprintf(stderr, "bench-store-load: %s\n", err.text);
	}
	return NULL;
}

static void say(struct load *load, uint64_t begin_ns)
{
	printf("{\"seconds\": %.3f, \"rows\": %llu, \"posts\": %llu, \"refused\": %llu}\n",
	       (double)(npt_clock_monotonic_ns() - begin_ns) / 1e9,
	       (unsigned long long)atomic_load(&load->rows),
	       (unsigned long long)atomic_load(&load->posts),
	       (unsigned long long)atomic_load(&load->refused));
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct load load;
	pthread_t threads[THREADS_MAX];
	uint64_t count = 32, begin_ns;
	struct npt_error err = NPT_ERROR_NONE;

	if (argc < 4 || npt_parse_u64(argv[3], 1, UINT32_MAX, &load.rows_wanted) < 0 ||
	    (argc > 4 && npt_parse_u64(argv[4], 1, THREADS_MAX, &count) < 0)) {
		fprintf(stderr, "Usage: bench-store-load URL KEY_FILE ROWS [THREADS]\n");
		return 2;
	}
	load.url = argv[1];
	/* Not the tasks of an earlier run. */
	atomic_store(&load.next_task, npt_clock_unix_ms() * 1000);
	if (npt_token_read_key(argv[2], &load.key, &load.key_bytes, &err) < 0) {
		fprintf(stderr, "bench-store-load: %s\n", err.text);
		return 1;
	}
	for (unsigned int i = 0; i < VARIANTS; i++)
		encode_edges(&load.edges[i], i + 1);
	fprintf(stderr, "an edge-window is %zu bytes on the wire\n",
		load.edges[0].size_bytes / NPT_LOAD_EDGES);
	begin_ns = npt_clock_monotonic_ns();
	for (uint64_t i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, run, &load) != 0)
			return 1;
	}
	while (!atomic_load(&load.failed) && atomic_load(&load.rows) < load.rows_wanted) {
		(void)sleep(1);
		say(&load, begin_ns);
	}
	for (uint64_t i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
	say(&load, begin_ns);
	return atomic_load(&load.failed) ? 1 : 0;
}
