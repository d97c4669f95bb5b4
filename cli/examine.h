/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Examine - what `doctor` found in the cluster, judged: pure, from one JSON object to another.
 *
 * Facts: by name what the API server answered, or {"error": TEXT, "absent": BOOL}:
 *	version, resource, controller, aggregator (Deployments), agents (DaemonSet), pods (of the
 *	agents), nodes, kinds (the nodes.json of ConfigMap npt-nodes), rights ({"create": BOOL,
 *...}), history ({} or an error) Report: {"kind": "Doctor", "checks": [{check, state, detail}],
 *"nodes": [{node, agent, detail, kernel, version, layers: {NAME: BOOL}, unavailable: {METRIC:
 *REASON}}]} state: ok, warning or broken
 */
#include <stdbool.h>

#include <jansson.h>

#include "lib/core/buffer.h"

/* The caller's to decref. */
json_t *npt_examine(const json_t *facts);
bool npt_examine_is_broken(const json_t *report);
void npt_examine_append(struct npt_buffer *out, const json_t *report, bool colour);
