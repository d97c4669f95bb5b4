/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each row changes one healthy pair of edges and says what is found then: with both ends in the
 * report, with the client's only, with the server's only.
 */
#include "lib/model/finding.h"

#include <stdio.h>

#include "lib/core/alloc.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

#define SECONDS    UINT64_C(10)
#define CLIENT_PID 100
#define SERVER_PID 200
#define PORT       8080

static void set_times(struct npt_edge *edge, enum npt_metric_id id, uint64_t count, uint64_t micros)
{
	struct npt_metric *metric = &edge->metrics[id];

	metric->count = count;
	memset(&metric->micros, 0, sizeof(metric->micros));
	for (uint64_t i = 0; i < count && i < 1000; i++)
		npt_histogram_add(&metric->micros, micros);
	metric->micros.count = count;
	metric->micros.sum_micros = count * micros;
	metric->micros.buckets[npt_histogram_bucket(micros)] = count;
}

/* Shares of the time in permille; what is left waits for the network. */
static void set_limits(struct npt_edge *edge, uint64_t application, uint64_t window,
		       uint64_t buffer)
{
	uint64_t unit = SECONDS * 1000; /* a permille of the time, in us */

	edge->limited.application_micros = application * unit;
	edge->limited.receive_window_micros = window * unit;
	edge->limited.send_buffer_micros = buffer * unit;
	edge->limited.network_micros = (1000 - application - window - buffer) * unit;
}

static void begin_edge(struct npt_edge *edge, enum npt_role role)
{
	bool client = role == NPT_ROLE_CLIENT;

	memset(edge, 0, sizeof(*edge));
	edge->role = role;
	(void)snprintf(edge->transport, sizeof(edge->transport), "tcp");
	(void)snprintf(edge->process.name, sizeof(edge->process.name), client ? "curl" : "nginx");
	edge->process.pid = client ? CLIENT_PID : SERVER_PID;
	edge->peer.port = PORT;
	edge->connections.opened = edge->connections.open = 1;
	set_limits(edge, 980, 0, 0);
	set_times(edge, NPT_METRIC_RTT, 200, 100);
}

/* 200 requests that are answered within 400 us, of which 100 us are the network's. */
static void make_requests(struct npt_edge *client, struct npt_edge *server)
{
	struct npt_edge *ends[] = { client, server };

	begin_edge(client, NPT_ROLE_CLIENT);
	begin_edge(server, NPT_ROLE_SERVER);
	for (int i = 0; i < 2; i++) {
		set_times(ends[i], NPT_METRIC_WRITE, 200, 5);
		set_times(ends[i], NPT_METRIC_READ, 200, 5);
		set_times(ends[i], NPT_METRIC_UNREAD, 200, 50);
		set_times(ends[i], NPT_METRIC_RESPONSE, 200, i == 0 ? 400 : 300);
	}
	client->sent.bytes = server->received.bytes = UINT64_C(200) * 500;
	server->sent.bytes = client->received.bytes = UINT64_C(200) * 4000;
	client->sent.segments = server->sent.segments = 200;
}

/* The client sends 100 MB as fast as a network of 10 MB/s carries them. */
static void make_stream(struct npt_edge *client, struct npt_edge *server)
{
	begin_edge(client, NPT_ROLE_CLIENT);
	begin_edge(server, NPT_ROLE_SERVER);
	set_limits(client, 0, 0, 0);
	set_limits(server, 1000, 0, 0);
	client->sent.bytes = server->received.bytes = 100 * 1000 * 1000;
	client->sent.segments = 70000;
	set_times(client, NPT_METRIC_WRITE, 1600, 5);
	set_times(server, NPT_METRIC_READ, 20000, 10);
	set_times(server, NPT_METRIC_UNREAD, 20000, 20);
}

static void nothing(struct npt_edge *client, struct npt_edge *server)
{
	(void)client;
	(void)server;
}

static void full_window(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	set_limits(client, 0, 830, 0);
}

static void slow_reader(struct npt_edge *client, struct npt_edge *server)
{
	full_window(client, server);
	client->sent.bytes = server->received.bytes = 20 * 1000 * 1000;
	set_times(server, NPT_METRIC_UNREAD, 900, 10000);
	server->queue.unread_bytes = 60000;
}

static void reader_that_was_late_once(struct npt_edge *client, struct npt_edge *server)
{
	struct npt_histogram *unread = &server->metrics[NPT_METRIC_UNREAD].micros;

	slow_reader(client, server);
	set_times(server, NPT_METRIC_UNREAD, 900, 100);
	unread->buckets[npt_histogram_bucket(4000000)] = 2;
	unread->sum_micros += 8000000;
}

static void slow_reader_of_a_lossy_path(struct npt_edge *client, struct npt_edge *server)
{
	slow_reader(client, server);
	client->retransmit.segments = 7000;
}

static void late_reader_with_room(struct npt_edge *client, struct npt_edge *server)
{
	slow_reader(client, server);
	set_limits(client, 900, 0, 0);
	server->queue.unread_bytes = 1000;
}

static void reader_that_stopped(struct npt_edge *client, struct npt_edge *server)
{
	full_window(client, server);
	set_times(server, NPT_METRIC_UNREAD, 2, 100);
	set_times(server, NPT_METRIC_READ, 2, 100);
	client->sent.bytes = server->received.bytes = 200000;
	server->queue.unread_bytes = 60000;
}

static void reader_of_large_pieces(struct npt_edge *client, struct npt_edge *server)
{
	reader_that_stopped(client, server);
	client->sent.bytes = server->received.bytes = 10 * 1000 * 1000;
}

static void reader_that_stopped_later(struct npt_edge *client, struct npt_edge *server)
{
	full_window(client, server);
	server->queue.unread_bytes = 60000;
}

static void quick_reader_that_is_half_busy(struct npt_edge *client, struct npt_edge *server)
{
	full_window(client, server);
	set_times(server, NPT_METRIC_UNREAD, 400, 10000);
}

static void reader_of_small_pieces(struct npt_edge *client, struct npt_edge *server)
{
	full_window(client, server);
	set_times(server, NPT_METRIC_UNREAD, 20000, 400);
}

static void window_that_is_seldom_full(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	set_limits(client, 0, 190, 0);
}

static void window_of_a_lossy_path(struct npt_edge *client, struct npt_edge *server)
{
	full_window(client, server);
	client->retransmit.segments = 7000;
}

static void fast_though_the_window_is_full(struct npt_edge *client, struct npt_edge *server)
{
	full_window(client, server);
	client->sent.bytes = server->received.bytes = UINT64_C(20) * 1000 * 1000 * 1000;
	set_times(server, NPT_METRIC_UNREAD, 300000, 30);
}

static void small_send_buffer(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	set_limits(client, 0, 0, 600);
	set_times(client, NPT_METRIC_RTT, 200, 20000);
}

static void large_send_buffer(struct npt_edge *client, struct npt_edge *server)
{
	small_send_buffer(client, server);
	client->sent.bytes = server->received.bytes = UINT64_C(1000) * 1000 * 1000;
}

static void loss(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	client->retransmit.segments = 3500;
}

static void loss_in_vain(struct npt_edge *client, struct npt_edge *server)
{
	loss(client, server);
	client->retransmit.spurious = 3400;
}

static void nine_lost(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	client->sent.segments = 100;
	client->retransmit.segments = NPT_FINDING_LOSS_SEGMENTS - 1;
}

static void peer_is_gone(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	client->sent.segments = 10;
	client->retransmit.segments = 40;
}

static void loss_of_answers(struct npt_edge *client, struct npt_edge *server)
{
	(void)client;
	server->retransmit.segments = 20;
}

static void slow_writer(struct npt_edge *client, struct npt_edge *server)
{
	set_limits(client, 970, 0, 0);
	set_times(server, NPT_METRIC_READ, 1000, 9500);
}

static void idle_after_a_burst(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	set_limits(client, 970, 0, 0);
}

static void writer_of_some_events(struct npt_edge *client, struct npt_edge *server)
{
	slow_writer(client, server);
	client->sent.bytes = server->received.bytes = 2 * 1000 * 1000;
}

static void long_path(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	set_times(client, NPT_METRIC_RTT, 1600, 40000);
}

static void slow_server(struct npt_edge *client, struct npt_edge *server)
{
	set_times(client, NPT_METRIC_RESPONSE, 200, 490000);
	set_times(server, NPT_METRIC_RESPONSE, 200, 480000);
}

static void server_without_the_cpu(struct npt_edge *client, struct npt_edge *server)
{
	slow_server(client, server);
	set_times(server, NPT_METRIC_UNREAD, 200, 400000);
}

static void slow_server_seldom(struct npt_edge *client, struct npt_edge *server)
{
	struct npt_edge *ends[] = { client, server };

	for (int i = 0; i < 2; i++) {
		struct npt_histogram *micros = &ends[i]->metrics[NPT_METRIC_RESPONSE].micros;

		micros->buckets[npt_histogram_bucket(300)] = 0;
		micros->buckets[npt_histogram_bucket(400)] = 180;
		micros->buckets[npt_histogram_bucket(480000)] = 20;
		micros->max_micros = 480000;
	}
}

/* Each is on its way for 30 ms after its last byte was written. */
static void large_requests(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	set_limits(client, 400, 0, 0);
	set_times(client, NPT_METRIC_RESPONSE, 200, 35000);
}

static void slow_server_of_a_few(struct npt_edge *client, struct npt_edge *server)
{
	struct npt_edge *ends[] = { client, server };

	slow_server(client, server);
	for (int i = 0; i < 2; i++) {
		set_times(ends[i], NPT_METRIC_RESPONSE, NPT_FINDING_TURNS_MIN - 1, 480000);
		set_times(ends[i], NPT_METRIC_READ, NPT_FINDING_TURNS_MIN - 1, 10);
		set_times(ends[i], NPT_METRIC_WRITE, NPT_FINDING_TURNS_MIN - 1, 10);
	}
}

static void messages_that_cross(struct npt_edge *client, struct npt_edge *server)
{
	slow_server(client, server);
	client->metrics[NPT_METRIC_RESPONSE].overlapped = 11;
	server->metrics[NPT_METRIC_RESPONSE].overlapped = 11;
}

static void messages_that_cross_at_the_server(struct npt_edge *client, struct npt_edge *server)
{
	slow_server(client, server);
	server->metrics[NPT_METRIC_RESPONSE].overlapped = 11;
}

/* 200 turns among 300 messages each way. */
static void messages_that_nobody_asked_for(struct npt_edge *client, struct npt_edge *server)
{
	struct npt_edge *ends[] = { client, server };

	slow_server(client, server);
	for (int i = 0; i < 2; i++) {
		set_times(ends[i], NPT_METRIC_READ, 300, 10);
		set_times(ends[i], NPT_METRIC_WRITE, 300, 10);
	}
}

static void heartbeats(struct npt_edge *client, struct npt_edge *server)
{
	slow_server(client, server);
	client->sent.bytes = server->received.bytes = UINT64_C(200) * NPT_FINDING_HEARTBEAT_BYTES;
	server->sent.bytes = client->received.bytes = UINT64_C(200) * NPT_FINDING_HEARTBEAT_BYTES;
}

static void long_way_to_a_quick_server(struct npt_edge *client, struct npt_edge *server)
{
	set_times(client, NPT_METRIC_RTT, 200, 40000);
	set_times(server, NPT_METRIC_RTT, 200, 40000);
	set_times(client, NPT_METRIC_RESPONSE, 200, 41000);
}

static void long_way_that_may_be_delayed_acks(struct npt_edge *client, struct npt_edge *server)
{
	long_way_to_a_quick_server(client, server);
	client->connections.opened = server->connections.opened = 0;
	client->connections.found = server->connections.found = 1;
}

static void long_way_by_the_kernels_minimum(struct npt_edge *client, struct npt_edge *server)
{
	long_way_that_may_be_delayed_acks(client, server);
	client->metrics[NPT_METRIC_RTT].min_micros = 39500;
	server->metrics[NPT_METRIC_RTT].min_micros = 39500;
}

static void delayed_acks_of_a_short_way(struct npt_edge *client, struct npt_edge *server)
{
	long_way_to_a_quick_server(client, server);
	client->metrics[NPT_METRIC_RTT].min_micros = 90;
	server->metrics[NPT_METRIC_RTT].min_micros = 90;
}

static void long_way_to_a_slow_server(struct npt_edge *client, struct npt_edge *server)
{
	long_way_to_a_quick_server(client, server);
	set_times(client, NPT_METRIC_RESPONSE, 200, 75000);
	set_times(server, NPT_METRIC_RESPONSE, 200, 35000);
}

static void no_response_times(struct npt_edge *client, struct npt_edge *server)
{
	client->metrics[NPT_METRIC_RESPONSE].quality = NPT_QUALITY_UNAVAILABLE;
	server->metrics[NPT_METRIC_RESPONSE].quality = NPT_QUALITY_UNAVAILABLE;
}

static void no_unread_times(struct npt_edge *client, struct npt_edge *server)
{
	slow_reader(client, server);
	server->metrics[NPT_METRIC_UNREAD].quality = NPT_QUALITY_UNAVAILABLE;
}

static void refused(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	npt_named_count_add(client->connections.failed, NPT_EDGE_FAILED_MAX, "ETIMEDOUT", 1);
	npt_named_count_add(client->connections.failed, NPT_EDGE_FAILED_MAX, "ECONNREFUSED", 9);
}

static void given_up(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	npt_named_count_add(client->connections.failed, NPT_EDGE_FAILED_MAX, "ECANCELED", 10);
}

static void one_of_a_hundred_refused(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	client->connections.opened = 99;
	npt_named_count_add(client->connections.failed, NPT_EDGE_FAILED_MAX, "ECONNREFUSED", 1);
}

static void syns_again(struct npt_edge *client, struct npt_edge *server)
{
	(void)server;
	client->retransmit.syn = client->retransmit.segments = 15;
}

static void over_udp(struct npt_edge *client, struct npt_edge *server)
{
	(void)snprintf(client->transport, sizeof(client->transport), "udp");
	(void)snprintf(server->transport, sizeof(server->transport), "udp");
}

#define UNKNOWN NPT_VERDICT_UNKNOWN
#define NONE    NPT_VERDICT_NONE
#define READER  NPT_VERDICT_RECEIVER_APPLICATION
#define WINDOW  NPT_VERDICT_RECEIVER_WINDOW
#define BUFFER  NPT_VERDICT_SENDER_BUFFER
#define LOSS    NPT_VERDICT_NETWORK_LOSS
#define DELAY   NPT_VERDICT_NETWORK_DELAY
#define WRITER  NPT_VERDICT_SENDER_APPLICATION
#define SERVER  NPT_VERDICT_SERVER
#define FAILURE NPT_VERDICT_CONNECT_FAILURE

struct row {
	const char *name;
	void (*make)(struct npt_edge *client, struct npt_edge *server);
	void (*change)(struct npt_edge *client, struct npt_edge *server);
	enum npt_verdict pair_client, pair_server, client, server;
	const char *text; /* in the pair's client's sentence */
};

#define ROW(make, change, ...)                                                                     \
	{                                                                                          \
#make " " #change, make, change, __VA_ARGS__                                       \
	}

static const struct row rows[] = {
	ROW(make_requests, nothing, NONE, NONE, NONE, NONE, "p50 of 200 requests"),
	ROW(make_stream, nothing, NONE, NONE, UNKNOWN, UNKNOWN, "10 MB/s"),
	ROW(make_stream, full_window, WINDOW, WINDOW, UNKNOWN, UNKNOWN, "full 83 %"),
	ROW(make_stream, slow_reader, READER, READER, UNKNOWN, READER,
	    "nginx[200] reads too slowly, 2.2 MB/s: data waits for it 90 %"),
	ROW(make_stream, reader_that_was_late_once, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "80 %"),
	ROW(make_stream, slow_reader_of_a_lossy_path, READER, READER, UNKNOWN, READER, "full 83 %"),
	ROW(make_stream, late_reader_with_room, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
	    "nothing to send 90 %"),
	ROW(make_stream, reader_that_stopped, READER, READER, UNKNOWN, UNKNOWN,
	    "60 KB wait for it"),
	ROW(make_stream, reader_of_large_pieces, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "full 83 %"),
	ROW(make_stream, reader_that_stopped_later, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "60 KB"),
	ROW(make_stream, quick_reader_that_is_half_busy, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
	    "40 %"),
	ROW(make_stream, reader_of_small_pieces, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "80 %"),
	ROW(make_stream, window_that_is_seldom_full, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
	    "full 19 %"),
	ROW(make_stream, window_of_a_lossy_path, LOSS, LOSS, UNKNOWN, UNKNOWN, "9.0 %"),
	ROW(make_stream, fast_though_the_window_is_full, NONE, NONE, NONE, UNKNOWN, "2.0 GB/s"),
	ROW(make_stream, small_send_buffer, BUFFER, BUFFER, BUFFER, UNKNOWN, "room 60 %"),
	ROW(make_stream, large_send_buffer, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "60 %"),
	ROW(make_stream, loss, LOSS, LOSS, LOSS, UNKNOWN, "4.7 %"),
	ROW(make_stream, loss_in_vain, NONE, NONE, UNKNOWN, UNKNOWN, "100 of 70000"),
	ROW(make_stream, nine_lost, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "9 of 100"),
	ROW(make_stream, peer_is_gone, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "hardly answers"),
	ROW(make_requests, loss_of_answers, LOSS, LOSS, NONE, LOSS, "that nginx[200] sent"),
	ROW(make_stream, slow_writer, WRITER, WRITER, UNKNOWN, UNKNOWN, "curl[100] sets the pace"),
	ROW(make_stream, idle_after_a_burst, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "slow or idle"),
	ROW(make_stream, writer_of_some_events, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "slow or idle"),
	ROW(make_stream, long_path, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
	    "whether it could carry more"),
	ROW(make_requests, slow_server, SERVER, SERVER, SERVER, SERVER,
	    "nginx[200] takes 480 ms of 490 ms to answer (p50 of 200 requests)"),
	ROW(make_requests, server_without_the_cpu, UNKNOWN, UNKNOWN, SERVER, UNKNOWN,
	    "before nginx[200] reads them"),
	ROW(make_requests, slow_server_seldom, SERVER, SERVER, UNKNOWN, SERVER, "p95 of 200"),
	ROW(make_requests, large_requests, UNKNOWN, UNKNOWN, UNKNOWN, NONE, "beyond doubt"),
	ROW(make_requests, slow_server_of_a_few, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "too few"),
	ROW(make_requests, messages_that_cross, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "cross"),
	ROW(make_requests, messages_that_cross_at_the_server, UNKNOWN, UNKNOWN, SERVER, UNKNOWN,
	    "cross"),
	ROW(make_requests, messages_that_nobody_asked_for, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
	    "nobody asked for"),
	ROW(make_requests, heartbeats, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "nobody asked for"),
	ROW(make_requests, long_way_to_a_quick_server, DELAY, DELAY, DELAY, DELAY,
	    "until an answer"),
	ROW(make_requests, long_way_that_may_be_delayed_acks, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
	    "beyond doubt"),
	ROW(make_requests, long_way_by_the_kernels_minimum, DELAY, DELAY, DELAY, DELAY,
	    "takes 39 ms"),
	ROW(make_requests, delayed_acks_of_a_short_way, UNKNOWN, UNKNOWN, UNKNOWN, NONE,
	    "beyond doubt"),
	ROW(make_requests, long_way_to_a_slow_server, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN,
	    "beyond doubt"),
	ROW(make_requests, no_response_times, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "not measured"),
	ROW(make_stream, no_unread_times, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "measure the peer"),
	ROW(make_requests, refused, FAILURE, NONE, FAILURE, NONE,
	    "10 of 11 connects failed, most with "
	    "ECONNREFUSED"),
	ROW(make_requests, given_up, UNKNOWN, NONE, UNKNOWN, NONE, "most with ECANCELED"),
	ROW(make_requests, one_of_a_hundred_refused, UNKNOWN, NONE, UNKNOWN, NONE, "1 of 100"),
	ROW(make_requests, syns_again, UNKNOWN, NONE, UNKNOWN, NONE, "15 SYNs"),
	ROW(make_requests, over_udp, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, "only TCP"),
};

static bool is_verdict(const struct npt_edge *edge, enum npt_verdict verdict, const char *name,
		       const char *which)
{
	bool sure = verdict != NPT_VERDICT_UNKNOWN;
	bool ok = edge->finding.verdict == verdict && edge->finding.text[0] &&
		  (edge->finding.confidence_permille > 0) == sure;

	if (!ok)
		printf("%s, %s: %d, %s\n", name, which, (int)edge->finding.verdict,
		       edge->finding.text);
	return ok;
}

static void finds_what_the_numbers_say(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		npt_auto(npt_report_free) struct npt_report *pair = npt_report_new();
		npt_auto(npt_report_free) struct npt_report *apart = npt_report_new();
		struct npt_edge client, server;

		row->make(&client, &server);
		row->change(&client, &server);
		*npt_report_add_edge(apart) = client;
		*npt_report_add_edge(apart) = server;
		client.peer.kind = server.peer.kind = NPT_PEER_PROCESS;
		client.peer.pid = SERVER_PID;
		server.peer.pid = CLIENT_PID;
		*npt_report_add_edge(pair) = client;
		*npt_report_add_edge(pair) = server;
		for (size_t j = 0; j < 2; j++)
			(void)snprintf(apart->edges[j].peer.address, NPT_ADDRESS_BYTES, "10.0.0.1");
		npt_findings_set(pair);
		npt_findings_set(apart);
		NPT_CHECK(is_verdict(&pair->edges[0], row->pair_client, row->name, "client"));
		NPT_CHECK(is_verdict(&pair->edges[1], row->pair_server, row->name, "server"));
		NPT_CHECK(is_verdict(&apart->edges[0], row->client, row->name, "client alone"));
		NPT_CHECK(is_verdict(&apart->edges[1], row->server, row->name, "server alone"));
		if (!strstr(pair->edges[0].finding.text, row->text))
			NPT_CHECK_STR(pair->edges[0].finding.text, row->text);
	}
}

static void add_listener(struct npt_report *report, uint64_t waiting, uint64_t drops)
{
	struct npt_edge *edge = npt_report_add_edge(report);

	begin_edge(edge, NPT_ROLE_SERVER);
	edge->queue.accept_backlog = waiting;
	edge->queue.accept_backlog_max = 4;
	edge->queue.listen_drops = drops;
}

static void a_full_backlog_is_its_clients_finding_too(void)
{
	static const struct {
		const char *address;
		uint64_t waiting, drops;
		enum npt_verdict listener, client;
	} cases[] = {
		{ "127.0.0.1", 5, 3, NPT_VERDICT_LISTENER, NPT_VERDICT_LISTENER },
		{ "10.0.0.1", 5, 3, NPT_VERDICT_LISTENER, NPT_VERDICT_NONE },
		{ "127.0.0.1", 5, 2, NPT_VERDICT_UNKNOWN, NPT_VERDICT_NONE },
		{ "127.0.0.1", 3, 3, NPT_VERDICT_UNKNOWN, NPT_VERDICT_NONE },
		{ "127.0.0.1", 3, 0, NPT_VERDICT_NONE, NPT_VERDICT_NONE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
		struct npt_edge client, server;

		make_requests(&client, &server);
		(void)snprintf(client.peer.address, NPT_ADDRESS_BYTES, "%s", cases[i].address);
		*npt_report_add_edge(report) = client;
		add_listener(report, cases[i].waiting, cases[i].drops);
		npt_findings_set(report);
		NPT_CHECK_INT(report->edges[0].finding.verdict, cases[i].client);
		NPT_CHECK_INT(report->edges[1].finding.verdict, cases[i].listener);
	}
}

/* Among many edges of one port: that process, that client, and no other. */
/* One port, several protocols, which the two ends met in another order; the last is not known yet.
 */
static void ends_of_one_port_find_each_other_by_what_they_speak(void)
{
	static const char *const protocols[] = { "http1", "websocket", "mysql", "unknown" };
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();

	for (uint32_t i = 0; i < NPT_ARRAY_SIZE(protocols); i++) {
		struct npt_edge client, server;

		make_stream(&client, &server);
		(i % 2 ? slow_reader : full_window)(&client, &server);
		client.peer.kind = server.peer.kind = NPT_PEER_PROCESS;
		client.peer.pid = SERVER_PID;
		server.peer.pid = CLIENT_PID;
		client.label = i;
		server.label = (i + 2) % 4;
		(void)snprintf(client.protocol, sizeof(client.protocol), "%s", protocols[i]);
		(void)snprintf(server.protocol, sizeof(server.protocol), "%s",
			       i == 3 ? "redis" : protocols[i]);
		*npt_report_add_edge(report) = client;
		*npt_report_add_edge(report) = server;
	}
	npt_findings_set(report);
	for (uint32_t i = 0; i < report->edges_count; i++)
		NPT_CHECK_INT(report->edges[i].finding.verdict, i / 2 % 2 ? READER : WINDOW);
}

static void ends_find_each_other(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();

	for (uint32_t i = 0; i < 50; i++) {
		struct npt_edge client, server;

		make_stream(&client, &server);
		(i % 2 ? slow_reader : full_window)(&client, &server);
		client.peer.kind = server.peer.kind = NPT_PEER_PROCESS;
		client.process.pid = server.peer.pid = 1000 + i * 7 % 50;
		server.process.pid = client.peer.pid = 2000 + i * 13 % 50;
		*npt_report_add_edge(report) = server;
		*npt_report_add_edge(report) = client;
	}
	npt_findings_set(report);
	for (uint32_t i = 0; i < 100; i++)
		NPT_CHECK_INT(report->edges[i].finding.verdict, i / 2 % 2 ? READER : WINDOW);
}

static void sentences_fit(void)
{
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	struct npt_edge client, server;

	make_stream(&client, &server);
	full_window(&client, &server);
	memset(client.process.name, 'c', sizeof(client.process.name) - 1);
	memset(server.process.name, 's', sizeof(server.process.name) - 1);
	client.process.pid = server.peer.pid = UINT32_MAX;
	client.peer.kind = server.peer.kind = NPT_PEER_PROCESS;
	client.peer.pid = SERVER_PID;
	*npt_report_add_edge(report) = client;
	*npt_report_add_edge(report) = server;
	npt_findings_set(report);
	NPT_CHECK(strstr(report->edges[0].finding.text, "tcp_rmem"));
}

/* Whatever the numbers are: every edge gets a sentence, and twice the same. */
static void any_report_can_be_judged(void)
{
	uint64_t state = npt_test_seed() | 1;

	for (int i = 0; i < 200; i++) {
		npt_auto(npt_report_free) struct npt_report *report =
			npt_test_random_report(&state, 20);
		struct npt_edge first[20];

		npt_findings_set(report);
		memcpy(first, report->edges, sizeof(first));
		npt_findings_set(report);
		NPT_CHECK(memcmp(first, report->edges, sizeof(first)) == 0);
		for (size_t j = 0; j < report->edges_count; j++)
			NPT_CHECK(report->edges[j].finding.text[0]);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(any_report_can_be_judged),
	NPT_TEST(finds_what_the_numbers_say),
	NPT_TEST(a_full_backlog_is_its_clients_finding_too),
	NPT_TEST(ends_find_each_other),
	NPT_TEST(ends_of_one_port_find_each_other_by_what_they_speak),
	NPT_TEST(sentences_fit),
};
NPT_TEST_MAIN(tests)
