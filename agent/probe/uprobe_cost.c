/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/probe/uprobe_cost.h"

#include <link.h>
#include <unistd.h>

#include "agent/probe/uprobe_multi.h"
#include "lib/core/cleanup.h"
#include "lib/core/clock.h"

#define BATCHES 5
#define CALLS   100

typedef int call(const void *session, const void *buffer, int size);

/* They return 1 byte, like a TLS library's call that moved one. */
int npt_call_emulated(const void *session, const void *buffer, int size);
int npt_call_stepped(const void *session, const void *buffer, int size);

#if defined(__x86_64__)
#define EMULATED "push %rbp\n\tpop %rbp\n\t"
#define STEPPED  "mov %rdi, %rcx\n\t"
#define RETURN_1 "mov $1, %eax\n\tret\n"
#elif defined(__aarch64__)
#define EMULATED "b 0f\n0:\t"
#define STEPPED  "mov x3, x0\n\t"
#define RETURN_1 "mov w0, #1\n\tret\n"
#else
#error "which instructions does the kernel emulate on this machine?"
#endif

__asm__(".pushsection .text\n"
	".globl npt_call_emulated, npt_call_stepped\n"
	".type npt_call_emulated, %function\n"
	".type npt_call_stepped, %function\n"
	".balign 16\n"
	"npt_call_emulated:\n\t" EMULATED RETURN_1 ".size npt_call_emulated, .-npt_call_emulated\n"
	".balign 16\n"
	"npt_call_stepped:\n\t" STEPPED RETURN_1 ".size npt_call_stepped, .-npt_call_stepped\n"
	".popsection\n");

struct place {
	uintptr_t address;
	uint64_t offset; /* in this program's file; 0: not found */
};

/* The first object is the program itself. */
static int find_place(struct dl_phdr_info *info, size_t size, void *context)
{
	struct place *place = context;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && place->address >= begin &&
		    place->address - begin < segment->p_filesz)
			place->offset = place->address - begin + segment->p_offset;
	}
	return 1;
}

static uint64_t best_ns(call *function)
{
	uint64_t best = UINT64_MAX;
	char byte = 0;

	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t begin = npt_clock_monotonic_ns(), spent;

		for (int i = 0; i < CALLS; i++)
			(void)function(&byte, &byte, 1);
		spent = npt_clock_monotonic_ns() - begin;
		best = spent < best ? spent : best;
	}
	return best / CALLS;
}

static uint32_t measure(const struct npt_probe *probe, call *function)
{
	struct place place = { .address = (uintptr_t)function };
	uint64_t base = best_ns(function), with, cookie = NPT_TLS_COOKIE(NPT_TLS_RETURNS_BYTES, 0);
	int begin = npt_probe_tls_program(probe, NPT_TLS_PROGRAM_BEGIN);
	int end = npt_probe_tls_program(probe, NPT_TLS_PROGRAM_END);
	npt_auto_close int link = -1;
	npt_auto_close int end_link = -1;

	(void)dl_iterate_phdr(find_place, &place);
	if (!place.offset)
		return 0;
	end_link = npt_uprobe_multi_attach(end, "/proc/self/exe", &place.offset, &cookie, 1,
					   getpid(), true, NULL);
	link = npt_uprobe_multi_attach(begin, "/proc/self/exe", &place.offset, &cookie, 1, getpid(),
				       false, NULL);
	if (link < 0 || end_link < 0)
		return 0;
	with = best_ns(function);
	return with > base ? (uint32_t)(with - base) : 0;
}

struct npt_uprobe_cost npt_uprobe_cost_measure(const struct npt_probe *probe)
{
	return (struct npt_uprobe_cost){
		.call_ns = measure(probe, npt_call_emulated),
		.stepped_call_ns = measure(probe, npt_call_stepped),
	};
}
