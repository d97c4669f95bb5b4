/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Agents - who is connected: one live connection per node, named by the node in its token.
 *
 * The table is the controller's thread's; frames come to it as events from the server's thread.
 */
#include "controller/events.h"
#include "lib/net/server.h"

#define NPT_AGENTS_MAX 16384

struct npt_agents;

struct npt_agents_options {
	const char *listen; /* ":9443" */
	const char *tls_cert, *tls_key;
	struct npt_queue *events; /* borrowed */
};

/* Listens when it returns. */
int npt_agents_start(struct npt_agents **agents_ret, const struct npt_agents_options *options,
		     struct npt_error *err);
void npt_agents_free(struct npt_agents *agents);
NPT_DEFINE_AUTO(struct npt_agents *, npt_agents_free)

/* The token was found good: from now on this is the node's connection; an older one is closed. */
void npt_agents_admit(struct npt_agents *agents, uint64_t socket, const char *node);
void npt_agents_refuse(struct npt_agents *agents, uint64_t socket, const char *reason);
void npt_agents_closed(struct npt_agents *agents, uint64_t socket);
/* The node behind a socket, or NULL. */
const char *npt_agents_node(const struct npt_agents *agents, uint64_t socket);
/* Of its last hello; "" before it. */
const char *npt_agents_instance(const struct npt_agents *agents, const char *node);
/* It said hello: who it is, what it holds. */
void npt_agents_hello(struct npt_agents *agents, const char *node,
		      const struct npt_channel_message *hello);
/* What the node's agent said of it (npt_channel_kind_to_json()); NULL before its hello. */
const char *npt_agents_kind(const struct npt_agents *agents, const char *node);
/* Another number whenever a node or its kind has come or gone. */
uint64_t npt_agents_version(const struct npt_agents *agents);
/* Whether this connection said hello: what comes before it is of nobody known. */
bool npt_agents_is_greeted(const struct npt_agents *agents, const char *node);
/* The uid of a task that it holds by its hello and was told nothing about yet; NULL beyond. */
const char *npt_agents_held_at(const struct npt_agents *agents, const char *node, size_t index);
bool npt_agents_is_connected(const struct npt_agents *agents, const char *node);
size_t npt_agents_count(const struct npt_agents *agents);
const char *npt_agents_node_at(const struct npt_agents *agents, size_t index);
void npt_agents_send(struct npt_agents *agents, uint64_t socket,
		     const struct npt_channel_message *message);
/*
 * Sends the wanted state to a node that said hello, if it differs from what was sent last but for
 * the time that remains, or if it must be said again.
 */
void npt_agents_want(struct npt_agents *agents, const char *node,
		     const struct npt_channel_message *wanted, bool again);
