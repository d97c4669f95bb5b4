/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A depth counter that knows strings and escapes. What is inside an object is the parser's
 * business; here only its end matters.
 */
#include "lib/kube/framer.h"

#include <errno.h>
#include <string.h>

void npt_framer_init(struct npt_framer *framer, enum npt_framer_mode mode,
		     int (*on_object)(void *context, bool is_metadata, const char *text,
				      size_t size_bytes),
		     void *context)
{
	*framer = (struct npt_framer){ .mode = mode, .on_object = on_object, .context = context };
	npt_buffer_init(&framer->object, NPT_FRAMER_OBJECT_BYTES);
}

void npt_framer_done(struct npt_framer *framer)
{
	npt_buffer_done(&framer->object);
}

static bool begins_object(const struct npt_framer *framer)
{
	if (framer->capture_depth)
		return false;
	if (framer->mode == NPT_FRAMER_STREAM)
		return framer->depth == 0;
	if (framer->depth == 1)
		return strcmp(framer->key, "metadata") == 0;
	return framer->depth == 2 && framer->in_items;
}

static int open_bracket(struct npt_framer *framer, char character, struct npt_error *err)
{
	if (framer->depth == 0 && character != '{')
		return npt_error_set(err, EBADMSG, "the answer is no JSON object");
	if (framer->depth >= NPT_FRAMER_DEPTH_MAX)
		return npt_error_set(err, EBADMSG, "the answer is nested deeper than %d",
				     NPT_FRAMER_DEPTH_MAX);
	if (character == '{' && begins_object(framer)) {
		framer->capture_depth = framer->depth + 1;
		framer->metadata = framer->mode == NPT_FRAMER_LIST && framer->depth == 1;
	}
	if (character == '[' && framer->depth == 1 && strcmp(framer->key, "items") == 0)
		framer->in_items = true;
	framer->depth++;
	return 0;
}

static int close_bracket(struct npt_framer *framer, struct npt_error *err)
{
	int r = 0;

	if (framer->depth == 0)
		return npt_error_set(err, EBADMSG, "the answer is no JSON: a bracket too many");
	if (framer->capture_depth == framer->depth) {
		framer->capture_depth = 0;
		r = framer->on_object(framer->context, framer->metadata, framer->object.data,
				      framer->object.size_bytes);
		npt_buffer_clear(&framer->object);
	}
	framer->depth--;
	if (framer->depth == 1)
		framer->in_items = false;
	return r;
}

/* The last text at depth 1 is a key when a bracket follows. */
static void take_key(struct npt_framer *framer, char character)
{
	if (framer->depth != 1 || framer->key_length + 1 >= sizeof(framer->key))
		return;
	framer->key[framer->key_length++] = character;
	framer->key[framer->key_length] = '\0';
}

static void in_text(struct npt_framer *framer, char character)
{
	if (framer->escaped)
		framer->escaped = false;
	else if (character == '\\')
		framer->escaped = true;
	else if (character == '"')
		framer->in_text = false;
	else
		take_key(framer, character);
}

static int take(struct npt_framer *framer, char character, struct npt_error *err)
{
	if (framer->in_text) {
		in_text(framer, character);
		return 0;
	}
	switch (character) {
	case '"':
		framer->in_text = true;
		framer->key_length = 0;
		if (framer->depth == 1)
			framer->key[0] = '\0';
		return 0;
	case '{':
	case '[':
		return open_bracket(framer, character, err);
	default:
		return 0;
	}
}

int npt_framer_feed(struct npt_framer *framer, const char *data, size_t size_bytes,
		    struct npt_error *err)
{
	for (size_t i = 0; i < size_bytes; i++) {
		bool was_text = framer->in_text;
		int r = take(framer, data[i], err);

		if (r < 0)
			return r;
		if (framer->capture_depth && npt_buffer_append(&framer->object, &data[i], 1) < 0)
			return npt_error_set(err, EMSGSIZE, "an object is larger than %u bytes",
					     NPT_FRAMER_OBJECT_BYTES);
		if (!was_text && (data[i] == '}' || data[i] == ']')) {
			r = close_bracket(framer, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

bool npt_framer_is_between(const struct npt_framer *framer)
{
	return framer->depth == 0 && !framer->in_text;
}
