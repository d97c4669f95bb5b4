/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Nodes - what each connected agent says that its node can do, published in the ConfigMap npt-nodes
 * for people (kubectl npt doctor): before a task there is nowhere else to ask.
 *
 *	nodes.json: {"nodes": {"NODE": K}, "kinds": [{version, kernel, layers, unavailable}],
 *"more": N}
 *
 * Nodes of one kind say the same, so that thousands fit into one object; what does not is counted.
 * The controller's thread only. Plain value, zeroed at the start.
 */
#include <stdint.h>

#include "controller/agents.h"
#include "controller/api.h"

struct npt_nodes {
	char *text;       /* as it was published last */
	uint64_t version; /* of the agents then */
	uint64_t next_ns;
};

void npt_nodes_done(struct npt_nodes *nodes);
/* nodes.json of those that are connected; the caller's to free. */
char *npt_nodes_to_json(const struct npt_agents *agents);
/* Writes, if there is something new to say and it is time. */
void npt_nodes_publish(struct npt_nodes *nodes, const struct npt_agents *agents,
		       struct npt_api *api, const char *namespace_name);
/* NPT_EVENT_PUBLISHED: what failed is tried again, later. */
void npt_nodes_published(struct npt_nodes *nodes, const struct npt_event *event);
