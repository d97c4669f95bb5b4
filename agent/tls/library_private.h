/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Shared by the files of the module library.
 */
#include "agent/tls/library.h"

/* What a file's name (without its folder) says that it is; NPT_TLS_KINDS if nothing. */
enum npt_tls_kind npt_tls_kind_of_name(const char *name);
