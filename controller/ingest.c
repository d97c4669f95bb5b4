/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token outlives its task by an hour: as long as an agent keeps windows that it could not post.
 */
#include "controller/ingest.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/core/log.h"
#include "lib/net/token.h"

#define SPOOL_MS (UINT64_C(3600) * 1000)

int npt_ingest_open(struct npt_ingest *ingest, const char *key_file, const char *url,
		    struct npt_error *err)
{
	ingest->url = url;
	if (!key_file)
		return 0;
	return npt_token_read_key(key_file, &ingest->key, &ingest->key_bytes, err);
}

void npt_ingest_done(struct npt_ingest *ingest)
{
	free(ingest->key);
	ingest->key = NULL;
}

void npt_ingest_add_token(const struct npt_ingest *ingest, struct npt_assignment *assignment,
			  const char *node, uint64_t now_unix_ms)
{
	struct npt_token token = {
		.expires_unix_ms = now_unix_ms + assignment->remaining_ms + SPOOL_MS,
	};
	struct npt_error err = NPT_ERROR_NONE;

	if (!ingest->key)
		return;
	(void)snprintf(token.task_uid, sizeof(token.task_uid), "%s", assignment->task.uid);
	(void)snprintf(token.namespace_name, sizeof(token.namespace_name), "%s",
		       assignment->task.namespace_name);
	(void)snprintf(token.name, sizeof(token.name), "%s", assignment->task.name);
	(void)snprintf(token.node, sizeof(token.node), "%s", node);
	(void)snprintf(assignment->ingest_url, sizeof(assignment->ingest_url), "%s", ingest->url);
	if (npt_token_mint(ingest->key, ingest->key_bytes, &token, &assignment->ingest_token,
			   &err) < 0)
		npt_log_error("cannot make an ingest token", "error", err.text);
}
