/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls_programs.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"

#define PROGRAMS_MAX 64

struct program {
	struct npt_tls_file_id file;
	uint64_t used;
	struct npt_tls_found *found;
	size_t count;
};

struct npt_tls_programs {
	struct program programs[PROGRAMS_MAX];
	uint64_t uses;
};

struct npt_tls_programs *npt_tls_programs_new(void)
{
	return npt_alloc(1, sizeof(struct npt_tls_programs));
}

void npt_tls_programs_free(struct npt_tls_programs *programs)
{
	if (!programs)
		return;
	for (size_t i = 0; i < PROGRAMS_MAX; i++)
		free(programs->programs[i].found);
	free(programs);
}

/* Which program the process executes; false if it is gone. */
static bool identify(uint32_t pid, struct npt_tls_file_id *file_ret)
{
	npt_auto_free char *path = npt_format("/proc/%u/exe", pid);
	struct stat status;

	if (stat(path, &status) < 0)
		return false;
	*file_ret = (struct npt_tls_file_id){
		.device = status.st_dev,
		.inode = status.st_ino,
		.size_bytes = (uint64_t)status.st_size,
		.changed_ns =
			status.st_ctim.tv_sec * (int64_t)NPT_NS_PER_SECOND + status.st_ctim.tv_nsec,
	};
	return true;
}

/* Its place, or that of the one that was not seen for longest. */
static struct program *place_of(struct npt_tls_programs *programs,
				const struct npt_tls_file_id *file)
{
	struct program *oldest = &programs->programs[0];

	for (size_t i = 0; i < PROGRAMS_MAX; i++) {
		struct program *program = &programs->programs[i];

		if (program->used && npt_tls_is_same_file(&program->file, file))
			return program;
		if (program->used < oldest->used)
			oldest = program;
	}
	return oldest;
}

void npt_tls_programs_learn(struct npt_tls_programs *programs, uint32_t pid,
			    const struct npt_tls_found *found, size_t count)
{
	struct npt_tls_file_id file;
	struct program *program;

	if (!identify(pid, &file))
		return;
	program = place_of(programs, &file);
	if (program->used && npt_tls_is_same_file(&program->file, &file) && count < program->count)
		return; /* an early look has seen less */
	free(program->found);
	*program = (struct program){ .file = file, .used = ++programs->uses };
	program->found = npt_alloc(count ? count : 1, sizeof(*found));
	for (size_t i = 0; i < count; i++) {
		if (found[i].library.function_count > 0)
			program->found[program->count++] = found[i];
	}
}

bool npt_tls_programs_recall(struct npt_tls_programs *programs, uint32_t pid,
			     const struct npt_tls_found **found_ret, size_t *count_ret)
{
	struct npt_tls_file_id file;
	struct program *program;

	if (!identify(pid, &file))
		return false;
	program = place_of(programs, &file);
	if (!program->used || !npt_tls_is_same_file(&program->file, &file))
		return false;
	program->used = ++programs->uses;
	*found_ret = program->found;
	*count_ret = program->count;
	return true;
}
