/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The samples through the classifier: whole, byte by byte, cut, seen from the middle, changed, and
 * one program's client with another's server. A label that is given is the right one each time.
 */
#include "bpf/protocol/classify.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/protocol_samples.h"
#include "tests/support/test.h"

#define MUTATIONS 300 /* of each sample */

/* What was labelled on the way: a bit per protocol. */
struct seen {
	uint32_t labels;
	bool changed_after_final;
};

static void look(struct npt_bpf_classified *now, const struct npt_bpf_message *message, void *data)
{
	struct npt_bpf_classified before = *now;
	struct seen *seen = data;

	(void)npt_protocol_next(now, message);
	seen->labels |= 1U << now->protocol;
	if (before.final && memcmp(&before, now, sizeof(before)) != 0)
		seen->changed_after_final = true;
}

static uint32_t allowed(const struct npt_protocol_sample *sample)
{
	return 1U << NPT_PROTOCOL_UNKNOWN | 1U << sample->protocol | 1U << sample->via;
}

struct way {
	uint32_t piece; /* bytes at a time, 0: all */
	size_t begin;   /* the first message that is seen */
	uint32_t at;    /* its first byte that is seen */
	bool middle;    /* no message is said to be the first */
	bool unknown;   /* nobody knows who is the client */
};

static struct npt_bpf_classified walk(const struct npt_protocol_sample *sample,
				      const struct way *way, struct seen *seen)
{
	struct npt_bpf_classified now = { 0 };
	bool first[3] = { true, true, true };

	for (size_t i = way->begin; i < NPT_SAMPLE_MESSAGES && sample->messages[i].bytes; i++) {
		struct npt_protocol_sample_message message = sample->messages[i];
		struct npt_protocol_show show = {
			.message = &message, .piece = way->piece, .look = look, .data = seen
		};

		show.begin = i == way->begin ? way->at : 0;
		if (first[message.from] && !way->middle && !sample->later)
			show.flags |= NPT_MESSAGE_FIRST;
		first[message.from] = false;
		if (sample->datagram)
			show.flags |= NPT_MESSAGE_DATAGRAM;
		if (way->unknown)
			message.from = NPT_FROM_UNKNOWN;
		npt_protocol_show(&now, &show);
	}
	return now;
}

static bool is_right(const struct npt_protocol_sample *sample, const struct seen *seen,
		     const char *how)
{
	bool right = !(seen->labels & ~allowed(sample)) && !seen->changed_after_final;

	if (!right)
		printf("%s, %s: labels %#x\n", sample->name, how, seen->labels);
	return NPT_CHECK(right);
}

static bool is_found(const struct npt_protocol_sample *sample, const struct way *way,
		     const char *how)
{
	struct seen seen = { 0 };
	struct npt_bpf_classified now = walk(sample, way, &seen);
	bool found = now.protocol == sample->protocol && now.inside == sample->inside &&
		     (!now.protocol || (now.confidence >= 90 && now.confidence <= 99));

	if (!found)
		printf("%s, %s: %u inside %u, %u per cent, hints %#x\n", sample->name, how,
		       now.protocol, now.inside, now.confidence, now.hints);
	return is_right(sample, &seen, how) && NPT_CHECK(found);
}

static void finds_each_protocol_however_its_bytes_come(void)
{
	const struct npt_protocol_sample *sample;

	for (size_t i = 0; (sample = npt_protocol_sample(i)); i++) {
		for (uint32_t piece = 0; piece <= NPT_MESSAGE_BYTES + 1; piece++)
			is_found(sample, &(struct way){ .piece = piece }, "in pieces");
	}
}

static void finds_it_from_the_middle_on(void)
{
	const struct npt_protocol_sample *sample;

	for (size_t i = 0; (sample = npt_protocol_sample(i)); i++) {
		struct way way = { .begin = sample->from_middle - 1U, .middle = true };

		if (!sample->from_middle)
			continue;
		is_found(sample, &way, "from the middle");
		way.piece = 1;
		is_found(sample, &way, "from the middle, byte by byte");
	}
}

static void says_nothing_wrong_wherever_it_begins(void)
{
	const struct npt_protocol_sample *sample;

	for (size_t i = 0; (sample = npt_protocol_sample(i)); i++) {
		for (size_t begin = 0; begin < NPT_SAMPLE_MESSAGES && sample->messages[begin].bytes;
		     begin++) {
			for (uint32_t at = 0; at < sample->messages[begin].length; at++) {
				struct way way = { .begin = begin, .at = at, .middle = true };
				struct seen seen = { 0 };

				walk(sample, &way, &seen);
				way.piece = 1;
				walk(sample, &way, &seen);
				if (!is_right(sample, &seen, "from some byte on"))
					return;
			}
		}
	}
}

static void needs_no_direction_where_a_sign_is_strong(void)
{
	const struct npt_protocol_sample *sample;
	uint32_t found = 0;

	for (size_t i = 0; (sample = npt_protocol_sample(i)); i++) {
		struct seen seen = { 0 };

		walk(sample, &(struct way){ .unknown = true, .piece = 1 }, &seen);
		is_right(sample, &seen, "from an unknown side");
		found |= seen.labels;
	}
	for (uint32_t protocol = NPT_PROTOCOL_HTTP1; protocol < NPT_PROTOCOL_COUNT; protocol++) {
		bool either = protocol == NPT_PROTOCOL_WEBSOCKET; /* needs both sides */

		NPT_CHECK(either || (found >> protocol & 1));
	}
}

static void says_nothing_wrong_of_changed_bytes(void)
{
	uint64_t state = npt_test_seed();
	const struct npt_protocol_sample *sample;
	uint32_t wrong = 0, walks = 0;

	for (size_t i = 0; (sample = npt_protocol_sample(i)); i++) {
		for (int round = 0; round < MUTATIONS; round++, walks++) {
			static char copies[NPT_SAMPLE_MESSAGES][512];
			struct npt_protocol_sample changed = *sample;
			struct seen seen = { 0 };

			for (size_t k = 0; k < NPT_SAMPLE_MESSAGES && changed.messages[k].bytes;
			     k++) {
				struct npt_protocol_sample_message *message = &changed.messages[k];

				memcpy(copies[k], message->bytes, message->length);
				message->bytes = copies[k];
				if (message->length && npt_test_random(&state) % 2)
					copies[k][npt_test_random(&state) % message->length] =
						(char)npt_test_random(&state);
				if (npt_test_random(&state) % 8 == 0)
					message->size = message->length =
						1 + (uint32_t)(npt_test_random(&state) %
							       message->length);
			}
			walk(&changed, &(struct way){ .piece = round % 3 ? 0 : 1 }, &seen);
			seen.labels &= ~(sample->near ? 1U << sample->near : 0U);
			wrong += (seen.labels & ~allowed(sample)) != 0;
			NPT_CHECK(!seen.changed_after_final);
		}
	}
	printf("%u of %u changed connections got a wrong label\n", wrong, walks);
	NPT_CHECK_INT(wrong, 0);
}

/* The client of one sample and the server of another: one of both, or nothing. */
static void never_names_a_third(void)
{
	const struct npt_protocol_sample *a, *b;

	for (size_t i = 0; (a = npt_protocol_sample(i)); i++) {
		for (size_t k = 0; (b = npt_protocol_sample(k)); k++) {
			struct npt_protocol_sample mixed = { .name = a->name,
							     .datagram = a->datagram };
			struct seen seen = { 0 };
			size_t count = 0;

			if (a->datagram != b->datagram)
				continue;
			for (size_t m = 0; m < NPT_SAMPLE_MESSAGES; m++) {
				if (a->messages[m].bytes &&
				    a->messages[m].from == NPT_FROM_CLIENT &&
				    count < NPT_SAMPLE_MESSAGES)
					mixed.messages[count++] = a->messages[m];
				if (b->messages[m].bytes &&
				    b->messages[m].from == NPT_FROM_SERVER &&
				    count < NPT_SAMPLE_MESSAGES)
					mixed.messages[count++] = b->messages[m];
			}
			walk(&mixed, &(struct way){ 0 }, &seen);
			if (!NPT_CHECK(!(seen.labels & ~(allowed(a) | allowed(b)))))
				printf("client of %s, server of %s: labels %#x\n", a->name, b->name,
				       seen.labels);
		}
	}
}

static void knows_every_protocol_by_a_sample(void)
{
	const struct npt_protocol_sample *sample;
	uint32_t known = 0;

	for (size_t i = 0; (sample = npt_protocol_sample(i)); i++)
		known |= 1U << sample->protocol;
	for (uint32_t protocol = NPT_PROTOCOL_HTTP1; protocol < NPT_PROTOCOL_COUNT; protocol++)
		NPT_CHECK(known >> protocol & 1);
}

static void stops_asking_when_nothing_is_found(void)
{
	struct npt_bpf_classified now = { 0 };
	struct npt_bpf_message message = { .bytes = "?!", .length = 2, .size = 2 };
	uint32_t asked = 0;

	while (!now.final && asked < 1000) {
		message.from = asked++ % 2 ? NPT_FROM_SERVER : NPT_FROM_CLIENT;
		npt_protocol_next(&now, &message);
	}
	NPT_CHECK_INT(asked, NPT_PROTOCOL_MESSAGES_MAX + 1);
	NPT_CHECK_INT(now.protocol, NPT_PROTOCOL_UNKNOWN);
	NPT_CHECK_INT(sizeof(now), 16);
	NPT_CHECK_INT(sizeof(message), 72);
	NPT_CHECK_INT(npt_protocol_next(NULL, &message), NPT_PROTOCOL_UNKNOWN);
	NPT_CHECK_INT(npt_protocol_next(&now, NULL), NPT_PROTOCOL_UNKNOWN);
}

static const struct npt_test tests[] = {
	NPT_TEST(finds_each_protocol_however_its_bytes_come),
	NPT_TEST(finds_it_from_the_middle_on),
	NPT_TEST(says_nothing_wrong_wherever_it_begins),
	NPT_TEST(needs_no_direction_where_a_sign_is_strong),
	NPT_TEST(says_nothing_wrong_of_changed_bytes),
	NPT_TEST(never_names_a_third),
	NPT_TEST(knows_every_protocol_by_a_sample),
	NPT_TEST(stops_asking_when_nothing_is_found),
};

NPT_TEST_MAIN(tests)
