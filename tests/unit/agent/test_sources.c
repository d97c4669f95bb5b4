/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/sources.h"

#include <string.h>

#include "tests/support/test.h"

static const struct npt_probe_abilities everything = {
	.trampolines = true,
	.lengths = true,
	.operations = true,
	.write_begin = true,
	.data_ready = true,
	.splice = true,
	.drops = true,
	.drop_receivers = true,
	.resets = true,
	.reset_reasons = true,
	.tail_loss = true,
};

static const char *find(const struct npt_named_reason *reasons, size_t max, const char *name)
{
	for (size_t i = 0; i < max && reasons[i].name[0]; i++) {
		if (strcmp(reasons[i].name, name) == 0)
			return reasons[i].reason;
	}
	return "";
}

static const char *unavailable(const struct npt_report *report, const char *name)
{
	return find(report->unavailable, NPT_REPORT_UNAVAILABLE_MAX, name);
}

static const char *source(const struct npt_report *report, const char *name)
{
	return find(report->sources, NPT_REPORT_SOURCES_MAX, name);
}

static void a_kernel_that_has_all_gives_exact_times(void)
{
	const struct npt_layers layers = { .operations = true };
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	struct npt_edge edge = { 0 };

	npt_sources_set_quality(&everything, &layers, &edge);
	for (size_t i = 0; i < NPT_METRIC_COUNT; i++)
		NPT_CHECK_INT(edge.metrics[i].quality, NPT_QUALITY_EXACT);
	npt_sources_describe(&everything, &layers, report);
	NPT_CHECK_STR(source(report, "read.micros"), "fentry inet_recvmsg");
	NPT_CHECK_STR(unavailable(report, "read.micros"), "");
	NPT_CHECK_STR(unavailable(report, "drops"), "");
}

static void without_trampolines_times_are_sampled_and_say_so(void)
{
	const struct npt_layers layers = { .operations = true };
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	struct npt_probe_abilities can = everything;
	struct npt_edge edge = { 0 };

	can.trampolines = false;
	npt_sources_set_quality(&can, &layers, &edge);
	NPT_CHECK_INT(edge.metrics[NPT_METRIC_READ].quality, NPT_QUALITY_SAMPLED);
	NPT_CHECK_INT(edge.metrics[NPT_METRIC_ACCEPT].quality, NPT_QUALITY_SAMPLED);
	NPT_CHECK_INT(edge.metrics[NPT_METRIC_WRITE].quality, NPT_QUALITY_EXACT);
	npt_sources_describe(&can, &layers, report);
	NPT_CHECK_STR(source(report, "write.micros"), "tcp_sendmsg_locked");
	NPT_CHECK_STR(source(report, "read.micros"), "slices of sys_enter");
}

static void an_old_kernel_says_what_it_lacks(void)
{
	const struct npt_probe_abilities can = {
		.trampolines = true, .operations = true, .write_begin = true, .drops = true
	};
	const struct npt_layers layers = { .operations = true };
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	struct npt_edge edge = { 0 };

	npt_sources_set_quality(&can, &layers, &edge);
	NPT_CHECK_INT(edge.metrics[NPT_METRIC_RESPONSE].quality, NPT_QUALITY_UNAVAILABLE);
	npt_sources_describe(&can, &layers, report);
	NPT_CHECK(strstr(unavailable(report, "response"), "sk_data_ready"));
	NPT_CHECK(strstr(unavailable(report, "unread"), "6.3+"));
	NPT_CHECK(strstr(unavailable(report, "drops.received"), "6.11+"));
	NPT_CHECK(strstr(unavailable(report, "resets"), "tcp_send_reset"));
	NPT_CHECK_STR(source(report, "write"), "fexit inet_sendmsg");
}

static void a_layer_that_is_off_says_why(void)
{
	const struct npt_layers off = { .operations_off = "because" };
	const struct npt_layers unsliced = { .operations = true, .slices_off = true };
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();
	npt_auto(npt_report_free) struct npt_report *other = npt_report_new();
	struct npt_edge edge = { 0 };

	npt_sources_set_quality(&everything, &off, &edge);
	NPT_CHECK_INT(edge.metrics[NPT_METRIC_WRITE].quality, NPT_QUALITY_UNAVAILABLE);
	NPT_CHECK_INT(edge.metrics[NPT_METRIC_CONNECT].quality, NPT_QUALITY_EXACT);
	npt_sources_describe(&everything, &off, report);
	NPT_CHECK_STR(unavailable(report, "read"), "because");
	NPT_CHECK_STR(source(report, "read"), "");
	npt_sources_describe(&everything, &unsliced, other);
	NPT_CHECK(strstr(unavailable(other, "read.micros"), "budget"));
	NPT_CHECK_STR(unavailable(other, "read"), "");
}

static const struct npt_test tests[] = {
	NPT_TEST(a_kernel_that_has_all_gives_exact_times),
	NPT_TEST(without_trampolines_times_are_sampled_and_say_so),
	NPT_TEST(an_old_kernel_says_what_it_lacks),
	NPT_TEST(a_layer_that_is_off_says_why),
};
NPT_TEST_MAIN(tests)
