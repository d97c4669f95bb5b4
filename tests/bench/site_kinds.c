/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/site_kinds.h"

#define FUNCTION(name, code)                                                                       \
	void name(void);                                                                           \
	__asm__(".pushsection .text\n.balign 64\n.type " #name ", @function\n" #name ":\n" code    \
		"\n.size " #name ", . - " #name "\n.popsection");

#ifdef __x86_64__
FUNCTION(kind_nop, "nop; ret")
FUNCTION(kind_nop2, ".byte 0x66, 0x90; ret")
FUNCTION(kind_nop3, ".byte 0x0f, 0x1f, 0; ret")
FUNCTION(kind_nop5, ".byte 0x0f, 0x1f, 0x44, 0, 0; ret")
FUNCTION(kind_nop8, ".byte 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0; ret")
FUNCTION(kind_nop9, ".byte 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0; ret")
FUNCTION(kind_nop_segment, ".byte 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0; ret")
FUNCTION(kind_push, "push %rbp; pop %rbp; ret")
FUNCTION(kind_push_new, "push %r12; pop %r12; ret")
FUNCTION(kind_push_rex, ".byte 0x48, 0x55; pop %rbp; ret")
FUNCTION(kind_push_number, "push $1; add $8, %rsp; ret")
FUNCTION(kind_jump, "jmp 1f; 1: ret")
FUNCTION(kind_jump_far, ".byte 0xe9, 1, 0, 0, 0; nop; ret")
FUNCTION(kind_branch, "je 1f; 1: ret")
FUNCTION(kind_branch_far, ".byte 0x0f, 0x84, 1, 0, 0, 0; nop; ret")
FUNCTION(kind_branch_hint, ".byte 0x3e; je 1f; 1: ret")
FUNCTION(kind_call, "call 1f; 1: add $8, %rsp; ret")
FUNCTION(kind_endbr, "endbr64; ret")
FUNCTION(kind_sub, "sub $0x18, %rsp; add $0x18, %rsp; ret")
FUNCTION(kind_mov, "mov %rdi, %rax; ret")
FUNCTION(kind_compare, "cmp 0x10(%rsp), %rsp; ret")
FUNCTION(kind_test, "test %edx, %edx; ret")
FUNCTION(kind_lea, "lea 8(%rip), %rax; ret")
FUNCTION(kind_xor, "xor %eax, %eax; ret")
FUNCTION(kind_ret, "ret")
FUNCTION(kind_pause, "pause; ret")
FUNCTION(kind_lock, "lock; addl $0, -8(%rsp); ret")
FUNCTION(kind_segment, ".byte 0x3e; mov %rdi, %rax; ret")

const struct site_kind site_kinds[] = {
	{ "`push %rbp`", kind_push },
	{ "`push %r12`", kind_push_new },
	{ "`nop`", kind_nop },
	{ "`xchg %ax,%ax` (nop of 2 bytes)", kind_nop2 },
	{ "`nopl` of 3 bytes", kind_nop3 },
	{ "`nopl` of 5 bytes", kind_nop5 },
	{ "`nopl` of 8 bytes", kind_nop8 },
	{ "`nopw` of 9 bytes", kind_nop9 },
	{ "`cs nopw` of 10 bytes", kind_nop_segment },
	{ "`jmp` rel8", kind_jump },
	{ "`jmp` rel32", kind_jump_far },
	{ "`je` rel8", kind_branch },
	{ "`je` rel32", kind_branch_far },
	{ "`je,pt` (prefix 3e)", kind_branch_hint },
	{ "`call` rel32", kind_call },
	{ "`endbr64`", kind_endbr },
	{ "`sub $0x18,%rsp`", kind_sub },
	{ "`mov %rdi,%rax`", kind_mov },
	{ "`cmp 0x10(%rsp),%rsp`", kind_compare },
	{ "`test %edx,%edx`", kind_test },
	{ "`lea 8(%rip),%rax`", kind_lea },
	{ "`xor %eax,%eax`", kind_xor },
	{ "`push $1`", kind_push_number },
	{ "`rex.W push %rbp`", kind_push_rex },
	{ "`ret`", kind_ret },
	{ "`pause`", kind_pause },
	{ "`lock addl`", kind_lock },
	{ "`mov` with prefix 3e", kind_segment },
};
const size_t site_kinds_count = sizeof(site_kinds) / sizeof(site_kinds[0]);
#else
const struct site_kind site_kinds[1];
const size_t site_kinds_count = 0;
#endif
