/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, over real loopback connections; WebSockets are in test_websocket.c. */
#include "lib/net/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <zlib.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/queue.h"
#include "tests/support/certificate.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#define BODY_MAX 65536

static struct npt_queue *held; /* requests that a test answers by itself */

static void respond_text(struct npt_request *request, unsigned int status, char *text)
{
	npt_request_respond(request, (struct npt_response){ .status = status,
							    .content_type = "text/plain",
							    .body = text,
							    .body_bytes = strlen(text) });
}

static void echo(void *context, struct npt_request *request)
{
	const char *name = npt_request_query_name(request, 0);
	const char *value = name ? npt_request_query(request, name) : NULL;

	respond_text(request, 200,
		     npt_format("%s %s %s [%s] a=%s b=%s %s=%s body=%zu:%.16s", (char *)context,
				request->method, request->path, request->authorization,
				request->params[0] ? request->params[0] : "",
				request->params[1] ? request->params[1] : "", name ? name : "",
				value ? value : "", request->body_bytes, request->body));
}

static void hold(void *context, struct npt_request *request)
{
	(void)context;
	NPT_CHECK_INT(npt_queue_push(held, request), 0);
}

static void large(void *context, struct npt_request *request)
{
	size_t size = 3000000;
	char *body = npt_alloc(size, 1);

	(void)context;
	for (size_t i = 0; i < size; i++)
		body[i] = (char)('a' + i % 23);
	npt_request_respond(
		request, (struct npt_response){ .status = 200, .body = body, .body_bytes = size });
}

/* Content that has a name, which a client may have kept. */
static void named(void *context, struct npt_request *request)
{
	static const char etag[] = "\"v1\"";
	bool known = npt_request_has(request, etag);

	(void)context;
	npt_request_respond(request,
			    (struct npt_response){ .status = known ? 304 : 200,
						   .body = known ? NULL : npt_strdup("text"),
						   .body_bytes = known ? 0 : 4,
						   .etag = npt_strdup(etag) });
}

static char name_one[] = "one", name_two[] = "two", name_post[] = "post";

static const struct npt_route routes[] = {
	{ .method = "GET", .path = "/v1/tasks", .handler = echo, .context = name_one },
	{ .method = "GET",
	  .path = "/v1/tasks/{uid}/pods/{pod}",
	  .handler = echo,
	  .context = name_two },
	{ .method = "GET", .path = "/hold", .handler = hold },
	{ .method = "GET", .path = "/large", .handler = large },
	{ .method = "GET", .path = "/named", .handler = named },
	{ .method = "POST",
	  .path = "/v1/ingest",
	  .handler = echo,
	  .context = name_post,
	  .content_type = "application/x-protobuf",
	  .max_body_bytes = BODY_MAX },
	{ .method = "POST",
	  .path = "/v1/any",
	  .handler = echo,
	  .context = name_post,
	  .max_body_bytes = 100 },
};

static struct npt_server *start_with(struct npt_server_options options)
{
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_server *server = NULL;

	options.listen = options.listen ? options.listen : "127.0.0.1:0";
	options.routes = routes;
	options.routes_count = NPT_ARRAY_SIZE(routes);
	if (!NPT_CHECK_INT(npt_server_start(&options, &server, &err), 0)) {
		printf("%s\n", err.text);
		abort();
	}
	return server;
}

static struct npt_server *start(void)
{
	return start_with((struct npt_server_options){ .header_seconds = 2 });
}

/* One whole answer by its Content-Length, or what came within a second. */
static void read_answer(struct npt_wire *wire, char *out, size_t size, unsigned int wait_ms)
{
	size_t length = npt_wire_read(wire, out, size, "\r\n\r\n", wait_ms);
	const char *end = strstr(out, "\r\n\r\n");
	const char *said = strstr(out, "content-length: ");
	size_t whole = end && said ? (size_t)(end + 4 - out) + strtoul(said + 16, NULL, 10) : 0;

	if (whole > length && whole < size)
		(void)npt_wire_read(wire, out + length, whole - length + 1, NULL, 1000);
}

/* One request on a connection of its own. */
static char *ask_bytes(const struct npt_server *server, const void *data, size_t size,
		       unsigned int wait_ms)
{
	struct npt_wire wire;
	char *answer = npt_alloc(8192, 1);

	if (NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL))) {
		(void)npt_wire_write(&wire, data, size);
		read_answer(&wire, answer, 8192, wait_ms);
	}
	npt_wire_close(&wire);
	return answer;
}

static char *ask(const struct npt_server *server, const char *text)
{
	return ask_bytes(server, text, strlen(text), 3000);
}

static const char *body_of(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");

	return end ? end + 4 : "(no end of headers)";
}

static unsigned int status_of(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 || strncmp(answer, "HTTP/1.0 ", 9) == 0
		       ? (unsigned int)strtoul(answer + 9, NULL, 10)
		       : 0;
}

static void hands_a_request_to_the_handler_of_its_path(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	static const struct {
		const char *request;
		const char *body;
	} cases[] = {
		{ "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n",
		  "one GET /v1/tasks [] a= b= = body=0:" },
		{ "GET /v1/tasks?limit=5&x=a%20b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
		  "t\r\n\r\n",
		  "one GET /v1/tasks [Bearer t] a= b= limit=5 body=0:" },
		{ "GET /v1/tasks?cursor=a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n",
		  "one GET /v1/tasks [] a= b= cursor=a/b body=0:" },
		{ "GET /v1/tasks/u-1/pods/p-2 HTTP/1.1\r\nHost: x\r\n\r\n",
		  "two GET /v1/tasks/u-1/pods/p-2 [] a=u-1 b=p-2 = body=0:" },
		{ "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
		  "Content-Length: 5\r\n\r\nhello",
		  "post POST /v1/ingest [] a= b= = body=5:hello" },
		{ "POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		  "post POST /v1/any [] a= b= = body=0:" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto_free char *answer = ask(server, cases[i].request);

		NPT_CHECK_INT(status_of(answer), 200);
		NPT_CHECK_STR(body_of(answer), cases[i].body);
	}
}

static void refuses_what_no_route_wants_and_says_why(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	static const struct {
		const char *request;
		unsigned int status;
	} cases[] = {
		{ "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
		{ "GET /v1/tasks/ HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
		{ "GET /v1/tasks/u/pods/ HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
		{ "GET /v1/tasks/u/pods/p/q HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
		{ "GET /v1/tasks/u%2Fpods%2Fp/pods HTTP/1.1\r\nHost: x\r\n\r\n", 404 },
		{ "DELETE /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "GET /v1/ingest HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405 },
		{ "POST /v1/any HTTP/1.1\r\nHost: x\r\n\r\n", 411 },
		{ "POST /v1/any HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		  "3\r\nabc\r\n0\r\n\r\n",
		  411 },
		{ "POST /v1/any HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
		  "Content-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		  411 },
		{ "POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc", 400 },
		{ "POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: 3x\r\n\r\nabc", 400 },
		{ "POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: "
		  "99999999999999999999\r\n\r\n",
		  400 },
		{ "POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\nabc",
		  413 },
		{ "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
		  "Content-Length: 3\r\n\r\nabc",
		  415 },
		{ "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 415 },
		{ "GET /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 413 },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto_free char *answer = ask(server, cases[i].request);

		if (!NPT_CHECK_INT(status_of(answer), cases[i].status))
			printf("asked: %.60s\nanswered: %s\n", cases[i].request, answer);
		NPT_CHECK(strstr(answer, "application/problem+json") != NULL);
		NPT_CHECK((strstr(answer, "\r\nallow: ") != NULL) == (cases[i].status == 405));
		NPT_CHECK(strstr(body_of(answer), "{\"type\":\"about:blank\",\"title\":\"") ==
			  body_of(answer));
	}
}

static void reads_a_body_up_to_its_bound_and_refuses_one_byte_more(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();

	for (size_t over = 0; over < 2; over++) {
		size_t size = BODY_MAX + over;
		npt_auto_free char *body = npt_alloc(size + 1, 1);
		npt_auto_free char *request = NULL;
		npt_auto_free char *answer = NULL;

		memset(body, 'b', size);
		request = npt_format("POST /v1/ingest HTTP/1.1\r\nHost: x\r\n"
				     "Content-Type: application/x-protobuf; v=1\r\n"
				     "Content-Length: %zu\r\n\r\n%s",
				     size, body);
		answer = ask(server, request);
		NPT_CHECK_INT(status_of(answer), over ? 413 : 200);
		if (!over)
			NPT_CHECK(strstr(answer, "body=65536:bbbb") != NULL);
	}
}

/* No answer is expected of them; the server must only stay. */
static void survives_bytes_that_are_no_http(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	static const char *const junk[] = {
		"\x16\x03\x01\x02",
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"GET /v1/tasks\r\n\r\n",
		"FOO /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\nabc",
		"GET http://x/ HTTP/1.1\r\n\r\n",
		"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/tasks?%= HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/tasks HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
		"Connection: Upgrade, HTTP2-Settings\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET /v1/tasks HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
	};
	uint64_t random = npt_test_seed();
	npt_auto_free char *answer = NULL;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(junk); i++) {
		npt_auto_free char *said = ask_bytes(server, junk[i], strlen(junk[i]), 100);

		if (!NPT_CHECK(status_of(said) != 200))
			printf("%s -> %s", junk[i], said);
	}
	for (size_t i = 0; i < 20; i++) {
		char noise[600] = "GET /v1/tasks?";
		npt_auto_free char *said = NULL;

		for (size_t k = i % 2 ? 14 : 0; k < sizeof(noise); k++)
			noise[k] = (char)npt_test_random(&random);
		said = ask_bytes(server, noise, sizeof(noise), 100);
		NPT_CHECK(status_of(said) != 200);
	}
	answer = ask(server, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
	NPT_CHECK_INT(status_of(answer), 200);
}

static void refuses_headers_without_end(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	size_t size = 200000;
	npt_auto_free char *request = npt_alloc(size + 1, 1);
	npt_auto_free char *answer = NULL;

	memset(request, 'x', size);
	memcpy(request, "GET /v1/tasks HTTP/1.1\r\nAuthorization: ", 39);
	answer = ask(server, request);
	NPT_CHECK(status_of(answer) != 200);
	memset(request, 'x', size);
	memcpy(request, "GET /v1/tasks?", 14);
	free(answer);
	answer = ask(server, request);
	NPT_CHECK(status_of(answer) != 200);
}

static void closes_who_does_not_finish_a_request(void)
{
	npt_auto(npt_server_free) struct npt_server *server =
		start_with((struct npt_server_options){ .header_seconds = 1 });
	static const char *const starts[] = {
		"", "GET /v1/ta",
		"POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(starts); i++) {
		struct npt_wire wire;

		NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
		(void)npt_wire_say(&wire, starts[i]);
		NPT_CHECK(npt_wire_closed(&wire, 6000));
		npt_wire_close(&wire);
	}
}

static void answers_requests_of_one_connection_in_order(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	struct npt_wire wire;
	char answer[4096];
	const char *first, *second, *third;

	NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
	NPT_CHECK(npt_wire_say(&wire, "GET /v1/tasks?n=1 HTTP/1.1\r\nHost: x\r\n\r\n"
				      "GET /v1/tasks?n=2 HTTP/1.1\r\nHost: x\r\n\r\n"
				      "GET /v1/tasks?n=3 HTTP/1.1\r\nHost: x\r\n\r\n"));
	(void)npt_wire_read(&wire, answer, sizeof(answer), "n=3", 2000);
	npt_wire_close(&wire);
	first = strstr(answer, "n=1");
	second = strstr(answer, "n=2");
	third = strstr(answer, "n=3");
	NPT_CHECK(first && second && third && first < second && second < third);
}

static void answers_posts_of_one_connection_one_after_the_other(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	struct npt_wire wire;

	NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
	for (unsigned int i = 0; i < 20; i++) {
		npt_auto_free char *request = npt_format("POST /v1/any HTTP/1.1\r\nHost: x\r\n"
							 "Content-Length: 3\r\n\r\n%03u",
							 i);
		npt_auto_free char *expected = npt_format("body=3:%03u", i);
		char answer[1024];

		NPT_CHECK(npt_wire_write(&wire, request, strlen(request) - i % 3));
		(void)usleep(i % 3 * 1000);
		NPT_CHECK(npt_wire_write(&wire, request + strlen(request) - i % 3, i % 3));
		(void)npt_wire_read(&wire, answer, sizeof(answer), expected, 1000);
		NPT_CHECK(strstr(answer, expected) != NULL);
	}
	npt_wire_close(&wire);
}

/* libwebsockets would spin: the connection is closed instead. */
static void closes_who_says_more_before_a_post_is_answered(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	struct npt_wire wire;
	static const char both[] = "POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
				   "GET /v1/tasks?n=3 HTTP/1.1\r\nHost: x\r\n\r\n";
	npt_auto_free char *answer = NULL;

	NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
	NPT_CHECK(npt_wire_say(&wire, both));
	NPT_CHECK(npt_wire_closed(&wire, 2000));
	npt_wire_close(&wire);
	answer = ask(server, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
	NPT_CHECK_INT(status_of(answer), 200);
}

static void *answer_held(void *argument)
{
	struct npt_request *request = npt_queue_wait(held, 5000);

	(void)argument;
	NPT_CHECK(request != NULL);
	(void)usleep(100000);
	if (request)
		respond_text(request, 201, npt_strdup("late"));
	return NULL;
}

static void takes_an_answer_from_another_thread_later(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	npt_auto_free char *answer = NULL;
	pthread_t thread;

	held = npt_queue_new(4, NULL);
	NPT_CHECK(pthread_create(&thread, NULL, answer_held, NULL) == 0);
	answer = ask(server, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)pthread_join(thread, NULL);
	NPT_CHECK_INT(status_of(answer), 201);
	NPT_CHECK_STR(body_of(answer), "late");
	npt_queue_free(held);
}

static void drops_the_answer_of_a_client_that_has_gone(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	struct npt_wire wire;
	struct npt_request *request;
	npt_auto_free char *answer = NULL;

	held = npt_queue_new(4, NULL);
	NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
	NPT_CHECK(npt_wire_say(&wire, "GET /hold?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"));
	request = npt_queue_wait(held, 5000);
	npt_wire_close(&wire);
	(void)usleep(50000);
	if (NPT_CHECK(request != NULL)) {
		NPT_CHECK_STR(npt_request_query(request, "x"), "1");
		respond_text(request, 200, npt_strdup("for nobody"));
	}
	answer = ask(server, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
	NPT_CHECK_INT(status_of(answer), 200);
	npt_queue_free(held);
}

static void says_503_and_when_to_come_back_while_all_hands_are_full(void)
{
	npt_auto(npt_server_free) struct npt_server *server =
		start_with((struct npt_server_options){ .max_requests = 1 });
	struct npt_wire wire;
	struct npt_request *request;
	npt_auto_free char *answer = NULL, *after = NULL;
	char first[1024];

	held = npt_queue_new(4, NULL);
	NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
	NPT_CHECK(npt_wire_say(&wire, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
	request = npt_queue_wait(held, 5000);
	answer = ask(server, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
	NPT_CHECK_INT(status_of(answer), 503);
	NPT_CHECK(strstr(answer, "retry-after: 1\r\n") != NULL);
	if (NPT_CHECK(request != NULL))
		respond_text(request, 200, npt_strdup("done"));
	(void)npt_wire_read(&wire, first, sizeof(first), "done", 2000);
	NPT_CHECK_STR(body_of(first), "done");
	npt_wire_close(&wire);
	after = ask(server, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
	NPT_CHECK_INT(status_of(after), 200);
	npt_queue_free(held);
}

static void bounds_all_bodies_together(void)
{
	npt_auto(npt_server_free) struct npt_server *server =
		start_with((struct npt_server_options){ .max_bodies_bytes = 50 });
	npt_auto_free char *small =
		ask(server, "POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	npt_auto_free char *big =
		ask(server, "POST /v1/any HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n"
			    "012345678901234567890123456789012345678901234567890123456789");

	NPT_CHECK_INT(status_of(small), 200);
	NPT_CHECK_INT(status_of(big), 503);
}

static void takes_no_more_connections_than_it_may(void)
{
	npt_auto(npt_server_free) struct npt_server *server =
		start_with((struct npt_server_options){ .max_connections = 3 });
	struct npt_wire wires[3], more;
	struct npt_server_stats stats;
	npt_auto_free char *answer = NULL;

	for (size_t i = 0; i < 3; i++)
		NPT_CHECK(npt_wire_open(&wires[i], npt_server_port(server), NULL, NULL));
	(void)usleep(100000);
	NPT_CHECK(npt_wire_open(&more, npt_server_port(server), NULL, NULL));
	NPT_CHECK(npt_wire_closed(&more, 2000));
	npt_wire_close(&more);
	npt_server_stats(server, &stats);
	NPT_CHECK_INT(stats.connections, 3);
	NPT_CHECK_INT(stats.refused_connections, 1);
	npt_wire_close(&wires[0]);
	(void)usleep(100000);
	answer = ask(server, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
	NPT_CHECK_INT(status_of(answer), 200);
	npt_wire_close(&wires[1]);
	npt_wire_close(&wires[2]);
}

static void sends_a_large_answer_whole(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	struct npt_wire wire;
	npt_auto_free char *answer = npt_alloc(3100000, 1);
	const char *body;
	size_t length, wrong = 0;

	NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
	NPT_CHECK(npt_wire_say(&wire, "GET /large HTTP/1.0\r\nHost: x\r\n\r\n"));
	(void)usleep(200000); /* the server must wait for us */
	length = npt_wire_read(&wire, answer, 3100000, NULL, 3000);
	npt_wire_close(&wire);
	body = body_of(answer);
	NPT_CHECK(strstr(answer, "content-length: 3000000\r\n") != NULL);
	NPT_CHECK_INT(length - (size_t)(body - answer), 3000000);
	for (size_t i = 0; i < 3000000; i++)
		wrong += body[i] != (char)('a' + i % 23);
	NPT_CHECK_INT(wrong, 0);
}

/* What gunzip makes of it, up to size bytes. */
static size_t unpacked(const char *data, size_t data_bytes, char *out, size_t size)
{
	z_stream stream;
	size_t length;

	memset(&stream, 0, sizeof(stream));
	NPT_CHECK_INT(inflateInit2(&stream, 15 + 16), Z_OK);
	stream.next_in = (unsigned char *)(uintptr_t)data;
	stream.avail_in = (unsigned int)data_bytes;
	stream.next_out = (unsigned char *)out;
	stream.avail_out = (unsigned int)size;
	NPT_CHECK_INT(inflate(&stream, Z_FINISH), Z_STREAM_END);
	length = stream.total_out;
	(void)inflateEnd(&stream);
	return length;
}

static void compresses_for_who_takes_it(void)
{
	static const struct {
		const char *header;
		bool compressed;
	} cases[] = {
		{ "Accept-Encoding: gzip", true },
		{ "Accept-Encoding: deflate, GZIP;q=0.5, br", true },
		{ "Accept-Encoding: gzip;q=0", false },
		{ "Accept: gzip", false },
	};
	npt_auto(npt_server_free) struct npt_server *server = start();
	npt_auto_free char *answer = npt_alloc(3100000, 1), *plain = npt_alloc(3100000, 1);

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto_free char *request =
			npt_format("GET /large HTTP/1.0\r\nHost: x\r\n%s\r\n\r\n", cases[i].header);
		struct npt_wire wire;
		const char *body;
		size_t length, wrong = 0;

		NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
		NPT_CHECK(npt_wire_say(&wire, request));
		length = npt_wire_read(&wire, answer, 3100000, NULL, 3000);
		npt_wire_close(&wire);
		body = body_of(answer);
		length -= (size_t)(body - answer);
		if (!NPT_CHECK(cases[i].compressed ==
			       (strstr(answer, "content-encoding: gzip\r\n") != NULL)))
			printf("%s\n", cases[i].header);
		NPT_CHECK(strstr(answer, "vary: accept-encoding") != NULL);
		if (!cases[i].compressed) {
			NPT_CHECK_INT(length, 3000000);
			continue;
		}
		NPT_CHECK(length < 300000);
		NPT_CHECK_INT(unpacked(body, length, plain, 3100000), 3000000);
		for (size_t k = 0; k < 3000000; k++)
			wrong += plain[k] != (char)('a' + k % 23);
		NPT_CHECK_INT(wrong, 0);
	}
}

static void says_304_to_who_has_it_already(void)
{
	static const struct {
		const char *header;
		unsigned int status;
	} cases[] = {
		{ "If-None-Match: \"v1\"", 304 },
		{ "If-None-Match: \"v0\", W/\"v1\"", 304 },
		{ "If-None-Match: \"v0\"", 200 },
		{ "If-Match: \"v1\"", 200 },
	};
	npt_auto(npt_server_free) struct npt_server *server = start();

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto_free char *request =
			npt_format("GET /named HTTP/1.0\r\nHost: x\r\n%s\r\n\r\n", cases[i].header);
		npt_auto_free char *answer = ask(server, request);

		if (!NPT_CHECK_INT(status_of(answer), cases[i].status))
			printf("%s\n", cases[i].header);
		NPT_CHECK(strstr(answer, "etag: \"v1\"\r\n") != NULL);
		NPT_CHECK(strstr(answer, "cache-control: private, no-cache\r\n") != NULL);
		NPT_CHECK_STR(body_of(answer), cases[i].status == 304 ? "" : "text");
		NPT_CHECK((strstr(answer, "content-length") == NULL) == (cases[i].status == 304));
	}
}

static void stops_with_a_request_still_in_hand(void)
{
	struct npt_server *server = start();
	struct npt_wire wire;
	struct npt_request *request;
	uint64_t before;

	held = npt_queue_new(4, NULL);
	NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
	NPT_CHECK(npt_wire_say(&wire, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
	request = npt_queue_wait(held, 5000);
	before = npt_clock_monotonic_ns();
	npt_server_stop(server, 300);
	NPT_CHECK(npt_clock_monotonic_ns() - before < 2 * NPT_NS_PER_SECOND);
	if (NPT_CHECK(request != NULL))
		respond_text(request, 200, npt_strdup("too late"));
	npt_server_free(server);
	NPT_CHECK(npt_wire_closed(&wire, 1000));
	npt_wire_close(&wire);
	npt_queue_free(held);
}

static void *stop_soon(void *argument)
{
	npt_server_stop(argument, 3000);
	return NULL;
}

static void lets_a_request_finish_while_it_stops(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	struct npt_wire wire;
	struct npt_request *request;
	char answer[1024];
	pthread_t thread;

	held = npt_queue_new(4, NULL);
	NPT_CHECK(npt_wire_open(&wire, npt_server_port(server), NULL, NULL));
	NPT_CHECK(npt_wire_say(&wire, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
	request = npt_queue_wait(held, 5000);
	NPT_CHECK(pthread_create(&thread, NULL, stop_soon, server) == 0);
	(void)usleep(200000);
	if (NPT_CHECK(request != NULL))
		respond_text(request, 200, npt_strdup("just in time"));
	(void)npt_wire_read(&wire, answer, sizeof(answer), NULL, 3000);
	NPT_CHECK_STR(body_of(answer), "just in time");
	(void)pthread_join(thread, NULL);
	npt_wire_close(&wire);
	npt_queue_free(held);
}

static void starts_only_with_options_that_make_sense(void)
{
	struct npt_test_ca ca;
	char cert[128], key[128], other[128];
	struct npt_server *server = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_server_options options = { .listen = "0.0.0.0:0" };

	npt_test_ca_new(&ca, "test");
	npt_test_ca_issue(&ca, "a", "localhost", false);
	npt_test_ca_issue(&ca, "b", "localhost", false);
	(void)snprintf(cert, sizeof(cert), "%s/a.crt", ca.directory);
	(void)snprintf(key, sizeof(key), "%s/a.key", ca.directory);
	(void)snprintf(other, sizeof(other), "%s/b.key", ca.directory);
	NPT_CHECK_INT(npt_server_start(&options, &server, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "plain HTTP is for loopback addresses only") == err.text);
	options = (struct npt_server_options){ .listen = "localhost" };
	NPT_CHECK_INT(npt_server_start(&options, &server, &err), -EINVAL);
	NPT_CHECK_STR(err.text, "cannot listen on 'localhost': say ADDRESS:PORT or :PORT");
	options = (struct npt_server_options){ .listen = "127.0.0.1:70000" };
	NPT_CHECK_INT(npt_server_start(&options, &server, &err), -EINVAL);
	options = (struct npt_server_options){ .listen = "127.0.0.1:0", .tls_cert = cert };
	NPT_CHECK_INT(npt_server_start(&options, &server, &err), -EINVAL);
	options.tls_key = other;
	NPT_CHECK_INT(npt_server_start(&options, &server, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "cannot use the key") == err.text);
	options.tls_key = "/nowhere";
	NPT_CHECK_INT(npt_server_start(&options, &server, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "No such file") != NULL);
	NPT_CHECK(server == NULL);
	npt_test_ca_free(&ca);
}

static void says_so_when_the_port_is_taken(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start();
	npt_auto_free char *listen = npt_format("127.0.0.1:%u", npt_server_port(server));
	struct npt_server_options options = { .listen = listen };
	struct npt_server *second = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(npt_server_start(&options, &second, &err) < 0);
	NPT_CHECK(strstr(err.text, "cannot listen on 127.0.0.1:") == err.text);
	NPT_CHECK(second == NULL);
	npt_server_free(second);
}

static unsigned int tls_status(const struct npt_server *server, const char *ca_file)
{
	struct npt_wire wire;
	char answer[1024] = "";

	if (!npt_wire_open(&wire, npt_server_port(server), ca_file, "localhost"))
		return 1;
	(void)npt_wire_say(&wire, "GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)npt_wire_read(&wire, answer, sizeof(answer), "body=", 2000);
	npt_wire_close(&wire);
	return status_of(answer);
}

static void speaks_tls_and_takes_a_new_certificate_while_it_runs(void)
{
	struct npt_test_ca old, new;
	char cert[128], key[128], new_cert[128], new_key[128];
	npt_auto(npt_server_free) struct npt_server *server = NULL;
	struct npt_server_stats stats;

	npt_test_ca_new(&old, "old");
	npt_test_ca_new(&new, "new");
	npt_test_ca_issue(&old, "tls", "localhost", false);
	npt_test_ca_issue(&new, "tls", "localhost", false);
	(void)snprintf(cert, sizeof(cert), "%s/tls.crt", old.directory);
	(void)snprintf(key, sizeof(key), "%s/tls.key", old.directory);
	(void)snprintf(new_cert, sizeof(new_cert), "%s/tls.crt", new.directory);
	(void)snprintf(new_key, sizeof(new_key), "%s/tls.key", new.directory);
	server = start_with((struct npt_server_options){ .tls_cert = cert, .tls_key = key });
	NPT_CHECK_INT(tls_status(server, old.ca_file), 200);
	NPT_CHECK_INT(tls_status(server, new.ca_file), 1);
	NPT_CHECK(rename(new_cert, cert) == 0); /* the key does not fit yet */
	(void)usleep(2600000);
	NPT_CHECK_INT(tls_status(server, old.ca_file), 200);
	NPT_CHECK(rename(new_key, key) == 0);
	(void)usleep(2600000);
	NPT_CHECK_INT(tls_status(server, new.ca_file), 200);
	NPT_CHECK_INT(tls_status(server, old.ca_file), 1);
	npt_server_stats(server, &stats);
	NPT_CHECK_INT(stats.certificate_reloads, 1);
	NPT_CHECK_INT(stats.certificate_failures, 1);
	npt_test_ca_free(&old);
	npt_test_ca_free(&new);
}

static const struct npt_test tests[] = {
	NPT_TEST(hands_a_request_to_the_handler_of_its_path),
	NPT_TEST(refuses_what_no_route_wants_and_says_why),
	NPT_TEST(reads_a_body_up_to_its_bound_and_refuses_one_byte_more),
	NPT_TEST(survives_bytes_that_are_no_http),
	NPT_TEST(refuses_headers_without_end),
	NPT_TEST(closes_who_does_not_finish_a_request),
	NPT_TEST(answers_requests_of_one_connection_in_order),
	NPT_TEST(answers_posts_of_one_connection_one_after_the_other),
	NPT_TEST(closes_who_says_more_before_a_post_is_answered),
	NPT_TEST(takes_an_answer_from_another_thread_later),
	NPT_TEST(drops_the_answer_of_a_client_that_has_gone),
	NPT_TEST(says_503_and_when_to_come_back_while_all_hands_are_full),
	NPT_TEST(bounds_all_bodies_together),
	NPT_TEST(takes_no_more_connections_than_it_may),
	NPT_TEST(sends_a_large_answer_whole),
	NPT_TEST(compresses_for_who_takes_it),
	NPT_TEST(says_304_to_who_has_it_already),
	NPT_TEST(stops_with_a_request_still_in_hand),
	NPT_TEST(lets_a_request_finish_while_it_stops),
	NPT_TEST(starts_only_with_options_that_make_sense),
	NPT_TEST(says_so_when_the_port_is_taken),
	NPT_TEST(speaks_tls_and_takes_a_new_certificate_while_it_runs),
};
NPT_TEST_MAIN(tests)
