/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table has a head, names, and for each function an entry: its address and where its record is,
 * which begins with the address again and the offset of its name. Four generations, told apart by
 * their first word:
 *
 *	Go 1.2   head: count; entries {address, record}, names anywhere; all relative to the table
 *	Go 1.16  head: count, files, offsets of names, units, files, pc data, entries
 *	Go 1.18  the same with the text's address as the third word; addresses are 32 bits from
 *there Go 1.20  the same as 1.18. From 1.26 on the text's address is 0: it is in the module's data,
 *	         which begins with the address of this table
 *
 * (runtime/symtab.go, debug/gosym/pclntab.go.) First the names are streamed for the wanted ones,
 *then the entries and records, both in the order of the file.
 */
#include "agent/tls/gopclntab.h"

#include <errno.h>
#include <string.h>

#include "agent/tls/elf_private.h"
#include "lib/core/alloc.h"

#define MAGIC_1_2      0xfffffffbU
#define MAGIC_1_16     0xfffffffaU
#define MAGIC_1_18     0xfffffff0U
#define MAGIC_1_20     0xfffffff1U
#define FUNCTIONS_MAX  (8U << 20)
#define HITS_MAX       64
#define NAME_BYTES_MAX 256
#define HEAD_BYTES     72
#define SCAN_BYTES_MAX (128U << 20)
#define MODULE_BYTES   192 /* of the module's data, up to the end of the text */
#define MODULE_MINPC   160
#define MODULE_MAXPC   168
#define MODULE_TEXT    176

struct table {
	struct npt_elf *elf;
	uint64_t offset, vaddr, size_bytes;
	uint64_t count; /* functions */
	uint64_t names, names_bytes;
	uint64_t entries; /* where they begin, and what their records are relative to */
	uint64_t records;
	uint64_t text; /* what short addresses are relative to */
	size_t width;  /* of an address in an entry: 8, or 4 from 1.18 on */
};

struct hit {
	uint64_t at; /* relative to names */
	size_t number;
};

static bool is_code(const struct npt_elf *elf, uint64_t vaddr)
{
	for (size_t i = 0; i < elf->segment_count; i++) {
		const struct npt_elf_segment *segment = &elf->segments[i];

		if (segment->executable && vaddr >= segment->vaddr &&
		    vaddr - segment->vaddr < segment->file_bytes)
			return true;
	}
	return false;
}

static bool is_magic(const uint8_t *at)
{
	uint32_t magic = npt_elf_u32(at);

	return (magic == MAGIC_1_2 || magic == MAGIC_1_16 || magic == MAGIC_1_18 ||
		magic == MAGIC_1_20) &&
	       at[4] == 0 && at[5] == 0 && (at[6] == 1 || at[6] == 2 || at[6] == 4) && at[7] == 8;
}

/* Takes the head; false if its numbers do not fit into the table. */
static bool parse_head(struct table *table)
{
	uint8_t head[HEAD_BYTES];
	uint64_t word[8];
	uint32_t magic;

	if (table->size_bytes < sizeof(head) ||
	    npt_elf_read(table->elf, table->offset, head, sizeof(head), NULL) < 0 ||
	    !is_magic(head))
		return false;
	magic = npt_elf_u32(head);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(word); i++)
		word[i] = npt_elf_u64(head + 8 + 8 * i);
	table->count = word[0];
	table->width = magic == MAGIC_1_18 || magic == MAGIC_1_20 ? 4 : 8;
	if (magic == MAGIC_1_2) {
		table->entries = 16;
		table->records = table->names = 0;
		table->names_bytes = table->size_bytes;
	} else {
		const uint64_t *offsets = magic == MAGIC_1_16 ? word + 2 : word + 3;

		table->text = magic == MAGIC_1_16 ? 0 : word[2];
		table->names = offsets[0];
		table->entries = table->records = offsets[4];
		if (offsets[0] > offsets[1] || offsets[1] > table->size_bytes)
			return false;
		table->names_bytes = offsets[1] - offsets[0];
	}
	return table->count > 0 && table->count <= FUNCTIONS_MAX &&
	       table->entries < table->size_bytes &&
	       (table->size_bytes - table->entries) / (2 * table->width) > table->count;
}

static bool locate_by_section(struct table *table)
{
	static const char *const names[] = { ".gopclntab", ".data.rel.ro.gopclntab" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(names); i++) {
		const struct npt_elf_section *section = npt_elf_section(table->elf, names[i]);

		if (!section || section->type == SHT_NOBITS)
			continue;
		table->offset = section->offset;
		table->vaddr = section->vaddr;
		table->size_bytes = section->size_bytes;
		if (parse_head(table))
			return true;
	}
	return false;
}

/* Without section headers: any place in a segment whose head holds. */
static bool locate_by_scan(struct table *table, uint64_t *left)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = table->elf };

	for (size_t i = 0; i < table->elf->segment_count; i++) {
		const struct npt_elf_segment *segment = &table->elf->segments[i];
		uint64_t at = (8 - (segment->vaddr & 7)) & 7;

		while (at + 8 <= segment->file_bytes && *left > 0) {
			size_t size;
			const uint8_t *bytes =
				npt_elf_window_from(&window, segment->offset + at,
						    segment->file_bytes - at, &size, NULL);

			if (!bytes)
				return false;
			*left -= size < *left ? size : *left;
			for (size_t j = 0; j + 8 <= size; j += 8) {
				if (!is_magic(bytes + j))
					continue;
				table->offset = segment->offset + at + j;
				table->vaddr = segment->vaddr + at + j;
				table->size_bytes = segment->file_bytes - at - j;
				if (parse_head(table))
					return true;
			}
			at += size < 8 ? 8 : size & ~(size_t)7;
		}
	}
	return false;
}

static int read_entry(struct table *table, struct npt_elf_window *window, uint64_t number,
		      uint64_t entry_ret[2], struct npt_error *err)
{
	const uint8_t *at = npt_elf_window_at(
		window, table->offset + table->entries + number * 2 * table->width,
		2 * table->width, err);

	if (!at)
		return -EIO;
	if (table->width == 4) {
		entry_ret[0] = table->text + npt_elf_u32(at);
		entry_ret[1] = npt_elf_u32(at + 4);
	} else {
		entry_ret[0] = npt_elf_u64(at);
		entry_ret[1] = npt_elf_u64(at + 8);
	}
	return 0;
}

/* The address that the loader will put there: what the file has, or a relocation says. */
static uint64_t relocated(struct npt_elf *elf, uint64_t vaddr)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = elf };
	const struct npt_elf_section *table = npt_elf_section(elf, ".rela.dyn");
	uint8_t word[8];

	if (npt_elf_read_vaddr(elf, vaddr, word, sizeof(word), NULL) < 0)
		return 0;
	if (npt_elf_u64(word) != 0 || !table)
		return npt_elf_u64(word);
	for (uint64_t at = 0; table->size_bytes - at >= sizeof(Elf64_Rela);
	     at += sizeof(Elf64_Rela)) {
		const uint8_t *bytes =
			npt_elf_window_at(&window, table->offset + at, sizeof(Elf64_Rela), NULL);

		if (!bytes)
			return 0;
		if (npt_elf_u64(bytes) == vaddr)
			return npt_elf_u64(bytes + 16);
	}
	return 0;
}

/* Whether the module's data are at vaddr: its first and last address must be the table's, too. */
static bool take_text_of_module(struct table *table, uint64_t vaddr)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = table->elf };
	uint64_t text, first[2], end[2];

	if (relocated(table->elf, vaddr) != table->vaddr)
		return false;
	text = relocated(table->elf, vaddr + MODULE_TEXT);
	table->text = 0;
	if (read_entry(table, &window, 0, first, NULL) < 0 ||
	    read_entry(table, &window, table->count, end, NULL) < 0 || text == 0 ||
	    relocated(table->elf, vaddr + MODULE_MINPC) != text + first[0] ||
	    relocated(table->elf, vaddr + MODULE_MAXPC) != text + end[0])
		return false;
	table->text = text;
	return true;
}

/* In data that may be written, a pointer to the table. */
static bool find_module(struct table *table)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = table->elf };
	const struct npt_elf_section *section = npt_elf_section(table->elf, ".go.module");

	if (section && take_text_of_module(table, section->vaddr))
		return true;
	for (size_t i = 0; i < table->elf->segment_count; i++) {
		const struct npt_elf_segment *segment = &table->elf->segments[i];
		uint64_t at = (8 - (segment->vaddr & 7)) & 7;

		while (segment->writable && at + MODULE_BYTES <= segment->file_bytes) {
			size_t size;
			const uint8_t *bytes =
				npt_elf_window_from(&window, segment->offset + at,
						    segment->file_bytes - at, &size, NULL);

			if (!bytes)
				return false;
			for (size_t j = 0; j + 8 <= size; j += 8)
				if (npt_elf_u64(bytes + j) == table->vaddr &&
				    take_text_of_module(table, segment->vaddr + at + j))
					return true;
			at += size < 8 ? 8 : size & ~(size_t)7;
		}
	}
	return false;
}

static int find_text(struct table *table, struct npt_error *err)
{
	const struct npt_elf_section *section;

	if (table->width == 8)
		return 0;
	if (table->text != 0 && is_code(table->elf, table->text))
		return 0;
	if (find_module(table))
		return 0;
	/* A program that Go itself linked begins its text with the section. */
	section = npt_elf_section(table->elf, ".text");
	if (!section || npt_elf_section(table->elf, ".init"))
		return npt_error_set(err, EBADMSG,
				     "Go's table of functions does not say where its code is");
	table->text = section->vaddr;
	return 0;
}

static int find_names(struct table *table, const char *const *names, size_t count,
		      struct hit hits[HITS_MAX], size_t *hit_count, struct npt_error *err)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window window = { .elf = table->elf };
	uint64_t at = 0;

	*hit_count = 0;
	while (at < table->names_bytes) {
		size_t size;
		const uint8_t *bytes =
			npt_elf_window_from(&window, table->offset + table->names + at,
					    table->names_bytes - at, &size, err);

		if (!bytes)
			return -EIO;
		for (size_t i = 0; i < count; i++) {
			size_t length = strlen(names[i]) + 1;
			const uint8_t *from = bytes, *place;

			while ((place = memmem(from, size - (size_t)(from - bytes), names[i],
					       length)) &&
			       *hit_count < HITS_MAX) {
				hits[(*hit_count)++] =
					(struct hit){ at + (uint64_t)(place - bytes), i };
				from = place + length;
			}
		}
		if (size == table->names_bytes - at || size <= NAME_BYTES_MAX)
			return 0;
		at += size - NAME_BYTES_MAX;
	}
	return 0;
}

static void take(struct table *table, struct npt_elf_symbol *function, uint64_t vaddr,
		 uint64_t next)
{
	if (function->offset != 0 || next <= vaddr || !is_code(table->elf, vaddr) ||
	    npt_elf_offset(table->elf, vaddr, &function->offset) < 0)
		return;
	function->vaddr = vaddr;
	function->size_bytes = next - vaddr;
}

static int walk(struct table *table, const struct hit *hits, size_t hit_count,
		struct npt_elf_symbol *functions, struct npt_error *err)
{
	npt_auto(npt_elf_window_done) struct npt_elf_window entries = { .elf = table->elf };
	npt_auto(npt_elf_window_done) struct npt_elf_window records = { .elf = table->elf };
	uint64_t entry[2], next[2];

	if (read_entry(table, &entries, 0, entry, err) < 0)
		return -EIO;
	for (uint64_t i = 0; i < table->count; i++) {
		const uint8_t *record;
		uint32_t name;

		if (read_entry(table, &entries, i + 1, next, err) < 0)
			return -EIO;
		if (next[0] < entry[0] ||
		    entry[1] > table->size_bytes - table->records - table->width - 4)
			return npt_error_set(err, EBADMSG,
					     "Go's table of functions contradicts itself");
		record = npt_elf_window_at(&records, table->offset + table->records + entry[1],
					   table->width + 4, err);
		if (!record)
			return -EIO;
		name = npt_elf_u32(record + table->width);
		for (size_t j = 0; j < hit_count; j++)
			if (hits[j].at == name)
				take(table, &functions[hits[j].number], entry[0], next[0]);
		memcpy(entry, next, sizeof(entry));
	}
	return 0;
}

int npt_gopclntab_find(struct npt_elf *elf, const char *const *names, size_t count,
		       struct npt_elf_symbol *functions, struct npt_error *err)
{
	struct table table = { .elf = elf };
	uint64_t left = SCAN_BYTES_MAX;
	struct hit hits[HITS_MAX];
	size_t hit_count = 0;
	int rc;

	memset(functions, 0, count * sizeof(*functions));
	if (!locate_by_section(&table) && !locate_by_scan(&table, &left))
		return npt_error_set(err, ENOENT, "no table of Go functions");
	rc = find_text(&table, err);
	if (rc == 0)
		rc = find_names(&table, names, count, hits, &hit_count, err);
	if (rc < 0 || hit_count == 0)
		return rc;
	return walk(&table, hits, hit_count, functions, err);
}
