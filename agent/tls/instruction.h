/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Instruction - what one machine instruction of another program's code does, as far as the choice
 * of a probe site asks: its length, where control goes, which registers it may write, and what the
 * kernel's uprobes make of it. For x86-64 and arm64 both, on either machine.
 *
 * The bytes are another program's, so all is bounded; what is not known is refused, or said to be
 * opaque. Plain values, no state.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum npt_architecture {
	NPT_ARCHITECTURE_X86_64,
	NPT_ARCHITECTURE_ARM64,
};

/* Where control goes after it. */
enum npt_flow {
	NPT_FLOW_NEXT,
	NPT_FLOW_BRANCH,        /* to the target or on */
	NPT_FLOW_JUMP,          /* to the target */
	NPT_FLOW_CALL,          /* to the target, then on */
	NPT_FLOW_JUMP_INDIRECT, /* who knows where */
	NPT_FLOW_CALL_INDIRECT,
	NPT_FLOW_RETURN,
	NPT_FLOW_TRAP, /* never on: ud2, int3, hlt, brk */
};

/* What a uprobe on it costs; only what lies before NPT_UPROBE_PUSH traps a second time. */
enum npt_uprobe {
	NPT_UPROBE_REFUSED,  /* the kernel refuses it, or does it wrong */
	NPT_UPROBE_STEPPED,  /* runs in a slot of its own, by a single step */
	NPT_UPROBE_LONG_NOP, /* stepped by older kernels, emulated by newer (see the .c files) */
	NPT_UPROBE_PUSH,     /* emulated, this and all that follow */
	NPT_UPROBE_NOP,
	NPT_UPROBE_JUMP, /* conditional or not */
	NPT_UPROBE_CALL,
	NPT_UPROBE_ADDRESS, /* adr, adrp */
	NPT_UPROBE_COUNT,
};

/* Memory that it writes. */
enum npt_store {
	NPT_STORE_NONE,
	NPT_STORE_FRAME, /* by the stack pointer */
	NPT_STORE_MEMORY,
};

/*
 * A set of general registers is a bit mask by their number in the encoding: rax 0, rcx 1, rdx 2,
 * rbx 3, rsp 4, rbp 5, rsi 6, rdi 7, r8 8 ...; x0 0 ... x30 30, sp 31.
 */
#define NPT_REGISTERS_ALL UINT32_MAX
#define NPT_X86_RSP       4
#define NPT_ARM64_LINK    30
#define NPT_ARM64_SP      31

#define NPT_INSTRUCTION_BYTES_MAX 15

struct npt_instruction {
	uint8_t length; /* bytes */
	enum npt_flow flow;
	enum npt_uprobe uprobe;
	enum npt_store store;
	/*
	 * Not understood, or not to be followed (a system call, a load-exclusive): it may have any
	 * effect, on all registers too. Calls are not opaque, but write all registers.
	 */
	bool opaque;
	bool stack_known;     /* stack_change is what it adds to the stack pointer */
	int32_t stack_change; /* bytes */
	uint32_t writes;      /* registers that it may change */
	int64_t target;       /* of a direct branch, jump or call: bytes from its own begin */
};

/*
 * Reads the instruction at the begin of code. -EBADMSG: size_bytes end within it, or it is no
 * instruction that is known; then the rest of the code cannot be read either.
 */
int npt_instruction_decode(enum npt_architecture architecture, const uint8_t *code,
			   size_t size_bytes, struct npt_instruction *instruction_ret);
int npt_instruction_decode_x86(const uint8_t *code, size_t size_bytes,
			       struct npt_instruction *instruction_ret);
int npt_instruction_decode_arm64(const uint8_t *code, size_t size_bytes,
				 struct npt_instruction *instruction_ret);

/* long_nops: this kernel emulates NPT_UPROBE_LONG_NOP. */
bool npt_uprobe_is_emulated(enum npt_uprobe uprobe, bool long_nops);
/* "push", "stepped" */
const char *npt_uprobe_name(enum npt_uprobe uprobe);
