/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Hello - a ClientHello or ServerHello, read while its bytes come (RFC 8446 4.1, RFC 5246 7.4.1).
 *
 * Nothing of it is kept but what is asked for: of each field and extension at most
 * NPT_TLS_FIELD_BYTES are gathered, the rest is passed over. So a hello with a key share of several
 * KiB costs as little as a short one, and may come in any pieces, with holes where nothing of
 * interest is. A hello whose lengths contradict each other is malformed as a whole.
 *
 * A plain value; its caller's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tls/alpn.h"

#define NPT_TLS_SNI_BYTES   254 /* a host name of DNS has at most 253 */
#define NPT_TLS_FIELD_BYTES 288 /* of one field: a server name with its lengths has at most 260 */

struct npt_tls_hello {
	/* What it said; valid when complete. */
	bool complete;
	bool malformed;
	bool retry;       /* a ServerHello that is a HelloRetryRequest */
	bool psk;         /* client: offered; server: accepted */
	bool early_data;  /* client: sends data before the handshake is over (0-RTT) */
	bool sni_refused; /* there was a name that no host can have */
	bool alpn_there;
	uint16_t version; /* the real one of a ServerHello; of a ClientHello what its head says */
	uint16_t cipher;  /* of a ServerHello */
	char sni[NPT_TLS_SNI_BYTES]; /* lower case; "" if there was none */
	struct npt_tls_alpn alpn;    /* client: offered; server: chosen */

	/* The reader's own. */
	bool server;
	uint8_t step;
	uint8_t seen; /* extensions, by their place in the table */
	uint16_t extension;
	uint16_t extension_bytes;
	uint16_t wanted; /* bytes to gather, after what is passed over */
	uint16_t gathered;
	uint32_t pass_over; /* bytes */
	uint32_t left;      /* bytes of the message that have not come yet */
	uint8_t bytes[NPT_TLS_FIELD_BYTES];
};

/* Begins a message of so many bytes, without its head of 4. */
void npt_tls_hello_begin(struct npt_tls_hello *hello, bool server, uint32_t message_bytes);
/* The next bytes of the message; bytes NULL: that many were missed. More than are left: ignored. */
void npt_tls_hello_feed(struct npt_tls_hello *hello, const uint8_t *bytes, size_t size_bytes);
/* Copies a host name in lower case. False: no host can have that name; then name_ret is "". */
bool npt_tls_host_name(const uint8_t *bytes, size_t size_bytes, char name_ret[NPT_TLS_SNI_BYTES]);
