/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without a fuzzer, in the ordinary suite: each file of the corpus, then damaged
 * copies of them from a seed. With clang's -fsanitize=fuzzer this file is left out. A file NAME.hex
 * holds hexadecimal digits, so that a binary corpus can be read and reviewed.
 *
 * Usage: fuzz_NAME CORPUS_DIRECTORY
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "tests/support/test.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define FILES_MAX      1000
#define DAMAGED        3000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct file {
	uint8_t *data;
	size_t size;
};

static struct file files[FILES_MAX];
static size_t files_count;

static int hex_value(uint8_t digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* In place; what is no digit separates nothing and is skipped. */
static void decode_hex(struct file *file)
{
	size_t digits = 0;

	for (size_t i = 0; i < file->size; i++) {
		int value = hex_value(file->data[i]);

		if (value < 0)
			continue;
		if (digits % 2 == 0)
			file->data[digits / 2] = (uint8_t)(value << 4);
		else
			file->data[digits / 2] |= (uint8_t)value;
		digits++;
	}
	file->size = digits / 2;
}

static void read_file(const char *directory, const char *name)
{
	npt_auto_free char *path = npt_format("%s/%s", directory, name);
	npt_auto_fclose FILE *in = fopen(path, "re");
	struct file *file = &files[files_count];

	if (!in || files_count == FILES_MAX)
		return;
	file->data = npt_alloc(FILE_BYTES_MAX, 1);
	file->size = fread(file->data, 1, FILE_BYTES_MAX, in);
	if (strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".hex") == 0)
		decode_hex(file);
	file->data = npt_realloc(file->data, file->size, 1);
	files_count++;
}

static void read_corpus(const char *path)
{
	npt_auto_closedir DIR *directory = opendir(path);
	const struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] != '.')
			read_file(path, entry->d_name);
	}
}

static void run(const uint8_t *data, size_t size)
{
	/* A copy of the exact size, so that a sanitizer sees one byte too far. */
	npt_auto_free uint8_t *copy = npt_memdup(data, size);

	(void)LLVMFuzzerTestOneInput(copy, size);
}

static size_t damage(uint64_t *seed, uint8_t *data, size_t size, size_t max)
{
	size_t changes = 1 + npt_test_random(seed) % 8;

	for (size_t i = 0; i < changes && size > 0; i++) {
		size_t at = npt_test_random(seed) % size, length;

		switch (npt_test_random(seed) % 5) {
		case 0:
			data[at] ^= (uint8_t)(1U << npt_test_random(seed) % 8);
			break;
		case 1:
			data[at] = (uint8_t)npt_test_random(seed);
			break;
		case 2:
			size = at;
			break;
		case 3: /* a piece again */
			length = npt_test_random(seed) % (size - at + 1);
			if (size + length <= max) {
				memmove(data + at + length, data + at, size - at);
				size += length;
			}
			break;
		default: /* a piece less */
			length = npt_test_random(seed) % (size - at + 1);
			memmove(data + at, data + at + length, size - at - length);
			size -= length;
			break;
		}
	}
	return size;
}

int main(int argc, char **argv)
{
	uint64_t seed = npt_test_seed();
	npt_auto_free uint8_t *work = npt_alloc(2, FILE_BYTES_MAX);
	size_t runs = 0;

	if (argc > 1)
		read_corpus(argv[1]);
	for (size_t i = 0; i < files_count; i++, runs++)
		run(files[i].data, files[i].size);
	for (size_t i = 0; i < DAMAGED && files_count > 0; i++, runs++) {
		const struct file *file = &files[npt_test_random(&seed) % files_count];

		memcpy(work, file->data, file->size);
		run(work, damage(&seed, work, file->size, 2UL * FILE_BYTES_MAX));
	}
	for (size_t i = 0; i < files_count; i++)
		free(files[i].data);
	printf("%zu inputs\n%d passed, %d failed, 0 skipped\n", runs, files_count > 0,
	       files_count == 0);
	return files_count > 0 ? 0 : 1;
}
