/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts in read-only data, in one pass: a look at two characters says for nearly every place that
 * no wanted text begins there.
 */
#include <errno.h>
#include <string.h>

#include "agent/tls/elf_private.h"
#include "lib/core/alloc.h"

#define TEXTS_MAX 32

struct scan {
	const char *const *texts;
	size_t lengths[TEXTS_MAX];
	bool enough[TEXTS_MAX];
	size_t count, left;
	uint8_t begins[1U << 16]; /* by the first two characters */
	npt_elf_text_fn *found;
	void *context;
};

static uint32_t begin_of(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static void look(struct scan *scan, const uint8_t *at, size_t size)
{
	char text[NPT_ELF_TEXT_BYTES];
	size_t length = size < sizeof(text) ? size : sizeof(text) - 1;

	for (size_t i = 0; i < scan->count; i++) {
		if (scan->enough[i] || size < scan->lengths[i] ||
		    memcmp(at, scan->texts[i], scan->lengths[i]) != 0)
			continue;
		memcpy(text, at, length);
		text[length] = '\0';
		scan->enough[i] = scan->found(i, text, scan->context);
		scan->left -= scan->enough[i];
	}
}

/* Windows overlap by the length of a text, so that none is cut in two. */
static int scan_range(struct npt_elf *elf, struct scan *scan, uint64_t offset, uint64_t size_bytes,
		      struct npt_error *err)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = elf };
	uint64_t done = 0;

	while (scan->left > 0 && size_bytes - done >= 2) {
		size_t size, places;
		const uint8_t *bytes =
			npt_elf_window_from(&window, offset + done, size_bytes - done, &size, err);

		if (!bytes)
			return err ? -err->code : -EIO;
		if (size < 2)
			return 0;
		places = done + size < size_bytes && size > NPT_ELF_TEXT_BYTES
				 ? size - NPT_ELF_TEXT_BYTES
				 : size - 1;
		for (size_t i = 0; i < places; i++)
			if (scan->begins[begin_of(bytes + i)])
				look(scan, bytes + i, size - i);
		done += places;
		if (size - places == 1)
			return 0;
	}
	return 0;
}

struct range {
	uint64_t offset, size_bytes;
};

/* Sections of constants where there are any; else what is mapped without being writable. */
static size_t ranges_of(const struct npt_elf *elf, struct range ranges[NPT_ELF_SEGMENTS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < elf->section_count && count < NPT_ELF_SEGMENTS_MAX; i++) {
		const struct npt_elf_section *section = &elf->sections[i];

		if (section->type == SHT_PROGBITS && (strncmp(section->name, ".rodata", 7) == 0 ||
						      strncmp(section->name, ".lrodata", 8) == 0))
			ranges[count++] = (struct range){ section->offset, section->size_bytes };
	}
	if (count > 0)
		return count;
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct npt_elf_segment *segment = &elf->segments[i];

		if (!segment->writable)
			ranges[count++] = (struct range){ segment->offset, segment->file_bytes };
	}
	return count;
}

int npt_elf_find_texts(struct npt_elf *elf, const char *const *texts, size_t count,
		       uint64_t scan_bytes, npt_elf_text_fn *found, void *context,
		       struct npt_error *err)
{
	npt_auto_free struct scan *scan = npt_alloc(1, sizeof(*scan));
	struct npt_error reason = NPT_ERROR_NONE;
	struct range ranges[NPT_ELF_SEGMENTS_MAX];
	size_t range_count = ranges_of(elf, ranges);
	bool whole = true;

	scan->texts = texts;
	scan->count = scan->left = count < TEXTS_MAX ? count : TEXTS_MAX;
	scan->found = found;
	scan->context = context;
	for (size_t i = 0; i < scan->count; i++) {
		scan->lengths[i] = strlen(texts[i]);
		scan->begins[begin_of((const uint8_t *)texts[i])] = 1;
	}
	for (size_t i = 0; i < range_count && scan->left > 0; i++) {
		uint64_t size = ranges[i].size_bytes;
		int rc;

		if (size > scan_bytes) {
			size = scan_bytes;
			whole = false;
		}
		scan_bytes -= size;
		rc = scan_range(elf, scan, ranges[i].offset, size, &reason);
		if (rc < 0)
			return npt_error_set(err, -rc, "%s", reason.text);
	}
	return whole;
}
