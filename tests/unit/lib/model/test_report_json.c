/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, shapes and bounds that others rely on. A field that is renamed here is a broken reader
 * somewhere else.
 */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "lib/core/alloc.h"
#include "lib/model/report.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

static json_t *json_of(const struct npt_report *report)
{
	npt_auto_free char *text = npt_report_to_json(report);
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	if (!NPT_CHECK(json_is_object(object)))
		printf("%s\n", text);
	return object;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static int64_t number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!NPT_CHECK(json_is_integer(value)))
		printf("%s is no integer\n", key);
	return json_integer_value(value);
}

/* Exactly these keys, in this order. */
static void check_keys(json_t *object, const char *expected)
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
	NPT_CHECK_STR(keys, expected);
	free(keys);
}

static void check_compact(const json_t *value, const char *expected)
{
	npt_auto_free char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	NPT_CHECK_STR(text, expected);
}

#define SET(field, text) (void)snprintf((field), sizeof(field), "%s", (text))

static struct npt_report *new_window(void)
{
	struct npt_report *report = npt_report_new();

	report->start_unix_ms = 1767225600007;
	report->duration_ms = 5000;
	report->sequence = 12;
	SET(report->instance, "i");
	SET(report->task.namespace_name, "shop");
	SET(report->task.name, "slow");
	SET(report->task.uid, "u");
	return report;
}

static void set_all_qualities(struct npt_edge *edge, enum npt_quality quality)
{
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++)
		edge->metrics[i].quality = quality;
}

/* --- the frame --- */

static void a_window_has_the_keys_that_are_fixed(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	json_t *object = json_of(report);

	check_keys(object,
		   "kind apiVersion start durationMillis instance sequence task edges other "
		   "lost unavailable sources tls cost");
	NPT_CHECK_STR(text_of(object, "kind"), "Window");
	NPT_CHECK_STR(text_of(object, "apiVersion"), "netprof.io/v1alpha1");
	NPT_CHECK_STR(text_of(object, "instance"), "i");
	NPT_CHECK_INT(number_of(object, "durationMillis"), 5000);
	NPT_CHECK_INT(number_of(object, "sequence"), 12);
	check_compact(json_object_get(object, "task"),
		      "{\"namespace\":\"shop\",\"name\":\"slow\",\"uid\":\"u\"}");
	check_compact(json_object_get(object, "edges"), "[]");
	check_compact(json_object_get(object, "other"), "{\"edges\":0}");
	check_compact(json_object_get(object, "lost"), "{\"events\":0,\"edges\":0}");
	check_compact(json_object_get(object, "unavailable"), "{}");
	check_compact(json_object_get(object, "tls"), "[]");
	check_compact(json_object_get(object, "cost"),
		      "{\"cpuMillis\":0,\"hooksMillis\":0,\"nanosPerOperation\":0,\"memoryKiB\":0,"
		      "\"degraded\":[]}");
	json_decref(object);
}

static void a_report_differs_from_a_window_in_its_kind_only(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	json_t *object;

	report->kind = NPT_REPORT_REPORT;
	object = json_of(report);
	NPT_CHECK_STR(text_of(object, "kind"), "Report");
	check_keys(object,
		   "kind apiVersion start durationMillis instance sequence task edges other "
		   "lost unavailable sources tls cost");
	json_decref(object);
}

static void pod_and_node_are_said_in_a_cluster(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	json_t *object;

	SET(report->pod.namespace_name, "shop");
	SET(report->pod.name, "web-1");
	SET(report->pod.uid, "p");
	SET(report->node, "n1");
	object = json_of(report);
	check_keys(object, "kind apiVersion start durationMillis instance sequence task pod node "
			   "edges other lost unavailable sources tls cost");
	check_compact(json_object_get(object, "pod"),
		      "{\"namespace\":\"shop\",\"name\":\"web-1\",\"uid\":\"p\"}");
	NPT_CHECK_STR(text_of(object, "node"), "n1");
	json_decref(object);
}

static void times_are_utc_with_milliseconds(void)
{
	static const struct {
		uint64_t unix_ms;
		const char *text;
	} cases[] = {
		{ 1767225600000, "2026-01-01T00:00:00.000Z" },
		{ 1767225600007, "2026-01-01T00:00:00.007Z" },
		{ 1767225599999, "2025-12-31T23:59:59.999Z" },
		{ 1709208000120, "2024-02-29T12:00:00.120Z" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_report_free) struct npt_report *report = new_window();
		json_t *object;

		report->start_unix_ms = cases[i].unix_ms;
		object = json_of(report);
		NPT_CHECK_STR(text_of(object, "start"), cases[i].text);
		json_decref(object);
	}
}

static void what_is_lost_what_is_missing_and_what_it_cost_is_said(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	json_t *object;

	report->other_edges = 1;
	report->lost.events = 2;
	report->lost.edges = 3;
	report->cost.cpu_ms = 4;
	report->cost.hooks_ms = 3;
	report->cost.ns_per_operation = 5;
	report->cost.memory_kib = 6;
	SET(report->cost.degraded[0], "slices shorter");
	SET(report->cost.degraded[1], "operations off");
	npt_report_set_unavailable(report, "accept", "no slices");
	npt_report_set_unavailable(report, "drops", "no reasons");
	object = json_of(report);
	check_compact(json_object_get(object, "other"), "{\"edges\":1}");
	check_compact(json_object_get(object, "lost"), "{\"events\":2,\"edges\":3}");
	check_compact(json_object_get(object, "unavailable"),
		      "{\"accept\":\"no slices\",\"drops\":\"no reasons\"}");
	check_compact(json_object_get(object, "cost"),
		      "{\"cpuMillis\":4,\"hooksMillis\":3,\"nanosPerOperation\":5,\"memoryKiB\":6,"
		      "\"degraded\":[\"slices shorter\",\"operations off\"]}");
	json_decref(object);
}

/* --- an edge --- */

static void an_edge_has_the_keys_that_are_fixed(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	json_t *object, *edge;

	(void)npt_report_add_edge(report);
	object = json_of(report);
	edge = json_array_get(json_object_get(object, "edges"), 0);
	check_keys(edge,
		   "id process role peer transport protocol tls connections sent received write "
		   "read rtt connect accept close response unread retransmit drops "
		   "dropsUnspecified resets limited queue finding");
	check_keys(json_object_get(edge, "process"), "pid startNanos name comm container pod");
	check_keys(json_object_get(edge, "peer"), "kind name address port");
	check_keys(json_object_get(edge, "connections"), "open opened found closed failed");
	check_keys(json_object_get(edge, "sent"), "bytes segments");
	check_keys(json_object_get(edge, "received"), "bytes segments");
	check_keys(json_object_get(edge, "retransmit"), "segments bytes syn tailLoss spurious");
	check_keys(json_object_get(edge, "resets"), "sent received");
	check_keys(json_object_get(edge, "limited"), "applicationMicros receiveWindowMicros "
						     "sendBufferMicros networkMicros");
	check_keys(json_object_get(edge, "queue"), "unreadBytes unsentBytes acceptBacklog "
						   "acceptBacklogMax synBacklog listenDrops");
	check_keys(json_object_get(edge, "finding"), "verdict confidence text");
	json_decref(object);
}

static void an_edge_says_whose_it_is(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	json_t *object, *said;

	edge->process.pid = 4711;
	edge->process.start_ns = 42;
	SET(edge->process.name, "nginx");
	SET(edge->process.comm, "ngi\"nx\xff");
	SET(edge->process.container, "app");
	SET(edge->process.pod, "web-1");
	edge->role = NPT_ROLE_SERVER;
	SET(edge->transport, "tcp");
	SET(edge->protocol, "unknown");
	edge->tls = NPT_TLS_YES;
	object = json_of(report);
	said = json_array_get(json_object_get(object, "edges"), 0);
	check_compact(json_object_get(said, "process"),
		      "{\"pid\":4711,\"startNanos\":42,\"name\":\"nginx\",\"comm\":\"ngi\\\"nx?\","
		      "\"container\":\"app\",\"pod\":\"web-1\"}");
	NPT_CHECK_STR(text_of(said, "role"), "server");
	NPT_CHECK_STR(text_of(said, "transport"), "tcp");
	NPT_CHECK_STR(text_of(said, "protocol"), "unknown");
	NPT_CHECK_STR(text_of(said, "tls"), "yes");
	json_decref(object);
}

static void a_peer_says_what_it_is_and_how_it_was_reached(void)
{
	static const char *const kinds[] = { "address", "process", "pod", "service", "node" };
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	json_t *object;

	for (unsigned int i = 0; i < NPT_ARRAY_SIZE(kinds); i++) {
		struct npt_peer *peer = &npt_report_add_edge(report)->peer;

		peer->kind = (enum npt_peer_kind)i;
		peer->pid = 99;
		peer->port = 65535;
		SET(peer->name, "db");
		SET(peer->namespace_name, "shop");
		SET(peer->address, "fd00::1");
		SET(peer->asked, "10.96.0.7:80");
		SET(peer->reached, "unknown");
	}
	object = json_of(report);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(kinds); i++) {
		json_t *edge = json_array_get(json_object_get(object, "edges"), i);
		npt_auto_free char *expected = npt_format(
			"{\"kind\":\"%s\",\"name\":\"db\",\"namespace\":\"shop\",%s"
			"\"address\":\"fd00::1\",\"port\":65535,\"asked\":\"10.96.0.7:80\","
			"\"reached\":\"unknown\"}",
			kinds[i], i == NPT_PEER_PROCESS ? "\"pid\":99," : "");

		check_compact(json_object_get(edge, "peer"), expected);
	}
	json_decref(object);
}

static void counters_of_an_edge_stand_where_they_belong(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	json_t *object, *said;

	edge->connections.open = 3;
	edge->connections.opened = 2;
	edge->connections.found = 4;
	edge->connections.closed = 1;
	npt_named_count_add(edge->connections.failed, NPT_EDGE_FAILED_MAX, "ECONNREFUSED", 5);
	edge->sent.bytes = 6;
	edge->sent.segments = 7;
	edge->received.bytes = 8;
	edge->received.segments = 9;
	edge->retransmit.segments = 10;
	edge->retransmit.bytes = 11;
	edge->retransmit.syn = 12;
	edge->retransmit.tail_loss = 17;
	edge->retransmit.spurious = 13;
	npt_named_count_add(edge->drops, NPT_EDGE_DROPS_MAX, "NO_SOCKET", 14);
	npt_named_count_add(edge->drops, NPT_EDGE_DROPS_MAX, "TCP_CSUM", 15);
	edge->drops_unspecified = 16;
	object = json_of(report);
	said = json_array_get(json_object_get(object, "edges"), 0);
	check_compact(json_object_get(said, "connections"),
		      "{\"open\":3,\"opened\":2,\"found\":4,\"closed\":1,"
		      "\"failed\":{\"ECONNREFUSED\":5}}");
	check_compact(json_object_get(said, "sent"), "{\"bytes\":6,\"segments\":7}");
	check_compact(json_object_get(said, "received"), "{\"bytes\":8,\"segments\":9}");
	check_compact(json_object_get(said, "retransmit"),
		      "{\"segments\":10,\"bytes\":11,\"syn\":12,\"tailLoss\":17,"
		      "\"spurious\":13}");
	check_compact(json_object_get(said, "drops"), "{\"NO_SOCKET\":14,\"TCP_CSUM\":15}");
	NPT_CHECK_INT(number_of(said, "dropsUnspecified"), 16);
	json_decref(object);
}

static void resets_waits_and_queues_stand_where_they_belong(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	json_t *object, *said;

	npt_named_count_add(edge->resets_sent, NPT_EDGE_RESETS_MAX, "TCP_ABORT_ON_DATA", 1);
	npt_named_count_add(edge->resets_received, NPT_EDGE_RESETS_MAX, "ECONNRESET", 2);
	npt_named_count_add(edge->resets_received, NPT_EDGE_RESETS_MAX, "EPIPE", 3);
	edge->limited.application_micros = 4;
	edge->limited.receive_window_micros = 5;
	edge->limited.send_buffer_micros = 6;
	edge->limited.network_micros = 7;
	edge->queue.unread_bytes = 8;
	edge->queue.unsent_bytes = 9;
	edge->queue.accept_backlog = 10;
	edge->queue.accept_backlog_max = 11;
	edge->queue.syn_backlog = 12;
	edge->queue.listen_drops = 13;
	object = json_of(report);
	said = json_array_get(json_object_get(object, "edges"), 0);
	check_compact(json_object_get(said, "resets"),
		      "{\"sent\":{\"TCP_ABORT_ON_DATA\":1},"
		      "\"received\":{\"ECONNRESET\":2,\"EPIPE\":3}}");
	check_compact(json_object_get(said, "limited"),
		      "{\"applicationMicros\":4,\"receiveWindowMicros\":5,"
		      "\"sendBufferMicros\":6,\"networkMicros\":7}");
	check_compact(json_object_get(said, "queue"),
		      "{\"unreadBytes\":8,\"unsentBytes\":9,\"acceptBacklog\":10,"
		      "\"acceptBacklogMax\":11,\"synBacklog\":12,\"listenDrops\":13}");
	json_decref(object);
}

/* As text: what a reader sees, with no more digits than are known. */
static void a_finding_is_a_verdict_how_sure_it_is_and_why(void)
{
	static const struct {
		enum npt_verdict verdict;
		uint32_t permille;
		const char *said;
	} cases[] = {
		{ NPT_VERDICT_UNKNOWN, 0, "\"Unknown\",\"confidence\":0.0," },
		{ NPT_VERDICT_NONE, 1000, "\"None\",\"confidence\":1.0," },
		{ NPT_VERDICT_SENDER_APPLICATION, 700,
		  "\"SenderApplication\",\"confidence\":0.7," },
		{ NPT_VERDICT_SENDER_BUFFER, 999, "\"SenderBuffer\",\"confidence\":0.999," },
		{ NPT_VERDICT_RECEIVER_WINDOW, 1, "\"ReceiverWindow\",\"confidence\":0.001," },
		{ NPT_VERDICT_RECEIVER_APPLICATION, 333,
		  "\"ReceiverApplication\",\"confidence\":0.333," },
		{ NPT_VERDICT_NETWORK_DELAY, 870,
		  "\"Network\",\"cause\":\"delay\",\"confidence\":0.87," },
		{ NPT_VERDICT_NETWORK_LOSS, 501,
		  "\"Network\",\"cause\":\"loss\",\"confidence\":0.501," },
		{ NPT_VERDICT_SERVER, 875, "\"Server\",\"confidence\":0.875," },
		{ NPT_VERDICT_LISTENER, 100, "\"Listener\",\"confidence\":0.1," },
		{ NPT_VERDICT_CONNECT_FAILURE, 10, "\"ConnectFailure\",\"confidence\":0.01," },
	};

	NPT_CHECK_INT(NPT_ARRAY_SIZE(cases), NPT_VERDICT_COUNT);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_report_free) struct npt_report *report = new_window();
		struct npt_edge *edge = npt_report_add_edge(report);
		npt_auto_free char *text = NULL, *expected = NULL;

		edge->finding.verdict = cases[i].verdict;
		edge->finding.confidence_permille = cases[i].permille;
		SET(edge->finding.text, "480 ms of 492 ms");
		text = npt_edge_to_json(edge);
		expected = npt_format("\"finding\":{\"verdict\":%s\"text\":\"480 ms of 492 ms\"}}",
				      cases[i].said);
		if (!NPT_CHECK(strstr(text, expected) != NULL))
			printf("%s\n", text);
	}
}

static void verdicts_are_sorted_from_nothing_to_the_worst(void)
{
	NPT_CHECK_INT(npt_verdict_severity(NPT_VERDICT_UNKNOWN), 0);
	NPT_CHECK_INT(npt_verdict_severity(NPT_VERDICT_NONE), 0);
	for (unsigned int i = NPT_VERDICT_NONE + 1; i < NPT_VERDICT_COUNT; i++)
		NPT_CHECK(npt_verdict_severity((enum npt_verdict)i) >
			  npt_verdict_severity((enum npt_verdict)(i - 1)));
}

/* --- protocol and TLS --- */

static void what_is_spoken_is_said_as_far_as_it_is_known(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	json_t *object, *said;

	SET(edge->protocol, "http1");
	edge->protocol_confidence_permille = 990;
	edge->tls = NPT_TLS_YES;
	edge->label = 2;
	SET(edge->tls_facts.version, "1.3");
	SET(edge->tls_facts.sni, "shop\xff.example");
	SET(edge->tls_facts.alpn, "h2");
	SET(edge->tls_facts.cipher, "TLS_AES_128_GCM_SHA256");
	object = json_of(report);
	said = json_array_get(json_object_get(object, "edges"), 0);
	NPT_CHECK_STR(text_of(said, "protocol"), "http1");
	NPT_CHECK(json_real_value(json_object_get(said, "protocolConfidence")) == 0.99);
	NPT_CHECK_INT(number_of(said, "label"), 2);
	NPT_CHECK_STR(text_of(said, "tlsVersion"), "1.3");
	NPT_CHECK_STR(text_of(said, "sni"), "shop?.example");
	NPT_CHECK_STR(text_of(said, "alpn"), "h2");
	NPT_CHECK_STR(text_of(said, "cipher"), "TLS_AES_128_GCM_SHA256");
	json_decref(object);
}

static void handshakes_and_calls_are_said_where_there_were_any(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	json_t *object, *said, *handshakes;

	edge->handshakes.count = 3;
	edge->handshakes.resumed = 2;
	edge->handshakes.client_certificates = 1;
	edge->handshakes.failed = 4;
	SET(edge->handshakes.alerts_sent[0].name, "unknown_ca");
	edge->handshakes.alerts_sent[0].count = 5;
	SET(edge->handshakes.alerts_received[0].name, "close_notify");
	edge->handshakes.alerts_received[0].count = 6;
	npt_histogram_add(&edge->handshakes.micros, 1500);
	edge->tls_calls.writes = 7;
	edge->tls_calls.written_bytes = 70;
	edge->tls_calls.reads = 8;
	edge->tls_calls.read_bytes = 80;
	edge->connections.moved_in = 9;
	edge->connections.moved_out = 10;
	edge->connections.kernel_tls = 11;
	object = json_of(report);
	said = json_array_get(json_object_get(object, "edges"), 0);
	handshakes = json_object_get(said, "handshakes");
	check_keys(handshakes, "count resumed clientCertificates failed alerts micros");
	NPT_CHECK_INT(number_of(handshakes, "count"), 3);
	NPT_CHECK_INT(number_of(handshakes, "resumed"), 2);
	NPT_CHECK_INT(number_of(handshakes, "clientCertificates"), 1);
	NPT_CHECK_INT(number_of(handshakes, "failed"), 4);
	check_compact(json_object_get(handshakes, "alerts"),
		      "{\"sent\":{\"unknown_ca\":5},\"received\":{\"close_notify\":6}}");
	NPT_CHECK_INT(number_of(json_object_get(handshakes, "micros"), "max"), 1500);
	check_compact(json_object_get(said, "tlsCalls"),
		      "{\"write\":{\"count\":7,\"bytes\":70},\"read\":{\"count\":8,\"bytes\":80}}");
	NPT_CHECK_INT(number_of(json_object_get(said, "connections"), "movedIn"), 9);
	NPT_CHECK_INT(number_of(json_object_get(said, "connections"), "movedOut"), 10);
	NPT_CHECK_INT(number_of(json_object_get(said, "connections"), "kernelTls"), 11);
	json_decref(object);
}

static void a_failed_handshake_alone_is_said_too(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	json_t *object;

	npt_report_add_edge(report)->handshakes.failed = 1;
	(void)npt_report_add_edge(report);
	object = json_of(report);
	NPT_CHECK(json_object_get(json_array_get(json_object_get(object, "edges"), 0),
				  "handshakes") != NULL);
	NPT_CHECK(json_object_get(json_array_get(json_object_get(object, "edges"), 1),
				  "handshakes") == NULL);
	json_decref(object);
}

static void each_library_has_a_line(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_tls_use *use = npt_report_add_tls(report);
	json_t *object;

	use->pid = 42;
	use->start_ns = 7;
	SET(use->process, "envoy");
	SET(use->library, "BoringSSL");
	SET(use->how, "its handshakes");
	use->coverage = NPT_COVERAGE_METADATA;
	SET(use->why, "no symbols");
	use = npt_report_add_tls(report);
	use->pid = 43;
	SET(use->process, "pool");
	SET(use->library, "OpenSSL");
	use->coverage = NPT_COVERAGE_FULL;
	use->unassigned_calls = 12;
	report->tls_other = 3;
	object = json_of(report);
	check_compact(
		json_object_get(object, "tls"),
		"[{\"pid\":42,\"startNanos\":7,\"process\":\"envoy\",\"library\":\"BoringSSL\","
		"\"version\":\"\",\"how\":\"its handshakes\",\"coverage\":\"metadata\","
		"\"why\":\"no symbols\"},"
		"{\"pid\":43,\"startNanos\":0,\"process\":\"pool\",\"library\":\"OpenSSL\","
		"\"version\":\"\",\"how\":\"\",\"coverage\":\"full\",\"why\":\"\","
		"\"unassignedCalls\":12}]");
	NPT_CHECK_INT(number_of(object, "tlsOther"), 3);
	json_decref(object);
}

/* --- metrics --- */

static void only_what_was_measured_is_a_metric(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	json_t *object, *said;

	set_all_qualities(edge, NPT_QUALITY_UNAVAILABLE);
	edge->metrics[NPT_METRIC_RTT].quality = NPT_QUALITY_ESTIMATED;
	edge->metrics[NPT_METRIC_READ].quality = NPT_QUALITY_SAMPLED;
	object = json_of(report);
	said = json_array_get(json_object_get(object, "edges"), 0);
	check_keys(said,
		   "id process role peer transport protocol tls connections sent received read "
		   "rtt retransmit drops dropsUnspecified resets limited queue finding");
	NPT_CHECK_STR(text_of(json_object_get(said, "rtt"), "quality"), "estimated");
	NPT_CHECK_STR(text_of(json_object_get(said, "read"), "quality"), "sampled");
	json_decref(object);
}

static void bytes_are_said_where_they_mean_something(void)
{
	static const char *const with[] = { "write", "read" };
	static const char *const without[] = { "rtt", "connect", "accept", "close", "unread" };
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	json_t *object, *said;

	for (size_t i = 0; i < NPT_METRIC_COUNT; i++)
		edge->metrics[i].bytes = 8;
	object = json_of(report);
	said = json_array_get(json_object_get(object, "edges"), 0);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(with); i++) {
		check_keys(json_object_get(said, with[i]), "count bytes quality micros");
		NPT_CHECK_INT(number_of(json_object_get(said, with[i]), "bytes"), 8);
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(without); i++)
		check_keys(json_object_get(said, without[i]), strcmp(without[i], "rtt") == 0
								      ? "count min quality micros"
								      : "count quality micros");
	check_keys(json_object_get(said, "response"), "count overlapped quality micros");
	json_decref(object);
}

static void responses_of_which_many_crossed_each_other_are_not_said(void)
{
	static const struct {
		uint64_t count, overlapped;
		bool said;
	} cases[] = {
		{ 0, 0, true },
		{ 20, 1, true },
		{ 19, 1, true }, /* 5 % */
		{ 18, 1, false },
		{ 1900, 100, true },
		{ 1899, 100, false },
		{ 0, 1, false },
		{ 1, UINT64_MAX / 2, false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_report_free) struct npt_report *report = new_window();
		struct npt_edge *edge = npt_report_add_edge(report);
		struct npt_metric *metric = &edge->metrics[NPT_METRIC_RESPONSE];
		json_t *object, *said;

		metric->count = cases[i].count;
		metric->overlapped = cases[i].overlapped;
		metric->quality = NPT_QUALITY_SAMPLED;
		object = json_of(report);
		said = json_array_get(json_object_get(object, "edges"), 0);
		said = json_object_get(said, "response");
		if (!NPT_CHECK_INT(said != NULL, cases[i].said))
			printf("case %zu\n", i);
		if (said) {
			NPT_CHECK_INT(number_of(said, "overlapped"), cases[i].overlapped);
			NPT_CHECK_STR(text_of(said, "quality"), "sampled");
		}
		NPT_CHECK_INT(npt_metric_quality(NPT_METRIC_RESPONSE, metric),
			      cases[i].said ? NPT_QUALITY_SAMPLED : NPT_QUALITY_UNAVAILABLE);
		/* No other metric has turns that could cross. */
		NPT_CHECK_INT(npt_metric_quality(NPT_METRIC_READ, metric), NPT_QUALITY_SAMPLED);
		json_decref(object);
	}
}

/* The metric "write" of a window with these times. */
static json_t *micros_of(const struct npt_histogram *micros)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	json_t *object, *found;

	edge->metrics[NPT_METRIC_WRITE].micros = *micros;
	object = json_of(report);
	found = json_object_get(json_array_get(json_object_get(object, "edges"), 0), "write");
	found = json_incref(json_object_get(found, "micros"));
	json_decref(object);
	return found;
}

static void add_times(struct npt_histogram *micros, size_t count, uint64_t value)
{
	for (size_t i = 0; i < count; i++)
		npt_histogram_add(micros, value);
}

/* Ranks 50, 95 and 99 of 100 are the first in their buckets: [96,111], [896,1023], [8192,10239]. */
static void quantiles_are_midpoints_by_rank(void)
{
	struct npt_histogram micros = { 0 };
	json_t *said;

	add_times(&micros, 49, 10);
	add_times(&micros, 45, 100);
	add_times(&micros, 4, 1000);
	add_times(&micros, 2, 10000);
	said = micros_of(&micros);
	check_compact(said, "{\"count\":100,\"sum\":28990,\"p50\":103,\"p95\":959,\"p99\":9215,"
			    "\"max\":10000,\"buckets\":[[10,49],[96,45],[896,4],[8192,2]]}");
	json_decref(said);
}

static void a_quantile_is_at_most_the_largest_value(void)
{
	struct npt_histogram micros = { 0 };
	json_t *said;

	add_times(&micros, 1, 97);
	said = micros_of(&micros);
	check_compact(said, "{\"count\":1,\"sum\":97,\"p50\":97,\"p95\":97,\"p99\":97,\"max\":97,"
			    "\"buckets\":[[96,1]]}");
	json_decref(said);
}

static void buckets_are_sparse_from_exact_values_to_overflow(void)
{
	static const uint64_t values[] = { 0, 3, 4, 7, 8, 9, 4294967295, 4294967296 };
	struct npt_histogram micros = { 0 };
	json_t *said;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(values); i++)
		add_times(&micros, 1, values[i]);
	said = micros_of(&micros);
	check_compact(json_object_get(said, "buckets"),
		      "[[0,1],[3,1],[4,1],[7,1],[8,2],[3758096384,1],[4294967296,1]]");
	json_decref(said);
	memset(&micros, 0, sizeof(micros));
	said = micros_of(&micros);
	check_compact(said, "{\"count\":0,\"sum\":0,\"p50\":0,\"p95\":0,\"p99\":0,\"max\":0,"
			    "\"buckets\":[]}");
	json_decref(said);
}

/* --- bounds --- */

/* Integers, but for a confidence. */
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
		if (strcmp(key, "confidence") != 0 && strcmp(key, "protocolConfidence") != 0)
			check_numbers(child);
	}
	json_array_foreach(value, i, child) check_numbers(child);
}

static void numbers_are_integers_that_stop_at_2_to_53_less_1(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	struct npt_edge *edge = npt_report_add_edge(report);
	struct npt_histogram *micros = &edge->metrics[NPT_METRIC_WRITE].micros;
	json_t *object, *said;

	edge->sent.bytes = NPT_NUMBER_MAX;
	edge->sent.segments = NPT_NUMBER_MAX + 1;
	edge->received.bytes = UINT64_MAX;
	edge->process.start_ns = UINT64_MAX;
	edge->drops_unspecified = UINT64_MAX;
	edge->limited.network_micros = edge->queue.listen_drops = UINT64_MAX;
	npt_named_count_add(edge->drops, NPT_EDGE_DROPS_MAX, "NO_SOCKET", UINT64_MAX);
	edge->metrics[NPT_METRIC_WRITE].count = UINT64_MAX;
	micros->count = micros->buckets[5] = micros->sum_micros = micros->max_micros = UINT64_MAX;
	report->lost.events = report->other_edges = report->cost.cpu_ms = UINT64_MAX;
	report->sequence = report->duration_ms = UINT64_MAX;
	object = json_of(report);
	check_numbers(object);
	said = json_array_get(json_object_get(object, "edges"), 0);
	check_compact(json_object_get(said, "sent"),
		      "{\"bytes\":9007199254740991,\"segments\":9007199254740991}");
	NPT_CHECK_INT(number_of(json_object_get(said, "received"), "bytes"), NPT_NUMBER_MAX);
	check_compact(json_object_get(said, "drops"), "{\"NO_SOCKET\":9007199254740991}");
	said = json_object_get(json_object_get(said, "write"), "micros");
	check_compact(json_object_get(said, "buckets"), "[[5,9007199254740991]]");
	json_decref(object);
}

static void any_window_is_one_line_of_json_with_numbers_that_no_reader_rounds(void)
{
	uint64_t seed = npt_test_seed();

	for (size_t round = 0; round < 20; round++) {
		npt_auto(npt_report_free) struct npt_report *report =
			npt_test_random_report(&seed, round);
		npt_auto_free char *text = npt_report_to_json(report);
		json_t *object = json_of(report);

		NPT_CHECK(strchr(text, '\n') == NULL);
		NPT_CHECK_INT(json_array_size(json_object_get(object, "edges")), round);
		check_numbers(object);
		json_decref(object);
	}
}

static void pieces_put_together_are_the_whole(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_window();
	npt_auto_free char *whole = NULL, *before = NULL, *after = NULL, *one = NULL, *two = NULL;
	npt_auto_free char *together = NULL;

	npt_report_add_edge(report)->process.pid = 1;
	npt_report_add_edge(report)->process.pid = 2;
	whole = npt_report_to_json(report);
	npt_report_json_frame(report, &before, &after);
	one = npt_edge_to_json(&report->edges[0]);
	two = npt_edge_to_json(&report->edges[1]);
	together = npt_format("%s%s,%s%s", before, one, two, after);
	NPT_CHECK_STR(together, whole);
}

static const struct npt_test tests[] = {
	NPT_TEST(a_window_has_the_keys_that_are_fixed),
	NPT_TEST(a_report_differs_from_a_window_in_its_kind_only),
	NPT_TEST(pod_and_node_are_said_in_a_cluster),
	NPT_TEST(times_are_utc_with_milliseconds),
	NPT_TEST(what_is_lost_what_is_missing_and_what_it_cost_is_said),
	NPT_TEST(an_edge_has_the_keys_that_are_fixed),
	NPT_TEST(an_edge_says_whose_it_is),
	NPT_TEST(a_peer_says_what_it_is_and_how_it_was_reached),
	NPT_TEST(counters_of_an_edge_stand_where_they_belong),
	NPT_TEST(resets_waits_and_queues_stand_where_they_belong),
	NPT_TEST(a_finding_is_a_verdict_how_sure_it_is_and_why),
	NPT_TEST(verdicts_are_sorted_from_nothing_to_the_worst),
	NPT_TEST(what_is_spoken_is_said_as_far_as_it_is_known),
	NPT_TEST(handshakes_and_calls_are_said_where_there_were_any),
	NPT_TEST(a_failed_handshake_alone_is_said_too),
	NPT_TEST(each_library_has_a_line),
	NPT_TEST(only_what_was_measured_is_a_metric),
	NPT_TEST(bytes_are_said_where_they_mean_something),
	NPT_TEST(responses_of_which_many_crossed_each_other_are_not_said),
	NPT_TEST(quantiles_are_midpoints_by_rank),
	NPT_TEST(a_quantile_is_at_most_the_largest_value),
	NPT_TEST(buckets_are_sparse_from_exact_values_to_overflow),
	NPT_TEST(numbers_are_integers_that_stop_at_2_to_53_less_1),
	NPT_TEST(any_window_is_one_line_of_json_with_numbers_that_no_reader_rounds),
	NPT_TEST(pieces_put_together_are_the_whole),
};
NPT_TEST_MAIN(tests)
