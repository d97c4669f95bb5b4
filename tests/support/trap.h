/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Trap - what a uprobe and a return probe would see, in this process's own code and without the
 * kernel's: an int3 in the place of an instruction, which is then executed by a single step. The
 * caller's address is taken from the stack pointer there, as the kernel does. x86-64 only, one
 * thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NPT_TEST_TRAPS_MAX 16

struct npt_test_trap {
	uint8_t *at;
	bool result;      /* catch the return, too: of the outermost call of all traps */
	bool returns_one; /* the bytes are where the fourth or fifth argument says */
	/* What was seen. */
	unsigned hits, returns;
	uint64_t arguments[5];
	uint64_t returned;
	uint64_t bytes; /* if returns_one, and it returned 1 */
};

/* false: not on this machine. The traps are borrowed until npt_test_traps_end(). */
bool npt_test_traps_begin(struct npt_test_trap *traps, size_t count);
void npt_test_traps_end(void);
