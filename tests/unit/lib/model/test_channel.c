/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

static struct npt_channel_message *round_trip(const struct npt_channel_message *message)
{
	npt_auto_free char *frame = npt_channel_encode(message);
	struct npt_channel_message *back = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(npt_channel_decode(frame, strlen(frame), &back, &err) == 0);
	NPT_CHECK_STR(err.text, "");
	return back;
}

static void carries_a_wanted_state(void)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *message =
		npt_channel_message_new(NPT_CHANNEL_WANTED);
	npt_auto(npt_channel_message_free) struct npt_channel_message *back = NULL;
	struct npt_assignment *assignment;

	message->assignments = npt_alloc(1, sizeof(*message->assignments));
	message->assignments_count = 1;
	assignment = &message->assignments[0];
	(void)snprintf(assignment->id, sizeof(assignment->id), "id");
	(void)snprintf(assignment->task.uid, sizeof(assignment->task.uid), "uid");
	assignment->interval_seconds = 5;
	assignment->remaining_ms = 59999;
	assignment->layers[NPT_LAYER_OPERATIONS] = true;
	assignment->ingest_token = npt_strdup("token");
	assignment->targets = npt_alloc(1, sizeof(*assignment->targets));
	assignment->targets_count = 1;
	(void)snprintf(assignment->targets[0].uid, sizeof(assignment->targets[0].uid), "pod");
	(void)snprintf(assignment->targets[0].only[0], sizeof(assignment->targets[0].only[0]), "c");
	assignment->targets[0].host_network = true;
	back = round_trip(message);
	NPT_CHECK_INT(back->assignments_count, 1);
	NPT_CHECK_INT(back->assignments[0].remaining_ms, 59999);
	NPT_CHECK(back->assignments[0].layers[NPT_LAYER_OPERATIONS]);
	NPT_CHECK(!back->assignments[0].layers[NPT_LAYER_BASE]);
	NPT_CHECK_STR(back->assignments[0].ingest_token, "token");
	NPT_CHECK_STR(back->assignments[0].targets[0].only[0], "c");
	NPT_CHECK(back->assignments[0].targets[0].host_network);
}

static void carries_a_summary(void)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *message =
		npt_channel_message_new(NPT_CHANNEL_SUMMARY);
	npt_auto(npt_channel_message_free) struct npt_channel_message *back = NULL;
	struct npt_pod_summary *pod = npt_alloc(1, sizeof(*pod));

	message->held = npt_alloc(1, sizeof(*message->held));
	message->held_count = 1;
	(void)snprintf(message->held[0].task_uid, sizeof(message->held[0].task_uid), "t");
	message->held[0].pods = pod;
	message->held[0].pods_count = 1;
	message->held[0].state = NPT_ASSIGNMENT_DRAINING;
	pod->state = NPT_POD_FAILED;
	pod->bytes_sent = NPT_NUMBER_MAX;
	npt_histogram_add(&pod->rtt, 1234);
	pod->top_count = 1;
	pod->top[0].role = NPT_ROLE_SERVER;
	pod->top[0].peer.kind = NPT_PEER_SERVICE;
	pod->top[0].peer.port = 65535;
	pod->edges_judged = 3;
	(void)snprintf(pod->top[0].transport, sizeof(pod->top[0].transport), "udp");
	pod->top[0].response_micros = (struct npt_quantiles){ .p50 = 1, .p95 = 2, .p99 = 3 };
	pod->top[0].verdict = NPT_VERDICT_SERVER;
	pod->top[0].confidence_permille = 1000;
	(void)snprintf(pod->top[0].finding, sizeof(pod->top[0].finding), "slow");
	(void)snprintf(pod->unavailable[0].name, sizeof(pod->unavailable[0].name), "drops");
	(void)snprintf(pod->unavailable[0].reason, sizeof(pod->unavailable[0].reason), "why");
	back = round_trip(message);
	pod = back->held[0].pods;
	NPT_CHECK_INT(back->held[0].state, NPT_ASSIGNMENT_DRAINING);
	NPT_CHECK_INT(pod->state, NPT_POD_FAILED);
	NPT_CHECK(pod->bytes_sent == NPT_NUMBER_MAX);
	NPT_CHECK_INT(npt_histogram_quantile_micros(&pod->rtt, 500), 1151);
	NPT_CHECK_INT(pod->top[0].peer.kind, NPT_PEER_SERVICE);
	NPT_CHECK_INT(pod->top[0].peer.port, 65535);
	NPT_CHECK_INT(pod->edges_judged, 3);
	NPT_CHECK_STR(pod->top[0].transport, "udp");
	NPT_CHECK_INT(pod->top[0].response_micros.p50, 1);
	NPT_CHECK_INT(pod->top[0].response_micros.p95, 2);
	NPT_CHECK_INT(pod->top[0].response_micros.p99, 3);
	NPT_CHECK_INT(pod->top[0].verdict, NPT_VERDICT_SERVER);
	NPT_CHECK_INT(pod->top[0].confidence_permille, 1000);
	NPT_CHECK_STR(pod->top[0].finding, "slow");
	NPT_CHECK_STR(pod->unavailable[0].reason, "why");
}

static void hello_carries_what_the_node_can_do(void)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *message =
		npt_channel_message_new(NPT_CHANNEL_HELLO);
	npt_auto(npt_channel_message_free) struct npt_channel_message *back = NULL;
	npt_auto_free char *kind = NULL;

	(void)snprintf(message->kernel, sizeof(message->kernel), "6.1.0");
	(void)snprintf(message->version, sizeof(message->version), "1.2");
	message->layers[NPT_LAYER_BASE] = true;
	(void)snprintf(message->unavailable[0].name, NPT_REASON_BYTES, "unread");
	(void)snprintf(message->unavailable[0].reason, NPT_TEXT_BYTES, "needs 6.3");
	back = round_trip(message);
	NPT_CHECK_STR(back->unavailable[0].name, "unread");
	NPT_CHECK_STR(back->unavailable[0].reason, "needs 6.3");
	NPT_CHECK_STR(back->unavailable[1].name, "");
	kind = npt_channel_kind_to_json(back);
	NPT_CHECK_STR(kind, "{\"version\":\"1.2\",\"kernel\":\"6.1.0\",\"layers\":[\"Base\"],"
			    "\"unavailable\":{\"unread\":\"needs 6.3\"}}");
}

static void carries_what_is_spoken_and_how_much_is_seen_of_it(void)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *message =
		npt_channel_message_new(NPT_CHANNEL_SUMMARY);
	npt_auto(npt_channel_message_free) struct npt_channel_message *back = NULL;
	struct npt_pod_summary *pod = npt_alloc(1, sizeof(*pod));

	message->held = npt_alloc(1, sizeof(*message->held));
	message->held_count = 1;
	(void)snprintf(message->held[0].task_uid, sizeof(message->held[0].task_uid), "t");
	message->held[0].pods = pod;
	message->held[0].pods_count = 1;
	pod->top_count = 2;
	(void)snprintf(pod->top[0].protocol, sizeof(pod->top[0].protocol), "grpc");
	pod->top[0].protocol_confidence_permille = 999;
	pod->top[0].protocol_by_hop = true;
	pod->top[0].label = 3;
	pod->top[0].tls = NPT_TLS_YES;
	(void)snprintf(pod->top[0].tls_version, sizeof(pod->top[0].tls_version), "1.3");
	(void)snprintf(pod->top[0].sni, sizeof(pod->top[0].sni), "a.example");
	(void)snprintf(pod->top[0].alpn, sizeof(pod->top[0].alpn), "h2");
	(void)snprintf(pod->top[0].cipher, sizeof(pod->top[0].cipher), "TLS_X");
	pod->tls_count = NPT_SUMMARY_TLS_MAX;
	pod->tls[NPT_SUMMARY_TLS_MAX - 1] = (struct npt_tls_summary){ .library = "GnuTLS",
								      .version = "3.8",
								      .coverage = NPT_COVERAGE_FULL,
								      .why = "w",
								      .processes = 7 };
	back = round_trip(message);
	pod = back->held[0].pods;
	NPT_CHECK_STR(pod->top[0].protocol, "grpc");
	NPT_CHECK_INT(pod->top[0].protocol_confidence_permille, 999);
	NPT_CHECK(pod->top[0].protocol_by_hop && !pod->top[1].protocol_by_hop);
	NPT_CHECK_INT(pod->top[0].label, 3);
	NPT_CHECK_INT(pod->top[0].tls, NPT_TLS_YES);
	NPT_CHECK_STR(pod->top[0].tls_version, "1.3");
	NPT_CHECK_STR(pod->top[0].sni, "a.example");
	NPT_CHECK_STR(pod->top[0].alpn, "h2");
	NPT_CHECK_STR(pod->top[0].cipher, "TLS_X");
	NPT_CHECK_INT(pod->tls_count, NPT_SUMMARY_TLS_MAX);
	NPT_CHECK_STR(pod->tls[NPT_SUMMARY_TLS_MAX - 1].library, "GnuTLS");
	NPT_CHECK_STR(pod->tls[NPT_SUMMARY_TLS_MAX - 1].version, "3.8");
	NPT_CHECK_INT(pod->tls[NPT_SUMMARY_TLS_MAX - 1].coverage, NPT_COVERAGE_FULL);
	NPT_CHECK_STR(pod->tls[NPT_SUMMARY_TLS_MAX - 1].why, "w");
	NPT_CHECK_INT(pod->tls[NPT_SUMMARY_TLS_MAX - 1].processes, 7);
}

static void tells_verdicts_of_one_name_apart(void)
{
	for (unsigned int i = 0; i < NPT_VERDICT_COUNT; i++) {
		npt_auto(npt_channel_message_free) struct npt_channel_message *message =
			npt_channel_message_new(NPT_CHANNEL_SUMMARY);
		npt_auto(npt_channel_message_free) struct npt_channel_message *back = NULL;

		message->held = npt_alloc(1, sizeof(*message->held));
		message->held_count = 1;
		(void)snprintf(message->held[0].task_uid, sizeof(message->held[0].task_uid), "t");
		message->held[0].pods = npt_alloc(1, sizeof(*message->held[0].pods));
		message->held[0].pods_count = 1;
		message->held[0].pods->top_count = 1;
		message->held[0].pods->top[0].verdict = (enum npt_verdict)i;
		back = round_trip(message);
		NPT_CHECK_INT(back->held[0].pods->top[0].verdict, i);
	}
}

#define SUMMARY_OF_TLS(lines)                                                                      \
	"{\"type\": \"summary\", \"assignments\": [{\"taskUid\": \"t\", \"pods\": [{"              \
	"\"tls\": [" lines "]}]}]}"
#define EIGHT_LINES "{}, {}, {}, {}, {}, {}, {}, {}"

static void refuses_tls_that_cannot_be(void)
{
	static const struct {
		const char *frame, *text;
	} cases[] = {
		{ SUMMARY_OF_TLS(EIGHT_LINES), NULL },
		{ SUMMARY_OF_TLS(EIGHT_LINES ", {}"), "has too many elements" },
		{ SUMMARY_OF_TLS("{\"coverage\": \"metadata\"}"), NULL },
		{ SUMMARY_OF_TLS("{\"coverage\": \"half\"}"), "coverage" },
		{ SUMMARY_OF_TLS("{\"processes\": -1}"), "not a number in range" },
		{ SUMMARY_OF_TLS("{\"library\": 1}"), "library is not text" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_channel_message_free) struct npt_channel_message *message = NULL;
		struct npt_error err = NPT_ERROR_NONE;
		int r = npt_channel_decode(cases[i].frame, strlen(cases[i].frame), &message, &err);

		NPT_CHECK_INT(r, cases[i].text ? -EBADMSG : 0);
		if (cases[i].text && !NPT_CHECK(strstr(err.text, cases[i].text) != NULL))
			printf("case %zu: %s\n", i, err.text);
	}
}

#define SUMMARY_OF_EDGE(members)                                                                   \
	"{\"type\": \"summary\", \"assignments\": [{\"taskUid\": \"t\", \"pods\": [{"              \
	"\"edges\": [{" members "}]}]}]}"

/* What an agent of before says is no finding; what no agent says is refused. */
static void refuses_a_finding_that_cannot_be(void)
{
	static const struct {
		const char *frame, *text;
	} cases[] = {
		{ SUMMARY_OF_EDGE(""), NULL },
		{ SUMMARY_OF_EDGE("\"verdict\": \"Network\", \"cause\": \"loss\""), NULL },
		{ SUMMARY_OF_EDGE("\"confidencePermille\": 1000"), NULL },
		{ SUMMARY_OF_EDGE("\"verdict\": \"Weather\""), "none of the known words" },
		{ SUMMARY_OF_EDGE("\"verdict\": \"Network\""), "none of the known words" },
		{ SUMMARY_OF_EDGE("\"verdict\": \"Network\", \"cause\": \"\""),
		  "none of the known words" },
		{ SUMMARY_OF_EDGE("\"verdict\": \"Server\", \"cause\": \"loss\""),
		  "none of the known words" },
		{ SUMMARY_OF_EDGE("\"cause\": \"loss\""), "none of the known words" },
		{ SUMMARY_OF_EDGE("\"verdict\": 3"), "verdict is not text" },
		{ SUMMARY_OF_EDGE("\"confidencePermille\": 1001"), "not a number in range" },
		{ SUMMARY_OF_EDGE("\"protocolConfidencePermille\": 1000"), NULL },
		{ SUMMARY_OF_EDGE("\"protocolConfidencePermille\": 1001"),
		  "not a number in range" },
		{ SUMMARY_OF_EDGE("\"protocolFrom\": \"hop\""), NULL },
		{ SUMMARY_OF_EDGE("\"protocolFrom\": \"rumour\""), "protocolFrom" },
		{ SUMMARY_OF_EDGE("\"tlsVersion\": \"12345678\""), "is too long" },
		{ SUMMARY_OF_EDGE("\"confidencePermille\": 0.5"), "not a number in range" },
		{ SUMMARY_OF_EDGE("\"responseP95\": -1"), "not a number in range" },
		{ SUMMARY_OF_EDGE("\"transport\": \"carrierpigeon\""), "transport" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		npt_auto(npt_channel_message_free) struct npt_channel_message *message = NULL;
		struct npt_error err = NPT_ERROR_NONE;
		int r = npt_channel_decode(cases[i].frame, strlen(cases[i].frame), &message, &err);

		if (!NPT_CHECK_INT(r < 0, cases[i].text != NULL))
			printf("case %zu: %s\n", i, err.text);
		if (cases[i].text && !NPT_CHECK(strstr(err.text, cases[i].text)))
			NPT_CHECK_STR(err.text, cases[i].text);
	}
}

static void refuses_what_is_no_such_message(void)
{
	static const struct {
		const char *frame, *text;
	} cases[] = {
		{ "", "no JSON object" },
		{ "[]", "no JSON object" },
		{ "{\"type\": 5}", "type is missing" },
		{ "{\"type\": \"wanted\", \"assignments\": {}}", "assignments is not an array" },
		{ "{\"type\": \"wanted\", \"assignments\": [{}]}", "without id" },
		{ "{\"type\": \"hello\", \"node\": 1}", "node is not text" },
		{ "{\"type\": \"hello\", \"proto\": -1}", "proto is not a number in range" },
		{ "{\"type\": \"hello\", \"podUid\": \"a\\u0000b\"}", "NUL" },
		{ "{\"type\": \"summary\", \"assignments\": [{\"state\": \"Flying\"}]}",
		  "none of the known words" },
		{ "{\"type\": \"summary\", \"assignments\": [{\"id\": \"a\"}]}", "taskUid" },
		{ "{\"type\": \"resolve\", \"addresses\": [5]}", "no address" },
		{ "{\"type\": \"names\", \"names\": [{\"kind\": \"planet\"}]}",
		  "none of the known words" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct npt_channel_message *message = NULL;
		struct npt_error err = NPT_ERROR_NONE;

		NPT_CHECK(npt_channel_decode(cases[i].frame, strlen(cases[i].frame), &message,
					     &err) < 0);
		NPT_CHECK(message == NULL);
		if (!NPT_CHECK(strstr(err.text, cases[i].text)))
			NPT_CHECK_STR(err.text, cases[i].text);
	}
}

static void ignores_types_and_fields_that_it_does_not_know(void)
{
	static const char frame[] = "{\"type\": \"dance\", \"steps\": 5}";
	static const char hello[] = "{\"type\": \"hello\", \"node\": \"n\", \"mood\": \"good\", "
				    "\"layers\": [\"Base\", \"Telepathy\"]}";
	npt_auto(npt_channel_message_free) struct npt_channel_message *other = NULL, *known = NULL;

	NPT_CHECK(npt_channel_decode(frame, sizeof(frame) - 1, &other, NULL) == 0);
	NPT_CHECK_INT(other->type, NPT_CHANNEL_OTHER);
	NPT_CHECK(npt_channel_decode(hello, sizeof(hello) - 1, &known, NULL) == 0);
	NPT_CHECK(known->layers[NPT_LAYER_BASE]);
}

static void survives_every_cut_of_a_frame(void)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *message =
		npt_channel_message_new(NPT_CHANNEL_HELLO);
	npt_auto_free char *frame = npt_channel_encode(message);

	for (size_t size = 0; size < strlen(frame); size++) {
		struct npt_channel_message *back = NULL;

		NPT_CHECK(npt_channel_decode(frame, size, &back, NULL) < 0);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(carries_a_wanted_state),
	NPT_TEST(carries_a_summary),
	NPT_TEST(hello_carries_what_the_node_can_do),
	NPT_TEST(carries_what_is_spoken_and_how_much_is_seen_of_it),
	NPT_TEST(refuses_tls_that_cannot_be),
	NPT_TEST(tells_verdicts_of_one_name_apart),
	NPT_TEST(refuses_a_finding_that_cannot_be),
	NPT_TEST(refuses_what_is_no_such_message),
	NPT_TEST(ignores_types_and_fields_that_it_does_not_know),
	NPT_TEST(survives_every_cut_of_a_frame),
};
NPT_TEST_MAIN(tests)
