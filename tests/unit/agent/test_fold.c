/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fold.h"

#include <stdio.h>

#include "tests/support/test.h"

static void name_reason(const void *context, uint32_t reason, char *out, size_t size_bytes)
{
	(void)context;
	(void)snprintf(out, size_bytes, "REASON_%u", reason);
}

static const struct npt_fold_names names = { .drop_reason = name_reason };

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

static const struct npt_test tests[] = {
	NPT_TEST(tells_only_what_is_new),
	NPT_TEST(holds_a_step_back_until_it_is_made_good),
	NPT_TEST(rounds_sums_so_that_windows_add_up),
	NPT_TEST(counts_open_connections_as_begun_less_closed),
	NPT_TEST(names_failures_and_drops),
	NPT_TEST(takes_the_maximum_from_the_slot_and_never_below_a_bucket),
};
NPT_TEST_MAIN(tests)
