/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate that does not fit the key in a context makes OpenSSL drop that key, so a new pair
 * is tried in a context of its own before it goes into the one that serves.
 */
#include "lib/net/tls.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "lib/core/cleanup.h"

NPT_DEFINE_AUTO(SSL_CTX *, SSL_CTX_free)
NPT_DEFINE_AUTO(X509_STORE *, X509_STORE_free)

void npt_tls_limit(SSL_CTX *context)
{
	(void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	(void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}

/* The reason of the first error in OpenSSL's queue, which is emptied. */
static const char *reason(void)
{
	unsigned long code = ERR_get_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	if (code && ERR_SYSTEM_ERROR(code))
		text = strerror(ERR_GET_REASON(code));
	ERR_clear_error();
	return text ? text : "unknown error";
}

static int load_pair(SSL_CTX *context, const char *cert_file, const char *key_file,
		     struct npt_error *err)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1)
		return npt_error_set(err, EINVAL, "cannot use the certificate %s: %s", cert_file,
				     reason());
	if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
		return npt_error_set(err, EINVAL, "cannot use the key %s of certificate %s: %s",
				     key_file, cert_file, reason());
	return 0;
}

int npt_tls_check_pair(const char *cert_file, const char *key_file, struct npt_error *err)
{
	npt_auto(SSL_CTX_free) SSL_CTX *trial = SSL_CTX_new(TLS_server_method());

	if (!trial)
		return npt_error_set(err, ENOMEM, "OpenSSL: %s", reason());
	return load_pair(trial, cert_file, key_file, err);
}

int npt_tls_use_pair(SSL_CTX *context, const char *cert_file, const char *key_file,
		     struct npt_error *err)
{
	int r = npt_tls_check_pair(cert_file, key_file, err);

	return r < 0 ? r : load_pair(context, cert_file, key_file, err);
}

static void stamp_file(const char *path, uint64_t out[3])
{
	struct stat status;

	if (stat(path, &status) < 0)
		memset(&status, 0, sizeof(status));
	out[0] = status.st_ino;
	out[1] = (uint64_t)status.st_size;
	out[2] = (uint64_t)status.st_mtim.tv_sec * 1000000000U + (uint64_t)status.st_mtim.tv_nsec;
}

void npt_tls_stamp(const char *cert_file, const char *key_file, struct npt_tls_stamp *stamp_ret)
{
	stamp_file(cert_file, stamp_ret->cert);
	stamp_file(key_file, stamp_ret->key);
}

bool npt_tls_stamp_same(const struct npt_tls_stamp *a, const struct npt_tls_stamp *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int npt_tls_trust_only(SSL_CTX *context, const char *ca_file, struct npt_error *err)
{
	npt_auto(X509_STORE_free) X509_STORE *store = X509_STORE_new();

	ERR_clear_error();
	if (!store || X509_STORE_load_file(store, ca_file) != 1)
		return npt_error_set(err, EINVAL, "cannot use the CA file %s: %s", ca_file,
				     reason());
	SSL_CTX_set_cert_store(context, npt_take(store));
	return 0;
}
