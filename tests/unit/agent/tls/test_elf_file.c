/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/elf_file.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "tests/support/elf_image.h"
#include "tests/support/test.h"

#define FOUND_MAX 16

struct found {
	struct {
		size_t number;
		struct npt_elf_symbol symbol;
		char name[64];
	} all[FOUND_MAX];
	size_t count;
};

static void take(size_t number, const char *name, const struct npt_elf_symbol *symbol,
		 void *context)
{
	struct found *found = context;

	if (found->count == FOUND_MAX)
		return;
	found->all[found->count].number = number;
	found->all[found->count].symbol = *symbol;
	(void)snprintf(found->all[found->count].name, sizeof(found->all[0].name), "%s", name);
	found->count++;
}

static const struct npt_elf_symbol *symbol_of(const struct found *found, size_t number)
{
	static const struct npt_elf_symbol none;

	for (size_t i = 0; i < found->count; i++)
		if (found->all[i].number == number)
			return &found->all[i].symbol;
	return &none;
}

static struct npt_elf *open_image(const struct elf_image *image, int *fd_ret)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_elf *elf = NULL;

	*fd_ret = elf_image_open(image->bytes, sizeof(image->bytes));
	NPT_CHECK_INT(npt_elf_open(*fd_ret, &elf, &err), 0);
	NPT_CHECK_STR(err.text, "");
	return elf;
}

static void finds_functions_in_both_tables_but_no_other_symbols(void)
{
	static const struct elf_image_symbol exported[] = {
		{ "SSL_read", 0x810, 32, STT_FUNC, 9 },
		{ "SSL_write", 0x830, 16, STT_FUNC, 0 },      /* somebody else's */
		{ "SSL_peek", 0x840, 16, STT_GNU_IFUNC, 9 },  /* chosen at run time */
		{ "SSL_free", 0x1010, 16, STT_FUNC, 9 },      /* not in code */
		{ "SSL_set_fd", 0x850, 16, STT_OBJECT, 9 },   /* a variable */
		{ "my_SSL_shutdown", 0x860, 16, STT_FUNC, 9 } /* ends like one */
	};
	static const struct elf_image_symbol local[] = {
		{ "SSL_do_handshake", 0x880, 48, STT_FUNC, 9 },
		{ "_ZN4conn6Reader4read17h0123E", 0x8c0, 64, STT_FUNC, 9 },
		{ "_ZN4conn6Reader4peek17h0123E", 0x900, 64, STT_FUNC, 9 },
	};
	static const char *const names[] = { "SSL_read",         "SSL_write",
					     "SSL_peek",         "SSL_free",
					     "SSL_set_fd",       "SSL_shutdown",
					     "SSL_do_handshake", "_ZN*Reader4read17h*" };
	struct found found = { .count = 0 };
	struct elf_image image;
	struct npt_elf *elf;
	int fd;

	elf_image_init(&image);
	elf_image_symbols(&image, ".dynsym", ".dynstr", SHT_DYNSYM, exported, 6);
	elf_image_symbols(&image, ".symtab", ".strtab", SHT_SYMTAB, local, 3);
	elf = open_image(&image, &fd);
	NPT_CHECK(npt_elf_has_symtab(elf));
	NPT_CHECK_INT(npt_elf_find_functions(elf, names, 8, take, &found, NULL), 0);
	NPT_CHECK_INT(found.count, 3);
	NPT_CHECK_INT(symbol_of(&found, 0)->offset, 0x810);
	NPT_CHECK_INT(symbol_of(&found, 0)->vaddr, ELF_IMAGE_BASE + 0x810);
	NPT_CHECK_INT(symbol_of(&found, 0)->size_bytes, 32);
	NPT_CHECK_INT(symbol_of(&found, 6)->offset, 0x880);
	NPT_CHECK_INT(symbol_of(&found, 7)->offset, 0x8c0);
	NPT_CHECK_STR(found.all[2].name, "_ZN4conn6Reader4read17h0123E");
	npt_elf_free(elf);
	(void)close(fd);
}

static void finds_a_name_that_shares_the_end_of_another(void)
{
	static const char names[] = "\0my_SSL_read";
	static const char *const wanted[] = { "SSL_read" };
	Elf64_Sym symbols[2] = { { .st_name = 0 },
				 { .st_name = 4,
				   .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
				   .st_shndx = 1,
				   .st_value = ELF_IMAGE_BASE + 0x900,
				   .st_size = 8 } };
	struct found found = { .count = 0 };
	struct elf_image image;
	struct npt_elf *elf;
	uint16_t link;
	int fd;

	elf_image_init(&image);
	link = elf_image_section(&image, ".dynstr", SHT_STRTAB, 0,
				 elf_image_put(&image, ELF_IMAGE_UNMAPPED, names, sizeof(names)),
				 sizeof(names));
	(void)elf_image_section(&image, ".dynsym", SHT_DYNSYM, link,
				elf_image_put(&image, ELF_IMAGE_UNMAPPED, symbols, sizeof(symbols)),
				sizeof(symbols));
	elf = open_image(&image, &fd);
	NPT_CHECK_INT(npt_elf_find_functions(elf, wanted, 1, take, &found, NULL), 0);
	NPT_CHECK_INT(found.count, 1);
	NPT_CHECK_INT(found.all[0].symbol.offset, 0x900);
	npt_elf_free(elf);
	(void)close(fd);
}

struct heard {
	char text[4][NPT_ELF_TEXT_BYTES];
	size_t count;
	bool enough;
};

static bool hear(size_t number, const char *text, void *context)
{
	struct heard *heard = context;

	(void)number;
	if (heard->count < 4)
		(void)snprintf(heard->text[heard->count], sizeof(heard->text[0]), "%s", text);
	heard->count++;
	return heard->enough;
}

static void finds_texts_in_constants_only(void)
{
	static const char *const texts[] = { "OpenSSL ", "absent" };
	static const char constant[] = "x\0OpenSSL 3.0.17 1 Jul 2025\0OpenSSL PKCS";
	static const char other[] = "OpenSSL in code";
	struct heard heard = { .enough = false };
	struct elf_image image;
	struct npt_elf *elf;
	uint64_t at;
	int fd;

	elf_image_init(&image);
	at = elf_image_put(&image, ELF_IMAGE_CONSTANTS, constant, sizeof(constant));
	(void)elf_image_put(&image, ELF_IMAGE_CODE, other, sizeof(other));
	(void)elf_image_put(&image, ELF_IMAGE_DATA, other, sizeof(other));
	(void)elf_image_section(&image, ".rodata", SHT_PROGBITS, 0, at, sizeof(constant));
	elf = open_image(&image, &fd);
	NPT_CHECK_INT(npt_elf_find_texts(elf, texts, 2, 1 << 20, hear, &heard, NULL), 1);
	NPT_CHECK_INT(heard.count, 2);
	NPT_CHECK_STR(heard.text[0], "OpenSSL 3.0.17 1 Jul 2025");
	NPT_CHECK_STR(heard.text[1], "OpenSSL PKCS");
	heard = (struct heard){ .enough = true };
	NPT_CHECK_INT(npt_elf_find_texts(elf, texts, 2, 1 << 20, hear, &heard, NULL), 1);
	NPT_CHECK_INT(heard.count, 1);
	heard = (struct heard){ .enough = false };
	NPT_CHECK_INT(npt_elf_find_texts(elf, texts, 2, 9, hear, &heard, NULL), 0);
	NPT_CHECK_INT(heard.count, 0);
	npt_elf_free(elf);
	(void)close(fd);
}

/* A text that a window of the reader ends in must be found all the same. */
static void finds_texts_wherever_they_are_in_a_large_file(void)
{
	static const char *const texts[] = { "ssl/ssl_lib.c" };
	enum { SIZE = 1 << 20 };
	uint64_t state = npt_test_seed() | 1;
	npt_auto_free uint8_t *file = npt_alloc(1, SIZE);
	struct elf_image image;

	elf_image_init(&image);
	memcpy(file, image.bytes, sizeof(image.bytes));
	((Elf64_Phdr *)(void *)(file + sizeof(Elf64_Ehdr)))[0].p_filesz = SIZE;
	((Elf64_Phdr *)(void *)(file + sizeof(Elf64_Ehdr)))[0].p_memsz = SIZE;
	for (size_t i = 0; i < 60; i++) {
		/* Half of them around a border of windows. */
		size_t at = i % 2 ? 0x3000 + npt_test_random(&state) % (SIZE - 0x3100)
				  : (1 + i % 3) * 262144 - 160 + 3 * i;
		struct heard heard = { .enough = true };
		struct npt_elf *elf = NULL;
		int fd;

		memcpy(file + at, texts[0], strlen(texts[0]));
		fd = elf_image_open(file, SIZE);
		NPT_CHECK_INT(npt_elf_open(fd, &elf, NULL), 0);
		NPT_CHECK_INT(npt_elf_find_texts(elf, texts, 1, SIZE, hear, &heard, NULL), 1);
		NPT_CHECK_INT(heard.count, 1);
		memset(file + at, 0, strlen(texts[0]));
		npt_elf_free(elf);
		(void)close(fd);
	}
}

static void refuses_what_it_cannot_handle_and_says_why(void)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *why;
	} cases[] = {
		{ 0, 'X', "not an ELF file" },
		{ EI_CLASS, ELFCLASS32, "a program of 32 bits" },
		{ EI_DATA, ELFDATA2MSB, "of another byte order" },
		{ offsetof(Elf64_Ehdr, e_type), ET_REL, "neither a program nor a library" },
		{ offsetof(Elf64_Ehdr, e_phnum), 0, "an ELF file without program headers" },
		{ offsetof(Elf64_Ehdr, e_phnum) + 1, 0xff, "more than 256 program headers" },
		{ sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz) + 3, 1,
		  "truncated: a segment of it is not in the file" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct npt_error err = NPT_ERROR_NONE;
		struct npt_elf *elf = NULL;
		struct elf_image image;
		int fd;

		elf_image_init(&image);
		image.bytes[cases[i].at] = cases[i].value;
		fd = elf_image_open(image.bytes, sizeof(image.bytes));
		NPT_CHECK_INT(npt_elf_open(fd, &elf, &err), -ENOEXEC);
		NPT_CHECK_STR(err.text, cases[i].why);
		NPT_CHECK(elf == NULL);
		(void)close(fd);
	}
}

static void ignores_section_headers_that_are_broken(void)
{
	struct elf_image image;
	struct npt_elf *elf;
	Elf64_Ehdr *head = (Elf64_Ehdr *)(void *)image.bytes;
	int fd;

	elf_image_init(&image);
	(void)elf_image_section(&image, ".rodata", SHT_PROGBITS, 0, 0x200, 16);
	elf = open_image(&image, &fd);
	NPT_CHECK(npt_elf_section(elf, ".rodata") != NULL);
	NPT_CHECK(npt_elf_section(elf, ".text") == NULL);
	npt_elf_free(elf);
	(void)close(fd);
	head->e_shoff = UINT64_MAX - 8;
	elf = open_image(&image, &fd);
	NPT_CHECK(npt_elf_section(elf, ".rodata") == NULL);
	npt_elf_free(elf);
	(void)close(fd);
}

static void knows_where_an_address_is_in_the_file(void)
{
	struct elf_image image;
	struct npt_elf *elf;
	uint64_t offset = 0;
	uint8_t bytes[8];
	int fd;

	elf_image_init(&image);
	elf = open_image(&image, &fd);
	NPT_CHECK_INT(npt_elf_offset(elf, ELF_IMAGE_BASE + 0x801, &offset), 0);
	NPT_CHECK_INT(offset, 0x801);
	NPT_CHECK_INT(npt_elf_offset(elf, ELF_IMAGE_BASE - 1, &offset), -EFAULT);
	NPT_CHECK_INT(npt_elf_offset(elf, ELF_IMAGE_BASE + 0x1400, &offset), -EFAULT);
	NPT_CHECK_INT(npt_elf_read_vaddr(elf, ELF_IMAGE_BASE + 0x13f8, bytes, 8, NULL), 0);
	NPT_CHECK_INT(npt_elf_read_vaddr(elf, ELF_IMAGE_BASE + 0x13f9, bytes, 8, NULL), -EFAULT);
	NPT_CHECK_INT(npt_elf_read_vaddr(elf, UINT64_MAX, bytes, 8, NULL), -EFAULT);
	npt_elf_free(elf);
	(void)close(fd);
}

/* A sparse file whose names are said to take a terabyte. */
static void stops_at_its_budget(void)
{
	static const char *const wanted[] = { "SSL_read" };
	const uint64_t huge = UINT64_C(1) << 40;
	struct npt_error err = NPT_ERROR_NONE;
	struct found found = { .count = 0 };
	struct elf_image image;
	struct npt_elf *elf = NULL;
	uint16_t link;
	int fd;

	elf_image_init(&image);
	link = elf_image_section(&image, ".strtab", SHT_STRTAB, 0, 0x1400, huge);
	(void)elf_image_section(&image, ".symtab", SHT_SYMTAB, link, 0x1400, 240);
	fd = elf_image_open(image.bytes, sizeof(image.bytes));
	NPT_CHECK_INT(ftruncate(fd, (off_t)(2 * huge)), 0);
	NPT_CHECK_INT(npt_elf_open(fd, &elf, NULL), 0);
	NPT_CHECK_INT(npt_elf_find_functions(elf, wanted, 1, take, &found, &err), -EFBIG);
	NPT_CHECK_STR(err.text, "looking through it takes more than 256 MiB");
	NPT_CHECK(npt_elf_bytes_read(elf) <= NPT_ELF_BUDGET_BYTES);
	npt_elf_free(elf);
	(void)close(fd);
}

static void survives_a_file_that_shrinks(void)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct elf_image image;
	struct npt_elf *elf;
	uint8_t bytes[16];
	int fd;

	elf_image_init(&image);
	elf = open_image(&image, &fd);
	NPT_CHECK_INT(ftruncate(fd, 0x400), 0);
	NPT_CHECK_INT(npt_elf_read(elf, 0x3f8, bytes, sizeof(bytes), &err), -EIO);
	NPT_CHECK_STR(err.text, "the file became shorter meanwhile");
	npt_elf_free(elf);
	(void)close(fd);
}

static void knows_a_packed_program(void)
{
	struct elf_image image;
	struct npt_elf *elf;
	int fd;

	elf_image_init(&image);
	elf = open_image(&image, &fd);
	NPT_CHECK(!npt_elf_is_packed(elf));
	npt_elf_free(elf);
	(void)close(fd);
	memcpy(image.bytes + 0xec, "UPX!", 4);
	elf = open_image(&image, &fd);
	NPT_CHECK(npt_elf_is_packed(elf));
	npt_elf_free(elf);
	(void)close(fd);
}

/* Truth: what the dynamic linker says of the same library. */
static void agrees_with_the_dynamic_linker(void)
{
	static const char *const names[] = { "SSL_read", "SSL_write_ex", "SSL_free" };
	void *library = dlopen("libssl.so.3", RTLD_NOW);
	struct found found = { .count = 0 };
	struct link_map *map = NULL;
	struct npt_elf *elf = NULL;
	int fd;

	NPT_CHECK(library != NULL);
	if (!library || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0)
		return;
	fd = open(map->l_name, O_RDONLY | O_CLOEXEC);
	NPT_CHECK_INT(npt_elf_open(fd, &elf, NULL), 0);
	NPT_CHECK_INT(npt_elf_find_functions(elf, names, 3, take, &found, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		const struct npt_elf_symbol *symbol = symbol_of(&found, i);
		uint8_t there[16], here[16];

		NPT_CHECK(map->l_addr + symbol->vaddr == (uintptr_t)dlsym(library, names[i]));
		NPT_CHECK(symbol->size_bytes >= sizeof(there));
		NPT_CHECK_INT(npt_elf_read(elf, symbol->offset, there, sizeof(there), NULL), 0);
		memcpy(here, dlsym(library, names[i]), sizeof(here));
		NPT_CHECK(memcmp(here, there, sizeof(here)) == 0);
	}
	NPT_CHECK(strlen(npt_elf_build_id(elf)) == 40);
	npt_elf_free(elf);
	(void)close(fd);
	(void)dlclose(library);
}

static const struct npt_test tests[] = {
	NPT_TEST(finds_functions_in_both_tables_but_no_other_symbols),
	NPT_TEST(finds_a_name_that_shares_the_end_of_another),
	NPT_TEST(finds_texts_in_constants_only),
	NPT_TEST(finds_texts_wherever_they_are_in_a_large_file),
	NPT_TEST(refuses_what_it_cannot_handle_and_says_why),
	NPT_TEST(ignores_section_headers_that_are_broken),
	NPT_TEST(knows_where_an_address_is_in_the_file),
	NPT_TEST(stops_at_its_budget),
	NPT_TEST(survives_a_file_that_shrinks),
	NPT_TEST(knows_a_packed_program),
	NPT_TEST(agrees_with_the_dynamic_linker),
};
NPT_TEST_MAIN(tests)
