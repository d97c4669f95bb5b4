/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Channel - the messages between agent and controller: JSON text frames over WebSocket/TLS.
 *
 * Level-triggered: the agent says what it has (hello, then a summary each second), the controller
 * answers with everything that it wants from this node (wanted). Nothing is a command, so any lost
 * message is repaired by the next one. Deadlines are relative milliseconds. Unknown message types
 * and unknown fields are ignored (N and N-1 interoperate); wrong types are refused and counted.
 *
 * agent -> controller
 *	hello    {proto, node, podUid, instance, version, kernel, layers, unavailable, holding}
 *	summary  {assignments: [{id, taskUid, state, reason, message, pods}]}
 *	resolve  {addresses: ["10.1.2.3"]}
 * controller -> agent
 *	wanted   {epoch, assignments: [...]}    the full wanted state
 *	names    {names: [{address, kind, namespace, name}]}
 *
 * A summary says each pod's numbers whole; of many pods it is several messages, each of which
 *stands for itself. An assignment that is finished stays in the agent's summaries until the
 *controller no longer wants it. All objects are owned by the message; npt_channel_message_free()
 *releases it.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/model/report.h"
#include "lib/model/summary.h"

#define NPT_CHANNEL_PROTO           1
#define NPT_CHANNEL_FRAME_BYTES     (1024 * 1024)
#define NPT_CHANNEL_PATH            "/v1/agents"
#define NPT_CHANNEL_ASSIGNMENTS_MAX 64
#define NPT_CHANNEL_PODS_MAX        256 /* per assignment and node */
#define NPT_CHANNEL_SUMMARY_PODS    16  /* in one message; a summary is as many as it takes */
#define NPT_CHANNEL_CONTAINERS_MAX  32
#define NPT_CHANNEL_ADDRESSES_MAX   256

enum npt_layer {
	NPT_LAYER_BASE,
	NPT_LAYER_OPERATIONS,
	NPT_LAYER_PROTOCOL,
	NPT_LAYER_TLS,
	NPT_LAYER_REQUESTS,
	NPT_LAYER_COUNT
};

const char *npt_layer_name(enum npt_layer layer); /* "Base" ... as in the CRD */
int npt_layer_parse(const char *text, enum npt_layer *layer_ret);

enum npt_channel_type {
	NPT_CHANNEL_HELLO,
	NPT_CHANNEL_WANTED,
	NPT_CHANNEL_SUMMARY,
	NPT_CHANNEL_RESOLVE,
	NPT_CHANNEL_NAMES,
	NPT_CHANNEL_OTHER, /* a type that this version does not know */
};

enum npt_assignment_state {
	NPT_ASSIGNMENT_STARTING, /* loading, attaching */
	NPT_ASSIGNMENT_RUNNING,
	NPT_ASSIGNMENT_DRAINING, /* deadline passed: last windows on their way to the aggregator */
	NPT_ASSIGNMENT_FINISHED,
	NPT_ASSIGNMENT_REJECTED, /* reason and message say why */
};
const char *npt_assignment_state_name(enum npt_assignment_state state);

struct npt_target_container {
	char name[NPT_NAME_BYTES];
	char id[80]; /* 64 hexadecimal digits, without "containerd://" */
};

struct npt_target {
	char uid[NPT_UID_BYTES];
	char namespace_name[NPT_NAME_BYTES];
	char name[NPT_NAME_BYTES];
	char ip[NPT_ADDRESS_BYTES];
	bool host_network; /* shares the node's network namespace: its processes are the target */
	struct npt_target_container *containers; /* all of the pod, init and ephemeral ones too */
	size_t containers_count;
	char only[NPT_CHANNEL_CONTAINERS_MAX][64]; /* spec.target.containers; "" ends, none = all */
};

struct npt_assignment {
	char id[NPT_UID_BYTES]; /* hash of task uid and node: the same again after a restart */
	struct {
		char namespace_name[NPT_NAME_BYTES];
		char name[NPT_NAME_BYTES];
		char uid[NPT_UID_BYTES];
	} task;
	uint64_t remaining_ms;
	uint32_t interval_seconds;
	bool layers[NPT_LAYER_COUNT];
	uint32_t max_edges_per_pod;
	uint32_t budget_cpu_millicores;
	uint32_t budget_memory_mib;
	char ingest_url[NPT_TEXT_BYTES];
	char *ingest_token; /* NULL: keep no history */
	struct npt_target *targets;
	size_t targets_count;
};

struct npt_held_assignment {
	char id[NPT_UID_BYTES];
	char task_uid[NPT_UID_BYTES];
	enum npt_assignment_state state;
	char reason[NPT_REASON_BYTES];
	char message[NPT_TEXT_BYTES];
	struct npt_pod_summary *pods; /* not in hello */
	size_t pods_count;
};

struct npt_resolved_name {
	char address[NPT_ADDRESS_BYTES];
	enum npt_peer_kind kind; /* pod, service, node; address = nobody knows it */
	char namespace_name[NPT_NAME_BYTES];
	char name[NPT_NAME_BYTES];
};

struct npt_channel_message {
	enum npt_channel_type type;
	/* hello */
	uint32_t proto;
	char node[NPT_NAME_BYTES];
	char pod_uid[NPT_UID_BYTES];
	char instance[NPT_UID_BYTES];
	char version[32];
	char kernel[96];
	bool layers[NPT_LAYER_COUNT]; /* that work on this node */
	struct npt_named_reason
		unavailable[NPT_REPORT_UNAVAILABLE_MAX]; /* and what does not, why */
	/* hello, summary */
	struct npt_held_assignment *held;
	size_t held_count;
	/* wanted */
	char epoch[NPT_UID_BYTES];
	struct npt_assignment *assignments;
	size_t assignments_count;
	/* resolve */
	char (*addresses)[NPT_ADDRESS_BYTES];
	size_t addresses_count;
	/* names */
	struct npt_resolved_name *names;
	size_t names_count;
};

struct npt_channel_message *npt_channel_message_new(enum npt_channel_type type);
void npt_channel_message_free(struct npt_channel_message *message);
NPT_DEFINE_AUTO(struct npt_channel_message *, npt_channel_message_free)

/* What a hello says of its node: {version, kernel, layers, unavailable}. The caller's to free. */
char *npt_channel_kind_to_json(const struct npt_channel_message *hello);
/* One frame of text, the caller's to free. */
char *npt_channel_encode(const struct npt_channel_message *message);
int npt_channel_decode(const char *json, size_t size_bytes,
		       struct npt_channel_message **message_ret, struct npt_error *err);
