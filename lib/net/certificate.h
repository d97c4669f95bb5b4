/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Certificate - a CA of our own and a leaf that it signed, ECDSA P-256, as PEM.
 */
#include <stddef.h>

#include "lib/core/error.h"

struct npt_certificates {
	char *ca_cert, *ca_key, *cert,
		*key; /* PEM, the caller's; released by npt_certificates_done */
};

/* names: DNS names of the leaf, the first is also its common name; NULL ends. Valid for ten years.
 */
int npt_certificates_make(const char *const *names, struct npt_certificates *made_ret,
			  struct npt_error *err);
void npt_certificates_done(struct npt_certificates *made);
