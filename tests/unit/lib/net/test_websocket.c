/* SPDX-License-Identifier: Apache-2.0 */
/* Our client and our server, over real TLS on loopback; and each against a hostile peer. */
#include "lib/net/websocket.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/queue.h"
#include "lib/net/server.h"
#include "tests/support/certificate.h"
#include "tests/support/test.h"
#include "tests/support/wire.h"

#define FRAME_MAX 100000

/* One thing that happened, in words: "open Bearer x", "message abc", "close". */
static struct npt_queue *server_events, *client_events;
static uint64_t last_socket;
static bool decide; /* accept each connection at once */
static unsigned int upgrade_status;

static void note(struct npt_queue *queue, char *text)
{
	if (npt_queue_push(queue, text) < 0)
		free(text);
}

static unsigned int on_upgrade(void *context, const char *authorization,
			       unsigned int *retry_after_seconds_ret)
{
	(void)context;
	*retry_after_seconds_ret = upgrade_status == 503 ? 5 : 0;
	return authorization[0] ? upgrade_status : 401;
}

static void on_open(void *context, uint64_t socket, const struct npt_opening *opening)
{
	struct npt_server **server = context;

	NPT_CHECK_STR(opening->client, "127.0.0.1");
	last_socket = socket;
	if (decide)
		NPT_CHECK_INT(npt_server_socket_accept(*server, socket), 0);
	note(server_events, npt_format("open %s", opening->authorization));
}

static void on_message(void *context, uint64_t socket, const char *data, size_t size_bytes)
{
	struct npt_server **server = context;

	NPT_CHECK(data[size_bytes] == '\0');
	if (strcmp(data, "close me") == 0)
		NPT_CHECK_INT(npt_server_socket_close(*server, socket, 4403, "as you wish"), 0);
	else if (size_bytes > 0 && data[0] == '!')
		NPT_CHECK_INT(npt_server_socket_send(*server, socket, data, size_bytes), 0);
	else
		note(server_events, npt_format("message %s", data));
}

static void on_close(void *context, uint64_t socket)
{
	(void)context;
	(void)socket;
	note(server_events, npt_strdup("close"));
}

static struct npt_server *the_server;
static const struct npt_endpoint endpoints[] = {
	{ .path = "/v1/agents",
	  .max_frame_bytes = FRAME_MAX,
	  .max_queued_bytes = 10 * FRAME_MAX,
	  .context = &the_server,
	  .on_upgrade = on_upgrade,
	  .on_open = on_open,
	  .on_message = on_message,
	  .on_close = on_close },
};

struct world {
	struct npt_test_ca ca;
	char cert[128], key[128], token[128];
	char url[128];
	unsigned int port;
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	NPT_CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void serve(struct world *world, unsigned int dead_seconds)
{
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free char *listen = npt_format("127.0.0.1:%u", world->port);
	struct npt_server_options options = {
		.listen = listen,
		.tls_cert = world->cert,
		.tls_key = world->key,
		.endpoints = endpoints,
		.endpoints_count = 1,
		.max_connections = 8,
		.ping_seconds = dead_seconds ? 1 : 0,
		.dead_seconds = dead_seconds,
	};

	if (!NPT_CHECK_INT(npt_server_start(&options, &the_server, &err), 0)) {
		printf("%s\n", err.text);
		abort();
	}
	world->port = npt_server_port(the_server);
	(void)snprintf(world->url, sizeof(world->url), "wss://localhost:%u/v1/agents", world->port);
}

static void begin(struct world *world, const char *dns_name, bool expired)
{
	*world = (struct world){ 0 };
	decide = true;
	upgrade_status = 0;
	server_events = npt_queue_new(1024, free);
	client_events = npt_queue_new(1024, free);
	npt_test_ca_new(&world->ca, "test");
	npt_test_ca_issue(&world->ca, "tls", dns_name, expired);
	(void)snprintf(world->cert, sizeof(world->cert), "%s/tls.crt", world->ca.directory);
	(void)snprintf(world->key, sizeof(world->key), "%s/tls.key", world->ca.directory);
	(void)snprintf(world->token, sizeof(world->token), "%s/token", world->ca.directory);
	write_file(world->token, "abc\n");
	serve(world, 0);
}

static void end(struct world *world)
{
	npt_server_free(the_server);
	the_server = NULL;
	npt_test_ca_free(&world->ca);
	npt_queue_free(server_events);
	npt_queue_free(client_events);
}

static void client_open(void *context)
{
	struct npt_websocket **websocket = context;

	/* The pointer may not be there yet: start() has not returned. */
	if (*websocket)
		NPT_CHECK_INT(npt_websocket_send(*websocket, "hello", 5), 0);
	note(client_events, npt_strdup("open"));
}

static void client_message(void *context, const char *data, size_t size_bytes)
{
	(void)context;
	note(client_events, npt_format("message %zu %.20s", size_bytes, data));
}

static void client_close(void *context, const char *reason)
{
	(void)context;
	note(client_events, npt_format("close %s", reason));
}

static struct npt_websocket_options client_options(const struct world *world,
						   struct npt_websocket **websocket)
{
	return (struct npt_websocket_options){
		.url = world->url,
		.ca_file = world->ca.ca_file,
		.token_file = world->token,
		.max_frame_bytes = FRAME_MAX,
		.retry_ms_first = 50,
		.retry_ms_max = 200,
		.context = websocket,
		.on_open = client_open,
		.on_message = client_message,
		.on_close = client_close,
	};
}

static struct npt_websocket *connect_with(const struct npt_websocket_options *options)
{
	struct npt_websocket *websocket = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (!NPT_CHECK_INT(npt_websocket_start(options, &websocket, &err), 0))
		printf("%s\n", err.text);
	return websocket;
}

static void expect(struct npt_queue *queue, const char *text, const char *file, int line)
{
	npt_auto_free char *event = npt_queue_wait(queue, 5000);

	(void)npt_test_check_text(event, text, "event", file, line);
}
#define EXPECT(queue, text) expect(queue, text, __FILE__, __LINE__)

/* The next event of the client that is not an "open". */
static char *next_close(void)
{
	for (;;) {
		char *event = npt_queue_wait(client_events, 5000);

		if (!event || strncmp(event, "close", 5) == 0)
			return event;
		free(event);
	}
}

static void says_its_token_and_talks_both_ways(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;

	begin(&world, "localhost", false);
	options = client_options(&world, &websocket);
	websocket = connect_with(&options);
	EXPECT(server_events, "open Bearer abc");
	EXPECT(client_events, "open");
	(void)usleep(20000);
	NPT_CHECK_INT(npt_websocket_send(websocket, "one", 3), 0);
	NPT_CHECK_INT(npt_websocket_send(websocket, "!two", 4), 0);
	EXPECT(client_events, "message 4 !two");
	NPT_CHECK_INT(npt_server_socket_send(the_server, last_socket, "three", 5), 0);
	EXPECT(client_events, "message 5 three");
	npt_websocket_free(websocket);
	websocket = NULL;
	EXPECT(client_events, "close the connection was lost");
	end(&world);
}

static void carries_large_messages_whole_and_refuses_larger_ones(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;
	npt_auto_free char *text = npt_alloc(FRAME_MAX + 2, 1);
	npt_auto_free char *event = NULL;

	memset(text, '!', FRAME_MAX + 1);
	begin(&world, "localhost", false);
	options = client_options(&world, &websocket);
	websocket = connect_with(&options);
	EXPECT(client_events, "open");
	(void)usleep(20000);
	for (size_t i = 0; i < 5; i++)
		NPT_CHECK_INT(npt_websocket_send(websocket, text, FRAME_MAX), 0);
	for (size_t i = 0; i < 5; i++)
		EXPECT(client_events, "message 100000 !!!!!!!!!!!!!!!!!!!!");
	NPT_CHECK_INT(npt_server_socket_send(the_server, last_socket, text, FRAME_MAX + 1), 0);
	event = next_close();
	NPT_CHECK_STR(event, "close the server sent a message of more than 100000 bytes");
	EXPECT(client_events, "open");
	(void)usleep(20000);
	NPT_CHECK_INT(npt_websocket_send(websocket, text, FRAME_MAX + 1), 0);
	free(event);
	event = next_close();
	NPT_CHECK(event && strstr(event, "1009") != NULL);
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
}

static void reads_nothing_before_it_was_accepted(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;
	char *event;

	begin(&world, "localhost", false);
	decide = false;
	options = client_options(&world, &websocket);
	websocket = connect_with(&options);
	EXPECT(server_events, "open Bearer abc");
	EXPECT(client_events, "open");
	(void)usleep(20000);
	NPT_CHECK_INT(npt_websocket_send(websocket, "early", 5), 0);
	event = npt_queue_wait(server_events, 300);
	while (event && strcmp(event, "message hello") == 0) { /* sent by on_open: also early */
		NPT_CHECK_STR(event, "(nothing before accept)");
		free(event);
		event = npt_queue_wait(server_events, 300);
	}
	NPT_CHECK(event == NULL);
	NPT_CHECK_INT(npt_server_socket_accept(the_server, last_socket), 0);
	event = npt_queue_wait(server_events, 3000);
	if (event && strcmp(event, "message hello") == 0) {
		free(event);
		event = npt_queue_wait(server_events, 3000);
	}
	NPT_CHECK_STR(event, "message early");
	free(event);
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
}

static void hears_why_it_was_refused_after_the_upgrade(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;

	begin(&world, "localhost", false);
	decide = false;
	options = client_options(&world, &websocket);
	options.retry_ms_first = 60000;
	options.retry_ms_max = 60000;
	websocket = connect_with(&options);
	EXPECT(server_events, "open Bearer abc");
	NPT_CHECK_INT(npt_server_socket_close(the_server, last_socket, 4401, "token refused"), 0);
	EXPECT(client_events, "open");
	EXPECT(client_events, "close closed by the server: 4401 token refused");
	EXPECT(server_events, "close");
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
}

static void is_refused_before_the_upgrade_with_a_status(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;

	begin(&world, "localhost", false);
	upgrade_status = 503;
	options = client_options(&world, &websocket);
	websocket = connect_with(&options);
	EXPECT(client_events, "close the server answered 503");
	EXPECT(client_events, "close the server answered 503");
	upgrade_status = 0;
	EXPECT(server_events, "open Bearer abc");
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
}

static void reads_its_token_again_for_each_dial(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;
	npt_auto_free char *event = NULL;

	begin(&world, "localhost", false);
	options = client_options(&world, &websocket);
	websocket = connect_with(&options);
	EXPECT(server_events, "open Bearer abc");
	EXPECT(client_events, "open");
	(void)usleep(20000);
	write_file(world.token, "new");
	NPT_CHECK_INT(npt_websocket_send(websocket, "close me", 8), 0);
	EXPECT(client_events, "close closed by the server: 4403 as you wish");
	EXPECT(client_events, "open");
	while ((event = npt_queue_wait(server_events, 3000)) && strncmp(event, "open", 4) != 0)
		free(event);
	NPT_CHECK_STR(event, "open Bearer new");
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
}

static void comes_back_after_the_server_was_away(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;
	npt_auto_free char *event = NULL, *second = NULL;

	begin(&world, "localhost", false);
	options = client_options(&world, &websocket);
	websocket = connect_with(&options);
	EXPECT(client_events, "open");
	npt_server_stop(the_server, 500);
	npt_server_free(the_server);
	event = next_close();
	NPT_CHECK_STR(event, "close closed by the server: 1001 server is stopping");
	second = next_close();
	NPT_CHECK(second && strstr(second, "close cannot connect: ") == second);
	NPT_CHECK_INT(npt_websocket_send(websocket, "x", 1), -ENOTCONN);
	serve(&world, 0);
	do {
		free(event);
		event = npt_queue_wait(client_events, 5000);
	} while (event && strcmp(event, "open") != 0);
	NPT_CHECK_STR(event, "open");
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
}

static void trusts_only_its_ca_and_only_for_the_name(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;
	struct npt_test_ca other;
	char *event;

	npt_test_ca_new(&other, "other");
	begin(&world, "localhost", false);
	options = client_options(&world, &websocket);
	options.ca_file = other.ca_file;
	websocket = connect_with(&options);
	event = next_close();
	NPT_CHECK_STR(event, "close its certificate is not trusted: unable to get local issuer "
			     "certificate");
	free(event);
	npt_websocket_free(websocket);
	end(&world);

	for (size_t i = 0; i < 2; i++) {
		begin(&world, i ? "localhost" : "elsewhere", i > 0);
		websocket = NULL;
		options = client_options(&world, &websocket);
		websocket = connect_with(&options);
		event = next_close();
		NPT_CHECK_STR(event, i ? "close its certificate is not trusted: certificate has "
					 "expired"
				       : "close its certificate is not trusted: hostname mismatch");
		free(event);
		NPT_CHECK((event = npt_queue_pop(server_events)) == NULL);
		npt_websocket_free(websocket);
		end(&world);
	}
	websocket = NULL;
	npt_test_ca_free(&other);
}

static void takes_a_new_ca_at_the_next_dial(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;
	struct npt_test_ca other;
	npt_auto_free char *path = NULL, *event = NULL;

	npt_test_ca_new(&other, "other");
	begin(&world, "localhost", false);
	path = npt_format("%s/both.crt", other.directory);
	NPT_CHECK(link(other.ca_file, path) == 0);
	options = client_options(&world, &websocket);
	options.ca_file = path;
	websocket = connect_with(&options);
	event = next_close();
	NPT_CHECK(event && strstr(event, "not trusted") != NULL);
	NPT_CHECK(unlink(path) == 0);
	NPT_CHECK(symlink(world.ca.ca_file, path) == 0);
	do {
		free(event);
		event = npt_queue_wait(client_events, 5000);
	} while (event && strcmp(event, "open") != 0);
	NPT_CHECK_STR(event, "open");
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
	npt_test_ca_free(&other);
}

static void says_what_is_wrong_with_its_files_and_goes_on(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;
	npt_auto_free char *event = NULL, *expected = NULL;

	begin(&world, "localhost", false);
	(void)unlink(world.token);
	options = client_options(&world, &websocket);
	websocket = connect_with(&options);
	expected = npt_format("close cannot read the token %s: No such file or directory",
			      world.token);
	event = next_close();
	NPT_CHECK_STR(event, expected);
	write_file(world.token, "late");
	do {
		free(event);
		event = npt_queue_wait(client_events, 5000);
	} while (event && strcmp(event, "open") != 0);
	NPT_CHECK_STR(event, "open");
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
}

static void refuses_options_that_cannot_work(void)
{
	struct npt_websocket *websocket = NULL;
	struct npt_websocket_options options = { .url = "http://x" };
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK_INT(npt_websocket_start(&options, &websocket, &err), -EINVAL);
	options.url = "ws://example.org/";
	NPT_CHECK_INT(npt_websocket_start(&options, &websocket, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "only a loopback address") != NULL);
	options.url = "wss://localhost/";
	NPT_CHECK_INT(npt_websocket_start(&options, &websocket, &err), -EINVAL);
	NPT_CHECK(strstr(err.text, "a CA file is needed") != NULL);
	NPT_CHECK(websocket == NULL);
}

/* The server against a client that breaks the rules. */
static const char upgrade[] = "GET /v1/agents HTTP/1.1\r\nHost: localhost\r\n"
			      "Authorization: Bearer x\r\nUpgrade: websocket\r\n"
			      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static bool raw_open(const struct world *world, struct npt_wire *wire)
{
	char answer[1024];

	if (!npt_wire_open(wire, world->port, world->ca.ca_file, "localhost") ||
	    !npt_wire_say(wire, upgrade))
		return false;
	(void)npt_wire_read(wire, answer, sizeof(answer), "\r\n\r\n", 3000);
	return strstr(answer, "HTTP/1.1 101") == answer;
}

/*
 * The server says that it closes, or closes. After its close frame it waits some seconds for ours,
 * as RFC 6455 7.1.1 asks; a peer that breaks the protocol need not send one.
 */
static bool is_told_to_close(struct npt_wire *wire)
{
	char frame[2];

	if (npt_wire_read(wire, frame, sizeof(frame), NULL, 3000) == 0)
		return npt_wire_closed(wire, 0);
	return (unsigned char)frame[0] == 0x88;
}

static void closes_on_frames_that_break_the_protocol(void)
{
	struct world world;
	static const struct {
		const char *what;
		const char *bytes;
		size_t size;
	} cases[] = {
		{ "reserved bits",
		  "\xf1\x83"
		  "mask\x0c\x03\x10",
		  9 },
		{ "unknown opcode",
		  "\x83\x83"
		  "mask\x0c\x03\x10",
		  9 },
		{ "continuation of nothing",
		  "\x80\x83"
		  "mask\x0c\x03\x10",
		  9 },
		{ "a control frame of 126 bytes",
		  "\x89\xfe\x00\x7e"
		  "mask",
		  8 },
		{ "a fragmented ping",
		  "\x09\x81"
		  "mask\x0c",
		  7 },
		{ "not UTF-8", "\x81\x82mask\x92\x9f", 8 },
		{ "2^63 bytes",
		  "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		  "mask",
		  14 },
	};
	struct npt_wire wire;
	char *event;

	begin(&world, "localhost", false);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		if (!NPT_CHECK(raw_open(&world, &wire)))
			break;
		EXPECT(server_events, "open Bearer x");
		(void)npt_wire_write(&wire, cases[i].bytes, cases[i].size);
		if (!NPT_CHECK(is_told_to_close(&wire)))
			printf("not closed: %s\n", cases[i].what);
		npt_wire_close(&wire);
		EXPECT(server_events, "close");
	}
	NPT_CHECK((event = npt_queue_pop(server_events)) == NULL);
	end(&world);
}

static void refuses_an_endless_message_in_fragments(void)
{
	struct world world;
	struct npt_wire wire;
	char fragment[8 + 1000] =
		"\x01\xfe\x03\xe8\0\0\0"; /* text, not final, masked, 1000 bytes */
	size_t sent = 0;
	struct npt_server_stats stats;

	begin(&world, "localhost", false);
	NPT_CHECK(raw_open(&world, &wire));
	EXPECT(server_events, "open Bearer x");
	memset(fragment + 8, 'x', 1000);
	for (; sent < 1000; sent++) {
		if (!npt_wire_write(&wire, fragment, sizeof(fragment)))
			break;
		fragment[0] = 0; /* continuation */
	}
	NPT_CHECK(npt_wire_closed(&wire, 15000));
	npt_wire_close(&wire);
	EXPECT(server_events, "close");
	npt_server_stats(the_server, &stats);
	NPT_CHECK_INT(stats.refused_frames, 1);
	end(&world);
}

static void refuses_upgrades_that_nobody_wants(void)
{
	struct world world;
	static const struct {
		const char *request;
		const char *status;
	} cases[] = {
		{ "GET /v1/other HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
		  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		  " 404 " },
		{ "GET /v1/agents HTTP/1.1\r\nHost: x\r\n"
		  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		  " 401 " },
		{ "GET /v1/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n",
		  " 404 " },
	};

	begin(&world, "localhost", false);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_wire wire;
		char answer[1024];

		NPT_CHECK(npt_wire_open(&wire, world.port, world.ca.ca_file, "localhost"));
		NPT_CHECK(npt_wire_say(&wire, cases[i].request));
		(void)npt_wire_read(&wire, answer, sizeof(answer), "\r\n\r\n", 2000);
		if (!NPT_CHECK(strstr(answer, cases[i].status) == answer + 8))
			printf("%s\n", answer);
		npt_wire_close(&wire);
	}
	NPT_CHECK(npt_queue_pop(server_events) == NULL);
	end(&world);
}

/* It answers no ping, as a machine that was switched off. */
static void drops_a_peer_that_is_dead(void)
{
	struct world world;
	struct npt_wire wire;
	uint64_t before;

	begin(&world, "localhost", false);
	npt_server_free(the_server);
	world.port = 0;
	serve(&world, 3);
	NPT_CHECK(raw_open(&world, &wire));
	EXPECT(server_events, "open Bearer x");
	before = npt_clock_monotonic_ns();
	NPT_CHECK(npt_wire_closed(&wire, 4800));
	NPT_CHECK(npt_clock_monotonic_ns() - before > 2000 * NPT_NS_PER_MS);
	npt_wire_close(&wire);
	EXPECT(server_events, "close");
	end(&world);
}

/* A socket that accepts and then says nothing. */
static void keeps_a_healthy_but_silent_connection(void)
{
	struct world world;
	static struct npt_websocket *websocket;
	struct npt_websocket_options options;
	char *event;

	begin(&world, "localhost", false);
	npt_server_free(the_server);
	world.port = 0;
	serve(&world, 3);
	options = client_options(&world, &websocket);
	options.ping_seconds = 1;
	options.dead_seconds = 3;
	websocket = connect_with(&options);
	EXPECT(client_events, "open");
	event = npt_queue_wait(client_events, 5500);
	NPT_CHECK_STR(event, NULL);
	free(event);
	npt_websocket_free(websocket);
	websocket = NULL;
	end(&world);
}

static void closes_a_peer_that_does_not_read(void)
{
	struct world world;
	struct npt_wire wire;
	npt_auto_free char *text = npt_alloc(FRAME_MAX, 1);
	struct npt_server_stats stats = { 0 };

	memset(text, 'x', FRAME_MAX);
	begin(&world, "localhost", false);
	NPT_CHECK(raw_open(&world, &wire));
	EXPECT(server_events, "open Bearer x");
	for (size_t i = 0; i < 300 && stats.closed_slow_peers == 0; i++) {
		(void)npt_server_socket_send(the_server, last_socket, text, FRAME_MAX);
		(void)usleep(1000);
		npt_server_stats(the_server, &stats);
	}
	NPT_CHECK_INT(stats.closed_slow_peers, 1);
	EXPECT(server_events, "close");
	NPT_CHECK_INT(npt_server_socket_send(the_server, last_socket, text, 1), 0);
	npt_wire_close(&wire);
	end(&world);
}

static const struct npt_test tests[] = {
	NPT_TEST(says_its_token_and_talks_both_ways),
	NPT_TEST(carries_large_messages_whole_and_refuses_larger_ones),
	NPT_TEST(reads_nothing_before_it_was_accepted),
	NPT_TEST(hears_why_it_was_refused_after_the_upgrade),
	NPT_TEST(is_refused_before_the_upgrade_with_a_status),
	NPT_TEST(reads_its_token_again_for_each_dial),
	NPT_TEST(comes_back_after_the_server_was_away),
	NPT_TEST(trusts_only_its_ca_and_only_for_the_name),
	NPT_TEST(takes_a_new_ca_at_the_next_dial),
	NPT_TEST(says_what_is_wrong_with_its_files_and_goes_on),
	NPT_TEST(refuses_options_that_cannot_work),
	NPT_TEST(closes_on_frames_that_break_the_protocol),
	NPT_TEST(refuses_an_endless_message_in_fragments),
	NPT_TEST(refuses_upgrades_that_nobody_wants),
	NPT_TEST(drops_a_peer_that_is_dead),
	NPT_TEST(keeps_a_healthy_but_silent_connection),
	NPT_TEST(closes_a_peer_that_does_not_read),
};
NPT_TEST_MAIN(tests)
