/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map is bounded; when it is full it is emptied, since names that still matter are asked again
 * within a second.
 */
#include "agent/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/strmap.h"

#define NAMES_MAX      16384
#define KNOWN_FOR_NS   (60 * NPT_NS_PER_SECOND)
#define UNKNOWN_FOR_NS (10 * NPT_NS_PER_SECOND)
#define ASK_AGAIN_NS   NPT_NS_PER_SECOND

struct name {
	struct npt_resolved_name answer;
	bool answered;
	uint64_t asked_ns;
	uint64_t fresh_until_ns;
	bool wanted;
};

struct npt_names {
	struct npt_strmap *by_address;
};

struct npt_names *npt_names_new(void)
{
	struct npt_names *names = npt_alloc(1, sizeof(*names));

	names->by_address = npt_strmap_new(NAMES_MAX, free);
	return names;
}

void npt_names_free(struct npt_names *names)
{
	if (!names)
		return;
	npt_strmap_free(names->by_address);
	free(names);
}

static struct name *get(struct npt_names *names, const char *address)
{
	struct name *name = npt_strmap_get(names->by_address, address);

	if (name)
		return name;
	if (npt_strmap_count(names->by_address) >= NAMES_MAX) {
		npt_strmap_free(names->by_address);
		names->by_address = npt_strmap_new(NAMES_MAX, free);
	}
	name = npt_alloc(1, sizeof(*name));
	if (npt_strmap_set(names->by_address, address, name) < 0) {
		free(name);
		return NULL;
	}
	return name;
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/*
 * A Service's address is translated outside of the pod, so where the client really went is not to
 * be seen from its socket; a pod's own address is where it went.
 */
static void apply(const struct npt_resolved_name *answer, enum npt_role role, struct npt_peer *peer)
{
	peer->kind = answer->kind;
	(void)snprintf(peer->name, sizeof(peer->name), "%s", answer->name);
	(void)snprintf(peer->namespace_name, sizeof(peer->namespace_name), "%s",
		       answer->namespace_name);
	if (role != NPT_ROLE_CLIENT)
		return;
	/* A pod's own address is where it is; a Service's leads on, and may be known from the pod.
	 */
	if (answer->kind == NPT_PEER_POD)
		(void)snprintf(peer->reached, sizeof(peer->reached), "%s", peer->asked);
}

void npt_names_apply(struct npt_names *names, struct npt_report *report, uint64_t now_ns)
{
	for (size_t i = 0; i < report->edges_count; i++) {
		struct npt_edge *edge = &report->edges[i];
		struct name *name;

		if (edge->peer.kind == NPT_PEER_PROCESS || is_loopback(edge->peer.address))
			continue;
		name = get(names, edge->peer.address);
		if (!name)
			continue;
		name->wanted |= now_ns >= name->fresh_until_ns;
		if (name->answered)
			apply(&name->answer, edge->role, &edge->peer);
	}
}

size_t npt_names_questions(struct npt_names *names, uint64_t now_ns,
			   char (*addresses)[NPT_ADDRESS_BYTES], size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < npt_strmap_count(names->by_address) && count < max; i++) {
		struct name *name = npt_strmap_value_at(names->by_address, i);

		if (!name->wanted || (name->asked_ns && now_ns < name->asked_ns + ASK_AGAIN_NS))
			continue;
		name->asked_ns = now_ns;
		(void)snprintf(addresses[count++], NPT_ADDRESS_BYTES, "%s",
			       npt_strmap_key_at(names->by_address, i));
	}
	return count;
}

void npt_names_learn(struct npt_names *names, const struct npt_resolved_name *answers, size_t count,
		     uint64_t now_ns)
{
	for (size_t i = 0; i < count; i++) {
		struct name *name = npt_strmap_get(names->by_address, answers[i].address);

		if (!name)
			continue; /* nobody asked */
		name->answer = answers[i];
		name->answered = true;
		name->wanted = false;
		name->fresh_until_ns =
			now_ns +
			(answers[i].kind == NPT_PEER_ADDRESS ? UNKNOWN_FOR_NS : KNOWN_FOR_NS);
	}
}
