/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meters are differences since the last time, zero ones are not sent. Times per operation are the
 * mean of all of them, in nanoseconds but for RTT, which is told in microseconds. Buckets of
 * histograms are ours (the server takes any) and named by their smallest value.
 */
#include "aggregator/exports/skywalking_meters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "skywalking.pb-c.h"

#include "lib/core/alloc.h"
#include "lib/core/strmap.h"

#define LABELS_MAX     5
#define NAME_BYTES     96
#define NS_PER_MICRO   1000.0
#define METER_TAG      (1U << 3 | 2)
#define MESSAGE_MAX    NPT_SW_MESSAGE_BYTES
#define SERIES_OF_LINE 8 /* grows by this */

/* All series between two ends, as one of them sees it. */
struct line {
	const struct npt_sw_process *self;
	const char *side; /* "client" or "server": whose view it is */
	char *peer;       /* an id, an address, or NULL: somebody of the pod */
	bool peer_is_id;
	const struct npt_series **series;
	size_t count;
};

struct pod {
	const struct npt_sw_process *any; /* names the pod */
	struct npt_strmap *lines;
};

static void free_line(void *value)
{
	struct line *line = value;

	free(line->peer);
	free(line->series);
	free(line);
}

static void free_pod(void *value)
{
	struct pod *pod = value;

	npt_strmap_free(pod->lines);
	free(pod);
}

static bool is_server(const struct npt_series *series)
{
	return strcmp(series->labels.texts[NPT_LABEL_ROLE], "server") == 0;
}

/* The port of a client's socket says nothing, and is not in an edge. */
static char *address_of(const struct npt_series *series)
{
	const char *const *texts = series->labels.texts;
	const char *port = is_server(series) ? "0" : texts[NPT_LABEL_PEER_PORT];

	return texts[NPT_LABEL_PEER_ADDRESS][0]
		       ? npt_format("%s:%s", texts[NPT_LABEL_PEER_ADDRESS], port)
		       : NULL;
}

static void find_peer(struct npt_sw_processes *processes, const struct npt_series *series,
		      uint64_t now_ns, struct line *line)
{
	const struct npt_sw_process *peer = NULL;

	if (strcmp(series->labels.texts[NPT_LABEL_PEER_KIND], "process") != 0) {
		line->peer = address_of(series);
		return;
	}
	peer = npt_sw_process_of(processes, series, true, now_ns);
	line->peer_is_id = peer && peer->id[0];
	if (line->peer_is_id)
		line->peer = npt_strdup(peer->id);
}

static void add_series(struct line *line, const struct npt_series *series)
{
	if (line->count % SERIES_OF_LINE == 0)
		line->series = npt_realloc(line->series, line->count + SERIES_OF_LINE,
					   sizeof(struct npt_series *));
	line->series[line->count++] = series;
}

static struct pod *pod_of(struct npt_strmap *pods, const struct npt_sw_process *process)
{
	npt_auto_free char *key = npt_format("%s\x1f%s", process->service, process->instance);
	struct pod *pod = npt_strmap_get(pods, key);

	if (pod)
		return pod;
	pod = npt_alloc(1, sizeof(*pod));
	pod->any = process;
	pod->lines = npt_strmap_new(NPT_SW_PROCESSES_MAX, free_line);
	if (npt_strmap_set(pods, key, pod) == 0)
		return pod;
	free_pod(pod);
	return NULL;
}

/* False: its process is not known. */
static bool sort_in(struct npt_sw_processes *processes, struct npt_strmap *pods,
		    const struct npt_series *series, uint64_t now_ns)
{
	struct line found = { .side = is_server(series) ? "server" : "client" }, *line;
	npt_auto_free char *key = NULL;
	struct pod *pod;

	found.self = npt_sw_process_of(processes, series, false, now_ns);
	pod = found.self && found.self->id[0] ? pod_of(pods, found.self) : NULL;
	if (!pod)
		return false;
	find_peer(processes, series, now_ns, &found);
	key = npt_format("%s\x1f%s\x1f%s", found.side, found.self->id,
			 found.peer ? found.peer : "");
	line = npt_strmap_get(pod->lines, key);
	if (!line) {
		line = npt_memdup(&found, sizeof(found));
		found.peer = NULL;
		if (npt_strmap_set(pod->lines, key, line) < 0) {
			free_line(line);
			return false;
		}
	}
	free(found.peer);
	add_series(line, series);
	return true;
}

/* --- one line --- */

struct sums {
	uint64_t counters[NPT_COUNTER_COUNT];
	uint64_t drops;
	struct {
		uint64_t count;
		uint64_t sum_micros;
		uint64_t buckets[NPT_HISTOGRAM_BUCKETS];
	} times[NPT_TIMES_COUNT];
	const struct npt_series *busiest; /* gives the line its protocol */
	uint64_t most_bytes;
};

static void add_up(const struct line *line, struct sums *sums)
{
	for (size_t i = 0; i < line->count; i++) {
		const struct npt_series *series = line->series[i];
		uint64_t bytes = series->counters[NPT_COUNTER_SENT_BYTES] +
				 series->counters[NPT_COUNTER_RECEIVED_BYTES];

		if (!sums->busiest || bytes > sums->most_bytes) {
			sums->busiest = series;
			sums->most_bytes = bytes;
		}
		for (size_t k = 0; k < NPT_COUNTER_COUNT; k++)
			sums->counters[k] += series->counters[k];
		for (size_t k = 0; k < series->reasons_count; k++) {
			if (series->reasons[k].kind == NPT_REASON_DROP)
				sums->drops += series->reasons[k].count;
		}
		for (size_t k = 0; k < NPT_TIMES_COUNT; k++) {
			const struct npt_series_times *times = series->times[k];

			if (!times || !times->fine)
				continue;
			sums->times[k].count += times->count;
			sums->times[k].sum_micros += times->sum_micros;
			for (size_t b = 0; b < NPT_HISTOGRAM_BUCKETS; b++)
				sums->times[k].buckets[b] += times->fine[b];
		}
	}
}

struct writer {
	struct npt_buffer message;
	size_t meters;
	uint64_t unix_ms;
	const struct npt_sw_process *pod;
	const char *role; /* in the names */
	Npt__Skywalking__Label labels[LABELS_MAX];
	Npt__Skywalking__Label *pointers[LABELS_MAX];
	size_t labels_count;
	npt_sw_meters_fn *on_pod;
	void *context;
	int result;
};

/* protobuf-c writes from char *, which it does not change. */
static char *text(const char *value)
{
	return (char *)(uintptr_t)value;
}

static void flush(struct writer *writer)
{
	if (writer->meters > 0 && writer->result == 0)
		writer->result = writer->on_pod(writer->context, writer->message.data,
						writer->message.size_bytes, writer->meters);
	npt_buffer_clear(&writer->message);
	writer->meters = 0;
}

static void put_meter(struct writer *writer, Npt__Skywalking__Meter *meter)
{
	unsigned char head[12];
	npt_auto_free uint8_t *data = NULL;
	size_t size_bytes, used = 0, left;

	if (writer->message.size_bytes > MESSAGE_MAX / 2)
		flush(writer);
	if (writer->meters == 0) { /* the first one says whose they all are */
		meter->service = text(writer->pod->service);
		meter->instance = text(writer->pod->instance);
		meter->unix_ms = (int64_t)writer->unix_ms;
	}
	size_bytes = npt__skywalking__meter__get_packed_size(meter);
	data = npt_alloc(1, size_bytes + 1);
	(void)npt__skywalking__meter__pack(meter, data);
	head[used++] = METER_TAG;
	for (left = size_bytes; left >= 0x80; left >>= 7)
		head[used++] = (unsigned char)(left | 0x80);
	head[used++] = (unsigned char)left;
	(void)npt_buffer_append(&writer->message, head, used);
	(void)npt_buffer_append(&writer->message, data, size_bytes);
	writer->meters++;
}

static void put_single(struct writer *writer, const char *what, double value)
{
	Npt__Skywalking__Meter meter;
	Npt__Skywalking__Single single;
	char name[NAME_BYTES];

	npt__skywalking__meter__init(&meter);
	npt__skywalking__single__init(&single);
	if (value <= 0)
		return;
	(void)snprintf(name, sizeof(name), "rover_net_p_%s_%s_counter", writer->role, what);
	single.name = name;
	single.label = writer->pointers;
	single.n_label = writer->labels_count;
	single.value = value;
	meter.metric_case = NPT__SKYWALKING__METER__METRIC_SINGLE;
	meter.single = &single;
	put_meter(writer, &meter);
}

/* scale: of a microsecond in the meter's unit. */
static void put_histogram(struct writer *writer, const char *what, const uint64_t *counts,
			  double scale)
{
	Npt__Skywalking__Meter meter;
	Npt__Skywalking__Histogram histogram;
	Npt__Skywalking__Bucket buckets[NPT_HISTOGRAM_BUCKETS];
	Npt__Skywalking__Bucket *pointers[NPT_HISTOGRAM_BUCKETS];
	char name[NAME_BYTES];

	npt__skywalking__meter__init(&meter);
	npt__skywalking__histogram__init(&histogram);
	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		Npt__Skywalking__Bucket *bucket = &buckets[histogram.n_value];

		if (counts[i] == 0)
			continue;
		npt__skywalking__bucket__init(bucket);
		bucket->floor = (double)npt_histogram_lower_micros(i) * scale;
		bucket->count = (int64_t)counts[i];
		pointers[histogram.n_value++] = bucket;
	}
	if (histogram.n_value == 0)
		return;
	(void)snprintf(name, sizeof(name), "rover_net_p_%s_%s_histogram", writer->role, what);
	histogram.name = name;
	histogram.label = writer->pointers;
	histogram.n_label = writer->labels_count;
	histogram.value = pointers;
	meter.metric_case = NPT__SKYWALKING__METER__METRIC_HISTOGRAM;
	meter.histogram = &histogram;
	put_meter(writer, &meter);
}

/* how many, how long on average, and how that is spread. */
static void put_times(struct writer *writer, const char *what, const struct sums *sums,
		      unsigned int times, double scale)
{
	uint64_t count = sums->times[times].count;
	char name[NAME_BYTES];

	if (count == 0)
		return;
	(void)snprintf(name, sizeof(name), "%s_exe_time", what);
	put_single(writer, name, (double)sums->times[times].sum_micros / (double)count * scale);
	if (times != NPT_METRIC_RTT)
		put_histogram(writer, name, sums->times[times].buckets, scale);
	else
		put_histogram(writer, what, sums->times[times].buckets, scale);
}

static void add_label(struct writer *writer, const char *name, const char *value)
{
	Npt__Skywalking__Label *label = &writer->labels[writer->labels_count];

	npt__skywalking__label__init(label);
	label->name = text(name);
	label->value = text(value);
	writer->pointers[writer->labels_count++] = label;
}

static void set_labels(struct writer *writer, const struct line *line, const struct sums *sums)
{
	bool server = strcmp(line->side, "server") == 0;
	const char *protocol = sums->busiest->labels.texts[NPT_LABEL_PROTOCOL];
	const char *tls = sums->busiest->labels.texts[NPT_LABEL_TLS];

	writer->role = line->side;
	writer->labels_count = 0;
	add_label(writer, server ? "server_process_id" : "client_process_id", line->self->id);
	if (line->peer && line->peer_is_id)
		add_label(writer, server ? "client_process_id" : "server_process_id", line->peer);
	else if (line->peer)
		add_label(writer, server ? "client_address" : "server_address", line->peer);
	else
		add_label(writer, server ? "client_local" : "server_local", "true");
	add_label(writer, "side", line->side);
	add_label(writer, "protocol", strncmp(protocol, "http", 4) == 0 ? "http" : "unknown");
	add_label(writer, "is_ssl", strcmp(tls, "yes") == 0 ? "true" : "false");
}

static void write_line(struct writer *writer, const struct line *line)
{
	npt_auto_free struct sums *sums = npt_alloc(1, sizeof(*sums));
	unsigned int connect =
		strcmp(line->side, "server") == 0 ? NPT_METRIC_ACCEPT : NPT_METRIC_CONNECT;
	const uint64_t *counters = sums->counters;

	add_up(line, sums);
	set_labels(writer, line, sums);
	put_single(writer, "write_counts", (double)counters[NPT_COUNTER_WRITES]);
	put_single(writer, "write_bytes", (double)counters[NPT_COUNTER_WRITTEN_BYTES]);
	put_times(writer, "write", sums, NPT_METRIC_WRITE, NS_PER_MICRO);
	put_single(writer, "read_counts", (double)counters[NPT_COUNTER_READS]);
	put_single(writer, "read_bytes", (double)counters[NPT_COUNTER_READ_BYTES]);
	put_times(writer, "read", sums, NPT_METRIC_READ, NS_PER_MICRO);
	put_single(writer, "write_rtt_counts", (double)sums->times[NPT_METRIC_RTT].count);
	put_times(writer, "write_rtt", sums, NPT_METRIC_RTT, 1);
	put_single(writer, "connect_counts", (double)counters[NPT_COUNTER_CONNECTIONS_OPENED]);
	put_times(writer, "connect", sums, connect, NS_PER_MICRO);
	put_single(writer, "close_counts", (double)counters[NPT_COUNTER_CONNECTIONS_CLOSED]);
	put_times(writer, "close", sums, NPT_METRIC_CLOSE, NS_PER_MICRO);
	put_single(writer, "retransmit_counts", (double)counters[NPT_COUNTER_RETRANSMIT_SEGMENTS]);
	put_single(writer, "drop_counts", (double)sums->drops);
}

int npt_sw_meters_encode(struct npt_sw_processes *processes, const struct npt_series_table *table,
			 uint64_t unix_ms, uint64_t now_ns, npt_sw_meters_fn *on_pod, void *context)
{
	npt_auto(npt_strmap_free) struct npt_strmap *pods =
		npt_strmap_new(NPT_SW_PROCESSES_MAX, free_pod);
	struct writer writer = { .message = NPT_BUFFER(MESSAGE_MAX),
				 .unix_ms = unix_ms,
				 .on_pod = on_pod,
				 .context = context };
	const struct npt_series_task *task;
	const struct npt_series *series;
	const struct pod *pod;
	const struct line *line;
	size_t left_out = 0;

	for (size_t i = 0; (task = npt_series_task_at(table, i)); i++) {
		for (size_t k = 0; (series = npt_strmap_value_at(task->series, k)); k++) {
			if (series->others || !sort_in(processes, pods, series, now_ns))
				left_out++;
		}
	}
	for (size_t i = 0; writer.result == 0 && (pod = npt_strmap_value_at(pods, i)); i++) {
		writer.pod = pod->any;
		for (size_t k = 0; (line = npt_strmap_value_at(pod->lines, k)); k++)
			write_line(&writer, line);
		flush(&writer);
	}
	if (left_out > 0 && writer.result == 0)
		writer.result = on_pod(context, NULL, 0, left_out);
	npt_buffer_done(&writer.message);
	return writer.result;
}
