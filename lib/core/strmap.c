/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries stand in an array in order of insertion; an open-addressed table of indices finds them.
 * The hash is seeded per process, so that nobody outside can choose keys that collide.
 */
#include "lib/core/strmap.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "lib/core/alloc.h"

#define EMPTY UINT32_MAX

struct entry {
	char *key;
	void *value;
	uint64_t hash;
};

struct npt_strmap {
	struct entry *entries;
	uint32_t *table; /* index into entries, or EMPTY */
	size_t count;
	size_t capacity; /* of entries; the table has twice as many places */
	size_t max_entries;
	uint64_t seed;
	void (*free_value)(void *value);
};

static uint64_t hash_text(const struct npt_strmap *map, const char *key)
{
	uint64_t hash = map->seed ^ 0xcbf29ce484222325ULL;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3ULL;
	hash ^= hash >> 32;
	return hash * 0x9e3779b97f4a7c15ULL;
}

struct npt_strmap *npt_strmap_new(size_t max_entries, void (*free_value)(void *value))
{
	struct npt_strmap *map = npt_alloc(1, sizeof(*map));

	assert(max_entries < EMPTY / 4);
	map->max_entries = max_entries;
	map->free_value = free_value;
	if (getrandom(&map->seed, sizeof(map->seed), 0) < 0)
		map->seed = (uintptr_t)map;
	return map;
}

void npt_strmap_free(struct npt_strmap *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->count; i++) {
		free(map->entries[i].key);
		if (map->free_value)
			map->free_value(map->entries[i].value);
	}
	free(map->entries);
	free(map->table);
	free(map);
}

/* The place of the key, or the empty place where it belongs. */
static size_t find_place(const struct npt_strmap *map, const char *key, uint64_t hash)
{
	size_t mask = map->capacity * 2 - 1;
	size_t place = (size_t)hash & mask;

	while (map->table[place] != EMPTY) {
		const struct entry *entry = &map->entries[map->table[place]];

		if (entry->hash == hash && strcmp(entry->key, key) == 0)
			break;
		place = (place + 1) & mask;
	}
	return place;
}

static void rebuild(struct npt_strmap *map)
{
	size_t places = map->capacity * 2;

	map->table = npt_realloc(map->table, places, sizeof(*map->table));
	memset(map->table, 0xff, places * sizeof(*map->table));
	for (size_t i = 0; i < map->count; i++)
		map->table[find_place(map, map->entries[i].key, map->entries[i].hash)] =
			(uint32_t)i;
}

int npt_strmap_set(struct npt_strmap *map, const char *key, void *value)
{
	uint64_t hash = hash_text(map, key);
	size_t place;

	if (map->count == map->capacity) {
		map->capacity = map->capacity ? map->capacity * 2 : 8;
		map->entries = npt_realloc(map->entries, map->capacity, sizeof(*map->entries));
		rebuild(map);
	}
	place = find_place(map, key, hash);
	if (map->table[place] != EMPTY) {
		struct entry *entry = &map->entries[map->table[place]];

		if (map->free_value && entry->value != value)
			map->free_value(entry->value);
		entry->value = value;
		return 0;
	}
	if (map->count >= map->max_entries)
		return -ENOSPC;
	map->table[place] = (uint32_t)map->count;
	map->entries[map->count++] =
		(struct entry){ .key = npt_strdup(key), .value = value, .hash = hash };
	return 0;
}

static struct entry *find(const struct npt_strmap *map, const char *key)
{
	size_t place;

	if (map->count == 0)
		return NULL;
	place = find_place(map, key, hash_text(map, key));
	return map->table[place] == EMPTY ? NULL : &map->entries[map->table[place]];
}

void *npt_strmap_get(const struct npt_strmap *map, const char *key)
{
	const struct entry *entry = find(map, key);

	return entry ? entry->value : NULL;
}

void *npt_strmap_steal(struct npt_strmap *map, const char *key)
{
	struct entry *entry = find(map, key);
	size_t index;
	void *value;

	if (!entry)
		return NULL;
	value = entry->value;
	index = (size_t)(entry - map->entries);
	free(entry->key);
	memmove(entry, entry + 1, (map->count - index - 1) * sizeof(*entry));
	map->count--;
	rebuild(map);
	return value;
}

void npt_strmap_remove(struct npt_strmap *map, const char *key)
{
	void *value = npt_strmap_steal(map, key);

	if (value && map->free_value)
		map->free_value(value);
}

size_t npt_strmap_count(const struct npt_strmap *map)
{
	return map->count;
}

const char *npt_strmap_key_at(const struct npt_strmap *map, size_t index)
{
	return index < map->count ? map->entries[index].key : NULL;
}

void *npt_strmap_value_at(const struct npt_strmap *map, size_t index)
{
	return index < map->count ? map->entries[index].value : NULL;
}
