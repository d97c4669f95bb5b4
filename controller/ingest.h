/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Ingest - the right to post the windows of one task from one node, given with the assignment.
 */
#include "lib/model/channel.h"

struct npt_ingest {
	const char *url; /* borrowed */
	void *key;       /* NULL: no history is kept */
	size_t key_bytes;
};

/* key_file NULL: no history. */
int npt_ingest_open(struct npt_ingest *ingest, const char *key_file, const char *url,
		    struct npt_error *err);
void npt_ingest_done(struct npt_ingest *ingest);
/* URL and token go into the assignment; nothing happens without a key. */
void npt_ingest_add_token(const struct npt_ingest *ingest, struct npt_assignment *assignment,
			  const char *node, uint64_t now_unix_ms);
