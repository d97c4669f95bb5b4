/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text is cut, never overrun; a cut text still names its outermost context.
 */
#include "lib/core/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int npt_error_set(struct npt_error *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return -code;
	err->code = code;
	va_start(args, format);
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return -code;
}

static void append_cut(char *out, size_t size, const char *inner)
{
	size_t length = strlen(inner);

	if (size < 3)
		return;
	if (length > size - 3)
		length = size - 3;
	memcpy(out, ": ", 2);
	memcpy(out + 2, inner, length);
	out[2 + length] = '\0';
}

int npt_error_wrap(struct npt_error *err, const char *format, ...)
{
	char inner[NPT_ERROR_TEXT_BYTES];
	va_list args;
	int length;

	if (!err)
		return -EIO;
	memcpy(inner, err->text, sizeof(inner));
	va_start(args, format);
	length = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (length >= 0 && (size_t)length < sizeof(err->text))
		append_cut(err->text + length, sizeof(err->text) - (size_t)length, inner);
	return -err->code;
}

const char *npt_errno_name(int code)
{
	static __thread char unknown[24];
	const char *name = strerrorname_np(code);

	if (name)
		return name;
	(void)snprintf(unknown, sizeof(unknown), "errno %d", code);
	return unknown;
}
