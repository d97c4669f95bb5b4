/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaches programs of floor.bpf.c, says "measuring" and their names, and holds them until its
 * stdin ends.
 *
 * Usage: floor [--no-trampolines | --count | PROGRAM...]
 * By default the empty programs on all hooks that the agent would take here: trampolines, or where
 * the kernel refuses them (or by the option) the tracepoint at the begin of writes. --count: the
 * two programs that count. Or those that are named, for the cost of single hooks.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/floor.skel.h"

enum choice { TRAMPOLINES, TRACEPOINTS, COUNT, NAMED };

/* Those that the kernel has no hook for are left out, as the agent does. */
static bool is_there(const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);
	const char *hook = strchr(section, '/');
	bool tracepoint = strncmp(section, "tp_btf", 6) == 0;

	return hook && libbpf_find_vmlinux_btf_id(hook + 1, tracepoint ? BPF_TRACE_RAW_TP
								       : BPF_TRACE_FENTRY) > 0;
}

static bool wanted(const struct bpf_program *program, enum choice choice, char **names)
{
	const char *name = bpf_program__name(program);
	bool trampoline = strncmp(bpf_program__section_name(program), "tp_btf", 6) != 0;
	bool counts = strncmp(name, "count_", 6) == 0;

	if (choice == NAMED) {
		while (*names && strcmp(*names, name) != 0)
			names++;
		return *names != NULL;
	}
	if (choice == COUNT || counts)
		return choice == COUNT && counts;
	if (strncmp(name, "helper_", 7) == 0)
		return false;
	if (strcmp(name, "floor_locked") == 0)
		return choice == TRACEPOINTS;
	return choice == TRAMPOLINES || !trampoline;
}

static struct npt_bpf_floor *start(enum choice choice, char **names)
{
	struct npt_bpf_floor *skeleton = npt_bpf_floor__open();
	struct bpf_program *program;

	if (!skeleton)
		return NULL;
	bpf_object__for_each_program(program, skeleton->obj)(void) bpf_program__set_autoload(
		program, wanted(program, choice, names) && is_there(program));
	if (npt_bpf_floor__load(skeleton) < 0 || npt_bpf_floor__attach(skeleton) < 0) {
		npt_bpf_floor__destroy(skeleton);
		return NULL;
	}
	return skeleton;
}

int main(int argc, char **argv)
{
	enum choice choice = argc < 2                                   ? TRAMPOLINES
			     : strcmp(argv[1], "--no-trampolines") == 0 ? TRACEPOINTS
			     : strcmp(argv[1], "--count") == 0          ? COUNT
									: NAMED;
	struct npt_bpf_floor *skeleton;
	struct bpf_program *program;
	char nothing;

	libbpf_set_print(NULL);
	skeleton = start(choice, argv + 1);
	if (!skeleton && choice == TRAMPOLINES)
		skeleton = start(TRACEPOINTS, argv + 1);
	if (!skeleton) {
		fprintf(stderr, "floor: cannot load\n");
		return 1;
	}
	fprintf(stderr, "measuring with");
	bpf_object__for_each_program(program, skeleton->obj)
	{
		if (bpf_program__autoload(program))
			fprintf(stderr, " %s", bpf_program__name(program));
	}
	fprintf(stderr, "\n");
	while (read(STDIN_FILENO, &nothing, 1) > 0)
		continue;
	npt_bpf_floor__destroy(skeleton);
	return 0;
}
