/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodings by hand, each beside what it is; tests/soak/instructions compares with objdump over
 * whole libraries.
 */
#include "agent/tls/instruction.h"

#include <errno.h>
#include <stdio.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "tests/support/code.h"
#include "tests/support/test.h"

#define NONE NPT_STORE_NONE
#define RAX  1u
#define RCX  2u
#define RDX  4u
#define RBX  8u
#define RSP  16u
#define RBP  32u
#define RSI  64u
#define RDI  128u
#define R8   256u
#define R12  4096u
#define ALL  NPT_REGISTERS_ALL

static int decode(const char *hex, struct npt_instruction *instruction)
{
	uint8_t bytes[64];
	size_t size = npt_test_code(hex, bytes, sizeof(bytes));

	memset(instruction, 0xff, sizeof(*instruction));
	return npt_instruction_decode(NPT_ARCHITECTURE_X86_64, bytes, size, instruction);
}

/* Fails with the case's name in front. */
static void check(const char *what, bool ok, const char *property)
{
	if (!NPT_CHECK(ok))
		printf("  %s: %s\n", what, property);
}

static const struct {
	const char *hex, *what;
	uint8_t length;
	uint32_t writes;
	enum npt_store store;
} plain[] = {
	{ "4889f8", "mov %rdi,%rax", 3, RAX, NONE },
	{ "488b07", "mov (%rdi),%rax", 3, RAX, NONE },
	{ "488907", "mov %rax,(%rdi)", 3, 0, NPT_STORE_MEMORY },
	{ "4889442408", "mov %rax,8(%rsp)", 5, 0, NPT_STORE_FRAME },
	{ "4889440408", "mov %rax,8(%rsp,%rax)", 5, 0, NPT_STORE_MEMORY },
	{ "6448890424", "mov %rax,%fs:(%rsp)", 5, 0, NPT_STORE_MEMORY },
	{ "49890424", "mov %rax,(%r12)", 4, 0, NPT_STORE_MEMORY },
	{ "64488b042528000000", "mov %fs:0x28,%rax", 9, RAX, NONE },
	{ "48a11122334455667788", "movabs 0x8877665544332211,%rax", 10, RAX, NONE },
	{ "a31122334455667788", "movabs %eax,0x8877665544332211", 9, 0, NPT_STORE_MEMORY },
	{ "67a311223344", "addr32 mov %eax,0x44332211", 6, 0, NPT_STORE_MEMORY },
	{ "48b81122334455667788", "movabs $0x8877665544332211,%rax", 10, RAX, NONE },
	{ "41b811223344", "mov $0x44332211,%r8d", 6, R8, NONE },
	{ "66b81122", "mov $0x2211,%ax", 4, RAX, NONE },
	{ "b401", "mov $1,%ah", 2, RAX, NONE },
	{ "40b401", "mov $1,%spl", 3, RSP, NONE },
	{ "b601", "mov $1,%dh", 2, RDX, NONE },
	{ "40b601", "mov $1,%sil", 3, RSI, NONE },
	{ "c70425111111114433221f", "movl $0x1f223344,0x11111111", 11, 0, NPT_STORE_MEMORY },
	{ "66c70011aa", "movw $0xaa11,(%rax)", 5, 0, NPT_STORE_MEMORY },
	{ "488d3511223344", "lea 0x44332211(%rip),%rsi", 7, RSI, NONE },
	{ "39d8", "cmp %ebx,%eax", 2, 0, NONE },
	{ "4883f801", "cmp $1,%rax", 4, 0, NONE },
	{ "4883c001", "add $1,%rax", 4, RAX, NONE },
	{ "83382a", "cmpl $42,(%rax)", 3, 0, NONE },
	{ "83002a", "addl $42,(%rax)", 3, 0, NPT_STORE_MEMORY },
	{ "f6c201", "test $1,%dl", 3, 0, NONE },
	{ "f7c201000000", "test $1,%edx", 6, 0, NONE },
	{ "66f7c20100", "test $1,%dx", 5, 0, NONE },
	{ "f7d2", "not %edx", 2, RDX, NONE },
	{ "f7e1", "mul %ecx", 2, RAX | RDX, NONE },
	{ "69d011223344", "imul $0x44332211,%eax,%edx", 6, RDX, NONE },
	{ "6bd011", "imul $0x11,%eax,%edx", 3, RDX, NONE },
	{ "0fafd0", "imul %eax,%edx", 3, RDX, NONE },
	{ "4887f7", "xchg %rsi,%rdi", 3, RSI | RDI, NONE },
	{ "4896", "xchg %rax,%rsi", 2, RAX | RSI, NONE },
	{ "0fc8", "bswap %eax", 2, RAX, NONE },
	{ "480fc1d8", "xadd %rbx,%rax", 4, RAX | RBX, NONE },
	{ "0f94c0", "sete %al", 3, RAX, NONE },
	{ "0f94c6", "sete %dh", 3, RDX, NONE },
	{ "480f44f8", "cmove %rax,%rdi", 4, RDI, NONE },
	{ "0fb6c0", "movzbl %al,%eax", 3, RAX, NONE },
	{ "480fbae03f", "bt $63,%rax", 5, 0, NONE },
	{ "480fbae83f", "bts $63,%rax", 5, RAX, NONE },
	{ "c1e204", "shl $4,%edx", 3, RDX, NONE },
	{ "4863d0", "movslq %eax,%rdx", 3, RDX, NONE },
	{ "4899", "cqto", 2, RAX | RDX, NONE },
	{ "0f1f440000", "nopl 0(%rax,%rax)", 5, 0, NONE },
	{ "f30f1efa", "endbr64", 4, 0, NONE },
	{ "f3480f1ec9", "rdsspq %rcx", 5, RCX, NONE },
	{ "660fefc0", "pxor %xmm0,%xmm0", 4, 0, NONE },
	{ "0f110424", "movups %xmm0,(%rsp)", 4, 0, NPT_STORE_FRAME },
	{ "440f11bc24b0000000", "movups %xmm15,0xb0(%rsp)", 9, 0, NPT_STORE_FRAME },
	{ "0f1107", "movups %xmm0,(%rdi)", 3, 0, NPT_STORE_MEMORY },
	{ "66480f7ec7", "movq %xmm0,%rdi", 5, RDI, NONE },
	{ "f30f7ec7", "movq %xmm7,%xmm0", 4, 0, NONE },
	{ "660f3a0fc108", "palignr $8,%xmm1,%xmm0", 6, 0, NONE },
	{ "660f3a16c700", "pextrd $0,%xmm0,%edi", 6, RDI, NONE },
	{ "660f3800c1", "pshufb %xmm1,%xmm0", 5, 0, NONE },
	{ "f2480f2cf8", "cvttsd2si %xmm0,%rdi", 5, RDI, NONE },
	{ "0f31", "rdtsc", 2, RAX | RDX, NONE },
	{ "58", "pop %rax", 1, RAX, NONE },
	{ "415c", "pop %r12", 2, R12, NONE },
};

static void knows_length_and_written_registers(void)
{
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		check(plain[i].what, decode(plain[i].hex, &instruction) == 0, "decodes");
		check(plain[i].what, instruction.length == plain[i].length, "length");
		check(plain[i].what, instruction.writes == plain[i].writes, "writes");
		check(plain[i].what, instruction.store == plain[i].store, "store");
		check(plain[i].what, !instruction.opaque, "opaque");
		check(plain[i].what, instruction.flow == NPT_FLOW_NEXT, "flow");
		check(plain[i].what,
		      instruction.uprobe == NPT_UPROBE_STEPPED ||
			      instruction.uprobe == NPT_UPROBE_LONG_NOP,
		      "uprobe");
	}
}

static void knows_only_the_length_of_what_is_rare(void)
{
	static const struct {
		const char *hex, *what;
		uint8_t length;
		enum npt_uprobe uprobe;
	} cases[] = {
		{ "c5f877", "vzeroupper", 3, NPT_UPROBE_REFUSED },
		{ "c5f974c0", "vpcmpeqb, whose 74 the kernel takes for je", 4, NPT_UPROBE_REFUSED },
		{ "c5f96fc0", "vmovdqa", 4, NPT_UPROBE_REFUSED },
		{ "c4e37d39c101", "vextracti128 $1", 6, NPT_UPROBE_REFUSED },
		{ "c4e27d18051122334455", "vbroadcastss of 32 bits, and more", 9,
		  NPT_UPROBE_REFUSED },
		{ "c5f8c2c107", "vcmpps $7", 5, NPT_UPROBE_REFUSED },
		{ "c5f9c4c003", "vpinsrw $3", 5, NPT_UPROBE_REFUSED },
		{ "c5f8c6c11b", "vshufps $0x1b", 5, NPT_UPROBE_REFUSED },
		{ "c5f970c01b", "vpshufd $0x1b", 5, NPT_UPROBE_REFUSED },
		{ "62f1fe486f4701", "vmovdqu64 0x40(%rdi),%zmm0", 7, NPT_UPROBE_REFUSED },
		{ "62f37d4825c2ff", "vpternlogd $0xff", 7, NPT_UPROBE_REFUSED },
		{ "8fe878c2c008", "vprotd $8, of XOP", 6, NPT_UPROBE_REFUSED },
		{ "0f05", "syscall", 2, NPT_UPROBE_REFUSED },
		{ "0fa2", "cpuid", 2, NPT_UPROBE_STEPPED },
		{ "f3a4", "rep movsb", 2, NPT_UPROBE_STEPPED },
		{ "c9", "leave", 1, NPT_UPROBE_STEPPED },
		{ "c8112200", "enter $0x2211,$0", 4, NPT_UPROBE_STEPPED },
		{ "dd4508", "fldl 8(%rbp)", 3, NPT_UPROBE_STEPPED },
		{ "8f00", "pop (%rax)", 2, NPT_UPROBE_STEPPED },
		{ "0fae00", "fxsave (%rax)", 3, NPT_UPROBE_REFUSED },
		{ "cd80", "int $0x80", 2, NPT_UPROBE_REFUSED },
		{ "e460", "in $0x60,%al", 2, NPT_UPROBE_REFUSED },
		{ "c7f811223344", "xbegin", 6, NPT_UPROBE_REFUSED },
	};
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cases[i].what, decode(cases[i].hex, &instruction) == 0, "decodes");
		check(cases[i].what, instruction.length == cases[i].length, "length");
		check(cases[i].what, instruction.opaque && instruction.writes == ALL, "opaque");
		check(cases[i].what, instruction.uprobe == cases[i].uprobe, "uprobe");
	}
}

static void knows_where_control_goes_and_what_a_uprobe_costs(void)
{
	static const struct {
		const char *hex, *what;
		uint8_t length;
		enum npt_flow flow;
		enum npt_uprobe uprobe;
		int64_t target;
	} cases[] = {
		{ "eb10", "jmp", 2, NPT_FLOW_JUMP, NPT_UPROBE_JUMP, 0x12 },
		{ "ebfe", "jmp to itself", 2, NPT_FLOW_JUMP, NPT_UPROBE_JUMP, 0 },
		{ "e9fbffffff", "jmp to itself, far", 5, NPT_FLOW_JUMP, NPT_UPROBE_JUMP, 0 },
		{ "f2e900000000", "bnd jmp", 6, NPT_FLOW_JUMP, NPT_UPROBE_JUMP, 6 },
		{ "74f0", "je", 2, NPT_FLOW_BRANCH, NPT_UPROBE_JUMP, -14 },
		{ "0f8400010000", "je, far", 6, NPT_FLOW_BRANCH, NPT_UPROBE_JUMP, 0x106 },
		{ "3e7410", "je,pt", 3, NPT_FLOW_BRANCH, NPT_UPROBE_REFUSED, 0x13 },
		{ "e2f0", "loop", 2, NPT_FLOW_BRANCH, NPT_UPROBE_STEPPED, -14 },
		{ "e310", "jrcxz", 2, NPT_FLOW_BRANCH, NPT_UPROBE_STEPPED, 0x12 },
		{ "e800000000", "call", 5, NPT_FLOW_CALL, NPT_UPROBE_CALL, 5 },
		{ "666648e800000000", "call of __tls_get_addr", 8, NPT_FLOW_CALL,
		  NPT_UPROBE_REFUSED, 8 },
		{ "ffd0", "call *%rax", 2, NPT_FLOW_CALL_INDIRECT, NPT_UPROBE_STEPPED, 0 },
		{ "ff2511223344", "jmp *(%rip)", 6, NPT_FLOW_JUMP_INDIRECT, NPT_UPROBE_STEPPED, 0 },
		{ "3effe0", "notrack jmp *%rax", 3, NPT_FLOW_JUMP_INDIRECT, NPT_UPROBE_REFUSED, 0 },
		{ "c3", "ret", 1, NPT_FLOW_RETURN, NPT_UPROBE_STEPPED, 0 },
		{ "f3c3", "repz ret", 2, NPT_FLOW_RETURN, NPT_UPROBE_STEPPED, 0 },
		{ "c21000", "ret $16", 3, NPT_FLOW_RETURN, NPT_UPROBE_STEPPED, 0 },
		{ "cc", "int3", 1, NPT_FLOW_TRAP, NPT_UPROBE_REFUSED, 0 },
		{ "0f0b", "ud2", 2, NPT_FLOW_TRAP, NPT_UPROBE_REFUSED, 0 },
		{ "f4", "hlt", 1, NPT_FLOW_TRAP, NPT_UPROBE_REFUSED, 0 },
		{ "90", "nop", 1, NPT_FLOW_NEXT, NPT_UPROBE_NOP, 0 },
		{ "6690", "nop of 2 bytes", 2, NPT_FLOW_NEXT, NPT_UPROBE_NOP, 0 },
		{ "4190", "xchg %rax,%r8, which is no nop", 2, NPT_FLOW_NEXT, NPT_UPROBE_REFUSED,
		  0 },
		{ "f390", "pause", 2, NPT_FLOW_NEXT, NPT_UPROBE_STEPPED, 0 },
		{ "0f1f00", "nopl of 3", 3, NPT_FLOW_NEXT, NPT_UPROBE_LONG_NOP, 0 },
		{ "0f1f440000", "nopl of 5", 5, NPT_FLOW_NEXT, NPT_UPROBE_LONG_NOP, 0 },
		{ "0f1f4001", "nopl, not the usual", 4, NPT_FLOW_NEXT, NPT_UPROBE_STEPPED, 0 },
		{ "660f1f840000000000", "nopw of 9", 9, NPT_FLOW_NEXT, NPT_UPROBE_STEPPED, 0 },
		{ "2e0f1f840000000000", "cs nopl", 9, NPT_FLOW_NEXT, NPT_UPROBE_REFUSED, 0 },
		{ "55", "push %rbp", 1, NPT_FLOW_NEXT, NPT_UPROBE_PUSH, 0 },
		{ "4154", "push %r12", 2, NPT_FLOW_NEXT, NPT_UPROBE_PUSH, 0 },
		{ "4855", "rex.W push", 2, NPT_FLOW_NEXT, NPT_UPROBE_STEPPED, 0 },
		{ "6655", "push %bp", 2, NPT_FLOW_NEXT, NPT_UPROBE_STEPPED, 0 },
		{ "f255", "bnd push", 2, NPT_FLOW_NEXT, NPT_UPROBE_STEPPED, 0 },
		{ "6a01", "push $1", 2, NPT_FLOW_NEXT, NPT_UPROBE_STEPPED, 0 },
		{ "f0830001", "lock addl", 4, NPT_FLOW_NEXT, NPT_UPROBE_REFUSED, 0 },
		{ "0faee8", "lfence", 3, NPT_FLOW_NEXT, NPT_UPROBE_REFUSED, 0 },
		{ "8ed0", "mov %eax,%ss", 2, NPT_FLOW_NEXT, NPT_UPROBE_REFUSED, 0 },
	};
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cases[i].what, decode(cases[i].hex, &instruction) == 0, "decodes");
		check(cases[i].what, instruction.length == cases[i].length, "length");
		check(cases[i].what, instruction.flow == cases[i].flow, "flow");
		check(cases[i].what, instruction.uprobe == cases[i].uprobe, "uprobe");
		check(cases[i].what, instruction.target == cases[i].target, "target");
	}
}

static void follows_the_stack_pointer_where_it_can(void)
{
	static const struct {
		const char *hex, *what;
		bool known;
		int32_t change;
	} cases[] = {
		{ "55", "push %rbp", true, -8 },
		{ "6a01", "push $1", true, -8 },
		{ "ff35aabbccdd", "push (%rip)", true, -8 },
		{ "5d", "pop %rbp", true, 8 },
		{ "5c", "pop %rsp", false, 0 },
		{ "4883ec18", "sub $0x18,%rsp", true, -0x18 },
		{ "4881ec00010000", "sub $0x100,%rsp", true, -0x100 },
		{ "4883c480", "add $-128,%rsp", true, -128 },
		{ "488d6424f8", "lea -8(%rsp),%rsp", true, -8 },
		{ "488d65f8", "lea -8(%rbp),%rsp", false, 0 },
		{ "4883e4f0", "and $-16,%rsp", false, 0 },
		{ "83ec18", "sub $0x18,%esp", false, 0 },
		{ "4889ec", "mov %rbp,%rsp", false, 0 },
		{ "4883fc18", "cmp $0x18,%rsp", true, 0 },
		{ "4989e4", "mov %rsp,%r12", true, 0 },
		{ "6655", "push %bp", false, 0 },
		{ "9d", "popf", false, 0 },
	};
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cases[i].what, decode(cases[i].hex, &instruction) == 0, "decodes");
		check(cases[i].what, instruction.stack_known == cases[i].known, "known");
		check(cases[i].what, !cases[i].known || instruction.stack_change == cases[i].change,
		      "change");
	}
}

static void refuses_what_is_no_instruction(void)
{
	static const char *const cases[] = {
		"06",           /* push %es, gone in 64-bit mode */
		"9a1122334455", /* far call */
		"82c001",       /* a copy of 80 */
		"d5ff",         /* REX2 */
		"66e81122",     /* 4 or 6 bytes: as Intel or AMD have it */
		"667410",       /* as above */
		"4148",         /* two REX, no opcode */
		"41f390",       /* a prefix after REX */
		"8dc0",         /* lea of a register */
		"c6c800",       /* group 11, no mov */
		"ffff",         /* group 5, 7 */
		"0fba0001",     /* group 8, 0 */
		"0f04",         /* nothing */
		"0f38ff00",     /* nothing */
		"c4e02d18c0",   /* VEX, map 0 */
		"66c5f877",     /* a prefix before VEX */
		"62f4fc4818c0", /* EVEX, map 4: APX */
	};
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i], decode(cases[i], &instruction) == -EBADMSG, "refused");
	check("15 bytes", decode("666666666666666666666666666690", &instruction) == 0, "decodes");
	check("16 bytes", decode("66666666666666666666666666666690", &instruction) == -EBADMSG,
	      "refused");
}

/* In memory of just that size, so that a sanitizer sees a byte too many. */
static void refuses_what_ends_within_an_instruction(void)
{
	static const char *const cases[] = {
		"48b81122334455667788", "c70425111111114433221f", "62f37d4825c2ff", "660f3a0fc108",
		"64488b042528000000",   "8fe878c2c008",           "0f8400010000",   "c8112200",
	};
	struct npt_instruction instruction;
	uint8_t bytes[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = npt_test_code(cases[i], bytes, sizeof(bytes));

		for (size_t cut = 0; cut <= size; cut++) {
			npt_auto_free uint8_t *copy = npt_memdup(bytes, cut);
			int result = npt_instruction_decode_x86(copy, cut, &instruction);

			check(cases[i], result == (cut == size ? 0 : -EBADMSG), "cut");
		}
	}
}

static void reads_no_further_than_it_may(void)
{
	uint64_t state = npt_test_seed();
	struct npt_instruction instruction;

	for (int round = 0; round < 200000; round++) {
		size_t size = npt_test_random(&state) % 20;
		npt_auto_free uint8_t *code = npt_alloc(size + !size, 1);

		for (size_t i = 0; i < size; i++)
			code[i] = (uint8_t)npt_test_random(&state);
		if (npt_instruction_decode_x86(code, size, &instruction) < 0)
			continue;
		if (!NPT_CHECK(instruction.length > 0 && instruction.length <= size &&
			       instruction.length <= NPT_INSTRUCTION_BYTES_MAX))
			return;
		if (!NPT_CHECK(instruction.uprobe < NPT_UPROBE_COUNT &&
			       npt_uprobe_name(instruction.uprobe)[0]))
			return;
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(knows_length_and_written_registers),
	NPT_TEST(knows_only_the_length_of_what_is_rare),
	NPT_TEST(knows_where_control_goes_and_what_a_uprobe_costs),
	NPT_TEST(follows_the_stack_pointer_where_it_can),
	NPT_TEST(refuses_what_is_no_instruction),
	NPT_TEST(refuses_what_ends_within_an_instruction),
	NPT_TEST(reads_no_further_than_it_may),
};
NPT_TEST_MAIN(tests)
