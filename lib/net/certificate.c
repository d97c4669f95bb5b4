/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CA's key signs one leaf and is kept so that the leaf can be renewed; programs trust the CA
 * only.
 */
#include "lib/net/certificate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/cleanup.h"

#define TEN_YEARS_SECONDS (10L * 365 * 24 * 3600)

static int add_extension(X509 *certificate, X509 *issuer, int id, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	int added;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, id, value);
	added = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return added ? 0 : -EIO;
}

static X509 *new_certificate(EVP_PKEY *key, const char *common_name, X509 *issuer)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	uint64_t serial = 0;

	(void)RAND_bytes((unsigned char *)&serial, sizeof(serial));
	(void)X509_set_version(certificate, 2);
	(void)ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(certificate), TEN_YEARS_SECONDS);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					 (const unsigned char *)common_name, -1, -1, 0);
	(void)X509_set_issuer_name(certificate,
				   X509_get_subject_name(issuer ? issuer : certificate));
	(void)X509_set_pubkey(certificate, key);
	return certificate;
}

static X509 *make_ca(EVP_PKEY *key)
{
	X509 *ca = new_certificate(key, "npt-ca", NULL);

	if (add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE") == 0 &&
	    add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") == 0 &&
	    add_extension(ca, ca, NID_subject_key_identifier, "hash") == 0 &&
	    X509_sign(ca, key, EVP_sha256()) > 0)
		return ca;
	X509_free(ca);
	return NULL;
}

static X509 *make_leaf(EVP_PKEY *key, const char *const *names, X509 *ca, EVP_PKEY *ca_key)
{
	npt_auto(npt_buffer_done) struct npt_buffer alternatives = NPT_BUFFER(65536);
	X509 *leaf = new_certificate(key, names[0], ca);

	for (size_t i = 0; names[i]; i++)
		(void)npt_buffer_appendf(&alternatives, "%sDNS:%s", i ? "," : "", names[i]);
	if (add_extension(leaf, ca, NID_basic_constraints, "critical,CA:FALSE") == 0 &&
	    add_extension(leaf, ca, NID_key_usage, "critical,digitalSignature") == 0 &&
	    add_extension(leaf, ca, NID_ext_key_usage, "serverAuth") == 0 &&
	    add_extension(leaf, ca, NID_authority_key_identifier, "keyid") == 0 &&
	    add_extension(leaf, ca, NID_subject_alt_name, alternatives.data) == 0 &&
	    X509_sign(leaf, ca_key, EVP_sha256()) > 0)
		return leaf;
	X509_free(leaf);
	return NULL;
}

static char *take_text(BIO *memory)
{
	char *data = NULL;
	long size = BIO_get_mem_data(memory, &data);
	char *text = npt_strndup(data ? data : "", size > 0 ? (size_t)size : 0);

	(void)BIO_free(memory);
	return text;
}

static char *certificate_text(X509 *certificate)
{
	BIO *memory = BIO_new(BIO_s_mem());

	(void)PEM_write_bio_X509(memory, certificate);
	return take_text(memory);
}

static char *key_text(EVP_PKEY *key)
{
	BIO *memory = BIO_new(BIO_s_mem());

	(void)PEM_write_bio_PKCS8PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL);
	return take_text(memory);
}

int npt_certificates_make(const char *const *names, struct npt_certificates *made_ret,
			  struct npt_error *err)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = ca_key ? make_ca(ca_key) : NULL;
	X509 *leaf = ca && key ? make_leaf(key, names, ca, ca_key) : NULL;
	int r = 0;

	if (leaf)
		*made_ret = (struct npt_certificates){
			.ca_cert = certificate_text(ca),
			.ca_key = key_text(ca_key),
			.cert = certificate_text(leaf),
			.key = key_text(key),
		};
	else
		r = npt_error_set(err, EIO, "OpenSSL could not make a certificate");
	X509_free(leaf);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	return r;
}

void npt_certificates_done(struct npt_certificates *made)
{
	free(made->ca_cert);
	free(made->ca_key);
	free(made->cert);
	free(made->key);
	*made = (struct npt_certificates){ 0 };
}
