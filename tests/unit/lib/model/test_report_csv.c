/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/report_csv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "tests/support/random_report.h"
#include "tests/support/test.h"

#define BYTES_MAX   (4U * 1024 * 1024)
#define COLUMNS_MAX 100

/* A reader by RFC 4180: the cells of one record, each on its own in the buffer. */
struct record {
	char text[16384];
	const char *cells[COLUMNS_MAX];
	size_t count;
};

static const char *read_record(const char *at, struct record *record)
{
	char *out = record->text;
	bool quoted = false;

	record->count = 0;
	record->cells[record->count++] = out;
	for (; *at && (quoted || strncmp(at, "\r\n", 2) != 0); at++) {
		if (quoted && at[0] == '"' && at[1] == '"') {
			*out++ = *at++;
		} else if (*at == '"') {
			quoted = !quoted;
		} else if (*at == ',' && !quoted) {
			*out++ = '\0';
			if (record->count < COLUMNS_MAX)
				record->cells[record->count++] = out;
		} else {
			*out++ = *at;
		}
	}
	*out = '\0';
	return *at ? at + 2 : NULL;
}

static const char *cell(const struct record *head, const struct record *row, const char *name)
{
	for (size_t i = 0; i < head->count && i < row->count; i++) {
		if (strcmp(head->cells[i], name) == 0)
			return row->cells[i];
	}
	return "(no such column)";
}

struct sheet {
	struct npt_buffer text;
	struct record head, row;
};

static struct sheet *write_edge(struct npt_report *report, const struct npt_edge_quantiles *known)
{
	struct sheet *sheet = npt_alloc(1, sizeof(*sheet));
	const char *rest;

	npt_buffer_init(&sheet->text, BYTES_MAX);
	NPT_CHECK_INT(npt_report_to_csv(report, known, &sheet->text), 0);
	rest = read_record(sheet->text.data, &sheet->head);
	if (NPT_CHECK(rest != NULL))
		rest = read_record(rest, &sheet->row);
	NPT_CHECK(rest && *rest == '\0');
	NPT_CHECK_INT(sheet->head.count, sheet->row.count);
	return sheet;
}

static void free_sheet(struct sheet *sheet)
{
	npt_buffer_done(&sheet->text);
	free(sheet);
}
NPT_DEFINE_AUTO(struct sheet *, free_sheet)

static const char *in(const struct sheet *sheet, const char *name)
{
	return cell(&sheet->head, &sheet->row, name);
}

static struct npt_report *one_edge(void)
{
	struct npt_report *report = npt_report_new();
	struct npt_edge *edge = npt_report_add_edge(report);

	(void)snprintf(edge->process.name, sizeof(edge->process.name), "envoy");
	edge->role = NPT_ROLE_CLIENT;
	edge->peer.port = 9080;
	edge->sent.bytes = 12;
	edge->metrics[NPT_METRIC_READ].quality = NPT_QUALITY_UNAVAILABLE;
	npt_histogram_add(&edge->metrics[NPT_METRIC_RTT].micros, 3);
	edge->metrics[NPT_METRIC_RTT].count = 1;
	return report;
}

static void a_number_stands_below_its_name(void)
{
	npt_auto(npt_report_free) struct npt_report *report = one_edge();
	npt_auto(free_sheet) struct sheet *sheet = write_edge(report, NULL);

	NPT_CHECK_STR(in(sheet, "process"), "envoy");
	NPT_CHECK_STR(in(sheet, "role"), "client");
	NPT_CHECK_STR(in(sheet, "peerPort"), "9080");
	NPT_CHECK_STR(in(sheet, "sentBytes"), "12");
	NPT_CHECK_STR(in(sheet, "rttMicrosP95"), "3");
	NPT_CHECK_STR(in(sheet, "closed"), "0");
}

static void what_was_not_measured_is_empty(void)
{
	npt_auto(npt_report_free) struct npt_report *report = one_edge();
	npt_auto(free_sheet) struct sheet *sheet = write_edge(report, NULL);

	NPT_CHECK_STR(in(sheet, "readCount"), "");
	NPT_CHECK_STR(in(sheet, "readMicrosP50"), "");
	NPT_CHECK_STR(in(sheet, "writeCount"), "0");
	NPT_CHECK_STR(in(sheet, "writeMicrosP50"), "");
}

static void a_summary_leaves_out_what_a_status_does_not_say(void)
{
	npt_auto(npt_report_free) struct npt_report *report = one_edge();
	struct npt_edge_quantiles known = { .is_summary = true };
	npt_auto(free_sheet) struct sheet *sheet = NULL;

	known.known[NPT_METRIC_RESPONSE] = true;
	known.micros[NPT_METRIC_RESPONSE].p95 = 77;
	sheet = write_edge(report, &known);
	NPT_CHECK_STR(in(sheet, "sentBytes"), "12");
	NPT_CHECK_STR(in(sheet, "sentSegments"), "");
	NPT_CHECK_STR(in(sheet, "closed"), "");
	NPT_CHECK_STR(in(sheet, "responseCount"), "");
	NPT_CHECK_STR(in(sheet, "responseMicrosP95"), "77");
	NPT_CHECK_STR(in(sheet, "responseMicrosMax"), "");
}

static void what_a_spreadsheet_would_run_is_text(void)
{
	static const char *const texts[][2] = {
		{ "=1+1", "'=1+1" },
		{ "+cmd", "'+cmd" },
		{ "-2", "'-2" },
		{ "@SUM(A1)", "'@SUM(A1)" },
		{ "\tx", "'\tx" },
		{ "\r\nx", "'\r\nx" },
		{ "=HYPERLINK(\"http://x\",\"y\")", "'=HYPERLINK(\"http://x\",\"y\")" },
		{ "a=b", "a=b" },
		{ "a,b", "a,b" },
		{ "say \"hi\"", "say \"hi\"" },
		{ "two\nlines", "two\nlines" },
		{ "'quoted", "'quoted" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(texts); i++) {
		npt_auto(npt_report_free) struct npt_report *report = one_edge();
		npt_auto(free_sheet) struct sheet *sheet = NULL;

		(void)snprintf(report->edges[0].process.name, NPT_PROCESS_BYTES, "%s", texts[i][0]);
		(void)snprintf(report->edges[0].finding.text, NPT_TEXT_BYTES, "%s", texts[i][0]);
		sheet = write_edge(report, NULL);
		NPT_CHECK_STR(in(sheet, "process"), texts[i][1]);
		NPT_CHECK_STR(in(sheet, "finding"), texts[i][1]);
	}
}

static void any_report_has_as_many_cells_in_each_line(void)
{
	uint64_t state = npt_test_seed();

	for (unsigned int i = 0; i < 50; i++) {
		npt_auto(npt_report_free) struct npt_report *report =
			npt_test_random_report(&state, 1);
		npt_auto(free_sheet) struct sheet *sheet = write_edge(report, NULL);

		NPT_CHECK_STR(in(sheet, "process"), report->edges[0].process.name);
	}
}

static void says_that_it_does_not_fit(void)
{
	npt_auto(npt_report_free) struct npt_report *report = one_edge();
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(1000);

	NPT_CHECK_INT(npt_report_to_csv(report, NULL, &out), -EMSGSIZE);
}

static const struct npt_test tests[] = {
	NPT_TEST(a_number_stands_below_its_name),
	NPT_TEST(what_was_not_measured_is_empty),
	NPT_TEST(a_summary_leaves_out_what_a_status_does_not_say),
	NPT_TEST(what_a_spreadsheet_would_run_is_text),
	NPT_TEST(any_report_has_as_many_cells_in_each_line),
	NPT_TEST(says_that_it_does_not_fit),
};
NPT_TEST_MAIN(tests)
