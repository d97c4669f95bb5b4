/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/task.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

#define PODS_MAX 150

/* A status with this many pods that run, each with a summary. */
static struct {
	struct npt_task_status status;
	struct npt_pod_status pods[PODS_MAX];
	struct npt_pod_summary summaries[PODS_MAX];
} it;

static void begin(size_t pods)
{
	memset(&it, 0, sizeof(it));
	it.status.pods = it.pods;
	it.status.pods_count = pods;
	it.status.phase = NPT_TASK_RUNNING;
	it.status.observed_generation = 3;
	(void)snprintf(it.status.message, sizeof(it.status.message), "as it was");
	for (size_t i = 0; i < pods; i++) {
		struct npt_pod_status *pod = &it.pods[i];

		pod->summary = &it.summaries[i];
		pod->state = NPT_POD_RUNNING;
		(void)snprintf(pod->name, sizeof(pod->name), "pod-%zu", i);
		(void)snprintf(pod->uid, sizeof(pod->uid), "uid-%zu", i);
		(void)snprintf(pod->node, sizeof(pod->node), "node-%zu", i % 3);
	}
}

static struct npt_edge_summary *add_edge(size_t pod, uint64_t bytes_sent, uint64_t bytes_received)
{
	struct npt_pod_summary *summary = &it.summaries[pod];
	struct npt_edge_summary *edge = &summary->top[summary->top_count++];

	summary->edges++;
	edge->bytes_sent = bytes_sent;
	edge->bytes_received = bytes_received;
	return edge;
}

static int64_t number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!NPT_CHECK(json_is_integer(value)))
		printf("%s is no integer\n", key);
	return json_integer_value(value);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* "phase finished ...": its keys, in their order. */
static char *keys_of(json_t *object)
{
	char *keys = npt_strdup("");
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		char *more = npt_format("%s%s%s", keys, keys[0] ? " " : "", key);

		free(keys);
		keys = more;
	}
	return keys;
}

static void check_keys(json_t *object, const char *expected)
{
	npt_auto_free char *keys = keys_of(object);

	NPT_CHECK_STR(keys, expected);
}

static size_t size_of(const json_t *object)
{
	npt_auto_free char *text = json_dumps(object, JSON_COMPACT);

	return strlen(text);
}

static void fill(char *text, size_t size_bytes, char character)
{
	memset(text, character, size_bytes - 1);
	text[size_bytes - 1] = '\0';
}

#define FILL(text, character) fill((text), sizeof(text), (character))

static void fill_edge(struct npt_edge_summary *edge, char character)
{
	FILL(edge->process.name, character);
	FILL(edge->process.container, character);
	FILL(edge->peer.name, character);
	FILL(edge->peer.namespace_name, character);
	FILL(edge->peer.address, character);
	FILL(edge->peer.asked, character);
	FILL(edge->peer.reached, character);
	FILL(edge->transport, character);
	FILL(edge->protocol, character);
	edge->tls = NPT_TLS_YES;
	FILL(edge->tls_version, character);
	FILL(edge->sni, character);
	FILL(edge->alpn, character);
	FILL(edge->cipher, character);
	edge->verdict = NPT_VERDICT_NETWORK_DELAY;
	FILL(edge->finding, character);
}

/* Every text as long as it may be, every list as long as it may be. */
static void fill_all(char character)
{
	FILL(it.status.target, character);
	FILL(it.status.message, character);
	FILL(it.status.result_url, character);
	for (size_t i = 0; i < NPT_CONDITION_COUNT; i++) {
		FILL(it.status.conditions[i].reason, character);
		FILL(it.status.conditions[i].message, character);
	}
	for (size_t i = 0; i < it.status.pods_count; i++) {
		FILL(it.pods[i].name, character);
		FILL(it.pods[i].uid, character);
		FILL(it.pods[i].node, character);
		FILL(it.pods[i].reason, character);
		FILL(it.pods[i].message, character);
		while (it.summaries[i].top_count < NPT_SUMMARY_EDGES_MAX)
			fill_edge(add_edge(i, NPT_NUMBER_MAX, NPT_NUMBER_MAX), character);
		for (size_t j = 0; j < NPT_SUMMARY_TLS_MAX; j++) {
			struct npt_tls_summary *tls = &it.summaries[i].tls[j];

			FILL(tls->library, character);
			FILL(tls->version, character);
			FILL(tls->why, character);
		}
		it.summaries[i].tls_count = NPT_SUMMARY_TLS_MAX;
		for (size_t j = 0; j < NPT_REPORT_UNAVAILABLE_MAX; j++) {
			struct npt_named_reason *entry = &it.summaries[i].unavailable[j];

			FILL(entry->name, character);
			entry->name[0] = (char)('a' + j);
			FILL(entry->reason, character);
		}
	}
}

static void has_the_fields_that_others_rely_on(void)
{
	json_t *object;

	begin(1);
	add_edge(0, 1, 2);
	it.status.started_unix_ms = 1767225600999;
	it.status.completed_unix_ms = 1767225660000;
	it.status.nodes = 2;
	it.status.skipped = 4;
	(void)snprintf(it.status.target, sizeof(it.status.target), "app=web");
	(void)snprintf(it.status.result_url, sizeof(it.status.result_url), "https://x/v1/tasks/u");
	object = npt_task_status_to_json(&it.status);
	check_keys(object, "phase finished observedGeneration startTime completionTime target "
			   "message finding targets summary unavailable edges pods conditions "
			   "resultRef");
	NPT_CHECK_STR(text_of(object, "phase"), "Running");
	NPT_CHECK(json_is_false(json_object_get(object, "finished")));
	NPT_CHECK_INT(number_of(object, "observedGeneration"), 3);
	NPT_CHECK_STR(text_of(object, "startTime"), "2026-01-01T00:00:00Z");
	NPT_CHECK_STR(text_of(object, "completionTime"), "2026-01-01T00:01:00Z");
	NPT_CHECK_STR(text_of(object, "target"), "app=web");
	NPT_CHECK_STR(text_of(object, "message"), "as it was");
	NPT_CHECK_STR(text_of(json_object_get(object, "resultRef"), "url"), "https://x/v1/tasks/u");
	check_keys(json_object_get(object, "targets"), "pods nodes running failed skipped");
	NPT_CHECK_INT(number_of(json_object_get(object, "targets"), "nodes"), 2);
	NPT_CHECK_INT(number_of(json_object_get(object, "targets"), "skipped"), 4);
	check_keys(json_object_get(object, "summary"),
		   "edges connections bytesSent bytesReceived retransmitPermille drops lost "
		   "windows windowsStored rttMicros");
	json_decref(object);
}

static void says_no_time_and_no_place_that_is_not_known(void)
{
	json_t *object;

	begin(0);
	object = npt_task_status_to_json(&it.status);
	check_keys(object, "phase finished observedGeneration target message finding targets "
			   "summary unavailable edges pods conditions");
	NPT_CHECK_INT(json_array_size(json_object_get(object, "edges")), 0);
	NPT_CHECK_INT(json_array_size(json_object_get(object, "pods")), 0);
	json_decref(object);
}

static void each_phase_has_its_name(void)
{
	static const char *const names[] = { "Pending",    "Resolving", "Running",
					     "Collecting", "Succeeded", "PartiallySucceeded",
					     "Failed",     "Cancelled" };

	for (unsigned int i = 0; i < NPT_TASK_PHASES; i++)
		NPT_CHECK_STR(npt_task_phase_name((enum npt_task_phase)i), names[i]);
}

static void summary_is_the_sum_over_the_pods(void)
{
	json_t *object, *summary;

	begin(3);
	it.pods[1].state = NPT_POD_FAILED;
	it.pods[2].summary = NULL;
	for (size_t i = 0; i < 2; i++) {
		struct npt_pod_summary *pod = &it.summaries[i];

		pod->edges = 2;
		pod->connections = 3;
		pod->bytes_sent = 100;
		pod->bytes_received = 200;
		pod->segments_sent = 95;
		pod->retransmit_segments = 5;
		pod->drops = 7;
		pod->lost_events = 1;
		pod->lost_edges = 1;
		pod->windows = 12;
		pod->windows_stored = 11;
		for (size_t j = 0; j < 50; j++)
			npt_histogram_add(&pod->rtt, i == 0 ? 10 : 100);
	}
	object = npt_task_status_to_json(&it.status);
	NPT_CHECK_INT(number_of(json_object_get(object, "targets"), "pods"), 3);
	NPT_CHECK_INT(number_of(json_object_get(object, "targets"), "running"), 2);
	NPT_CHECK_INT(number_of(json_object_get(object, "targets"), "failed"), 1);
	summary = json_object_get(object, "summary");
	NPT_CHECK_INT(number_of(summary, "edges"), 4);
	NPT_CHECK_INT(number_of(summary, "connections"), 6);
	NPT_CHECK_INT(number_of(summary, "bytesSent"), 200);
	NPT_CHECK_INT(number_of(summary, "bytesReceived"), 400);
	NPT_CHECK_INT(number_of(summary, "retransmitPermille"), 50);
	NPT_CHECK_INT(number_of(summary, "drops"), 14);
	NPT_CHECK_INT(number_of(summary, "lost"), 4);
	NPT_CHECK_INT(number_of(summary, "windows"), 24);
	NPT_CHECK_INT(number_of(summary, "windowsStored"), 22);
	/* Of one histogram: rank 50 of 100 is the last 10, rank 95 a 100. */
	NPT_CHECK_INT(number_of(json_object_get(summary, "rttMicros"), "p50"), 10);
	NPT_CHECK_INT(number_of(json_object_get(summary, "rttMicros"), "p95"), 100);
	json_decref(object);
}

static void lists_the_ten_edges_with_most_bytes(void)
{
	json_t *object, *edges;

	begin(3);
	/* 30 edges of 0 to 29 kB, sent or received, in no order. */
	for (uint64_t i = 0; i < 30; i++) {
		uint64_t bytes = i * 7 % 30 * 1000;

		add_edge(i % 3, i % 2 ? bytes : 0, i % 2 ? 0 : bytes)->process.pid = (uint32_t)i;
	}
	object = npt_task_status_to_json(&it.status);
	edges = json_object_get(object, "edges");
	NPT_CHECK_INT(json_array_size(edges), NPT_STATUS_EDGES_MAX);
	for (size_t i = 0; i < json_array_size(edges); i++) {
		const json_t *edge = json_array_get(edges, i);
		npt_auto_free char *pod = npt_format("pod-%d", (int)number_of(edge, "pid") % 3);

		NPT_CHECK_INT(number_of(edge, "bytesSent") + number_of(edge, "bytesReceived"),
			      (29 - i) * 1000);
		NPT_CHECK_STR(text_of(edge, "pod"), pod);
	}
	NPT_CHECK_INT(number_of(json_object_get(object, "summary"), "edges"), 30);
	json_decref(object);
}

static void the_worst_finding_comes_before_the_most_bytes(void)
{
	static const enum npt_verdict verdicts[] = {
		NPT_VERDICT_NONE,   NPT_VERDICT_UNKNOWN, NPT_VERDICT_SENDER_APPLICATION,
		NPT_VERDICT_SERVER, NPT_VERDICT_SERVER,  NPT_VERDICT_CONNECT_FAILURE,
	};
	static const int64_t expected[] = { 5, 4, 3, 2, 1, 0 };
	json_t *object, *edges;

	begin(2);
	for (uint32_t i = 0; i < NPT_ARRAY_SIZE(verdicts); i++) {
		struct npt_edge_summary *edge = add_edge(i % 2, (i + 1) * 1000, 0);

		edge->process.pid = i;
		edge->verdict = verdicts[i];
	}
	object = npt_task_status_to_json(&it.status);
	edges = json_object_get(object, "edges");
	for (size_t i = 0; i < NPT_ARRAY_SIZE(expected); i++)
		NPT_CHECK_INT(number_of(json_array_get(edges, i), "pid"), expected[i]);
	json_decref(object);
}

static void an_edge_says_who_talks_to_whom_and_how_fast(void)
{
	struct npt_edge_summary *edge;
	json_t *object, *row;

	begin(1);
	edge = add_edge(0, 1, 2);
	edge->role = NPT_ROLE_SERVER;
	edge->tls = NPT_TLS_YES;
	edge->peer.kind = NPT_PEER_SERVICE;
	edge->peer.port = 65535;
	edge->rtt_micros.p95 = 95;
	edge->write_micros.p99 = 99;
	edge->read_micros.p50 = 50;
	edge->response_micros.p95 = 45;
	edge->response_micros.p99 = 49;
	edge->confidence_permille = 870;
	edge->protocol_confidence_permille = 990;
	edge->protocol_by_hop = true;
	fill_edge(edge, 'x');
	object = npt_task_status_to_json(&it.status);
	row = json_array_get(json_object_get(object, "edges"), 0);
	check_keys(row,
		   "pod process pid container role peer transport protocol "
		   "protocolConfidencePermille protocolFrom tls tlsVersion sni alpn cipher "
		   "connections open failed bytesSent bytesReceived writes reads retransmits drops "
		   "rttMicros writeMicros readMicros responseMicros verdict cause "
		   "confidencePermille finding");
	check_keys(json_object_get(row, "peer"), "kind name namespace address port asked reached");
	NPT_CHECK_STR(text_of(row, "role"), "server");
	NPT_CHECK_STR(text_of(row, "tls"), "yes");
	NPT_CHECK_STR(text_of(json_object_get(row, "peer"), "kind"), "service");
	NPT_CHECK_INT(number_of(json_object_get(row, "peer"), "port"), 65535);
	NPT_CHECK_INT(number_of(json_object_get(row, "rttMicros"), "p95"), 95);
	NPT_CHECK_INT(number_of(json_object_get(row, "writeMicros"), "p99"), 99);
	NPT_CHECK_INT(number_of(json_object_get(row, "readMicros"), "p50"), 50);
	NPT_CHECK_INT(number_of(json_object_get(row, "responseMicros"), "p95"), 45);
	NPT_CHECK_STR(text_of(row, "verdict"), "Network");
	NPT_CHECK_STR(text_of(row, "cause"), "delay");
	NPT_CHECK_INT(number_of(row, "confidencePermille"), 870);
	NPT_CHECK_INT(number_of(row, "protocolConfidencePermille"), 990);
	NPT_CHECK_STR(text_of(row, "protocolFrom"), "hop");
	json_decref(object);
}

static void what_is_not_known_of_an_edge_is_left_out(void)
{
	static const char *const keys[] = { "protocol",     "protocolConfidencePermille",
					    "protocolFrom", "tls",
					    "tlsVersion",   "sni",
					    "alpn",         "cipher" };
	json_t *object, *row;

	begin(1);
	(void)snprintf(add_edge(0, 1, 2)->protocol, NPT_PROTOCOL_BYTES, "unknown");
	object = npt_task_status_to_json(&it.status);
	row = json_array_get(json_object_get(object, "edges"), 0);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(keys); i++)
		NPT_CHECK(json_object_get(row, keys[i]) == NULL);
	json_decref(object);
}

static void a_pod_says_how_much_is_seen_of_its_tls(void)
{
	json_t *object, *pods, *line;

	begin(2);
	it.summaries[0].tls[0] = (struct npt_tls_summary){ .library = "Go crypto/tls",
							   .version = "1.24",
							   .coverage = NPT_COVERAGE_METADATA,
							   .why = "because",
							   .processes = 3 };
	it.summaries[0].tls[1] =
		(struct npt_tls_summary){ .library = "OpenSSL", .coverage = NPT_COVERAGE_FULL };
	it.summaries[0].tls_count = 2;
	object = npt_task_status_to_json(&it.status);
	pods = json_object_get(object, "pods");
	line = json_array_get(json_object_get(json_array_get(pods, 0), "tls"), 0);
	check_keys(line, "library version coverage why processes");
	NPT_CHECK_STR(text_of(line, "library"), "Go crypto/tls");
	NPT_CHECK_STR(text_of(line, "version"), "1.24");
	NPT_CHECK_STR(text_of(line, "coverage"), "metadata");
	NPT_CHECK_STR(text_of(line, "why"), "because");
	NPT_CHECK_INT(number_of(line, "processes"), 3);
	line = json_array_get(json_object_get(json_array_get(pods, 0), "tls"), 1);
	check_keys(line, "library coverage processes");
	NPT_CHECK(json_object_get(json_array_get(pods, 1), "tls") == NULL);
	json_decref(object);
}

/* Pods are worth more than what is seen of their TLS. */
static void lines_of_tls_go_before_pods_do(void)
{
	json_t *object, *pods;
	size_t with_tls = 0;

	begin(100);
	for (size_t i = 0; i < 100; i++) {
		for (size_t j = 0; j < NPT_SUMMARY_TLS_MAX; j++)
			FILL(it.summaries[i].tls[j].why, 'x');
		it.summaries[i].tls_count = NPT_SUMMARY_TLS_MAX;
	}
	object = npt_task_status_to_json(&it.status);
	pods = json_object_get(object, "pods");
	NPT_CHECK_INT(json_array_size(pods), 100);
	NPT_CHECK(size_of(object) <= NPT_STATUS_BYTES_MAX);
	for (size_t i = 0; i < 100; i++) {
		bool has_tls = json_object_get(json_array_get(pods, i), "tls") != NULL;

		NPT_CHECK(!has_tls || with_tls == i);
		with_tls += has_tls;
	}
	NPT_CHECK(with_tls > 20 && with_tls < 100);
	NPT_CHECK(strstr(text_of(object, "message"), "Truncated") != NULL);
	json_decref(object);
}

static void what_an_edge_does_not_have_is_not_said(void)
{
	json_t *object, *row;

	begin(1);
	add_edge(0, 1, 2);
	object = npt_task_status_to_json(&it.status);
	row = json_array_get(json_object_get(object, "edges"), 0);
	NPT_CHECK(json_object_get(row, "responseMicros") == NULL);
	NPT_CHECK(json_object_get(row, "cause") == NULL);
	NPT_CHECK(json_object_get(row, "finding") == NULL);
	NPT_CHECK_STR(text_of(row, "verdict"), "Unknown");
	json_decref(object);
}

static void check_finding(const char *expected)
{
	json_t *object = npt_task_status_to_json(&it.status);

	NPT_CHECK_STR(text_of(object, "finding"), expected);
	json_decref(object);
}

#define SAY(field, text) (void)snprintf((field), sizeof(field), "%s", (text))

static struct npt_edge_summary *slow_edge(enum npt_role role, const char *address)
{
	struct npt_edge_summary *edge;

	begin(2);
	add_edge(0, 1000, 1000)->verdict = NPT_VERDICT_NONE;
	edge = add_edge(1, 1, 1);
	edge->role = role;
	edge->verdict = NPT_VERDICT_SERVER;
	edge->peer.port = 9080;
	SAY(edge->process.name, "envoy");
	SAY(edge->peer.address, address);
	SAY(edge->finding, "server takes 480 ms of 492 ms");
	return edge;
}

static void the_finding_is_the_worst_of_all_edges_and_says_whose_it_is(void)
{
	struct npt_edge_summary *edge = slow_edge(NPT_ROLE_CLIENT, "10.0.0.1");

	check_finding("pod-1/envoy -> 10.0.0.1:9080: server takes 480 ms of 492 ms");
	SAY(edge->peer.name, "ratings");
	check_finding("pod-1/envoy -> ratings:9080: server takes 480 ms of 492 ms");
	edge->finding[0] = '\0';
	check_finding("pod-1/envoy -> ratings:9080: Server");
	(void)slow_edge(NPT_ROLE_CLIENT, "fd00::1");
	check_finding("pod-1/envoy -> [fd00::1]:9080: server takes 480 ms of 492 ms");
	edge = slow_edge(NPT_ROLE_CLIENT, "");
	edge->process.name[0] = '\0';
	check_finding("pod-1 -> unknown:9080: server takes 480 ms of 492 ms");
}

/* The port is the server's, on both ends' edges. */
static void of_a_server_the_finding_names_the_client_first(void)
{
	struct npt_edge_summary *edge = slow_edge(NPT_ROLE_SERVER, "10.0.0.1");

	check_finding("10.0.0.1 -> pod-1/envoy:9080: server takes 480 ms of 492 ms");
	edge->verdict = NPT_VERDICT_LISTENER;
	SAY(edge->finding, "3 connects were turned away");
	check_finding("pod-1/envoy:9080: 3 connects were turned away");
	(void)slow_edge(NPT_ROLE_SERVER, "");
	check_finding("pod-1/envoy:9080: server takes 480 ms of 492 ms");
}

static void no_problem_is_claimed_of_what_was_looked_at_only(void)
{
	begin(2);
	check_finding("");
	add_edge(0, 1, 1);
	add_edge(1, 1, 1);
	check_finding("unknown: the numbers of 2 edges do not say");
	for (size_t i = 0; i < 2; i++) {
		it.summaries[i].top[0].verdict = NPT_VERDICT_NONE;
		it.summaries[i].edges_judged = 1;
	}
	check_finding("no problem found");
	SAY(it.pods[1].reason, "AgentRestarted");
	check_finding("no problem found in 2 of 2 edges, 1 of 2 pods not fully measured");
	it.pods[1].state = NPT_POD_GONE;
	SAY(it.pods[1].reason, "TargetGone");
	check_finding("no problem found");
	it.summaries[0].edges = 11;
	check_finding("no problem found in 2 of 12 edges");
	it.summaries[0].edges = 1;
	it.summaries[0].lost_edges = 1;
	check_finding("no problem found in 2 of 2 edges, data was lost");
	it.pods[1].summary = NULL;
	check_finding(
		"no problem found in 1 of 1 edges, 1 of 2 pods not fully measured, data was lost");
	it.summaries[0].lost_edges = 0;
	it.status.skipped = 3;
	check_finding("no problem found in 1 of 1 edges, 4 of 5 pods not fully measured");
	it.pods[0].state = NPT_POD_PENDING;
	check_finding("no problem found in 1 of 1 edges, 5 of 5 pods not fully measured");
	it.pods[0].state = NPT_POD_FAILED;
	check_finding("no problem found in 1 of 1 edges, 5 of 5 pods not fully measured");
}

static void lists_a_hundred_pods_failing_ones_first(void)
{
	json_t *object, *pods;

	begin(PODS_MAX);
	it.pods[120].state = NPT_POD_FAILED;
	it.pods[140].state = NPT_POD_FAILED;
	object = npt_task_status_to_json(&it.status);
	pods = json_object_get(object, "pods");
	NPT_CHECK_INT(json_array_size(pods), NPT_STATUS_PODS_MAX);
	NPT_CHECK_STR(text_of(json_array_get(pods, 0), "name"), "pod-120");
	NPT_CHECK_STR(text_of(json_array_get(pods, 1), "name"), "pod-140");
	NPT_CHECK_STR(text_of(json_array_get(pods, 2), "name"), "pod-0");
	NPT_CHECK_STR(text_of(json_array_get(pods, 99), "name"), "pod-97");
	NPT_CHECK_INT(number_of(json_object_get(object, "targets"), "pods"), PODS_MAX);
	NPT_CHECK_INT(number_of(json_object_get(object, "targets"), "failed"), 2);
	json_decref(object);
}

static void a_pod_says_why_it_failed_and_what_measuring_cost(void)
{
	json_t *object, *pod;

	begin(2);
	it.pods[0].state = NPT_POD_FAILED;
	(void)snprintf(it.pods[0].reason, sizeof(it.pods[0].reason), "NoAgent");
	(void)snprintf(it.pods[0].message, sizeof(it.pods[0].message), "no agent on node-0");
	it.pods[0].summary = NULL;
	it.summaries[1].processes = 4;
	it.summaries[1].cost.cpu_ms = 5;
	it.summaries[1].cost.ns_per_operation = 6;
	it.summaries[1].cost.memory_kib = 7;
	it.summaries[1].lost_events = 8;
	it.summaries[1].lost_edges = 9;
	object = npt_task_status_to_json(&it.status);
	pod = json_array_get(json_object_get(object, "pods"), 0);
	check_keys(pod, "name uid node state reason message");
	NPT_CHECK_STR(text_of(pod, "state"), "Failed");
	NPT_CHECK_STR(text_of(pod, "reason"), "NoAgent");
	NPT_CHECK_STR(text_of(pod, "message"), "no agent on node-0");
	pod = json_array_get(json_object_get(object, "pods"), 1);
	NPT_CHECK_STR(text_of(pod, "state"), "Running");
	NPT_CHECK_STR(text_of(pod, "node"), "node-1");
	NPT_CHECK_INT(number_of(pod, "processes"), 4);
	pod = json_object_get(pod, "cost");
	NPT_CHECK_INT(number_of(pod, "cpuMillis"), 5);
	NPT_CHECK_INT(number_of(pod, "nanosPerOperation"), 6);
	NPT_CHECK_INT(number_of(pod, "memoryKiB"), 7);
	NPT_CHECK_INT(number_of(pod, "lost"), 17);
	json_decref(object);
}

/* A character that JSON writes as one byte, and one that it writes as six. */
static void stays_small_whatever_is_in_it_and_says_that_rows_are_missing(void)
{
	static const char characters[] = { 'x', '\x01' };

	for (size_t i = 0; i < sizeof(characters); i++) {
		json_t *object, *pods;

		begin(PODS_MAX);
		it.pods[PODS_MAX - 1].state = NPT_POD_FAILED;
		fill_all(characters[i]);
		object = npt_task_status_to_json(&it.status);
		pods = json_object_get(object, "pods");
		NPT_CHECK(size_of(object) <= NPT_STATUS_BYTES_MAX);
		NPT_CHECK(strstr(text_of(object, "message"), "Truncated") != NULL);
		NPT_CHECK(json_array_size(pods) < NPT_STATUS_PODS_MAX);
		NPT_CHECK_INT(number_of(json_object_get(object, "targets"), "pods"), PODS_MAX);
		NPT_CHECK_INT(json_array_size(json_object_get(object, "conditions")), 6);
		if (characters[i] == 'x') {
			NPT_CHECK(json_array_size(pods) > 50);
			NPT_CHECK_STR(text_of(json_array_get(pods, 0), "state"), "Failed");
			NPT_CHECK_INT(json_array_size(json_object_get(object, "edges")), 10);
		}
		json_decref(object);
	}
}

static void keeps_all_rows_and_its_message_when_they_fit(void)
{
	json_t *object;

	begin(NPT_STATUS_PODS_MAX);
	for (size_t i = 0; i < NPT_STATUS_PODS_MAX; i++)
		fill_edge(add_edge(i, 1, 1), 'x');
	object = npt_task_status_to_json(&it.status);
	NPT_CHECK(size_of(object) <= NPT_STATUS_BYTES_MAX);
	NPT_CHECK_STR(text_of(object, "message"), "as it was");
	NPT_CHECK_INT(json_array_size(json_object_get(object, "pods")), NPT_STATUS_PODS_MAX);
	NPT_CHECK_INT(json_array_size(json_object_get(object, "edges")), NPT_STATUS_EDGES_MAX);
	json_decref(object);
}

/* No float, nothing that a reader of doubles would round. */
static void check_numbers(json_t *value)
{
	const char *key;
	json_t *child;
	size_t i;

	NPT_CHECK(!json_is_real(value));
	if (json_is_integer(value))
		NPT_CHECK(json_integer_value(value) >= 0 &&
			  json_integer_value(value) <= (json_int_t)NPT_NUMBER_MAX);
	json_object_foreach(value, key, child)
	{
		(void)key;
		check_numbers(child);
	}
	json_array_foreach(value, i, child) check_numbers(child);
}

static void numbers_are_integers_that_stop_at_2_to_53_less_1(void)
{
	json_t *object, *summary;

	begin(2);
	for (size_t i = 0; i < 2; i++) {
		struct npt_pod_summary *pod = &it.summaries[i];
		struct npt_edge_summary *edge = add_edge(i, NPT_NUMBER_MAX, UINT64_MAX / 2);

		pod->processes = pod->edges = pod->connections = UINT64_MAX / 2;
		pod->bytes_sent = pod->bytes_received = UINT64_MAX / 2;
		pod->segments_sent = pod->retransmit_segments = NPT_NUMBER_MAX;
		pod->drops = pod->windows = pod->windows_stored = NPT_NUMBER_MAX;
		pod->lost_events = pod->lost_edges = UINT64_MAX / 4;
		pod->cost.cpu_ms = pod->cost.memory_kib = UINT64_MAX;
		npt_histogram_add(&pod->rtt, UINT64_MAX / 2);
		edge->connections_open = edge->writes = UINT64_MAX;
		edge->rtt_micros.p99 = UINT64_MAX;
	}
	object = npt_task_status_to_json(&it.status);
	check_numbers(object);
	summary = json_object_get(object, "summary");
	NPT_CHECK_INT(number_of(summary, "bytesSent"), NPT_NUMBER_MAX);
	NPT_CHECK_INT(number_of(summary, "windows"), NPT_NUMBER_MAX);
	NPT_CHECK_INT(number_of(summary, "lost"), NPT_NUMBER_MAX);
	NPT_CHECK_INT(number_of(summary, "retransmitPermille"), 500);
	json_decref(object);
}

static void layers_that_nobody_has_are_named(void)
{
	json_t *object, *unavailable;

	begin(2);
	for (size_t i = 0; i < NPT_LAYER_COUNT; i++)
		it.status.layers[i] = true;
	for (size_t i = 0; i < 2; i++) {
		struct npt_named_reason *entry = &it.summaries[i].unavailable[0];

		(void)snprintf(entry->name, sizeof(entry->name), "drops-%zu", i);
		(void)snprintf(entry->reason, sizeof(entry->reason), "this kernel says none");
	}
	object = npt_task_status_to_json(&it.status);
	unavailable = json_object_get(object, "unavailable");
	check_keys(unavailable, "Requests drops-0 drops-1");
	NPT_CHECK_STR(text_of(unavailable, "Requests"), "this version does not have the layer");
	NPT_CHECK_STR(text_of(unavailable, "drops-1"), "this kernel says none");
	json_decref(object);
}

static void conditions_are_all_there_with_reason_and_time(void)
{
	static const char *const types[] = { "Accepted",      "TargetsResolved", "Running",
					     "ResultsStored", "Complete",        "Failed" };
	struct npt_condition *complete = &it.status.conditions[NPT_CONDITION_COMPLETE];
	json_t *object, *conditions;
	const json_t *condition;

	begin(0);
	complete->value = NPT_CONDITION_TRUE;
	complete->changed_unix_ms = 1767225600999;
	(void)snprintf(complete->reason, sizeof(complete->reason), "AllReported");
	(void)snprintf(complete->message, sizeof(complete->message), "all pods have reported");
	it.status.conditions[NPT_CONDITION_FAILED].value = NPT_CONDITION_FALSE;
	object = npt_task_status_to_json(&it.status);
	conditions = json_object_get(object, "conditions");
	NPT_CHECK_INT(json_array_size(conditions), NPT_ARRAY_SIZE(types));
	for (size_t i = 0; i < NPT_ARRAY_SIZE(types); i++) {
		check_keys(json_array_get(conditions, i),
			   "type status observedGeneration lastTransitionTime reason message");
		NPT_CHECK_STR(text_of(json_array_get(conditions, i), "type"), types[i]);
	}
	condition = json_array_get(conditions, NPT_CONDITION_COMPLETE);
	NPT_CHECK_STR(text_of(condition, "status"), "True");
	NPT_CHECK_INT(number_of(condition, "observedGeneration"), 3);
	NPT_CHECK_STR(text_of(condition, "lastTransitionTime"), "2026-01-01T00:00:00Z");
	NPT_CHECK_STR(text_of(condition, "reason"), "AllReported");
	NPT_CHECK_STR(text_of(condition, "message"), "all pods have reported");
	condition = json_array_get(conditions, NPT_CONDITION_FAILED);
	NPT_CHECK_STR(text_of(condition, "status"), "False");
	/* The API server refuses a condition without a reason. */
	condition = json_array_get(conditions, NPT_CONDITION_ACCEPTED);
	NPT_CHECK_STR(text_of(condition, "status"), "Unknown");
	NPT_CHECK_STR(text_of(condition, "reason"), "Pending");
	json_decref(object);
}

static const struct npt_test tests[] = {
	NPT_TEST(has_the_fields_that_others_rely_on),
	NPT_TEST(says_no_time_and_no_place_that_is_not_known),
	NPT_TEST(each_phase_has_its_name),
	NPT_TEST(summary_is_the_sum_over_the_pods),
	NPT_TEST(lists_the_ten_edges_with_most_bytes),
	NPT_TEST(the_worst_finding_comes_before_the_most_bytes),
	NPT_TEST(an_edge_says_who_talks_to_whom_and_how_fast),
	NPT_TEST(what_is_not_known_of_an_edge_is_left_out),
	NPT_TEST(a_pod_says_how_much_is_seen_of_its_tls),
	NPT_TEST(lines_of_tls_go_before_pods_do),
	NPT_TEST(what_an_edge_does_not_have_is_not_said),
	NPT_TEST(the_finding_is_the_worst_of_all_edges_and_says_whose_it_is),
	NPT_TEST(of_a_server_the_finding_names_the_client_first),
	NPT_TEST(no_problem_is_claimed_of_what_was_looked_at_only),
	NPT_TEST(lists_a_hundred_pods_failing_ones_first),
	NPT_TEST(a_pod_says_why_it_failed_and_what_measuring_cost),
	NPT_TEST(stays_small_whatever_is_in_it_and_says_that_rows_are_missing),
	NPT_TEST(keeps_all_rows_and_its_message_when_they_fit),
	NPT_TEST(numbers_are_integers_that_stop_at_2_to_53_less_1),
	NPT_TEST(layers_that_nobody_has_are_named),
	NPT_TEST(conditions_are_all_there_with_reason_and_time),
};
NPT_TEST_MAIN(tests)
