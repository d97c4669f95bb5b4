/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Aggregator - the program: owns store, ingest, API and servers, and runs until a signal.
 */
#include <stdbool.h>
#include <stdint.h>

#include "aggregator/exports/setup.h"
#include "lib/core/error.h"

struct npt_aggregator_options {
	const char *listen;
	const char *health;
	const char *tls_cert;
	const char *tls_key;
	const char *ingest_key;
	const char *store;
	const char *kubeconfig; /* NULL: in a pod */
	bool insecure_local;    /* on a loopback address only: everybody may read everything */
	uint64_t max_age_ms;
	uint64_t max_bytes;
	struct npt_exports_options exports;
};

/* Returns 0 after SIGTERM or SIGINT, and < 0 if it could not start. */
int npt_aggregator_run(const struct npt_aggregator_options *options, struct npt_error *err);
