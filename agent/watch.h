/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Watch - the pods that are being measured on this node, each once however many tasks name it.
 *
 * A pod is found by the control groups of its processes; its network namespace is then held open
 * until the last task lets go. Of a pod on the host network those processes are measured, nobody
 * else in the namespace. Owned by the service; its thread.
 */
#include "agent/measure.h"
#include "lib/core/cleanup.h"
#include "lib/model/channel.h"

struct npt_watch;

enum npt_watch_state {
	NPT_WATCH_WAITING, /* no process of the pod seen yet */
	NPT_WATCH_RUNNING,
	NPT_WATCH_FAILED, /* reason and message say why */
	NPT_WATCH_GONE,   /* its last process ended; its numbers stay */
};

/* One pod; borrowed from the watch, valid while it is held. */
struct npt_watched_pod {
	char uid[NPT_UID_BYTES];
	enum npt_watch_state state;
	uint32_t scope; /* 0: none */
	uint32_t holders;
	char reason[NPT_REASON_BYTES];
	char message[NPT_TEXT_BYTES];
};

struct npt_watch *npt_watch_new(struct npt_measure *measure);
void npt_watch_free(struct npt_watch *watch);
NPT_DEFINE_AUTO(struct npt_watch *, npt_watch_free)

/* Never NULL; released by npt_watch_release(). The target is not kept. */
struct npt_watched_pod *npt_watch_hold(struct npt_watch *watch, const struct npt_target *target,
				       uint32_t edges_max);
void npt_watch_release(struct npt_watch *watch, struct npt_watched_pod *pod);
/*
 * Looks for waiting pods, whether running ones still have a process, and for those that came later
 * to a pod on the host network. Once a second, before npt_measure_read().
 */
void npt_watch_look(struct npt_watch *watch);
