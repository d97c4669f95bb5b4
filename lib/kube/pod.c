/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Container ids come as "containerd://<64 hexadecimal digits>"; init and ephemeral containers
 * count.
 */
#include "lib/kube/pod.h"

#include <stdio.h>
#include <string.h>

static void copy(char *out, size_t size_bytes, const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	if (value && strlen(value) < size_bytes)
		memcpy(out, value, strlen(value) + 1);
}

static void add_containers(struct npt_pod *pod, const json_t *statuses)
{
	for (size_t i = 0; i < json_array_size(statuses); i++) {
		const json_t *status = json_array_get(statuses, i);
		const char *id = json_string_value(json_object_get(status, "containerID"));
		const char *digits = id ? strstr(id, "://") : NULL;
		struct npt_target_container *container;

		if (!digits || strlen(digits + 3) >= sizeof(container->id) ||
		    pod->containers_count >= NPT_CHANNEL_CONTAINERS_MAX)
			continue;
		container = &pod->containers[pod->containers_count++];
		copy(container->name, sizeof(container->name), status, "name");
		(void)snprintf(container->id, sizeof(container->id), "%s", digits + 3);
	}
}

void npt_pod_from_json(const json_t *object, struct npt_pod *pod)
{
	const json_t *metadata = json_object_get(object, "metadata");
	const json_t *spec = json_object_get(object, "spec");
	const json_t *status = json_object_get(object, "status");

	memset(pod, 0, sizeof(*pod));
	copy(pod->namespace_name, sizeof(pod->namespace_name), metadata, "namespace");
	copy(pod->name, sizeof(pod->name), metadata, "name");
	copy(pod->uid, sizeof(pod->uid), metadata, "uid");
	copy(pod->node, sizeof(pod->node), spec, "nodeName");
	copy(pod->ip, sizeof(pod->ip), status, "podIP");
	copy(pod->phase, sizeof(pod->phase), status, "phase");
	pod->host_network = json_is_true(json_object_get(spec, "hostNetwork"));
	pod->deleting = json_object_get(metadata, "deletionTimestamp") != NULL;
	add_containers(pod, json_object_get(status, "containerStatuses"));
	add_containers(pod, json_object_get(status, "initContainerStatuses"));
	add_containers(pod, json_object_get(status, "ephemeralContainerStatuses"));
}
