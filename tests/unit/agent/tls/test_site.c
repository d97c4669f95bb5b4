/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/site.h"

#include <errno.h>
#include <stdio.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "tests/support/code.h"
#include "tests/support/test.h"

#define CODE_BYTES 1024

/* As in libssl.so.3: a frame, the stack's canary, js on the length in edx; then the real function.
 */
#define SSL_READ                                                                                   \
	"4883ec18 64488b042528000000 4889442408 31c0 85d2 7810 488d4c2404 e8d0ffffff 4883c418 c3"  \
	"90909090909090"
#define SSL_READ_EX "4883ec08 e807000000 4883c408 c3"
/* cmp 0x10(%r14),%rsp; jbe; push %rbp; pop %rbp; ret; then call morestack; jmp to the entry. */
#define GO_FUNCTION "493b6610 7606 55 5d c3 909090 e800000000 ebed"
/* ldr x16,[x28,16]; cmp sp,x16; b.ls; str x30,[sp,-80]!; cbz x0; ret; mov x3,x30; bl; b */
#define GO_ARM64 "900b40f9 ff6330eb 89000054 fe0f1bf8 200000b4 c0035fd6 e3031eaa 00000094 f8ffff17"

static const struct npt_site_options c_x86 = {
	.architecture = NPT_ARCHITECTURE_X86_64,
	.arguments = 4,
};
static const struct npt_site_options go_x86 = {
	.architecture = NPT_ARCHITECTURE_X86_64,
	.convention = NPT_CONVENTION_GO,
	.arguments = 3,
};
static const struct npt_site_options c_arm64 = {
	.architecture = NPT_ARCHITECTURE_ARM64,
	.arguments = 3,
};
static const struct npt_site_options go_arm64 = {
	.architecture = NPT_ARCHITECTURE_ARM64,
	.convention = NPT_CONVENTION_GO,
	.arguments = 3,
};

static int choose(const char *hex, const struct npt_site_options *options, struct npt_site *site)
{
	uint8_t code[CODE_BYTES];
	struct npt_error err = NPT_ERROR_NONE;
	size_t size = npt_test_code(hex, code, sizeof(code));
	int result = npt_site_choose(code, size, options, site, &err);

	NPT_CHECK((result == 0) == (err.code == 0));
	return result;
}

/* The offset of an emulated site that is executed once; -1000 less what it is otherwise. */
static int emulated_at(const char *hex, const struct npt_site_options *options)
{
	struct npt_site site;

	if (choose(hex, options, &site) < 0)
		return -3000;
	if (!npt_uprobe_is_emulated(site.how, options->long_nops))
		return -1000 - (int)site.offset;
	return site.repeats ? -2000 : (int)site.offset;
}

static int stepped_at(const char *hex, const struct npt_site_options *options)
{
	return -1000 - emulated_at(hex, options);
}

static void takes_the_first_emulated_instruction(void)
{
	struct npt_site_options nops = c_x86;

	nops.long_nops = true;
	NPT_CHECK_INT(emulated_at("55 4889e5 c3", &c_x86), 0);
	NPT_CHECK_INT(emulated_at("f30f1efa 55 c3", &c_x86), 4);
	NPT_CHECK_INT(emulated_at("f30f1efa 4157 c3", &c_x86), 4);
	NPT_CHECK_INT(emulated_at("31c0 7402 c3 c3 c3", &c_x86), 2);
	NPT_CHECK_INT(emulated_at("31c0 e900010000", &c_x86), 2);
	NPT_CHECK_INT(emulated_at("0f1f440000 55 c3", &c_x86), 5);
	NPT_CHECK_INT(emulated_at("0f1f440000 55 c3", &nops), 0);
}

static void says_how_and_where_the_stack_is(void)
{
	struct npt_site_options nops = c_x86;
	struct npt_site site;

	NPT_CHECK_INT(choose(SSL_READ, &c_x86, &site), 0);
	NPT_CHECK_INT(site.offset, 22);
	NPT_CHECK_INT(site.how, NPT_UPROBE_JUMP);
	NPT_CHECK_INT(site.stack_change, -24);
	NPT_CHECK(!site.returns && !site.repeats && !site.nop5);
	NPT_CHECK_INT(site.looked_at_bytes, 46);
	NPT_CHECK_INT(choose(SSL_READ_EX, &c_x86, &site), 0);
	NPT_CHECK_INT(site.offset, 4);
	NPT_CHECK_INT(site.how, NPT_UPROBE_CALL);
	NPT_CHECK_INT(site.stack_change, -8);
	nops.long_nops = true;
	NPT_CHECK_INT(choose("0f1f440000 c3", &nops, &site), 0);
	NPT_CHECK(site.nop5 && site.returns);
	NPT_CHECK_INT(site.how, NPT_UPROBE_LONG_NOP);
	NPT_CHECK_INT(choose("0f1f4000 c3", &nops, &site), 0);
	NPT_CHECK(!site.nop5);
}

static void passes_nothing_that_changes_an_argument(void)
{
	struct npt_site_options three = c_x86;

	three.arguments = 3;
	NPT_CHECK_INT(stepped_at("89d1 55 c3", &c_x86), 0); /* mov %edx,%ecx */
	NPT_CHECK_INT(emulated_at("89d1 55 c3", &three), 2);
	NPT_CHECK_INT(stepped_at("c70700000000 55 c3", &c_x86), 0); /* movl $0,(%rdi) */
	NPT_CHECK_INT(emulated_at("c7042400000000 55 c3", &c_x86), 7);
	NPT_CHECK_INT(stepped_at("4883e4f0 55 c3", &c_x86), 0); /* and $-16,%rsp */
	NPT_CHECK_INT(stepped_at("0fa2 55 c3", &c_x86), 0);     /* cpuid */
	NPT_CHECK_INT(stepped_at("ffd0 55 c3", &c_x86), 0);     /* call *%rax */
	NPT_CHECK_INT(stepped_at("c3 55 c3", &c_x86), 0);
	NPT_CHECK_INT(stepped_at("ffe0 55 c3", &c_x86), 0);
}

static void takes_nothing_that_is_executed_again(void)
{
	struct npt_site site;

	/* xor; push; pop; jne to the push, or to the pop behind it */
	NPT_CHECK_INT(stepped_at("31c0 55 5d 75fc c3", &c_x86), 0);
	NPT_CHECK_INT(emulated_at("31c0 55 5d 75fd c3", &c_x86), 2);
	NPT_CHECK_INT(emulated_at("31c0 55 5d 75fe c3", &c_x86), 2);
	/* The same from further on, near and far. */
	NPT_CHECK_INT(stepped_at("31c0 55 5d 7402 ebf9 c3", &c_x86), 0);
	NPT_CHECK_INT(stepped_at("31c0 55 5d c3 e9f8ffffff", &c_x86), 0);
	NPT_CHECK_INT(emulated_at("31c0 55 5d c3 e9f9ffffff", &c_x86), 2);
	/* dec %edi; jne to the entry */
	NPT_CHECK_INT(choose("ffcf 75fc c3", &c_x86, &site), 0);
	NPT_CHECK_INT(site.how, NPT_UPROBE_STEPPED);
	NPT_CHECK(site.repeats);
	/* A call of itself is another call. */
	NPT_CHECK_INT(emulated_at("31c0 55 e8f8ffffff 5d c3", &c_x86), 2);
	/* jmp to itself */
	NPT_CHECK_INT(emulated_at("ebfe", &c_x86), -2000);
}

static void passes_the_check_of_the_stack_in_go(void)
{
	struct npt_site site;

	NPT_CHECK_INT(choose(GO_FUNCTION, &go_x86, &site), 0);
	NPT_CHECK_INT(site.offset, 6);
	NPT_CHECK_INT(site.how, NPT_UPROBE_PUSH);
	NPT_CHECK(!site.repeats && !site.returns);
	/* Of C it would be a loop. */
	NPT_CHECK_INT(choose(GO_FUNCTION, &c_x86, &site), 0);
	NPT_CHECK(site.how == NPT_UPROBE_STEPPED && site.offset == 0 && site.repeats);
	/* Where it does not come back it is a branch like any other. */
	NPT_CHECK_INT(emulated_at("493b6610 7606 55 5d c3 909090 e800000000 c3", &go_x86), 4);
	/* Something else that jumps to the entry: a loop. */
	NPT_CHECK_INT(choose("493b6610 7608 55 5d c3 ebf5 909090 e800000000 ebeb", &go_x86, &site),
		      0);
	NPT_CHECK(site.offset == 6 && site.repeats);
	/* Nothing is emulated behind it: the first behind it, as all before is repeated. */
	NPT_CHECK_INT(choose("493b6610 7606 31c0 c3 909090 e800000000 ebed", &go_x86, &site), 0);
	NPT_CHECK(site.how == NPT_UPROBE_STEPPED && site.offset == 6 && !site.repeats);
	/* Two branches to one block: large frames. */
	NPT_CHECK_INT(
		emulated_at("4989e4 720d 493b6610 7607 55 5d c3 90909090 e800000000 ebe7", &go_x86),
		11);
	NPT_CHECK_INT(choose("493b6610 7640 55 5d c3", &go_x86, &site), -ENODATA);
}

static void knows_arm64(void)
{
	struct npt_site site;

	NPT_CHECK_INT(choose("fd7bbfa9 fd030091 10000094 c0035fd6", &c_arm64, &site), 0);
	NPT_CHECK(site.offset == 8 && site.how == NPT_UPROBE_CALL && site.stack_change == -16);
	NPT_CHECK(!site.returns);
	NPT_CHECK_INT(choose("1f0800f1 40000054 c0035fd6", &c_arm64, &site), 0); /* cmp; b.eq */
	NPT_CHECK(site.offset == 4 && site.how == NPT_UPROBE_JUMP && site.returns);
	NPT_CHECK_INT(choose("3f2303d5 40000054 c0035fd6", &c_arm64, &site), 0); /* paciasp */
	NPT_CHECK(site.offset == 4 && !site.returns);
	NPT_CHECK_INT(choose(GO_ARM64, &go_arm64, &site), 0);
	NPT_CHECK(site.offset == 16 && site.how == NPT_UPROBE_JUMP && site.stack_change == -80);
	NPT_CHECK(!site.repeats);
	/* ldxr; cbz: between it and its store there must be no trap */
	NPT_CHECK_INT(choose("207c5fc8 400000b4 c0035fd6", &c_arm64, &site), -EOPNOTSUPP);
}

static void finds_where_a_return_probe_may_be(void)
{
	struct npt_site_options returns = c_x86, go = go_x86;
	struct npt_site site;

	go.returns = true;
	NPT_CHECK_INT(choose(GO_FUNCTION, &go, &site), -EOPNOTSUPP);
	returns.returns = true;
	NPT_CHECK_INT(stepped_at(SSL_READ, &returns), 0);
	NPT_CHECK_INT(stepped_at(SSL_READ_EX, &returns), 0);
	NPT_CHECK_INT(emulated_at("f30f1efa 55 c3", &returns), 4);
	NPT_CHECK_INT(emulated_at("31c9 7402 c3 c3 c3", &returns), -1000);
	returns.arguments = 3;
	NPT_CHECK_INT(emulated_at("31c9 7402 c3 c3 c3", &returns), 2);
	NPT_CHECK_INT(choose(SSL_READ, &returns, &site), 0);
	NPT_CHECK(site.returns);
	/* A uprobe cannot be at the entry, and what follows has a frame. */
	NPT_CHECK_INT(choose("3e4883ec18 55 c3", &returns, &site), -EOPNOTSUPP);
}

static void walks_no_further_than_wanted(void)
{
	struct npt_site_options options = c_x86;
	char hex[CODE_BYTES] = "";

	for (int i = 0; i < 100; i++)
		memcpy(hex + i * 4, "31c0", 5);
	memcpy(hex + 400, "55c3", 5);
	NPT_CHECK_INT(stepped_at(hex, &options), 0);
	options.distance_max = 199;
	NPT_CHECK_INT(stepped_at(hex, &options), 0);
	options.distance_max = 200;
	NPT_CHECK_INT(emulated_at(hex, &options), 200);
	options.distance_max = UINT32_MAX;
	NPT_CHECK_INT(emulated_at(hex, &options), 200);
}

static void naive_is_the_entry(void)
{
	struct npt_site_options naive = c_x86;
	struct npt_site site;

	naive.naive = true;
	NPT_CHECK_INT(stepped_at(SSL_READ, &naive), 0);
	NPT_CHECK_INT(choose("ffcf 75fc c3", &naive, &site), 0);
	NPT_CHECK(site.repeats && site.offset == 0);
	NPT_CHECK_INT(choose("c5f877 55 c3", &naive, &site), -EOPNOTSUPP);
}

static void refuses_what_takes_no_probe(void)
{
	struct npt_site site;

	NPT_CHECK_INT(choose("", &c_x86, &site), -EBADMSG);
	NPT_CHECK_INT(choose("06", &c_x86, &site), -EBADMSG);
	NPT_CHECK_INT(choose("4883ec", &c_x86, &site), -EBADMSG);
	NPT_CHECK_INT(choose("c5f877 55 c3", &c_x86, &site), -EOPNOTSUPP);
	NPT_CHECK_INT(choose("0f0b", &c_x86, &site), -EOPNOTSUPP);
	/* What cannot be read is the end of the walk. */
	NPT_CHECK_INT(stepped_at("31c0 06 55", &c_x86), 0);
}

static void knows_the_registers_of_arguments(void)
{
	NPT_CHECK_INT(npt_site_arguments(NPT_ARCHITECTURE_X86_64, NPT_CONVENTION_C, 0), 0);
	NPT_CHECK_INT(npt_site_arguments(NPT_ARCHITECTURE_X86_64, NPT_CONVENTION_C, 3), 0xc4);
	NPT_CHECK_INT(npt_site_arguments(NPT_ARCHITECTURE_X86_64, NPT_CONVENTION_C, 99), 0x3c6);
	NPT_CHECK_INT(npt_site_arguments(NPT_ARCHITECTURE_X86_64, NPT_CONVENTION_GO, 2), 0x4009);
	NPT_CHECK_INT(npt_site_arguments(NPT_ARCHITECTURE_X86_64, NPT_CONVENTION_GO, 99), 0x4fcb);
	NPT_CHECK_INT(npt_site_arguments(NPT_ARCHITECTURE_ARM64, NPT_CONVENTION_C, 99), 0xff);
	NPT_CHECK_INT(npt_site_arguments(NPT_ARCHITECTURE_ARM64, NPT_CONVENTION_GO, 99),
		      0x1000ffff);
}

static int64_t callee_of(const char *hex, const struct npt_site_options *options)
{
	uint8_t code[CODE_BYTES];
	size_t size = npt_test_code(hex, code, sizeof(code));
	int64_t callee = 0;
	int result = npt_site_callee(code, size, options, &callee, NULL);

	return result < 0 ? result : callee;
}

static void finds_the_function_that_a_wrapper_calls(void)
{
	struct npt_site_options three = c_x86;

	three.arguments = 3;
	NPT_CHECK_INT(callee_of(SSL_READ, &three), 34 - 0x30);
	NPT_CHECK_INT(callee_of(SSL_READ, &c_x86), -ENOENT); /* it sets the fourth */
	NPT_CHECK_INT(callee_of(SSL_READ_EX, &c_x86), 16);
	NPT_CHECK_INT(callee_of("31c0 e900010000", &c_x86), 0x107);
	NPT_CHECK_INT(callee_of("31c0 c3 e800000000", &c_x86), -ENOENT);
	NPT_CHECK_INT(callee_of("ffd0", &c_x86), -ENOENT);
}

static void lists_returns(void)
{
	uint8_t code[CODE_BYTES];
	uint32_t offsets[2] = { 99, 99 };
	size_t size = npt_test_code("7401 c3 f3c3 31c0 c21000", code, sizeof(code)), count = 0;

	NPT_CHECK_INT(
		npt_site_returns(NPT_ARCHITECTURE_X86_64, code, size, offsets, 2, &count, NULL), 0);
	NPT_CHECK_INT(count, 3);
	NPT_CHECK(offsets[0] == 2 && offsets[1] == 3);
	code[0] = 0x06;
	NPT_CHECK_INT(
		npt_site_returns(NPT_ARCHITECTURE_X86_64, code, size, offsets, 2, &count, NULL),
		-EBADMSG);
	NPT_CHECK_INT(npt_site_returns(NPT_ARCHITECTURE_X86_64, code, 0, offsets, 2, &count, NULL),
		      0);
	NPT_CHECK_INT(count, 0);
}

static const struct npt_test tests[] = {
	NPT_TEST(takes_the_first_emulated_instruction),
	NPT_TEST(says_how_and_where_the_stack_is),
	NPT_TEST(passes_nothing_that_changes_an_argument),
	NPT_TEST(takes_nothing_that_is_executed_again),
	NPT_TEST(passes_the_check_of_the_stack_in_go),
	NPT_TEST(knows_arm64),
	NPT_TEST(finds_where_a_return_probe_may_be),
	NPT_TEST(walks_no_further_than_wanted),
	NPT_TEST(naive_is_the_entry),
	NPT_TEST(refuses_what_takes_no_probe),
	NPT_TEST(knows_the_registers_of_arguments),
	NPT_TEST(finds_the_function_that_a_wrapper_calls),
	NPT_TEST(lists_returns),
};
NPT_TEST_MAIN(tests)
