/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Topology - a task as a graph: processes and what they talk to, with the few numbers of each edge
 * that a picture shows. What is behind them is the edge's history.
 *
 * Nodes are named so that the same one has the same name in each answer: "NAMESPACE/POD/PID" of a
 * process, "pod/NAMESPACE/NAME", "service/NAMESPACE/NAME", "node/NAME", "address/ADDRESS".
 */
#include "lib/model/report.h"

#define NPT_TOPOLOGY_EDGES_MAX 4096

struct npt_topology;

struct npt_topology *npt_topology_new(void);
void npt_topology_free(struct npt_topology *topology);
NPT_DEFINE_AUTO(struct npt_topology *, npt_topology_free)
/* Copies what it needs of a pod's report, whose findings are set. Beyond the maximum, the edges
 * that matter least (npt_edge_worst_first()) only count. */
void npt_topology_add_pod(struct npt_topology *topology, const struct npt_report *pod);
/* {"kind": "Topology", ...}; head: task, time, losses of all pods. The caller's to free. */
char *npt_topology_to_json(struct npt_topology *topology, const struct npt_report *head);
