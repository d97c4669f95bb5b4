/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte chooses the columns, the others are an answer: its rows, one after the other. What
 * is read must lie in what was given, be the same when it comes with less behind it, and be written
 * again as it was.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/rowbinary.h"
#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const columns[] = {
	"n", "s", "nnnns", "nsssnnnn", "nsssssnnnn", "snn", "nnnss"
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_row(const char *types, const struct npt_rowbinary_value *values,
		      const uint8_t *data, size_t used)
{
	npt_auto(npt_buffer_done) struct npt_buffer again = NPT_BUFFER(used + 64);

	for (size_t i = 0; types[i]; i++) {
		if (types[i] == 'n') {
			(void)npt_rowbinary_put_number(&again, values[i].number);
			continue;
		}
		must(values[i].size_bytes <= NPT_ROWBINARY_TEXT_BYTES_MAX);
		must(values[i].size_bytes == 0 ||
		     ((const uint8_t *)values[i].text >= data &&
		      (const uint8_t *)values[i].text + values[i].size_bytes <= data + used));
		(void)npt_rowbinary_put_text(&again, values[i].text, values[i].size_bytes);
	}
	/* A length may have been written with more bytes than it needs. */
	must(again.size_bytes <= used);
	must(again.size_bytes < used || memcmp(again.data, data, used) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct npt_rowbinary_value values[NPT_ROWBINARY_COLUMNS_MAX];
	const char *types;
	size_t used = 0;

	if (size == 0)
		return 0;
	types = columns[data[0] % NPT_ARRAY_SIZE(columns)];
	for (data++, size--; size > 0; data += used, size -= used) {
		/* A copy that ends where the bytes end, so that one too far is seen. */
		npt_auto_free uint8_t *exact = npt_memdup(data, size);
		int r = npt_rowbinary_row(types, exact, size, values, &used);

		if (r < 0) {
			must(r == -EAGAIN || r == -EBADMSG);
			return 0;
		}
		must(used > 0 && used <= size);
		check_row(types, values, exact, used);
		must(npt_rowbinary_row(types, exact, used - 1, values, &used) == -EAGAIN);
	}
	return 0;
}
