/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log - one line an event: a name and key=value pairs, as text or as JSON.
 *
 *	npt_log_info("agent connected", "node", node, "version", version);
 *
 * Programs log; lib/ stays silent above debug and returns errors instead. Values are strings; a
 *NULL value is written as "". Goes to stderr, one write() a line, safe from any thread. Never a
 *token.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/core/error.h"

enum npt_log_level {
	NPT_LOG_ERROR,
	NPT_LOG_WARNING,
	NPT_LOG_INFO,
	NPT_LOG_DEBUG,
};

/* Set once by main, before threads start. */
void npt_log_setup(const char *program, enum npt_log_level level, bool json);
/* Values of --log-level and, if it is not NULL, --log-format; -EINVAL says what they can be. */
int npt_log_options_parse(const char *level, const char *format, enum npt_log_level *level_ret,
			  struct npt_error *err);
bool npt_log_enabled(enum npt_log_level level);
/* Pairs of strings, ended by a NULL key. */
void npt_log(enum npt_log_level level, const char *event, ...) __attribute__((sentinel));
/* Decimal text of a number, for a value in the same statement; a small ring per thread. */
const char *npt_log_u64(uint64_t value);

#define npt_log_error(...)   npt_log(NPT_LOG_ERROR, __VA_ARGS__, NULL)
#define npt_log_warning(...) npt_log(NPT_LOG_WARNING, __VA_ARGS__, NULL)
#define npt_log_info(...)    npt_log(NPT_LOG_INFO, __VA_ARGS__, NULL)
#define npt_log_debug(...)   npt_log(NPT_LOG_DEBUG, __VA_ARGS__, NULL)
