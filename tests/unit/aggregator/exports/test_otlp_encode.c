/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is encoded is read again by the generated code: all series are there, in requests of a
 * bounded size. That the field numbers are the protocol's is shown by a real receiver
 * (tests/component).
 */
#include "aggregator/exports/otlp_encode.h"

#include <zlib.h>

#include "otlp.pb-c.h"

#include "lib/core/alloc.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

#define UNPACKED_MAX (16U * 1024 * 1024)

static Npt__Otlp__Request *unpack(const struct npt_otlp_request *request)
{
	npt_auto_free uint8_t *data = npt_alloc(1, UNPACKED_MAX);
	z_stream stream = { .next_in = request->data, .avail_in = (uInt)request->size_bytes };

	stream.next_out = data;
	stream.avail_out = UNPACKED_MAX;
	NPT_CHECK_INT(inflateInit2(&stream, 15 + 16), Z_OK);
	NPT_CHECK_INT(inflate(&stream, Z_FINISH), Z_STREAM_END);
	(void)inflateEnd(&stream);
	return npt__otlp__request__unpack(NULL, stream.total_out, data);
}

struct found {
	uint64_t points;
	uint64_t sent;
	uint64_t timed;
};

static void look_at_metric(const Npt__Otlp__Metric *metric, struct found *found)
{
	if (metric->data_case == NPT__OTLP__METRIC__DATA_HISTOGRAM) {
		for (size_t i = 0; i < metric->histogram->n_point; i++) {
			const Npt__Otlp__HistogramPoint *point = metric->histogram->point[i];
			uint64_t sum = 0;

			NPT_CHECK_INT(point->n_bucket_count, point->n_bound + 1);
			for (size_t k = 0; k < point->n_bucket_count; k++)
				sum += point->bucket_count[k];
			NPT_CHECK_INT(sum, point->count);
			found->timed += sum;
		}
		found->points += metric->histogram->n_point;
	} else if (metric->data_case == NPT__OTLP__METRIC__DATA_SUM) {
		NPT_CHECK_INT(metric->sum->temporality, 1);
		found->points += metric->sum->n_point;
		for (size_t i = 0;
		     i < metric->sum->n_point && strcmp(metric->name, "npt.sent") == 0; i++)
			found->sent += (uint64_t)metric->sum->point[i]->as_integer;
	} else {
		found->points += metric->gauge->n_point;
	}
}

static void look(const Npt__Otlp__Request *message, struct found *found)
{
	for (size_t i = 0; i < message->n_resource_metrics; i++) {
		const Npt__Otlp__ScopeMetrics *scope =
			message->resource_metrics[i]->scope_metrics[0];

		NPT_CHECK(message->resource_metrics[i]->resource->n_attribute > 3);
		for (size_t k = 0; k < scope->n_metric; k++)
			look_at_metric(scope->metric[k], found);
	}
}

static void all_series_are_in_the_requests(void)
{
	const struct npt_series_options options = { .labels = NPT_LABELS_ALL,
						    .max_series = 1000,
						    .max_series_per_task = 1000 };
	npt_auto(npt_series_table_free) struct npt_series_table *table =
		npt_series_table_new(&options);
	uint64_t state = npt_test_seed();
	npt_auto(npt_report_free) struct npt_report *window = npt_test_random_report(&state, 150);
	struct found truth = { .points = 0 }, found = { .points = 0 };
	struct npt_otlp_request *requests;
	size_t count;

	for (size_t i = 0; i < window->edges_count; i++) {
		struct npt_edge *edge = &window->edges[i];

		truth.sent += edge->sent.bytes %= 1000;
		for (int k = 0; k < NPT_METRIC_COUNT; k++) {
			edge->metrics[k].quality = NPT_QUALITY_EXACT;
			edge->metrics[k].overlapped = 0;
			truth.timed += edge->metrics[k].micros.count;
		}
		truth.timed += edge->handshakes.micros.count;
	}
	npt_series_add(table, window, 0);
	npt_otlp_encode(table, NPT_OTLP_DELTA, &requests, &count);
	NPT_CHECK_INT(count, 3);
	for (size_t i = 0; i < count; i++) {
		Npt__Otlp__Request *message = unpack(&requests[i]);

		truth.points += requests[i].points;
		if (NPT_CHECK(message != NULL))
			look(message, &found);
		npt__otlp__request__free_unpacked(message, NULL);
		free(requests[i].data);
	}
	free(requests);
	NPT_CHECK_INT(found.points, truth.points);
	NPT_CHECK_INT(found.sent, truth.sent);
	NPT_CHECK_INT(found.timed, truth.timed);
}

static void an_empty_table_makes_no_request(void)
{
	const struct npt_series_options options = { .labels = NPT_LABELS_ALL,
						    .max_series = 10,
						    .max_series_per_task = 10 };
	npt_auto(npt_series_table_free) struct npt_series_table *table =
		npt_series_table_new(&options);
	struct npt_otlp_request *requests;
	size_t count = 9;

	npt_otlp_encode(table, NPT_OTLP_DELTA, &requests, &count);
	NPT_CHECK_INT(count, 0);
	free(requests);
}

static const struct npt_test tests[] = {
	NPT_TEST(all_series_are_in_the_requests),
	NPT_TEST(an_empty_table_makes_no_request),
};
NPT_TEST_MAIN(tests)
