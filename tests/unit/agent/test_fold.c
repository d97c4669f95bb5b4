/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fold.h"

#include <stdio.h>

#include "bpf/protocol.h"
#include "tests/support/test.h"

static void name_reason(const void *context, uint32_t reason, char *out, size_t size_bytes)
{
	(void)context;
	(void)snprintf(out, size_bytes, "REASON_%u", reason);
}

static void name_reset(const void *context, uint32_t reason, char *out, size_t size_bytes)
{
	(void)context;
	(void)snprintf(out, size_bytes, "RESET_%u", reason);
}

static const struct npt_fold_names names = {
	.drop_reason = name_reason,
	.reset_reason = name_reset,
	.jiffies_per_second = 250,
};

static void tells_only_what_is_new(void)
{
	struct npt_bpf_slot seen = { 0 }, now = { 0 };
	struct npt_edge delta = { 0 };

	NPT_CHECK(!npt_fold_advance(&seen, &now, &names, &delta));
	now.sent_bytes = 100;
	now.metrics[NPT_BPF_WRITE].count = 2;
	NPT_CHECK(npt_fold_advance(&seen, &now, &names, &delta));
	NPT_CHECK_INT(delta.sent.bytes, 100);
	NPT_CHECK_INT(delta.metrics[NPT_METRIC_WRITE].count, 2);
	delta = (struct npt_edge){ 0 };
	NPT_CHECK(!npt_fold_advance(&seen, &now, &names, &delta));
	NPT_CHECK_INT(delta.sent.bytes, 0);
}

static void holds_a_step_back_until_it_is_made_good(void)
{
	struct npt_bpf_slot seen = { 0 }, now = { .received_bytes = 101 };
	struct npt_edge delta = { 0 };
	uint64_t sum = 0;

	(void)npt_fold_advance(&seen, &now, &names, &delta);
	sum += delta.received.bytes;
	now.received_bytes = 100;
	(void)npt_fold_advance(&seen, &now, &names, &delta);
	NPT_CHECK_INT(delta.received.bytes, 0);
	now.received_bytes = 150;
	(void)npt_fold_advance(&seen, &now, &names, &delta);
	sum += delta.received.bytes;
	NPT_CHECK_INT(sum, 150);
}

static void rounds_sums_so_that_windows_add_up(void)
{
	struct npt_bpf_slot seen = { 0 }, now = { 0 };
	struct npt_edge delta = { 0 };
	uint64_t sum = 0;

	for (int i = 0; i < 10; i++) {
		now.metrics[NPT_BPF_READ].sum_ns += 1700;
		(void)npt_fold_advance(&seen, &now, &names, &delta);
		sum += delta.metrics[NPT_METRIC_READ].micros.sum_micros;
	}
	NPT_CHECK_INT(sum, 17);
}

static void counts_open_connections_as_begun_less_closed(void)
{
	struct npt_bpf_slot seen = { 0 }, now = { .opened = 3, .found = 2, .closed = 4 };
	struct npt_edge delta = { 0 };

	NPT_CHECK(npt_fold_advance(&seen, &now, &names, &delta));
	NPT_CHECK_INT(delta.connections.open, 1);
	NPT_CHECK_INT(delta.connections.opened, 3);
	NPT_CHECK_INT(delta.connections.found, 2);
	/* Nothing is new, but a connection is open: the edge is told again. */
	NPT_CHECK(npt_fold_advance(&seen, &now, &names, &delta));
}

static void names_failures_and_drops(void)
{
	struct npt_bpf_slot seen = { 0 }, now = { 0 };
	struct npt_edge delta = { 0 };

	now.failed[0] = (struct npt_bpf_code_count){ .code = 111, .count = 2 };
	now.drops[1] = (struct npt_bpf_code_count){ .code = 12, .count = 5 };
	now.drops_other = 1;
	(void)npt_fold_advance(&seen, &now, &names, &delta);
	NPT_CHECK_STR(delta.connections.failed[0].name, "ECONNREFUSED");
	NPT_CHECK_INT(delta.connections.failed[0].count, 2);
	NPT_CHECK_STR(delta.drops[0].name, "REASON_12");
	NPT_CHECK_INT(delta.drops[0].count, 5);
	NPT_CHECK_STR(delta.drops[1].name, "other");
	now.failed[0].count = 3;
	delta = (struct npt_edge){ 0 };
	(void)npt_fold_advance(&seen, &now, &names, &delta);
	NPT_CHECK_INT(delta.connections.failed[0].count, 1);
	NPT_CHECK_STR(delta.drops[0].name, "");
}

static void takes_the_maximum_from_the_slot_and_never_below_a_bucket(void)
{
	struct npt_bpf_slot live = { 0 }, copy, seen = { 0 };
	struct npt_edge delta = { 0 };

	live.metrics[NPT_BPF_WRITE].max_micros = 77;
	npt_fold_read_slot(&live, &copy);
	NPT_CHECK_INT(copy.metrics[NPT_BPF_WRITE].max_micros, 77);
	NPT_CHECK_INT(live.metrics[NPT_BPF_WRITE].max_micros, 0);
	copy.metrics[NPT_BPF_WRITE].max_micros = 0;
	copy.metrics[NPT_BPF_WRITE].buckets[npt_histogram_bucket(500)] = 1;
	(void)npt_fold_advance(&seen, &copy, &names, &delta);
	NPT_CHECK(delta.metrics[NPT_METRIC_WRITE].micros.max_micros > 400);
	NPT_CHECK_INT(delta.metrics[NPT_METRIC_WRITE].micros.count, 1);
}

static void what_a_sender_waited_for_adds_up_to_its_connections_time(void)
{
	struct npt_bpf_slot seen = { 0 }, now = { .lifetime_jiffies = 1000 };
	struct npt_edge delta = { 0 };

	now.limited_jiffies[NPT_BPF_BUSY] = 100;
	now.limited_jiffies[NPT_BPF_RECEIVE_WINDOW] = 200;
	now.limited_jiffies[NPT_BPF_SEND_BUFFER] = 300;
	(void)npt_fold_advance(&seen, &now, &names, &delta);
	NPT_CHECK_INT(delta.limited.network_micros, 400000);
	NPT_CHECK_INT(delta.limited.receive_window_micros, 800000);
	NPT_CHECK_INT(delta.limited.send_buffer_micros, 1200000);
	NPT_CHECK_INT(delta.limited.application_micros, 1600000);
	now.lifetime_jiffies = 1250;
	(void)npt_fold_advance(&seen, &now, &names, &delta);
	NPT_CHECK_INT(delta.limited.application_micros, 1000000);
	NPT_CHECK_INT(delta.limited.network_micros, 0);
}

static void resets_have_names_by_direction(void)
{
	struct npt_bpf_slot seen = { 0 }, now = { 0 };
	struct npt_edge delta = { 0 };

	now.resets_sent[0].code = 8 + 1;
	now.resets_sent[0].count = 3;
	now.resets_received[0].code = 104;
	now.resets_received[0].count = 2;
	NPT_CHECK(npt_fold_advance(&seen, &now, &names, &delta));
	NPT_CHECK_STR(delta.resets_sent[0].name, "RESET_8");
	NPT_CHECK_INT(delta.resets_sent[0].count, 3);
	NPT_CHECK_STR(delta.resets_received[0].name, "ECONNRESET");
	NPT_CHECK_INT(delta.resets_received[0].count, 2);
}

static void a_slots_opening_is_connect_or_accept_by_its_role(void)
{
	struct npt_bpf_slot seen = { 0 }, now = { 0 };
	struct npt_edge client = { 0 }, server = { 0 };

	now.metrics[NPT_BPF_OPEN].count = 2;
	now.key.role = NPT_BPF_CLIENT;
	(void)npt_fold_advance(&seen, &now, &names, &client);
	seen = (struct npt_bpf_slot){ 0 };
	now.key.role = NPT_BPF_SERVER;
	(void)npt_fold_advance(&seen, &now, &names, &server);
	NPT_CHECK_INT(client.metrics[NPT_METRIC_CONNECT].count, 2);
	NPT_CHECK_INT(client.metrics[NPT_METRIC_ACCEPT].count, 0);
	NPT_CHECK_INT(server.metrics[NPT_METRIC_ACCEPT].count, 2);
	NPT_CHECK_INT(server.metrics[NPT_METRIC_CONNECT].count, 0);
}

static void gauges_are_as_they_are_and_turned_away_connects_are_counted(void)
{
	const struct npt_bpf_queue now = { .unread_bytes = 7,
					   .accept_backlog = 3,
					   .accept_backlog_max = 128,
					   .min_rtt_micros = 41,
					   .listen_drops = 5 };
	struct npt_edge delta = { 0 };
	__u64 seen = 2;

	for (int i = 0; i < 2; i++) {
		NPT_CHECK(npt_fold_queue(&seen, &now, &delta));
		NPT_CHECK_INT(delta.queue.unread_bytes, 7);
		NPT_CHECK_INT(delta.queue.accept_backlog, 3);
		NPT_CHECK_INT(delta.queue.accept_backlog_max, 128);
		NPT_CHECK_INT(delta.metrics[NPT_METRIC_RTT].min_micros, 41);
		NPT_CHECK_INT(delta.queue.listen_drops, i == 0 ? 3 : 0);
	}
}

static void a_label_says_protocol_confidence_and_tls(void)
{
	static const struct {
		uint32_t label;
		const char *protocol;
		uint32_t permille;
		enum npt_tls tls;
	} cases[] = {
		{ 0, "unknown", 0, NPT_TLS_UNKNOWN },
		{ NPT_LABEL(NPT_PROTOCOL_HTTP2, NPT_BPF_TLS_NO, 90), "http2", 900, NPT_TLS_NO },
		{ NPT_LABEL(NPT_PROTOCOL_REDIS, NPT_BPF_TLS_YES, 100) | NPT_LABEL_FINAL, "redis",
		  1000, NPT_TLS_YES },
		{ NPT_LABEL(NPT_PROTOCOL_UNKNOWN, NPT_BPF_TLS_YES, 0), "unknown", 0, NPT_TLS_YES },
		/* Nobody's numbers. */
		{ NPT_LABEL(NPT_PROTOCOL_COUNT, NPT_BPF_TLS_NO, 50), "unknown", 500, NPT_TLS_NO },
		{ NPT_LABEL(255, 255, 10), "unknown", 100, NPT_TLS_UNKNOWN },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_bpf_speech seen = { 0 }, now = { .label = cases[i].label };
		struct npt_edge delta = { 0 };

		NPT_CHECK_INT(npt_fold_speech(&seen, &now, &delta), cases[i].label != 0);
		NPT_CHECK_STR(delta.protocol, cases[i].protocol);
		NPT_CHECK_INT(delta.protocol_confidence_permille, cases[i].permille);
		NPT_CHECK_INT(delta.tls, cases[i].tls);
		delta = (struct npt_edge){ 0 };
		NPT_CHECK(!npt_fold_speech(&seen, &now, &delta)); /* it was told */
		NPT_CHECK_STR(delta.protocol, cases[i].protocol); /* and stays */
	}
}

static void connections_that_move_are_open_where_they_are(void)
{
	struct npt_bpf_slot seen = { 0 }, left = { .opened = 3, .closed = 1 }, entered = { 0 };
	struct npt_bpf_speech seen_speech = { 0 }, speech = { .moved_out = 2 };
	struct npt_edge delta = { 0 };

	(void)npt_fold_advance(&seen, &left, &names, &delta);
	NPT_CHECK(npt_fold_speech(&seen_speech, &speech, &delta));
	NPT_CHECK_INT(delta.connections.open, 0);
	NPT_CHECK_INT(delta.connections.moved_out, 2);
	NPT_CHECK_INT(delta.connections.moved_in, 0);
	(void)npt_fold_advance(&seen, &left, &names, &delta);
	NPT_CHECK(!npt_fold_speech(&seen_speech, &speech, &delta));
	NPT_CHECK_INT(delta.connections.moved_out, 0);

	seen = (struct npt_bpf_slot){ 0 };
	seen_speech = (struct npt_bpf_speech){ 0 };
	speech = (struct npt_bpf_speech){ .moved_in = 2 };
	entered.closed = 1;
	(void)npt_fold_advance(&seen, &entered, &names, &delta);
	NPT_CHECK(npt_fold_speech(&seen_speech, &speech, &delta));
	NPT_CHECK_INT(delta.connections.open, 1);
	NPT_CHECK_INT(delta.connections.moved_in, 2);
	NPT_CHECK_INT(delta.connections.moved_out, 0);
	(void)npt_fold_advance(&seen, &entered, &names, &delta);
	NPT_CHECK(npt_fold_speech(&seen_speech, &speech, &delta)); /* one is open */
	NPT_CHECK_INT(delta.connections.moved_in, 0);
	/* Closed here and read before its coming is: none is open, not a huge number. */
	entered.closed = 3;
	(void)npt_fold_advance(&seen, &entered, &names, &delta);
	NPT_CHECK(!npt_fold_speech(&seen_speech, &speech, &delta));
	NPT_CHECK_INT(delta.connections.open, 0);
}

static void calls_of_tls_libraries_are_differences(void)
{
	struct npt_bpf_speech seen = { 0 }, now = {
		.tls_writes = 2, .tls_written_bytes = 300, .tls_reads = 5, .tls_read_bytes = 7000
	};
	struct npt_edge delta = { 0 };

	NPT_CHECK(npt_fold_speech(&seen, &now, &delta));
	NPT_CHECK_INT(delta.tls_calls.writes, 2);
	NPT_CHECK_INT(delta.tls_calls.written_bytes, 300);
	NPT_CHECK_INT(delta.tls_calls.reads, 5);
	NPT_CHECK_INT(delta.tls_calls.read_bytes, 7000);
	now.tls_reads = 6;
	now.tls_read_bytes = 7001;
	NPT_CHECK(npt_fold_speech(&seen, &now, &delta));
	NPT_CHECK_INT(delta.tls_calls.writes, 0);
	NPT_CHECK_INT(delta.tls_calls.written_bytes, 0);
	NPT_CHECK_INT(delta.tls_calls.reads, 1);
	NPT_CHECK_INT(delta.tls_calls.read_bytes, 1);
	NPT_CHECK(!npt_fold_speech(&seen, &now, &delta));
	now.tls_writes = 3;
	NPT_CHECK(npt_fold_speech(&seen, &now, &delta));
}

static void connections_with_tls_of_the_kernel_are_differences(void)
{
	struct npt_bpf_speech seen = { 0 }, now = { .kernel_tls = 2 };
	struct npt_edge delta = { 0 };

	NPT_CHECK(npt_fold_speech(&seen, &now, &delta));
	NPT_CHECK_INT(delta.connections.kernel_tls, 2);
	NPT_CHECK(!npt_fold_speech(&seen, &now, &delta));
	NPT_CHECK_INT(delta.connections.kernel_tls, 0);
	now.kernel_tls = 5;
	NPT_CHECK(npt_fold_speech(&seen, &now, &delta));
	NPT_CHECK_INT(delta.connections.kernel_tls, 3);
}

/* A slot that is another edge's by now is read with a seen of its own; until then no number is
 * huge. */
static void what_steps_back_is_held(void)
{
	struct npt_bpf_speech seen = { 0 }, full = { .moved_in = 9,
						     .moved_out = 8,
						     .tls_writes = 7,
						     .tls_written_bytes = 600,
						     .tls_reads = 5,
						     .tls_read_bytes = 400 };
	const struct npt_bpf_speech empty = { 0 }, again = { .moved_in = 10, .tls_reads = 6 };
	struct npt_edge delta = { 0 };

	(void)npt_fold_speech(&seen, &full, &delta);
	delta = (struct npt_edge){ 0 };
	NPT_CHECK(!npt_fold_speech(&seen, &empty, &delta));
	NPT_CHECK_INT(delta.connections.open, 0);
	NPT_CHECK_INT(delta.connections.moved_in + delta.connections.moved_out, 0);
	NPT_CHECK_INT(delta.tls_calls.writes + delta.tls_calls.written_bytes, 0);
	NPT_CHECK_INT(delta.tls_calls.reads + delta.tls_calls.read_bytes, 0);
	NPT_CHECK(npt_fold_speech(&seen, &again, &delta));
	NPT_CHECK_INT(delta.connections.moved_in, 1);
	NPT_CHECK_INT(delta.connections.moved_out, 0);
	NPT_CHECK_INT(delta.tls_calls.reads, 1);
	seen = empty;
	delta = (struct npt_edge){ 0 };
	NPT_CHECK(npt_fold_speech(&seen, &again, &delta));
	NPT_CHECK_INT(delta.connections.moved_in, 10);
	NPT_CHECK_INT(delta.tls_calls.reads, 6);
}

static const struct npt_test tests[] = {
	NPT_TEST(a_label_says_protocol_confidence_and_tls),
	NPT_TEST(connections_that_move_are_open_where_they_are),
	NPT_TEST(calls_of_tls_libraries_are_differences),
	NPT_TEST(connections_with_tls_of_the_kernel_are_differences),
	NPT_TEST(what_steps_back_is_held),
	NPT_TEST(what_a_sender_waited_for_adds_up_to_its_connections_time),
	NPT_TEST(resets_have_names_by_direction),
	NPT_TEST(a_slots_opening_is_connect_or_accept_by_its_role),
	NPT_TEST(gauges_are_as_they_are_and_turned_away_connects_are_counted),
	NPT_TEST(tells_only_what_is_new),
	NPT_TEST(holds_a_step_back_until_it_is_made_good),
	NPT_TEST(rounds_sums_so_that_windows_add_up),
	NPT_TEST(counts_open_connections_as_begun_less_closed),
	NPT_TEST(names_failures_and_drops),
	NPT_TEST(takes_the_maximum_from_the_slot_and_never_below_a_bucket),
};
NPT_TEST_MAIN(tests)
