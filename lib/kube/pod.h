/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pod - the few fields of a pod that NPT needs.
 */
#include <stdbool.h>

#include <jansson.h>

#include "lib/model/channel.h"

struct npt_pod {
	char namespace_name[NPT_NAME_BYTES];
	char name[NPT_NAME_BYTES];
	char uid[NPT_UID_BYTES];
	char node[NPT_NAME_BYTES];
	char ip[NPT_ADDRESS_BYTES];
	char phase[16];
	bool host_network;
	bool deleting;
	struct npt_target_container containers[NPT_CHANNEL_CONTAINERS_MAX]; /* started ones */
	size_t containers_count;
};

/* Fields that are missing stay ""; what is too long is left out. */
void npt_pod_from_json(const json_t *object, struct npt_pod *pod_ret);
