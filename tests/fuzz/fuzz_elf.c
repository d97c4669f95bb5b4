/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that says what it likes about itself: what is found is in code and in the file, and no
 * more is read than the budget; probes are on instructions that take one.
 */
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/tls/elf_file.h"
#include "agent/tls/instruction.h"
#include "agent/tls/library.h"
#include "agent/tls/probes.h"
#include "lib/core/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void take(size_t number, const char *name, const struct npt_elf_symbol *symbol,
		 void *context)
{
	must(number < 2 && name[0] != '\0');
	must(symbol->offset < *(const size_t *)context);
}

static bool hear(size_t number, const char *text, void *context)
{
	(void)context;
	must(number == 0 && strncmp(text, "OpenSSL ", 8) == 0);
	must(strlen(text) < NPT_ELF_TEXT_BYTES);
	return false;
}

static void check_reader(int fd, size_t size)
{
	static const char *const names[] = { "SSL_read", "_ZN*Reader*read*" };
	static const char *const texts[] = { "OpenSSL " };
	npt_auto(npt_elf_free) struct npt_elf *elf = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	uint64_t offset;

	if (npt_elf_open(fd, &elf, &err) < 0) {
		must(err.text[0] != '\0' && elf == NULL);
		return;
	}
	(void)npt_elf_find_functions(elf, names, 2, take, &size, NULL);
	(void)npt_elf_find_texts(elf, texts, 1, 1 << 20, hear, NULL, NULL);
	for (uint64_t vaddr = 0x400000; vaddr < 0x402000; vaddr += 0x100)
		must(npt_elf_offset(elf, vaddr, &offset) < 0 || offset < size);
	must(npt_elf_bytes_read(elf) <= NPT_ELF_BUDGET_BYTES);
}

static void check_probes(const struct npt_tls_library *library, int fd, const uint8_t *data,
			 size_t size)
{
	static const struct npt_tls_probes_options options = { .long_nops = true };
	enum npt_architecture architecture =
		library->machine == EM_AARCH64 ? NPT_ARCHITECTURE_ARM64 : NPT_ARCHITECTURE_X86_64;
	struct npt_instruction instruction;
	struct npt_tls_probes probes;

	npt_tls_probes_choose(library, fd, &options, &probes);
	must(probes.count <= NPT_TLS_PROBES_MAX && (probes.count == 0) == (probes.how[0] == '\0'));
	for (size_t i = 0; i < probes.count; i++) {
		const struct npt_tls_probe *probe = &probes.probes[i];

		must(probe->offset < size && probe->function[0] != '\0');
		must((probe->kind == NPT_TLS_PROBE_CALL) == (probe->cookie != 0));
		must(npt_instruction_decode(architecture, data + probe->offset,
					    size - (size_t)probe->offset, &instruction) == 0);
		must(instruction.uprobe != NPT_UPROBE_REFUSED);
		must(probe->stepped == !npt_uprobe_is_emulated(instruction.uprobe, true));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto_free struct npt_tls_file *file = npt_alloc(1, sizeof(*file));
	npt_auto_close int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	check_reader(fd, size);
	npt_tls_analyse(fd, "libssl.so.3", true, file);
	must(file->count <= NPT_TLS_FILE_LIBRARIES);
	for (size_t i = 0; i < file->count; i++) {
		const struct npt_tls_library *library = &file->libraries[i];

		must(library->function_count <= NPT_TLS_FUNCTIONS_MAX);
		must((library->function_count > 0) == (library->why[0] == '\0'));
		for (size_t j = 0; j < library->function_count; j++)
			must(library->functions[j].offset < size);
		check_probes(library, fd, data, size);
	}
	return 0;
}
