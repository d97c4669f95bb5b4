/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/elf_image.h"

#include <assert.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADERS_AT  0x2000U
#define HEADERS_MAX 24
#define NAMES_AT    0x2800U
#define NAMES_BYTES 0x400U

static const uint64_t begins[ELF_IMAGE_PARTS] = { 0x200, 0x800, 0x1000, 0x1400 };
static const uint64_t ends[ELF_IMAGE_PARTS] = { 0x800, 0x1000, 0x1400, 0x2000 };

static void put_head(struct elf_image *image)
{
	Elf64_Ehdr head = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_DYN,
#ifdef __aarch64__
		.e_machine = EM_AARCH64,
#else
		.e_machine = EM_X86_64,
#endif
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(head),
		.e_ehsize = sizeof(head),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	static const uint32_t flags[] = { PF_R, PF_R | PF_X, PF_R | PF_W };

	memcpy(image->bytes, &head, sizeof(head));
	for (size_t i = 0; i < 3; i++) {
		uint64_t begin = i == 0 ? 0 : begins[i];
		Elf64_Phdr header = {
			.p_type = PT_LOAD,
			.p_flags = flags[i],
			.p_offset = begin,
			.p_vaddr = ELF_IMAGE_BASE + begin,
			.p_filesz = ends[i] - begin,
			.p_memsz = ends[i] - begin,
		};

		memcpy(image->bytes + sizeof(head) + i * sizeof(header), &header, sizeof(header));
	}
}

void elf_image_init(struct elf_image *image)
{
	memset(image, 0, sizeof(*image));
	memcpy(image->used, begins, sizeof(begins));
	put_head(image);
}

uint64_t elf_image_put(struct elf_image *image, enum elf_image_part part, const void *data,
		       size_t size_bytes)
{
	uint64_t offset = (image->used[part] + 15) & ~UINT64_C(15);

	assert(offset + size_bytes <= ends[part]);
	memcpy(image->bytes + offset, data, size_bytes);
	image->used[part] = offset + size_bytes;
	return offset;
}

static void put_section(struct elf_image *image, uint16_t number, const Elf64_Shdr *header)
{
	assert(number < HEADERS_MAX);
	memcpy(image->bytes + HEADERS_AT + number * sizeof(*header), header, sizeof(*header));
}

static uint32_t put_name(struct elf_image *image, const char *name)
{
	uint64_t at = image->names_used;
	size_t size = strlen(name) + 1;

	assert(at + size <= NAMES_BYTES);
	memcpy(image->bytes + NAMES_AT + at, name, size);
	image->names_used += size;
	return (uint32_t)at;
}

/* Section 1 holds the names. */
static void begin_sections(struct elf_image *image)
{
	Elf64_Shdr names = { .sh_type = SHT_STRTAB, .sh_offset = NAMES_AT, .sh_size = NAMES_BYTES };
	Elf64_Ehdr head;

	image->names_used = 1;
	names.sh_name = put_name(image, ".shstrtab");
	put_section(image, 1, &names);
	image->sections = 2;
	memcpy(&head, image->bytes, sizeof(head));
	head.e_shoff = HEADERS_AT;
	head.e_shstrndx = 1;
	memcpy(image->bytes, &head, sizeof(head));
}

uint16_t elf_image_section(struct elf_image *image, const char *name, uint32_t type, uint32_t link,
			   uint64_t offset, uint64_t size_bytes)
{
	Elf64_Shdr header = { .sh_type = type,
			      .sh_link = link,
			      .sh_offset = offset,
			      .sh_addr = offset < 0x1400 ? ELF_IMAGE_BASE + offset : 0,
			      .sh_size = size_bytes };
	Elf64_Ehdr head;

	if (image->sections == 0)
		begin_sections(image);
	header.sh_name = put_name(image, name);
	put_section(image, image->sections, &header);
	memcpy(&head, image->bytes, sizeof(head));
	head.e_shnum = (uint16_t)(image->sections + 1);
	memcpy(image->bytes, &head, sizeof(head));
	return image->sections++;
}

void elf_image_symbols(struct elf_image *image, const char *name, const char *names_name,
		       uint32_t type, const struct elf_image_symbol *symbols, size_t count)
{
	Elf64_Sym table[32] = { { .st_name = 0 } };
	char names[1024] = "";
	size_t used = 1;
	uint64_t at;
	uint16_t link;

	assert(count < sizeof(table) / sizeof(table[0]));
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(symbols[i].name) + 1;

		assert(used + size <= sizeof(names));
		memcpy(names + used, symbols[i].name, size);
		table[i + 1] = (Elf64_Sym){
			.st_name = (uint32_t)used,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, symbols[i].type),
			.st_shndx = symbols[i].section,
			.st_value = ELF_IMAGE_BASE + symbols[i].offset,
			.st_size = symbols[i].size_bytes,
		};
		used += size;
	}
	at = elf_image_put(image, ELF_IMAGE_UNMAPPED, names, used);
	link = elf_image_section(image, names_name, SHT_STRTAB, 0, at, used);
	at = elf_image_put(image, ELF_IMAGE_UNMAPPED, table, (count + 1) * sizeof(table[0]));
	(void)elf_image_section(image, name, type, link, at, (count + 1) * sizeof(table[0]));
}

int elf_image_open(const void *bytes, size_t size_bytes)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || write(fd, bytes, size_bytes) != (ssize_t)size_bytes)
		abort();
	return fd;
}
