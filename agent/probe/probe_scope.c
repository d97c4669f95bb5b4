/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scopes: entries in the maps that hooks ask for a namespace or a process. A slot is given back
 * only when nobody reads it any more, so that no edge's numbers go to another edge.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/probe/probe_private.h"
#include "lib/core/alloc.h"

int npt_probe_add_scope(struct npt_probe *probe, uint32_t netns_inode, uint32_t scope,
			bool by_process, uint32_t edges_max, struct npt_error *err)
{
	struct npt_bpf_scope_state state = { .edges_max = edges_max };
	struct npt_bpf_scope value = { .id = by_process ? 0 : scope, .by_process = by_process };
	int r;

	probe->ended[scope] = false;
	if (by_process && !probe->links[NPT_LINK_FORK]) {
		r = npt_probe_attach(probe, NPT_LINK_FORK, probe->skeleton->progs.npt_fork, err);
		if (r < 0)
			return r;
		r = npt_probe_attach(probe, NPT_LINK_EXIT, probe->skeleton->progs.npt_exit, err);
		if (r < 0)
			return r;
	}
	if (bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.npt_scope_state), &scope, &state,
				BPF_ANY) < 0 ||
	    bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.npt_scopes), &netns_inode, &value,
				by_process ? BPF_ANY : BPF_NOEXIST) < 0)
		return npt_error_set(err, errno, "cannot add a scope: %s", npt_errno_name(errno));
	return 0;
}

/* A zombie has ended, too. */
static bool is_ended(uint32_t pid)
{
	npt_auto_close int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return fd < 0 ? errno == ESRCH : poll(&poll_fd, 1, 0) > 0;
}

int npt_probe_add_member(struct npt_probe *probe, uint32_t scope, uint32_t pid,
			 struct npt_error *err)
{
	int fd = bpf_map__fd(probe->skeleton->maps.npt_members);
	uint32_t member;

	if (bpf_map_lookup_elem(fd, &pid, &member) == 0 && member == scope)
		return 0;
	if (bpf_map_update_elem(fd, &pid, &scope, BPF_ANY) < 0)
		return npt_error_set(err, errno, "cannot add process %u: %s", pid,
				     npt_errno_name(errno));
	if (!is_ended(pid))
		return 1;
	/* One that ended before it was a member has had no exit hook: nobody would delete it. */
	(void)bpf_map_delete_elem(fd, &pid);
	return 0;
}

uint32_t npt_probe_members(struct npt_probe *probe, uint32_t scope)
{
	int fd = bpf_map__fd(probe->skeleton->maps.npt_members);
	uint32_t count = 0, pid, next, member;
	uint32_t *previous = NULL;

	while (bpf_map_get_next_key(fd, previous, &next) == 0) {
		pid = next;
		previous = &pid;
		if (bpf_map_lookup_elem(fd, &pid, &member) == 0 && member == scope)
			count++;
	}
	return count;
}

/* Returns how many there were. */
static uint32_t delete_members(struct npt_probe *probe, uint32_t scope)
{
	uint32_t count = 0;
	int fd = bpf_map__fd(probe->skeleton->maps.npt_members);
	uint32_t pid, member;
	uint32_t *previous = NULL, next;

	while (bpf_map_get_next_key(fd, previous, &next) == 0) {
		if (previous && bpf_map_lookup_elem(fd, &pid, &member) == 0 && member == scope)
			count += bpf_map_delete_elem(fd, &pid) == 0;
		pid = next;
		previous = &pid;
	}
	if (previous && bpf_map_lookup_elem(fd, &pid, &member) == 0 && member == scope)
		count += bpf_map_delete_elem(fd, &pid) == 0;
	return count;
}

int npt_probe_remove_scope(struct npt_probe *probe, uint32_t netns_inode, uint32_t scope, bool last,
			   struct npt_error *err)
{
	int r;

	if (last)
		(void)bpf_map_delete_elem(bpf_map__fd(probe->skeleton->maps.npt_scopes),
					  &netns_inode);
	/* A fork that was under way adds a child of one that is deleted already. */
	while (delete_members(probe, scope) > 0)
		;
	npt_probe_clear_gauges(probe);
	probe->ended[scope] = true;
	probe->skeleton->bss->npt_walk_scope = scope;
	probe->skeleton->bss->npt_walk_mode = NPT_WALK_DELETE;
	r = npt_probe_run_iterator(probe, NPT_LINK_WALK, err);
	probe->skeleton->bss->npt_walk_mode = NPT_WALK_FLUSH;
	return r;
}

void npt_probe_refuse_edges(struct npt_probe *probe)
{
	probe->skeleton->bss->npt_refuse_edges = 1;
}

/* Deletes every entry whose key carries this scope at the given place. */
static void delete_scope_keys(const struct bpf_map *map, size_t scope_offset, uint32_t scope)
{
	int fd = bpf_map__fd(map);
	size_t size = bpf_map__key_size(map);
	npt_auto_free unsigned char *key = npt_alloc(1, size);
	npt_auto_free unsigned char *next = npt_alloc(1, size);
	bool more = bpf_map_get_next_key(fd, NULL, key) == 0;

	while (more) {
		uint32_t found;

		more = bpf_map_get_next_key(fd, key, next) == 0;
		memcpy(&found, key + scope_offset, sizeof(found));
		if (found == scope)
			(void)bpf_map_delete_elem(fd, key);
		memcpy(key, next, size);
	}
}

void npt_probe_free_slots(struct npt_probe *probe, uint32_t scope)
{
	int free_fd = bpf_map__fd(probe->skeleton->maps.npt_free_slots);

	delete_scope_keys(probe->skeleton->maps.npt_edges,
			  __builtin_offsetof(struct npt_bpf_edge_key, process.scope), scope);
	delete_scope_keys(probe->skeleton->maps.npt_processes,
			  __builtin_offsetof(struct npt_bpf_process_key, scope), scope);
	/* struct npt_endpoint_key: address[16], scope. */
	delete_scope_keys(probe->skeleton->maps.npt_listening, 16, scope);
	delete_scope_keys(probe->skeleton->maps.npt_client_ends, 16, scope);
	for (__u32 i = NPT_SLOT_FIRST; i < NPT_SLOTS_MAX && probe->slots[i].ever_used; i++) {
		if (probe->slots[i].key.process.scope != scope)
			continue;
		memset(&probe->slots[i], 0, sizeof(probe->slots[i]));
		memset(&probe->queues[i], 0, sizeof(probe->queues[i]));
		probe->speeches[i] = (struct npt_bpf_speech){
			.generation = probe->speeches[i].generation + 1,
		};
		probe->slots[i].ever_used = 1;
		(void)bpf_map_update_elem(free_fd, NULL, &i, BPF_ANY);
	}
}
