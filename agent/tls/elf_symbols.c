/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions by name, without holding a table: a program's names can be hundreds of megabytes. First
 * the names are streamed, and where a wanted one stands is kept (a linker lets "read" share the end
 * of "SSL_read", so each name's ends count, too); then the symbols are streamed, and those told
 * whose name begins at such a place.
 */
#include <errno.h>
#include <string.h>

#include "agent/tls/elf_private.h"
#include "lib/core/alloc.h"

#define PLACES_MAX     4096
#define NAME_BYTES_MAX 4096
#define NAMES_MAX      64 /* wanted at once */

struct place { /* of a wanted name in a table of names */
	uint32_t at;
	uint32_t number;
};

struct search {
	const char *const *names;
	size_t lengths[NAMES_MAX];
	size_t count;
	uint8_t ends[1U << 13]; /* a bit for each pair of characters that a wanted name ends with */
	struct place *places;
	size_t place_count;
	uint8_t starts[1U << 13]; /* a bit for the low half of each place */
	char matched[NAME_BYTES_MAX + 1];
};

static bool test_bit(const uint8_t *bits, uint32_t number)
{
	return bits[(number & 0xffff) >> 3] & (1U << (number & 7));
}

static void set_bit(uint8_t *bits, uint32_t number)
{
	bits[(number & 0xffff) >> 3] |= (uint8_t)(1U << (number & 7));
}

static uint32_t end_of(const char *name, size_t length)
{
	return (uint32_t)(uint8_t)name[length - 2] << 8 | (uint8_t)name[length - 1];
}

static bool is_pattern(const char *name)
{
	return strchr(name, '*') != NULL;
}

/* Whether the pattern's parts are in the text in their order, the first and last at its ends. */
static bool matches(const char *pattern, const char *text, size_t length)
{
	bool anchored = true;

	for (;;) {
		size_t part = strcspn(pattern, "*");
		bool last = pattern[part] == '\0';
		const char *at = text;

		if (part > length)
			return false;
		if (anchored && last && part != length)
			return false;
		if (!anchored)
			at = last ? text + length - part : memmem(text, length, pattern, part);
		if (!at || memcmp(at, pattern, part) != 0)
			return false;
		if (last)
			return true;
		length -= (size_t)(at - text) + part;
		text = at + part;
		pattern += part + 1;
		anchored = false;
	}
}

static void add_place(struct search *search, uint64_t at, size_t number)
{
	if (search->place_count == PLACES_MAX || at > UINT32_MAX)
		return;
	search->places[search->place_count++] =
		(struct place){ .at = (uint32_t)at, .number = (uint32_t)number };
	set_bit(search->starts, (uint32_t)at);
}

/* One name of the table, which begins at. */
static void look_at_name(struct search *search, const char *name, size_t length, uint64_t at)
{
	bool may_end = length >= 2 && test_bit(search->ends, end_of(name, length));

	for (size_t i = 0; may_end && i < search->count; i++) {
		size_t own = search->lengths[i];

		if (own > 0 && own <= length &&
		    memcmp(name + length - own, search->names[i], own) == 0)
			add_place(search, at + length - own, i);
	}
	for (size_t i = 0; i < search->count; i++)
		if (search->lengths[i] == 0 && matches(search->names[i], name, length))
			add_place(search, at, i);
}

static int stream_names(struct npt_elf *elf, const struct npt_elf_section *table,
			struct search *search, struct npt_error *err)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = elf };
	uint64_t at = 0;
	bool skipping = false; /* inside a name that is longer than a window */

	while (at < table->size_bytes) {
		size_t size, begin = 0;
		const char *bytes = (const char *)npt_elf_window_from(
			&window, table->offset + at, table->size_bytes - at, &size, err);
		const char *end;

		if (!bytes)
			return err ? -err->code : -EIO;
		while ((end = memchr(bytes + begin, '\0', size - begin))) {
			size_t length = (size_t)(end - (bytes + begin));

			if (!skipping && length <= NAME_BYTES_MAX)
				look_at_name(search, bytes + begin, length, at + begin);
			skipping = false;
			begin += length + 1;
		}
		if (begin == 0)
			skipping = true;
		at += begin ? begin : size;
	}
	return 0;
}

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* The first of the places with this position, or NULL. */
static const struct place *places_at(const struct search *search, uint32_t at)
{
	size_t low = 0, high = search->place_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (search->places[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low < search->place_count && search->places[low].at == at ? &search->places[low]
									 : NULL;
}

static bool is_code(const struct npt_elf *elf, uint64_t vaddr)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct npt_elf_segment *segment = &elf->segments[i];

		if (vaddr >= segment->vaddr && vaddr - segment->vaddr < segment->file_bytes)
			return segment->executable;
	}
	return false;
}

/* The name as it stands in the table; the wanted one where it cannot be read again. */
static const char *name_of(struct npt_elf *elf, const struct npt_elf_section *names,
			   struct search *search, const struct place *place)
{
	uint64_t left = names->size_bytes - place->at;
	size_t size = left < NAME_BYTES_MAX ? (size_t)left : NAME_BYTES_MAX;

	if (search->lengths[place->number] > 0 ||
	    npt_elf_read(elf, names->offset + place->at, search->matched, size, NULL) < 0)
		return search->names[place->number];
	search->matched[size] = '\0';
	return search->matched;
}

static int stream_symbols(struct npt_elf *elf, const struct npt_elf_section *table,
			  struct search *search, npt_elf_found_fn *found, void *context,
			  struct npt_error *err)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = elf };
	const struct npt_elf_section *names = &elf->sections[table->link];

	for (uint64_t at = 0; table->size_bytes - at >= sizeof(Elf64_Sym);
	     at += sizeof(Elf64_Sym)) {
		const struct place *place;
		struct npt_elf_symbol told;
		Elf64_Sym symbol;
		const uint8_t *bytes =
			npt_elf_window_at(&window, table->offset + at, sizeof(symbol), err);

		if (!bytes)
			return err ? -err->code : -EIO;
		memcpy(&symbol, bytes, sizeof(symbol));
		if (!test_bit(search->starts, symbol.st_name) ||
		    ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF ||
		    !is_code(elf, symbol.st_value))
			continue;
		told.vaddr = symbol.st_value;
		told.size_bytes = symbol.st_size;
		if (npt_elf_offset(elf, told.vaddr, &told.offset) < 0)
			continue;
		place = places_at(search, symbol.st_name);
		for (; place && place < search->places + search->place_count &&
		       place->at == symbol.st_name;
		     place++)
			found(place->number, name_of(elf, names, search, place), &told, context);
	}
	return 0;
}

static int search_table(struct npt_elf *elf, const struct npt_elf_section *table,
			struct search *search, npt_elf_found_fn *found, void *context,
			struct npt_error *err)
{
	int rc;

	if (table->link >= elf->section_count || elf->sections[table->link].type != SHT_STRTAB)
		return 0;
	search->place_count = 0;
	memset(search->starts, 0, sizeof(search->starts));
	rc = stream_names(elf, &elf->sections[table->link], search, err);
	if (rc < 0 || search->place_count == 0)
		return rc;
	qsort(search->places, search->place_count, sizeof(*search->places), compare_places);
	return stream_symbols(elf, table, search, found, context, err);
}

static void search_free(struct search *search)
{
	free(search->places);
	free(search);
}
NPT_DEFINE_AUTO(struct search *, search_free)

int npt_elf_find_functions(struct npt_elf *elf, const char *const *names, size_t count,
			   npt_elf_found_fn *found, void *context, struct npt_error *err)
{
	npt_auto(search_free) struct search *search = npt_alloc(1, sizeof(*search));
	struct npt_error reason = NPT_ERROR_NONE;
	bool tables[2] = { false, false };

	search->places = npt_alloc(PLACES_MAX, sizeof(*search->places));
	search->names = names;
	search->count = count < NAMES_MAX ? count : NAMES_MAX;
	for (size_t i = 0; i < search->count; i++) {
		size_t length = strlen(names[i]);

		if (is_pattern(names[i]) || length < 2)
			continue;
		search->lengths[i] = length;
		set_bit(search->ends, end_of(names[i], length));
	}
	/* A file has one table of each; more of them would be more work for nothing. */
	for (size_t i = 0; i < elf->section_count; i++) {
		const struct npt_elf_section *table = &elf->sections[i];
		bool *done = table->type == SHT_SYMTAB ? &tables[0] : &tables[1];
		int rc;

		if ((table->type != SHT_SYMTAB && table->type != SHT_DYNSYM) || *done)
			continue;
		*done = true;
		rc = search_table(elf, table, search, found, context, &reason);
		if (rc < 0)
			return npt_error_set(err, -rc, "%s", reason.text);
	}
	return 0;
}
