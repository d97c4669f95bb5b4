/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/library.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "tests/support/elf_image.h"
#include "tests/support/test.h"

#define SYMBOLS_MAX 8

struct symbol {
	const char *name;
	uint64_t size_bytes;
};

struct program {
	const char *file; /* its name */
	bool executable;
	struct symbol symbols[SYMBOLS_MAX]; /* of functions; NULL ends */
	const char *constants;              /* '|' is a NUL */
	/* What is expected; a kind of NPT_TLS_KINDS: nothing. */
	enum npt_tls_kind kind;
	const char *version, *how, *why;
	const char *functions; /* their roles, in the order of the symbols */
};

#define SSL_BOTH                                                                                   \
	{ "SSL_read", 64 },                                                                        \
	{                                                                                          \
		"SSL_write", 64                                                                    \
	}
#define READER "_ZN67_$LT$rustls..conn..connection..Reader$u20$as$u20$std..io..Read$GT$4read17h0E"
#define WRITER "_ZN67_$LT$rustls..conn..connection..Writer$u20$as$u20$std..io..Write$GT$5write17h0E"
#define CONSUME                                                                                    \
	"_ZN69_$LT$rustls..conn..connection..Reader$u20$as$u20$std..io..BufRead$GT$7consume17h0E"

static const struct program programs[] = {
	{ "libssl.so.3",
	  false,
	  { SSL_BOTH, { "SSL_read_ex", 32 }, { "SSL_free", 32 } },
	  "../ssl/ssl_lib.c",
	  NPT_TLS_OPENSSL,
	  "",
	  "symbols of libssl.so.3",
	  "",
	  "read write read_ex free " },
	{ "node",
	  true,
	  { SSL_BOTH, { "SSL_set_fd", 32 } },
	  "enable OpenSSL 3.0 legacy|OpenSSL 3.0.19 27 Jan 2026|ssl/ssl_lib.c",
	  NPT_TLS_OPENSSL,
	  "3.0.19",
	  "symbols of the executable (static)",
	  "",
	  "read write set_fd " },
	{ "libssl.so.1.1",
	  false,
	  { SSL_BOTH },
	  "OpenSSL 1.1.1w  11 Sep 2023",
	  NPT_TLS_OPENSSL,
	  "1.1.1w",
	  "symbols of libssl.so.1.1",
	  "",
	  "read write " },
	/* 3.3 and later: the older form is a jump to the newer one, unless it is a copy. */
	{ "libssl.so.3",
	  false,
	  { SSL_BOTH, { "SSL_write_ex", 10 }, { "SSL_write_ex2", 24 } },
	  "",
	  NPT_TLS_OPENSSL,
	  "",
	  "symbols of libssl.so.3",
	  "",
	  "read write write_ex2 " },
	{ "libssl.so.3",
	  false,
	  { SSL_BOTH, { "SSL_write_ex", 40 }, { "SSL_write_ex2", 24 } },
	  "",
	  NPT_TLS_OPENSSL,
	  "",
	  "symbols of libssl.so.3",
	  "",
	  "read write write_ex write_ex2 " },
	{ "libssl.so.3",
	  false,
	  { SSL_BOTH, { "SSL_write_ex", 10 } },
	  "",
	  NPT_TLS_OPENSSL,
	  "",
	  "symbols of libssl.so.3",
	  "",
	  "read write write_ex " },
	{ "nginx",
	  true,
	  { { "main", 9 } },
	  "OpenSSL 3.3.7 7 Apr 2026|ssl/ssl_lib.c",
	  NPT_TLS_OPENSSL,
	  "3.3.7",
	  "",
	  "statically linked OpenSSL without symbols",
	  "" },
	{ "wrapper.so",
	  false,
	  { SSL_BOTH, { "SSL_peek", 32 } },
	  "/src/boringssl/ssl/ssl_lib.cc|OpenSSL 1.1.1 (compatible; BoringSSL)",
	  NPT_TLS_BORINGSSL,
	  "",
	  "symbols of wrapper.so",
	  "",
	  "read write peek " },
	{ "envoy",
	  true,
	  { { "SSL_read", 32 } },
	  "external/boringssl+/ssl/ssl_lib.cc",
	  NPT_TLS_BORINGSSL,
	  "",
	  "",
	  "statically linked BoringSSL without symbols",
	  "" },
	{ "libssl.so.57",
	  false,
	  { SSL_BOTH },
	  "LibreSSL 3.9.2",
	  NPT_TLS_LIBRESSL,
	  "3.9.2",
	  "symbols of libssl.so.57",
	  "",
	  "read write " },
	/* Linked with a libssl: it says only with which one it was built. */
	{ "haproxy",
	  true,
	  { { "main", 9 } },
	  "Built with OpenSSL version : OpenSSL 3.0.15 3 Sep",
	  NPT_TLS_KINDS,
	  "",
	  "",
	  "",
	  "" },
	{ "libgnutls.so.30",
	  false,
	  { { "gnutls_record_recv", 99 },
	    { "gnutls_record_send", 10 },
	    { "gnutls_record_send2", 99 },
	    { "gnutls_bye", 99 } },
	  "Enabled GnuTLS 3.7.9 logging...",
	  NPT_TLS_GNUTLS,
	  "3.7.9",
	  "symbols of libgnutls.so.30",
	  "",
	  "read write shutdown " },
	{ "libgnutls.so.26",
	  false,
	  { { "gnutls_record_recv", 99 }, { "gnutls_record_send", 10 } },
	  "",
	  NPT_TLS_GNUTLS,
	  "",
	  "symbols of libgnutls.so.26",
	  "",
	  "read write " },
	{ "libgnutls-openssl.so.27", false, { SSL_BOTH }, "", NPT_TLS_KINDS, "", "", "", "" },
	{ "app",
	  true,
	  { { READER, 64 }, { WRITER, 16 } },
	  "/x/rustls-0.23.46/src/conn.rs",
	  NPT_TLS_RUSTLS,
	  "0.23.46",
	  "symbols of the executable (static)",
	  "",
	  "read write " },
	{ "app",
	  true,
	  { { CONSUME, 8 }, { WRITER, 16 } },
	  "/x/rustls-0.23.46/src/conn.rs",
	  NPT_TLS_RUSTLS,
	  "0.23.46",
	  "symbols of the executable (static)",
	  "",
	  "consume write " },
	{ "app",
	  true,
	  { { WRITER, 16 } },
	  "/x/rustls-0.23.46/src/conn.rs",
	  NPT_TLS_RUSTLS,
	  "0.23.46",
	  "",
	  "rustls whose functions have no symbols, or are inlined",
	  "" },
	{ "app",
	  true,
	  { { "main", 1 } },
	  "/x/rustls-pemfile-2.2.0/src/lib.rs",
	  NPT_TLS_KINDS,
	  "",
	  "",
	  "",
	  "" },
	{ "libjvm.so",
	  false,
	  { { "main", 9 } },
	  "",
	  NPT_TLS_JSSE,
	  "",
	  "",
	  "JSSE is compiled at run time: no place for a probe",
	  "" },
	{ "libssl3.so",
	  false,
	  { { "SSL_ImportFD", 9 } },
	  "",
	  NPT_TLS_NSS,
	  "",
	  "",
	  "NSS reads and writes by NSPR's functions, which are not only TLS's",
	  "" },
	{ "libc.so.6", false, { { "read", 9 } }, "", NPT_TLS_KINDS, "", "", "", "" },
};

static void make(const struct program *program, struct elf_image *image)
{
	struct elf_image_symbol symbols[SYMBOLS_MAX];
	size_t count = 0, size = strlen(program->constants);
	char constants[128];

	elf_image_init(image);
	for (; count < SYMBOLS_MAX && program->symbols[count].name; count++)
		symbols[count] = (struct elf_image_symbol){
			.name = program->symbols[count].name,
			.offset = 0x800 + 0x80 * count,
			.size_bytes = program->symbols[count].size_bytes,
			.type = STT_FUNC,
			.section = 1,
		};
	elf_image_symbols(image, ".symtab", ".strtab", SHT_SYMTAB, symbols, count);
	for (size_t i = 0; i <= size; i++)
		constants[i] = program->constants[i] == '|' ? '\0' : program->constants[i];
	(void)elf_image_put(image, ELF_IMAGE_CONSTANTS, constants, size + 1);
}

static void analyse(const void *bytes, size_t size, const char *name, bool executable,
		    struct npt_tls_file *file)
{
	npt_auto_close int fd = elf_image_open(bytes, size);

	npt_tls_analyse(fd, name, executable, file);
}

static void roles_of(const struct npt_tls_library *library, char *out, size_t size)
{
	out[0] = '\0';
	for (uint64_t offset = 0x800; offset < 0x1000; offset += 0x80)
		for (size_t i = 0; i < library->function_count; i++)
			if (library->functions[i].offset == offset)
				(void)snprintf(out + strlen(out), size - strlen(out), "%s ",
					       npt_tls_role_name(library->functions[i].role));
}

static void knows_each_library_and_says_what_it_lacks(void)
{
	npt_auto_free struct npt_tls_file *file = npt_alloc(1, sizeof(*file));

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		const struct program *program = &programs[i];
		const struct npt_tls_library *library = &file->libraries[0];
		struct elf_image image;
		char roles[256];

		make(program, &image);
		analyse(image.bytes, sizeof(image.bytes), program->file, program->executable, file);
		NPT_CHECK_INT(file->count, program->kind != NPT_TLS_KINDS);
		if (file->count == 0)
			continue;
		NPT_CHECK_STR(npt_tls_kind_name(library->kind), npt_tls_kind_name(program->kind));
		NPT_CHECK_STR(library->version, program->version);
		NPT_CHECK_STR(library->how, program->how);
		NPT_CHECK_STR(library->why, program->why);
		roles_of(library, roles, sizeof(roles));
		NPT_CHECK_STR(roles, program->functions);
	}
}

static void says_why_it_cannot_look_into_a_file(void)
{
	npt_auto_free struct npt_tls_file *file = npt_alloc(1, sizeof(*file));
	const struct npt_tls_library *library = &file->libraries[0];
	struct elf_image image;

	analyse("#!/bin/sh\n", 10, "libssl.so", false, file);
	NPT_CHECK_INT(file->count, 1);
	NPT_CHECK_INT(library->kind, NPT_TLS_OPENSSL);
	NPT_CHECK_STR(library->why, "not an ELF file");
	analyse("#!/bin/sh\n", 10, "anything", false, file);
	NPT_CHECK_INT(file->count, 0);
	make(&programs[0], &image);
	image.bytes[EI_CLASS] = ELFCLASS32;
	analyse(image.bytes, sizeof(image.bytes), "x", true, file);
	NPT_CHECK_STR(library->why, "a program of 32 bits");
	make(&programs[0], &image);
	image.bytes[offsetof(Elf64_Ehdr, e_machine)] = EM_S390;
	analyse(image.bytes, sizeof(image.bytes), "libssl.so", false, file);
	NPT_CHECK_STR(library->why, "made for another machine than this one");
	NPT_CHECK_STR(library->how, "");
	NPT_CHECK_INT(library->function_count, 0);
	elf_image_init(&image);
	memcpy(image.bytes + 0xec, "UPX!", 4);
	analyse(image.bytes, sizeof(image.bytes), "x", true, file);
	NPT_CHECK_STR(library->why, "packed by UPX: what runs is not what is in the file");
}

static void keeps_the_version_of_a_libcrypto(void)
{
	static const struct program program = { .constants = "OpenSSL 3.5.8 7 Oct 2025" };
	npt_auto_free struct npt_tls_file *file = npt_alloc(1, sizeof(*file));
	struct elf_image image;

	make(&program, &image);
	analyse(image.bytes, sizeof(image.bytes), "libcrypto-fb8d.so.3", false, file);
	NPT_CHECK_INT(file->count, 0);
	NPT_CHECK_STR(file->crypto_version, "3.5.8");
	NPT_CHECK_INT(file->crypto_kind, NPT_TLS_OPENSSL);
	analyse(image.bytes, sizeof(image.bytes), "libother.so", false, file);
	NPT_CHECK_STR(file->crypto_version, "");
}

static const struct npt_tls_found *find(const struct npt_tls_found *found, size_t count,
					const char *part)
{
	for (size_t i = 0; i < count; i++)
		if (strstr(found[i].path, part))
			return &found[i];
	return NULL;
}

/* This program's own constants are those of all libraries. */
static size_t count_without_executable(const struct npt_tls_found *found, size_t count)
{
	size_t others = 0;

	for (size_t i = 0; i < count; i++)
		others += !found[i].executable;
	return others;
}

/* Truth: the dynamic linker, and what the libraries say of themselves. */
static void finds_the_libraries_of_this_process(void)
{
	struct npt_tls_file_cache *cache = npt_tls_file_cache_new(1000);
	npt_auto_free struct npt_tls_found *all =
		npt_alloc(NPT_TLS_PROCESS_LIBRARIES, sizeof(*all));
	void *ssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_GLOBAL);
	void *gnutls = dlopen("libgnutls.so.30", RTLD_NOW);
	const char *(*ssl_version)(int) = NULL, *(*gnutls_version)(const char *) = NULL;
	const struct npt_tls_found *found;
	npt_auto_free char *text = NULL;
	struct link_map *map = NULL;
	size_t count = 0;
	uint64_t looks;

	NPT_CHECK(ssl && gnutls);
	if (!ssl || !gnutls)
		return;
	*(void **)&ssl_version = dlsym(ssl, "OpenSSL_version");
	*(void **)&gnutls_version = dlsym(gnutls, "gnutls_check_version");
	NPT_CHECK_INT(npt_tls_libraries_of(cache, (uint32_t)getpid(), all, &count, NULL), 0);
	NPT_CHECK_INT(count_without_executable(all, count), 2);
	found = find(all, count, "libgnutls.so.30");
	NPT_CHECK(found && found->library.kind == NPT_TLS_GNUTLS);
	NPT_CHECK_STR(found ? found->library.version : "", gnutls_version(NULL));
	found = find(all, count, "libssl.so.3");
	NPT_CHECK(found && found->library.kind == NPT_TLS_OPENSSL && !found->executable);
	text = npt_format("OpenSSL %s ", found ? found->library.version : "");
	NPT_CHECK(strncmp(ssl_version(0), text, strlen(text)) == 0);
	NPT_CHECK_INT(dlinfo(ssl, RTLD_DI_LINKMAP, &map), 0);
	for (size_t i = 0; found && i < found->library.function_count; i++) {
		const struct npt_tls_function *function = &found->library.functions[i];
		uint8_t there[8];
		npt_auto_close int fd = -1;

		NPT_CHECK_INT(npt_tls_found_open((uint32_t)getpid(), found, &fd, NULL), 0);
		NPT_CHECK_INT(pread(fd, there, 8, (off_t)function->offset), 8);
		NPT_CHECK(memcmp(dlsym(ssl, function->name), there, 8) == 0);
	}
	NPT_CHECK(found && found->library.function_count >= 12);
	looks = npt_tls_file_cache_analyses(cache);
	NPT_CHECK(looks >= 4);
	NPT_CHECK_INT(npt_tls_libraries_of(cache, (uint32_t)getpid(), all, &count, NULL), 0);
	NPT_CHECK_INT(count_without_executable(all, count), 2);
	NPT_CHECK_INT(npt_tls_file_cache_analyses(cache), looks);
	npt_tls_file_cache_free(cache);
}

struct scene {
	char folder[64];
	char *path;
	void *mapping;
};

static void write_program(const char *path, const struct program *program)
{
	npt_auto_close int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0755);
	struct elf_image image;

	make(program, &image);
	NPT_CHECK(write(fd, image.bytes, sizeof(image.bytes)) == sizeof(image.bytes));
}

static void begin(struct scene *scene, const char *name, const struct program *program)
{
	npt_auto_close int fd = -1;

	*scene = (struct scene){ .folder = "/tmp/npt-library-XXXXXX" };
	NPT_CHECK(mkdtemp(scene->folder) != NULL);
	scene->path = npt_format("%s/%s", scene->folder, name);
	write_program(scene->path, program);
	fd = open(scene->path, O_RDONLY | O_CLOEXEC);
	scene->mapping = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
}

static void end(struct scene *scene)
{
	if (scene->mapping)
		(void)munmap(scene->mapping, 4096);
	(void)unlink(scene->path);
	(void)rmdir(scene->folder);
	free(scene->path);
}

static void says_that_a_library_was_replaced_while_in_use(void)
{
	struct npt_tls_file_cache *cache = npt_tls_file_cache_new(100);
	npt_auto_free struct npt_tls_found *all =
		npt_alloc(NPT_TLS_PROCESS_LIBRARIES, sizeof(*all));
	const struct npt_tls_found *found;
	npt_auto_free char *other = NULL;
	struct scene scene;
	size_t count = 0;
	int fd = -1;

	begin(&scene, "libssl.so.9", &programs[0]);
	NPT_CHECK_INT(npt_tls_libraries_of(cache, (uint32_t)getpid(), all, &count, NULL), 0);
	found = find(all, count, "libssl.so.9");
	NPT_CHECK(found && found->library.function_count == 4);
	other = npt_format("%s.new", scene.path);
	write_program(other, &programs[0]);
	NPT_CHECK_INT(rename(other, scene.path), 0);
	NPT_CHECK(found && npt_tls_found_open((uint32_t)getpid(), found, &fd, NULL) == -ESTALE);
	NPT_CHECK_INT(npt_tls_libraries_of(cache, (uint32_t)getpid(), all, &count, NULL), 0);
	found = find(all, count, "libssl.so.9");
	NPT_CHECK(found && found->library.kind == NPT_TLS_OPENSSL);
	NPT_CHECK_INT(found ? found->library.function_count : 99, 0);
	NPT_CHECK_STR(found ? found->library.why : "", "replaced on disk while in use");
	end(&scene);
	npt_tls_file_cache_free(cache);
}

/* Written over in place: the same file with other content, so it is looked into again. */
static void looks_again_at_a_file_that_was_written_to(void)
{
	struct npt_tls_file_cache *cache = npt_tls_file_cache_new(100);
	npt_auto_free struct npt_tls_found *all =
		npt_alloc(NPT_TLS_PROCESS_LIBRARIES, sizeof(*all));
	const struct npt_tls_found *found;
	struct npt_tls_found before;
	struct scene scene;
	size_t count = 0;
	int fd = -1;

	begin(&scene, "libssl.so.9", &programs[0]);
	NPT_CHECK_INT(npt_tls_libraries_of(cache, (uint32_t)getpid(), all, &count, NULL), 0);
	found = find(all, count, "libssl.so.9");
	NPT_CHECK(found != NULL);
	if (!found)
		return;
	before = *found;
	(void)usleep(20000); /* the clock of a file's times ticks every few milliseconds */
	write_program(scene.path, &programs[2]);
	NPT_CHECK_INT(npt_tls_found_open((uint32_t)getpid(), &before, &fd, NULL), -ESTALE);
	NPT_CHECK_INT(npt_tls_libraries_of(cache, (uint32_t)getpid(), all, &count, NULL), 0);
	found = find(all, count, "libssl.so.9");
	NPT_CHECK_INT(found ? found->library.function_count : 99, 2);
	end(&scene);
	npt_tls_file_cache_free(cache);
}

static void toggle(struct scene *scene)
{
	npt_auto_close int fd = open(scene->path, O_RDONLY | O_CLOEXEC);

	if (scene->mapping) {
		(void)munmap(scene->mapping, 4096);
		scene->mapping = NULL;
		return;
	}
	scene->mapping = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
}

/* Files come and go, so that those are forgotten that were not used for long, wherever they are. */
static void a_small_cache_gives_the_same_answers(void)
{
	enum { SCENES = 8 };
	npt_auto_free struct npt_tls_found *all =
		npt_alloc(NPT_TLS_PROCESS_LIBRARIES, sizeof(*all));
	struct npt_tls_file_cache *small = NULL;
	uint64_t state = npt_test_seed() | 1;
	struct scene scenes[SCENES];

	for (size_t i = 0; i < SCENES; i++) {
		npt_auto_free char *name = npt_format("libssl.so.%zu", i);

		begin(&scenes[i], name, &programs[i % 3]);
	}
	for (size_t round = 0; round < 600; round++) {
		struct scene *scene = &scenes[npt_test_random(&state) % SCENES];
		size_t count = 0;

		if (round % 30 == 0) {
			npt_tls_file_cache_free(small);
			small = npt_tls_file_cache_new(1 + round / 30);
		}
		toggle(scene);
		NPT_CHECK_INT(npt_tls_libraries_of(small, (uint32_t)getpid(), all, &count, NULL),
			      0);
		for (size_t i = 0; i < SCENES; i++) {
			const struct npt_tls_found *found = find(all, count, scenes[i].path);

			NPT_CHECK_INT(found ? found->library.function_count : 0,
				      scenes[i].mapping ? 4 - i % 3 : 0);
		}
	}
	for (size_t i = 0; i < SCENES; i++)
		end(&scenes[i]);
	npt_tls_file_cache_free(small);
}

static const struct npt_test tests[] = {
	/* First: what others load makes it slow. */
	NPT_TEST(a_small_cache_gives_the_same_answers),
	NPT_TEST(knows_each_library_and_says_what_it_lacks),
	NPT_TEST(says_why_it_cannot_look_into_a_file),
	NPT_TEST(keeps_the_version_of_a_libcrypto),
	NPT_TEST(finds_the_libraries_of_this_process),
	NPT_TEST(says_that_a_library_was_replaced_while_in_use),
	NPT_TEST(looks_again_at_a_file_that_was_written_to),
};
NPT_TEST_MAIN(tests)
