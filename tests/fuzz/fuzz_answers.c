/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What receivers of exports answer: OTLP's two messages, a gRPC body and its trailers, and the ids
 * that a SkyWalking server gives. The first byte chooses.
 */
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/exports/header_file.h"
#include "aggregator/exports/otlp_encode.h"
#include "aggregator/exports/skywalking_process.h"
#include "lib/core/alloc.h"
#include "lib/net/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void answer_of_otlp(const uint8_t *data, size_t size)
{
	struct npt_otlp_answer answer;
	char words[256];

	if (npt_otlp_decode_answer(data, size, &answer, NULL) == 0)
		must(strlen(answer.message) < sizeof(answer.message));
	npt_otlp_decode_status(data, size, words, sizeof(words));
	must(strlen(words) < sizeof(words));
}

static void answer_of_grpc(const uint8_t *data, size_t size)
{
	struct npt_grpc_answer answer = { .status = NPT_GRPC_UNKNOWN };
	const void *message = NULL;
	size_t message_bytes = 0;

	if (npt_grpc_unframe(data, size, &message, &message_bytes, NULL) == 0)
		must(message_bytes + 5 == size && message == data + 5);
	npt_grpc_take_header(&answer, (const char *)data, size);
	must(strlen(answer.message) < sizeof(answer.message) && answer.status < 256);
}

/* The process that the corpus names is known, so that its id can be taken. */
static void ids_of_skywalking(const uint8_t *data, size_t size)
{
	npt_auto(npt_sw_processes_free) struct npt_sw_processes *processes =
		npt_sw_processes_new("fuzz", 1);
	struct npt_series series = { .others = false };
	struct npt_sw_process *process;

	for (size_t i = 0; i < NPT_LABEL_COUNT; i++)
		series.labels.texts[i] = "";
	series.labels.texts[NPT_LABEL_POD_NAMESPACE] = "n";
	series.labels.texts[NPT_LABEL_POD] = "p";
	series.labels.texts[NPT_LABEL_PROCESS] = "x";
	process = npt_sw_process_of(processes, &series, false, 1);
	(void)npt_sw_processes_take_ids(processes, data, size, 1, NULL);
	must(process && strlen(process->id) < NPT_SW_ID_BYTES);
}

static void lines_of_headers(const uint8_t *data, size_t size)
{
	npt_auto(npt_headers_done) struct npt_headers headers = { .text = NULL };

	if (npt_headers_parse(npt_strndup((const char *)data, size), &headers, NULL) < 0)
		return;
	for (size_t i = 0; headers.lines[i]; i++)
		must(!strpbrk(headers.lines[i], "\r\n") && strchr(headers.lines[i], ':'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(const uint8_t *data,
				       size_t size) = { answer_of_otlp, answer_of_grpc,
							ids_of_skywalking, lines_of_headers };

	if (size > 0)
		targets[data[0] % NPT_ARRAY_SIZE(targets)](data + 1, size - 1);
	return 0;
}
