/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of all four generations, made here: what is in them is what the reader must say. What real
 * compilers make is compared with their own symbols, if there is a Go on this machine.
 */
#include "agent/tls/gopclntab.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "tests/support/elf_image.h"
#include "tests/support/test.h"

extern char **environ;

#define TEXT (ELF_IMAGE_BASE + 0x800)

enum { FUNCTIONS = 4 };
static const char *const functions[FUNCTIONS] = { "crypto/tls.(*Conn).ReadFrom",
						  "crypto/tls.(*Conn).Read",
						  "vendor/crypto/tls.(*Conn).Write",
						  "crypto/tls.(*Conn).Write" };
static const uint64_t starts[FUNCTIONS + 1] = { 0, 0x40, 0x100, 0x180, 0x200 };
static const char *const wanted[] = { "crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write",
				      "crypto/tls.(*Conn).Close" };

struct generation {
	uint32_t magic;
	bool head_has_text; /* 1.18 to 1.25 */
	const char *what;
};
static const struct generation generations[] = {
	{ 0xfffffffb, false, "1.2" }, { 0xfffffffa, false, "1.16" }, { 0xfffffff0, true, "1.18" },
	{ 0xfffffff1, true, "1.20" }, { 0xfffffff1, false, "1.26" },
};

struct writer {
	uint8_t bytes[1024];
	size_t size;
};

static void put(struct writer *writer, uint64_t value, size_t size)
{
	memcpy(writer->bytes + writer->size, &value, size);
	writer->size += size;
}

static void put_at(struct writer *writer, size_t at, uint64_t value, size_t size)
{
	memcpy(writer->bytes + at, &value, size);
}

/* Entries, then records; names are where name_at says. */
static void put_functions(struct writer *writer, bool short_ones, size_t base,
			  const size_t name_at[FUNCTIONS])
{
	size_t width = short_ones ? 4 : 8, entries = writer->size;
	uint64_t text = short_ones ? 0 : TEXT;

	writer->size += (2 * FUNCTIONS + 1) * width;
	writer->size = (writer->size + 7) & ~(size_t)7;
	for (size_t i = 0; i < FUNCTIONS; i++) {
		put_at(writer, entries + 2 * i * width, text + starts[i], width);
		put_at(writer, entries + (2 * i + 1) * width, writer->size - base, width);
		put(writer, text + starts[i], width);
		put(writer, name_at[i], 4);
		writer->size = (writer->size + 7) & ~(size_t)7;
	}
	put_at(writer, entries + (size_t)2 * FUNCTIONS * width, text + starts[FUNCTIONS], width);
	writer->size += 32;
}

static void make_table(const struct generation *generation, struct writer *writer)
{
	bool old = generation->magic == 0xfffffffb, middle = generation->magic == 0xfffffffa;
	size_t name_at[FUNCTIONS], names, words = old ? 1 : middle ? 7 : 8, at;

	*writer = (struct writer){ .size = 0 };
	put(writer, generation->magic, 4);
	put(writer, UINT64_C(0x08010000), 4);
	put(writer, FUNCTIONS, 8);
	writer->size = 8 + words * 8;
	if (old) { /* entries follow at once, the names after them */
		size_t end = 512;

		for (size_t i = 0; i < FUNCTIONS; i++) {
			name_at[i] = end;
			memcpy(writer->bytes + end, functions[i], strlen(functions[i]) + 1);
			end += strlen(functions[i]) + 1;
		}
		put_functions(writer, false, 0, name_at);
		writer->size = end;
		return;
	}
	names = writer->size;
	for (size_t i = 0; i < FUNCTIONS; i++) {
		name_at[i] = writer->size - names;
		memcpy(writer->bytes + writer->size, functions[i], strlen(functions[i]) + 1);
		writer->size += strlen(functions[i]) + 1;
	}
	writer->size = (writer->size + 7) & ~(size_t)7;
	at = middle ? 24 : 32;
	put_at(writer, 24, !middle && generation->head_has_text ? TEXT : 0, 8);
	put_at(writer, at, names, 8);
	for (size_t i = 1; i < 4; i++)
		put_at(writer, at + 8 * i, writer->size, 8);
	put_at(writer, at + 32, writer->size, 8);
	put_functions(writer, !middle, writer->size, name_at);
}

/* The module's data as far as they matter: the table's address, and the text's. */
static void put_module(struct elf_image *image, uint64_t table)
{
	uint64_t words[40] = { ELF_IMAGE_BASE + table };

	words[20] = TEXT;
	words[21] = TEXT + starts[FUNCTIONS];
	words[22] = TEXT;
	(void)elf_image_put(image, ELF_IMAGE_DATA, words, sizeof(words));
}

static void make_program(struct elf_image *image, const struct generation *generation,
			 bool sections)
{
	struct writer writer;
	uint64_t at;

	make_table(generation, &writer);
	elf_image_init(image);
	at = elf_image_put(image, ELF_IMAGE_CONSTANTS, writer.bytes, writer.size);
	put_module(image, at);
	if (sections)
		(void)elf_image_section(image, ".gopclntab", SHT_PROGBITS, 0, at, writer.size);
}

static int find(const void *bytes, size_t size, struct npt_elf_symbol found[3],
		struct npt_error *err)
{
	npt_auto(npt_elf_free) struct npt_elf *elf = NULL;
	npt_auto_close int fd = elf_image_open(bytes, size);
	int rc = npt_elf_open(fd, &elf, err);

	return rc < 0 ? rc : npt_gopclntab_find(elf, wanted, 3, found, err);
}

static void finds_functions_of_every_generation_with_and_without_sections(void)
{
	for (size_t i = 0; i < 2 * sizeof(generations) / sizeof(generations[0]); i++) {
		struct npt_elf_symbol found[3];
		struct npt_error err = NPT_ERROR_NONE;
		struct elf_image image;

		make_program(&image, &generations[i / 2], i % 2 == 0);
		NPT_CHECK_INT(find(image.bytes, sizeof(image.bytes), found, &err), 0);
		NPT_CHECK_STR(err.text, "");
		NPT_CHECK_INT(found[0].offset, 0x840);
		NPT_CHECK_INT(found[0].vaddr, TEXT + 0x40);
		NPT_CHECK_INT(found[0].size_bytes, 0xc0);
		NPT_CHECK_INT(found[1].offset, 0x980); /* not the one that only ends so */
		NPT_CHECK_INT(found[1].size_bytes, 0x80);
		NPT_CHECK_INT(found[2].offset, 0);
	}
}

static void refuses_a_table_that_contradicts_itself(void)
{
	for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
		struct npt_elf_symbol found[3];
		struct npt_error err = NPT_ERROR_NONE;
		struct elf_image image;
		struct writer writer;
		bool old = generations[i].magic == 0xfffffffb;
		bool wide = old || generations[i].magic == 0xfffffffa;
		uint64_t entries = 16;

		make_program(&image, &generations[i], true);
		make_table(&generations[i], &writer);
		if (!old)
			memcpy(&entries, writer.bytes + (wide ? 24 : 32) + 32, 8);
		/* The second function begins after the third. */
		image.bytes[0x200 + entries + (wide ? 16 : 8) + 1] += 5;
		NPT_CHECK_INT(find(image.bytes, sizeof(image.bytes), found, &err), -EBADMSG);
		NPT_CHECK_STR(err.text, "Go's table of functions contradicts itself");
	}
}

/* Go 1.16 has whole addresses: here the last function's is in data. */
static void takes_no_function_that_is_not_code(void)
{
	const uint64_t data[3] = { ELF_IMAGE_BASE + 0x1000, 0, ELF_IMAGE_BASE + 0x1100 };
	struct npt_elf_symbol found[3];
	struct elf_image image;
	struct writer writer;
	uint64_t entries, last;

	make_program(&image, &generations[1], true);
	make_table(&generations[1], &writer);
	memcpy(&entries, writer.bytes + 24 + 32, 8);
	last = 0x200 + entries + (uint64_t)(FUNCTIONS - 1) * 16;
	memcpy(image.bytes + last, &data[0], 8);
	memcpy(image.bytes + last + 16, &data[2], 8);
	NPT_CHECK_INT(find(image.bytes, sizeof(image.bytes), found, NULL), 0);
	NPT_CHECK_INT(found[0].offset, 0x840);
	NPT_CHECK_INT(found[1].offset, 0);
}

static void refuses_a_text_that_nothing_says(void)
{
	struct npt_elf_symbol found[3];
	struct npt_error err = NPT_ERROR_NONE;
	struct elf_image image;

	make_program(&image, &generations[4], true);
	image.bytes[0x1000 + 8 * 21]++; /* the module's last address is not the table's */
	NPT_CHECK_INT(find(image.bytes, sizeof(image.bytes), found, &err), -EBADMSG);
	elf_image_init(&image);
	NPT_CHECK_INT(find(image.bytes, sizeof(image.bytes), found, &err), -ENOENT);
}

/* Whatever is broken: an end, and no place outside of the code. */
static void survives_damage_anywhere(void)
{
	uint64_t state = npt_test_seed() | 1;

	for (size_t round = 0; round < 4000; round++) {
		struct npt_elf_symbol found[3];
		struct elf_image image;

		make_program(&image, &generations[round % 5], round % 2);
		for (size_t i = 0; i <= round % 4; i++)
			image.bytes[0x200 + npt_test_random(&state) % 0x300] =
				(uint8_t)npt_test_random(&state);
		if (find(image.bytes, sizeof(image.bytes), found, NULL) < 0)
			continue;
		for (size_t i = 0; i < 3; i++)
			NPT_CHECK(found[i].offset == 0 ||
				  (found[i].offset >= 0x800 && found[i].offset < 0x1000));
	}
}

static void reads_versions_inline_and_by_pointer(void)
{
	static const struct {
		const char *text, *version;
	} cases[] = {
		{ "go1.22.4", "1.22.4" },
		{ "devel go1.23-abcdef01 Mon Jan", "1.23-abcdef01" },
		{ "go1.24.1 X:nocoverageredesign", "1.24.1" },
		{ "something", "" },
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i / 2].text;
		uint8_t info[64] = "\xff Go buildinf:";
		npt_auto(npt_elf_free) struct npt_elf *elf = NULL;
		char version[NPT_GO_VERSION_BYTES] = "?";
		struct elf_image image;
		npt_auto_close int fd = -1;

		elf_image_init(&image);
		info[14] = 8;
		if (i % 2 == 0) {
			info[15] = 2;
			info[32] = (uint8_t)strlen(text);
			memcpy(info + 33, text, strlen(text) < 31 ? strlen(text) : 31);
		} else {
			uint64_t at = ELF_IMAGE_BASE + elf_image_put(&image, ELF_IMAGE_CONSTANTS,
								     text, strlen(text));
			uint64_t string[2] = { at, strlen(text) };

			at = ELF_IMAGE_BASE +
			     elf_image_put(&image, ELF_IMAGE_CONSTANTS, string, sizeof(string));
			memcpy(info + 16, &at, sizeof(at));
		}
		(void)elf_image_put(&image, ELF_IMAGE_DATA, info, sizeof(info));
		fd = elf_image_open(image.bytes, sizeof(image.bytes));
		NPT_CHECK_INT(npt_elf_open(fd, &elf, NULL), 0);
		NPT_CHECK_INT(npt_go_version(elf, version, NULL), 0);
		NPT_CHECK_STR(version, cases[i / 2].version);
	}
}

#define SOURCE                                                                                     \
	"package main\nimport (\"crypto/tls\"; \"os\")\nfunc main() {\n"                           \
	"c, err := tls.Dial(\"tcp\", os.Args[1], nil)\nif err != nil { return }\n"                 \
	"b := make([]byte, 10)\nc.Write(b)\nc.Read(b)\nc.Close() }\n"

static int build(const char *folder, const char *out, const char *flags, const char *mode)
{
	npt_auto_free char *output = npt_format("%s/%s", folder, out);
	npt_auto_free char *source = npt_format("%s/main.go", folder);
	char go[] = "go", verb[] = "build", option[] = "-o";
	npt_auto_free char *ldflags = npt_format("-ldflags=%s", flags);
	npt_auto_free char *buildmode = npt_format("-buildmode=%s", mode);
	char *arguments[] = { go, verb, option, output, ldflags, buildmode, source, NULL };
	pid_t pid;
	int status = 0, rc = posix_spawnp(&pid, "go", NULL, NULL, arguments, environ);

	if (rc != 0)
		return -rc;
	NPT_CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void take_symbol(size_t number, const char *name, const struct npt_elf_symbol *symbol,
			void *context)
{
	(void)name;
	((struct npt_elf_symbol *)context)[number] = *symbol;
}

/* The table and the symbols of the same program agree; stripped of symbols it says the same. */
static void agrees_with_the_symbols_of_real_programs(void)
{
	static const struct {
		const char *name, *flags, *mode;
	} programs[] = {
		{ "plain", "", "exe" },
		{ "stripped", "-s -w", "exe" },
		{ "pie", "", "pie" },
	};
	char folder[] = "/tmp/npt-gopclntab-XXXXXX";
	npt_auto_free char *source = NULL;
	struct npt_elf_symbol first[3] = { { .offset = 0 } };
	FILE *file;

	NPT_CHECK(mkdtemp(folder) != NULL);
	source = npt_format("%s/main.go", folder);
	file = fopen(source, "we");
	NPT_CHECK(file && fputs(SOURCE, file) >= 0 && fclose(file) == 0);
	(void)setenv("CGO_ENABLED", "0", 1);
	for (size_t i = 0; i < 3; i++) {
		npt_auto_free char *path = npt_format("%s/%s", folder, programs[i].name);
		npt_auto(npt_elf_free) struct npt_elf *elf = NULL;
		struct npt_elf_symbol symbols[3] = { { .offset = 0 } }, found[3];
		char version[NPT_GO_VERSION_BYTES] = "";
		npt_auto_close int fd = -1;
		int rc = build(folder, programs[i].name, programs[i].flags, programs[i].mode);

		if (rc == -ENOENT) {
			npt_test_skip("there is no Go on this machine");
			break;
		}
		NPT_CHECK_INT(rc, 0);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		NPT_CHECK_INT(npt_elf_open(fd, &elf, NULL), 0);
		NPT_CHECK_INT(npt_go_version(elf, version, NULL), 0);
		NPT_CHECK(strncmp(version, "1.", 2) == 0);
		NPT_CHECK_INT(npt_gopclntab_find(elf, wanted, 3, found, NULL), 0);
		NPT_CHECK_INT(npt_elf_find_functions(elf, wanted, 3, take_symbol, symbols, NULL),
			      0);
		for (size_t j = 0; j < 3; j++) {
			const struct npt_elf_symbol *truth = i == 1 ? &first[j] : &symbols[j];

			NPT_CHECK(found[j].offset != 0 && found[j].offset == truth->offset);
			NPT_CHECK(found[j].size_bytes >= truth->size_bytes);
		}
		NPT_CHECK((symbols[0].offset == 0) == (i == 1));
		if (i == 0)
			memcpy(first, symbols, sizeof(first));
		(void)unlink(path);
	}
	(void)unlink(source);
	(void)rmdir(folder);
}

static const struct npt_test tests[] = {
	NPT_TEST(finds_functions_of_every_generation_with_and_without_sections),
	NPT_TEST(refuses_a_table_that_contradicts_itself),
	NPT_TEST(takes_no_function_that_is_not_code),
	NPT_TEST(refuses_a_text_that_nothing_says),
	NPT_TEST(survives_damage_anywhere),
	NPT_TEST(reads_versions_inline_and_by_pointer),
	NPT_TEST(agrees_with_the_symbols_of_real_programs),
};
NPT_TEST_MAIN(tests)
