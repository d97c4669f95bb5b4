/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What instruction_x86.c has read of an instruction, for instruction_x86_effects.c to say what it
 * does. Private to these two.
 */
#include "agent/tls/instruction.h"

enum npt_x86_map { MAP_ONE, MAP_TWO, MAP_38, MAP_3A, MAP_VECTOR };

/* What follows the opcode. */
enum npt_x86_parts {
	PART_MODRM = 1,
	PART_BYTE = 2,     /* immediate of 8 bits */
	PART_WORD = 4,     /* of 16 */
	PART_OPERAND = 8,  /* of 32, with prefix 66 of 16 */
	PART_FULL = 16,    /* as that, but with REX.W of 64 */
	PART_ADDRESS = 32, /* of 64, with prefix 67 of 32 */
	PART_NEAR = 64,    /* displacement of 8 bits, from the end of the instruction */
	PART_FAR = 128,    /* of 32 */
};

/* What it writes. */
enum npt_x86_writes {
	WRITES_RM = 1,     /* the register or the memory that ModRM names */
	WRITES_REG = 2,    /* the register that ModRM names */
	WRITES_OPCODE = 4, /* the register in the opcode */
	WRITES_AX = 8,
	WRITES_DX = 16,
	WRITES_MEMORY = 32,  /* what ModRM names, if it is memory */
	WRITES_FOREIGN = 64, /* memory, by an absolute address */
	WRITES_ANY = 128,
};

struct npt_x86_shape {
	uint8_t parts;
	uint8_t writes;
};

#define REX_B 1
#define REX_X 2
#define REX_R 4
#define REX_W 8

#define DIRECT    3 /* ModRM.mod: a register, no memory */
#define TAKES_SIB 4

struct npt_x86_reader {
	const uint8_t *code;
	size_t size_bytes;
	size_t at;
	bool short_operand; /* 66 */
	bool short_address; /* 67 */
	bool has_lock;
	bool has_bad_segment; /* es, cs, ss, ds: they do nothing, but the kernel minds */
	bool has_segment;     /* fs, gs */
	uint8_t repeat;       /* f2, f3 or 0 */
	uint8_t rex;          /* 0: none */
	enum npt_x86_map map;
	uint8_t opcode;
	struct npt_x86_shape shape;
	uint8_t mod, reg, rm; /* reg and rm with their bit of REX */
	uint8_t base;         /* register of the address, with REX.B; meaningless if direct */
	bool has_index;
	int32_t displacement;
	int64_t immediate;
};

/* All but the length. */
void npt_x86_find_effects(const struct npt_x86_reader *reader, struct npt_instruction *instruction);
