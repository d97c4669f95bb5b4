/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/framer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

/* What came out: objects one a line, a List's metadata with a "#" before it. */
static int collect(void *context, bool is_metadata, const char *text, size_t size_bytes)
{
	struct npt_buffer *out = context;

	if (is_metadata)
		(void)npt_buffer_append_text(out, "#");
	(void)npt_buffer_append(out, text, size_bytes);
	return npt_buffer_append_text(out, "\n");
}

static int run(struct npt_framer *framer, struct npt_buffer *out, enum npt_framer_mode mode,
	       const char *text, size_t piece_bytes)
{
	size_t length = strlen(text);
	int r = 0;

	npt_buffer_init(out, 1024U * 1024);
	npt_framer_init(framer, mode, collect, out);
	for (size_t at = 0; at < length && r == 0; at += piece_bytes) {
		/* Of its own size, so that the sanitizer sees a read beyond it. */
		size_t size = length - at < piece_bytes ? length - at : piece_bytes;
		npt_auto_free char *piece = npt_memdup(text + at, size);

		r = npt_framer_feed(framer, piece, size, NULL);
	}
	return r;
}

static void check_all_splits(enum npt_framer_mode mode, const char *text, const char *expected)
{
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		npt_auto(npt_framer_done) struct npt_framer framer;
		npt_auto(npt_buffer_done) struct npt_buffer out;

		NPT_CHECK_INT(run(&framer, &out, mode, text, piece), 0);
		NPT_CHECK_STR(out.data ? out.data : "", expected);
		NPT_CHECK(npt_framer_is_between(&framer));
	}
}

/* R40: not by lines, wherever the pieces are split: escapes, \u and UTF-8 included. */
static void a_stream_is_cut_into_objects_wherever_it_is_split(void)
{
	check_all_splits(NPT_FRAMER_STREAM,
			 "{\"a\":\"}\\\"{\\\\\"}\n{\"b\":[{\"c\":\"\\u00e9\xc3\xa9]\"}]}{}\r\n ",
			 "{\"a\":\"}\\\"{\\\\\"}\n{\"b\":[{\"c\":\"\\u00e9\xc3\xa9]\"}]}\n{}\n");
}

static void a_list_gives_its_items_and_metadata_in_any_order(void)
{
	check_all_splits(NPT_FRAMER_LIST,
			 "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},"
			 "\"items\":[{\"metadata\":{\"name\":\"a\"}}, {\"items\":[{}]}]}\n",
			 "#{\"resourceVersion\":\"7\"}\n{\"metadata\":{\"name\":\"a\"}}\n"
			 "{\"items\":[{}]}\n");
	check_all_splits(NPT_FRAMER_LIST,
			 "{\"items\":[{\"a\":1}],\"kind\":\"TList\",\"metadata\":{\"b\":2}}",
			 "{\"a\":1}\n#{\"b\":2}\n");
}

/* R8: a Status where a List was expected must not look like an empty List. */
static void only_a_whole_list_is_a_list(void)
{
	static const struct {
		const char *text;
		bool is_list;
	} cases[] = {
		{ "{\"kind\":\"PodList\",\"items\":[]}", true },
		{ "{\"items\":null,\"metadata\":{},\"kind\":\"PodList\"}", true },
		{ "{\"kind\":\"Status\",\"metadata\":{},\"items\":[]}", false },
		{ "{\"metadata\":{\"kind\":\"PodList\"},\"items\":[{\"kind\":\"PodList\"}]}",
		  false },
		{ "{\"x\":\"kind\",\"y\":\"PodList\"}", false },
		{ "{\"kind\":\"PodList\",\"items\":[]", false },
		{ "{\"kind\":[\"PodList\"]}", false },
		{ "{\"kind\":{\"a\":\"PodList\"}}", false },
		{ "{}", false },
		{ "", false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_framer_done) struct npt_framer framer;
		npt_auto(npt_buffer_done) struct npt_buffer out;

		NPT_CHECK_INT(run(&framer, &out, NPT_FRAMER_LIST, cases[i].text, 5), 0);
		if (!NPT_CHECK(npt_framer_is_list(&framer) == cases[i].is_list))
			printf("case %s\n", cases[i].text);
	}
}

static void what_is_no_json_object_is_refused(void)
{
	static const struct {
		enum npt_framer_mode mode;
		const char *text;
	} cases[] = {
		{ NPT_FRAMER_STREAM, "hello" },
		{ NPT_FRAMER_STREAM, "{}x{}" },
		{ NPT_FRAMER_STREAM, "[{}]" },
		{ NPT_FRAMER_STREAM, "{]" },
		{ NPT_FRAMER_STREAM, "{\"a\":[}]" },
		{ NPT_FRAMER_STREAM, "}" },
		{ NPT_FRAMER_STREAM, "\"{}\"" },
		{ NPT_FRAMER_LIST, "{}{}" },
		{ NPT_FRAMER_LIST, "404 page not found" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_framer_done) struct npt_framer framer;
		npt_auto(npt_buffer_done) struct npt_buffer out;

		if (!NPT_CHECK_INT(run(&framer, &out, cases[i].mode, cases[i].text, 3), -EBADMSG))
			printf("case %s\n", cases[i].text);
	}
}

/* R34: a cut last object is not given out, and the stream is known not to be between two. */
static void a_cut_object_is_kept_back(void)
{
	npt_auto(npt_framer_done) struct npt_framer framer;
	npt_auto(npt_buffer_done) struct npt_buffer out;

	NPT_CHECK_INT(run(&framer, &out, NPT_FRAMER_STREAM, "{\"a\":1}{\"b\":\"}", 4), 0);
	NPT_CHECK_STR(out.data, "{\"a\":1}\n");
	NPT_CHECK(!npt_framer_is_between(&framer));
}

/* R41: 64 levels, not one more. */
static void nesting_has_a_limit(void)
{
	for (unsigned int depth = NPT_FRAMER_DEPTH_MAX; depth <= NPT_FRAMER_DEPTH_MAX + 1;
	     depth++) {
		npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(4096);
		npt_auto(npt_framer_done) struct npt_framer framer;
		npt_auto(npt_buffer_done) struct npt_buffer out;

		for (unsigned int i = 1; i < depth; i++)
			(void)npt_buffer_append_text(&text, "{\"a\":");
		(void)npt_buffer_append_text(&text, "{}");
		for (unsigned int i = 1; i < depth; i++)
			(void)npt_buffer_append_text(&text, "}");
		NPT_CHECK_INT(run(&framer, &out, NPT_FRAMER_STREAM, text.data, 7),
			      depth > NPT_FRAMER_DEPTH_MAX ? -EBADMSG : 0);
	}
}

static int count(void *context, bool is_metadata, const char *text, size_t size_bytes)
{
	(void)is_metadata;
	(void)text;
	*(size_t *)context += size_bytes;
	return 0;
}

/* R41: 4 MiB, not one byte more, in one piece or in many. */
static void an_object_has_a_limit(void)
{
	static const size_t pieces[] = { 1U << 16, 1U << 30 };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(pieces) * 2; i++) {
		bool is_larger = i % 2 == 1;
		size_t size = NPT_FRAMER_OBJECT_BYTES + (is_larger ? 1 : 0), given = 0;
		npt_auto_free char *text = npt_alloc(size + 1, 1);
		npt_auto(npt_framer_done) struct npt_framer framer;
		int r = 0;

		memset(text, 'x', size);
		memcpy(text, "{\"a\":\"", 6);
		memcpy(text + size - 2, "\"}", 2);
		npt_framer_init(&framer, NPT_FRAMER_STREAM, count, &given);
		for (size_t at = 0; at < size && r == 0; at += pieces[i / 2])
			r = npt_framer_feed(&framer, text + at,
					    size - at < pieces[i / 2] ? size - at : pieces[i / 2],
					    NULL);
		NPT_CHECK_INT(r, is_larger ? -EMSGSIZE : 0);
		NPT_CHECK_INT(given, is_larger ? 0 : size);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(a_stream_is_cut_into_objects_wherever_it_is_split),
	NPT_TEST(a_list_gives_its_items_and_metadata_in_any_order),
	NPT_TEST(only_a_whole_list_is_a_list),
	NPT_TEST(what_is_no_json_object_is_refused),
	NPT_TEST(a_cut_object_is_kept_back),
	NPT_TEST(nesting_has_a_limit),
	NPT_TEST(an_object_has_a_limit),
};
NPT_TEST_MAIN(tests)
