/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/trap.h"

#if defined(__x86_64__)
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define INT3         0xcc
#define SINGLE_STEP  0x100 /* of the flags */
#define SMALL_NUMBER 4096  /* flags, where others have an address */

static struct npt_test_trap *all;
static size_t all_count;
static uint8_t saved[NPT_TEST_TRAPS_MAX];
static size_t stepping = NPT_TEST_TRAPS_MAX; /* whose instruction is under way */
static struct {
	struct npt_test_trap *trap; /* NULL: none is awaited */
	uint8_t *at;
	uint8_t saved;
} awaited;
static struct sigaction before;

static uint8_t put(uint8_t *at, uint8_t byte)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *begin = at - (uintptr_t)at % page;
	uint8_t old = *at;

	if (mprotect(begin, page, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
		abort();
	*at = byte;
	return old;
}

static void returned(greg_t *registers)
{
	struct npt_test_trap *trap = awaited.trap;
	uint64_t bytes_at =
		trap->arguments[3] >= SMALL_NUMBER ? trap->arguments[3] : trap->arguments[4];

	trap->returns++;
	trap->returned = (uint64_t)registers[REG_RAX];
	if (trap->returns_one && (uint32_t)trap->returned == 1)
		memcpy(&trap->bytes, (const void *)(uintptr_t)bytes_at, sizeof(trap->bytes));
	(void)put(awaited.at, awaited.saved);
	registers[REG_RIP] = (greg_t)(uintptr_t)awaited.at;
	awaited.trap = NULL;
}

static void entered(size_t number, greg_t *registers)
{
	static const int names[] = { REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_R8 };
	struct npt_test_trap *trap = &all[number];

	trap->hits++;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		trap->arguments[i] = (uint64_t)registers[names[i]];
	if (trap->result && !awaited.trap) {
		awaited.trap = trap;
		memcpy(&awaited.at, (const void *)(uintptr_t)registers[REG_RSP],
		       sizeof(awaited.at));
		awaited.saved = put(awaited.at, INT3);
	}
	(void)put(trap->at, saved[number]);
	registers[REG_RIP] = (greg_t)(uintptr_t)trap->at;
	registers[REG_EFL] |= SINGLE_STEP;
	stepping = number;
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
	const uint8_t *at = (const uint8_t *)(uintptr_t)registers[REG_RIP] - 1;

	(void)number;
	(void)info;
	if (stepping < NPT_TEST_TRAPS_MAX) {
		(void)put(all[stepping].at, INT3);
		registers[REG_EFL] &= ~SINGLE_STEP;
		stepping = NPT_TEST_TRAPS_MAX;
		return;
	}
	if (awaited.trap && at == awaited.at) {
		returned(registers);
		return;
	}
	for (size_t i = 0; i < all_count; i++)
		if (all[i].at == at) {
			entered(i, registers);
			return;
		}
	abort();
}

bool npt_test_traps_begin(struct npt_test_trap *traps, size_t count)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };

	if (count > NPT_TEST_TRAPS_MAX)
		abort();
	all = traps;
	all_count = count;
	action.sa_sigaction = on_trap;
	if (sigaction(SIGTRAP, &action, &before) < 0)
		abort();
	for (size_t i = 0; i < count; i++)
		saved[i] = put(traps[i].at, INT3);
	return true;
}

void npt_test_traps_end(void)
{
	for (size_t i = 0; i < all_count; i++)
		(void)put(all[i].at, saved[i]);
	all_count = 0;
	(void)sigaction(SIGTRAP, &before, NULL);
}
#else
bool npt_test_traps_begin(struct npt_test_trap *traps, size_t count)
{
	(void)traps;
	(void)count;
	return false;
}

void npt_test_traps_end(void)
{
}
#endif
