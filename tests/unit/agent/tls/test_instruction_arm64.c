/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodings by an assembler, each beside what it is; tests/soak/instructions compares with objdump
 * over whole libraries.
 */
#include "agent/tls/instruction.h"

#include <errno.h>
#include <stdio.h>

#include "tests/support/test.h"

#define X(n) (1u << (n))
#define SP   X(NPT_ARM64_SP)
#define LINK X(NPT_ARM64_LINK)
#define NONE NPT_STORE_NONE

static int decode(uint32_t word, struct npt_instruction *instruction)
{
	const uint8_t bytes[] = { (uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
				  (uint8_t)(word >> 24) };

	memset(instruction, 0xff, sizeof(*instruction));
	return npt_instruction_decode(NPT_ARCHITECTURE_ARM64, bytes, sizeof(bytes), instruction);
}

static void check(const char *what, bool ok, const char *property)
{
	if (!NPT_CHECK(ok))
		printf("  %s: %s\n", what, property);
}

#define UNKNOWN 9999 /* of the stack pointer */

static void knows_what_is_written(void)
{
	static const struct {
		uint32_t word;
		const char *what;
		uint32_t writes;
		enum npt_store store;
		int32_t stack;
	} cases[] = {
		{ 0xa9be7bfd, "stp x29, x30, [sp, #-32]!", SP, NPT_STORE_FRAME, -32 },
		{ 0xa8c27bfd, "ldp x29, x30, [sp], #32", X(29) | LINK | SP, NONE, 32 },
		{ 0xf81b0ffe, "str x30, [sp, #-80]!", SP, NPT_STORE_FRAME, -80 },
		{ 0xf81f83fd, "stur x29, [sp, #-8]", 0, NPT_STORE_FRAME, 0 },
		{ 0xd100c3ff, "sub sp, sp, #0x30", SP, NONE, -0x30 },
		{ 0xd14007ff, "sub sp, sp, #1, lsl #12", SP, NONE, -4096 },
		{ 0x910043ff, "add sp, sp, #0x10", SP, NONE, 16 },
		{ 0xd10023fd, "sub x29, sp, #8", X(29), NONE, 0 },
		{ 0x910003bf, "mov sp, x29", SP, NONE, UNKNOWN },
		{ 0x927cec3f, "and sp, x1, #-16", SP, NONE, UNKNOWN },
		{ 0x8b2263ff, "add sp, sp, x2", SP, NONE, UNKNOWN },
		{ 0xaa0203e1, "mov x1, x2", X(1), NONE, 0 },
		{ 0x528000a0, "mov w0, #5", X(0), NONE, 0 },
		{ 0xf1000c1f, "cmp x0, #3", 0, NONE, 0 },
		{ 0xf240001f, "tst x0, #1", 0, NONE, 0 },
		{ 0xfa420020, "ccmp x1, x2, #0, eq", 0, NONE, 0 },
		{ 0xeb3063ff, "cmp sp, x16", 0, NONE, 0 },
		{ 0x8b010c03, "add x3, x0, x1, lsl #3", X(3), NONE, 0 },
		{ 0xf9400b90, "ldr x16, [x28, #16]", X(16), NONE, 0 },
		{ 0xf8408420, "ldr x0, [x1], #8", X(0) | X(1), NONE, 0 },
		{ 0xb8636822, "ldr w2, [x1, x3]", X(2), NONE, 0 },
		{ 0xb9800024, "ldrsw x4, [x1]", X(4), NONE, 0 },
		{ 0x39400fe5, "ldrb w5, [sp, #3]", X(5), NONE, 0 },
		{ 0xf9000020, "str x0, [x1]", 0, NPT_STORE_MEMORY, 0 },
		{ 0xa9000440, "stp x0, x1, [x2]", 0, NPT_STORE_MEMORY, 0 },
		{ 0xad0087e0, "stp q0, q1, [sp, #16]", 0, NPT_STORE_FRAME, 0 },
		{ 0x3dc00020, "ldr q0, [x1]", 0, NONE, 0 },
		{ 0xacc10440, "ldp q0, q1, [x2], #32", X(2), NONE, 0 },
		{ 0xc8dffc20, "ldar x0, [x1]", X(0), NONE, 0 },
		{ 0xf8bfc020, "ldapr x0, [x1]", X(0), NONE, 0 },
		{ 0xc89ffc20, "stlr x0, [x1]", 0, NPT_STORE_MEMORY, 0 },
		{ 0xf9800020, "prfm pldl1keep, [x1]", 0, NONE, 0 },
		{ 0x9e660003, "fmov x3, d0", X(3), NONE, 0 },
		{ 0x1e380004, "fcvtzs w4, s0", X(4), NONE, 0 },
		{ 0x0e033c05, "umov w5, v0.b[1]", X(5), NONE, 0 },
		{ 0x6f00e400, "movi v0.2d, #0", 0, NONE, 0 },
		{ 0xd53bd041, "mrs x1, tpidr_el0", X(1), NONE, 0 },
		{ 0xd5033bbf, "dmb ish", 0, NONE, 0 },
		{ 0x9b047c62, "mul x2, x3, x4", X(2), NONE, 0 },
		{ 0x1a80c020, "csel w0, w1, w0, gt", X(0), NONE, 0 },
		{ 0xb37d0c41, "bfi x1, x2, #3, #4", X(1), NONE, 0 },
		{ 0x93c70cc5, "extr x5, x6, x7, #3", X(5), NONE, 0 },
		{ 0xd503245f, "bti c", 0, NONE, 0 },
		{ 0xd503233f, "paciasp", LINK, NONE, 0 },
	};
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cases[i].what, decode(cases[i].word, &instruction) == 0, "decodes");
		check(cases[i].what, instruction.length == 4, "length");
		check(cases[i].what, instruction.writes == cases[i].writes, "writes");
		check(cases[i].what, instruction.store == cases[i].store, "store");
		check(cases[i].what, instruction.stack_known == (cases[i].stack != UNKNOWN),
		      "stack known");
		check(cases[i].what,
		      !instruction.stack_known || instruction.stack_change == cases[i].stack,
		      "stack");
		check(cases[i].what, !instruction.opaque, "opaque");
		check(cases[i].what, instruction.flow == NPT_FLOW_NEXT, "flow");
		check(cases[i].what, instruction.uprobe == NPT_UPROBE_STEPPED, "uprobe");
	}
}

static void knows_where_control_goes_and_what_a_uprobe_costs(void)
{
	static const struct {
		uint32_t word;
		const char *what;
		enum npt_flow flow;
		enum npt_uprobe uprobe;
		int64_t target;
	} cases[] = {
		{ 0x14000004, "b", NPT_FLOW_JUMP, NPT_UPROBE_JUMP, 16 },
		{ 0x17ffffff, "b", NPT_FLOW_JUMP, NPT_UPROBE_JUMP, -4 },
		{ 0x97fffffc, "bl", NPT_FLOW_CALL, NPT_UPROBE_CALL, -16 },
		{ 0x54000040, "b.eq", NPT_FLOW_BRANCH, NPT_UPROBE_JUMP, 8 },
		{ 0x54000050, "bc.eq", NPT_FLOW_BRANCH, NPT_UPROBE_REFUSED, 8 },
		{ 0xb4000060, "cbz", NPT_FLOW_BRANCH, NPT_UPROBE_JUMP, 12 },
		{ 0x35ffffe1, "cbnz", NPT_FLOW_BRANCH, NPT_UPROBE_JUMP, -4 },
		{ 0xb6080042, "tbz", NPT_FLOW_BRANCH, NPT_UPROBE_JUMP, 8 },
		{ 0x37f800a2, "tbnz", NPT_FLOW_BRANCH, NPT_UPROBE_JUMP, 20 },
		{ 0xd61f0200, "br x16", NPT_FLOW_JUMP_INDIRECT, NPT_UPROBE_JUMP, 0 },
		{ 0xd63f0020, "blr x1", NPT_FLOW_CALL_INDIRECT, NPT_UPROBE_CALL, 0 },
		{ 0xd65f03c0, "ret", NPT_FLOW_RETURN, NPT_UPROBE_JUMP, 0 },
		{ 0xd65f0bff, "retaa", NPT_FLOW_RETURN, NPT_UPROBE_REFUSED, 0 },
		{ 0xd4200020, "brk", NPT_FLOW_TRAP, NPT_UPROBE_REFUSED, 0 },
		{ 0xd503201f, "nop", NPT_FLOW_NEXT, NPT_UPROBE_LONG_NOP, 0 },
		{ 0xd503203f, "yield", NPT_FLOW_NEXT, NPT_UPROBE_REFUSED, 0 },
		{ 0xd50323bf, "autiasp", NPT_FLOW_NEXT, NPT_UPROBE_REFUSED, 0 },
		{ 0x58000040, "ldr x0, literal", NPT_FLOW_NEXT, NPT_UPROBE_REFUSED, 0 },
		{ 0x9c000080, "ldr q0, literal", NPT_FLOW_NEXT, NPT_UPROBE_REFUSED, 0 },
		{ 0x90000003, "adrp x3", NPT_FLOW_NEXT, NPT_UPROBE_ADDRESS, 0 },
		{ 0x10000044, "adr x4", NPT_FLOW_NEXT, NPT_UPROBE_ADDRESS, 0 },
	};
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cases[i].what, decode(cases[i].word, &instruction) == 0, "decodes");
		check(cases[i].what, instruction.flow == cases[i].flow, "flow");
		check(cases[i].what, instruction.uprobe == cases[i].uprobe, "uprobe");
		check(cases[i].what, instruction.target == cases[i].target, "target");
	}
}

static void follows_no_system_call_no_exclusive_and_nothing_rare(void)
{
	static const struct {
		uint32_t word;
		const char *what;
		enum npt_uprobe uprobe;
	} cases[] = {
		{ 0xc85f7c20, "ldxr x0, [x1]", NPT_UPROBE_REFUSED },
		{ 0xc8a07c41, "cas x0, x1, [x2]", NPT_UPROBE_STEPPED },
		{ 0xd4000001, "svc #0", NPT_UPROBE_REFUSED },
		{ 0xd51bd041, "msr tpidr_el0, x1", NPT_UPROBE_REFUSED },
		{ 0xd50b7421, "dc zva, x1", NPT_UPROBE_STEPPED },
		{ 0xf8200441, "ldraa x1, [x2]", NPT_UPROBE_STEPPED },
		{ 0xf8200041, "ldadd x0, x1, [x2]", NPT_UPROBE_STEPPED },
		{ 0x25f8c000, "mov z0.d, #0", NPT_UPROBE_STEPPED },
	};
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check(cases[i].what, decode(cases[i].word, &instruction) == 0, "decodes");
		check(cases[i].what, instruction.opaque, "opaque");
		check(cases[i].what, instruction.writes == NPT_REGISTERS_ALL, "writes");
		check(cases[i].what, instruction.uprobe == cases[i].uprobe, "uprobe");
	}
}

static void refuses_what_is_no_instruction(void)
{
	static const uint32_t words[] = { 0x00000000, 0x0000ffff, 0x02000000, 0x06000000 };
	const uint8_t nop[] = { 0x1f, 0x20, 0x03, 0xd5 };
	struct npt_instruction instruction;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		NPT_CHECK_INT(decode(words[i], &instruction), -EBADMSG);
	for (size_t size = 0; size < sizeof(nop); size++)
		NPT_CHECK_INT(npt_instruction_decode_arm64(nop, size, &instruction), -EBADMSG);
	NPT_CHECK_INT(npt_instruction_decode_arm64(nop, sizeof(nop), &instruction), 0);
}

static void takes_any_word(void)
{
	uint64_t state = npt_test_seed();
	struct npt_instruction instruction;

	for (int round = 0; round < 300000; round++) {
		if (decode((uint32_t)npt_test_random(&state), &instruction) < 0)
			continue;
		if (!NPT_CHECK(instruction.length == 4 && instruction.target % 4 == 0 &&
			       instruction.uprobe < NPT_UPROBE_COUNT))
			return;
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(knows_what_is_written),
	NPT_TEST(knows_where_control_goes_and_what_a_uprobe_costs),
	NPT_TEST(follows_no_system_call_no_exclusive_and_nothing_rare),
	NPT_TEST(refuses_what_is_no_instruction),
	NPT_TEST(takes_any_word),
};
NPT_TEST_MAIN(tests)
