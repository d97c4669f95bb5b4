/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What server and client both ask of libwebsockets before their first context.
 */
#include <stddef.h>

/* Its log goes to ours, at debug level. Any number of times, from any thread. */
void npt_lws_log_setup(void);
/*
 * libwebsockets sizes its tables by the limit of open files: raises the soft limit to what is
 * needed, and lowers one of a million (containers have such) to something small.
 */
void npt_lws_limit_files(size_t needed);
