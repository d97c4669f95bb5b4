/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/hello.h"

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/core/parse.h"
#include "tests/support/client_hellos.h"
#include "tests/support/test.h"

#define NO_EXTENSIONS 47 /* bytes of begin_client() before them */

/* A hello under construction: fields are appended, lengths filled in when their end is known. */
struct hello_maker {
	uint8_t bytes[70000];
	size_t size;
};

static void put(struct hello_maker *maker, const void *bytes, size_t size)
{
	memcpy(maker->bytes + maker->size, bytes, size);
	maker->size += size;
}

static void put_number(struct hello_maker *maker, size_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		maker->bytes[maker->size++] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void put_extension(struct hello_maker *maker, unsigned int type, const void *body,
			  size_t size)
{
	put_number(maker, type, 2);
	put_number(maker, size, 2);
	put(maker, body, size);
}

static void put_sni(struct hello_maker *maker, const char *name, size_t length)
{
	put_number(maker, 0, 2);
	put_number(maker, length + 5, 2);
	put_number(maker, length + 3, 2);
	put_number(maker, 0, 1);
	put_number(maker, length, 2);
	put(maker, name, length);
}

static size_t begin_client(struct hello_maker *maker)
{
	static const uint8_t random[32] = { 1, 2, 3 };

	maker->size = 0;
	put_number(maker, 0x0303, 2);
	put(maker, random, 32);
	put_number(maker, 4, 1);
	put_number(maker, 0x01020304, 4);
	put_number(maker, 4, 2);
	put_number(maker, 0x0a0a1301, 4); /* GREASE first, as browsers do */
	put_number(maker, 0x0100, 2);
	put_number(maker, 0, 2);
	return maker->size;
}

static void end_extensions(struct hello_maker *maker, size_t begin)
{
	size_t length = maker->size - begin;

	maker->bytes[begin - 2] = (uint8_t)(length >> 8);
	maker->bytes[begin - 1] = (uint8_t)length;
}

/* Like a browser's: GREASE, a key share of more than a KiB, names after it. */
static void make_big(struct hello_maker *maker)
{
	static const uint8_t key_share[1300] = { 5, 0x12 };
	size_t begin = begin_client(maker);

	put_extension(maker, 0x2a2a, "", 0);
	put_extension(maker, 51, key_share, sizeof(key_share));
	put_sni(maker, "Shop.Example", 12);
	put_extension(maker, 16, "\0\x0c\2h2\10http/1.1", 14);
	put_extension(maker, 42, "", 0);
	put_extension(maker, 41, key_share, 300);
	end_extensions(maker, begin);
}

static void read_in_pieces(struct npt_tls_hello *hello, bool server, const uint8_t *bytes,
			   size_t size, size_t piece)
{
	npt_tls_hello_begin(hello, server, (uint32_t)size);
	for (size_t at = 0; at < size; at += piece) {
		size_t now = size - at < piece ? size - at : piece;
		/* A copy, so that a sanitizer sees one byte too far. */
		npt_auto_free uint8_t *copy = npt_memdup(bytes + at, now);

		npt_tls_hello_feed(hello, copy, now);
	}
}

static void reads_a_hello_in_any_pieces(void)
{
	static const size_t pieces[] = { 1, 2, 3, 64, 1000, 70000 };
	static struct hello_maker maker;
	struct npt_tls_hello hello;

	make_big(&maker);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(pieces); i++) {
		read_in_pieces(&hello, false, maker.bytes, maker.size, pieces[i]);
		NPT_CHECK(hello.complete && !hello.malformed);
		NPT_CHECK_STR(hello.sni, "shop.example");
		NPT_CHECK_STR(hello.alpn.text, "h2,http/1.1");
		NPT_CHECK(hello.psk && hello.early_data && !hello.sni_refused);
	}
}

static void holes_do_no_harm_where_nothing_of_interest_is(void)
{
	static struct hello_maker maker;
	struct npt_tls_hello hello;

	make_big(&maker);
	npt_tls_hello_begin(&hello, false, (uint32_t)maker.size);
	npt_tls_hello_feed(&hello, maker.bytes, 300); /* within the key share */
	npt_tls_hello_feed(&hello, NULL, 1000);
	npt_tls_hello_feed(&hello, maker.bytes + 1300, maker.size - 1300);
	NPT_CHECK(hello.complete);
	NPT_CHECK_STR(hello.sni, "shop.example");

	npt_tls_hello_begin(&hello, false, (uint32_t)maker.size);
	npt_tls_hello_feed(&hello, maker.bytes, 300);
	npt_tls_hello_feed(&hello, NULL, maker.size - 300);
	NPT_CHECK(hello.malformed && !hello.complete);
}

static void every_truncation_is_refused(void)
{
	static struct hello_maker maker;
	struct npt_tls_hello hello;

	make_big(&maker);
	for (size_t size = 0; size < maker.size; size++) {
		if (size == NO_EXTENSIONS)
			continue; /* that is a hello, an old one */
		/* The message says that it is that short: its lengths lead out of it. */
		read_in_pieces(&hello, false, maker.bytes, size, 70000);
		NPT_CHECK(!hello.complete);
		NPT_CHECK(hello.malformed);
		NPT_CHECK_STR(hello.sni, "");
		/* It is that long, but not all of it has come. */
		npt_tls_hello_begin(&hello, false, (uint32_t)maker.size);
		npt_tls_hello_feed(&hello, maker.bytes, size);
		NPT_CHECK(!hello.complete && !hello.malformed);
	}
}

static void every_wrong_length_is_refused(void)
{
	/* Where lengths are in make_big(): session, ciphers, methods, extensions, ... */
	static const size_t lengths[] = { 34, 40, 45, 48, 52, 56, 1360, 1362, 1365, 1381, 1383 };
	static struct hello_maker maker;
	struct npt_tls_hello hello;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(lengths); i++) {
		for (int change = -1; change <= 1; change += 2) {
			make_big(&maker);
			maker.bytes[lengths[i]] = (uint8_t)(maker.bytes[lengths[i]] + change);
			read_in_pieces(&hello, false, maker.bytes, maker.size, 70000);
			NPT_CHECK(hello.malformed || hello.sni_refused);
			NPT_CHECK_STR(hello.sni, "");
			maker.bytes[lengths[i]] = 0xff;
			read_in_pieces(&hello, false, maker.bytes, maker.size, 70000);
			NPT_CHECK(hello.malformed || hello.sni_refused);
			NPT_CHECK_STR(hello.sni, "");
		}
	}
}

static void refuses_names_that_no_host_has(void)
{
	static struct hello_maker maker;
	static char longest[300];
	struct npt_tls_hello hello;
	static const struct {
		const char *name;
		size_t length;
		bool ok;
	} cases[] = {
		{ "a", 1, true },
		{ "a.b-c_d.9", 9, true },
		{ "outbound_.80_._.x.svc", 21, true },
		{ "", 0, false },
		{ ".a", 2, false },
		{ "a b", 3, false },
		{ "a\0b", 3, false },
		{ "a\x80", 2, false },
		{ "a/b", 3, false },
		{ "a\"b", 3, false },
		{ "a\nb", 3, false },
		{ longest, 253, true },
		{ longest, 254, false },
		{ longest, 283, false },
		{ longest, 284, false },
	};

	memset(longest, 'x', sizeof(longest) - 1);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		size_t begin = begin_client(&maker);

		put_sni(&maker, cases[i].name, cases[i].length);
		put_extension(&maker, 16, "\0\3\2h2", 5);
		end_extensions(&maker, begin);
		read_in_pieces(&hello, false, maker.bytes, maker.size, 7);
		NPT_CHECK(hello.complete);
		NPT_CHECK_INT(hello.sni_refused, !cases[i].ok);
		NPT_CHECK_INT(strlen(hello.sni), cases[i].ok ? cases[i].length : 0);
		NPT_CHECK_STR(hello.alpn.text, "h2");
	}
}

static void leaves_out_protocols_that_are_not_printable(void)
{
	static const struct {
		const char *body;
		size_t size;
		const char *text; /* NULL: refused as a whole */
		uint32_t refused;
	} cases[] = {
		{ "\0\3\2h2", 5, "h2", 0 },
		{ "\0\6\2\x1a\x1a\2h2", 8, "h2", 1 },
		{ "\0\6\2a,\2h2", 8, "h2", 1 },
		{ "\0\6\2a \2h2", 8, "h2", 1 },
		{ "\0\4\0\2h2", 6, "h2", 1 },
		{ "\0\0", 2, "", 0 },
		{ "\0\3\3h2", 5, NULL, 0 },
		{ "\0\4\2h2", 5, NULL, 0 },
		{ "\0\2\2h2", 5, NULL, 0 },
		{ "\0", 1, NULL, 0 },
		{ "", 0, NULL, 0 },
	};
	static struct hello_maker maker;
	struct npt_tls_hello hello;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		size_t begin = begin_client(&maker);

		put_extension(&maker, 16, cases[i].body, cases[i].size);
		end_extensions(&maker, begin);
		read_in_pieces(&hello, false, maker.bytes, maker.size, 5);
		NPT_CHECK_INT(hello.complete, cases[i].text != NULL);
		NPT_CHECK_STR(hello.alpn.text, cases[i].text ? cases[i].text : "");
		NPT_CHECK_INT(hello.alpn.refused, cases[i].refused);
	}
}

static void long_lists_are_read_as_far_as_they_are_kept(void)
{
	static struct hello_maker maker;
	static uint8_t list[2000];
	struct npt_tls_hello hello;
	size_t begin = begin_client(&maker);

	for (size_t i = 2; i < sizeof(list); i += 3)
		memcpy(list + i, i == 2 ? "\2h2" : "\2zz", 3);
	list[0] = (sizeof(list) - 2) >> 8;
	list[1] = (sizeof(list) - 2) & 0xff;
	put_extension(&maker, 16, list, sizeof(list));
	/* As many extensions as a hello can have: unknown ones, and none of them twice. */
	for (unsigned int type = 100; maker.size < 65000; type++)
		put_extension(&maker, type, "x", type % 2);
	put_sni(&maker, "last", 4);
	end_extensions(&maker, begin);
	read_in_pieces(&hello, false, maker.bytes, maker.size, 2048);
	NPT_CHECK(hello.complete && hello.alpn.more);
	NPT_CHECK(strncmp(hello.alpn.text, "h2,zz,zz", 8) == 0);
	NPT_CHECK_STR(hello.sni, "last");
	/* The same extension twice is no hello. */
	begin = begin_client(&maker);
	put_sni(&maker, "first", 5);
	put_sni(&maker, "second", 6);
	end_extensions(&maker, begin);
	read_in_pieces(&hello, false, maker.bytes, maker.size, 2048);
	NPT_CHECK(hello.malformed);
}

static void half_a_suite_is_no_list(void)
{
	static struct hello_maker maker;
	struct npt_tls_hello hello;
	size_t begin = begin_client(&maker);

	memmove(maker.bytes + 44, maker.bytes + 45, begin - 45);
	maker.bytes[40] = 3;
	read_in_pieces(&hello, false, maker.bytes, begin - 1, 9);
	NPT_CHECK(hello.malformed);
}

static void versions_that_are_not_tls_are_refused(void)
{
	static const uint8_t wrong[] = { 0, 1, 2, 4, 0x7f, 0xfe, 0xff };
	static struct hello_maker maker;
	struct npt_tls_hello hello;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(wrong); i++) {
		size_t begin = begin_client(&maker);

		maker.bytes[0] = wrong[i];
		read_in_pieces(&hello, false, maker.bytes, begin, 9);
		NPT_CHECK(hello.malformed);
	}
}

static void hellos_without_extensions_are_hellos(void)
{
	static struct hello_maker maker;
	struct npt_tls_hello hello;
	size_t begin = begin_client(&maker);

	read_in_pieces(&hello, false, maker.bytes, begin - 2, 9);
	NPT_CHECK(hello.complete);
	read_in_pieces(&hello, false, maker.bytes, begin, 9);
	NPT_CHECK(hello.complete);
	read_in_pieces(&hello, false, maker.bytes, begin - 1, 9);
	NPT_CHECK(hello.malformed);
}

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t size = 0;

	for (; hex[0]; hex += 2) {
		const char digits[] = { hex[0], hex[1], '\0' };
		uint64_t value = 0;

		NPT_CHECK_INT(npt_parse_hex_u64(digits, &value), 0);
		out[size++] = (uint8_t)value;
	}
	return size;
}

/* One byte less at a time; where its extensions would begin it is a hello of old. */
static void check_truncated(const uint8_t *bytes, size_t size)
{
	struct npt_tls_hello hello;
	size_t complete = 0;

	while (--size > 0) {
		read_in_pieces(&hello, false, bytes, size, size);
		complete += hello.complete;
		NPT_CHECK_STR(hello.sni, "");
	}
	NPT_CHECK_INT(complete, 1);
}

static void reads_the_hellos_of_real_clients(void)
{
	static uint8_t bytes[4096];

	for (size_t i = 0; i < NPT_TEST_CLIENT_HELLOS; i++) {
		const struct npt_test_client_hello *client = &npt_test_client_hellos[i];
		size_t size = from_hex(client->hex, bytes);

		for (size_t piece = 1; piece <= size; piece = 3 * piece + 1) {
			struct npt_tls_hello hello;

			read_in_pieces(&hello, false, bytes + 4, size - 4, piece);
			NPT_CHECK(hello.complete && !hello.malformed && !hello.sni_refused);
			NPT_CHECK_STR(hello.sni, "localhost");
			NPT_CHECK_STR(hello.alpn.text, client->alpn);
			NPT_CHECK_INT(hello.alpn.refused, 0);
			NPT_CHECK(!hello.psk && !hello.early_data);
		}
		check_truncated(bytes + 4, size - 4);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(reads_a_hello_in_any_pieces),
	NPT_TEST(holes_do_no_harm_where_nothing_of_interest_is),
	NPT_TEST(every_truncation_is_refused),
	NPT_TEST(every_wrong_length_is_refused),
	NPT_TEST(refuses_names_that_no_host_has),
	NPT_TEST(leaves_out_protocols_that_are_not_printable),
	NPT_TEST(long_lists_are_read_as_far_as_they_are_kept),
	NPT_TEST(half_a_suite_is_no_list),
	NPT_TEST(versions_that_are_not_tls_are_refused),
	NPT_TEST(reads_the_hellos_of_real_clients),
	NPT_TEST(hellos_without_extensions_are_hellos),
};

NPT_TEST_MAIN(tests)
