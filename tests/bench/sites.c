/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probe sites, for sites.py and tests/soak/instructions: what our decoder and our choice say of
 * real files, and what a uprobe costs.
 *
 * Usage:
 *   sites decode ARCH FILE OFFSET BYTES     reads places (hex, from OFFSET) on stdin; a line for
 *                                           each: length flow uprobe target store opaque writes
 *   sites choose ARCH c|go ARGUMENTS FILE OFFSET BYTES best|returns|naive
 *   sites callee ARCH c|go ARGUMENTS FILE OFFSET BYTES
 *   sites hold FILE OFFSET PID entry|session
 *                                           attaches a program that does nothing, says "measuring",
 *                                           and holds it until stdin ends
 *   sites call FILE FUNCTION                calls it on a fresh SSL or session, over and over;
 *                                           prints ns per call, best of each fifth of a second
 *   sites kinds                             ns per kind of instruction, by probes on this program
 * OFFSET and BYTES are decimal, in the file.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "agent/probe/uprobe_multi.h"
#include "agent/tls/site.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"
#include "tests/bench/site_kinds.h"

#define CALLS   200 /* of a batch */
#define BATCHES 100

static int fail(const char *what)
{
	fprintf(stderr, "sites: %s: %s\n", what, strerror(errno));
	return 1;
}

static uint64_t number(const char *text)
{
	uint64_t value;

	if (npt_parse_u64(text, 0, UINT64_MAX / 2, &value) < 0)
		exit(fail(text));
	return value;
}

static enum npt_architecture architecture_of(const char *text)
{
	return strcmp(text, "arm64") == 0 ? NPT_ARCHITECTURE_ARM64 : NPT_ARCHITECTURE_X86_64;
}

/* Never unmapped: the program ends soon. */
static const uint8_t *map_file(const char *path, uint64_t offset, uint64_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *map;

	if (fd < 0 || fstat(fd, &status) < 0 || offset + bytes > (uint64_t)status.st_size)
		exit(fail(path));
	map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		exit(fail(path));
	return (const uint8_t *)map + offset;
}

static int decode(char **words)
{
	enum npt_architecture architecture = architecture_of(words[0]);
	uint64_t bytes = number(words[3]), place;
	const uint8_t *code = map_file(words[1], number(words[2]), bytes);
	struct npt_instruction instruction;
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (npt_parse_hex_u64(line, &place) < 0 || place >= bytes)
			return fail(line);
		if (npt_instruction_decode(architecture, code + place, bytes - place,
					   &instruction) < 0) {
			printf("0\n");
			continue;
		}
		printf("%u %d %s %" PRIx64 " %d %d %x %d\n", instruction.length, instruction.flow,
		       npt_uprobe_name(instruction.uprobe), place + (uint64_t)instruction.target,
		       instruction.store, instruction.opaque, instruction.writes,
		       instruction.stack_known ? instruction.stack_change : 9999);
	}
	return 0;
}

static struct npt_site_options options_of(char **words)
{
	return (struct npt_site_options){
		.architecture = architecture_of(words[0]),
		.convention = strcmp(words[1], "go") == 0 ? NPT_CONVENTION_GO : NPT_CONVENTION_C,
		.arguments = (unsigned)number(words[2]),
	};
}

static int callee(char **words)
{
	struct npt_site_options options = options_of(words);
	uint64_t bytes = number(words[5]);
	const uint8_t *code = map_file(words[3], number(words[4]), bytes);
	int64_t found;

	if (npt_site_callee(code, bytes, &options, &found, NULL) < 0)
		printf("-\n");
	else
		printf("%" PRId64 "\n", found);
	return 0;
}

static int choose(char **words)
{
	struct npt_site_options options = options_of(words);
	uint64_t bytes = number(words[5]);
	const uint8_t *code = map_file(words[3], number(words[4]), bytes);
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_site site;

	options.returns = strcmp(words[6], "returns") == 0;
	options.naive = strcmp(words[6], "naive") == 0;
	if (npt_site_choose(code, bytes, &options, &site, &err) < 0) {
		printf("- %s\n", err.text);
		return 0;
	}
	printf("%" PRIu32 " %d %d %d %s\n", site.offset, site.stack_change, site.repeats,
	       site.returns, npt_uprobe_name(site.how));
	return 0;
}

static int load_nothing(uint32_t attach_type)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const struct bpf_prog_load_opts options = {
		.sz = sizeof(options),
		.expected_attach_type = (enum bpf_attach_type)attach_type,
	};

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "nothing", "GPL", nothing, 2, &options);
}

static int hold(char **words)
{
	bool session = strcmp(words[3], "session") == 0;
	int program_fd =
		load_nothing(session ? NPT_ATTACH_UPROBE_SESSION : NPT_ATTACH_UPROBE_MULTI);
	uint64_t offset = number(words[1]);
	pid_t pid = (pid_t)number(words[2]);
	struct npt_error err = NPT_ERROR_NONE;
	char ignored;
	int link = session ? npt_uprobe_session_attach(program_fd, words[0], &offset, NULL, 1, pid,
						       &err)
			   : npt_uprobe_multi_attach(program_fd, words[0], &offset, NULL, 1, pid,
						     false, &err);

	if (link < 0) {
		fprintf(stderr, "sites: %s\n", err.text);
		return 1;
	}
	fprintf(stderr, "measuring\n");
	while (read(STDIN_FILENO, &ignored, 1) > 0)
		continue;
	return 0;
}

typedef int (*call_function)(void *object, void *data, size_t bytes, void *more);

static void *symbol(void *library, const char *name)
{
	void *found = dlsym(library, name);

	if (!found)
		exit(fail(name));
	return found;
}

/* One that is not connected, so that each call ends with an error at once. */
static void *make_object(void *library, const char *function)
{
	void *object = NULL;

	if (strncmp(function, "gnutls", 6) == 0) {
		int (*init)(void **, unsigned);

		*(void **)&init = symbol(library, "gnutls_init");
		(void)init(&object, 2 /* GNUTLS_CLIENT */);
	} else {
		void *(*method)(void), *(*context)(void *), *(*ssl)(void *);

		*(void **)&method = symbol(library, "TLS_method");
		*(void **)&context = symbol(library, "SSL_CTX_new");
		*(void **)&ssl = symbol(library, "SSL_new");
		object = ssl(context(method()));
	}
	if (!object)
		exit(fail(function));
	return object;
}

static int call(char **words)
{
	void *library = dlopen(words[0], RTLD_NOW), *object;
	call_function function;
	char data[64] = { 0 };
	size_t done;

	if (!library)
		return fail(words[0]);
	object = make_object(library, words[1]);
	*(void **)&function = symbol(library, words[1]);
	for (;;) {
		uint64_t best = UINT64_MAX, end = npt_clock_monotonic_ns() + NPT_NS_PER_SECOND / 5;

		while (npt_clock_monotonic_ns() < end) {
			uint64_t begin = npt_clock_monotonic_ns(), spent;

			for (int i = 0; i < CALLS; i++)
				(void)function(object, data, sizeof(data), &done);
			spent = npt_clock_monotonic_ns() - begin;
			best = spent < best ? spent : best;
		}
		if (printf("%.1f\n", (double)best / CALLS) < 0 || fflush(stdout) != 0)
			return 0;
	}
}

/* Where this program's file has it. */
static uint64_t file_offset(const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t begin, end, offset, place = (uint64_t)(uintptr_t)address;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &begin, &end, &offset) !=
		    3)
			continue;
		if (place >= begin && place < end) {
			(void)fclose(maps);
			return place - begin + offset;
		}
	}
	exit(fail("/proc/self/maps"));
}

static double best_ns(void (*function)(void))
{
	uint64_t best = UINT64_MAX;

	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t begin = npt_clock_monotonic_ns(), spent;

		for (int i = 0; i < CALLS; i++)
			function();
		spent = npt_clock_monotonic_ns() - begin;
		best = spent < best ? spent : best;
	}
	return (double)best / CALLS;
}

static int kinds(void)
{
	int program_fd = load_nothing(NPT_ATTACH_UPROBE_MULTI);

	for (size_t i = 0; i < site_kinds_count; i++) {
		const struct site_kind *kind = &site_kinds[i];
		uint64_t offset = file_offset((const void *)(uintptr_t)kind->function);
		struct npt_instruction instruction = { .uprobe = NPT_UPROBE_REFUSED };
		struct npt_error err = NPT_ERROR_NONE;
		double without = best_ns(kind->function);
		int link;

		/* Before the uprobe is there, which puts an int3 into this program's memory. */
		(void)npt_instruction_decode_x86((const uint8_t *)(uintptr_t)kind->function, 15,
						 &instruction);
		link = npt_uprobe_multi_attach(program_fd, "/proc/self/exe", &offset, NULL, 1, 0,
					       false, &err);

		printf("%s|%s|", kind->name, npt_uprobe_name(instruction.uprobe));
		if (link < 0) {
			printf("%s\n", err.text);
			continue;
		}
		printf("%.0f\n", best_ns(kind->function) - without);
		(void)close(link);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int words;
		int (*run)(char **words);
	} modes[] = {
		{ "decode", 4, decode }, { "choose", 7, choose }, { "callee", 6, callee },
		{ "hold", 4, hold },     { "call", 2, call },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (argc == modes[i].words + 2 && strcmp(argv[1], modes[i].name) == 0)
			return modes[i].run(argv + 2);
	}
	if (argc == 2 && strcmp(argv[1], "kinds") == 0)
		return kinds();
	fprintf(stderr, "sites: bad arguments; see the head of tests/bench/sites.c\n");
	return 2;
}
