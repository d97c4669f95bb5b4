/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/certificate.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

static void must(bool ok)
{
	if (!ok) {
		perror("test certificate");
		abort();
	}
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	must(extension != NULL);
	must(X509_add_ext(certificate, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static X509 *make(EVP_PKEY *key, const char *name, long from_seconds, long to_seconds)
{
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);
	int serial = 0;

	must(RAND_bytes((unsigned char *)&serial, 3) == 1);
	(void)X509_set_version(certificate, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial + 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(certificate), from_seconds);
	(void)X509_gmtime_adj(X509_getm_notAfter(certificate), to_seconds);
	(void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name,
					 -1, -1, 0);
	(void)X509_set_pubkey(certificate, key);
	return certificate;
}

static void write_certificate(const char *path, X509 *certificate)
{
	FILE *file = fopen(path, "we");

	must(file && PEM_write_X509(file, certificate) == 1);
	must(fclose(file) == 0);
}

void npt_test_ca_new(struct npt_test_ca *ca, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make(key, name, -3600, 3600);

	(void)snprintf(ca->directory, sizeof(ca->directory), "/tmp/npt-test-ca-XXXXXX");
	must(mkdtemp(ca->directory) != NULL);
	(void)snprintf(ca->ca_file, sizeof(ca->ca_file), "%s/ca.crt", ca->directory);
	(void)X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign");
	must(X509_sign(certificate, key, EVP_sha256()) > 0);
	write_certificate(ca->ca_file, certificate);
	ca->key = key;
	ca->certificate = certificate;
}

void npt_test_ca_issue(const struct npt_test_ca *ca, const char *file, const char *dns_name,
		       bool expired)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make(key, dns_name, -3600, expired ? -60 : 3600);
	char path[512], names[300];
	FILE *out;

	(void)X509_set_issuer_name(certificate, X509_get_subject_name(ca->certificate));
	(void)snprintf(names, sizeof(names), "DNS:%s,IP:127.0.0.1", dns_name);
	add_extension(certificate, ca->certificate, NID_subject_alt_name, names);
	must(X509_sign(certificate, ca->key, EVP_sha256()) > 0);
	(void)snprintf(path, sizeof(path), "%s/%s.crt", ca->directory, file);
	write_certificate(path, certificate);
	(void)snprintf(path, sizeof(path), "%s/%s.key", ca->directory, file);
	out = fopen(path, "we");
	must(out && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
	must(fclose(out) == 0);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

void npt_test_ca_free(struct npt_test_ca *ca)
{
	DIR *directory = opendir(ca->directory);
	const struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		char path[512];

		(void)snprintf(path, sizeof(path), "%s/%s", ca->directory, entry->d_name);
		if (entry->d_name[0] != '.')
			(void)unlink(path);
	}
	if (directory)
		(void)closedir(directory);
	(void)rmdir(ca->directory);
	EVP_PKEY_free(ca->key);
	X509_free(ca->certificate);
}
