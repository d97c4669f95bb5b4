/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection of any messages: the classifier reads nothing beyond what it was given, what is
 * final stays, and each field keeps to its range.
 *
 * The input is a sequence of {flags and side, length, size / 256, that many bytes}.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/protocol/classify.h"
#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"

#define HEAD 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check(const struct npt_bpf_classified *before, const struct npt_bpf_classified *after)
{
	must(after->protocol < NPT_PROTOCOL_COUNT && after->inside < NPT_PROTOCOL_COUNT);
	must(after->protocol != NPT_PROTOCOL_HTTP && after->final <= 1 && after->confidence <= 99);
	must(!after->inside || after->protocol == NPT_PROTOCOL_TLS);
	must(!after->protocol == !after->confidence);
	must(after->messages <= NPT_PROTOCOL_MESSAGES_HTTP2_MAX);
	must((after->hints >> NPT_PROTOCOL_COUNT) == 0);
	must(!before->final || memcmp(before, after, sizeof(*after)) == 0);
	must(!after->final || !after->skip || before->final);
	/* One side's bytes alone never take a label back. */
	must(after->protocol || !before->protocol || after->final);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Memory of their own, so that a sanitizer sees one byte too far. */
	npt_auto_free struct npt_bpf_classified *now = npt_alloc(1, sizeof(*now));
	npt_auto_free struct npt_bpf_message *message = npt_alloc(1, sizeof(*message));

	while (size >= HEAD) {
		struct npt_bpf_classified before = *now;
		size_t length = data[1] % (NPT_MESSAGE_BYTES + 1);

		if (length > size - HEAD)
			length = size - HEAD;
		memset(message, 0, sizeof(*message));
		memcpy(message->bytes, data + HEAD, length);
		message->length = (uint8_t)length;
		message->size = (uint32_t)length + data[2] * 256U;
		message->flags = data[0] & 7;
		message->from = (data[0] >> 3) % 3;
		must(npt_protocol_next(now, message) == now->protocol);
		check(&before, now);
		now->skip = 0;
		data += HEAD + length;
		size -= HEAD + length;
	}
	return 0;
}
