/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS peer - two ends of OpenSSL that shake hands in memory, and what they said.
 */
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/certificate.h"
#include "tests/support/tls_events.h"

struct npt_test_tls_options {
	int version_min, version_max; /* TLS1_VERSION ...; 0: TLS 1.3 only */
	const char *suite;            /* of TLS 1.3; NULL: OpenSSL's choice */
	const char *ciphers;          /* of TLS 1.2 and older, by OpenSSL's names */
	const char *client_groups, *server_groups;
	const char *sni;
	const char *client_alpn, *server_alpn; /* one name after the other: "h2 http/1.1" */
	const char *client_certificate; /* file in the authority's directory, without ".crt" */
	bool ask_certificate;           /* the server does, and refuses a client without */
	bool ask_kindly;                /* and takes a client without */
	bool distrust;                  /* the client does not know the authority */
	bool client_distrusted;         /* the server does not */
	bool no_tickets;                /* TLS 1.2: resumed by the session's id */
	bool psk;                       /* an external key, in either version */
	bool early_data;
	unsigned int padding;  /* of records, to a multiple */
	unsigned int fragment; /* no longer records */
	void **session;        /* SSL_SESSION, in and out: resumed if it is not NULL */
	void *server;          /* SSL_CTX of the server, to be used again; NULL: a new one */
};

struct npt_test_tls {
	struct npt_test_conversation said;
	bool client_done, server_done;
	bool resumed;             /* says OpenSSL */
	uint16_t version, cipher; /* on the wire; 0 if it failed */
};

/* A server's context, as in options.server; freed with npt_test_tls_server_free(). */
void *npt_test_tls_server(const struct npt_test_ca *ca, const struct npt_test_tls_options *options);
void npt_test_tls_server_free(void *server);
void npt_test_tls_session_free(void *session);
/* The whole of it: handshake, a request, a response, a close. Each flight is a millisecond later.
 */
void npt_test_tls_talk(const struct npt_test_ca *ca, const struct npt_test_tls_options *options,
		       struct npt_test_tls *tls_ret);
