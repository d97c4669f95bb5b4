/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is compared with whom, and how it is said. What changed most comes first: times that got
 * longer, by how much, then what got shorter, then the rest by bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/strmap.h"
#include "lib/model/compare.h"
#include "lib/model/finding_private.h"
#include "lib/model/json.h"
#include "lib/model/report_merge.h"

#define KEY_BYTES 1400

struct pair {
	struct npt_edge *edges[NPT_COMPARE_SIDES]; /* NULL: not on that side */
	char workload[NPT_NAME_BYTES];
	char peer[NPT_NAME_BYTES]; /* workload of a pod, or the name as it is */
	struct npt_difference times[NPT_METRIC_COUNT];
	struct npt_difference retransmits;
	double weight; /* to sort by */
};

struct npt_comparison {
	struct {
		char namespace_name[NPT_NAME_BYTES];
		char name[NPT_NAME_BYTES];
		char uid[NPT_UID_BYTES];
		uint64_t start_unix_ms;
		uint64_t duration_ms;
	} sides[NPT_COMPARE_SIDES];
	struct npt_strmap *pairs;
	uint64_t other_edges;
};

/* Which of an edge's times say how it fares; the others are as long as the program wants. */
static bool is_judged(enum npt_metric_id id)
{
	return id != NPT_METRIC_READ;
}

static void free_pair(void *value)
{
	struct pair *pair = value;

	for (size_t side = 0; side < NPT_COMPARE_SIDES; side++)
		free(pair->edges[side]);
	free(pair);
}

struct npt_comparison *npt_comparison_new(void)
{
	struct npt_comparison *comparison = npt_alloc(1, sizeof(*comparison));

	comparison->pairs = npt_strmap_new(NPT_COMPARE_EDGES_MAX, free_pair);
	return comparison;
}

void npt_comparison_free(struct npt_comparison *comparison)
{
	if (!comparison)
		return;
	npt_strmap_free(comparison->pairs);
	free(comparison);
}

void npt_comparison_set_head(struct npt_comparison *comparison, enum npt_compare_side side,
			     const struct npt_report *head)
{
	memcpy(comparison->sides[side].namespace_name, head->task.namespace_name, NPT_NAME_BYTES);
	memcpy(comparison->sides[side].name, head->task.name, NPT_NAME_BYTES);
	memcpy(comparison->sides[side].uid, head->task.uid, NPT_UID_BYTES);
	comparison->sides[side].start_unix_ms = head->start_unix_ms;
	comparison->sides[side].duration_ms = head->duration_ms;
}

static void name_peer(const struct npt_peer *peer, char name_ret[static NPT_NAME_BYTES])
{
	if (peer->kind == NPT_PEER_POD)
		npt_compare_workload(peer->name, name_ret);
	else
		(void)snprintf(name_ret, NPT_NAME_BYTES, "%s",
			       peer->name[0] ? peer->name : peer->address);
}

void npt_comparison_add(struct npt_comparison *comparison, enum npt_compare_side side,
			const char *pod, const struct npt_edge *edge)
{
	char key[KEY_BYTES], workload[NPT_NAME_BYTES], peer[NPT_NAME_BYTES];
	struct pair *pair;

	npt_compare_workload(pod, workload);
	name_peer(&edge->peer, peer);
	(void)snprintf(key, sizeof(key), "%s %s %s %u %u %s %s %u %s %u", workload,
		       edge->process.container, edge->process.name, edge->role, edge->peer.kind,
		       edge->peer.namespace_name, peer, edge->peer.port, edge->transport,
		       edge->label);
	pair = npt_strmap_get(comparison->pairs, key);
	if (!pair) {
		pair = npt_alloc(1, sizeof(*pair));
		memcpy(pair->workload, workload, sizeof(workload));
		memcpy(pair->peer, peer, sizeof(peer));
		if (npt_strmap_set(comparison->pairs, key, pair) < 0) {
			free_pair(pair);
			comparison->other_edges++;
			return;
		}
	}
	if (pair->edges[side]) {
		npt_edge_merge(pair->edges[side], edge);
		return;
	}
	pair->edges[side] = npt_alloc(1, sizeof(*edge));
	*pair->edges[side] = *edge;
}

static bool is_changed(const struct npt_difference *difference)
{
	return difference->change == NPT_CHANGE_LESS || difference->change == NPT_CHANGE_MORE;
}

/* Longer before shorter before the same; bytes only between equals. */
static void judge(struct pair *pair)
{
	const struct npt_edge *a = pair->edges[NPT_COMPARE_A], *b = pair->edges[NPT_COMPARE_B];
	double bytes = 0, most = 0;

	for (size_t side = 0; side < NPT_COMPARE_SIDES; side++) {
		if (pair->edges[side])
			bytes += (double)pair->edges[side]->sent.bytes +
				 (double)pair->edges[side]->received.bytes;
	}
	for (size_t i = 0; a && b && i < NPT_METRIC_COUNT; i++) {
		struct npt_difference *times = &pair->times[i];

		*times = npt_compare_times(&a->metrics[i].micros, &b->metrics[i].micros);
		if (!is_judged((enum npt_metric_id)i) || !is_changed(times))
			continue;
		if (times->delta > most || (most <= 0 && times->delta < most))
			most = times->delta;
	}
	if (a && b)
		pair->retransmits = npt_compare_parts(a->retransmit.segments, a->sent.segments,
						      b->retransmit.segments, b->sent.segments);
	if (most <= 0 && pair->retransmits.change == NPT_CHANGE_MORE)
		most = NPT_COMPARE_DELTA_MIN;
	pair->weight = most > 0 ? 2 + most : most < 0 ? 1 - most : bytes / (bytes + 1e18);
}

static int compare_pairs(const void *left, const void *right)
{
	const struct pair *a = *(struct pair *const *)left, *b = *(struct pair *const *)right;

	if (a->weight < b->weight)
		return 1;
	return -(a->weight > b->weight);
}

/* ---- in words and JSON ---- */

static json_t *number_pair(uint64_t a, uint64_t b)
{
	json_t *object = json_object();

	npt_json_set_number(object, "a", a);
	npt_json_set_number(object, "b", b);
	return object;
}

static void set_difference(json_t *object, const struct npt_difference *difference)
{
	npt_json_set_text(object, "change", npt_change_name(difference->change));
	if (difference->change == NPT_CHANGE_UNKNOWN)
		return;
	npt_json_set(object, "delta", json_real(difference->delta));
	npt_json_set(object, "p", json_real(difference->p));
}

static json_t *times_json(const struct npt_metric *a, const struct npt_metric *b,
			  const struct npt_difference *difference)
{
	static const struct {
		const char *name;
		uint32_t permille;
	} quantiles[] = { { "p50", 500 }, { "p95", 950 }, { "p99", 990 } };
	json_t *object = json_object();

	npt_json_set(object, "count", number_pair(a->micros.count, b->micros.count));
	for (size_t i = 0; i < NPT_ARRAY_SIZE(quantiles); i++)
		npt_json_set(
			object, quantiles[i].name,
			number_pair(
				npt_histogram_quantile_micros(&a->micros, quantiles[i].permille),
				npt_histogram_quantile_micros(&b->micros, quantiles[i].permille)));
	set_difference(object, difference);
	return object;
}

static json_t *retransmits_json(const struct pair *pair)
{
	const struct npt_edge *a = pair->edges[NPT_COMPARE_A], *b = pair->edges[NPT_COMPARE_B];
	json_t *object = json_object();

	npt_json_set(object, "segments",
		     number_pair(a->retransmit.segments, b->retransmit.segments));
	npt_json_set(object, "permille",
		     number_pair(npt_permille(a->retransmit.segments, a->sent.segments),
				 npt_permille(b->retransmit.segments, b->sent.segments)));
	set_difference(object, &pair->retransmits);
	return object;
}

static uint64_t per_second(uint64_t count, uint64_t ms)
{
	return ms ? count * 1000 / ms : 0;
}

static json_t *rates_json(const struct npt_comparison *comparison, const struct pair *pair)
{
	const struct npt_edge *a = pair->edges[NPT_COMPARE_A], *b = pair->edges[NPT_COMPARE_B];
	uint64_t ms_a = comparison->sides[NPT_COMPARE_A].duration_ms;
	uint64_t ms_b = comparison->sides[NPT_COMPARE_B].duration_ms;
	json_t *object = json_object();

	npt_json_set(object, "sentBytesPerSecond",
		     number_pair(per_second(a->sent.bytes, ms_a), per_second(b->sent.bytes, ms_b)));
	npt_json_set(object, "receivedBytesPerSecond",
		     number_pair(per_second(a->received.bytes, ms_a),
				 per_second(b->received.bytes, ms_b)));
	npt_json_set(object, "responsesPerSecond",
		     number_pair(per_second(a->metrics[NPT_METRIC_RESPONSE].count, ms_a),
				 per_second(b->metrics[NPT_METRIC_RESPONSE].count, ms_b)));
	return object;
}

/* "envoy -> ratings:9080: response p95 12 ms -> 480 ms" of each change. */
static json_t *sentences(const struct pair *pair)
{
	const struct npt_edge *a = pair->edges[NPT_COMPARE_A], *b = pair->edges[NPT_COMPARE_B];
	json_t *array = json_array();
	char text[2 * NPT_TEXT_BYTES];

	for (size_t i = 0; i < NPT_METRIC_COUNT; i++) {
		const struct npt_histogram *before = &a->metrics[i].micros;
		const struct npt_histogram *after = &b->metrics[i].micros;

		if (!is_judged((enum npt_metric_id)i) || !is_changed(&pair->times[i]))
			continue;
		(void)snprintf(text, sizeof(text),
			       "%s is %s: median %s, before %s; p95 %s, before %s",
			       npt_metric_name((enum npt_metric_id)i),
			       pair->times[i].change == NPT_CHANGE_MORE ? "longer" : "shorter",
			       npt_phrase_micros(npt_histogram_quantile_micros(after, 500)).text,
			       npt_phrase_micros(npt_histogram_quantile_micros(before, 500)).text,
			       npt_phrase_micros(npt_histogram_quantile_micros(after, 950)).text,
			       npt_phrase_micros(npt_histogram_quantile_micros(before, 950)).text);
		(void)json_array_append_new(array, npt_json_string(text));
	}
	if (is_changed(&pair->retransmits)) {
		(void)snprintf(text, sizeof(text),
			       "%s segments are sent again: %" PRIu64 " of %" PRIu64
			       ", before %" PRIu64 " of %" PRIu64,
			       pair->retransmits.change == NPT_CHANGE_MORE ? "more" : "fewer",
			       b->retransmit.segments, b->sent.segments, a->retransmit.segments,
			       a->sent.segments);
		(void)json_array_append_new(array, npt_json_string(text));
	}
	return array;
}

static void set_who(json_t *object, const struct pair *pair, const struct npt_edge *edge)
{
	json_t *process = json_object(), *peer = json_object();

	npt_json_set_text(process, "name", edge->process.name);
	npt_json_set_some_text(process, "container", edge->process.container);
	npt_json_set_some_text(process, "workload", pair->workload);
	npt_json_set(object, "process", process);
	npt_json_set_text(object, "role", npt_role_name(edge->role));
	npt_json_set_text(peer, "kind", npt_peer_kind_name(edge->peer.kind));
	npt_json_set_text(peer, "name", pair->peer);
	npt_json_set_some_text(peer, "namespace", edge->peer.namespace_name);
	npt_json_set_number(peer, "port", edge->peer.port);
	npt_json_set(object, "peer", peer);
	npt_json_set_text(object, "transport", edge->transport);
	npt_json_set_text(object, "protocol", npt_edge_protocol(edge));
	npt_json_set_text(object, "tls", npt_tls_name(edge->tls));
}

static json_t *pair_json(const struct npt_comparison *comparison, const struct pair *pair)
{
	const struct npt_edge *a = pair->edges[NPT_COMPARE_A], *b = pair->edges[NPT_COMPARE_B];
	json_t *object = json_object(), *times;

	set_who(object, pair, b ? b : a);
	npt_json_set_text(object, "in", a && b ? "both" : a ? "a" : "b");
	if (!a || !b)
		return object;
	npt_json_set(object, "rates", rates_json(comparison, pair));
	times = json_object();
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++) {
		if (a->metrics[i].micros.count == 0 && b->metrics[i].micros.count == 0)
			continue;
		npt_json_set(times, npt_metric_name((enum npt_metric_id)i),
			     times_json(&a->metrics[i], &b->metrics[i], &pair->times[i]));
	}
	npt_json_set(object, "micros", times);
	npt_json_set(object, "retransmit", retransmits_json(pair));
	npt_json_set(object, "changes", sentences(pair));
	return object;
}

static json_t *side_json(const struct npt_comparison *comparison, enum npt_compare_side side)
{
	json_t *object = json_object();
	char text[NPT_RFC3339_BYTES];

	npt_json_set_text(object, "namespace", comparison->sides[side].namespace_name);
	npt_json_set_text(object, "name", comparison->sides[side].name);
	npt_json_set_text(object, "uid", comparison->sides[side].uid);
	npt_rfc3339_ms(comparison->sides[side].start_unix_ms, text);
	npt_json_set_text(object, "start", text);
	npt_json_set_number(object, "durationMillis", comparison->sides[side].duration_ms);
	return object;
}

char *npt_comparison_to_json(struct npt_comparison *comparison)
{
	size_t count = npt_strmap_count(comparison->pairs);
	npt_auto_free struct pair **sorted = npt_alloc(count + 1, sizeof(*sorted));
	json_t *object = json_object(), *edges = json_array();
	char *text;

	for (size_t i = 0; i < count; i++) {
		sorted[i] = npt_strmap_value_at(comparison->pairs, i);
		judge(sorted[i]);
	}
	qsort(sorted, count, sizeof(struct pair *), compare_pairs);
	npt_json_set_text(object, "kind", "Comparison");
	npt_json_set_text(object, "apiVersion", "netprof.io/v1alpha1");
	npt_json_set(object, "a", side_json(comparison, NPT_COMPARE_A));
	npt_json_set(object, "b", side_json(comparison, NPT_COMPARE_B));
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(edges, pair_json(comparison, sorted[i]));
	npt_json_set(object, "edges", edges);
	npt_json_set_number(object, "otherEdges", comparison->other_edges);
	text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(object);
	return text;
}
