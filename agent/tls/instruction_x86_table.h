/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The opcode maps of x86-64 for instruction_x86.c: one letter for each opcode, by what follows it
 * and what it writes. A dot is no instruction in 64-bit mode, a prefix, or one that no compiler
 * makes. Groups that are told apart by ModRM have the letter of most of them and are refined in
 * the code.
 */
#include "agent/tls/instruction_x86.h"

/* clang-format off */
static const struct npt_x86_shape shapes[128] = {
	['n'] = { 0, 0 },
	['?'] = { 0, WRITES_ANY },
	['A'] = { 0, WRITES_AX },
	['D'] = { 0, WRITES_AX | WRITES_DX },
	['o'] = { 0, WRITES_OPCODE },
	['x'] = { 0, WRITES_OPCODE | WRITES_AX },
	['i'] = { PART_BYTE, 0 },
	['I'] = { PART_BYTE, WRITES_ANY },
	['a'] = { PART_BYTE, WRITES_AX },
	['k'] = { PART_BYTE, WRITES_OPCODE },
	['w'] = { PART_WORD, 0 },
	['e'] = { PART_WORD | PART_BYTE, WRITES_ANY },
	['j'] = { PART_OPERAND, 0 },
	['z'] = { PART_OPERAND, WRITES_AX },
	['v'] = { PART_FULL, WRITES_OPCODE },
	['O'] = { PART_ADDRESS, WRITES_AX },
	['S'] = { PART_ADDRESS, WRITES_FOREIGN },
	['J'] = { PART_NEAR, 0 },
	['L'] = { PART_FAR, 0 },
	['m'] = { PART_MODRM, 0 },
	['r'] = { PART_MODRM, WRITES_RM },
	['g'] = { PART_MODRM, WRITES_REG },
	['b'] = { PART_MODRM, WRITES_RM | WRITES_REG },
	['c'] = { PART_MODRM, WRITES_RM | WRITES_AX },
	['q'] = { PART_MODRM, WRITES_MEMORY },
	['F'] = { PART_MODRM, WRITES_ANY },
	['M'] = { PART_MODRM | PART_BYTE, 0 },
	['R'] = { PART_MODRM | PART_BYTE, WRITES_RM },
	['G'] = { PART_MODRM | PART_BYTE, WRITES_REG },
	['E'] = { PART_MODRM | PART_BYTE, WRITES_ANY },
	['Z'] = { PART_MODRM | PART_OPERAND, WRITES_RM },
	['Q'] = { PART_MODRM | PART_OPERAND, WRITES_REG },
};

static const char one_byte[] =
	/*       0123456789abcdef */
	/* 0 */ "rrggaz..rrggaz.."
	/* 1 */ "rrggaz..rrggaz.."
	/* 2 */ "rrggaz..rrggaz.."
	/* 3 */ "rrggaz..mmmmij.."
	/* 4 */ "................"
	/* 5 */ "nnnnnnnnoooooooo"
	/* 6 */ "...g....jQiG????"
	/* 7 */ "JJJJJJJJJJJJJJJJ"
	/* 8 */ "RZ.RmmbbrrggrgmF"
	/* 9 */ "nxxxxxxxAD.nn?nA"
	/* a */ "OOSS????ij??????"
	/* b */ "kkkkkkkkvvvvvvvv"
	/* c */ "RRwn..RZe?wn?I.?"
	/* d */ "rrrr...AFFFFFFFF"
	/* e */ "JJJJIIIILL.J????"
	/* f */ ".?..?nrrnn??nnrr";

/* After 0f. */
static const char two_bytes[] =
	/*       0123456789abcdef */
	/* 0 */ "FFgg.?????.?.mnM"
	/* 1 */ "mqmqmmmqmmFFmmmm"
	/* 2 */ "........mqmqggmm"
	/* 3 */ "?D????.?........"
	/* 4 */ "gggggggggggggggg"
	/* 5 */ "gmmmmmmmmmmmmmmm"
	/* 6 */ "mmmmmmmmmmmmmmmm"
	/* 7 */ "MMMMmmmn....mmrq"
	/* 8 */ "LLLLLLLLLLLLLLLL"
	/* 9 */ "rrrrrrrrrrrrrrrr"
	/* a */ "???mRrFF???rRrFg"
	/* b */ "ccFrFFgggFRrgggg"
	/* c */ "bbMrMGMFoooooooo"
	/* d */ "mmmmmmqgmmmmmmmm"
	/* e */ "mmmmmmmqmmmmmmmm"
	/* f */ "mmmmmmmFmmmmmmmF";

/* After 0f 38. */
static const char three_bytes_38[] =
	/*       0123456789abcdef */
	/* 0 */ "mmmmmmmmmmmm...."
	/* 1 */ "m...mm.m....mmm."
	/* 2 */ "mmmmmm..mmmm...."
	/* 3 */ "mmmmmm.mmmmmmmmm"
	/* 4 */ "mm.............."
	/* 5 */ "................"
	/* 6 */ "................"
	/* 7 */ "................"
	/* 8 */ "FFF............."
	/* 9 */ "................"
	/* a */ "................"
	/* b */ "................"
	/* c */ "........mmmmmm.m"
	/* d */ "........F..mmmmm"
	/* e */ "................"
	/* f */ "FF...FF.FFFFF...";

/* After 0f 3a. */
static const char three_bytes_3a[] =
	/*       0123456789abcdef */
	/* 0 */ "........MMMMMMMM"
	/* 1 */ "....RRRR........"
	/* 2 */ "MMM............."
	/* 3 */ "................"
	/* 4 */ "MMM.M..........."
	/* 5 */ "................"
	/* 6 */ "EEEE............"
	/* 7 */ "................"
	/* 8 */ "................"
	/* 9 */ "................"
	/* a */ "................"
	/* b */ "................"
	/* c */ "............M.MM"
	/* d */ "...............M"
	/* e */ "................"
	/* f */ "E...............";
/* clang-format on */

_Static_assert(sizeof(one_byte) == 257 && sizeof(two_bytes) == 257, "a letter for each opcode");
_Static_assert(sizeof(three_bytes_38) == 257 && sizeof(three_bytes_3a) == 257, "as above");
