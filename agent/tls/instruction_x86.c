/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64: prefixes, opcode, ModRM, SIB, displacement, immediate, one after the other; the maps are
 * in instruction_x86_table.h. VEX, EVEX and XOP instructions have their length only and are opaque:
 * nothing of what comes before a good probe site is one of them.
 */
#include "agent/tls/instruction_x86.h"

#include <errno.h>

#include "agent/tls/instruction_x86_table.h"

/* Little-endian and signed; false: the bytes end. */
static bool read_number(struct npt_x86_reader *reader, size_t bytes, int64_t *number_ret)
{
	uint64_t number = 0;

	*number_ret = 0;
	if (bytes == 0)
		return true;
	if (reader->size_bytes - reader->at < bytes)
		return false;
	for (size_t i = 0; i < bytes; i++)
		number |= (uint64_t)reader->code[reader->at + i] << (8 * i);
	if (bytes < 8 && number >> (8 * bytes - 1))
		number -= (uint64_t)1 << (8 * bytes);
	reader->at += bytes;
	*number_ret = (int64_t)number;
	return true;
}

static bool read_byte(struct npt_x86_reader *reader, uint8_t *byte_ret)
{
	if (reader->at >= reader->size_bytes)
		return false;
	*byte_ret = reader->code[reader->at++];
	return true;
}

static bool take_prefix(struct npt_x86_reader *reader, uint8_t byte)
{
	switch (byte) {
	case 0x66:
		reader->short_operand = true;
		return true;
	case 0x67:
		reader->short_address = true;
		return true;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		reader->has_bad_segment = true;
		return true;
	case 0x64:
	case 0x65:
		reader->has_segment = true;
		return true;
	case 0xf0:
		reader->has_lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		reader->repeat = byte;
		return true;
	default:
		return false;
	}
}

/* The first byte of the opcode; a REX that is not the last prefix has no effect: none does that. */
static bool read_prefixes(struct npt_x86_reader *reader, uint8_t *opcode_ret)
{
	uint8_t byte;

	do {
		if (!read_byte(reader, &byte))
			return false;
	} while (take_prefix(reader, byte));
	if ((byte & 0xf0) == 0x40) {
		reader->rex = byte;
		if (!read_byte(reader, &byte) || (byte & 0xf0) == 0x40)
			return false;
	}
	*opcode_ret = byte;
	return true;
}

static bool takes_vector_byte(uint8_t space, uint8_t opcode)
{
	if (space == 3)
		return true;
	return space == 1 && ((opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2 ||
			      (opcode >= 0xc4 && opcode <= 0xc6));
}

/* VEX (c4, c5), EVEX (62), XOP (8f). Which opcodes there are is not asked. */
static bool read_vector(struct npt_x86_reader *reader, uint8_t first)
{
	uint8_t space = 1, payload;
	bool known;

	if (reader->short_operand || reader->repeat || reader->has_lock || reader->rex ||
	    !read_byte(reader, &payload))
		return false;
	if (first != 0xc5) {
		space = first == 0x62 ? payload & 7 : payload & 0x1f;
		known = first == 0x62   ? !(payload & 8) && space && space != 4 && space != 7
			: first == 0x8f ? space >= 8 && space <= 10
					: space >= 1 && space <= 3;
		if (!known || !read_byte(reader, &payload))
			return false;
	}
	if (first == 0x62 && (!(payload & 4) || !read_byte(reader, &payload)))
		return false;
	if (!read_byte(reader, &reader->opcode))
		return false;
	reader->map = MAP_VECTOR;
	reader->shape.writes = WRITES_ANY;
	reader->shape.parts = PART_MODRM;
	if (first != 0x8f && first != 0x62 && space == 1 && reader->opcode == 0x77)
		reader->shape.parts = 0; /* vzeroupper */
	if (first == 0x8f ? space == 8 : takes_vector_byte(space, reader->opcode))
		reader->shape.parts |= PART_BYTE;
	if (first == 0x8f && space == 10) /* always of 32 bits, as there is no prefix 66 */
		reader->shape.parts |= PART_OPERAND;
	return true;
}

static bool starts_vector(const struct npt_x86_reader *reader, uint8_t byte)
{
	if (byte == 0x8f) /* a pop, or XOP by what would be ModRM.reg and the highest bit of rm */
		return reader->at < reader->size_bytes && (reader->code[reader->at] & 0x1f) >= 8;
	return byte == 0xc4 || byte == 0xc5 || byte == 0x62;
}

static bool read_opcode(struct npt_x86_reader *reader)
{
	static const char *const maps[] = { one_byte, two_bytes, three_bytes_38, three_bytes_3a };
	char letter;
	uint8_t byte;

	if (!read_prefixes(reader, &byte))
		return false;
	if (starts_vector(reader, byte))
		return read_vector(reader, byte);
	if (byte == 0x0f) {
		if (!read_byte(reader, &byte))
			return false;
		reader->map = byte == 0x38 ? MAP_38 : byte == 0x3a ? MAP_3A : MAP_TWO;
		if (reader->map != MAP_TWO && !read_byte(reader, &byte))
			return false;
	}
	reader->opcode = byte;
	letter = maps[reader->map][byte];
	reader->shape = shapes[(uint8_t)letter];
	return letter != '.';
}

static bool read_modrm(struct npt_x86_reader *reader)
{
	uint8_t modrm, sib;
	size_t displacement = 0;
	int64_t number = 0;

	if (!read_byte(reader, &modrm))
		return false;
	reader->mod = modrm >> 6;
	reader->reg = (uint8_t)(((modrm >> 3) & 7) | (reader->rex & REX_R ? 8 : 0));
	reader->rm = (uint8_t)((modrm & 7) | (reader->rex & REX_B ? 8 : 0));
	reader->base = reader->rm;
	if (reader->mod == DIRECT)
		return true;
	if ((modrm & 7) == TAKES_SIB) {
		if (!read_byte(reader, &sib))
			return false;
		reader->base = (uint8_t)((sib & 7) | (reader->rex & REX_B ? 8 : 0));
		reader->has_index = ((sib >> 3) & 7) != 4 || (reader->rex & REX_X);
		if (reader->mod == 0 && (sib & 7) == 5)
			displacement = 4;
	}
	if (reader->mod == 1)
		displacement = 1;
	else if (reader->mod == 2 || (reader->mod == 0 && (modrm & 7) == 5))
		displacement = 4;
	if (!read_number(reader, displacement, &number))
		return false;
	reader->displacement = (int32_t)number;
	return true;
}

static bool read_immediate(struct npt_x86_reader *reader)
{
	uint8_t parts = reader->shape.parts;
	bool wide = reader->rex & REX_W;
	size_t bytes = 0;

	/* Groups 3: only test has an immediate. */
	if (reader->map == MAP_ONE && (reader->opcode & 0xfe) == 0xf6 && (reader->reg & 7) < 2)
		parts |= reader->opcode & 1 ? PART_OPERAND : PART_BYTE;
	/* Intel and AMD do not agree on the length of these. */
	if ((parts & (PART_NEAR | PART_FAR)) && reader->short_operand && !wide)
		return false;
	if (parts & (PART_BYTE | PART_NEAR))
		bytes += 1;
	if (parts & PART_WORD)
		bytes += 2;
	if (parts & PART_FAR)
		bytes += 4;
	if (parts & (PART_OPERAND | PART_FULL))
		bytes += reader->short_operand && !wide ? 2 : (parts & PART_FULL) && wide ? 8 : 4;
	if (parts & PART_ADDRESS)
		bytes += reader->short_address ? 4 : 8;
	return read_number(reader, bytes, &reader->immediate);
}

/* Opcodes that are instructions with some values of ModRM only. */
static bool is_in_group(const struct npt_x86_reader *reader)
{
	uint8_t reg = reader->reg & 7;

	if (reader->map == MAP_TWO)
		return reader->opcode != 0xba || reg >= 4;
	if (reader->map != MAP_ONE)
		return true;
	switch (reader->opcode) {
	case 0x8d:
		return reader->mod != DIRECT;
	case 0x8e:
		return reg < 6 && reg != 1;
	case 0x8f:
		return reg == 0;
	case 0xc6:
	case 0xc7: /* beside mov: xabort, xbegin */
		return reg == 0 || (reader->mod == DIRECT && reg == 7 && (reader->rm & 7) == 0);
	case 0xfe:
		return reg < 2;
	case 0xff:
		return reg < 7 && !(reader->mod == DIRECT && (reg == 3 || reg == 5));
	default:
		return true;
	}
}

int npt_instruction_decode_x86(const uint8_t *code, size_t size_bytes,
			       struct npt_instruction *instruction_ret)
{
	struct npt_instruction instruction = { .stack_known = true };
	struct npt_x86_reader reader = { .code = code };

	reader.size_bytes =
		size_bytes < NPT_INSTRUCTION_BYTES_MAX ? size_bytes : NPT_INSTRUCTION_BYTES_MAX;
	if (!read_opcode(&reader) || ((reader.shape.parts & PART_MODRM) && !read_modrm(&reader)) ||
	    !read_immediate(&reader) || !is_in_group(&reader))
		return -EBADMSG;
	instruction.length = (uint8_t)reader.at;
	npt_x86_find_effects(&reader, &instruction);
	*instruction_ret = instruction;
	return 0;
}
