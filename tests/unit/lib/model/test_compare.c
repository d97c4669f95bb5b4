/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

static void add(struct npt_histogram *histogram, uint64_t micros, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++)
		npt_histogram_add(histogram, micros);
}

static uint64_t random_u64(uint64_t *state)
{
	*state = *state * 6364136223846793005U + 1442695040888963407U;
	return *state >> 33;
}

/* From 50 to 50 * 2^6, as times are: many short, few long. */
static void fill(struct npt_histogram *histogram, uint64_t *state, unsigned int count,
		 unsigned int factor_permille)
{
	for (unsigned int i = 0; i < count; i++) {
		uint64_t micros = 50ULL << random_u64(state) % 6;

		micros += random_u64(state) % micros;
		npt_histogram_add(histogram, micros * factor_permille / 1000);
	}
}

/* By the definition: each time of a with each of b. */
static double brute_delta(const struct npt_histogram *a, const struct npt_histogram *b)
{
	double longer = 0, shorter = 0;

	for (size_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		for (size_t k = 0; k < NPT_HISTOGRAM_BUCKETS; k++) {
			double pairs = (double)a->buckets[i] * (double)b->buckets[k];

			longer += k > i ? pairs : 0;
			shorter += k < i ? pairs : 0;
		}
	}
	return (longer - shorter) / ((double)a->count * (double)b->count);
}

static void delta_is_what_pairs_say(void)
{
	uint64_t state = npt_test_seed();

	for (int i = 0; i < 50; i++) {
		struct npt_histogram a = { .count = 0 }, b = { .count = 0 };
		struct npt_difference there, back;

		fill(&a, &state, 20 + (unsigned int)random_u64(&state) % 200, 1000);
		fill(&b, &state, 20 + (unsigned int)random_u64(&state) % 200,
		     500 + (unsigned int)random_u64(&state) % 1000);
		there = npt_compare_times(&a, &b);
		back = npt_compare_times(&b, &a);
		NPT_CHECK(fabs(there.delta - brute_delta(&a, &b)) < 1e-9);
		NPT_CHECK(fabs(there.delta + back.delta) < 1e-9);
		NPT_CHECK(fabs(there.p - back.p) < 1e-9);
	}
}

/*
 * 12 of 40 against 24 of 40 in the longer of two buckets. U = 560, and with ties
 * sigma^2 = 1600/12 * (81 - (44^3 - 44 + 36^3 - 36) / (80 * 79)) = 8020.253; z = 240 / 89.556.
 */
static void p_is_mann_and_whitneys(void)
{
	struct npt_histogram a = { .count = 0 }, b = { .count = 0 };
	struct npt_difference found;

	add(&a, 10, 28);
	add(&a, 20, 12);
	add(&b, 10, 16);
	add(&b, 20, 24);
	found = npt_compare_times(&a, &b);
	NPT_CHECK(fabs(found.delta - 0.3) < 1e-9);
	NPT_CHECK(fabs(found.p - 0.00736) < 0.00005);
	NPT_CHECK_INT(found.change, NPT_CHANGE_NONE); /* that may be chance */
}

static void chance_alone_is_no_change(void)
{
	uint64_t state = npt_test_seed();
	unsigned int significant = 0, changes = 0;

	for (int i = 0; i < 2000; i++) {
		struct npt_histogram a = { .count = 0 }, b = { .count = 0 };
		struct npt_difference found;

		fill(&a, &state, 300, 1000);
		fill(&b, &state, 300, 1000);
		found = npt_compare_times(&a, &b);
		significant += found.p < 0.05;
		changes += found.change != NPT_CHANGE_NONE;
	}
	/* 100 expected; beyond 5 deviations of it once in a million runs */
	NPT_CHECK(significant > 50 && significant < 150);
	NPT_CHECK(changes <= 10); /* 2 expected at most */
}

static void a_change_is_found_and_a_small_one_is_none_however_many_there_are(void)
{
	uint64_t state = npt_test_seed();
	struct npt_histogram a = { .count = 0 }, longer = { .count = 0 }, little = { .count = 0 };
	struct npt_difference found;

	fill(&a, &state, 20000, 1000);
	fill(&longer, &state, 20000, 2000);
	fill(&little, &state, 20000, 1100);
	NPT_CHECK_INT(npt_compare_times(&a, &longer).change, NPT_CHANGE_MORE);
	NPT_CHECK_INT(npt_compare_times(&longer, &a).change, NPT_CHANGE_LESS);
	found = npt_compare_times(&a, &little);
	NPT_CHECK(found.p < NPT_COMPARE_P_MAX);
	NPT_CHECK_INT(found.change, NPT_CHANGE_NONE);
}

static void what_there_is_too_little_of_is_unknown(void)
{
	struct npt_histogram few = { .count = 0 }, many = { .count = 0 };

	add(&few, 10, NPT_COMPARE_TIMES_MIN - 1);
	add(&many, 1000, 1000);
	NPT_CHECK_INT(npt_compare_times(&few, &many).change, NPT_CHANGE_UNKNOWN);
	NPT_CHECK_INT(npt_compare_times(&many, &few).change, NPT_CHANGE_UNKNOWN);
	add(&few, 10, 1);
	NPT_CHECK_INT(npt_compare_times(&few, &many).change, NPT_CHANGE_MORE);
	/* all the same time: nothing varies, nothing differs */
	NPT_CHECK_INT(npt_compare_times(&few, &few).change, NPT_CHANGE_NONE);
	NPT_CHECK_INT(npt_compare_parts(5, 999, 500, 1000).change, NPT_CHANGE_UNKNOWN);
	NPT_CHECK_INT(npt_compare_parts(0, 0, 0, 0).change, NPT_CHANGE_UNKNOWN);
	NPT_CHECK_INT(npt_compare_parts(2000, 1000, 0, 1000).change, NPT_CHANGE_UNKNOWN);
}

static void parts_are_compared_as_shares(void)
{
	/* share 0.03, z = 0.04 / sqrt(0.03 * 0.97 * 0.002) = 5.243 */
	struct npt_difference found = npt_compare_parts(10, 1000, 50, 1000);

	NPT_CHECK_INT(found.change, NPT_CHANGE_MORE);
	NPT_CHECK(fabs(found.delta - 0.04) < 1e-9);
	NPT_CHECK(found.p > 1e-7 && found.p < 2e-7);
	NPT_CHECK_INT(npt_compare_parts(50, 1000, 10, 1000).change, NPT_CHANGE_LESS);
	NPT_CHECK_INT(npt_compare_parts(10, 1000, 100, 10000).change, NPT_CHANGE_NONE);
	NPT_CHECK_INT(npt_compare_parts(0, 100000, 9, 100000).change, NPT_CHANGE_NONE);
	NPT_CHECK_INT(npt_compare_parts(1000, 1000, 1000, 1000).change, NPT_CHANGE_NONE);
}

static void a_pod_is_of_a_workload(void)
{
	static const struct {
		const char *pod, *workload;
	} cases[] = {
		{ "reviews-v1-6f5d8c7b9d-x2x4z", "reviews-v1" },
		{ "envoy-b8x4k", "envoy" }, /* a DaemonSet's */
		{ "db-0", "db" },
		{ "db-12345", "db-12345" },
		{ "client", "client" },
		{ "reviews-apple", "reviews-apple" }, /* has vowels */
		{ "-0", "-0" },
		{ "", "" },
		{ "node-exporter-bbbbb", "node-exporter" },
		{ "a-x2x4z", "a" },
		{ "x2x4z-x2x4z", "x2x4z" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		char workload[NPT_NAME_BYTES];

		npt_compare_workload(cases[i].pod, workload);
		NPT_CHECK_STR(workload, cases[i].workload);
	}
}

static struct npt_edge *edge_of(const char *process, uint32_t pid, const char *peer, uint16_t port)
{
	struct npt_edge *edge = npt_alloc(1, sizeof(*edge));

	edge->process.pid = pid;
	(void)snprintf(edge->process.name, sizeof(edge->process.name), "%s", process);
	edge->role = NPT_ROLE_CLIENT;
	edge->peer.kind = NPT_PEER_POD;
	(void)snprintf(edge->peer.name, sizeof(edge->peer.name), "%s", peer);
	(void)snprintf(edge->peer.address, sizeof(edge->peer.address), "10.0.0.%u", pid);
	edge->peer.port = port;
	(void)snprintf(edge->transport, sizeof(edge->transport), "tcp");
	edge->sent.bytes = 1000;
	return edge;
}

static void put(struct npt_comparison *comparison, enum npt_compare_side side, const char *pod,
		struct npt_edge *edge)
{
	npt_comparison_add(comparison, side, pod, edge);
	free(edge);
}

static const char *text_at(json_t *edge, const char *first, const char *second)
{
	json_t *value = json_object_get(edge, first);
	const char *text = json_string_value(second ? json_object_get(value, second) : value);

	return text ? text : "";
}

/* Two tasks: an edge in both whose pods have other names, one slower, one of each alone. */
static void fill_two_tasks(struct npt_comparison *comparison)
{
	struct npt_report head = { .start_unix_ms = 1767225600000, .duration_ms = 10000 };
	struct npt_edge *edge;

	(void)snprintf(head.task.uid, sizeof(head.task.uid), "A");
	npt_comparison_set_head(comparison, NPT_COMPARE_A, &head);
	(void)snprintf(head.task.uid, sizeof(head.task.uid), "B");
	npt_comparison_set_head(comparison, NPT_COMPARE_B, &head);
	put(comparison, NPT_COMPARE_A, "web-6f5d8c7b9d-x2x4z", edge_of("app", 1, "db-0", 5432));
	put(comparison, NPT_COMPARE_B, "web-7c9d6f5d8c-zzzzz", edge_of("app", 9, "db-0", 5432));
	edge = edge_of("app", 2, "ratings-v1-6f5d8c7b9d-x2x4z", 9080);
	add(&edge->metrics[NPT_METRIC_RESPONSE].micros, 12000, 100);
	put(comparison, NPT_COMPARE_A, "web-6f5d8c7b9d-x2x4z", edge);
	for (uint32_t pid = 10; pid < 12; pid++) { /* of two workers, alike */
		edge = edge_of("app", pid, "ratings-v1-99999999bb-bbbbb", 9080);
		add(&edge->metrics[NPT_METRIC_RESPONSE].micros, 480000, 50);
		put(comparison, NPT_COMPARE_B, "web-7c9d6f5d8c-zzzzz", edge);
	}
	put(comparison, NPT_COMPARE_A, "web-6f5d8c7b9d-x2x4z", edge_of("app", 3, "old", 80));
	put(comparison, NPT_COMPARE_B, "web-7c9d6f5d8c-zzzzz", edge_of("app", 3, "new", 80));
}

static void edges_are_found_again_and_what_changed_comes_first(void)
{
	npt_auto(npt_comparison_free) struct npt_comparison *comparison = npt_comparison_new();
	npt_auto_free char *text = NULL;
	json_t *root, *edges, *slow, *response;

	fill_two_tasks(comparison);
	text = npt_comparison_to_json(comparison);
	root = json_loads(text, 0, NULL);
	edges = json_object_get(root, "edges");
	slow = json_array_get(edges, 0);
	response = json_object_get(json_object_get(slow, "micros"), "response");
	NPT_CHECK_INT(json_array_size(edges), 4);
	NPT_CHECK_STR(text_at(root, "a", "uid"), "A");
	NPT_CHECK_STR(text_at(root, "b", "uid"), "B");
	NPT_CHECK_STR(text_at(slow, "peer", "name"), "ratings-v1");
	NPT_CHECK_STR(text_at(slow, "process", "workload"), "web");
	NPT_CHECK_STR(text_at(slow, "in", NULL), "both");
	NPT_CHECK_STR(text_at(response, "change", NULL), "more");
	NPT_CHECK_INT(json_integer_value(json_object_get(json_object_get(response, "count"), "b")),
		      100);
	NPT_CHECK_STR(json_string_value(json_array_get(json_object_get(slow, "changes"), 0)),
		      "response is longer: median 480 ms, before 11 ms; p95 480 ms, before 11 ms");
	for (size_t i = 1; i < 4; i++) {
		json_t *edge = json_array_get(edges, i);

		NPT_CHECK_INT(json_array_size(json_object_get(edge, "changes")), 0);
		if (strcmp(text_at(edge, "peer", "name"), "old") == 0)
			NPT_CHECK_STR(text_at(edge, "in", NULL), "a");
		else if (strcmp(text_at(edge, "peer", "name"), "new") == 0)
			NPT_CHECK_STR(text_at(edge, "in", NULL), "b");
		else
			NPT_CHECK_STR(text_at(edge, "in", NULL), "both");
	}
	json_decref(root);
}

static void edges_beyond_the_maximum_are_counted(void)
{
	npt_auto(npt_comparison_free) struct npt_comparison *comparison = npt_comparison_new();
	npt_auto_free char *text = NULL;
	json_t *root;

	for (uint32_t i = 0; i < NPT_COMPARE_EDGES_MAX + 3; i++)
		put(comparison, NPT_COMPARE_A, "pod", edge_of("app", 1, "peer", (uint16_t)i));
	text = npt_comparison_to_json(comparison);
	root = json_loads(text, 0, NULL);
	NPT_CHECK_INT(json_array_size(json_object_get(root, "edges")), NPT_COMPARE_EDGES_MAX);
	NPT_CHECK_INT(json_integer_value(json_object_get(root, "otherEdges")), 3);
	json_decref(root);
}

static const struct npt_test tests[] = {
	NPT_TEST(delta_is_what_pairs_say),
	NPT_TEST(p_is_mann_and_whitneys),
	NPT_TEST(chance_alone_is_no_change),
	NPT_TEST(a_change_is_found_and_a_small_one_is_none_however_many_there_are),
	NPT_TEST(what_there_is_too_little_of_is_unknown),
	NPT_TEST(parts_are_compared_as_shares),
	NPT_TEST(a_pod_is_of_a_workload),
	NPT_TEST(edges_are_found_again_and_what_changed_comes_first),
	NPT_TEST(edges_beyond_the_maximum_are_counted),
};
NPT_TEST_MAIN(tests)
