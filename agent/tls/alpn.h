/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ALPN - the names of application protocols in a hello (RFC 7301), and what they say of the
 * protocol inside.
 *
 * A plain value. Names are bytes that somebody else wrote: what is not printable, or would be
 * mistaken for a list, is left out and counted.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/protocol.h"

#define NPT_TLS_ALPN_TEXT_BYTES 128

#define NPT_TLS_INNER_AGREED  95 /* per cent: the server chose it in clear */
#define NPT_TLS_INNER_OFFERED 80 /* the client offered nothing else; the choice is hidden */

struct npt_tls_alpn {
	char text[NPT_TLS_ALPN_TEXT_BYTES]; /* names in the client's order, with "," between */
	uint32_t count;                     /* names that were well-formed */
	uint32_t refused;                   /* names that were not */
	bool more;                          /* not all of them are in text */
	uint32_t protocols;                 /* 1 << enum npt_bpf_protocol, of names that say one */
};
_Static_assert(NPT_PROTOCOL_COUNT <= 32, "a bit for each protocol");

/*
 * Reads an extension's body: as much of it as there is, size_bytes of whole_bytes. False if its
 * lengths contradict each other; then alpn is empty.
 */
bool npt_tls_alpn_parse(struct npt_tls_alpn *alpn, const uint8_t *bytes, size_t size_bytes,
			size_t whole_bytes);
/*
 * What is inside by the names: http2 if only names of HTTP/2 say something, http if it may be
 * either. UNKNOWN if no name says anything, or several contradict each other.
 */
enum npt_bpf_protocol npt_tls_alpn_protocol(const struct npt_tls_alpn *alpn);
bool npt_tls_alpn_has(const struct npt_tls_alpn *alpn, enum npt_bpf_protocol protocol);
