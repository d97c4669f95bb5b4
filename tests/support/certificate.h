/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Certificate - authorities and certificates for tests, in files of a directory of their own.
 */
#include <stdbool.h>

struct npt_test_ca {
	char directory[64]; /* made by npt_test_ca_new(), under /tmp */
	char ca_file[96];
	void *key; /* EVP_PKEY */
	void *certificate;
};

void npt_test_ca_new(struct npt_test_ca *ca, const char *name);
/* Removes the directory and what is in it. */
void npt_test_ca_free(struct npt_test_ca *ca);
/* NAME.crt and NAME.key in the directory; valid for that DNS name and 127.0.0.1. */
void npt_test_ca_issue(const struct npt_test_ca *ca, const char *file, const char *dns_name,
		       bool expired);
