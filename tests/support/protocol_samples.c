/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/protocol_samples.h"

#include <string.h>

#define SKIPS_MAX 64

const struct npt_protocol_sample *npt_protocol_sample(size_t index)
{
	static const struct {
		const struct npt_protocol_sample *samples;
		const size_t *count;
	} tables[] = {
		{ npt_protocol_captured, &npt_protocol_captured_count },
		{ npt_protocol_captured_web, &npt_protocol_captured_web_count },
		{ npt_protocol_specified, &npt_protocol_specified_count },
		{ npt_protocol_others, &npt_protocol_others_count },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (index < *tables[i].count)
			return &tables[i].samples[index];
		index -= *tables[i].count;
	}
	return NULL;
}

/* What is known when have bytes were seen, looked at from byte base on. */
static struct npt_bpf_message view(const struct npt_protocol_show *show, uint32_t base,
				   uint32_t have)
{
	const struct npt_protocol_sample_message *message = show->message;
	struct npt_bpf_message seen = { .size = have - base,
					.from = message->from,
					.flags = show->flags };
	uint32_t known = have < message->length ? have : message->length;
	uint32_t length = base < known ? known - base : 0;

	seen.length = (uint8_t)(length < NPT_MESSAGE_BYTES ? length : NPT_MESSAGE_BYTES);
	memcpy(seen.bytes, message->bytes + (length ? base : 0), seen.length);
	return seen;
}

void npt_protocol_show(struct npt_bpf_classified *now, const struct npt_protocol_show *show)
{
	uint32_t size = show->message->size, base = show->begin, have = base, skips = 0;
	bool more = false;

	while (have < size) {
		/* Bytes that no sample holds come all at once. */
		uint32_t piece =
			show->piece && have < show->message->length ? show->piece : size - have;

		have += piece < size - have ? piece : size - have;
		while (base < have) {
			struct npt_bpf_message seen = view(show, base, have);

			seen.flags |= more ? NPT_MESSAGE_MORE : 0;
			if (!seen.length)
				break;
			show->look(now, &seen, show->data);
			more = true;
			if (!now->skip)
				break;
			base += now->skip;
			now->skip = 0;
			more = false;
			if (skips++ == SKIPS_MAX)
				return;
		}
	}
}
