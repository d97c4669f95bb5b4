/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The classifier in the kernel: it passes the verifier within its budget, and says the same there
 * as in user space, of every sample however it is cut and of random messages.
 */
#include "bpf/protocol/classify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bpf/classify.skel.h"
#include "tests/support/protocol_samples.h"
#include "tests/support/test.h"

#define RANDOM_MESSAGES  100000
#define INSTRUCTIONS_MAX 60000 /* that the verifier goes through; 32,000 when this was written */

static struct npt_bpf_classify *skeleton;
static uint64_t compared, different;

static int run(const struct bpf_program *program)
{
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };

	return bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
}

static bool load(void)
{
	if (skeleton)
		return true;
	if (geteuid() != 0) {
		npt_test_skip("needs root: loads BPF programs");
		return false;
	}
	skeleton = npt_bpf_classify__open_and_load();
	if (!skeleton && errno == EPERM)
		npt_test_skip("this machine allows no BPF programs");
	else
		NPT_CHECK(skeleton);
	return skeleton;
}

/* Here and there; the state goes on as it is here. */
static void look(struct npt_bpf_classified *now, const struct npt_bpf_message *message, void *data)
{
	skeleton->bss->npt_now = *now;
	skeleton->bss->npt_message = *message;
	(void)data;
	(void)npt_protocol_next(now, message);
	if (run(skeleton->progs.npt_classify) < 0)
		memset(&skeleton->bss->npt_now, 0xff, sizeof(skeleton->bss->npt_now));
	compared++;
	if (memcmp(now, &skeleton->bss->npt_now, sizeof(*now)) != 0)
		different++;
}

static void show(const struct npt_protocol_sample *sample, uint32_t piece, bool middle)
{
	struct npt_bpf_classified now = { 0 };
	bool first[3] = { true, true, true };

	for (size_t i = 0; i < NPT_SAMPLE_MESSAGES && sample->messages[i].bytes; i++) {
		const struct npt_protocol_sample_message *message = &sample->messages[i];
		struct npt_protocol_show shown = { .message = message,
						   .piece = piece,
						   .look = look };

		if (first[message->from] && !middle && !sample->later)
			shown.flags |= NPT_MESSAGE_FIRST;
		first[message->from] = false;
		if (sample->datagram)
			shown.flags |= NPT_MESSAGE_DATAGRAM;
		npt_protocol_show(&now, &shown);
	}
	NPT_CHECK(middle || now.protocol == sample->protocol);
}

static void passes_the_verifier_within_its_budget(void)
{
	const struct bpf_program *programs[2];
	struct bpf_prog_info info;
	uint32_t size = sizeof(info);

	if (!load())
		return;
	programs[0] = skeleton->progs.npt_classify;
	programs[1] = skeleton->progs.npt_classify_time;
	for (int i = 0; i < 2; i++) {
		memset(&info, 0, sizeof(info));
		NPT_CHECK(bpf_obj_get_info_by_fd(bpf_program__fd(programs[i]), &info, &size) == 0);
		printf("%s: the verifier went through %u instructions, %u bytes translated\n",
		       bpf_program__name(programs[i]), info.verified_insns, info.xlated_prog_len);
		/* 5.16 is the first that says so. */
		NPT_CHECK(i > 0 || info.verified_insns <= INSTRUCTIONS_MAX);
	}
}

static void says_the_same_of_every_sample(void)
{
	const struct npt_protocol_sample *sample;

	if (!load())
		return;
	for (size_t i = 0; (sample = npt_protocol_sample(i)); i++) {
		static const uint32_t pieces[] = { 0, 1, 7, 33 };

		for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
			show(sample, pieces[k], false);
			show(sample, pieces[k], true);
		}
	}
	printf("%" PRIu64 " looks at samples\n", compared);
	NPT_CHECK(compared > 10000);
	NPT_CHECK_INT(different, 0);
}

/* Random states, too, within what a state can be; and bytes that begin like a sample's. */
static void says_the_same_of_random_messages(void)
{
	uint64_t state = npt_test_seed();
	size_t count = 0;

	if (!load())
		return;
	while (npt_protocol_sample(count))
		count++;
	different = 0;
	for (uint32_t i = 0; i < RANDOM_MESSAGES; i++) {
		const struct npt_protocol_sample *sample =
			npt_protocol_sample(npt_test_random(&state) % count);
		const struct npt_protocol_sample_message *like =
			&sample->messages[npt_test_random(&state) % NPT_SAMPLE_MESSAGES];
		struct npt_bpf_classified now;
		struct npt_bpf_message message;

		for (size_t k = 0; k < sizeof(message) / 8; k++) {
			uint64_t random = npt_test_random(&state);

			memcpy((char *)&message + 8 * k, &random, 8);
		}
		memcpy(&now, &message, sizeof(now));
		if (npt_test_random(&state) % 2)
			memset(&now, 0, sizeof(now));
		now.final = 0;
		now.skip = 0;
		now.messages %= 8;
		now.protocol %= NPT_PROTOCOL_COUNT;
		message.length %= NPT_MESSAGE_BYTES + 1;
		if (like->bytes && npt_test_random(&state) % 4)
			memcpy(message.bytes, like->bytes,
			       like->length < NPT_MESSAGE_BYTES ? like->length : NPT_MESSAGE_BYTES);
		memset(message.bytes + message.length, 0, NPT_MESSAGE_BYTES - message.length);
		message.size = message.length + (uint32_t)(npt_test_random(&state) % 3) * 100;
		message.from %= 3;
		message.flags &= 7;
		look(&now, &message, NULL);
	}
	NPT_CHECK_INT(different, 0);
}

/* Nothing is asserted of time; the figure is for the documentation. */
static void tells_what_a_look_costs(void)
{
	const struct npt_protocol_sample *sample;

	if (!load())
		return;
	for (size_t i = 0; i < npt_protocol_captured_count && (sample = npt_protocol_sample(i));
	     i += 3) {
		const struct npt_protocol_sample_message *message = &sample->messages[0];
		uint32_t length =
			message->length < NPT_MESSAGE_BYTES ? message->length : NPT_MESSAGE_BYTES;

		memset(&skeleton->bss->npt_now, 0, sizeof(skeleton->bss->npt_now));
		memset(&skeleton->bss->npt_message, 0, sizeof(skeleton->bss->npt_message));
		memcpy(skeleton->bss->npt_message.bytes, message->bytes, length);
		skeleton->bss->npt_message.length = (uint8_t)length;
		skeleton->bss->npt_message.size = message->size;
		skeleton->bss->npt_message.from = message->from;
		skeleton->bss->npt_message.flags = NPT_MESSAGE_FIRST;
		NPT_CHECK(run(skeleton->progs.npt_classify_time) == 0);
		printf("%s: %llu ns\n", sample->name,
		       (unsigned long long)skeleton->bss->npt_spent_ns);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(passes_the_verifier_within_its_budget),
	NPT_TEST(says_the_same_of_every_sample),
	NPT_TEST(says_the_same_of_random_messages),
	NPT_TEST(tells_what_a_look_costs),
};

NPT_TEST_MAIN(tests)
