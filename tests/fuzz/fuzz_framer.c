/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte is how large the pieces are. However a stream is split, the same comes out; and
 * what comes out is never more than went in.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kube/client.h"
#include "lib/kube/framer.h"
#include "lib/kube/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static int take(void *context, bool is_metadata, const char *text, size_t size_bytes)
{
	json_t *object = npt_kube_parse(text, size_bytes);

	(void)npt_kube_outcome_of_status(object);
	json_decref(object);
	(void)npt_buffer_append_text(context, is_metadata ? "#" : "\n");
	return npt_buffer_append(context, text, size_bytes);
}

static int run(enum npt_framer_mode mode, const uint8_t *data, size_t size_bytes, size_t piece,
	       struct npt_buffer *out)
{
	struct npt_framer framer;
	int r = 0;

	npt_buffer_init(out, size_bytes * 2);
	npt_framer_init(&framer, mode, take, out);
	for (size_t at = 0; at < size_bytes && r == 0; at += piece)
		r = npt_framer_feed(&framer, (const char *)data + at,
				    size_bytes - at < piece ? size_bytes - at : piece, NULL);
	npt_framer_done(&framer);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	for (enum npt_framer_mode mode = NPT_FRAMER_STREAM; mode <= NPT_FRAMER_LIST; mode++) {
		npt_auto(npt_buffer_done) struct npt_buffer whole = { 0 }, split = { 0 };
		int r, s;

		if (size_bytes < 2)
			return 0;
		r = run(mode, data + 1, size_bytes - 1, size_bytes, &whole);
		s = run(mode, data + 1, size_bytes - 1, data[0] % 16 + 1U, &split);
		if (r != s || whole.size_bytes != split.size_bytes ||
		    (whole.size_bytes && memcmp(whole.data, split.data, whole.size_bytes) != 0))
			abort();
		npt_buffer_done(&whole);
		npt_buffer_done(&split);
	}
	return 0;
}
