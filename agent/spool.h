/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Spool - windows as files in a directory, oldest first: written whole or not at all, so that a
 * process that is killed leaves nothing half. Not thread-safe; owned by the upload.
 */
#include <stddef.h>
#include <stdint.h>

#include "agent/upload.h"
#include "lib/core/cleanup.h"

struct npt_spool;

/* One window in the spool; borrowed until it is removed. */
struct npt_spool_entry {
	char *task_uid, *pod_uid;
	char *path;
	uint64_t size_bytes;
};

/* Reads what an earlier process left; files that are no windows are removed. */
int npt_spool_open(struct npt_spool **spool_ret, const char *directory, uint64_t max_bytes,
		   struct npt_error *err);
void npt_spool_free(struct npt_spool *spool);
NPT_DEFINE_AUTO(struct npt_spool *, npt_spool_free)

size_t npt_spool_count(const struct npt_spool *spool);
const struct npt_spool_entry *npt_spool_at(const struct npt_spool *spool, size_t index);
/* Whether another size_bytes would fit. */
bool npt_spool_has_room(const struct npt_spool *spool, size_t size_bytes);
int npt_spool_append(struct npt_spool *spool, const struct npt_upload_window *window,
		     struct npt_error *err);
/* The window and its texts, in one block that the caller frees. */
int npt_spool_read(const struct npt_spool_entry *entry, struct npt_upload_window *window_ret,
		   char **block_ret, struct npt_error *err);
void npt_spool_remove(struct npt_spool *spool, size_t index);
