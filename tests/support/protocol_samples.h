/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Protocol samples - connections as they are: the first bytes of each message, which side said
 * them, and what protocol it is. Captured from real programs, written by the protocol's
 * specification, and such that must not get a label. A caller is simulated that shows them to a
 * classifier.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/protocol.h"

#define NPT_SAMPLE_MESSAGES 8

struct npt_protocol_sample_message {
	uint8_t from;      /* enum npt_message_from */
	uint32_t length;   /* of bytes */
	uint32_t size;     /* of the whole message */
	const char *bytes; /* its begin */
};

#define NPT_CLIENT(size, bytes)                                                                    \
	{                                                                                          \
		NPT_FROM_CLIENT, sizeof(bytes) - 1, (size), (bytes)                                \
	}
#define NPT_SERVER(size, bytes)                                                                    \
	{                                                                                          \
		NPT_FROM_SERVER, sizeof(bytes) - 1, (size), (bytes)                                \
	}
/* The whole message. */
#define NPT_CLIENT_ALL(bytes) NPT_CLIENT(sizeof(bytes) - 1, bytes)
#define NPT_SERVER_ALL(bytes) NPT_SERVER(sizeof(bytes) - 1, bytes)

struct npt_protocol_sample {
	const char *name;
	uint8_t protocol; /* what it is */
	uint8_t via;      /* a label that may come before, rightly */
	uint8_t inside;   /* of TLS that was asked for */
	uint8_t near;     /* a label that a change of one byte may make right */
	bool datagram;
	bool later; /* such messages do not begin a connection */
	/* 1 + the message from which on the label is found, too, by who did not see the begin. */
	uint8_t from_middle;
	struct npt_protocol_sample_message messages[NPT_SAMPLE_MESSAGES];
};

extern const struct npt_protocol_sample npt_protocol_captured[];
extern const size_t npt_protocol_captured_count;
extern const struct npt_protocol_sample npt_protocol_captured_web[];
extern const size_t npt_protocol_captured_web_count;
extern const struct npt_protocol_sample npt_protocol_specified[];
extern const size_t npt_protocol_specified_count;
extern const struct npt_protocol_sample npt_protocol_others[];
extern const size_t npt_protocol_others_count;

/* All of them, numbered from 0; NULL behind the last. */
const struct npt_protocol_sample *npt_protocol_sample(size_t index);

/* npt_protocol_next(), here or in the kernel. */
typedef void (*npt_protocol_look_fn)(struct npt_bpf_classified *now,
				     const struct npt_bpf_message *message, void *data);

/*
 * One message as it becomes known in pieces of so many bytes (0: at once), from its byte begin on.
 * What is skipped is left out, as npt_bpf_classified says.
 */
struct npt_protocol_show {
	const struct npt_protocol_sample_message *message;
	uint32_t begin;
	uint32_t piece;
	uint8_t flags; /* FIRST, DATAGRAM */
	npt_protocol_look_fn look;
	void *data;
};

void npt_protocol_show(struct npt_bpf_classified *now, const struct npt_protocol_show *show);
