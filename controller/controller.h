/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Controller - npt-controller run: watches tasks, finds their pods, says to agents what to measure,
 * writes what they found into the status.
 */
#include <stdbool.h>

#include "lib/core/error.h"

struct npt_controller_options {
	const char *listen; /* the agents' channel; ":9443" */
	const char *health; /* ":8081" */
	const char *tls_cert;
	const char *tls_key;
	const char *ingest_key;     /* file; NULL: no history */
	const char *ingest_url;     /* what agents post to */
	const char *result_url;     /* what people open; with %s for the task's uid */
	const char *kubeconfig;     /* NULL: in a pod */
	const char *namespace_name; /* where the agents' service account is; NULL: this pod's */
	const char *agent_account;  /* "npt-agent" */
};

/* Runs until SIGTERM or SIGINT. */
int npt_controller_run(const struct npt_controller_options *options, struct npt_error *err);
