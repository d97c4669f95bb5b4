/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/skywalking.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/exports/delivery.h"
#include "aggregator/exports/header_file.h"
#include "aggregator/exports/prometheus.h"
#include "aggregator/exports/skywalking_meters.h"
#include "lib/core/alloc.h"
#include "lib/core/backoff.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/strmap.h"
#include "lib/net/grpc.h"
#include "lib/net/http_client.h"
#include "lib/net/url.h"

#define SERIES_MAX           10000
#define SERIES_PER_TASK_MAX  5000
#define PODS_MAX             10000
#define OWNED_NS             (120 * NPT_NS_PER_SECOND)
#define ANSWER_BYTES_MAX     NPT_SW_MESSAGE_BYTES
#define TIMEOUT_MS           10000
#define BACKOFF_FIRST_MS     1000
#define BACKOFF_MAX_MS       15000
#define TRIES                4
#define KEEP_ALIVE_INTERVALS 4

#define SERVICE_PROCESS "/skywalking.v3.EBPFProcessService/"
#define SERVICE_METER   "/skywalking.v3.MeterReportService/"

/* Whose word counts about a pod. */
struct owner {
	char task_uid[NPT_UID_BYTES];
	uint64_t seen_ns;
};

struct npt_skywalking {
	struct npt_skywalking_options options;
	struct npt_http_client *client;
	struct npt_sw_processes *processes;
	struct npt_delivery *delivery;
	struct npt_exporter inner;
	struct npt_strmap *owners; /* pod uid -> struct owner; of the exports' thread */
	bool failing;              /* said once, until it works again */
	struct {
		atomic_uint_least64_t sent, dropped;
	} stats;
};

static char *make_url(const struct npt_skywalking_options *options, const char *path)
{
	return npt_format("%s://%s%s", options->ca_file ? "https" : "http", options->endpoint,
			  path);
}

int npt_skywalking_check_endpoint(const char *endpoint, struct npt_error *err)
{
	npt_auto_free char *text = npt_format("http://%s", endpoint);
	struct npt_url url;
	int r = npt_url_parse(text, "http", &url, err);

	if (r == 0 && strcmp(url.path, "/") != 0)
		r = npt_error_set(err, EINVAL, "'%.200s' is not HOST:PORT", endpoint);
	return r < 0 ? npt_error_wrap(err, "--skywalking-endpoint") : 0;
}

/* Several tasks get the same numbers of a pod; the one that was there first goes on. */
static bool is_owner(struct npt_skywalking *skywalking, const struct npt_report *window)
{
	struct owner *owner = npt_strmap_get(skywalking->owners, window->pod.uid);
	uint64_t now = npt_clock_monotonic_ns();

	if (!owner && npt_strmap_count(skywalking->owners) >= PODS_MAX)
		npt_strmap_remove(skywalking->owners, npt_strmap_key_at(skywalking->owners, 0));
	if (!owner) {
		owner = npt_alloc(1, sizeof(*owner));
		if (npt_strmap_set(skywalking->owners, window->pod.uid, owner) < 0) {
			free(owner);
			return false;
		}
	}
	if (strcmp(owner->task_uid, window->task.uid) != 0) {
		if (owner->task_uid[0] && now - owner->seen_ns < OWNED_NS)
			return false;
		memcpy(owner->task_uid, window->task.uid, sizeof(owner->task_uid));
	}
	owner->seen_ns = now;
	return true;
}

static void add(void *context, const struct npt_report *window)
{
	struct npt_skywalking *skywalking = context;

	if (is_owner(skywalking, window))
		skywalking->inner.add(skywalking->inner.context, window);
}

struct npt_exporter npt_skywalking_exporter(struct npt_skywalking *skywalking)
{
	return (struct npt_exporter){ .context = skywalking, .add = add };
}

static bool is_over(void *context)
{
	return npt_delivery_is_over(((struct npt_skywalking *)context)->delivery);
}

static void say_failing(struct npt_skywalking *skywalking, const char *why)
{
	if (!skywalking->failing)
		npt_log_warning("skywalking server does not take meters", "endpoint",
				skywalking->options.endpoint, "error", why);
	skywalking->failing = true;
}

static int judge(const struct npt_grpc_answer *answer, struct npt_error *err)
{
	char words[256];

	if (answer->status == NPT_GRPC_OK)
		return 0;
	npt_label_clean(answer->message, words, sizeof(words));
	return npt_error_set(err, EPROTO, "grpc status %u %s", answer->status, words);
}

/* One try. */
static int call_once(struct npt_skywalking *skywalking, const char *path,
		     const struct npt_buffer *messages, struct npt_grpc_answer *answer,
		     struct npt_error *err)
{
	npt_auto(npt_headers_done) struct npt_headers headers = { .text = NULL };
	npt_auto_free char *url = make_url(&skywalking->options, path);
	const struct npt_grpc_call call = {
		.url = url,
		.messages = messages,
		.headers = headers.lines,
		.timeout_ms = npt_delivery_timeout_ms(skywalking->delivery, TIMEOUT_MS),
		.max_answer_bytes = ANSWER_BYTES_MAX,
		.is_cancelled = is_over,
		.context = skywalking,
	};
	int r = 0;

	if (call.timeout_ms == 0)
		return npt_error_set(err, ECANCELED, "the program ends");
	if (skywalking->options.header_file)
		r = npt_headers_read(skywalking->options.header_file, &headers, err);
	if (r == 0)
		r = npt_grpc_perform(skywalking->client, &call, answer, err);
	return r < 0 ? r : judge(answer, err);
}

static int call(struct npt_skywalking *skywalking, const char *path,
		const struct npt_buffer *messages, struct npt_grpc_answer *answer)
{
	struct npt_error err = NPT_ERROR_NONE;
	int r;

	for (unsigned int tries = 1;; tries++) {
		r = call_once(skywalking, path, messages, answer, &err);
		if (r == 0)
			break;
		npt_grpc_answer_done(answer);
		say_failing(skywalking, err.text);
		if (tries == TRIES ||
		    !npt_delivery_pause(skywalking->delivery,
					npt_backoff_ms(tries, BACKOFF_FIRST_MS, BACKOFF_MAX_MS)))
			return r;
	}
	if (skywalking->failing)
		npt_log_info("skywalking server takes meters again", "endpoint",
			     skywalking->options.endpoint);
	skywalking->failing = false;
	return 0;
}

static int tell(struct npt_skywalking *skywalking, const char *path,
		const struct npt_buffer *message, struct npt_grpc_answer *answer)
{
	npt_auto(npt_buffer_done) struct npt_buffer framed = NPT_BUFFER(2 * NPT_SW_MESSAGE_BYTES);
	int r = npt_grpc_append(&framed, message->data, message->size_bytes);

	return r < 0 ? r : call(skywalking, path, &framed, answer);
}

static void name_processes(struct npt_skywalking *skywalking, const struct npt_series_table *table,
			   uint64_t now)
{
	const struct npt_series_task *task;
	const struct npt_series *series;

	npt_sw_processes_expire(skywalking->processes, now);
	for (size_t i = 0; (task = npt_series_task_at(table, i)); i++) {
		for (size_t k = 0; (series = npt_strmap_value_at(task->series, k)); k++) {
			const char *kind = series->labels.texts[NPT_LABEL_PEER_KIND];

			if (series->others)
				continue;
			(void)npt_sw_process_of(skywalking->processes, series, false, now);
			if (strcmp(kind, "process") == 0)
				(void)npt_sw_process_of(skywalking->processes, series, true, now);
		}
	}
}

static int tell_processes(struct npt_skywalking *skywalking, uint64_t now)
{
	npt_auto(npt_buffer_done) struct npt_buffer report = NPT_BUFFER(NPT_SW_MESSAGE_BYTES);
	npt_auto(npt_buffer_done) struct npt_buffer alive = NPT_BUFFER(NPT_SW_MESSAGE_BYTES);
	npt_auto(npt_grpc_answer_done) struct npt_grpc_answer answer = { .status = 0 };
	npt_auto(npt_grpc_answer_done) struct npt_grpc_answer ignored = { .status = 0 };
	struct npt_error err = NPT_ERROR_NONE;
	int r = 0;

	if (npt_sw_processes_report(skywalking->processes, &report)) {
		r = tell(skywalking, SERVICE_PROCESS "reportProcesses", &report, &answer);
		if (r == 0)
			r = npt_sw_processes_take_ids(skywalking->processes, answer.data,
						      answer.size_bytes, now, &err);
		if (r == -EBADMSG)
			say_failing(skywalking, err.text);
	}
	if (r == 0 && npt_sw_processes_keep_alive(skywalking->processes, &alive, now))
		r = tell(skywalking, SERVICE_PROCESS "keepAlive", &alive, &ignored);
	return r;
}

/* Meters of as many pods as there is room for. */
struct batch {
	struct npt_skywalking *skywalking;
	struct npt_buffer framed;
	size_t meters;
	int result; /* of the calls so far: after a failure the rest is dropped */
};

static void send_batch(struct batch *batch)
{
	struct npt_skywalking *skywalking = batch->skywalking;
	npt_auto(npt_grpc_answer_done) struct npt_grpc_answer answer = { .status = 0 };

	if (batch->meters > 0 && batch->result == 0)
		batch->result =
			call(skywalking, SERVICE_METER "collectBatch", &batch->framed, &answer);
	atomic_fetch_add(batch->result == 0 ? &skywalking->stats.sent : &skywalking->stats.dropped,
			 batch->meters);
	npt_buffer_clear(&batch->framed);
	batch->meters = 0;
}

static int take_pod(void *context, const void *data, size_t size_bytes, size_t meters)
{
	struct batch *batch = context;

	if (!data) {
		atomic_fetch_add(&batch->skywalking->stats.dropped, meters);
		return 0;
	}
	if (batch->framed.size_bytes + size_bytes > NPT_SW_MESSAGE_BYTES)
		send_batch(batch);
	(void)npt_grpc_append(&batch->framed, data, size_bytes);
	batch->meters += meters;
	return 0;
}

static void send(void *context, const struct npt_series_table *table)
{
	struct npt_skywalking *skywalking = context;
	uint64_t now = npt_clock_monotonic_ns();
	struct batch batch = { .skywalking = skywalking,
			       .framed = NPT_BUFFER(2 * NPT_SW_MESSAGE_BYTES) };

	name_processes(skywalking, table, now);
	batch.result = tell_processes(skywalking, now);
	(void)npt_sw_meters_encode(skywalking->processes, table, npt_clock_unix_ms(), now, take_pod,
				   &batch);
	send_batch(&batch);
	npt_buffer_done(&batch.framed);
	if (batch.result < 0) /* it may come back with nothing in its memory */
		npt_sw_processes_forget_ids(skywalking->processes);
}

int npt_skywalking_start(const struct npt_skywalking_options *options,
			 struct npt_skywalking **skywalking_ret, struct npt_error *err)
{
	npt_auto(npt_skywalking_free) struct npt_skywalking *skywalking =
		npt_alloc(1, sizeof(*skywalking));
	const struct npt_http_client_options http = {
		.ca_file = options->ca_file,
		.plain_anywhere = true,
		.http2 = true,
	};
	const struct npt_delivery_options delivery = {
		.series = { .labels = NPT_LABELS_ALL & ~NPT_LABEL_BIT(NPT_LABEL_TLS_VERSION),
			    .max_series = SERIES_MAX,
			    .max_series_per_task = SERIES_PER_TASK_MAX,
			    .fine = true },
		.interval_ms = options->interval_ms,
		.send = send,
		.context = skywalking,
	};
	int r;

	skywalking->options = *options;
	skywalking->processes = npt_sw_processes_new(
		"npt-aggregator", KEEP_ALIVE_INTERVALS * options->interval_ms * NPT_NS_PER_MS);
	skywalking->owners = npt_strmap_new(PODS_MAX, free);
	r = npt_http_client_new(&http, &skywalking->client, err);
	if (r == 0)
		r = npt_delivery_start(&delivery, &skywalking->delivery, err);
	if (r < 0)
		return r;
	skywalking->inner = npt_delivery_exporter(skywalking->delivery);
	*skywalking_ret = npt_take(skywalking);
	return 0;
}

void npt_skywalking_free(struct npt_skywalking *skywalking)
{
	if (!skywalking)
		return;
	npt_delivery_free(skywalking->delivery);
	npt_http_client_free(skywalking->client);
	npt_sw_processes_free(skywalking->processes);
	npt_strmap_free(skywalking->owners);
	free(skywalking);
}

int npt_skywalking_write_own(struct npt_skywalking *skywalking, struct npt_buffer *out)
{
	const struct npt_prometheus_value meters[] = {
		{ "sent", atomic_load(&skywalking->stats.sent) },
		{ "dropped", atomic_load(&skywalking->stats.dropped) },
	};

	return npt_prometheus_write_numbers(out, "npt_exporter_skywalking_meters_total", "counter",
					    "Meters by what became of them.", "outcome", meters,
					    NPT_ARRAY_SIZE(meters));
}
