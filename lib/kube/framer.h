/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Framer - cuts a stream of JSON into objects, one at a time, wherever its pieces are split.
 *
 * Lists are never held as a tree: 82 KB of heap per pod. In a watch stream every object at the top
 * is given out; in a List each item, the List's metadata and its kind. Pure; a malformed stream is
 * an error, not a guess.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buffer.h"
#include "lib/core/error.h"

#define NPT_FRAMER_OBJECT_BYTES (4U * 1024 * 1024)
#define NPT_FRAMER_DEPTH_MAX    64

enum npt_framer_mode { NPT_FRAMER_STREAM, NPT_FRAMER_LIST };

struct npt_framer {
	enum npt_framer_mode mode;
	/* The text of one object; is_metadata for a List's metadata. < 0 ends the stream. */
	int (*on_object)(void *context, bool is_metadata, const char *text, size_t size_bytes);
	void *context;
	size_t max_object_bytes; /* may be lowered before the first feed */
	/* private */
	struct npt_buffer object;
	char word[64]; /* the text at depth 1 that is read or was read last */
	size_t word_length;
	char key[16];     /* the key at depth 1 whose value comes */
	char kind[64];    /* of a List */
	uint64_t is_list; /* one bit a level: [ rather than { */
	unsigned int depth;
	unsigned int capture_depth; /* depth at which the object began; 0: none is captured */
	bool in_text;
	bool escaped;
	bool in_items;
	bool metadata;
	bool whole; /* a List has ended */
};

void npt_framer_init(struct npt_framer *framer, enum npt_framer_mode mode,
		     int (*on_object)(void *context, bool is_metadata, const char *text,
				      size_t size_bytes),
		     void *context);
void npt_framer_done(struct npt_framer *framer);
NPT_DEFINE_AUTO_DONE(struct npt_framer, npt_framer_done)
/* -EMSGSIZE: an object is too large; -EBADMSG: nested too deep or not JSON; or on_object's. */
int npt_framer_feed(struct npt_framer *framer, const char *data, size_t size_bytes,
		    struct npt_error *err);
/* Whether a stream ends cleanly here; a cut last object is to be thrown away. */
bool npt_framer_is_between(const struct npt_framer *framer);
/* Whether a whole List came: its kind ends in "List", its last bracket is there. */
bool npt_framer_is_list(const struct npt_framer *framer);
