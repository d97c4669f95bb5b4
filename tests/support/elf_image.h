/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ELF image - a small program as a test wants it: three segments (constants, code, data that may be
 * written) at fixed places, and sections and symbols that are put in.
 */
#include <stddef.h>
#include <stdint.h>

#define ELF_IMAGE_BYTES 12288

enum elf_image_part {
	ELF_IMAGE_CONSTANTS, /* 0x200 to 0x800 of the file, at 0x400200 */
	ELF_IMAGE_CODE,      /* 0x800 to 0x1000, at 0x400800 */
	ELF_IMAGE_DATA,      /* 0x1000 to 0x1400, at 0x401000 */
	ELF_IMAGE_UNMAPPED,  /* 0x1400 to 0x2000 */
	ELF_IMAGE_PARTS,
};
#define ELF_IMAGE_BASE UINT64_C(0x400000) /* vaddr - offset, everywhere */

struct elf_image {
	uint8_t bytes[ELF_IMAGE_BYTES];
	uint64_t used[ELF_IMAGE_PARTS]; /* where the next thing goes */
	uint16_t sections;
	uint64_t names_used;
};

/* Without sections; machine is this one's. */
void elf_image_init(struct elf_image *image);
/* Puts bytes into a part (aligned to 16) and gives their offset in the file. */
uint64_t elf_image_put(struct elf_image *image, enum elf_image_part part, const void *data,
		       size_t size_bytes);
/* A section over bytes that are there; its number. */
uint16_t elf_image_section(struct elf_image *image, const char *name, uint32_t type, uint32_t link,
			   uint64_t offset, uint64_t size_bytes);

struct elf_image_symbol {
	const char *name;
	uint64_t offset, size_bytes; /* in the file */
	uint8_t type;                /* STT_FUNC... */
	uint16_t section;            /* 0: undefined */
};
/* A table of symbols and its names: ".symtab", ".strtab" or ".dynsym", ".dynstr". */
void elf_image_symbols(struct elf_image *image, const char *name, const char *names_name,
		       uint32_t type, const struct elf_image_symbol *symbols, size_t count);
/* The first size_bytes of it as a file without a name; the caller closes it. */
int elf_image_open(const void *bytes, size_t size_bytes);
