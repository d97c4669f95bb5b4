/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of Go functions, and data with a module and a version, in an ELF file that is right: what
 * is found is in the file's code.
 */
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/tls/gopclntab.h"
#include "tests/support/elf_image.h"

#define TABLE_BYTES_MAX 1024
#define DATA_BYTES_MAX  512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check(const struct elf_image *image)
{
	static const char *const names[] = { "crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Write",
					     "runtime.text" };
	npt_auto_close int fd = elf_image_open(image->bytes, sizeof(image->bytes));
	npt_auto(npt_elf_free) struct npt_elf *elf = NULL;
	struct npt_elf_symbol functions[3];
	char version[NPT_GO_VERSION_BYTES] = "";

	must(npt_elf_open(fd, &elf, NULL) == 0);
	(void)npt_go_version(elf, version, NULL);
	must(memchr(version, '\0', sizeof(version)) != NULL);
	if (npt_gopclntab_find(elf, names, 3, functions, NULL) < 0)
		return;
	for (size_t i = 0; i < 3; i++)
		must(functions[i].offset == 0 ||
		     (functions[i].offset >= 0x800 && functions[i].offset < 0x1000 &&
		      functions[i].size_bytes > 0));
}

/* The first bytes are the table (as far as it may reach), the rest is the data. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t table = size < TABLE_BYTES_MAX ? size : TABLE_BYTES_MAX;
	size_t rest = size - table < DATA_BYTES_MAX ? size - table : DATA_BYTES_MAX;
	struct elf_image image;
	uint64_t at;

	elf_image_init(&image);
	at = elf_image_put(&image, ELF_IMAGE_CONSTANTS, data, table);
	(void)elf_image_put(&image, ELF_IMAGE_DATA, data + table, rest);
	check(&image); /* by scanning */
	(void)elf_image_section(&image, ".gopclntab", SHT_PROGBITS, 0, at, table);
	(void)elf_image_section(&image, ".go.buildinfo", SHT_PROGBITS, 0, 0x1000, rest);
	check(&image);
	return 0;
}
