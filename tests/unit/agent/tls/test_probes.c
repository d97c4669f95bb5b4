/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/probes.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/tls/instruction.h"
#include "bpf/measure.h"
#include "lib/core/alloc.h"
#include "tests/support/code.h"
#include "tests/support/elf_image.h"
#include "tests/support/test.h"

/* A library's functions in an image: each has 0x80 bytes of its code, the last one no name. */
#define FUNCTION_BYTES 0x80U
#define PLACE(number)  (0x800U + FUNCTION_BYTES * (number))
#define COMMON         PLACE(15)
#define DATA           0x1000U
#define FUNCTIONS_MAX  4

struct function {
	const char *name;
	enum npt_tls_role role;
	const char *code; /* C, R, D: distance to COMMON, to the first function, to data */
};

#define READ(hex)                                                                                  \
	{                                                                                          \
		"SSL_read", NPT_TLS_READ, hex                                                      \
	}
#define READ_EX(hex)                                                                               \
	{                                                                                          \
		"SSL_read_ex", NPT_TLS_READ_EX, hex                                                \
	}
#define PEEK(hex)                                                                                  \
	{                                                                                          \
		"SSL_peek", NPT_TLS_PEEK, hex                                                      \
	}
/* sub; test; js; lea rcx; movslq rdx; call */
#define CALLS    "4883ec18 85d2 7810 488d4c2408 4863d2 e8C 4883c418 c3"
#define CALLS_EX "4883ec08 e8C 4883c408 c3"
#define PUSHES   "4157 4156 55 4883ec30 c3"

static void put_code(struct elf_image *image, uint32_t place, const char *code)
{
	char hex[512] = "";
	size_t digits = 0, used = 0;

	for (; *code; code++) {
		uint32_t target = *code == 'C' ? COMMON : *code == 'R' ? PLACE(0) : DATA;
		uint32_t distance = target - (place + (uint32_t)digits / 2 + 4);

		if (*code == ' ')
			continue;
		if (*code < 'A' || *code > 'Z') {
			hex[used++] = *code;
			digits++;
			continue;
		}
		for (uint32_t i = 0; i < 4; i++, distance >>= 8)
			used += (size_t)snprintf(hex + used, sizeof(hex) - used, "%02x",
						 distance & 0xff);
		digits += 8;
	}
	(void)npt_test_code(hex, image->bytes + place, FUNCTION_BYTES);
}

/* Only its own bytes are a function's; the common one has what lies there. */
static void make(const struct function *functions, size_t max, const char *common,
		 struct elf_image *image, struct npt_tls_library *library)
{
	elf_image_init(image);
	*library = (struct npt_tls_library){ .kind = NPT_TLS_OPENSSL, .machine = EM_X86_64 };
	for (size_t i = 0; i < max && functions[i].name; i++) {
		struct npt_tls_function *function = &library->functions[library->function_count++];
		size_t size = 0;

		put_code(image, PLACE((uint32_t)i), functions[i].code);
		for (const char *at = functions[i].code; *at; at++)
			size += *at == ' ' ? 0 : *at >= 'A' && *at <= 'Z' ? 8 : 1;
		function->role = functions[i].role;
		function->offset = PLACE(i);
		function->size_bytes = size / 2;
		(void)snprintf(function->name, sizeof(function->name), "%s", functions[i].name);
	}
	put_code(image, COMMON, common);
}

static void choose(const struct elf_image *image, const struct npt_tls_library *library,
		   const struct npt_tls_probes_options *options, struct npt_tls_probes *probes)
{
	npt_auto_close int fd = elf_image_open(image->bytes, sizeof(image->bytes));

	npt_tls_probes_choose(library, fd, options, probes);
}

static const struct npt_tls_probes_options plain = { .naive = false };

struct shape {
	struct function functions[FUNCTIONS_MAX];
	const char *common;
	const char *how, *why;
};

#define BEHIND "behind SSL_read, SSL_read_ex (push)"
#define BOTH   "SSL_read (stepped); SSL_read_ex (stepped)"

static const struct shape shapes[] = {
	{ { READ(CALLS), READ_EX(CALLS_EX) }, PUSHES, BEHIND, "" },
	{ { READ(CALLS), READ_EX(CALLS_EX), PEEK("4883ec08 c3") }, PUSHES, BEHIND, "" },
	/* What the plain form does on the way to the call is its own affair. */
	{ { READ("85d2 7901 c3 89d1 e8C c3"), READ_EX(CALLS_EX) }, PUSHES, BEHIND, "" },
	{ { READ("e9C"), READ_EX("e9C") }, PUSHES, BEHIND, "" },
	/* A nop of 5 bytes that this kernel steps, then the push. */
	{ { READ(CALLS), READ_EX(CALLS_EX) },
	  "0f1f440000 4157 c3",
	  "behind SSL_read, SSL_read_ex+0x5 (push)",
	  "" },
	/* The nearest that is not so: */
	{ { READ(CALLS), READ_EX(CALLS_EX), PEEK(CALLS) }, PUSHES, BOTH, "" },
	{ { READ(CALLS), READ_EX(CALLS_EX), PEEK("06") }, PUSHES, BOTH, "" },
	{ { READ("4883ec18 c3"), READ_EX(CALLS_EX) }, PUSHES, BOTH, "" },
	{ { READ(CALLS), READ_EX("4883ec08 31c9 e8C c3") }, PUSHES, BOTH, "" },
	{ { READ(CALLS), READ_EX("4883ec08 c3 e8C") }, PUSHES, BOTH, "" },
	{ { READ("55 e8R 5d c3"), READ_EX("55 e8R 5d c3") },
	  PUSHES,
	  "SSL_read (push); SSL_read_ex (push)",
	  "" },
	{ { READ("4883ec08 e8D c3"), READ_EX("4883ec08 e8D c3") }, PUSHES, BOTH, "" },
	{ { READ_EX(CALLS_EX) }, PUSHES, "SSL_read_ex (stepped)", "" },
	{ { READ(CALLS) }, PUSHES, "SSL_read (stepped)", "" },
	/* The common one is stepped; has lost the caller's address; is in a table of jumps; takes
	 * no probe. */
	{ { READ(CALLS), READ_EX(CALLS_EX) }, "4883ec08 55 c3", BOTH, "" },
	{ { READ(CALLS), READ_EX(CALLS_EX) }, "0f1f440000 c3", BOTH, "" },
	{ { READ(CALLS), READ_EX(CALLS_EX) }, "ff2500000000 6800000000", BOTH, "" },
	{ { READ(CALLS), READ_EX(CALLS_EX) }, "f00fc107 55 c3", BOTH, "" },
	/* It has changed an argument before the first place that is cheap. */
	{ { READ(CALLS), READ_EX(CALLS_EX) }, "4531c0 55 c3", BOTH, "" },
};

static void looks_for_the_function_behind_the_others(void)
{
	for (size_t i = 0; i < NPT_ARRAY_SIZE(shapes); i++) {
		struct npt_tls_library library;
		struct npt_tls_probes probes;
		struct elf_image image;

		make(shapes[i].functions, FUNCTIONS_MAX, shapes[i].common, &image, &library);
		choose(&image, &library, &plain, &probes);
		NPT_CHECK_STR(probes.how, shapes[i].how);
		NPT_CHECK_STR(probes.why, shapes[i].why);
		for (size_t j = 0; j < probes.count; j++)
			NPT_CHECK(probes.probes[j].stepped == (strstr(probes.how, "step") != NULL));
		if (strncmp(shapes[i].how, "behind", 6) != 0)
			continue;
		NPT_CHECK_INT(probes.count, 1);
		NPT_CHECK_INT(probes.probes[0].offset, COMMON + (strchr(probes.how, '+') ? 5 : 0));
		NPT_CHECK_INT(probes.probes[0].cookie, NPT_TLS_COOKIE(NPT_TLS_RETURNS_ONE, false));
		library.functions[0].size_bytes = 0; /* then who calls what is not known */
		choose(&image, &library, &plain, &probes);
		NPT_CHECK(strstr(probes.how, "behind") == NULL);
	}
}

static void prefers_the_form_with_more_arguments(void)
{
	/* SSL_write_ex2 hands on five; SSL_write_ex sets the fourth and moves its own. */
	static const struct function functions[] = {
		{ "SSL_write", NPT_TLS_WRITE, "4883ec18 e8C c3" },
		{ "SSL_write_ex", NPT_TLS_WRITE_EX, "4989c8 31c9 e9C" },
		{ "SSL_write_ex2", NPT_TLS_WRITE_EX2, CALLS_EX },
	};
	struct npt_tls_library library;
	struct npt_tls_probes probes;
	struct elf_image image;

	make(functions, 3, PUSHES, &image, &library);
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_STR(probes.how, "behind SSL_write, SSL_write_ex, SSL_write_ex2 (push)");
	NPT_CHECK_STR(probes.probes[0].function, "behind SSL_write, SSL_write_ex, SSL_write_ex2");
	NPT_CHECK_INT(probes.probes[0].cookie, NPT_TLS_COOKIE(NPT_TLS_RETURNS_ONE, true));
	NPT_CHECK_INT(probes.probes[0].kind, NPT_TLS_PROBE_CALL);
}

static void says_how_each_function_returns(void)
{
	static const struct {
		enum npt_tls_role role;
		int kind; /* -1: not probed */
		uint64_t cookie;
	} roles[] = {
		{ NPT_TLS_READ, NPT_TLS_PROBE_CALL, 0x001 },
		{ NPT_TLS_READ_EX, NPT_TLS_PROBE_CALL, 0x002 },
		{ NPT_TLS_WRITE, NPT_TLS_PROBE_CALL, 0x101 },
		{ NPT_TLS_WRITE_EX, NPT_TLS_PROBE_CALL, 0x102 },
		{ NPT_TLS_WRITE_EX2, NPT_TLS_PROBE_CALL, 0x102 },
		{ NPT_TLS_FREE, NPT_TLS_PROBE_FREE, 0 },
		{ NPT_TLS_PEEK, -1, 0 },
		{ NPT_TLS_PEEK_EX, -1, 0 },
		{ NPT_TLS_SENDFILE, -1, 0 },
		{ NPT_TLS_HANDSHAKE, -1, 0 },
		{ NPT_TLS_SHUTDOWN, -1, 0 },
		{ NPT_TLS_SET_FD, -1, 0 },
		{ NPT_TLS_CONSUME, -1, 0 },
		{ NPT_TLS_CHUNK, -1, 0 },
	};

	_Static_assert(NPT_ARRAY_SIZE(roles) == NPT_TLS_ROLES, "all of them");
	for (size_t i = 0; i < NPT_ARRAY_SIZE(roles); i++) {
		const struct function function = { "f", roles[i].role, "55 c3" };
		struct npt_tls_library library;
		struct npt_tls_probes probes;
		struct elf_image image;

		make(&function, 1, PUSHES, &image, &library);
		choose(&image, &library, &plain, &probes);
		NPT_CHECK_STR(probes.why, "");
		NPT_CHECK_INT(probes.count, roles[i].kind >= 0);
		if (probes.count == 0)
			continue;
		NPT_CHECK_INT(probes.probes[0].kind, roles[i].kind);
		NPT_CHECK_INT(probes.probes[0].cookie, roles[i].cookie);
		NPT_CHECK_INT(probes.probes[0].offset, PLACE(0));
		NPT_CHECK(!probes.probes[0].stepped);
		NPT_CHECK_STR(probes.probes[0].function, "f");
	}
}

static void frees_are_seen_at_the_cheapest_place(void)
{
	static const struct function functions[] = {
		READ("4883ec08 7400 c3"), /* the branch is behind the frame: no return probe */
		{ "SSL_free", NPT_TLS_FREE, "4883ec08 7400 c3" },
	};
	static const struct npt_tls_probes_options naive = { .naive = true };
	struct npt_tls_library library;
	struct npt_tls_probes probes;
	struct elf_image image;

	make(functions, 2, PUSHES, &image, &library);
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_STR(probes.how, "SSL_read (stepped); SSL_free+0x4 (jump)");
	NPT_CHECK_INT(probes.probes[1].offset, PLACE(1) + 4);
	NPT_CHECK(probes.probes[0].stepped && !probes.probes[1].stepped);
	choose(&image, &library, &naive, &probes);
	NPT_CHECK_STR(probes.how, "SSL_read (stepped); SSL_free (stepped)");
}

/* xor %edx,%edx or %edi,%edi, and then a push: too late. */
static void nothing_is_probed_behind_a_change_of_its_arguments(void)
{
	static const struct function functions[] = {
		READ("31d2 55 c3"),
		{ "SSL_write_ex", NPT_TLS_WRITE_EX, "31c9 55 c3" },
		{ "SSL_write_ex2", NPT_TLS_WRITE_EX2, "4531c0 55 c3" },
		{ "SSL_free", NPT_TLS_FREE, "31ff 55 c3" },
	};
	struct npt_tls_library library;
	struct npt_tls_probes probes;
	struct elf_image image;

	make(functions, 4, PUSHES, &image, &library);
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_STR(probes.how, "SSL_read (stepped); SSL_write_ex (stepped); "
				  "SSL_write_ex2 (stepped); SSL_free (stepped)");
}

static void naive_is_at_the_entries(void)
{
	static const struct npt_tls_probes_options naive = { .naive = true };
	struct npt_tls_library library;
	struct npt_tls_probes probes;
	struct elf_image image;

	make(shapes[0].functions, 2, PUSHES, &image, &library);
	choose(&image, &library, &naive, &probes);
	NPT_CHECK_STR(probes.how, BOTH);
}

static void long_nops_are_cheap_where_the_kernel_emulates_them(void)
{
	static const struct npt_tls_probes_options nops = { .long_nops = true };
	struct npt_tls_library library;
	struct npt_tls_probes probes;
	struct elf_image image;

	make(shapes[0].functions, 2, "0f1f440000 55 c3", &image, &library);
	choose(&image, &library, &nops, &probes);
	NPT_CHECK_STR(probes.how, "behind SSL_read, SSL_read_ex (long nop)");
	NPT_CHECK(!probes.probes[0].stepped);
	make(&(const struct function)READ("0f1f440000 c3"), 1, PUSHES, &image, &library);
	choose(&image, &library, &nops, &probes);
	NPT_CHECK(probes.count == 1 && !probes.probes[0].stepped);
	choose(&image, &library, &plain, &probes);
	NPT_CHECK(probes.count == 1 && probes.probes[0].stepped);
}

/* cmp 0x10(%r14),%rsp; jbe; push %rbp; pop %rbp; ret; then call morestack; jmp to the entry. */
#define GO_WRITE "493b6610 7606 55 5d c3 909090 e800000000 ebed"
/* Without the check: dec %edi, and back to the entry. */
#define GO_LOOP  "ffcf 75fc c3"
#define GO_READS "reads of Go are not counted: its stacks move, so a return probe would crash it"

static void go_is_probed_behind_its_stack_check(void)
{
	static const struct {
		const char *version, *code;
		uint16_t machine;
		const char *how, *why;
	} cases[] = {
		{ "1.26.3", GO_WRITE, EM_X86_64, "Write+0x6 (push); " GO_READS, "" },
		{ "1.17", GO_WRITE, EM_X86_64, "Write+0x6 (push); " GO_READS, "" },
		{ "1.23-1234abcd", GO_WRITE, EM_X86_64, "Write+0x6 (push); " GO_READS, "" },
		{ "1.18", "31c9 55 c3", EM_X86_64, "Write (stepped); " GO_READS, "" },
		{ "1.16.15", GO_WRITE, EM_X86_64, "",
		  "before Go 1.17 arguments are not in registers" },
		{ "", GO_WRITE, EM_X86_64, "", "before Go 1.17 arguments are not in registers" },
		{ "1.9999", GO_WRITE, EM_X86_64, "",
		  "before Go 1.17 arguments are not in registers" },
		{ "1.17.1", "c0035fd6", EM_AARCH64, "",
		  "before Go 1.18 arguments are not in registers" },
		{ "1.22rc1", GO_LOOP, EM_X86_64, "",
		  "Write: no place that is passed once per call" },
		{ "1.22", "06", EM_X86_64, "",
		  "Write: the function begins with no known instruction" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		const struct function functions[] = { { "Read", NPT_TLS_READ, GO_WRITE },
						      { "Write", NPT_TLS_WRITE, cases[i].code },
						      { "Close", NPT_TLS_SHUTDOWN, GO_WRITE } };
		struct npt_tls_library library;
		struct npt_tls_probes probes;
		struct elf_image image;

		make(functions, 3, PUSHES, &image, &library);
		library.kind = NPT_TLS_GO;
		library.machine = cases[i].machine;
		(void)snprintf(library.version, sizeof(library.version), "%s", cases[i].version);
		choose(&image, &library, &plain, &probes);
		NPT_CHECK_STR(probes.how, cases[i].how);
		NPT_CHECK_STR(probes.why, cases[i].why);
		NPT_CHECK_INT(probes.count, cases[i].how[0] != '\0');
		if (probes.count == 0)
			continue;
		NPT_CHECK_INT(probes.probes[0].kind, NPT_TLS_PROBE_GO_WRITE);
		NPT_CHECK_INT(probes.probes[0].offset,
			      PLACE(1) + (strchr(probes.how, '+') ? 6 : 0));
		NPT_CHECK_INT(probes.probes[0].cookie, 0);
	}
}

static void knows_arm64(void)
{
	/* stp x29,x30,[sp,-32]!; ret. And cbz x0. */
	static const struct function functions[] = {
		READ("fd7bbea9 c0035fd6"),
		{ "SSL_free", NPT_TLS_FREE, "400000b4 c0035fd6 c0035fd6" },
	};
	struct npt_tls_library library;
	struct npt_tls_probes probes;
	struct elf_image image;

	make(functions, 2, PUSHES, &image, &library);
	library.machine = EM_AARCH64;
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_STR(probes.how, "SSL_read (stepped); SSL_free (jump)");
}

static void says_what_cannot_be_probed(void)
{
	static const struct function functions[] = {
		READ("55 c3"),
		{ "SSL_write", NPT_TLS_WRITE, "f00fc107 55 c3" }, /* lock xadd: refused */
	};
	struct npt_tls_library library;
	struct npt_tls_probes probes;
	struct elf_image image;

	make(functions, 2, PUSHES, &image, &library);
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_STR(probes.how, "SSL_read (push)");
	NPT_CHECK_STR(probes.why, "SSL_write: no instruction of its begin takes a uprobe");
	library.functions[1].offset = DATA;
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_STR(probes.why, "SSL_write: it is in no executable part of the file");
	library.functions[1].offset = UINT64_MAX;
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_STR(probes.why, "SSL_write: it is in no executable part of the file");
	NPT_CHECK_INT(probes.count, 1);
	/* At the very end of the code, with a size beyond it. */
	library.functions[1] = library.functions[0];
	library.functions[1].offset = DATA - 1;
	library.functions[1].size_bytes = UINT64_MAX;
	image.bytes[DATA - 1] = 0x55;
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_INT(probes.count, 2);
	NPT_CHECK_STR(probes.why, "");
}

static void says_why_there_are_none(void)
{
	struct npt_tls_library library;
	struct npt_tls_probes probes;
	struct elf_image image;

	make(shapes[0].functions, 2, PUSHES, &image, &library);
	library.kind = NPT_TLS_RUSTLS;
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_INT(probes.count, 0);
	NPT_CHECK(strncmp(probes.why, "rustls does its input", 21) == 0);
	library.kind = NPT_TLS_OPENSSL;
	library.machine = EM_S390;
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_INT(probes.count, 0);
	NPT_CHECK_STR(probes.why, "made for another machine than this one");
	library.machine = EM_X86_64;
	image.bytes[0] = 'x';
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_INT(probes.count, 0);
	NPT_CHECK_STR(probes.why, "not an ELF file");
	library.function_count = 0;
	(void)snprintf(library.why, sizeof(library.why), "packed by UPX");
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_STR(probes.why, "packed by UPX");
	NPT_CHECK_STR(probes.how, "");
}

static void there_are_no_more_than_there_is_room_for(void)
{
	struct npt_tls_library library = { .kind = NPT_TLS_GNUTLS, .machine = EM_X86_64 };
	struct npt_tls_probes probes;
	struct elf_image image;

	elf_image_init(&image);
	memset(image.bytes + PLACE(0), 0x55, 0x800);
	library.function_count = NPT_TLS_FUNCTIONS_MAX;
	for (size_t i = 0; i < NPT_TLS_FUNCTIONS_MAX; i++) {
		struct npt_tls_function *function = &library.functions[i];

		function->role = NPT_TLS_READ;
		function->offset = PLACE(0) + i / 2; /* each place twice */
		memset(function->name, 'n', sizeof(function->name) - 1);
	}
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_INT(probes.count, NPT_TLS_FUNCTIONS_MAX / 2);
	NPT_CHECK_STR(probes.why, "");
	NPT_CHECK_INT(strlen(probes.how), NPT_TLS_TEXT_BYTES - 1);
	for (size_t i = 0; i < NPT_TLS_FUNCTIONS_MAX; i++)
		library.functions[i].offset = PLACE(0) + i;
	choose(&image, &library, &plain, &probes);
	NPT_CHECK_INT(probes.count, NPT_TLS_PROBES_MAX);
	NPT_CHECK(strstr(probes.why, "more than 16 probes") != NULL);
}

/* Pieces of such functions, and now and then a byte that is anything. */
static void random_code(uint64_t *state, char *code, size_t size)
{
	static const char *const pieces[] = {
		"55",         "4157",     "4883ec08", "e8C",      "e9C",  "7402",
		"0f1f440000", "f30f1efa", "4883c408", "5d",       "c3",   "31c9",
		"f00fc107",   "4989c8",   "90",       "c5f877",   "ebf0", "75f0",
		"50",         "85d2",     "4883e4f0", "48890424", "ffe0", "8907",
	};
	size_t count = 1 + npt_test_random(state) % 10;

	*code = '\0';
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(code);
		uint64_t random = npt_test_random(state);

		if (random % 8 == 0)
			(void)snprintf(code + length, size - length, "%02x",
				       (unsigned)(random >> 8 & 0xff));
		else
			(void)snprintf(code + length, size - length, "%s",
				       pieces[(random >> 8) % NPT_ARRAY_SIZE(pieces)]);
	}
}

/* By a walk of our own from the begin of the function that it is in. */
static void check_probe(const struct elf_image *image, const struct npt_tls_probe *probe)
{
	uint64_t at = probe->offset - (probe->offset - PLACE(0)) % FUNCTION_BYTES;
	struct npt_instruction instruction = { .length = 0 };
	int64_t stack = 0;

	NPT_CHECK(probe->offset >= PLACE(0) && probe->offset < DATA);
	for (; at <= probe->offset; at += instruction.length) {
		if (!NPT_CHECK(npt_instruction_decode_x86(image->bytes + at, DATA - at,
							  &instruction) == 0))
			return;
		if (at == probe->offset)
			break;
		NPT_CHECK(instruction.stack_known && instruction.flow == NPT_FLOW_NEXT);
		stack += instruction.stack_change;
	}
	NPT_CHECK_INT(at, probe->offset);
	NPT_CHECK(instruction.uprobe != NPT_UPROBE_REFUSED);
	NPT_CHECK_INT(probe->stepped, !npt_uprobe_is_emulated(instruction.uprobe, false));
	if (probe->kind == NPT_TLS_PROBE_CALL)
		NPT_CHECK_INT(stack, 0);
}

static void no_code_gets_a_return_probe_that_would_crash_it(void)
{
	uint64_t state = npt_test_seed() | 1;
	size_t calls = 0, behind = 0, frees_in_frames = 0;

	for (int round = 0; round < 4000; round++) {
		char code[5][160];
		struct function functions[] = { READ(code[0]),
						READ_EX(code[1]),
						PEEK(code[2]),
						{ "SSL_free", NPT_TLS_FREE, code[3] } };
		struct npt_tls_library library;
		struct npt_tls_probes probes;
		struct elf_image image;

		for (size_t i = 0; i < NPT_ARRAY_SIZE(code); i++)
			random_code(&state, code[i], sizeof(code[i]));
		if (npt_test_random(&state) % 2) {
			functions[0].code = CALLS;
			functions[1].code = CALLS_EX;
		}
		make(functions, NPT_ARRAY_SIZE(functions), code[4], &image, &library);
		choose(&image, &library, &plain, &probes);
		for (size_t i = 0; i < probes.count; i++) {
			const struct npt_tls_probe *probe = &probes.probes[i];

			check_probe(&image, probe);
			calls += probe->kind == NPT_TLS_PROBE_CALL;
			behind += probe->offset >= COMMON;
			frees_in_frames +=
				probe->kind == NPT_TLS_PROBE_FREE && probe->offset > PLACE(3);
		}
	}
	NPT_CHECK(calls > 1000 && behind > 100 && frees_in_frames > 100);
}

static const struct npt_test tests[] = {
	NPT_TEST(looks_for_the_function_behind_the_others),
	NPT_TEST(prefers_the_form_with_more_arguments),
	NPT_TEST(says_how_each_function_returns),
	NPT_TEST(frees_are_seen_at_the_cheapest_place),
	NPT_TEST(nothing_is_probed_behind_a_change_of_its_arguments),
	NPT_TEST(naive_is_at_the_entries),
	NPT_TEST(long_nops_are_cheap_where_the_kernel_emulates_them),
	NPT_TEST(go_is_probed_behind_its_stack_check),
	NPT_TEST(knows_arm64),
	NPT_TEST(says_what_cannot_be_probed),
	NPT_TEST(says_why_there_are_none),
	NPT_TEST(there_are_no_more_than_there_is_room_for),
	NPT_TEST(no_code_gets_a_return_probe_that_would_crash_it),
};
NPT_TEST_MAIN(tests)
