/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What probe.c (load, attach, read) and probe_scope.c (what is measured) share.
 */
#include <bpf/libbpf.h>

#include "agent/probe/probe.h"
#include "bpf/measure.skel.h"

enum npt_probe_link {
	NPT_LINK_STATE,
	NPT_LINK_DROP,
	NPT_LINK_WRITE_BEGIN,
	NPT_LINK_WRITE_END,
	NPT_LINK_READ_END,
	NPT_LINK_FORK,
	NPT_LINK_EXIT,
	NPT_LINK_FIND,
	NPT_LINK_WALK,
	NPT_LINK_SYS_EXIT,
	NPT_LINK_SYS_ENTER,
	NPT_LINK_COUNT,
};

struct npt_probe {
	const struct npt_features *features;
	struct npt_bpf_measure *skeleton;
	struct bpf_link *links[NPT_LINK_COUNT];
	struct npt_bpf_slot *slots;
	struct npt_probe_options options;
	uint64_t sockets_max; /* in any fold */
};

int npt_probe_attach(struct npt_probe *probe, enum npt_probe_link id, struct bpf_program *program,
		     struct npt_error *err);
/* Runs an iterator to its end; our programs write nothing, so there is nothing to read. */
int npt_probe_run_iterator(struct npt_probe *probe, enum npt_probe_link id, struct npt_error *err);
