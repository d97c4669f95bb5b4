/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a receiver says is not to be trusted: bounded, its text cleaned, its numbers checked.
 */
#include <errno.h>
#include <string.h>

#include "otlp.pb-c.h"

#include "aggregator/exports/labels.h"
#include "aggregator/exports/otlp_encode.h"

#define ANSWER_BYTES_MAX (64U * 1024)

static void copy_text(const ProtobufCBinaryData *from, char *out, size_t out_bytes)
{
	char raw[256];
	size_t length = from->len < sizeof(raw) - 1 ? from->len : sizeof(raw) - 1;

	if (length > 0)
		memcpy(raw, from->data, length);
	raw[length] = '\0';
	npt_label_clean(raw, out, out_bytes);
}

int npt_otlp_decode_answer(const void *data, size_t size_bytes, struct npt_otlp_answer *answer_ret,
			   struct npt_error *err)
{
	Npt__Otlp__Response *response;
	const Npt__Otlp__PartialSuccess *partial;

	*answer_ret = (struct npt_otlp_answer){ .rejected_points = 0 };
	response = size_bytes <= ANSWER_BYTES_MAX
			   ? npt__otlp__response__unpack(NULL, size_bytes, data)
			   : NULL;
	if (!response)
		return npt_error_set(err, EBADMSG, "the answer is no ExportMetricsServiceResponse");
	partial = response->partial_success;
	if (partial) {
		if (partial->rejected_points > 0)
			answer_ret->rejected_points = (uint64_t)partial->rejected_points;
		copy_text(&partial->message, answer_ret->message, sizeof(answer_ret->message));
	}
	npt__otlp__response__free_unpacked(response, NULL);
	return 0;
}

void npt_otlp_decode_status(const void *data, size_t size_bytes, char *out, size_t out_bytes)
{
	Npt__Otlp__Status *status = NULL;

	out[0] = '\0';
	if (size_bytes <= ANSWER_BYTES_MAX)
		status = npt__otlp__status__unpack(NULL, size_bytes, data);
	if (!status)
		return;
	copy_text(&status->message, out, out_bytes);
	npt__otlp__status__free_unpacked(status, NULL);
}
