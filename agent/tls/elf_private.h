/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shared by the files of the ELF reader: its content, and windows.
 */
#include <elf.h>

#include "agent/tls/elf_file.h"

#define NPT_ELF_SEGMENTS_MAX 64
#define NPT_ELF_SECTIONS_MAX 256
#define NPT_ELF_BUILD_ID_MAX 32

struct npt_elf {
	int fd; /* borrowed */
	uint64_t size_bytes, read_bytes;
	uint16_t machine;
	struct npt_elf_segment segments[NPT_ELF_SEGMENTS_MAX];
	size_t segment_count;
	struct npt_elf_section *sections;
	size_t section_count;
	bool symtab;
	char build_id[2 * NPT_ELF_BUILD_ID_MAX + 1];
};

/* A piece of the file that moves forward over it, so that many small looks cost few reads. */
#define NPT_ELF_WINDOW_BYTES (256U << 10)
struct npt_elf_window {
	struct npt_elf *elf; /* borrowed */
	uint8_t *bytes;      /* allocated by the first look */
	uint64_t offset;
	size_t size_bytes;
};
void npt_elf_window_done(struct npt_elf_window *window);
NPT_DEFINE_AUTO_DONE(struct npt_elf_window, npt_elf_window_done)
/* size_bytes of the file (at most half a window), until the next look; NULL as npt_elf_read(). */
const uint8_t *npt_elf_window_at(struct npt_elf_window *window, uint64_t offset, size_t size_bytes,
				 struct npt_error *err);
/* What is there from offset on, at most limit_bytes: at least 1 byte, or NULL. */
const uint8_t *npt_elf_window_from(struct npt_elf_window *window, uint64_t offset,
				   uint64_t limit_bytes, size_t *size_ret, struct npt_error *err);

uint32_t npt_elf_u32(const uint8_t *at);
uint64_t npt_elf_u64(const uint8_t *at);
