/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/rowbinary.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

static void what_was_put_is_read_again_whole_or_not_yet(void)
{
	uint64_t seed = npt_test_seed();

	for (int round = 0; round < 200; round++) {
		npt_auto(npt_buffer_done) struct npt_buffer rows = NPT_BUFFER(1 << 20);
		struct npt_rowbinary_value values[NPT_ROWBINARY_COLUMNS_MAX];
		uint64_t number = npt_test_random(&seed);
		size_t size = npt_test_random(&seed) % (round < 100 ? 200 : 40000), used = 0;
		npt_auto_free char *text = npt_alloc(size + 1, 1);

		for (size_t i = 0; i < size; i++)
			text[i] = (char)npt_test_random(&seed);
		NPT_CHECK_INT(npt_rowbinary_put_text(&rows, text, size), 0);
		NPT_CHECK_INT(npt_rowbinary_put_number(&rows, number), 0);
		NPT_CHECK_INT(npt_rowbinary_put_text(&rows, "", 0), 0);
		for (size_t cut = 0; cut < rows.size_bytes; cut += 1 + rows.size_bytes / 50)
			NPT_CHECK_INT(npt_rowbinary_row("sns", rows.data, cut, values, &used),
				      -EAGAIN);
		NPT_CHECK_INT(npt_rowbinary_row("sns", rows.data, rows.size_bytes, values, &used),
			      0);
		NPT_CHECK_INT(used, rows.size_bytes);
		NPT_CHECK(values[0].size_bytes == size && memcmp(values[0].text, text, size) == 0);
		NPT_CHECK(values[1].number == number);
		NPT_CHECK_INT(values[2].size_bytes, 0);
	}
}

static void writes_as_the_format_has_it(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer rows = NPT_BUFFER(1000);
	char text[300];

	memset(text, 'a', sizeof(text));
	(void)npt_rowbinary_put_number8(&rows, 7);
	(void)npt_rowbinary_put_number(&rows, 0x0102030405060708);
	(void)npt_rowbinary_put_text(&rows, "ab", 2);
	(void)npt_rowbinary_put_text(&rows, text, sizeof(text));
	NPT_CHECK_INT(rows.size_bytes, 1 + 8 + 3 + 2 + 300);
	NPT_CHECK(memcmp(rows.data, "\7\x8\7\6\5\4\3\2\1\2ab\xac\2aa", 15) == 0);
}

static void refuses_text_that_is_too_long(void)
{
	static const struct {
		const char *data;
		size_t size;
		int code;
	} cases[] = {
		{ "\x80\x80\x40", 3, -EAGAIN },  /* 1 MiB: as much as there may be */
		{ "\x81\x80\x40", 3, -EBADMSG }, /* a byte more */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, -EBADMSG },
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", 11, -EBADMSG },
		{ "\x80\x80\x80\x80", 4, -EAGAIN },
		{ "", 0, -EAGAIN },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_rowbinary_value values[NPT_ROWBINARY_COLUMNS_MAX];
		size_t used = 4711;

		NPT_CHECK_INT(npt_rowbinary_row("s", cases[i].data, cases[i].size, values, &used),
			      cases[i].code);
		NPT_CHECK_INT(used, 4711);
	}
}

static void copies_what_fits(void)
{
	const struct npt_rowbinary_value value = { .text = "abcdef", .size_bytes = 4 };
	char out[5], small[3];

	npt_rowbinary_copy(&value, out, sizeof(out));
	NPT_CHECK_STR(out, "abcd");
	npt_rowbinary_copy(&value, small, sizeof(small));
	NPT_CHECK_STR(small, "ab");
}

static const struct npt_test tests[] = {
	NPT_TEST(what_was_put_is_read_again_whole_or_not_yet),
	NPT_TEST(writes_as_the_format_has_it),
	NPT_TEST(refuses_text_that_is_too_long),
	NPT_TEST(copies_what_fits),
};
NPT_TEST_MAIN(tests)
