/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Grpc - calls with one answer, over an Http client that speaks HTTP/2.
 *
 * A call carries one message, or several (a stream of the client's). What comes back is bounded and
 * checked: one message without compression, and a status in the trailers.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buffer.h"
#include "lib/net/http_client.h"

#define NPT_GRPC_OK                 0
#define NPT_GRPC_UNKNOWN            2 /* also: the answer had no status */
#define NPT_GRPC_RESOURCE_EXHAUSTED 8
#define NPT_GRPC_UNAVAILABLE        14

struct npt_grpc_call {
	const char *url;                   /* "http[s]://HOST:PORT/package.Service/Method" */
	const struct npt_buffer *messages; /* npt_grpc_append() */
	const char *const *headers;        /* further ones, NULL at the end; or NULL */
	uint64_t timeout_ms;
	size_t max_answer_bytes;
	bool (*is_cancelled)(void *context);
	void *context;
};

struct npt_grpc_answer {
	unsigned int status; /* NPT_GRPC_OK ... */
	bool has_status;     /* it was said */
	char message[256];   /* the server's words, raw; "" if it said nothing */
	char *body;          /* HTTP's; npt_grpc_answer_done() */
	const void *data;    /* the message in it; NULL: none */
	size_t size_bytes;
};

/* A message and its frame. */
int npt_grpc_append(struct npt_buffer *messages, const void *data, size_t size_bytes);
/*
 * The first message of a body. -ENODATA: it is empty; -EBADMSG: cut off, compressed, or more than
 * one.
 */
int npt_grpc_unframe(const void *body, size_t body_bytes, const void **data_ret,
		     size_t *size_bytes_ret, struct npt_error *err);
/* A line of headers or trailers: takes note if it is of the status. */
void npt_grpc_take_header(struct npt_grpc_answer *answer, const char *line, size_t size_bytes);

/* 0: there is an answer, whatever its status. Else as npt_http_perform(), or -EBADMSG. */
int npt_grpc_perform(struct npt_http_client *client, const struct npt_grpc_call *call,
		     struct npt_grpc_answer *answer_ret, struct npt_error *err);
void npt_grpc_answer_done(struct npt_grpc_answer *answer);
NPT_DEFINE_AUTO_DONE(struct npt_grpc_answer, npt_grpc_answer_done)
