/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two routes; the answer's status is all there is to read.
 */
#include "lib/net/health.h"

#include "lib/core/alloc.h"

static void respond(struct npt_request *request, unsigned int status)
{
	npt_request_respond(request, (struct npt_response){ .status = status,
							    .body = npt_strdup("{}\n"),
							    .body_bytes = 3 });
}

static void answer_alive(void *context, struct npt_request *request)
{
	(void)context;
	respond(request, 200);
}

static void answer_ready(void *context, struct npt_request *request)
{
	respond(request, atomic_load((atomic_bool *)context) ? 200 : 503);
}

int npt_health_serve(const char *listen, atomic_bool *ready, struct npt_server **server_ret,
		     struct npt_error *err)
{
	/* The server borrows its routes for as long as it lives. */
	static struct npt_route routes[] = {
		{ .method = "GET", .path = "/healthz", .handler = answer_alive },
		{ .method = "GET", .path = "/readyz", .handler = answer_ready },
	};
	struct npt_server_options options = {
		.listen = listen,
		.plain_anywhere = true,
		.routes = routes,
		.routes_count = NPT_ARRAY_SIZE(routes),
		.max_connections = 64,
		.max_requests = 16,
	};

	routes[1].context = ready;
	return npt_server_start(&options, server_ret, err);
}
