/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often bytes that mean nothing get a label. A trial is a connection of one to four messages of
 * random lengths, seen from its begin or from the middle, whole, byte by byte or in pieces of any
 * size, each side known or not. What counts are uniform bytes and lines of printable characters: at
 * most one in a million. The other kinds are nearer to what programs say, and reported beside.
 *
 * NPT_TRIALS: how many of each kind (default 100,000; the documented figure is of 100,000,000).
 */
#include "bpf/protocol/classify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/parse.h"
#include "tests/support/protocol_samples.h"
#include "tests/support/test.h"

#define TRIALS       100000
#define MESSAGES_MAX 4
#define PER_TRIALS   1000000 /* at most one false label in so many */

enum kind {
	KIND_UNIFORM,
	KIND_LINES,
	KIND_ZEROS,  /* three of four bytes are 0 */
	KIND_SMALL,  /* half of the bytes are below 16 */
	KIND_FRAMES, /* uniform, but four bytes in front are the length of the rest */
	KINDS,
};

static const char *const names[KINDS] = {
	[KIND_UNIFORM] = "uniform bytes",   [KIND_LINES] = "printable lines",
	[KIND_ZEROS] = "mostly zeros",      [KIND_SMALL] = "mostly small numbers",
	[KIND_FRAMES] = "length and bytes",
};

static uint64_t state;

static uint32_t below(uint32_t bound)
{
	return (uint32_t)((npt_test_random(&state) >> 32) * bound >> 32);
}

/* Only what can be seen has to be made. */
static uint32_t visible(uint32_t size)
{
	return size < 2 * NPT_MESSAGE_BYTES ? size : 2 * NPT_MESSAGE_BYTES;
}

static void fill_lines(char *bytes, uint32_t length)
{
	uint32_t line = 1 + below(40);

	for (uint32_t i = 0; i < length; i++) {
		bytes[i] = (char)(' ' + below(95));
		if (line-- == 0 && i > 0) {
			bytes[i - 1] = '\r';
			bytes[i] = '\n';
			line = 1 + below(40);
		}
	}
	if (length > 1) {
		bytes[length - 2] = '\r';
		bytes[length - 1] = '\n';
	}
}

static void fill(enum kind kind, char *bytes, uint32_t size)
{
	uint32_t length = visible(size), rest = size - 4;

	if (kind == KIND_LINES) {
		fill_lines(bytes, length);
		return;
	}
	for (uint32_t i = 0; i < length; i += 8) {
		uint64_t random = npt_test_random(&state);

		memcpy(bytes + i, &random, 8);
	}
	for (uint32_t i = 0; kind == KIND_ZEROS && i < length; i++)
		bytes[i] = below(4) ? '\0' : bytes[i];
	for (uint32_t i = 0; kind == KIND_SMALL && i < length; i++)
		bytes[i] = below(2) ? (char)(bytes[i] & 15) : bytes[i];
	for (uint32_t i = 0; kind == KIND_FRAMES && size > 4 && i < 4; i++)
		bytes[i] = (char)(rest >> (8 * (3 - i)));
}

static void look(struct npt_bpf_classified *now, const struct npt_bpf_message *message, void *data)
{
	(void)data;
	(void)npt_protocol_next(now, message);
}

/* The label that a random connection got. */
static uint8_t try_one(enum kind kind)
{
	static char bytes[2 * NPT_MESSAGE_BYTES + 8];
	struct npt_bpf_classified now = { 0 };
	uint32_t messages = 1 + below(MESSAGES_MAX), how = below(3), side = below(2);
	bool middle = below(2), unknown = below(16) == 0, datagram = below(8) == 0;

	for (uint32_t i = 0; i < messages && !now.final; i++) {
		uint32_t size = 1 + below(2U << below(11));
		struct npt_protocol_sample_message message = {
			.from = unknown          ? NPT_FROM_UNKNOWN
				: (i + side) % 2 ? NPT_FROM_SERVER
						 : NPT_FROM_CLIENT,
			.length = visible(size),
			.size = size,
			.bytes = bytes,
		};
		struct npt_protocol_show show = { .message = &message,
						  .piece = how == 2 ? 1 + below(100) : how,
						  .look = look };

		fill(kind, bytes, size);
		show.flags = (uint8_t)((datagram ? NPT_MESSAGE_DATAGRAM : 0) |
				       (i < 2 && !middle ? NPT_MESSAGE_FIRST : 0));
		npt_protocol_show(&now, &show);
	}
	return now.protocol;
}

static uint64_t trials_wanted(void)
{
	const char *text = getenv("NPT_TRIALS");
	uint64_t wanted = TRIALS;

	if (text && npt_parse_u64(text, 1, UINT64_MAX / 2, &wanted) < 0)
		npt_test_skip("NPT_TRIALS is no number");
	return wanted;
}

static void names_random_bytes_less_than_once_in_a_million(void)
{
	uint64_t trials = trials_wanted();

	state = npt_test_seed();
	for (int kind = 0; kind < KINDS; kind++) {
		uint64_t labelled[NPT_PROTOCOL_COUNT] = { 0 }, all = 0;

		for (uint64_t i = 0; i < trials; i++)
			labelled[try_one((enum kind)kind)]++;
		for (uint32_t protocol = 1; protocol < NPT_PROTOCOL_COUNT; protocol++) {
			all += labelled[protocol];
			if (labelled[protocol])
				printf("  %s: %" PRIu64 " as protocol %u\n", names[kind],
				       labelled[protocol], protocol);
		}
		printf("%s: %" PRIu64 " false labels in %" PRIu64 " connections\n", names[kind],
		       all, trials);
		(void)fflush(stdout);
		/* A short run may have one by chance. */
		if (kind == KIND_UNIFORM || kind == KIND_LINES)
			NPT_CHECK(all <= 1 + trials / PER_TRIALS);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(names_random_bytes_less_than_once_in_a_million),
};

NPT_TEST_MAIN(tests)
