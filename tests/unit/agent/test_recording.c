/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/recording.h"

#include <stdio.h>

#include "tests/support/test.h"

static struct npt_edge delta_of(uint32_t pid, uint64_t bytes, uint64_t micros)
{
	struct npt_edge delta = { .process.pid = pid, .role = NPT_ROLE_CLIENT };

	delta.sent.bytes = bytes;
	delta.metrics[NPT_METRIC_WRITE].count = 1;
	npt_histogram_add(&delta.metrics[NPT_METRIC_WRITE].micros, micros);
	return delta;
}

static void windows_add_up_to_the_report(void)
{
	npt_auto(npt_report_free) struct npt_report *head = npt_report_new();
	npt_auto(npt_recording_free) struct npt_recording *recording =
		npt_recording_new(head, 1000);
	uint64_t state = npt_test_seed(), sum = 0, count = 0;

	for (uint64_t window = 1; window <= 20; window++) {
		struct npt_report *cut;

		for (uint64_t i = npt_test_random(&state) % 50; i > 0; i--) {
			uint32_t slot = (uint32_t)(2 + npt_test_random(&state) % 10);
			struct npt_edge delta = delta_of(slot, npt_test_random(&state) % 1000,
							 npt_test_random(&state) % 5000);

			npt_recording_add(recording, slot, &delta);
		}
		cut = npt_recording_cut(recording, 1000 + window * 500);
		NPT_CHECK_INT(cut->sequence, window);
		NPT_CHECK_INT(cut->duration_ms, 500);
		for (size_t i = 0; i < cut->edges_count; i++) {
			sum += cut->edges[i].sent.bytes;
			count += cut->edges[i].metrics[NPT_METRIC_WRITE].micros.count;
		}
		npt_report_free(cut);
	}
	for (size_t i = 0; i < npt_recording_total(recording)->edges_count; i++) {
		const struct npt_edge *edge = &npt_recording_total(recording)->edges[i];

		sum -= edge->sent.bytes;
		count -= edge->metrics[NPT_METRIC_WRITE].micros.count;
	}
	NPT_CHECK_INT(sum, 0);
	NPT_CHECK_INT(count, 0);
	NPT_CHECK_INT(npt_recording_total(recording)->duration_ms, 10000);
}

/* It came from another edge: it is neither new nor older than the task. */
static void a_connection_that_moved_is_not_found_again(void)
{
	npt_auto(npt_report_free) struct npt_report *head = npt_report_new();
	npt_auto(npt_recording_free) struct npt_recording *recording =
		npt_recording_new(head, 1000);
	struct npt_edge into = delta_of(1, 10, 5), from = delta_of(1, 10, 5);

	into.connections.moved_in = into.connections.open = 2;
	from.connections.opened = 3;
	from.connections.moved_out = 2;
	from.connections.open = 1;
	npt_recording_add(recording, 1, &into);
	npt_recording_add(recording, 2, &from);
	NPT_CHECK_INT(npt_recording_total(recording)->edges[0].connections.found, 0);
	NPT_CHECK_INT(npt_recording_total(recording)->edges[1].connections.found, 0);
	from.connections.moved_out = 4; /* of which two were there before this recording */
	npt_recording_add(recording, 3, &from);
	NPT_CHECK_INT(npt_recording_total(recording)->edges[2].connections.found, 2);
}

static void windows_follow_one_another_without_a_gap(void)
{
	npt_auto(npt_report_free) struct npt_report *head = npt_report_new();
	npt_auto(npt_recording_free) struct npt_recording *recording = NULL;
	struct npt_report *window;

	(void)snprintf(head->task.uid, sizeof(head->task.uid), "u");
	recording = npt_recording_new(head, 100);
	window = npt_recording_cut(recording, 250);
	NPT_CHECK_INT(window->start_unix_ms, 100);
	NPT_CHECK_INT(window->duration_ms, 150);
	NPT_CHECK_STR(window->task.uid, "u");
	npt_report_free(window);
	/* The wall clock stepped back: a window is never negative, the next begins where it ended.
	 */
	window = npt_recording_cut(recording, 200);
	NPT_CHECK_INT(window->start_unix_ms, 250);
	NPT_CHECK_INT(window->duration_ms, 0);
	npt_report_free(window);
}

static void finds_connections_that_are_older_than_the_recording(void)
{
	npt_auto(npt_report_free) struct npt_report *head = npt_report_new();
	npt_auto(npt_recording_free) struct npt_recording *recording = npt_recording_new(head, 0);
	struct npt_edge delta = { .connections = { .open = 3, .opened = 1, .closed = 1 } };

	npt_recording_add(recording, 2, &delta);
	delta = (struct npt_edge){ .connections = { .open = 2, .closed = 1 } };
	npt_recording_add(recording, 2, &delta);
	NPT_CHECK_INT(npt_recording_total(recording)->edges[0].connections.found, 3);
	NPT_CHECK_INT(npt_recording_window(recording)->edges[0].connections.found, 3);
}

static const struct npt_test tests[] = {
	NPT_TEST(windows_add_up_to_the_report),
	NPT_TEST(a_connection_that_moved_is_not_found_again),
	NPT_TEST(windows_follow_one_another_without_a_gap),
	NPT_TEST(finds_connections_that_are_older_than_the_recording),
};
NPT_TEST_MAIN(tests)
