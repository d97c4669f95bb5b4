/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer of a pair in one scope is a process. Of a client it is the process that it reached, at
 * the address where it reached it; what it asked for is kept beside it, so that a redirect shows.
 */
#include "agent/identity.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "agent/proc.h"

static const uint8_t v4_mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static const uint8_t nobody[16];

static bool is_v4(const uint8_t address[16])
{
	return memcmp(address, v4_mapped_prefix, sizeof(v4_mapped_prefix)) == 0;
}

void npt_identity_address(const uint8_t address[16], char *out)
{
	if (is_v4(address))
		(void)inet_ntop(AF_INET, address + 12, out, NPT_ADDRESS_BYTES);
	else
		(void)inet_ntop(AF_INET6, address, out, NPT_ADDRESS_BYTES);
}

void npt_identity_endpoint(const uint8_t address[16], uint16_t port, char *out)
{
	char text[NPT_ADDRESS_BYTES];

	npt_identity_address(address, text);
	(void)snprintf(out, NPT_ENDPOINT_BYTES, is_v4(address) ? "%s:%u" : "[%s]:%u", text, port);
}

static void fill_process(struct npt_probe *probe, const struct npt_bpf_process_key *key,
			 struct npt_process *process)
{
	struct npt_bpf_process known;

	process->pid = key->pid;
	process->start_ns = key->start_ns;
	if (!npt_probe_process(probe, key, &known))
		return;
	(void)snprintf(process->comm, sizeof(process->comm), "%.15s", known.comm);
	(void)snprintf(process->name, sizeof(process->name), "%.63s",
		       known.name[0] ? known.name : known.comm);
	npt_proc_container_id(key->pid, process->container, sizeof(process->container));
}

static void fill_paired_peer(struct npt_probe *probe, const struct npt_bpf_slot *slot,
			     struct npt_peer *peer)
{
	struct npt_bpf_process_key key = {
		.pid = slot->pair_pid,
		.start_ns = slot->pair_start_ns,
		.scope = slot->key.process.scope,
	};
	struct npt_bpf_process known;

	peer->kind = NPT_PEER_PROCESS;
	peer->pid = slot->pair_pid;
	if (npt_probe_process(probe, &key, &known))
		(void)snprintf(peer->name, sizeof(peer->name), "%.63s",
			       known.name[0] ? known.name : known.comm);
	if (slot->key.role == NPT_BPF_CLIENT) {
		npt_identity_endpoint(slot->key.peer_address, slot->key.peer_port, peer->asked);
		npt_identity_endpoint(slot->pair_address, slot->pair_port, peer->reached);
		npt_identity_address(slot->pair_address, peer->address);
		peer->port = slot->pair_port;
	} else {
		npt_identity_endpoint(slot->pair_address, slot->pair_port, peer->asked);
	}
}

static enum npt_role role_of(uint8_t role)
{
	if (role == NPT_BPF_CLIENT)
		return NPT_ROLE_CLIENT;
	return role == NPT_BPF_SERVER || role == NPT_BPF_LISTENER ? NPT_ROLE_SERVER
								  : NPT_ROLE_UNKNOWN;
}

void npt_identity_fill(struct npt_probe *probe, const struct npt_bpf_slot *slot,
		       struct npt_edge *edge)
{
	struct npt_peer *peer = &edge->peer;

	fill_process(probe, &slot->key.process, &edge->process);
	edge->role = role_of(slot->key.role);
	(void)snprintf(edge->transport, sizeof(edge->transport),
		       slot->key.transport == NPT_BPF_UDP ? "udp" : "tcp");
	edge->label = slot->key.label;
	memset(peer, 0, sizeof(*peer));
	peer->port = slot->key.peer_port;
	if (slot->pair_pid) {
		fill_paired_peer(probe, slot, peer);
		return;
	}
	peer->kind = NPT_PEER_ADDRESS;
	if (memcmp(slot->key.peer_address, nobody, sizeof(nobody)) == 0)
		return; /* a listener's peer is whoever comes; of a datagram it may be unknown */
	npt_identity_address(slot->key.peer_address, peer->address);
	if (slot->key.role == NPT_BPF_CLIENT) {
		npt_identity_endpoint(slot->key.peer_address, slot->key.peer_port, peer->asked);
		(void)snprintf(peer->reached, sizeof(peer->reached), "unknown");
	}
	if (slot->pair_port == 0)
		return;
	/* The other end is a target of this node, too. */
	npt_identity_endpoint(slot->pair_address, slot->pair_port,
			      slot->key.role == NPT_BPF_CLIENT ? peer->reached : peer->asked);
}
