/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tls - what we ask of OpenSSL beside libwebsockets: limits, certificate files that change, and
 * trust in one CA file only. The contexts are libwebsockets'; used on its service thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include <openssl/types.h>

#include "lib/core/error.h"

/* What tells that a pair of files changed; a Secret's files change by a symbolic link. */
struct npt_tls_stamp {
	uint64_t cert[3]; /* inode, size, time of change */
	uint64_t key[3];
};

/* TLS 1.2 or newer, buffers released while idle, no renegotiation, no compression. */
void npt_tls_limit(SSL_CTX *context);
/* Can this pair be used? A clear error says which file is wrong. */
int npt_tls_check_pair(const char *cert_file, const char *key_file, struct npt_error *err);
/* Checks first: a bad pair leaves the context with the former one. */
int npt_tls_use_pair(SSL_CTX *context, const char *cert_file, const char *key_file,
		     struct npt_error *err);
void npt_tls_stamp(const char *cert_file, const char *key_file, struct npt_tls_stamp *stamp_ret);
bool npt_tls_stamp_same(const struct npt_tls_stamp *a, const struct npt_tls_stamp *b);
/* From now on the context trusts the certificates of this file and no others. */
int npt_tls_trust_only(SSL_CTX *context, const char *ca_file, struct npt_error *err);
