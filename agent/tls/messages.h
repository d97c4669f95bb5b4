/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Messages - the handshake messages of one direction in clear, from the bytes of its records.
 *
 * A message may be split over records, and a record may hold several. Hellos are read
 * (agent/tls/hello.h), of the others only their heads: certificates pass by uncopied. Bytes that
 * were missed do no harm inside of a message; where a head was missed, the rest is lost.
 *
 * A plain value; its caller's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tls/hello.h"

enum npt_tls_message {
	NPT_TLS_HELLO_REQUEST = 0,
	NPT_TLS_CLIENT_HELLO = 1,
	NPT_TLS_SERVER_HELLO = 2,
	NPT_TLS_CERTIFICATE = 11,
	NPT_TLS_CERTIFICATE_REQUEST = 13,
	NPT_TLS_SERVER_HELLO_DONE = 14,
};

struct npt_tls_messages {
	bool server;
	bool lost;       /* what follows is not known */
	uint32_t hellos; /* begun */
	uint8_t type;    /* of the message that is being read */
	uint8_t head_bytes;
	uint8_t head[4];
	uint32_t left;  /* bytes of it that have not come yet */
	uint32_t heads; /* 1 << type of each message that has begun, of types below 32 */
	struct npt_tls_hello hello; /* the last one: a second one follows a HelloRetryRequest */
};

void npt_tls_messages_init(struct npt_tls_messages *messages, bool server);
/* The next bytes; bytes NULL: that many were missed. */
void npt_tls_messages_feed(struct npt_tls_messages *messages, const uint8_t *bytes,
			   size_t size_bytes);
bool npt_tls_messages_has(const struct npt_tls_messages *messages, enum npt_tls_message type);
