/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Strmap - a bounded map from text to a pointer.
 *
 * Copies its keys; owns its values if it was given a function to free them. Not thread-safe: its
 * owner's thread only. Iteration is in insertion order (removal keeps the order of the rest).
 */
#include "lib/core/cleanup.h"

#include <stddef.h>

struct npt_strmap;

struct npt_strmap *npt_strmap_new(size_t max_entries, void (*free_value)(void *value));
void npt_strmap_free(struct npt_strmap *map);
/* Replaces (and frees) a former value. 0 or -ENOSPC, then the value stays the caller's. */
int npt_strmap_set(struct npt_strmap *map, const char *key, void *value);
/* Borrowed, or NULL. */
void *npt_strmap_get(const struct npt_strmap *map, const char *key);
/* Hands the value over (not freed), or NULL. */
void *npt_strmap_steal(struct npt_strmap *map, const char *key);
void npt_strmap_remove(struct npt_strmap *map, const char *key);
size_t npt_strmap_count(const struct npt_strmap *map);
/* index 0 .. count-1; NULL beyond. Key and value are borrowed until the next change. */
const char *npt_strmap_key_at(const struct npt_strmap *map, size_t index);
void *npt_strmap_value_at(const struct npt_strmap *map, size_t index);
NPT_DEFINE_AUTO(struct npt_strmap *, npt_strmap_free)
