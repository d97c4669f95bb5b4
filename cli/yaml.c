/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that are words stay bare, as people write them; "y", "no", "null" and the like are none.
 * An array of scalars (a bucket) stays on one line.
 */
#include "cli/yaml.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/core/cleanup.h"

#define FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6))

static void append_json(struct npt_buffer *out, const json_t *value)
{
	npt_auto_free char *text = json_dumps(value, FLAGS);

	(void)npt_buffer_append_text(out, text ? text : "null");
}

static void append_key(struct npt_buffer *out, const char *key)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char *const reserved[] = { "y",  "n",   "yes",  "no",   "true",
						"on", "off", "null", "false" };
	bool is_bare = key[0] && strchr(letters, key[0]) &&
		       key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_.-")] == '\0';
	json_t *text;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(reserved); i++)
		is_bare = is_bare && strcasecmp(key, reserved[i]) != 0;
	if (is_bare) {
		(void)npt_buffer_append_text(out, key);
		return;
	}
	text = json_string(key);
	append_json(out, text);
	json_decref(text);
}

static bool is_flat(const json_t *value)
{
	size_t i;
	json_t *item;

	if (json_is_object(value))
		return json_object_size(value) == 0;
	json_array_foreach(value, i, item)
	{
		if (json_is_array(item) || json_is_object(item))
			return false;
	}
	return true;
}

static void append_block(struct npt_buffer *out, const json_t *value, int indent, bool in_line);

/* Behind "key:" or "-". */
static void append_value(struct npt_buffer *out, const json_t *value, int indent, bool in_list)
{
	if (is_flat(value)) {
		(void)npt_buffer_append_text(out, " ");
		append_json(out, value);
		(void)npt_buffer_append_text(out, "\n");
		return;
	}
	(void)npt_buffer_append_text(out, in_list ? " " : "\n");
	append_block(out, value, indent, in_list);
}

/* in_line: the first line has its indentation already. */
static void append_block(struct npt_buffer *out, const json_t *value, int indent, bool in_line)
{
	/* jansson's walk over an object takes no const, and changes nothing. */
	json_t *object = (json_t *)(uintptr_t)value, *item;
	const char *key;
	size_t i;

	json_object_foreach(object, key, item)
	{
		(void)npt_buffer_appendf(out, "%*s", in_line ? 0 : indent, "");
		in_line = false;
		append_key(out, key);
		(void)npt_buffer_append_text(out, ":");
		append_value(out, item, indent + (json_is_object(item) ? 2 : 0), false);
	}
	json_array_foreach(value, i, item)
	{
		(void)npt_buffer_appendf(out, "%*s-", in_line ? 0 : indent, "");
		in_line = false;
		append_value(out, item, indent + 2, true);
	}
}

void npt_yaml_append(struct npt_buffer *out, const json_t *value)
{
	if (is_flat(value)) {
		append_json(out, value);
		(void)npt_buffer_append_text(out, "\n");
		return;
	}
	append_block(out, value, 0, false);
}
