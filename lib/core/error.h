/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Error - a code and the sentence that a person reads.
 *
 * Set once where it happens, wrapped with context on the way up ("informer: watch: refused"),
 * untouched on success. A caller that does not want the text passes NULL.
 */
#include <stdarg.h>
#include <stddef.h>

#define NPT_ERROR_TEXT_BYTES 512

struct npt_error {
	int code;                        /* errno value, > 0; 0 while nothing went wrong */
	char text[NPT_ERROR_TEXT_BYTES]; /* outermost context first */
};

#define NPT_ERROR_NONE                                                                             \
	{                                                                                          \
		.code = 0, .text = ""                                                              \
	}

/* Both return -code, so that a caller can say "return npt_error_set(err, EINVAL, ...)". */
int npt_error_set(struct npt_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts "context: " in front of what is there; returns -err->code (or -EIO without an err). */
int npt_error_wrap(struct npt_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* "ENOENT" for 2, "errno 4711" for what has no name; never NULL. */
const char *npt_errno_name(int code);
