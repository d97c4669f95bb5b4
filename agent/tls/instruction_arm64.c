/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64: by the architecture's top-level groups, then by fixed bits; all instructions have 4 bytes.
 * SVE, SME, atomics and what is rarer are opaque: nothing of that is before a good probe site.
 *
 * What the kernel does with a uprobe, by its arch/arm64/kernel/probes/decode-insn.c and
 * simulate-insn.c (4.10+):
 *
 * - simulated, which costs one trap: b, bl, b.cond, cbz, cbnz, tbz, tbnz, adr, adrp, br, blr, ret;
 *   nop since 6.13 or so
 * - in a slot, by a single step: all else that does not depend on where it is, bti and paciasp too
 *   (those since 5.8)
 * - refused: loads of literals, exclusives, msr, exceptions, hints but for nop, bti and pac*, and
 *   branches with authentication (retaa)
 *
 * It does not know bc.cond, the newer compare-and-branch, nor vector loads of literals, and would
 * run them in its slot, to a wrong address: we refuse them. A trap between a load-exclusive and its
 * store makes the store fail for ever: the walk must not pass one, hence they are opaque.
 */
#include "agent/tls/instruction.h"

#include <errno.h>

#define BYTES  4
#define ZERO   31 /* the zero register, where it is not the stack pointer */
#define BIT(n) ((uint32_t)1 << (n))

static uint32_t field(uint32_t word, unsigned low, unsigned width)
{
	return (word >> low) & (BIT(width) - 1);
}

static int64_t signed_field(uint32_t word, unsigned low, unsigned width)
{
	int64_t value = field(word, low, width);

	return value >> (width - 1) ? value - ((int64_t)1 << width) : value;
}

static bool is(uint32_t word, uint32_t mask, uint32_t value)
{
	return (word & mask) == value;
}

static void make_opaque(struct npt_instruction *instruction)
{
	instruction->opaque = true;
	instruction->writes = NPT_REGISTERS_ALL;
	instruction->store = NPT_STORE_MEMORY;
	instruction->stack_known = false;
}

/* Register 31 is the zero register. */
static void write_register(struct npt_instruction *instruction, uint32_t number)
{
	if (number != ZERO)
		instruction->writes |= BIT(number);
}

static void change_stack(struct npt_instruction *instruction, int64_t bytes)
{
	instruction->writes |= BIT(NPT_ARM64_SP);
	instruction->stack_change = (int32_t)bytes;
}

static void write_stack(struct npt_instruction *instruction)
{
	instruction->writes |= BIT(NPT_ARM64_SP);
	instruction->stack_known = false;
}

static void read_immediate_group(uint32_t word, struct npt_instruction *instruction)
{
	uint32_t destination = field(word, 0, 5), source = field(word, 5, 5);
	uint32_t group = field(word, 23, 3), kind = field(word, 29, 2);
	bool sets_flags = kind & 1;
	int64_t amount;

	if (group < 2) {
		instruction->uprobe = NPT_UPROBE_ADDRESS;
		write_register(instruction, destination);
	} else if (group == 2 && !sets_flags && destination == NPT_ARM64_SP) {
		amount = (int64_t)field(word, 10, 12) << (field(word, 22, 1) * 12);
		write_stack(instruction);
		if (source == NPT_ARM64_SP && word >> 31) {
			instruction->stack_known = true;
			change_stack(instruction, kind & 2 ? -amount : amount);
		}
	} else if ((group == 3 || (group == 4 && kind != 3)) && destination == NPT_ARM64_SP) {
		write_stack(instruction);
	} else if (group == 7 && !is(word, 0x7fa00000, 0x13800000)) {
		make_opaque(instruction);
	} else {
		write_register(instruction, destination);
	}
}

static void read_hint(uint32_t word, struct npt_instruction *instruction)
{
	uint32_t hint = field(word, 5, 7);
	bool is_bti = hint == 32 || hint == 34 || hint == 36 || hint == 38;
	bool is_pac = hint == 7 || hint == 8 || hint == 10 || (hint >= 24 && hint <= 27);

	instruction->uprobe = hint == 0          ? NPT_UPROBE_LONG_NOP
			      : is_bti || is_pac ? NPT_UPROBE_STEPPED
						 : NPT_UPROBE_REFUSED;
	/* pac* and aut* sign and check x17 or x30; chkfeat answers in x16. */
	if (hint == 7 || (hint >= 24 && hint <= 31))
		instruction->writes = BIT(NPT_ARM64_LINK);
	else if (hint >= 8 && hint <= 15)
		instruction->writes = BIT(17);
	else if (hint >= 39)
		make_opaque(instruction);
}

static void read_system(uint32_t word, struct npt_instruction *instruction)
{
	if (is(word, 0xfffff01f, 0xd503201f)) {
		read_hint(word, instruction);
	} else if (is(word, 0xfffff01f, 0xd503301f)) { /* barriers */
		instruction->uprobe = NPT_UPROBE_STEPPED;
	} else if (is(word, 0xfff00000, 0xd5300000)) { /* mrs */
		write_register(instruction, field(word, 0, 5));
	} else {
		make_opaque(instruction);
		if (is(word, 0xfff00000, 0xd5100000) || is(word, 0xfff8f01f, 0xd500401f)) /* msr */
			instruction->uprobe = NPT_UPROBE_REFUSED;
	}
}

static void read_indirect(uint32_t word, struct npt_instruction *instruction)
{
	static const struct {
		uint32_t mask, value;
		enum npt_flow flow;
		enum npt_uprobe uprobe;
	} kinds[] = {
		{ 0xfffffc1f, 0xd61f0000, NPT_FLOW_JUMP_INDIRECT, NPT_UPROBE_JUMP },
		{ 0xfffffc1f, 0xd63f0000, NPT_FLOW_CALL_INDIRECT, NPT_UPROBE_CALL },
		{ 0xfffffc1f, 0xd65f0000, NPT_FLOW_RETURN, NPT_UPROBE_JUMP },
		{ 0xfefff800, 0xd61f0800, NPT_FLOW_JUMP_INDIRECT, NPT_UPROBE_REFUSED },
		{ 0xfefff800, 0xd63f0800, NPT_FLOW_CALL_INDIRECT, NPT_UPROBE_REFUSED },
		{ 0xfffffbff, 0xd65f0bff, NPT_FLOW_RETURN, NPT_UPROBE_REFUSED },
	};

	make_opaque(instruction);
	instruction->flow = NPT_FLOW_TRAP;
	instruction->uprobe = NPT_UPROBE_REFUSED;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!is(word, kinds[i].mask, kinds[i].value))
			continue;
		instruction->opaque = false;
		instruction->flow = kinds[i].flow;
		instruction->uprobe = kinds[i].uprobe;
		return;
	}
}

static void go_to(struct npt_instruction *instruction, enum npt_flow flow, int64_t words)
{
	instruction->flow = flow;
	instruction->target = words * BYTES;
	instruction->uprobe = flow == NPT_FLOW_CALL ? NPT_UPROBE_CALL : NPT_UPROBE_JUMP;
	if (flow == NPT_FLOW_CALL)
		instruction->writes = NPT_REGISTERS_ALL;
}

static void read_branch_group(uint32_t word, struct npt_instruction *instruction)
{
	if (is(word, 0x7c000000, 0x14000000)) {
		go_to(instruction, word >> 31 ? NPT_FLOW_CALL : NPT_FLOW_JUMP,
		      signed_field(word, 0, 26));
	} else if (is(word, 0xff000000, 0x54000000)) {
		go_to(instruction, NPT_FLOW_BRANCH, signed_field(word, 5, 19));
		if (word & BIT(4)) /* bc.cond */
			instruction->uprobe = NPT_UPROBE_REFUSED;
	} else if (is(word, 0x7e000000, 0x34000000)) {
		go_to(instruction, NPT_FLOW_BRANCH, signed_field(word, 5, 19));
	} else if (is(word, 0x7e000000, 0x36000000)) {
		go_to(instruction, NPT_FLOW_BRANCH, signed_field(word, 5, 14));
	} else if (is(word, 0x7e000000, 0x74000000)) { /* compare and branch, 9.6 */
		go_to(instruction, NPT_FLOW_BRANCH, signed_field(word, 5, 9));
		instruction->uprobe = NPT_UPROBE_REFUSED;
	} else if (is(word, 0xff000000, 0xd4000000)) {
		make_opaque(instruction);
		instruction->uprobe = NPT_UPROBE_REFUSED;
		if (!is(word, 0xffe0001f, 0xd4000001)) /* svc */
			instruction->flow = NPT_FLOW_TRAP;
	} else if (is(word, 0xffc00000, 0xd5000000)) {
		read_system(word, instruction);
	} else if (is(word, 0xfe000000, 0xd6000000)) {
		read_indirect(word, instruction);
	} else {
		make_opaque(instruction);
		instruction->uprobe = NPT_UPROBE_REFUSED;
	}
}

static enum npt_store store_at(uint32_t base)
{
	return base == NPT_ARM64_SP ? NPT_STORE_FRAME : NPT_STORE_MEMORY;
}

static void move_base(struct npt_instruction *instruction, uint32_t base, int64_t bytes)
{
	if (base == NPT_ARM64_SP)
		change_stack(instruction, bytes);
	else
		instruction->writes |= BIT(base);
}

static void read_pair(uint32_t word, struct npt_instruction *instruction)
{
	bool vector = word & BIT(26), load = word & BIT(22), moves = word & BIT(23);
	uint32_t size = field(word, 30, 2), base = field(word, 5, 5);
	unsigned shift = vector ? 2 + size : size == 2 ? 3 : 2;

	if (size == 3 || (!vector && size == 1 && !load)) { /* nothing; tags */
		make_opaque(instruction);
		return;
	}
	if (!load)
		instruction->store = store_at(base);
	if (load && !vector) {
		write_register(instruction, field(word, 0, 5));
		write_register(instruction, field(word, 10, 5));
	}
	if (moves)
		move_base(instruction, base, signed_field(word, 15, 7) * ((int64_t)1 << shift));
}

static void read_single(uint32_t word, struct npt_instruction *instruction)
{
	bool vector = word & BIT(26), scaled = word & BIT(24);
	uint32_t size = field(word, 30, 2), kind = field(word, 22, 2), base = field(word, 5, 5);
	uint32_t mode = field(word, 10, 2);
	bool load = vector ? kind & 1 : kind != 0;
	bool prefetch = !vector && size == 3 && kind >= 2;

	if (!scaled && (word & BIT(21)) && mode != 2) { /* atomics, loads with authentication */
		make_opaque(instruction);
		return;
	}
	if (!load)
		instruction->store = store_at(base);
	else if (!vector && !prefetch)
		write_register(instruction, field(word, 0, 5));
	if (!scaled && !(word & BIT(21)) && (mode & 1)) /* before or after */
		move_base(instruction, base, signed_field(word, 12, 9));
}

static void read_memory_group(uint32_t word, struct npt_instruction *instruction)
{
	if (is(word, 0x3fe00000, 0x08c00000) || is(word, 0x3ffffc00, 0x38bfc000)) {
		write_register(instruction, field(word, 0, 5)); /* ldar, ldapr */
	} else if (is(word, 0x3fe00000, 0x08800000)) {          /* stlr */
		instruction->store = store_at(field(word, 5, 5));
	} else if (is(word, 0x3b000000, 0x18000000)) { /* a literal */
		instruction->uprobe = NPT_UPROBE_REFUSED;
		if (!(word & BIT(26)) && field(word, 30, 2) != 3)
			write_register(instruction, field(word, 0, 5));
	} else if (is(word, 0x3a000000, 0x28000000)) {
		read_pair(word, instruction);
	} else if (is(word, 0x3a000000, 0x38000000)) {
		read_single(word, instruction);
	} else {
		make_opaque(instruction);
		if (is(word, 0x3f800000, 0x08000000))
			instruction->uprobe = NPT_UPROBE_REFUSED; /* exclusive */
	}
}

static void read_register_group(uint32_t word, struct npt_instruction *instruction)
{
	bool extended = is(word, 0x3f200000, 0x0b200000); /* add, sub: to the stack pointer too */

	if (extended && field(word, 0, 5) == NPT_ARM64_SP)
		write_stack(instruction);
	else if (!is(word, 0x1fe00000, 0x1a400000)) /* ccmp, ccmn write flags only */
		write_register(instruction, field(word, 0, 5));
}

/* Few of them write a general register: umov, smov, and conversions to integers. */
static void read_vector_group(uint32_t word, struct npt_instruction *instruction)
{
	bool moves = is(word, 0xbfe0fc00, 0x0e003c00) || is(word, 0xbfe0fc00, 0x0e002c00);
	bool converts = is(word, 0x5f20fc00, 0x1e200000) || is(word, 0x5f200000, 0x1e000000);

	if (moves || converts)
		write_register(instruction, field(word, 0, 5));
}

int npt_instruction_decode_arm64(const uint8_t *code, size_t size_bytes,
				 struct npt_instruction *instruction_ret)
{
	struct npt_instruction instruction = {
		.length = BYTES,
		.uprobe = NPT_UPROBE_STEPPED,
		.stack_known = true,
	};
	uint32_t word, group;

	if (size_bytes < BYTES)
		return -EBADMSG;
	word = (uint32_t)code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 |
	       (uint32_t)code[3] << 24;
	group = field(word, 25, 4);
	if (group == 1 || group == 3 || (group == 0 && !(word >> 31))) /* nothing, or udf */
		return -EBADMSG;
	if (group == 0 || group == 2) /* SME, SVE */
		make_opaque(&instruction);
	else if ((group & 14) == 8)
		read_immediate_group(word, &instruction);
	else if ((group & 14) == 10)
		read_branch_group(word, &instruction);
	else if ((group & 5) == 4)
		read_memory_group(word, &instruction);
	else if ((group & 7) == 5)
		read_register_group(word, &instruction);
	else
		read_vector_group(word, &instruction);
	*instruction_ret = instruction;
	return 0;
}
