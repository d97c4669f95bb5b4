/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A depth counter that knows strings and escapes, and of brackets which kind is open. What is
 * inside an object is the parser's business; here only its end matters. Bytes are copied in runs:
 * of a piece that lies wholly inside an object there is one copy.
 *
 * At depth 1 of a List three keys matter (kind, metadata, items), in any order: built-in types put
 * metadata before the items, custom resources after them.
 */
#include "lib/kube/framer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void npt_framer_init(struct npt_framer *framer, enum npt_framer_mode mode,
		     int (*on_object)(void *context, bool is_metadata, const char *text,
				      size_t size_bytes),
		     void *context)
{
	*framer = (struct npt_framer){
		.mode = mode,
		.on_object = on_object,
		.context = context,
		.max_object_bytes = NPT_FRAMER_OBJECT_BYTES,
	};
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
	if (framer->depth == 0 && (character != '{' || framer->whole))
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
	framer->is_list <<= 1;
	framer->is_list |= character == '[';
	framer->depth++;
	return 0;
}

/* 1: an object that is captured ends with this bracket. */
static int close_bracket(struct npt_framer *framer, char character, struct npt_error *err)
{
	bool ends = framer->capture_depth == framer->depth;

	if (framer->depth == 0 || (framer->is_list & 1) != (character == ']'))
		return npt_error_set(err, EBADMSG, "the answer is no JSON: a bracket does not fit");
	framer->is_list >>= 1;
	framer->depth--;
	if (framer->depth == 1)
		framer->in_items = false;
	if (framer->depth == 0 && framer->mode == NPT_FRAMER_LIST)
		framer->whole = true;
	if (!ends)
		return 0;
	framer->capture_depth = 0;
	return 1;
}

static int append(struct npt_framer *framer, const char *data, size_t size_bytes,
		  struct npt_error *err)
{
	if (framer->object.size_bytes + size_bytes > framer->max_object_bytes ||
	    npt_buffer_append(&framer->object, data, size_bytes) < 0)
		return npt_error_set(err, EMSGSIZE, "an object is larger than %zu bytes",
				     framer->max_object_bytes);
	return 0;
}

/* A text at depth 1 ended: of "kind" it is the value; before a colon it is the next key. */
static void end_word(struct npt_framer *framer)
{
	framer->word[framer->word_length] = '\0';
	if (strcmp(framer->key, "kind") == 0)
		(void)snprintf(framer->kind, sizeof(framer->kind), "%s", framer->word);
}

static void take_text(struct npt_framer *framer, char character)
{
	if (framer->escaped) {
		framer->escaped = false;
	} else if (character == '\\') {
		framer->escaped = true;
	} else if (character == '"') {
		framer->in_text = false;
		if (framer->depth == 1)
			end_word(framer);
	} else if (framer->depth == 1 && framer->word_length + 1 < sizeof(framer->word)) {
		framer->word[framer->word_length++] = character;
	}
}

static int take_outside(struct npt_framer *framer, char character, struct npt_error *err)
{
	switch (character) {
	case '{':
	case '[':
		return open_bracket(framer, character, err);
	case '}':
	case ']':
		return close_bracket(framer, character, err);
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		return 0;
	default:
		break;
	}
	if (framer->depth == 0)
		return npt_error_set(err, EBADMSG, "the answer is no JSON object");
	if (character == '"') {
		framer->in_text = true;
		framer->word_length = 0;
	} else if (framer->depth == 1 && character == ':') {
		(void)snprintf(framer->key, sizeof(framer->key), "%.15s", framer->word);
	} else if (framer->depth == 1 && character == ',') {
		framer->key[0] = '\0';
	}
	return 0;
}

static int end_object(struct npt_framer *framer)
{
	int r = framer->on_object(framer->context, framer->metadata, framer->object.data,
				  framer->object.size_bytes);

	npt_buffer_clear(&framer->object);
	return r;
}

int npt_framer_feed(struct npt_framer *framer, const char *data, size_t size_bytes,
		    struct npt_error *err)
{
	size_t from = 0; /* where the part of this piece begins that belongs to the object */

	for (size_t i = 0; i < size_bytes; i++) {
		unsigned int was_captured = framer->capture_depth;
		int r = 0;

		if (framer->in_text)
			take_text(framer, data[i]);
		else
			r = take_outside(framer, data[i], err);
		if (r < 0)
			return r;
		if (!was_captured && framer->capture_depth)
			from = i;
		if (r != 1)
			continue;
		r = append(framer, data + from, i + 1 - from, err);
		if (r == 0)
			r = end_object(framer);
		if (r < 0)
			return r;
	}
	return framer->capture_depth ? append(framer, data + from, size_bytes - from, err) : 0;
}

bool npt_framer_is_between(const struct npt_framer *framer)
{
	return framer->depth == 0 && !framer->in_text;
}

bool npt_framer_is_list(const struct npt_framer *framer)
{
	size_t length = strlen(framer->kind);

	return framer->whole && length >= 4 && strcmp(framer->kind + length - 4, "List") == 0;
}
