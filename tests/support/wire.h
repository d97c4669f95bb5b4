/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Wire - a client that says exactly the bytes that a test wants, over TCP or TLS on loopback.
 */
#include <stdbool.h>
#include <stddef.h>

struct npt_wire {
	int fd;
	void *ssl; /* SSL, or NULL */
	void *context;
};

/* ca_file NULL: plain; server_name is checked. False: no connection or no trust. */
bool npt_wire_open(struct npt_wire *wire, unsigned int port, const char *ca_file,
		   const char *server_name);
void npt_wire_close(struct npt_wire *wire);
bool npt_wire_write(struct npt_wire *wire, const void *data, size_t size_bytes);
bool npt_wire_say(struct npt_wire *wire, const char *text);
/*
 * What comes within timeout_ms, until the peer closes, out is full (size_bytes - 1), or until is
 * in it (NULL: does not matter). A NUL follows. Returns how many bytes.
 */
size_t npt_wire_read(struct npt_wire *wire, char *out, size_t size_bytes, const char *until,
		     unsigned int timeout_ms);
/* True if the peer closes within timeout_ms; what it still says is thrown away. */
bool npt_wire_closed(struct npt_wire *wire, unsigned int timeout_ms);
