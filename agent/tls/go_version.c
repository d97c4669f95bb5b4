/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build information (debug/buildinfo): a magic text, and the version behind it: since Go 1.18 as a
 * length and characters, before that by a pointer to a string.
 */
#include <errno.h>
#include <string.h>

#include "agent/tls/elf_private.h"
#include "agent/tls/gopclntab.h"
#include "lib/core/alloc.h"

#define MAGIC           "\xff Go buildinf:"
#define MAGIC_BYTES     14
#define HEAD_BYTES      32
#define FLAGS_AT        15
#define FLAG_BIG_ENDIAN 1
#define FLAG_INLINE     2
#define SCAN_BYTES      (16U << 20) /* of a segment */
#define TEXT_BYTES_MAX  256
#define ALIGNMENT       16

static bool scan(struct npt_elf *elf, uint64_t offset, uint64_t size_bytes, uint64_t *offset_ret)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = elf };

	for (uint64_t at = -offset % ALIGNMENT; at < SCAN_BYTES && at + HEAD_BYTES <= size_bytes;) {
		size_t size, place = 0;
		const uint8_t *bytes =
			npt_elf_window_from(&window, offset + at, size_bytes - at, &size, NULL);

		if (!bytes)
			return false;
		for (; place + HEAD_BYTES <= size; place += ALIGNMENT)
			if (memcmp(bytes + place, MAGIC, MAGIC_BYTES) == 0) {
				*offset_ret = offset + at + place;
				return true;
			}
		if (place == 0)
			return false;
		at += place;
	}
	return false;
}

/* Where it is in the file: its section, or, without section headers, data that may be written. */
static bool locate(struct npt_elf *elf, uint64_t *offset_ret)
{
	const struct npt_elf_section *section = npt_elf_section(elf, ".go.buildinfo");

	if (section && section->type != SHT_NOBITS && section->size_bytes >= HEAD_BYTES)
		return scan(elf, section->offset, section->size_bytes, offset_ret);
	for (size_t i = 0; elf->section_count == 0 && i < elf->segment_count; i++)
		if (elf->segments[i].writable && elf->segments[i].file_bytes >= HEAD_BYTES &&
		    scan(elf, elf->segments[i].offset, elf->segments[i].file_bytes, offset_ret))
			return true;
	return false;
}

/* A length (7 bits a byte, lowest first) and that many characters. */
static size_t read_inline(struct npt_elf *elf, uint64_t offset, char *text)
{
	uint64_t length = 0;

	for (uint32_t shift = 0; shift < 28; shift += 7) {
		uint8_t byte;

		if (npt_elf_read(elf, offset++, &byte, 1, NULL) < 0)
			return 0;
		length |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		length = length < TEXT_BYTES_MAX ? length : TEXT_BYTES_MAX - 1;
		return npt_elf_read(elf, offset, text, (size_t)length, NULL) < 0 ? 0
										 : (size_t)length;
	}
	return 0;
}

static size_t read_pointed(struct npt_elf *elf, const uint8_t *head, char *text)
{
	uint8_t string[16];
	uint64_t length;

	if (head[14] != 8 || (head[FLAGS_AT] & FLAG_BIG_ENDIAN) ||
	    npt_elf_read_vaddr(elf, npt_elf_u64(head + 16), string, sizeof(string), NULL) < 0)
		return 0;
	length = npt_elf_u64(string + 8);
	if (length >= TEXT_BYTES_MAX ||
	    npt_elf_read_vaddr(elf, npt_elf_u64(string), text, (size_t)length, NULL) < 0)
		return 0;
	return (size_t)length;
}

int npt_go_version(struct npt_elf *elf, char version_ret[NPT_GO_VERSION_BYTES],
		   struct npt_error *err)
{
	char text[TEXT_BYTES_MAX];
	uint8_t head[HEAD_BYTES];
	const char *number;
	size_t length;
	uint64_t offset;

	if (!locate(elf, &offset) || npt_elf_read(elf, offset, head, sizeof(head), NULL) < 0)
		return npt_error_set(err, ENOENT, "not a Go program");
	length = head[FLAGS_AT] & FLAG_INLINE ? read_inline(elf, offset + HEAD_BYTES, text)
					      : read_pointed(elf, head, text);
	text[length] = '\0';
	/* "go1.22.4", "devel go1.23-1234abcd Mon ..." */
	number = strstr(text, "go1.");
	number = number ? number + 2 : "";
	length = strspn(number, "0123456789.abcdefghijklmnopqrstuvwxyz-");
	if (length >= NPT_GO_VERSION_BYTES)
		length = NPT_GO_VERSION_BYTES - 1;
	memcpy(version_ret, number, length);
	version_ret[length] = '\0';
	return 0;
}
