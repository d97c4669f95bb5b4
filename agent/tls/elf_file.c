/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An own reader instead of libelf: that one takes a section's size for what its header says and
 * allocates it whole, or maps the file, where a file that shrinks meanwhile is a SIGBUS. What is
 * needed here is small: headers, two tables, and streams through them.
 *
 * Section headers are optional, as for the kernel: a file whose section headers are missing, broken
 * or cut off is a file without sections. Program headers must be right, since the kernel used them.
 */
#include "agent/tls/elf_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/tls/elf_private.h"
#include "lib/core/alloc.h"

#define PROGRAM_HEADERS_MAX 256
#define NAMES_BYTES_MAX     (64U << 10)
#define NOTES_BYTES_MAX     4096
#define UPX_HEAD_BYTES      1024

uint32_t npt_elf_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

uint64_t npt_elf_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

int npt_elf_read(struct npt_elf *elf, uint64_t offset, void *out, size_t size_bytes,
		 struct npt_error *err)
{
	size_t done = 0;

	if (offset > elf->size_bytes || size_bytes > elf->size_bytes - offset)
		return npt_error_set(err, EIO, "the file ends before what it says that it has");
	if (size_bytes > NPT_ELF_BUDGET_BYTES - elf->read_bytes)
		return npt_error_set(err, EFBIG, "looking through it takes more than %u MiB",
				     NPT_ELF_BUDGET_BYTES >> 20);
	elf->read_bytes += size_bytes;
	while (done < size_bytes) {
		ssize_t got = pread(elf->fd, (uint8_t *)out + done, size_bytes - done,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return npt_error_set(err, errno, "cannot read the file: %s",
					     npt_errno_name(errno));
		if (got == 0)
			return npt_error_set(err, EIO, "the file became shorter meanwhile");
		done += (size_t)got;
	}
	return 0;
}

void npt_elf_window_done(struct npt_elf_window *window)
{
	free(window->bytes);
	window->bytes = NULL;
	window->size_bytes = 0;
}

const uint8_t *npt_elf_window_from(struct npt_elf_window *window, uint64_t offset,
				   uint64_t limit_bytes, size_t *size_ret, struct npt_error *err)
{
	uint64_t size = NPT_ELF_WINDOW_BYTES;

	if (offset >= window->elf->size_bytes || limit_bytes == 0) {
		(void)npt_error_set(err, EIO, "the file ends before what it says that it has");
		return NULL;
	}
	if (size > limit_bytes)
		size = limit_bytes;
	if (size > window->elf->size_bytes - offset)
		size = window->elf->size_bytes - offset;
	if (!window->bytes)
		window->bytes = npt_alloc(1, NPT_ELF_WINDOW_BYTES);
	window->size_bytes = 0;
	if (npt_elf_read(window->elf, offset, window->bytes, (size_t)size, err) < 0)
		return NULL;
	window->offset = offset;
	window->size_bytes = (size_t)size;
	*size_ret = (size_t)size;
	return window->bytes;
}

const uint8_t *npt_elf_window_at(struct npt_elf_window *window, uint64_t offset, size_t size_bytes,
				 struct npt_error *err)
{
	size_t got;

	if (offset < window->offset || size_bytes > window->size_bytes ||
	    offset - window->offset > window->size_bytes - size_bytes) {
		if (!npt_elf_window_from(window, offset, NPT_ELF_WINDOW_BYTES, &got, err))
			return NULL;
		if (got < size_bytes) {
			(void)npt_error_set(err, EIO,
					    "the file ends before what it says that it has");
			return NULL;
		}
	}
	return window->bytes + (offset - window->offset);
}

static int check_head(const Elf64_Ehdr *head, struct npt_error *err)
{
	const uint16_t one = 1;
	uint8_t own = *(const uint8_t *)&one ? ELFDATA2LSB : ELFDATA2MSB;

	if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
		return npt_error_set(err, ENOEXEC, "not an ELF file");
	if (head->e_ident[EI_CLASS] != ELFCLASS64)
		return npt_error_set(err, ENOEXEC, "a program of 32 bits");
	if (head->e_ident[EI_DATA] != own)
		return npt_error_set(err, ENOEXEC, "of another byte order");
	if (head->e_type != ET_EXEC && head->e_type != ET_DYN)
		return npt_error_set(err, ENOEXEC, "neither a program nor a library");
	if (head->e_phentsize != sizeof(Elf64_Phdr) || head->e_phnum == 0)
		return npt_error_set(err, ENOEXEC, "an ELF file without program headers");
	if (head->e_phnum > PROGRAM_HEADERS_MAX)
		return npt_error_set(err, ENOEXEC, "more than %u program headers",
				     PROGRAM_HEADERS_MAX);
	return 0;
}

static void take_build_id(struct npt_elf *elf, const Elf64_Phdr *header)
{
	uint8_t notes[NOTES_BYTES_MAX];
	uint64_t size = header->p_filesz < sizeof(notes) ? header->p_filesz : sizeof(notes);
	uint64_t at = 0;

	if (elf->build_id[0] || npt_elf_read(elf, header->p_offset, notes, size, NULL) < 0)
		return;
	while (size - at >= sizeof(Elf64_Nhdr)) {
		uint64_t name = npt_elf_u32(notes + at), content = npt_elf_u32(notes + at + 4);
		uint32_t type = npt_elf_u32(notes + at + 8);
		uint64_t content_at = at + sizeof(Elf64_Nhdr) + ((name + 3) & ~UINT64_C(3));
		uint64_t next = content_at + ((content + 3) & ~UINT64_C(3));

		if (content_at > size || content > size - content_at)
			return;
		if (type == NT_GNU_BUILD_ID && name == 4 && content <= NPT_ELF_BUILD_ID_MAX &&
		    memcmp(notes + at + sizeof(Elf64_Nhdr), "GNU", 4) == 0) {
			for (uint64_t i = 0; i < content; i++)
				(void)snprintf(elf->build_id + 2 * i, 3, "%02x",
					       notes[content_at + i]);
			return;
		}
		if (next > size)
			return;
		at = next;
	}
}

static int read_segments(struct npt_elf *elf, const Elf64_Ehdr *head, struct npt_error *err)
{
	for (size_t i = 0; i < head->e_phnum; i++) {
		struct npt_elf_segment *segment = &elf->segments[elf->segment_count];
		Elf64_Phdr header;
		int rc = npt_elf_read(elf, head->e_phoff + i * sizeof(header), &header,
				      sizeof(header), err);

		if (rc < 0)
			return rc;
		if (header.p_type == PT_NOTE)
			take_build_id(elf, &header);
		if (header.p_type != PT_LOAD)
			continue;
		if (elf->segment_count == NPT_ELF_SEGMENTS_MAX)
			return npt_error_set(err, ENOEXEC, "more than %u segments",
					     NPT_ELF_SEGMENTS_MAX);
		if (header.p_offset > elf->size_bytes ||
		    header.p_filesz > elf->size_bytes - header.p_offset ||
		    header.p_filesz > header.p_memsz ||
		    header.p_vaddr > UINT64_MAX - header.p_memsz)
			return npt_error_set(err, ENOEXEC,
					     "truncated: a segment of it is not in "
					     "the file");
		*segment = (struct npt_elf_segment){
			.vaddr = header.p_vaddr,
			.memory_bytes = header.p_memsz,
			.offset = header.p_offset,
			.file_bytes = header.p_filesz,
			.executable = header.p_flags & PF_X,
			.writable = header.p_flags & PF_W,
		};
		elf->segment_count++;
	}
	if (elf->segment_count == 0)
		return npt_error_set(err, ENOEXEC, "an ELF file without segments");
	return 0;
}

static void copy_name(char *out, size_t size_bytes, const char *names, size_t names_bytes,
		      uint32_t at)
{
	size_t length = at < names_bytes ? strnlen(names + at, names_bytes - at) : 0;

	if (length >= size_bytes)
		length = size_bytes - 1;
	if (length > 0)
		memcpy(out, names + at, length);
	out[length] = '\0';
}

static void read_sections(struct npt_elf *elf, const Elf64_Ehdr *head)
{
	npt_auto_free Elf64_Shdr *headers = NULL;
	npt_auto_free char *names = NULL;
	size_t count = head->e_shnum, names_bytes;

	if (count == 0 || count > NPT_ELF_SECTIONS_MAX || head->e_shstrndx >= count ||
	    head->e_shentsize != sizeof(*headers))
		return;
	headers = npt_alloc(count, sizeof(*headers));
	if (npt_elf_read(elf, head->e_shoff, headers, count * sizeof(*headers), NULL) < 0)
		return;
	names_bytes = headers[head->e_shstrndx].sh_size < NAMES_BYTES_MAX
			      ? (size_t)headers[head->e_shstrndx].sh_size
			      : NAMES_BYTES_MAX;
	names = npt_alloc(names_bytes + 1, 1);
	if (npt_elf_read(elf, headers[head->e_shstrndx].sh_offset, names, names_bytes, NULL) < 0)
		return;
	elf->sections = npt_alloc(count, sizeof(*elf->sections));
	for (size_t i = 0; i < count; i++) {
		struct npt_elf_section *section = &elf->sections[i];
		const Elf64_Shdr *header = &headers[i];

		*section = (struct npt_elf_section){
			.type = header->sh_type,
			.link = header->sh_link,
			.flags = header->sh_flags,
			.vaddr = header->sh_addr,
			.offset = header->sh_offset,
			.size_bytes = header->sh_size,
		};
		copy_name(section->name, sizeof(section->name), names, names_bytes,
			  header->sh_name);
		if (header->sh_type != SHT_NOBITS &&
		    (header->sh_offset > elf->size_bytes ||
		     header->sh_size > elf->size_bytes - header->sh_offset))
			section->size_bytes = 0;
		elf->symtab = elf->symtab || (header->sh_type == SHT_SYMTAB && header->sh_size > 0);
	}
	elf->section_count = count;
}

int npt_elf_open(int fd, struct npt_elf **elf_ret, struct npt_error *err)
{
	npt_auto(npt_elf_free) struct npt_elf *elf = npt_alloc(1, sizeof(*elf));
	struct stat status;
	Elf64_Ehdr head;
	int rc;

	if (fstat(fd, &status) < 0)
		return npt_error_set(err, errno, "cannot look at the file: %s",
				     npt_errno_name(errno));
	if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof(head))
		return npt_error_set(err, ENOEXEC, "not an ELF file");
	elf->fd = fd;
	elf->size_bytes = (uint64_t)status.st_size;
	rc = npt_elf_read(elf, 0, &head, sizeof(head), err);
	if (rc < 0)
		return rc;
	rc = check_head(&head, err);
	if (rc < 0)
		return rc;
	elf->machine = head.e_machine;
	rc = read_segments(elf, &head, err);
	if (rc < 0)
		return rc;
	read_sections(elf, &head);
	*elf_ret = npt_take(elf);
	return 0;
}

void npt_elf_free(struct npt_elf *elf)
{
	if (!elf)
		return;
	free(elf->sections);
	free(elf);
}

uint16_t npt_elf_machine(const struct npt_elf *elf)
{
	return elf->machine;
}

const char *npt_elf_build_id(const struct npt_elf *elf)
{
	return elf->build_id;
}

bool npt_elf_is_packed(struct npt_elf *elf)
{
	uint8_t head[UPX_HEAD_BYTES];
	size_t size = elf->size_bytes < sizeof(head) ? (size_t)elf->size_bytes : sizeof(head);

	if (elf->section_count > 0 || npt_elf_read(elf, 0, head, size, NULL) < 0)
		return false;
	return memmem(head, size, "UPX!", 4) != NULL;
}

const struct npt_elf_segment *npt_elf_segments(const struct npt_elf *elf, size_t *count_ret)
{
	*count_ret = elf->segment_count;
	return elf->segments;
}

const struct npt_elf_section *npt_elf_section(const struct npt_elf *elf, const char *name)
{
	for (size_t i = 0; i < elf->section_count; i++)
		if (strcmp(elf->sections[i].name, name) == 0)
			return &elf->sections[i];
	return NULL;
}

uint64_t npt_elf_bytes_read(const struct npt_elf *elf)
{
	return elf->read_bytes;
}

bool npt_elf_has_symtab(const struct npt_elf *elf)
{
	return elf->symtab;
}

static const struct npt_elf_segment *segment_of(const struct npt_elf *elf, uint64_t vaddr)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct npt_elf_segment *segment = &elf->segments[i];

		if (vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->file_bytes)
			return segment;
	}
	return NULL;
}

int npt_elf_offset(const struct npt_elf *elf, uint64_t vaddr, uint64_t *offset_ret)
{
	const struct npt_elf_segment *segment = segment_of(elf, vaddr);

	if (!segment)
		return -EFAULT;
	*offset_ret = segment->offset + (vaddr - segment->vaddr);
	return 0;
}

int npt_elf_read_vaddr(struct npt_elf *elf, uint64_t vaddr, void *out, size_t size_bytes,
		       struct npt_error *err)
{
	const struct npt_elf_segment *segment = segment_of(elf, vaddr);

	if (!segment || size_bytes > segment->file_bytes - (vaddr - segment->vaddr))
		return npt_error_set(err, EFAULT, "an address that is not in the file");
	return npt_elf_read(elf, segment->offset + (vaddr - segment->vaddr), out, size_bytes, err);
}
