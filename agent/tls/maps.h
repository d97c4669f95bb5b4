/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Maps - the files whose code a process runs, and the way to them.
 *
 * Needs SYS_PTRACE for processes of others, nothing more: /proc/PID/map_files would lead to the
 * very file, but only with SYS_ADMIN or CHECKPOINT_RESTORE.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

/* Mappings of files with code, per process; what comes behind them is counted only. */
#define NPT_MAPS_FILES_MAX 4096

/* A file of which a process has code mapped: one for all mappings of that file. */
struct npt_mapped_file {
	uint64_t address;      /* of its lowest mapping with code */
	uint64_t offset_bytes; /* in the file, where that mapping begins */
	uint64_t size_bytes;   /* of that mapping */
	uint64_t inode;
	uint32_t device_major, device_minor; /* of the file system below, where it is an overlay */
	bool deleted;                        /* the name is gone or leads to another file */
	bool executable;                     /* it is the program itself: /proc/PID/exe */
	char *path;                          /* as the process sees it; never NULL */
};

struct npt_maps {
	uint32_t pid;
	struct npt_mapped_file *files;
	size_t count;
	uint64_t other_count;     /* files that found no room */
	uint64_t anonymous_bytes; /* code in no file: a compiler at run time */
};

/* All of a process. -ESRCH if it is gone, -EPERM. */
int npt_maps_read(uint32_t pid, struct npt_maps *maps_ret, struct npt_error *err);
/* The same from the text of such a file; pure. Lines that are none are skipped. */
void npt_maps_parse(const char *text, size_t size_bytes, struct npt_maps *maps_ret);
void npt_maps_done(struct npt_maps *maps);
NPT_DEFINE_AUTO_DONE(struct npt_maps, npt_maps_done)

/*
 * The very file that is mapped, for reading. -ESTALE if another file has taken its name ("replaced
 * on disk while in use"), -ENOENT if it has none (deleted, memfd), -EPERM, -ESRCH.
 */
int npt_maps_open(uint32_t pid, const struct npt_mapped_file *file, int *fd_ret,
		  struct npt_error *err);
/* Whatever file has that name below the process's root now. -errno. */
int npt_maps_open_name(uint32_t pid, const char *path, int *fd_ret);
