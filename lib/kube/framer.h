/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Framer - cuts a stream of JSON into objects, one at a time, wherever its pieces are split.
 *
 * Lists are never held as a tree: 82 KB of heap per pod. In a watch stream every object at the top
 * is given out; in a List each item, and the List's metadata. Pure; a malformed stream is an error,
 * not a guess.
 */
#include <stdbool.h>
#include <stddef.h>

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
	/* private */
	struct npt_buffer object;
	char key[16]; /* last text seen at depth 1 */
	size_t key_length;
	unsigned int depth;
	unsigned int capture_depth; /* depth at which the object began; 0: none is captured */
	bool in_text;
	bool escaped;
	bool in_items;
	bool metadata;
};

void npt_framer_init(struct npt_framer *framer, enum npt_framer_mode mode,
		     int (*on_object)(void *context, bool is_metadata, const char *text,
				      size_t size_bytes),
		     void *context);
void npt_framer_done(struct npt_framer *framer);
/* -EMSGSIZE: an object is too large; -EBADMSG: nested too deep or not JSON; or on_object's. */
int npt_framer_feed(struct npt_framer *framer, const char *data, size_t size_bytes,
		    struct npt_error *err);
/* Whether a stream ends cleanly here; a cut last object is to be thrown away. */
bool npt_framer_is_between(const struct npt_framer *framer);
