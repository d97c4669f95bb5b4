/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protobuf-c packs a tree of structures; the tree of one request is built in an arena and goes away
 * in one piece.
 */
#include "aggregator/exports/otlp_encode.h"

#include <errno.h>
#include <string.h>

#include <zlib.h>

#include "otlp.pb-c.h"

#include "aggregator/exports/metrics.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"

#define SERIES_PER_REQUEST 64
#define BLOCK_BYTES        (64U * 1024)

/* --- the arena --- */

struct block {
	struct block *next;
	size_t used;
	_Alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct block *blocks;
	size_t left;
};

static void *take(struct arena *arena, size_t count, size_t size)
{
	size_t bytes = (count * size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	void *memory;

	if (!arena->blocks || arena->left < bytes) {
		size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
		struct block *block = npt_alloc(1, sizeof(*block) + capacity);

		block->next = arena->blocks;
		arena->blocks = block;
		arena->left = capacity;
	}
	memory = arena->blocks->data + arena->blocks->used;
	arena->blocks->used += bytes;
	arena->left -= bytes;
	return memory;
}

static void arena_done(struct arena *arena)
{
	while (arena->blocks) {
		struct block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
}
NPT_DEFINE_AUTO_DONE(struct arena, arena_done)

#define NEW(arena, type, init)                                                                     \
	__extension__({                                                                            \
		type *made_ = take((arena), 1, sizeof(type));                                      \
		init(made_);                                                                       \
		made_;                                                                             \
	})

/* protobuf-c writes from char *, which it does not change. */
static char *text(const char *value)
{
	return (char *)(uintptr_t)value;
}

/* --- attributes --- */

struct name {
	enum npt_label label;
	const char *key;
	bool number;
};

static const struct name resource_names[] = {
	{ NPT_LABEL_POD_NAMESPACE, "k8s.namespace.name", false },
	{ NPT_LABEL_POD, "k8s.pod.name", false },
	{ NPT_LABEL_POD_UID, "k8s.pod.uid", false },
	{ NPT_LABEL_NODE, "k8s.node.name", false },
	{ NPT_LABEL_CONTAINER, "k8s.container.name", false },
	{ NPT_LABEL_PID, "process.pid", true },
	{ NPT_LABEL_PROCESS, "process.executable.name", false },
};

/* server.* is whoever listens: the process itself on edges of the role server. */
static const struct name point_names[] = {
	{ NPT_LABEL_TASK_NAMESPACE, "npt.task.namespace", false },
	{ NPT_LABEL_TASK, "npt.task.name", false },
	{ NPT_LABEL_TASK_UID, "npt.task.uid", false },
	{ NPT_LABEL_ROLE, "npt.role", false },
	{ NPT_LABEL_PEER_KIND, "npt.peer.kind", false },
	{ NPT_LABEL_PEER_NAMESPACE, "npt.peer.namespace", false },
	{ NPT_LABEL_PEER, "npt.peer.name", false },
	{ NPT_LABEL_PEER_ADDRESS, "network.peer.address", false },
	{ NPT_LABEL_PEER_PORT, "server.port", true },
	{ NPT_LABEL_TRANSPORT, "network.transport", false },
	{ NPT_LABEL_PROTOCOL, "network.protocol.name", false },
	{ NPT_LABEL_TLS, "npt.tls", false },
	{ NPT_LABEL_TLS_VERSION, "tls.protocol.version", false },
};

#define ATTRIBUTES_MAX (NPT_ARRAY_SIZE(point_names) + 5)

struct attributes {
	Npt__Otlp__Attribute *values[ATTRIBUTES_MAX];
	size_t count;
};

static void add_attribute(struct arena *arena, struct attributes *attributes, const char *key,
			  const char *value, bool number)
{
	Npt__Otlp__Attribute *attribute;
	uint64_t parsed = 0;

	if (value[0] == '\0' || (number && npt_parse_u64(value, 0, INT64_MAX, &parsed) < 0))
		return;
	attribute = NEW(arena, Npt__Otlp__Attribute, npt__otlp__attribute__init);
	attribute->key = text(key);
	attribute->value = NEW(arena, Npt__Otlp__Value, npt__otlp__value__init);
	if (number) {
		attribute->value->of_case = NPT__OTLP__VALUE__OF_NUMBER;
		attribute->value->number = (int64_t)parsed;
	} else {
		attribute->value->of_case = NPT__OTLP__VALUE__OF_TEXT;
		attribute->value->text = text(value);
	}
	attributes->values[attributes->count++] = attribute;
}

static void add_names(struct arena *arena, struct attributes *attributes,
		      const struct npt_series *series, const struct name *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_attribute(arena, attributes, names[i].key, series->labels.texts[names[i].label],
			      names[i].number);
}

static struct attributes *point_attributes(struct arena *arena, const struct npt_series *series)
{
	struct attributes *attributes = take(arena, 1, sizeof(*attributes));
	const char *const *texts = series->labels.texts;

	add_names(arena, attributes, series, point_names, NPT_ARRAY_SIZE(point_names));
	if (strcmp(texts[NPT_LABEL_ROLE], "client") == 0)
		add_attribute(arena, attributes, "server.address", texts[NPT_LABEL_PEER], false);
	else if (strcmp(texts[NPT_LABEL_ROLE], "server") == 0)
		add_attribute(arena, attributes, "client.address", texts[NPT_LABEL_PEER], false);
	return attributes;
}

/* One more attribute than the series': of the part, and of the reason. */
static struct attributes *part_attributes(struct arena *arena, const struct attributes *series,
					  const char *key, const char *value, const char *reason)
{
	struct attributes *attributes = take(arena, 1, sizeof(*attributes));

	*attributes = *series;
	if (key)
		add_attribute(arena, attributes, key, value, false);
	if (reason)
		add_attribute(arena, attributes, "npt.reason", reason, false);
	return attributes;
}

/* --- one request --- */

struct builder {
	struct arena *arena;
	const struct npt_series *const *series; /* of one resource */
	struct attributes **attributes;         /* of the points of each */
	size_t count;
	uint64_t points;
	enum npt_otlp_temporality temporality;
};

struct points {
	void **values;
	size_t count;
	size_t max;
};

static void add_point(struct points *points, void *point)
{
	if (points->count < points->max)
		points->values[points->count++] = point;
}

static Npt__Otlp__NumberPoint *number_point(struct builder *builder, size_t index,
					    const struct attributes *attributes)
{
	const struct npt_series *series = builder->series[index];
	Npt__Otlp__NumberPoint *point =
		NEW(builder->arena, Npt__Otlp__NumberPoint, npt__otlp__number_point__init);

	point->begin_unix_ns = series->begin_unix_ms * NPT_NS_PER_MS;
	point->end_unix_ns = series->end_unix_ms * NPT_NS_PER_MS;
	point->attribute = (Npt__Otlp__Attribute **)(uintptr_t)attributes->values;
	point->n_attribute = attributes->count;
	return point;
}

static void set_value(Npt__Otlp__NumberPoint *point, uint64_t value, bool micros)
{
	if (micros) {
		point->value_case = NPT__OTLP__NUMBER_POINT__VALUE_AS_DOUBLE;
		point->as_double = (double)value / 1e6;
	} else {
		point->value_case = NPT__OTLP__NUMBER_POINT__VALUE_AS_INTEGER;
		point->as_integer = (int64_t)value;
	}
}

static void add_number(struct builder *builder, size_t index,
		       const struct npt_export_metric *metric, const struct npt_export_part *part,
		       struct points *points)
{
	const struct npt_series *series = builder->series[index];
	bool gauge = metric->kind == NPT_EXPORT_GAUGE;
	uint64_t value = gauge ? series->gauges[part->index] : series->counters[part->index];
	const struct attributes *attributes = builder->attributes[index];
	Npt__Otlp__NumberPoint *point;

	if (gauge ? series->others || (metric->sparse && value == 0) : value == 0)
		return;
	if (metric->label)
		attributes = part_attributes(builder->arena, attributes, metric->attribute,
					     part->label, NULL);
	point = number_point(builder, index, attributes);
	set_value(point, value, metric->micros);
	add_point(points, point);
}

static void add_reasons(struct builder *builder, size_t index,
			const struct npt_export_metric *metric, const struct npt_export_part *part,
			struct points *points)
{
	const struct npt_series *series = builder->series[index];

	for (size_t i = 0; i < series->reasons_count; i++) {
		const struct npt_series_reason *reason = &series->reasons[i];
		Npt__Otlp__NumberPoint *point;

		if (reason->kind != (enum npt_series_reason_kind)part->index || reason->count == 0)
			continue;
		point = number_point(builder, index,
				     part_attributes(builder->arena, builder->attributes[index],
						     metric->attribute, part->label, reason->name));
		set_value(point, reason->count, false);
		add_point(points, point);
	}
}

static void add_times(struct builder *builder, size_t index, const struct npt_export_part *part,
		      struct points *points)
{
	const struct npt_series *series = builder->series[index];
	const struct npt_series_times *times = series->times[part->index];
	Npt__Otlp__HistogramPoint *point;

	if (!times)
		return;
	point = NEW(builder->arena, Npt__Otlp__HistogramPoint, npt__otlp__histogram_point__init);
	point->begin_unix_ns = series->begin_unix_ms * NPT_NS_PER_MS;
	point->end_unix_ns = series->end_unix_ms * NPT_NS_PER_MS;
	point->attribute = builder->attributes[index]->values;
	point->n_attribute = builder->attributes[index]->count;
	point->total_case = NPT__OTLP__HISTOGRAM_POINT__TOTAL_SUM;
	point->sum = (double)times->sum_micros / 1e6;
	point->n_bound = NPT_SERIES_BOUNDS;
	point->bound = take(builder->arena, NPT_SERIES_BOUNDS, sizeof(*point->bound));
	point->n_bucket_count = NPT_SERIES_BOUNDS + 1;
	point->bucket_count =
		take(builder->arena, NPT_SERIES_BOUNDS + 1, sizeof(*point->bucket_count));
	for (size_t i = 0; i <= NPT_SERIES_BOUNDS; i++) {
		if (i < NPT_SERIES_BOUNDS)
			point->bound[i] = (double)npt_series_bound_micros(i) / 1e6;
		point->bucket_count[i] = times->buckets[i];
		point->count += times->buckets[i];
	}
	add_point(points, point);
}

static void collect_points(struct builder *builder, const struct npt_export_metric *metric,
			   struct points *points)
{
	for (size_t i = 0; i < builder->count; i++) {
		for (size_t k = 0; k < metric->parts_count; k++) {
			const struct npt_export_part *part = &metric->parts[k];

			if (metric->kind == NPT_EXPORT_TIMES)
				add_times(builder, i, part, points);
			else if (metric->kind == NPT_EXPORT_REASONS)
				add_reasons(builder, i, metric, part, points);
			else
				add_number(builder, i, metric, part, points);
		}
	}
}

static void set_data(const struct builder *builder, Npt__Otlp__Metric *message,
		     enum npt_export_kind kind, const struct points *points)
{
	struct arena *arena = builder->arena;

	if (kind == NPT_EXPORT_TIMES) {
		message->data_case = NPT__OTLP__METRIC__DATA_HISTOGRAM;
		message->histogram = NEW(arena, Npt__Otlp__Histogram, npt__otlp__histogram__init);
		message->histogram->temporality = builder->temporality;
		message->histogram->n_point = points->count;
		message->histogram->point = (Npt__Otlp__HistogramPoint **)points->values;
	} else if (kind == NPT_EXPORT_GAUGE) {
		message->data_case = NPT__OTLP__METRIC__DATA_GAUGE;
		message->gauge = NEW(arena, Npt__Otlp__Gauge, npt__otlp__gauge__init);
		message->gauge->n_point = points->count;
		message->gauge->point = (Npt__Otlp__NumberPoint **)points->values;
	} else {
		message->data_case = NPT__OTLP__METRIC__DATA_SUM;
		message->sum = NEW(arena, Npt__Otlp__Sum, npt__otlp__sum__init);
		message->sum->temporality = builder->temporality;
		message->sum->monotonic = true;
		message->sum->n_point = points->count;
		message->sum->point = (Npt__Otlp__NumberPoint **)points->values;
	}
}

static size_t reasons_of(const struct builder *builder)
{
	size_t most = NPT_EXPORT_PARTS_MAX;

	for (size_t i = 0; i < builder->count; i++)
		most = builder->series[i]->reasons_count > most ? builder->series[i]->reasons_count
								: most;
	return most;
}

/* NULL: nothing to say. */
static Npt__Otlp__Metric *build_metric(struct builder *builder,
				       const struct npt_export_metric *metric, size_t most)
{
	struct points points = { .max = builder->count * most };
	Npt__Otlp__Metric *message;

	points.values = take(builder->arena, points.max, sizeof(*points.values));
	collect_points(builder, metric, &points);
	if (points.count == 0)
		return NULL;
	builder->points += points.count;
	message = NEW(builder->arena, Npt__Otlp__Metric, npt__otlp__metric__init);
	message->name = text(metric->otlp);
	message->description = text(metric->help);
	message->unit = text(metric->unit);
	set_data(builder, message, metric->kind, &points);
	return message;
}

static Npt__Otlp__ResourceMetrics *build_resource(struct builder *builder)
{
	struct arena *arena = builder->arena;
	struct attributes *attributes = take(arena, 1, sizeof(*attributes));
	size_t most = reasons_of(builder);
	Npt__Otlp__ResourceMetrics *message =
		NEW(arena, Npt__Otlp__ResourceMetrics, npt__otlp__resource_metrics__init);
	Npt__Otlp__ScopeMetrics *scope =
		NEW(arena, Npt__Otlp__ScopeMetrics, npt__otlp__scope_metrics__init);

	add_attribute(arena, attributes, "service.name",
		      builder->series[0]->labels.texts[NPT_LABEL_PROCESS], false);
	add_names(arena, attributes, builder->series[0], resource_names,
		  NPT_ARRAY_SIZE(resource_names));
	message->resource = NEW(arena, Npt__Otlp__Resource, npt__otlp__resource__init);
	message->resource->attribute = attributes->values;
	message->resource->n_attribute = attributes->count;
	message->scope_metrics = take(arena, 1, sizeof(scope));
	message->scope_metrics[0] = scope;
	message->n_scope_metrics = 1;
	scope->scope = NEW(arena, Npt__Otlp__Scope, npt__otlp__scope__init);
	scope->scope->name = text("npt");
	scope->scope->version = text(NPT_VERSION);
	scope->metric = take(arena, npt_export_metrics_count, sizeof(*scope->metric));
	for (size_t i = 0; i < npt_export_metrics_count; i++) {
		Npt__Otlp__Metric *metric = build_metric(builder, &npt_export_metrics[i], most);

		if (metric)
			scope->metric[scope->n_metric++] = metric;
	}
	return message;
}

static int compare_resources(const struct npt_series *left, const struct npt_series *right)
{
	for (size_t i = 0; i < NPT_ARRAY_SIZE(resource_names); i++) {
		enum npt_label label = resource_names[i].label;
		int r = strcmp(left->labels.texts[label], right->labels.texts[label]);

		if (r != 0)
			return r;
	}
	return 0;
}

static int by_resource(const void *left, const void *right)
{
	return compare_resources(*(const struct npt_series *const *)left,
				 *(const struct npt_series *const *)right);
}

static void compress_into(const void *data, size_t size_bytes, struct npt_otlp_request *request)
{
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size_bytes };
	size_t capacity;

	(void)deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
			   Z_DEFAULT_STRATEGY);
	capacity = deflateBound(&stream, (uLong)size_bytes);
	request->data = npt_alloc(1, capacity);
	stream.next_out = request->data;
	stream.avail_out = (uInt)capacity;
	(void)deflate(&stream, Z_FINISH);
	request->size_bytes = stream.total_out;
	(void)deflateEnd(&stream);
}

/* series: sorted by resource. */
static void encode_some(const struct npt_series *const *series, size_t count,
			enum npt_otlp_temporality temporality, struct npt_otlp_request *request)
{
	npt_auto(arena_done) struct arena arena = { .blocks = NULL };
	npt_auto_free void *packed = NULL;
	Npt__Otlp__Request message;
	size_t size_bytes;

	npt__otlp__request__init(&message);
	message.resource_metrics = take(&arena, count, sizeof(*message.resource_metrics));
	for (size_t i = 0, next; i < count; i = next) {
		struct builder builder = { .arena = &arena,
					   .series = series + i,
					   .temporality = temporality };

		for (next = i + 1; next < count && by_resource(&series[i], &series[next]) == 0;)
			next++;
		builder.count = next - i;
		builder.attributes = take(&arena, builder.count, sizeof(*builder.attributes));
		for (size_t k = 0; k < builder.count; k++)
			builder.attributes[k] = point_attributes(&arena, series[i + k]);
		message.resource_metrics[message.n_resource_metrics++] = build_resource(&builder);
		request->points += builder.points;
	}
	size_bytes = npt__otlp__request__get_packed_size(&message);
	packed = npt_alloc(1, size_bytes + 1);
	(void)npt__otlp__request__pack(&message, packed);
	compress_into(packed, size_bytes, request);
}

void npt_otlp_encode(const struct npt_series_table *table, enum npt_otlp_temporality temporality,
		     struct npt_otlp_request **requests_ret, size_t *count_ret)
{
	size_t total = npt_series_count(table), count = 0, requests;
	npt_auto_free const struct npt_series **series = npt_alloc(total + 1, sizeof(*series));
	const struct npt_series_task *task;

	for (size_t i = 0; (task = npt_series_task_at(table, i)); i++) {
		for (size_t k = 0; count < total && k < npt_strmap_count(task->series); k++)
			series[count++] = npt_strmap_value_at(task->series, k);
	}
	qsort(series, count, sizeof(*series), by_resource);
	requests = (count + SERIES_PER_REQUEST - 1) / SERIES_PER_REQUEST;
	*requests_ret = npt_alloc(requests + 1, sizeof(**requests_ret));
	*count_ret = requests;
	for (size_t i = 0; i < requests; i++) {
		size_t left = count - i * SERIES_PER_REQUEST;

		encode_some(series + i * SERIES_PER_REQUEST,
			    left < SERIES_PER_REQUEST ? left : SERIES_PER_REQUEST, temporality,
			    &(*requests_ret)[i]);
	}
}
