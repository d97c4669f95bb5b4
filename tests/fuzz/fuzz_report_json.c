/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report as a service could send it: what is accepted is printed in every form, its texts end,
 * and what is written of it is read again to the same.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/model/report_csv.h"
#include "lib/model/report_details.h"
#include "lib/model/report_dot.h"

#define OUTPUT_BYTES_MAX (64UL * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void print(const struct npt_report *report, const struct npt_edge_quantiles *quantiles)
{
	npt_auto(npt_buffer_done) struct npt_buffer csv = NPT_BUFFER(OUTPUT_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer dot = NPT_BUFFER(OUTPUT_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(OUTPUT_BYTES_MAX);

	must(npt_report_to_csv(report, quantiles, &csv) == 0);
	must(npt_report_to_dot(report, quantiles, &dot) == 0);
	for (size_t i = 0; i < report->edges_count; i++)
		npt_edge_details(&report->edges[i], &quantiles[i], &text);
	npt_report_append_tls(report, &text);
	npt_report_append_reasons(report, &text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto(npt_report_free) struct npt_report *report = NULL, *again = NULL;
	npt_auto_free struct npt_edge_quantiles *quantiles = NULL;
	npt_auto_free char *first = NULL, *second = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_report_from_json((const char *)data, size, &report, &quantiles, &err) < 0) {
		must(err.code != 0 && err.text[0]);
		return 0;
	}
	print(report, quantiles);
	first = npt_report_to_json(report);
	must(npt_report_from_json(first, strlen(first), &again, NULL, &err) == 0);
	second = npt_report_to_json(again);
	must(strcmp(first, second) == 0);
	return 0;
}
