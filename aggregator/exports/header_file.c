/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/header_file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/kube/config.h"

#define FILE_BYTES_MAX  (16U * 1024)
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

static bool is_header(const char *line)
{
	size_t name = strspn(line, NAME_CHARACTERS);

	if (name == 0 || line[name] != ':')
		return false;
	for (const char *at = line + name; *at; at++) {
		if ((unsigned char)*at < ' ' || (unsigned char)*at == 0x7f)
			return false;
	}
	return true;
}

int npt_headers_parse(char *text, struct npt_headers *headers_ret, struct npt_error *err)
{
	npt_auto(npt_headers_done) struct npt_headers headers = { .text = text };
	size_t count = 0, number = 0;
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		size_t length = strlen(line);

		number++;
		if (length > 0 && line[length - 1] == '\r')
			line[length - 1] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (count == NPT_HEADERS_MAX)
			return npt_error_set(err, EINVAL, "more than %d headers", NPT_HEADERS_MAX);
		if (!is_header(line))
			return npt_error_set(err, EINVAL, "line %zu is not \"Name: value\"",
					     number);
		headers.lines[count++] = line;
	}
	*headers_ret = headers;
	headers.text = NULL;
	return 0;
}

int npt_headers_read(const char *path, struct npt_headers *headers_ret, struct npt_error *err)
{
	char *text = NULL;
	int r = npt_kube_config_read_file(path, FILE_BYTES_MAX, &text, err);

	if (r == 0)
		r = npt_headers_parse(text, headers_ret, err);
	return r < 0 ? npt_error_wrap(err, "%s", path) : 0;
}

void npt_headers_done(struct npt_headers *headers)
{
	if (headers->text)
		explicit_bzero(headers->text, strlen(headers->text));
	free(headers->text);
	headers->text = NULL;
}
