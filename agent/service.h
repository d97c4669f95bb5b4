/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Service - npt-agent serve: the agent of a node. Dials the controller, measures what it wants.
 */
#include <stdbool.h>

#include "lib/core/error.h"

struct npt_service_options {
	const char *controller; /* wss://HOST:PORT/v1/agents */
	const char *ca_file;
	const char *token_file;
	const char *spool; /* directory for windows on their way; NULL: keep no history */
	const char *node;
	const char *pod_uid;
	const char *log_level;
	bool log_json;
	bool help;
};

extern const char npt_service_help[];
/* -EINVAL with the line for the user. What is not given comes from NODE_NAME and POD_UID. */
int npt_service_options_parse(int argc, char **argv, struct npt_service_options *options_ret,
			      struct npt_error *err);
/* Runs until SIGTERM or SIGINT. */
int npt_service_run(const struct npt_service_options *options, struct npt_error *err);
