/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uprobes on functions of this very program, with a program of our own that counts: whether they
 * are hit where we say, with the arguments as they were, by whom, and no longer.
 */
#include "agent/probe/uprobe_multi.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "agent/tls/site.h"
#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "tests/support/own_offset.h"
#include "tests/support/test.h"

#define SELF   "/proc/self/exe"
#define CALLS  10
#define DIGITS 4 /* of the numbers that are passed */

#ifdef __x86_64__
#define ARGUMENT     112 /* rdi in struct pt_regs */
#define RESULT       80  /* rax */
#define ARCHITECTURE NPT_ARCHITECTURE_X86_64
#else
#define ARGUMENT     0 /* x0 */
#define RESULT       0
#define ARCHITECTURE NPT_ARCHITECTURE_ARM64
#endif

struct seen {
	uint64_t hits;
	uint64_t cookie;
	uint64_t argument;
	uint64_t result; /* what the function returns, where it has */
};

struct counter {
	int map_fd;
	int program_fd;
};

/* Compiled as it is: a function with a frame, a call and branches. */
__attribute__((noinline, used)) static uint64_t probed(uint64_t number)
{
	static volatile uint64_t calls;
	char text[32];

	calls++;
	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	return strlen(text) + (calls == 0);
}

#ifdef __x86_64__
uint64_t locked(uint64_t number);
__asm__(".pushsection .text\n.balign 64\n.type locked, @function\nlocked:\n"
	"lock; addl $0, -8(%rsp)\nmov %rdi, %rax\nret\n.size locked, . - locked\n.popsection");
#endif

#define INSTRUCTION(operation, to, from, offset, number)                                           \
	{                                                                                          \
		.code = (operation), .dst_reg = (to), .src_reg = (from), .off = (offset),          \
		.imm = (number)                                                                    \
	}

/* Counts hits and keeps cookie and argument of the last. */
static struct counter load(uint32_t attach_type)
{
	struct counter counter;
	const struct bpf_prog_load_opts options = {
		.sz = sizeof(options),
		.expected_attach_type = (enum bpf_attach_type)attach_type,
	};

	counter.map_fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "seen", 4, sizeof(struct seen), 1, NULL);
	const struct bpf_insn program[] = {
		INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
		INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_attach_cookie),
		INSTRUCTION(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_VALUE, 0, counter.map_fd),
		INSTRUCTION(0, 0, 0, 0, 0),
		INSTRUCTION(BPF_STX | BPF_MEM | BPF_DW, 1, 0, 8, 0),
		INSTRUCTION(BPF_LDX | BPF_MEM | BPF_DW, 2, 6, ARGUMENT, 0),
		INSTRUCTION(BPF_STX | BPF_MEM | BPF_DW, 1, 2, 16, 0),
		INSTRUCTION(BPF_LDX | BPF_MEM | BPF_DW, 2, 6, RESULT, 0),
		INSTRUCTION(BPF_STX | BPF_MEM | BPF_DW, 1, 2, 24, 0),
		INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 1),
		INSTRUCTION(BPF_STX | BPF_ATOMIC | BPF_DW, 1, 2, 0, BPF_ADD),
		INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
		INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	counter.program_fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "count", "GPL", program,
					   NPT_ARRAY_SIZE(program), &options);
	NPT_CHECK(counter.map_fd >= 0 && counter.program_fd >= 0);
	return counter;
}

static void unload(struct counter *counter)
{
	(void)close(counter->program_fd);
	(void)close(counter->map_fd);
}

static struct seen look(const struct counter *counter)
{
	struct seen seen = { 0 };
	uint32_t key = 0;

	NPT_CHECK(bpf_map_lookup_elem(counter->map_fd, &key, &seen) == 0);
	return seen;
}

static void call(void)
{
	for (uint64_t i = 0; i < CALLS; i++)
		NPT_CHECK_INT(probed(1000 + i), DIGITS);
}

static bool is_possible(void)
{
	if (geteuid() != 0)
		npt_test_skip("needs root: loads BPF programs");
	else if (!npt_uprobe_multi_is_there())
		npt_test_skip("the kernel has no uprobe.multi (6.6+)");
	else
		return true;
	return false;
}

/* Attached at the entry; expected is the number of hits of CALLS calls. */
static void check_hits(uint32_t attach_type, pid_t pid, bool is_return, uint64_t expected)
{
	const uint64_t offset = npt_test_own_offset((uintptr_t)probed), cookie = 4711;
	struct counter counter = load(attach_type);
	struct npt_error err = NPT_ERROR_NONE;
	int link = attach_type == NPT_ATTACH_UPROBE_SESSION
			   ? npt_uprobe_session_attach(counter.program_fd, SELF, &offset, &cookie,
						       1, pid, &err)
			   : npt_uprobe_multi_attach(counter.program_fd, SELF, &offset, &cookie, 1,
						     pid, is_return, &err);

	NPT_CHECK_STR(err.text, "");
	NPT_CHECK(link >= 0);
	call();
	NPT_CHECK_INT(look(&counter).hits, expected);
	NPT_CHECK_INT(look(&counter).cookie, expected ? cookie : 0);
	if (expected == CALLS && !is_return)
		NPT_CHECK_INT(look(&counter).argument, 1000 + CALLS - 1);
	if (is_return || expected == 2 * CALLS)
		NPT_CHECK_INT(look(&counter).result, DIGITS);
	NPT_CHECK(close(link) == 0);
	call();
	NPT_CHECK_INT(look(&counter).hits, expected);
	unload(&counter);
}

static void is_hit_until_its_link_is_closed(void)
{
	if (is_possible())
		check_hits(NPT_ATTACH_UPROBE_MULTI, 0, false, CALLS);
}

static void is_hit_when_the_function_returns(void)
{
	if (is_possible())
		check_hits(NPT_ATTACH_UPROBE_MULTI, 0, true, CALLS);
}

static void is_hit_by_its_process_only(void)
{
	pid_t child;

	if (!is_possible())
		return;
	check_hits(NPT_ATTACH_UPROBE_MULTI, getpid(), false, CALLS);
	child = fork();
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	check_hits(NPT_ATTACH_UPROBE_MULTI, child, false, 0);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static void a_session_is_hit_at_both_ends(void)
{
	if (!is_possible())
		return;
	if (!npt_uprobe_session_is_there())
		npt_test_skip("the kernel has no uprobe.session (6.13+)");
	else
		check_hits(NPT_ATTACH_UPROBE_SESSION, getpid(), false, 2 * CALLS);
}

/* The chosen place of a function as the compiler has made it, beside its entry. */
static void a_chosen_site_sees_each_call_and_its_argument(void)
{
	const uint8_t *code = (const uint8_t *)(uintptr_t)probed;
	const struct npt_site_options options = { .architecture = ARCHITECTURE, .arguments = 1 };
	struct npt_error err = NPT_ERROR_NONE;
	struct counter counter;
	struct npt_site site;
	uint64_t offsets[1];
	int link;

	if (!is_possible())
		return;
	NPT_CHECK_INT(npt_site_choose(code, 64, &options, &site, &err), 0);
	NPT_CHECK(!site.repeats);
	counter = load(NPT_ATTACH_UPROBE_MULTI);
	offsets[0] = npt_test_own_offset((uintptr_t)code) + site.offset;
	link = npt_uprobe_multi_attach(counter.program_fd, SELF, offsets, NULL, 1, getpid(), false,
				       &err);
	NPT_CHECK(link >= 0);
	call();
	NPT_CHECK_INT(look(&counter).hits, CALLS);
	NPT_CHECK_INT(look(&counter).argument, 1000 + CALLS - 1);
	(void)close(link);
	unload(&counter);
}

static int refused(const char *path, uint64_t offset, size_t count, pid_t pid, const char *words)
{
	struct counter counter = load(NPT_ATTACH_UPROBE_MULTI);
	struct npt_error err = NPT_ERROR_NONE;
	int link = npt_uprobe_multi_attach(counter.program_fd, path, &offset, NULL, count, pid,
					   false, &err);

	if (!NPT_CHECK(strstr(err.text, words) != NULL))
		printf("  %s\n", err.text);
	unload(&counter);
	return link;
}

static void says_why_it_cannot_attach(void)
{
	uint64_t offset;
	pid_t child;

	if (!is_possible())
		return;
	offset = npt_test_own_offset((uintptr_t)probed);
	NPT_CHECK_INT(refused("/nowhere", offset, 1, 0, "/nowhere: No such file"), -ENOENT);
	NPT_CHECK_INT(refused("/", offset, 1, 0, "/: "), -EBADF);
	NPT_CHECK_INT(refused(SELF, UINT64_MAX / 2, 1, 0, "Invalid argument"), -EINVAL);
	NPT_CHECK_INT(refused(SELF, offset, 0, 0, "at most"), -EINVAL);
	NPT_CHECK_INT(refused(SELF, offset, NPT_UPROBES_MAX + 1, 0, "at most"), -EINVAL);
	child = fork();
	if (child == 0)
		_exit(0);
	(void)waitpid(child, NULL, 0);
	NPT_CHECK_INT(refused(SELF, offset, 1, child, "No such process"), -ESRCH);
#ifdef __x86_64__
	NPT_CHECK_INT(locked(5), 5);
	NPT_CHECK_INT(refused(SELF, npt_test_own_offset((uintptr_t)locked), 1, 0,
			      "refuses an instruction"),
		      -ENOTSUP);
#endif
}

static const struct npt_test tests[] = {
	NPT_TEST(is_hit_until_its_link_is_closed),
	NPT_TEST(is_hit_when_the_function_returns),
	NPT_TEST(is_hit_by_its_process_only),
	NPT_TEST(a_session_is_hit_at_both_ends),
	NPT_TEST(a_chosen_site_sees_each_call_and_its_argument),
	NPT_TEST(says_why_it_cannot_attach),
};
NPT_TEST_MAIN(tests)
