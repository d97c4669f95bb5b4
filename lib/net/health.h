/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Health - /healthz: the process answers; /readyz: it can do its work, says *ready. Plain HTTP, it
 * tells nothing. Asks nobody else, so that somebody's absence restarts nobody.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/core/error.h"
#include "lib/net/server.h"

/* One in a process. ready is borrowed. The server is the caller's, freed by npt_server_free(). */
int npt_health_serve(const char *listen, atomic_bool *ready, struct npt_server **server_ret,
		     struct npt_error *err);
