/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ELF file - where things are in a program or library, of 64 bits and this machine's byte order.
 *
 * The file is somebody else's. Each look at it is a pread() of bounded size, and all of them
 * together have a budget, so that no file costs more than that, whatever it says about itself.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

/* What is read of one file at most, before -EFBIG. */
#define NPT_ELF_BUDGET_BYTES (256U << 20)

struct npt_elf;

struct npt_elf_segment { /* PT_LOAD */
	uint64_t vaddr, memory_bytes;
	uint64_t offset, file_bytes;
	bool executable, writable;
};

struct npt_elf_section {
	char name[32]; /* cut */
	uint32_t type; /* SHT_... */
	uint32_t link;
	uint64_t flags; /* SHF_... */
	uint64_t vaddr, offset, size_bytes;
};

struct npt_elf_symbol {
	uint64_t vaddr, offset, size_bytes; /* 0 bytes: not said */
};

/*
 * The descriptor is borrowed and must stay open. -ENOEXEC with the reason if it is no ELF file that
 * can be handled (no ELF, 32 bits, another byte order, truncated, not a program or library).
 */
int npt_elf_open(int fd, struct npt_elf **elf_ret, struct npt_error *err);
void npt_elf_free(struct npt_elf *elf);
NPT_DEFINE_AUTO(struct npt_elf *, npt_elf_free)

uint16_t npt_elf_machine(const struct npt_elf *elf); /* EM_... */
/* Hexadecimal digits; "" if it has none. */
const char *npt_elf_build_id(const struct npt_elf *elf);
/* Made by UPX: what is in the file is not what runs. */
bool npt_elf_is_packed(struct npt_elf *elf);
const struct npt_elf_segment *npt_elf_segments(const struct npt_elf *elf, size_t *count_ret);
/* NULL if there is none of that name. */
const struct npt_elf_section *npt_elf_section(const struct npt_elf *elf, const char *name);
/* Bytes read so far. */
uint64_t npt_elf_bytes_read(const struct npt_elf *elf);

/* Exactly size_bytes of the file. -EIO if it ends before, -EFBIG beyond the budget. */
int npt_elf_read(struct npt_elf *elf, uint64_t offset, void *out, size_t size_bytes,
		 struct npt_error *err);
/* The same by address: within the part of one segment that is in the file, else -EFAULT. */
int npt_elf_read_vaddr(struct npt_elf *elf, uint64_t vaddr, void *out, size_t size_bytes,
		       struct npt_error *err);
/* Where an address is in the file. -EFAULT if it is in no segment's part of the file. */
int npt_elf_offset(const struct npt_elf *elf, uint64_t vaddr, uint64_t *offset_ret);

/*
 * Looks through .symtab and .dynsym for functions that are defined here, IFUNCs not, once. A name
 * with '*' stands for any that has its parts in that order. Each one that is found is told, by its
 * number in names; the same function may be told twice. Without symbol tables: 0, none told.
 */
typedef void npt_elf_found_fn(size_t number, const char *name, const struct npt_elf_symbol *symbol,
			      void *context);
int npt_elf_find_functions(struct npt_elf *elf, const char *const *names, size_t count,
			   npt_elf_found_fn *found, void *context, struct npt_error *err);
/* Whether there is a table of symbols that are not exported. */
bool npt_elf_has_symtab(const struct npt_elf *elf);

/*
 * Looks for texts in data that is neither code nor writable, at most scan_bytes of it. Each place
 * is told by the number of the text, with what stands there (cut at NPT_ELF_TEXT_BYTES, ended by a
 * NUL) until found says true: enough of this one. 1 if all was looked at or is no longer wanted, 0
 * if not, or an error.
 */
#define NPT_ELF_TEXT_BYTES 128
typedef bool npt_elf_text_fn(size_t number, const char *text, void *context);
int npt_elf_find_texts(struct npt_elf *elf, const char *const *texts, size_t count,
		       uint64_t scan_bytes, npt_elf_text_fn *found, void *context,
		       struct npt_error *err);
