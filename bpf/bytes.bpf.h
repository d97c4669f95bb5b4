/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Bytes - where the first bytes of a message are to be had: in a packet's buffer that is being
 * copied to a program, in the memory that a program writes from, or in the one it has read into.
 *
 * A chunk is a stretch of one direction's stream with a way to read it. All of them are read in the
 * context of the program that reads or writes.
 */
#include "bpf/call.bpf.h"

/* A packet's buffer as a dynptr (6.12+ for tracing): works for its pages, too. */
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags,
			       struct bpf_dynptr *ptr) __ksym __weak;

/*
 * Arguments of functions that are verified once, for whoever calls them, and not once per call: a
 * packet (6.9+), or none. Their flags are numbers, whose bounds the verifier is shown inside.
 */
#define npt_packet_or_null                                                                         \
	__attribute__((btf_decl_tag("arg:trusted"), btf_decl_tag("arg:nullable")))

enum npt_chunk_kind {
	NPT_CHUNK_USER = 0,          /* one buffer of the program's */
	NPT_CHUNK_VECTOR = 1,        /* several, which an array of struct iovec names */
	NPT_CHUNK_COPIED_VECTOR = 2, /* the same, of which the kernel has made a copy */
	NPT_CHUNK_GATHERED = 3,      /* bytes that we have kept, NPT_MESSAGE_BYTES at most */
};

#define NPT_CHUNK_VECTORS 4

struct npt_chunk {
	const void *user;  /* buffer, or array of struct iovec */
	__u64 user_offset; /* into the buffer, or into all that the vectors hold */
	__u64 vectors;
	__u32 seq; /* of its first byte */
	__u32 size;
	__u32 kind;
	__u32 packet_offset;
};

struct npt_iovec {
	__u64 base;
	__u64 bytes;
};

/* The place of one offset in the program's vectors, and how much follows it there. */
static __always_inline const void *npt_vector_at(const struct npt_chunk *chunk, __u64 offset,
						 __u64 *left)
{
	struct npt_iovec vector;

	for (__u32 i = 0; i < NPT_CHUNK_VECTORS; i++) {
		const void *place = chunk->user + i * sizeof(vector);

		if (i >= chunk->vectors)
			return NULL;
		if (chunk->kind == NPT_CHUNK_COPIED_VECTOR
			    ? bpf_probe_read_kernel(&vector, sizeof(vector), place)
			    : bpf_probe_read_user(&vector, sizeof(vector), place))
			return NULL;
		if (offset < vector.bytes) {
			*left = vector.bytes - offset;
			return (const void *)(vector.base + offset);
		}
		offset -= vector.bytes;
	}
	return NULL;
}

/*
 * At most max bytes (a constant, with that much room in out) from an offset of the chunk; how many
 * there were, 0 if none could be read. A vector's end is an end, too: who asks again gets the rest.
 * packet is NULL but for a chunk of it.
 */
static __always_inline __u32 npt_chunk_read(const struct npt_chunk *chunk, struct sk_buff *packet,
					    __u32 offset, __u8 *out, __u32 bytes, const __u32 max)
{
	const void *from = NULL;
	struct bpf_dynptr dynptr;
	__u64 left = bytes;

	if (offset >= chunk->size)
		return 0;
	if (bytes > chunk->size - offset)
		bytes = chunk->size - offset;
	if (!packet && chunk->kind == NPT_CHUNK_USER) {
		from = chunk->user + chunk->user_offset + offset;
	} else if (!packet && chunk->kind != NPT_CHUNK_GATHERED) {
		from = npt_vector_at(chunk, chunk->user_offset + offset, &left);
		if (!from)
			return 0;
		if (bytes > left)
			bytes = (__u32)left;
	}
	if (bytes > max)
		bytes = max;
	barrier_var(bytes); /* the verifier must see the bound that the compiler knows */
	if (bytes == 0 || bytes > max)
		return 0;
	if (!packet && chunk->kind == NPT_CHUNK_GATHERED) {
		from = chunk->user + (offset & (NPT_MESSAGE_BYTES - 1));
		return bpf_probe_read_kernel(out, bytes, from) ? 0 : bytes;
	}
	if (!packet)
		return bpf_probe_read_user(out, bytes, from) ? 0 : bytes;
	if (bpf_dynptr_from_skb((struct __sk_buff *)packet, 0, &dynptr) ||
	    bpf_dynptr_read(out, bytes, &dynptr, chunk->packet_offset + offset, 0))
		return 0;
	return bytes;
}
