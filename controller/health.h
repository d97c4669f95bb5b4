/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Health - /healthz: the process answers; /readyz: the tasks were listed once. Plain HTTP, it tells
 * nothing. Never asks the API server, so that its absence restarts nobody.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/core/error.h"
#include "lib/net/server.h"

/* ready is borrowed. The server is the caller's, freed by npt_server_free(). */
int npt_health_start(struct npt_server **server_ret, const char *listen, atomic_bool *ready,
		     struct npt_error *err);
