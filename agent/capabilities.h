/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Capabilities - which layers this node's kernel gives, found by trying once at the start, so that
 * it can be asked before anybody measures.
 */
#include <stdbool.h>

#include "lib/model/channel.h"

struct npt_capabilities {
	bool layers[NPT_LAYER_COUNT];
	struct npt_named_reason unavailable[NPT_REPORT_UNAVAILABLE_MAX]; /* "" ends */
};

/*
 * Loads everything once, in a child process, so that its memory goes with it; takes a second. What
 * fails is a reason, too. Before threads are started.
 */
void npt_capabilities_find(struct npt_capabilities *capabilities_ret);
