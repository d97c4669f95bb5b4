/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What probe.c (load, read), probe_programs.c (which programs) and probe_scope.c (what is measured)
 * share.
 */
#include <bpf/libbpf.h>

#include "agent/probe/probe.h"
#include "bpf/measure.skel.h"

/* Links that come and go, or are asked for by name. */
enum npt_probe_link {
	NPT_LINK_FORK,
	NPT_LINK_EXIT,
	NPT_LINK_FIND,
	NPT_LINK_WALK,
	NPT_LINK_SYS_EXIT,
	NPT_LINK_SYS_ENTER,
	NPT_LINK_COUNT,
};

#define NPT_PROBE_HOOKS_MAX 40

struct npt_probe {
	const struct npt_features *features;
	struct npt_bpf_measure *skeleton;
	struct bpf_link *links[NPT_LINK_COUNT];
	struct bpf_link *hooks[NPT_PROBE_HOOKS_MAX]; /* attached as long as the probe is open */
	struct npt_bpf_slot *slots;
	struct npt_bpf_queue *queues;
	struct npt_bpf_speech *speeches;
	struct ring_buffer *tls_events; /* NULL without the layer Protocol */
	npt_probe_tell_tls *tell_tls;   /* while events are read */
	void *tell_context;
	struct ring_buffer *tls_processes; /* NULL without the layer TLS */
	npt_probe_tell_process *tell_process;
	void *tell_process_context;
	struct npt_probe_options options;
	struct npt_probe_abilities abilities;
	uint64_t sockets_max; /* in any fold */
	uint64_t map_bytes;   /* as of a few seconds ago */
	uint64_t map_bytes_until_ns;
	uint32_t ns_per_operation;
	bool ended[NPT_SCOPES_MAX]; /* scopes whose gauges stay what they were at the end */
};

/* Looks what this kernel has. -EOPNOTSUPP, -EPERM: not enough for what is asked. */
int npt_probe_look(struct npt_probe *probe, struct npt_error *err);
/* Which programs load, and what they are told of the kernel; before the skeleton is loaded. */
void npt_probe_choose(struct npt_probe *probe);
/* The way of TLS events to us. */
int npt_probe_open_tls(struct npt_probe *probe, struct npt_error *err);
/* Attaches all hooks that were chosen. */
int npt_probe_attach_hooks(struct npt_probe *probe, struct npt_error *err);
int npt_probe_explain_load(int r, struct npt_error *err);
int npt_probe_attach(struct npt_probe *probe, enum npt_probe_link id, struct bpf_program *program,
		     struct npt_error *err);
/* Before each walk, which adds the gauges up anew; counters among them go on. */
void npt_probe_clear_gauges(struct npt_probe *probe);
/* Runs an iterator to its end; our programs write nothing, so there is nothing to read. */
int npt_probe_run_iterator(struct npt_probe *probe, enum npt_probe_link id, struct npt_error *err);
