/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel does with a uprobe, by its arch/x86/kernel/uprobes.c:
 *
 * - branch_setup_xol_ops() emulates jmp, jcc and call with a relative target and 90 (3.16+, so each
 *   kernel that we run on); newer ones (6.18 does) also the multi-byte nops that assemblers use. A
 *   nop of 5 bytes may become a call into a trampoline there, which is cheaper still.
 * - push_setup_xol_ops() emulates 50 to 57, alone or after exactly 41 (4.16+).
 * - default_xol_ops: all else runs in a slot by a single step: endbr64, sub, mov, ret ...
 * - uprobe_init_insn() refuses segment prefixes of 32-bit mode and lock, mov to ss, and by
 *   good_insns_64 what is no instruction, in and out, int, iret, hlt, cli and sti. Its
 *   good_2byte_insns would refuse system calls and the like, but is never asked, as 0f is good:
 *   these we do refuse. branch_setup_xol_ops() refuses a branch with prefix 66.
 *
 * It reads the opcode of a VEX or EVEX instruction as if it were one of the one-byte map, so a
 * vpcmpeqb (74) passes for a jcc and is never executed; and 90 with REX.B, an xchg, for a nop
 * (until about 6.19). A probe there would break the program: we refuse both.
 */
#include "agent/tls/instruction_x86.h"

#include <string.h>

#define RAX    0
#define RCX    1
#define RDX    2
#define BIT(n) ((uint32_t)1 << (n))

static bool is_byte_operation(const struct npt_x86_reader *reader)
{
	static const char ones[] = "\x80\x84\x86\x88\x8a\xc0\xc6\xd0\xd2\xf6\xfe";
	uint8_t opcode = reader->opcode;

	if (reader->map == MAP_TWO)
		return (opcode & 0xf0) == 0x90 || opcode == 0xb0 || opcode == 0xc0;
	return reader->map == MAP_ONE && ((opcode < 0x40 && !(opcode & 1)) ||
					  (opcode & 0xf8) == 0xb0 || strchr(ones, opcode));
}

/* Without REX, numbers 4 to 7 of a byte operation are ah, ch, dh and bh. */
static uint32_t bit_of(const struct npt_x86_reader *reader, uint8_t number)
{
	if (!reader->rex && number >= 4 && number < 8 && is_byte_operation(reader))
		return BIT(number - 4);
	return BIT(number);
}

static void make_opaque(struct npt_instruction *instruction)
{
	instruction->opaque = true;
	instruction->writes = NPT_REGISTERS_ALL;
	instruction->store = NPT_STORE_MEMORY;
	instruction->stack_known = false;
}

static enum npt_store store_of(const struct npt_x86_reader *reader)
{
	bool through_sib = reader->base == NPT_X86_RSP && (reader->rm & 7) == TAKES_SIB;

	if (through_sib && !reader->has_segment && !reader->short_address && !reader->has_index)
		return NPT_STORE_FRAME;
	return NPT_STORE_MEMORY;
}

static void find_writes(const struct npt_x86_reader *reader, struct npt_instruction *instruction)
{
	uint8_t writes = reader->shape.writes;
	uint8_t low = (uint8_t)((reader->opcode & 7) | (reader->rex & REX_B ? 8 : 0));
	bool direct = reader->mod == DIRECT;

	if (writes & WRITES_ANY) {
		make_opaque(instruction);
		return;
	}
	if ((writes & WRITES_RM) && direct)
		instruction->writes |= bit_of(reader, reader->rm);
	if ((writes & (WRITES_RM | WRITES_MEMORY)) && !direct)
		instruction->store = store_of(reader);
	if (writes & WRITES_REG)
		instruction->writes |= bit_of(reader, reader->reg);
	if (writes & WRITES_OPCODE)
		instruction->writes |= bit_of(reader, low);
	if (writes & WRITES_AX)
		instruction->writes |= BIT(RAX);
	if (writes & WRITES_DX)
		instruction->writes |= BIT(RDX);
	if (writes & WRITES_FOREIGN)
		instruction->store = NPT_STORE_MEMORY;
	if (instruction->writes & BIT(NPT_X86_RSP))
		instruction->stack_known = false;
}

static void change_stack(const struct npt_x86_reader *reader, struct npt_instruction *instruction,
			 int64_t bytes)
{
	instruction->stack_known = !reader->short_operand && bytes > -(1 << 24) && bytes < 1 << 24;
	instruction->stack_change = instruction->stack_known ? (int32_t)bytes : 0;
}

/* push, pop, and what adds a constant to rsp. */
static void follow_stack(const struct npt_x86_reader *reader, struct npt_instruction *instruction)
{
	uint8_t opcode = reader->opcode, reg = reader->reg & 7;
	bool wide_rsp = (reader->rex & REX_W) && reader->mod == DIRECT && reader->rm == NPT_X86_RSP;

	if ((opcode & 0xf8) == 0x50 || opcode == 0x68 || opcode == 0x6a || opcode == 0x9c ||
	    (opcode == 0xff && reg == 6)) {
		instruction->store = NPT_STORE_FRAME;
		change_stack(reader, instruction, -8);
	} else if ((opcode & 0xf8) == 0x58) {
		if (!(instruction->writes & BIT(NPT_X86_RSP)))
			change_stack(reader, instruction, 8);
	} else if (opcode == 0x8f) {
		make_opaque(instruction);
	} else if ((opcode == 0x81 || opcode == 0x83) && wide_rsp && (reg == 0 || reg == 5)) {
		change_stack(reader, instruction,
			     reg == 0 ? reader->immediate : -reader->immediate);
	} else if (opcode == 0x8d && reader->reg == NPT_X86_RSP && (reader->rex & REX_W) &&
		   reader->base == NPT_X86_RSP && (reader->rm & 7) == TAKES_SIB &&
		   !reader->has_index && !reader->short_address) {
		change_stack(reader, instruction, reader->displacement);
	}
}

static void refine_one(const struct npt_x86_reader *reader, struct npt_instruction *instruction)
{
	uint8_t opcode = reader->opcode, reg = reader->reg & 7;

	if ((opcode & 0xfc) == 0x80 && reg == 7) { /* cmp */
		instruction->writes = 0;
		instruction->store = NPT_STORE_NONE;
		instruction->stack_known = true;
	} else if (opcode == 0x90 && (reader->rex & REX_B)) { /* xchg %rax, %r8 */
		instruction->writes = BIT(RAX) | BIT(8);
	} else if ((opcode & 0xfe) == 0xf6 && reg != 2 && reg != 3) { /* test, mul, div */
		instruction->writes = reg < 2 ? 0 : BIT(RAX) | BIT(RDX);
		instruction->store = NPT_STORE_NONE;
		instruction->stack_known = true;
	} else if (opcode == 0xff && reg >= 2) { /* call, jmp, push */
		instruction->writes = 0;
		instruction->store = NPT_STORE_NONE;
		instruction->stack_known = true;
		if (reg < 6)
			instruction->flow =
				reg < 4 ? NPT_FLOW_CALL_INDIRECT : NPT_FLOW_JUMP_INDIRECT;
	} else if ((opcode == 0xc6 || opcode == 0xc7) && reg == 7) { /* transactions */
		make_opaque(instruction);
	} else if (opcode >= 0xe0 && opcode <= 0xe2) { /* loop */
		instruction->writes = BIT(RCX);
	} else if (opcode == 0xc2 || opcode == 0xc3 || opcode == 0xca || opcode == 0xcb) {
		instruction->flow = NPT_FLOW_RETURN;
	} else if (opcode == 0xcc || opcode == 0xf1 || opcode == 0xf4) {
		instruction->flow = NPT_FLOW_TRAP;
	}
	follow_stack(reader, instruction);
}

static void refine_two(const struct npt_x86_reader *reader, struct npt_instruction *instruction)
{
	uint8_t opcode = reader->opcode;
	bool fence = opcode == 0xae && reader->mod == DIRECT && (reader->reg & 7) >= 5 &&
		     !reader->repeat && !reader->short_operand;

	if (fence || (opcode == 0xba && (reader->reg & 7) == 4) || /* bt */
	    (opcode == 0x7e && reader->repeat)) {                  /* movq to a vector register */
		instruction->opaque = false;
		instruction->writes = 0;
		instruction->store = NPT_STORE_NONE;
		instruction->stack_known = true;
	} else if (opcode == 0x1e && reader->repeat && reader->mod == DIRECT &&
		   reader->reg == 1) { /* rdsspq */
		instruction->writes = BIT(reader->rm);
	} else if (opcode == 0x0b || opcode == 0xb9 || opcode == 0xff) {
		instruction->flow = NPT_FLOW_TRAP;
	}
}

static void follow_flow(const struct npt_x86_reader *reader, struct npt_instruction *instruction)
{
	bool begins_transaction =
		reader->map == MAP_ONE && reader->opcode == 0xc7 && (reader->reg & 7) == 7;

	if (!(reader->shape.parts & (PART_NEAR | PART_FAR)) && !begins_transaction)
		return;
	instruction->target = (int64_t)reader->at + reader->immediate;
	instruction->flow = NPT_FLOW_BRANCH;
	if (reader->map == MAP_ONE && reader->opcode == 0xe8)
		instruction->flow = NPT_FLOW_CALL;
	else if (reader->map == MAP_ONE && (reader->opcode == 0xe9 || reader->opcode == 0xeb))
		instruction->flow = NPT_FLOW_JUMP;
}

/* One of the nops that assemblers fill with, and the kernel compares with (x86_nops). */
static bool is_long_nop(const struct npt_x86_reader *reader)
{
	static const struct {
		uint8_t length;
		uint8_t bytes[8];
	} nops[] = {
		{ 3, { 0x0f, 0x1f, 0x00 } },
		{ 4, { 0x0f, 0x1f, 0x40, 0x00 } },
		{ 5, { 0x0f, 0x1f, 0x44, 0x00, 0x00 } },
		{ 6, { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 } },
		{ 7, { 0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00 } },
		{ 8, { 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00 } },
	};

	for (size_t i = 0; i < sizeof(nops) / sizeof(nops[0]); i++) {
		if (reader->at == nops[i].length &&
		    memcmp(reader->code, nops[i].bytes, reader->at) == 0)
			return true;
	}
	return false;
}

static bool is_refused(const struct npt_x86_reader *reader)
{
	static const char ones[] = "\x6c\x6d\x6e\x6f\xcc\xcd\xcf\xe4\xe5\xe6\xe7\xec\xed\xee\xef"
				   "\xf1\xf4\xfa\xfb";
	static const char twos[] = "\x01\x05\x06\x07\x08\x09\x0b\x30\x34\x35\x37\xae\xb9\xff";
	bool branches = reader->shape.parts & (PART_NEAR | PART_FAR);

	if (reader->has_bad_segment || reader->has_lock || reader->map == MAP_VECTOR ||
	    (branches && reader->short_operand))
		return true;
	if (reader->map == MAP_TWO)
		return reader->opcode == 0 || strchr(twos, reader->opcode);
	if (reader->map != MAP_ONE || reader->opcode == 0)
		return false;
	return strchr(ones, reader->opcode) || (reader->opcode == 0x8e && (reader->reg & 7) == 2) ||
	       (reader->opcode == 0x90 && (reader->rex & REX_B)) ||
	       ((reader->opcode == 0xc6 || reader->opcode == 0xc7) && (reader->reg & 7) == 7);
}

static enum npt_uprobe uprobe_of(const struct npt_x86_reader *reader)
{
	uint8_t opcode = reader->opcode;
	bool plain_push = reader->at == 1 || (reader->at == 2 && reader->rex == (0x40 | REX_B));

	if (is_refused(reader))
		return NPT_UPROBE_REFUSED;
	if (reader->map == MAP_TWO && (opcode & 0xf0) == 0x80)
		return NPT_UPROBE_JUMP;
	if (is_long_nop(reader))
		return NPT_UPROBE_LONG_NOP;
	if (reader->map != MAP_ONE)
		return NPT_UPROBE_STEPPED;
	if ((opcode & 0xf8) == 0x50 && plain_push)
		return NPT_UPROBE_PUSH;
	if ((opcode & 0xf0) == 0x70 || opcode == 0xe9 || opcode == 0xeb)
		return NPT_UPROBE_JUMP;
	if (opcode == 0xe8)
		return NPT_UPROBE_CALL;
	/* pause is another instruction since about 6.19. */
	return opcode == 0x90 && !reader->repeat ? NPT_UPROBE_NOP : NPT_UPROBE_STEPPED;
}

void npt_x86_find_effects(const struct npt_x86_reader *reader, struct npt_instruction *instruction)
{
	find_writes(reader, instruction);
	if (reader->map == MAP_ONE)
		refine_one(reader, instruction);
	else if (reader->map == MAP_TWO)
		refine_two(reader, instruction);
	follow_flow(reader, instruction);
	if (instruction->flow == NPT_FLOW_CALL || instruction->flow == NPT_FLOW_CALL_INDIRECT)
		instruction->writes = NPT_REGISTERS_ALL;
	instruction->uprobe = uprobe_of(reader);
}
