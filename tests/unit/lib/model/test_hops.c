/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod with a program and its sidecar, as the demo has it: each row changes something, and says
 * what the three encrypted edges are named then.
 */
#include "lib/model/hops.h"

#include <stdio.h>
#include <string.h>

#include "lib/model/report_merge.h"
#include "tests/support/test.h"

#define PROGRAM         100
#define SIDECAR         200
#define TURNS           UINT64_C(200)
#define NEAR            "198.18.1.7:9080"
#define FAR             "198.18.131.168:9080"
#define SET(field, ...) (void)snprintf(field, sizeof(field), __VA_ARGS__)

/* In the order of the report. */
enum {
	IN,         /* elsewhere -> sidecar, TLS */
	TO_PROGRAM, /* sidecar -> program */
	PROGRAM_IN, /* its other end */
	NEAR_HOP,   /* program -> sidecar, that asked for NEAR */
	FAR_HOP,    /* and for FAR */
	HOPS_END,   /* their other end: both */
	NEAR_OUT,   /* sidecar -> NEAR, TLS */
	FAR_OUT,    /* sidecar -> FAR, TLS */
	EDGES
};

static void set_turns(struct npt_edge *edge, uint64_t turns)
{
	edge->metrics[NPT_METRIC_RESPONSE].count = turns;
}

/* That each request has 150 bytes and each response 4000, and TLS 22 more. */
static void set_traffic(struct npt_edge *edge, uint64_t turns)
{
	uint64_t tls = edge->tls == NPT_TLS_YES ? 22 : 0;
	uint64_t requests = turns * (150 + tls), responses = turns * (4000 + tls);

	set_turns(edge, turns);
	edge->sent.bytes = edge->role == NPT_ROLE_CLIENT ? requests : responses;
	edge->received.bytes = edge->role == NPT_ROLE_CLIENT ? responses : requests;
}

static struct npt_edge *add(struct npt_report *report, uint32_t pid, enum npt_role role,
			    uint16_t port)
{
	struct npt_edge *edge = npt_report_add_edge(report);

	edge->process.pid = pid;
	SET(edge->process.name, pid == PROGRAM ? "python3.11" : "envoy");
	edge->role = role;
	edge->peer.port = port;
	edge->connections.found = 2;
	SET(edge->transport, "tcp");
	return edge;
}

static void add_outer(struct npt_report *report, enum npt_role role, uint16_t port,
		      const char *asked, uint64_t turns)
{
	struct npt_edge *edge = add(report, SIDECAR, role, port);

	edge->peer.kind = NPT_PEER_POD;
	SET(edge->peer.asked, "%s", asked);
	SET(edge->peer.reached, "%s", asked);
	SET(edge->protocol, NPT_PROTOCOL_UNSAID);
	edge->tls = NPT_TLS_YES;
	set_traffic(edge, turns);
}

static void add_inner(struct npt_report *report, uint32_t pid, enum npt_role role, uint16_t port,
		      uint64_t turns)
{
	struct npt_edge *edge = add(report, pid, role, port);

	edge->peer.kind = NPT_PEER_PROCESS;
	edge->peer.pid = pid == PROGRAM ? SIDECAR : PROGRAM;
	SET(edge->peer.name, pid == PROGRAM ? "envoy" : "python3.11");
	SET(edge->protocol, "http1");
	edge->protocol_confidence_permille = 990;
	edge->tls = NPT_TLS_NO;
	set_traffic(edge, turns);
}

static struct npt_report *new_pod(void)
{
	struct npt_report *report = npt_report_new();

	add_outer(report, NPT_ROLE_SERVER, 15006, "", TURNS);
	add_inner(report, SIDECAR, NPT_ROLE_CLIENT, 9080, TURNS);
	SET(report->edges[TO_PROGRAM].peer.asked, "198.18.0.4:9080");
	SET(report->edges[TO_PROGRAM].peer.reached, "198.18.0.4:9080");
	add_inner(report, PROGRAM, NPT_ROLE_SERVER, 9080, TURNS);
	add_inner(report, PROGRAM, NPT_ROLE_CLIENT, 15001, TURNS / 2);
	SET(report->edges[NEAR_HOP].peer.asked, NEAR);
	SET(report->edges[NEAR_HOP].peer.reached, "127.0.0.1:15001");
	add_inner(report, PROGRAM, NPT_ROLE_CLIENT, 15001, TURNS / 2);
	SET(report->edges[FAR_HOP].peer.asked, FAR);
	SET(report->edges[FAR_HOP].peer.reached, "127.0.0.1:15001");
	add_inner(report, SIDECAR, NPT_ROLE_SERVER, 15001, TURNS);
	add_outer(report, NPT_ROLE_CLIENT, 9080, NEAR, TURNS / 2);
	add_outer(report, NPT_ROLE_CLIENT, 9080, FAR, TURNS / 2);
	return report;
}

static void speak(struct npt_edge *edges, const char *inbound, const char *outbound)
{
	SET(edges[TO_PROGRAM].protocol, "%s", inbound);
	SET(edges[PROGRAM_IN].protocol, "%s", inbound);
	SET(edges[NEAR_HOP].protocol, "%s", outbound);
	SET(edges[FAR_HOP].protocol, "%s", outbound);
	SET(edges[HOPS_END].protocol, "%s", outbound);
}

static void nothing(struct npt_edge *edges)
{
	(void)edges;
}

static void newer_versions(struct npt_edge *edges)
{
	speak(edges, "http2", "grpc");
}

static void other_protocols(struct npt_edge *edges)
{
	speak(edges, "redis", "mysql");
}

static void a_gateway(struct npt_edge *edges)
{
	speak(edges, "fastcgi", "unknown");
}

static void encrypted_twice(struct npt_edge *edges)
{
	edges[TO_PROGRAM].tls = NPT_TLS_YES;
	edges[NEAR_HOP].tls = NPT_TLS_YES;
}

static void two_protocols(struct npt_edge *edges)
{
	SET(edges[FAR_HOP].protocol, "mysql");
}

/* The sidecar chooses among the pods of a service: where it goes nobody asked for. */
static void two_protocols_to_chosen_places(struct npt_edge *edges)
{
	two_protocols(edges);
	SET(edges[NEAR_OUT].peer.asked, "198.18.1.8:9080");
	SET(edges[FAR_OUT].peer.asked, "198.18.1.9:9080");
}

static void chosen_places(struct npt_edge *edges)
{
	SET(edges[NEAR_OUT].peer.asked, "198.18.1.8:9080");
	SET(edges[FAR_OUT].peer.asked, "198.18.1.9:9080");
}

/* FAR's messages are what is left of the sum. */
static void one_chosen_place(struct npt_edge *edges)
{
	two_protocols(edges);
	SET(edges[FAR_OUT].peer.asked, "198.18.1.9:9080");
}

static void a_stranger_among_chosen_places(struct npt_edge *edges)
{
	chosen_places(edges);
	set_traffic(&edges[FAR_OUT], 5);
	set_traffic(&edges[NEAR_OUT], TURNS);
}

/* A web server, its program, and the program's database. */
static void not_redirected(struct npt_edge *edges)
{
	SET(edges[NEAR_HOP].peer.asked, "127.0.0.1:15001");
	SET(edges[FAR_HOP].peer.asked, "127.0.0.1:15001");
}

static void redirected_elsewhere(struct npt_edge *edges)
{
	SET(edges[NEAR_HOP].peer.reached, "198.18.0.4:15001");
	SET(edges[FAR_HOP].peer.reached, "unknown");
}

static void fewer_turns_inside(struct npt_edge *edges)
{
	set_turns(&edges[TO_PROGRAM], TURNS * 4 / 5);
	set_turns(&edges[NEAR_HOP], TURNS / 2 * 4 / 5);
}

static void more_turns_inside(struct npt_edge *edges)
{
	set_turns(&edges[TO_PROGRAM], TURNS * 5 / 4);
	set_turns(&edges[NEAR_HOP], TURNS / 2 * 5 / 4);
}

static void some_turns_under_way(struct npt_edge *edges)
{
	set_turns(&edges[TO_PROGRAM], TURNS - 2);
	set_turns(&edges[NEAR_HOP], TURNS / 2 + 2);
}

static void with_handshakes(struct npt_edge *edges)
{
	const int outer[] = { IN, NEAR_OUT, FAR_OUT };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(outer); i++) {
		struct npt_edge *edge = &edges[outer[i]];

		edge->connections.opened = 25;
		set_turns(edge, edge->metrics[NPT_METRIC_RESPONSE].count + 50);
		edge->sent.bytes += UINT64_C(25) * 3000;
		edge->received.bytes += UINT64_C(25) * 3000;
	}
}

static void crossed(struct npt_edge *edges)
{
	edges[IN].metrics[NPT_METRIC_RESPONSE].overlapped = 20;
	set_turns(&edges[IN], TURNS - 20);
}

static void not_measured(struct npt_edge *edges)
{
	edges[NEAR_OUT].metrics[NPT_METRIC_RESPONSE].quality = NPT_QUALITY_UNAVAILABLE;
}

static void few(struct npt_edge *edges)
{
	for (int i = 0; i < EDGES; i++)
		set_traffic(&edges[i], NPT_HOPS_TURNS_MIN / 2 - 1);
	set_traffic(&edges[IN], NPT_HOPS_TURNS_MIN - 1);
	set_traffic(&edges[TO_PROGRAM], NPT_HOPS_TURNS_MIN - 1);
}

static void just_enough(struct npt_edge *edges)
{
	for (int i = 0; i < EDGES; i++)
		set_traffic(&edges[i], NPT_HOPS_TURNS_MIN);
}

static void larger_requests_outside(struct npt_edge *edges)
{
	edges[IN].received.bytes += TURNS * 1400;
	edges[NEAR_OUT].sent.bytes += TURNS / 2 * 1400;
}

static void headers_added(struct npt_edge *edges)
{
	edges[IN].received.bytes += TURNS * 900;
	edges[NEAR_OUT].sent.bytes += TURNS / 2 * 900;
}

/* As a program does that gets HTTPS and asks a cache once for each request. */
static void other_protocols_with_headers_added(struct npt_edge *edges)
{
	other_protocols(edges);
	headers_added(edges);
}

static void other_protocols_and_fewer_bytes_outside(struct npt_edge *edges)
{
	other_protocols(edges);
	edges[IN].sent.bytes -= TURNS * 400;
	edges[NEAR_OUT].received.bytes -= TURNS / 2 * 400;
}

static void by_alpn(struct npt_edge *edges)
{
	SET(edges[IN].protocol, "http2");
	SET(edges[NEAR_OUT].protocol, "mysql");
}

static void listened_to(struct npt_edge *edges)
{
	edges[IN].tls_calls.reads = 1;
	edges[NEAR_OUT].tls_calls.writes = 1;
}

static void plain_outside(struct npt_edge *edges)
{
	edges[IN].tls = NPT_TLS_NO;
	edges[NEAR_OUT].tls = NPT_TLS_UNKNOWN;
}

static void datagrams(struct npt_edge *edges)
{
	for (int i = 0; i < EDGES; i++)
		SET(edges[i].transport, "udp");
}

static void of_two_processes(struct npt_edge *edges)
{
	edges[TO_PROGRAM].process.pid = 300;
	edges[NEAR_HOP].peer.pid = 300;
}

static void one_more_that_nobody_knows(struct npt_edge *edges)
{
	edges[HOPS_END] = edges[TO_PROGRAM]; /* a second inner hop in the way of IN */
	SET(edges[HOPS_END].protocol, "unknown");
	set_traffic(&edges[HOPS_END], TURNS / 2);
	set_traffic(&edges[TO_PROGRAM], TURNS / 2);
}

static void a_silent_one_that_nobody_knows(struct npt_edge *edges)
{
	one_more_that_nobody_knows(edges);
	set_traffic(&edges[HOPS_END], 0);
	set_traffic(&edges[TO_PROGRAM], TURNS);
}

/* Not idle, though it has said nothing that could be compared. */
static void one_that_only_sends(struct npt_edge *edges)
{
	a_silent_one_that_nobody_knows(edges);
	edges[HOPS_END].sent.bytes = 1;
}

static void one_that_only_receives(struct npt_edge *edges)
{
	a_silent_one_that_nobody_knows(edges);
	edges[HOPS_END].received.bytes = 1;
}

static void crossed_inside(struct npt_edge *edges)
{
	edges[TO_PROGRAM].metrics[NPT_METRIC_RESPONSE].overlapped = 20;
	set_turns(&edges[TO_PROGRAM], TURNS - 20);
}

/* Of 10 turns inside, a tenth and two more may be on one hop alone. */
static void in_has(struct npt_edge *edges, uint64_t turns)
{
	set_traffic(&edges[TO_PROGRAM], 10);
	set_traffic(&edges[IN], turns);
}

static void most_turns(struct npt_edge *edges)
{
	in_has(edges, 13);
}

static void too_many_turns(struct npt_edge *edges)
{
	in_has(edges, 14);
}

static void fewest_turns(struct npt_edge *edges)
{
	in_has(edges, 7);
}

static void too_few_turns(struct npt_edge *edges)
{
	in_has(edges, 6);
}

/* A quarter of the inner hop's bytes and 1024 for each of its turns, whatever the outer's are. */
static void most_bytes(struct npt_edge *edges)
{
	set_turns(&edges[IN], TURNS - 2);
	edges[IN].received.bytes = TURNS * 150 + TURNS * 150 / 4 + TURNS * 1024;
}

static void too_many_bytes(struct npt_edge *edges)
{
	most_bytes(edges);
	edges[IN].received.bytes++;
}

static void fewest_bytes(struct npt_edge *edges)
{
	edges[IN].sent.bytes = TURNS * 4000 - TURNS * 4000 / 4 - TURNS * 1024;
}

static void too_few_bytes(struct npt_edge *edges)
{
	fewest_bytes(edges);
	edges[IN].sent.bytes--;
}

/* Of what is no HTTP, a twentieth, and 64 for each turn on the outer hop. */
static void most_bytes_of_others(struct npt_edge *edges)
{
	other_protocols(edges);
	edges[IN].sent.bytes = TURNS * 4000 + TURNS * 4000 / 20 + TURNS * 64;
}

static void too_many_bytes_of_others(struct npt_edge *edges)
{
	most_bytes_of_others(edges);
	edges[IN].sent.bytes++;
}

static void fewest_bytes_of_others(struct npt_edge *edges)
{
	other_protocols(edges);
	edges[IN].sent.bytes = TURNS * 4000 - TURNS * 4000 / 20;
}

static void too_few_bytes_of_others(struct npt_edge *edges)
{
	fewest_bytes_of_others(edges);
	edges[IN].sent.bytes--;
}

/* Two turns of a sum may be the process's own. */
static void far_has(struct npt_edge *edges, uint64_t turns)
{
	chosen_places(edges);
	set_traffic(&edges[FAR_OUT], turns);
	set_traffic(&edges[NEAR_OUT], TURNS - turns);
}

static void as_many_as_may_be_its_own(struct npt_edge *edges)
{
	far_has(edges, 2);
}

static void more_than_may_be_its_own(struct npt_edge *edges)
{
	far_has(edges, 3);
}

/* A handshake's turn is none of the process's own. */
static void handshakes_among_chosen_places(struct npt_edge *edges)
{
	far_has(edges, 10);
	edges[NEAR_OUT].connections.opened = 10;
	set_turns(&edges[NEAR_OUT], TURNS);
}

static void redirected_by_version_6(struct npt_edge *edges)
{
	SET(edges[NEAR_HOP].peer.reached, "[::1]:15001");
	SET(edges[FAR_HOP].peer.reached, "[::2]:15001");
}

static void not_redirected_by_version_6(struct npt_edge *edges)
{
	SET(edges[NEAR_HOP].peer.asked, "[::1]:15001");
	SET(edges[FAR_HOP].peer.asked, "[::1]:15001");
}

/* What it has itself sorts behind what it asks for. */
static void another_address(struct npt_edge *edges)
{
	SET(edges[TO_PROGRAM].peer.asked, "198.18.9.4:9080");
}

static void an_older_sidecar(struct npt_edge *edges)
{
	for (int i = 0; i < EDGES; i++) {
		if (edges[i].process.pid == SIDECAR)
			edges[i].process.pid = 1;
		if (edges[i].peer.pid == SIDECAR)
			edges[i].peer.pid = 1;
	}
}

static void a_hop_of_the_program_alone(struct npt_edge *edges)
{
	SET(edges[FAR_HOP].transport, "udp");
}

static const struct {
	const char *name;
	void (*change)(struct npt_edge *edges);
	const char *in, *near, *far; /* "": not linked */
} cases[] = {
	{ "nothing", nothing, "http", "http", "http" },
	{ "newer versions", newer_versions, "http", "http", "http" },
	{ "other protocols", other_protocols, "redis", "mysql", "mysql" },
	{ "a gateway", a_gateway, "", "", "" },
	{ "encrypted twice", encrypted_twice, "", "", "http" },
	{ "two protocols", two_protocols, "http", "http", "mysql" },
	{ "chosen places", chosen_places, "http", "http", "http" },
	{ "two, chosen", two_protocols_to_chosen_places, "http", "", "" },
	{ "one chosen", one_chosen_place, "http", "http", "mysql" },
	{ "a stranger", a_stranger_among_chosen_places, "http", "http", "" },
	{ "not redirected", not_redirected, "http", "", "" },
	{ "redirected elsewhere", redirected_elsewhere, "http", "", "" },
	{ "fewer turns inside", fewer_turns_inside, "", "", "http" },
	{ "more turns inside", more_turns_inside, "", "", "http" },
	{ "under way", some_turns_under_way, "http", "http", "http" },
	{ "handshakes", with_handshakes, "http", "http", "http" },
	{ "crossed", crossed, "", "http", "http" },
	{ "not measured", not_measured, "http", "", "http" },
	{ "few", few, "", "", "" },
	{ "just enough", just_enough, "http", "http", "http" },
	{ "larger requests", larger_requests_outside, "", "", "http" },
	{ "headers added", headers_added, "http", "http", "http" },
	{ "others with more", other_protocols_with_headers_added, "", "", "mysql" },
	{ "others with less", other_protocols_and_fewer_bytes_outside, "", "", "mysql" },
	{ "by ALPN", by_alpn, "http", "", "http" },
	{ "listened to", listened_to, "", "", "http" },
	{ "plain outside", plain_outside, "", "", "http" },
	{ "datagrams", datagrams, "", "", "" },
	{ "two processes", of_two_processes, "", "", "http" },
	{ "one more", one_more_that_nobody_knows, "", "http", "http" },
	{ "a silent one", a_silent_one_that_nobody_knows, "http", "http", "http" },
	{ "one that only sends", one_that_only_sends, "", "http", "http" },
	{ "one that only receives", one_that_only_receives, "", "http", "http" },
	{ "crossed inside", crossed_inside, "", "http", "http" },
	{ "most turns", most_turns, "http", "http", "http" },
	{ "too many turns", too_many_turns, "", "http", "http" },
	{ "fewest turns", fewest_turns, "http", "http", "http" },
	{ "too few turns", too_few_turns, "", "http", "http" },
	{ "most bytes", most_bytes, "http", "http", "http" },
	{ "too many bytes", too_many_bytes, "", "http", "http" },
	{ "fewest bytes", fewest_bytes, "http", "http", "http" },
	{ "too few bytes", too_few_bytes, "", "http", "http" },
	{ "most bytes of others", most_bytes_of_others, "redis", "mysql", "mysql" },
	{ "too many of others", too_many_bytes_of_others, "", "mysql", "mysql" },
	{ "fewest bytes of others", fewest_bytes_of_others, "redis", "mysql", "mysql" },
	{ "too few of others", too_few_bytes_of_others, "", "mysql", "mysql" },
	{ "may be its own", as_many_as_may_be_its_own, "http", "http", "" },
	{ "more than its own", more_than_may_be_its_own, "http", "http", "http" },
	{ "handshakes, chosen", handshakes_among_chosen_places, "http", "http", "http" },
	{ "redirected by 6", redirected_by_version_6, "http", "http", "" },
	{ "not redirected by 6", not_redirected_by_version_6, "http", "", "" },
	{ "another address", another_address, "http", "http", "http" },
	{ "a hop alone", a_hop_of_the_program_alone, "http", "http", "" },
	{ "an older sidecar", an_older_sidecar, "http", "http", "http" },
};

static void an_encrypted_hop_is_named_by_the_plain_one(void)
{
	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_report_free) struct npt_report *report = new_pod();
		bool ok = true;

		NPT_CHECK_INT(report->edges_count, EDGES);
		cases[i].change(report->edges);
		npt_hops_link(report);
		ok &= NPT_CHECK_STR(report->edges[IN].hop.name, cases[i].in);
		ok &= NPT_CHECK_STR(report->edges[NEAR_OUT].hop.name, cases[i].near);
		ok &= NPT_CHECK_STR(report->edges[FAR_OUT].hop.name, cases[i].far);
		for (int inner = TO_PROGRAM; inner <= HOPS_END; inner++)
			ok &= NPT_CHECK_STR(report->edges[inner].hop.name, "");
		if (!ok)
			printf("  when: %s\n", cases[i].name);
	}
}

static void the_other_end_of_the_plain_hop_is_told(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_pod();
	const struct npt_edge *in = &report->edges[IN], *out = &report->edges[NEAR_OUT];

	SET(report->edges[NEAR_HOP].protocol, "grpc");
	npt_hops_link(report);
	NPT_CHECK_STR(in->hop.protocol, "http1");
	NPT_CHECK_STR(in->hop.process, "python3.11");
	NPT_CHECK_INT(in->hop.pid, PROGRAM);
	NPT_CHECK_INT(in->hop.port, 9080);
	NPT_CHECK_STR(out->hop.protocol, "grpc");
	NPT_CHECK_STR(out->hop.process, "python3.11");
	NPT_CHECK_INT(out->hop.pid, PROGRAM);
	NPT_CHECK_INT(out->hop.port, 15001);
}

static void of_several_plain_hops_the_busiest_is_told(void)
{
	for (int busiest = 0; busiest < 2; busiest++) {
		npt_auto(npt_report_free) struct npt_report *report = new_pod();
		struct npt_edge *edges = report->edges;

		edges[HOPS_END] = edges[TO_PROGRAM];
		edges[HOPS_END].peer.port = 9081;
		set_traffic(&edges[TO_PROGRAM], busiest == 0 ? TURNS - 50 : 50);
		set_traffic(&edges[HOPS_END], busiest == 1 ? TURNS - 50 : 50);
		npt_hops_link(report);
		NPT_CHECK_STR(edges[IN].hop.name, "http");
		NPT_CHECK_INT(edges[IN].hop.port, 9080 + busiest);
	}
}

/* An edge of a redirect may be a hop of two ways: more hops than edges. */
static void a_program_whose_sidecar_is_not_measured(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();

	for (int i = 0; i < EDGES; i++) {
		add_inner(report, PROGRAM, NPT_ROLE_CLIENT, 15001, TURNS);
		SET(report->edges[i].peer.asked, FAR);
		SET(report->edges[i].peer.reached, "127.0.0.1:15001");
	}
	npt_hops_link(report);
	for (int i = 0; i < EDGES; i++)
		NPT_CHECK_STR(report->edges[i].hop.name, "");
}

static void what_was_read_is_not_overwritten(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_pod();
	const struct npt_edge *in = &report->edges[IN], *out = &report->edges[NEAR_OUT];

	SET(report->edges[IN].protocol, "http2");
	report->edges[IN].protocol_confidence_permille = 800;
	npt_hops_link(report);
	NPT_CHECK_STR(in->protocol, "http2");
	NPT_CHECK_STR(npt_edge_protocol(in), "http2");
	NPT_CHECK_INT(npt_edge_protocol_confidence_permille(in), 800);
	NPT_CHECK(!npt_edge_is_named_by_hop(in));
	NPT_CHECK_STR(in->hop.name, "http");
	NPT_CHECK_STR(out->protocol, NPT_PROTOCOL_UNSAID);
	NPT_CHECK_STR(npt_edge_protocol(out), "http");
	NPT_CHECK_INT(npt_edge_protocol_confidence_permille(out), NPT_HOPS_CONFIDENCE);
	NPT_CHECK(npt_edge_is_named_by_hop(out));
}

static void json_says_where_the_name_is_from(void)
{
	static const char hop[] = "\"hop\":{\"process\":\"python3.11\",\"pid\":100,"
				  "\"port\":9080,\"protocol\":\"http1\"}";
	static const char by_hop[] = "\"protocol\":\"http\",\"protocolConfidence\":0.7,"
				     "\"protocolFrom\":\"hop\",\"tls\":\"yes\"";
	npt_auto(npt_report_free) struct npt_report *report = new_pod();
	npt_auto_free char *unlinked = npt_edge_to_json(&report->edges[IN]);
	npt_auto_free char *linked = NULL, *known = NULL;

	NPT_CHECK(strstr(unlinked, "\"protocol\":\"unknown\",\"tls\":\"yes\""));
	NPT_CHECK(!strstr(unlinked, "hop"));
	npt_hops_link(report);
	linked = npt_edge_to_json(&report->edges[IN]);
	NPT_CHECK(strstr(linked, by_hop));
	NPT_CHECK(strstr(linked, hop));
	SET(report->edges[IN].protocol, "http2");
	report->edges[IN].protocol_confidence_permille = 800;
	known = npt_edge_to_json(&report->edges[IN]);
	NPT_CHECK(strstr(known, "\"protocol\":\"http2\",\"protocolConfidence\":0.8,\"tls\""));
	NPT_CHECK(strstr(known, hop));
}

static void a_link_lasts_as_long_as_its_numbers(void)
{
	npt_auto(npt_report_free) struct npt_report *report = new_pod();
	npt_auto(npt_report_free) struct npt_report *sum = npt_report_new();

	npt_hops_link(report);
	npt_report_merge(sum, report);
	NPT_CHECK_STR(sum->edges[IN].hop.name, "");
	npt_hops_link(sum);
	NPT_CHECK_STR(sum->edges[IN].hop.name, "http");
	npt_report_merge(sum, report);
	NPT_CHECK_STR(sum->edges[IN].hop.name, "");
	NPT_CHECK_STR(report->edges[IN].hop.name, "http");
	report->edges[TO_PROGRAM].tls = NPT_TLS_YES;
	npt_hops_link(report);
	NPT_CHECK_STR(report->edges[IN].hop.name, "");
	NPT_CHECK_STR(report->edges[IN].hop.process, "");
}

static void the_order_of_edges_does_not_matter(void)
{
	uint64_t state = npt_test_seed() | 1;

	for (int round = 0; round < 200; round++) {
		npt_auto(npt_report_free) struct npt_report *report = new_pod();
		size_t linked = 0;

		for (size_t i = report->edges_count - 1; i > 0; i--) {
			size_t j = npt_test_random(&state) % (i + 1);
			struct npt_edge held = report->edges[i];

			report->edges[i] = report->edges[j];
			report->edges[j] = held;
		}
		npt_hops_link(report);
		for (size_t i = 0; i < report->edges_count; i++)
			linked += strcmp(report->edges[i].hop.name, "http") == 0;
		NPT_CHECK_INT(linked, 3);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(an_encrypted_hop_is_named_by_the_plain_one),
	NPT_TEST(the_other_end_of_the_plain_hop_is_told),
	NPT_TEST(of_several_plain_hops_the_busiest_is_told),
	NPT_TEST(a_program_whose_sidecar_is_not_measured),
	NPT_TEST(what_was_read_is_not_overwritten),
	NPT_TEST(json_says_where_the_name_is_from),
	NPT_TEST(a_link_lasts_as_long_as_its_numbers),
	NPT_TEST(the_order_of_edges_does_not_matter),
};
NPT_TEST_MAIN(tests)
