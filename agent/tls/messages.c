/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first message has to be the hello of that side: a stream that begins with something else was
 * not seen from its begin, and what looks like heads in it are none.
 */
#include "agent/tls/messages.h"

#include <string.h>

#define TYPES 32

void npt_tls_messages_init(struct npt_tls_messages *messages, bool server)
{
	memset(messages, 0, sizeof(*messages));
	messages->server = server;
}

bool npt_tls_messages_has(const struct npt_tls_messages *messages, enum npt_tls_message type)
{
	return messages->heads >> (unsigned int)type & 1;
}

static bool is_hello(const struct npt_tls_messages *messages)
{
	return messages->type == (messages->server ? NPT_TLS_SERVER_HELLO : NPT_TLS_CLIENT_HELLO);
}

/* A second one is the answer to a HelloRetryRequest, or that request was the first. */
static bool too_many_hellos(const struct npt_tls_messages *messages)
{
	if (messages->server)
		return messages->hellos > 0 && !(messages->hello.complete && messages->hello.retry);
	return messages->hellos > 1;
}

static void begin(struct npt_tls_messages *messages)
{
	const uint8_t *head = messages->head;

	messages->head_bytes = 0;
	messages->type = head[0];
	messages->left = (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (is_hello(messages) && too_many_hellos(messages)) {
		messages->lost = true;
		return;
	}
	if (is_hello(messages)) {
		messages->hellos++;
		npt_tls_hello_begin(&messages->hello, messages->server, messages->left);
	} else if (messages->hellos == 0 &&
		   !(messages->server && messages->type == NPT_TLS_HELLO_REQUEST)) {
		messages->lost = true;
		return;
	}
	if (messages->type < TYPES)
		messages->heads |= 1U << messages->type;
}

void npt_tls_messages_feed(struct npt_tls_messages *messages, const uint8_t *bytes,
			   size_t size_bytes)
{
	while (size_bytes > 0 && !messages->lost) {
		size_t take = 1;

		if (messages->left > 0) {
			take = size_bytes < messages->left ? size_bytes : messages->left;
			if (is_hello(messages))
				npt_tls_hello_feed(&messages->hello, bytes, take);
			messages->left -= (uint32_t)take;
		} else if (!bytes) {
			messages->lost = true;
			return;
		} else {
			messages->head[messages->head_bytes++] = bytes[0];
			if (messages->head_bytes == sizeof(messages->head))
				begin(messages);
		}
		size_bytes -= take;
		bytes = bytes ? bytes + take : NULL;
	}
}
