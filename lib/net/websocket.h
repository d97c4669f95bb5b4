/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Websocket - a client that stays connected: dials wss:// and, whenever the connection is lost or
 * refused, dials again: at once, then after up to 1 s, doubling up to 30 s, with full jitter. The
 * delays begin anew once the server has sent a message.
 *
 * Its own thread; callbacks run there and must not block. The addresses behind the host name are
 * tried in random order, another one each time. Only certificates of the CA file are trusted, and
 * only for the host name in the URL; the CA and the token file are read again for each dial.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

struct npt_websocket;

struct npt_websocket_options {
	const char *url;           /* wss://HOST:PORT/PATH; ws:// only to a loopback address */
	const char *ca_file;       /* PEM */
	const char *token_file;    /* its content goes into Authorization: Bearer; NULL: none */
	size_t max_frame_bytes;    /* of a message received: a longer one closes the connection */
	size_t max_queued_bytes;   /* to send; 0: 4 MiB */
	unsigned int ping_seconds; /* 0: 10 */
	unsigned int dead_seconds; /* 0: 30 */
	uint64_t retry_ms_first;   /* 0: 1000 */
	uint64_t retry_ms_max;     /* 0: 30000 */
	void *context;
	/* Connected: from now on, and from any thread, it can be sent. */
	void (*on_open)(void *context);
	/* One whole message; data is followed by a NUL. */
	void (*on_message)(void *context, const char *data, size_t size_bytes);
	/* The connection is gone, or a dial failed: why, in words that a person can use. */
	void (*on_close)(void *context, const char *reason);
};

/* Copies the options' strings. Dials in the background: an unreachable server is no error here. */
int npt_websocket_start(const struct npt_websocket_options *options,
			struct npt_websocket **websocket_ret, struct npt_error *err);
/* Sends what is queued and closes (1001), for at most half a second; ends the thread. on_close is
 * called if a connection was open. */
void npt_websocket_free(struct npt_websocket *websocket);
NPT_DEFINE_AUTO(struct npt_websocket *, npt_websocket_free)

/*
 * A text message, copied; any thread. -ENOTCONN: not connected, -ENOSPC: more queued than
 * max_queued_bytes. What was queued when a connection ends is dropped.
 */
int npt_websocket_send(struct npt_websocket *websocket, const char *data, size_t size_bytes);
