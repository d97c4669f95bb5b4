/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/scopes.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

struct npt_scope *npt_scopes_find(struct npt_scopes *scopes, uint32_t id)
{
	return id > 0 && id < NPT_SCOPES_MAX && scopes->places[id].id == id ? &scopes->places[id]
									    : NULL;
}

static const struct npt_scope *find_in_namespace(const struct npt_scopes *scopes,
						 uint32_t netns_inode)
{
	for (size_t i = 1; i < NPT_SCOPES_MAX; i++) {
		const struct npt_scope *scope = &scopes->places[i];

		if (scope->measuring && scope->netns_inode == netns_inode)
			return scope;
	}
	return NULL;
}

bool npt_scopes_has_namespace(const struct npt_scopes *scopes, uint32_t netns_inode)
{
	return find_in_namespace(scopes, netns_inode) != NULL;
}

bool npt_scopes_has_processes(const struct npt_scopes *scopes)
{
	for (size_t i = 1; scopes->count > 0 && i < NPT_SCOPES_MAX; i++) {
		if (scopes->places[i].measuring && scopes->places[i].by_process)
			return true;
	}
	return false;
}

int npt_scopes_take(struct npt_scopes *scopes, uint32_t netns_inode, bool by_process,
		    struct npt_scope **scope_ret, struct npt_error *err)
{
	const struct npt_scope *other = find_in_namespace(scopes, netns_inode);

	if (other && !(other->by_process && by_process))
		return npt_error_set(err, EBUSY,
				     "this network namespace is being measured already");
	if (scopes->count + 1 >= NPT_SCOPES_MAX)
		return npt_error_set(err, ENOSPC, "too many scopes at once (%d)",
				     NPT_SCOPES_MAX - 1);
	do {
		scopes->last = scopes->last % (NPT_SCOPES_MAX - 1) + 1;
	} while (scopes->places[scopes->last].id);
	scopes->count++;
	*scope_ret = &scopes->places[scopes->last];
	**scope_ret = (struct npt_scope){ .id = scopes->last,
					  .netns_inode = netns_inode,
					  .netns_fd = -1,
					  .by_process = by_process };
	return 0;
}

void npt_scopes_give_back(struct npt_scopes *scopes, struct npt_scope *scope)
{
	if (scope->netns_fd >= 0)
		(void)close(scope->netns_fd);
	*scope = (struct npt_scope){ 0 };
	scopes->count--;
}
