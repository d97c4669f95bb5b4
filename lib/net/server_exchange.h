/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Exchange - a request and its answer, inside the server: filled by server_request.c, moved along
 * by server_http.c.
 */
#include "lib/net/server_private.h"

#define NPT_NO_CONTENT_LENGTH UINT64_MAX

struct npt_parameter {
	char *name;
	char *value;
};

/* What the server adds to a response by itself. */
struct npt_extra_headers {
	bool is_gzip;   /* the response's body */
	char allow[64]; /* of a path that is asked by another method: the methods that it has */
};

struct npt_exchange {
	struct npt_request request; /* first: a request is an exchange seen from outside */
	struct npt_server *server;
	struct npt_connection *connection; /* NULL once the client is gone */
	const struct npt_route *route;
	char *path;
	char *segments; /* a copy of path, cut into request.params */
	char *authorization;
	char *content_type;
	char *if_none_match;
	char *cookie;
	char *origin;
	char *host;
	char client[NPT_SERVER_ADDRESS_BYTES];
	struct npt_parameter query[NPT_SERVER_QUERY_MAX];
	size_t query_count;
	struct npt_buffer body;
	uint64_t content_length;
	uint64_t body_deadline_ns;
	bool body_complete;
	bool handed_out;
	bool answered;
	bool headers_written;
	bool close_after;
	struct npt_response response;
	struct npt_extra_headers extra;
	size_t written_bytes;
};

/*
 * Headers, query and route of a request whose headers have arrived: 0, or the status that refuses
 * it.
 */
unsigned int npt_exchange_read(struct npt_exchange *exchange, const char *path, size_t path_bytes);
