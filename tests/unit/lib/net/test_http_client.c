/* SPDX-License-Identifier: Apache-2.0 */
/* Against a server of this test that says exactly the bytes of a script, in plain HTTP on loopback;
 * what needs TLS is in tests/component/kube. */
#include "lib/net/http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "tests/support/test.h"

#define OK(body) "HTTP/1.1 200 OK\r\nContent-Length: " #body "\r\n\r\n"

struct server {
	int fd;
	char url[64];
	pthread_t thread;
	const char *const *answers; /* one a request, NULL-terminated; then it hangs */
	bool closes;                /* after each answer */
	atomic_int connections;
	char request[4096]; /* the last one */
};

/* Headers and body of one request; false: the client left. */
static bool read_request(struct server *server, int fd)
{
	size_t length = 0;
	const char *end = NULL, *size;

	while (!end || length < (size_t)(end - server->request) + 4 +
					(size ? strtoul(size + 16, NULL, 10) : 0)) {
		ssize_t n =
			recv(fd, server->request + length, sizeof(server->request) - 1 - length, 0);

		if (n <= 0)
			return false;
		length += (size_t)n;
		server->request[length] = '\0';
		end = strstr(server->request, "\r\n\r\n");
		size = strstr(server->request, "Content-Length: ");
	}
	return true;
}

static void *serve(void *context)
{
	struct server *server = context;
	int fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		atomic_fetch_add(&server->connections, 1);
		while (read_request(server, fd)) {
			if (!*server->answers)
				continue;
			(void)send(fd, *server->answers, strlen(*server->answers), MSG_NOSIGNAL);
			server->answers++;
			if (server->closes)
				break;
		}
		(void)close(fd);
	}
	return NULL;
}

static void start(struct server *server, const char *const *answers)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	server->answers = answers;
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->fd, (struct sockaddr *)&address, size) < 0 || listen(server->fd, 8) < 0 ||
	    getsockname(server->fd, (struct sockaddr *)&address, &size) < 0)
		abort();
	(void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u/x",
		       ntohs(address.sin_port));
	(void)pthread_create(&server->thread, NULL, serve, server);
}

static void stop(struct server *server)
{
	(void)shutdown(server->fd, SHUT_RDWR);
	(void)pthread_join(server->thread, NULL);
	(void)close(server->fd);
}

static struct npt_http_client *new_client(void)
{
	struct npt_http_client_options options = { .user_agent = "npt-test/1" };
	struct npt_http_client *client = NULL;

	NPT_CHECK_INT(npt_http_client_new(&options, &client, NULL), 0);
	return client;
}

/* One GET of the script; returns what perform() returns. */
static int get(const char *const *answers, bool closes, struct npt_http_request *request,
	       struct npt_http_response *response, struct npt_error *err)
{
	struct server server = { .closes = closes };
	struct npt_http_client *client = new_client();
	int r;

	start(&server, answers);
	request->url = server.url;
	request->method = "GET";
	r = npt_http_perform(client, request, response, err);
	npt_http_client_free(client); /* first: the server waits for its connection to end */
	stop(&server);
	return r;
}

static void a_request_is_sent_as_said_and_the_connection_kept(void)
{
	static const char *const answers[] = { OK(2) "ab", OK(0), NULL };
	struct server server = { 0 };
	struct npt_http_client *client = new_client();
	npt_auto(npt_http_response_done) struct npt_http_response first = { 0 }, second = { 0 };
	struct npt_http_request request = {
		.method = "POST",
		.bearer = "token",
		.content_type = "application/x",
		.accept = "application/y",
		.body = "a\0b",
		.body_bytes = 3,
	};

	start(&server, answers);
	request.url = server.url;
	NPT_CHECK_INT(npt_http_perform(client, &request, &first, NULL), 0);
	NPT_CHECK_INT(first.status, 200);
	NPT_CHECK_STR(first.body, "ab");
	NPT_CHECK(strncmp(server.request, "POST /x HTTP/1.1\r\n", 18) == 0);
	NPT_CHECK(strstr(server.request, "Authorization: Bearer token\r\n"));
	NPT_CHECK(strstr(server.request, "Content-Type: application/x\r\n"));
	NPT_CHECK(strstr(server.request, "Accept: application/y\r\n"));
	NPT_CHECK(strstr(server.request, "User-Agent: npt-test/1\r\n"));
	NPT_CHECK(!strstr(server.request, "Expect:"));
	NPT_CHECK(memcmp(strstr(server.request, "\r\n\r\n") + 4, "a\0b", 3) == 0);
	request = (struct npt_http_request){ .method = "DELETE", .url = server.url };
	NPT_CHECK_INT(npt_http_perform(client, &request, &second, NULL), 0);
	NPT_CHECK(strncmp(server.request, "DELETE /x HTTP/1.1\r\n", 20) == 0);
	NPT_CHECK(!strstr(server.request, "Authorization"));
	NPT_CHECK_STR(second.body, "");
	NPT_CHECK_INT(atomic_load(&server.connections), 1);
	npt_http_client_free(client);
	stop(&server);
}

/* R6 */
static void plain_http_is_for_loopback_only(void)
{
	static const char *const urls[] = { "http://10.0.0.1:1/",
					    "http://127.0.0.1.evil.example:1/", "ftp://127.0.0.1/",
					    "file:///etc/passwd", "" };
	struct npt_http_client *client = new_client();

	for (size_t i = 0; i < NPT_ARRAY_SIZE(urls); i++) {
		struct npt_http_request request = { .method = "GET", .url = urls[i] };
		struct npt_http_response response;

		NPT_CHECK_INT(npt_http_perform(client, &request, &response, NULL), -EINVAL);
	}
	npt_http_client_free(client);
}

/* .invalid is a name that nobody has: it is asked for, and not found. */
static void plain_http_to_others_is_spoken_if_asked_for(void)
{
	struct npt_http_client_options options = { .plain_anywhere = true };
	npt_auto(npt_http_client_free) struct npt_http_client *client = NULL;
	struct npt_http_request request = { .method = "GET", .url = "http://npt.invalid:1/" };
	struct npt_http_response response;
	int r;

	NPT_CHECK_INT(npt_http_client_new(&options, &client, NULL), 0);
	r = npt_http_perform(client, &request, &response, NULL);
	NPT_CHECK(r < 0 && r != -EINVAL);
	request.url = "ftp://127.0.0.1:1/";
	r = npt_http_perform(client, &request, &response, NULL);
	NPT_CHECK(r < 0);
}

static void a_user_is_sent_with_a_password(void)
{
	static const char *const answers[] = { OK(0), OK(0), NULL };
	struct server server = { 0 };
	struct npt_http_client *client = new_client();
	npt_auto(npt_http_response_done) struct npt_http_response first = { 0 }, second = { 0 };
	struct npt_http_request request = { .method = "POST", .user = "npt", .password = "a:b" };

	start(&server, answers);
	request.url = server.url;
	NPT_CHECK_INT(npt_http_perform(client, &request, &first, NULL), 0);
	NPT_CHECK(strstr(server.request, "Authorization: Basic bnB0OmE6Yg==\r\n"));
	request.user = NULL;
	NPT_CHECK_INT(npt_http_perform(client, &request, &second, NULL), 0);
	NPT_CHECK(!strstr(server.request, "Authorization"));
	npt_http_client_free(client);
	stop(&server);
}

static void a_token_cannot_bring_a_header(void)
{
	static const char *const bearers[] = { "a\r\nX: 1", "a b", "a\n", "\xff" };
	struct npt_http_client *client = new_client();

	for (size_t i = 0; i < NPT_ARRAY_SIZE(bearers); i++) {
		struct npt_http_request request = {
			.method = "GET",
			.url = "http://127.0.0.1:1/",
			.bearer = bearers[i],
		};
		struct npt_http_response response;

		NPT_CHECK_INT(npt_http_perform(client, &request, &response, NULL), -EINVAL);
	}
	npt_http_client_free(client);
}

/* R6: exactly the limit is fine, one byte more is not. */
static void an_answer_has_a_limit(void)
{
	static const char *const answers[] = { OK(5) "12345", NULL };

	for (size_t limit = 4; limit <= 5; limit++) {
		npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
		struct npt_http_request request = { .max_response_bytes = limit };
		struct npt_error err = NPT_ERROR_NONE;

		NPT_CHECK_INT(get(answers, false, &request, &response, &err),
			      limit == 5 ? 0 : -EMSGSIZE);
		NPT_CHECK_STR(response.body, limit == 5 ? "12345" : NULL);
		NPT_CHECK(limit == 5 || strstr(err.text, "larger than allowed"));
	}
}

static int take_some(void *context, const char *data, size_t size_bytes)
{
	struct npt_buffer *taken = context;

	return npt_buffer_append(taken, data, size_bytes);
}

static void a_stream_comes_in_pieces_and_has_limits(void)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"1\r\na\r\n3\r\nbcd\r\n0\r\n\r\n",
		NULL
	};
	static const struct {
		size_t buffer_bytes, limit;
		int expected;
	} cases[] = { { 4, 0, 0 }, { 4, 4, 0 }, { 4, 3, -EMSGSIZE }, { 3, 0, -EMSGSIZE } };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto(npt_buffer_done) struct npt_buffer taken =
			NPT_BUFFER(cases[i].buffer_bytes);
		npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
		struct npt_http_request request = {
			.on_data = take_some,
			.context = &taken,
			.max_response_bytes = cases[i].limit,
		};

		NPT_CHECK_INT(get(answers, false, &request, &response, NULL), cases[i].expected);
		NPT_CHECK(cases[i].expected || strcmp(taken.data, "abcd") == 0);
	}
}

static void a_refusal_is_no_stream(void)
{
	static const char *const answers[] = { "HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nbad",
					       NULL };
	npt_auto(npt_buffer_done) struct npt_buffer taken = NPT_BUFFER(64);
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	struct npt_http_request request = { .on_data = take_some, .context = &taken };

	NPT_CHECK_INT(get(answers, false, &request, &response, NULL), 0);
	NPT_CHECK_INT(response.status, 403);
	NPT_CHECK_STR(response.body, "bad");
	NPT_CHECK_INT(taken.size_bytes, 0);
}

static void retry_after_is_read_in_seconds_only(void)
{
	static const struct {
		const char *answer;
		unsigned int seconds;
	} cases[] = {
		{ "HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 7 },
		{ "HTTP/1.1 429 X\r\nretry-after:3\r\nContent-Length: 0\r\n\r\n", 3 },
		{ "HTTP/1.1 429 X\r\nRetry-After: -7\r\nContent-Length: 0\r\n\r\n", 0 },
		{ "HTTP/1.1 429 X\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n", 0 },
		{ "HTTP/1.1 429 X\r\nRetry-After: Fri, 31 Dec\r\nContent-Length: 0\r\n\r\n", 0 },
		{ "HTTP/1.1 429 X\r\nContent-Length: 0\r\n\r\n", 0 },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		const char *answers[] = { cases[i].answer, NULL };
		npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
		struct npt_http_request request = { 0 };

		NPT_CHECK_INT(get(answers, false, &request, &response, NULL), 0);
		NPT_CHECK_INT(response.retry_after_seconds, cases[i].seconds);
	}
}

static void a_redirect_is_only_an_answer(void)
{
	static const char *const answers[] = {
		"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", NULL
	};
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	struct npt_http_request request = { 0 };

	NPT_CHECK_INT(get(answers, false, &request, &response, NULL), 0);
	NPT_CHECK_INT(response.status, 302);
}

static void refused_cut_and_silent_are_told_apart(void)
{
	static const char *const cut[] = { OK(9) "abc", NULL }, *const nothing[] = { "", NULL };
	static const char *const never[] = { NULL };
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	struct npt_http_request request = { 0 }, refused = {
		.method = "GET",
		.url = "http://127.0.0.1:1/",
	};
	struct npt_http_client *client = new_client();

	NPT_CHECK_INT(npt_http_perform(client, &refused, &response, NULL), -ECONNREFUSED);
	npt_http_client_free(client);
	NPT_CHECK_INT(get(cut, true, &request, &response, NULL), -ECONNRESET);
	NPT_CHECK_INT(get(nothing, true, &request, &response, NULL), -ECONNRESET);
	request = (struct npt_http_request){ .timeout_ms = 100 };
	NPT_CHECK_INT(get(never, false, &request, &response, NULL), -ETIMEDOUT);
}

/* R5: a half-open path. */
static void a_stream_that_falls_silent_is_given_up(void)
{
	static const char *const answers[] = { OK(9) "abc", NULL };
	npt_auto(npt_buffer_done) struct npt_buffer taken = NPT_BUFFER(64);
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	struct npt_http_request request = {
		.on_data = take_some,
		.context = &taken,
		.silence_seconds = 1,
		.timeout_ms = 30000,
	};
	uint64_t began = npt_clock_monotonic_ns();

	NPT_CHECK_INT(get(answers, false, &request, &response, NULL), -ETIMEDOUT);
	NPT_CHECK(npt_clock_monotonic_ns() - began < 10 * NPT_NS_PER_SECOND);
}

static void *cancel_soon(void *context)
{
	const struct timespec time = { .tv_nsec = 100000000 };

	(void)nanosleep(&time, NULL);
	npt_http_client_cancel(context);
	return NULL;
}

static void cancelling_ends_a_request_at_once_and_for_good(void)
{
	static const char *const never[] = { NULL };
	struct server server = { 0 };
	struct npt_http_client *client = new_client();
	struct npt_http_request request = { .method = "GET" };
	struct npt_http_response response;
	uint64_t began = npt_clock_monotonic_ns();
	pthread_t thread;

	start(&server, never);
	request.url = server.url;
	(void)pthread_create(&thread, NULL, cancel_soon, client);
	NPT_CHECK_INT(npt_http_perform(client, &request, &response, NULL), -ECANCELED);
	NPT_CHECK(npt_clock_monotonic_ns() - began < 700 * NPT_NS_PER_MS);
	(void)pthread_join(thread, NULL);
	NPT_CHECK_INT(npt_http_perform(client, &request, &response, NULL), -ECANCELED);
	NPT_CHECK_INT(npt_http_client_pause(client, 10000), -ECANCELED);
	npt_http_client_free(client);
	stop(&server);
}

static void cancelling_ends_a_pause(void)
{
	struct npt_http_client *client = new_client();
	uint64_t began = npt_clock_monotonic_ns();
	pthread_t thread;

	NPT_CHECK_INT(npt_http_client_pause(client, 20), 0);
	NPT_CHECK(npt_clock_monotonic_ns() - began >= 20 * NPT_NS_PER_MS);
	(void)pthread_create(&thread, NULL, cancel_soon, client);
	NPT_CHECK_INT(npt_http_client_pause(client, 20000), -ECANCELED);
	NPT_CHECK(npt_clock_monotonic_ns() - began < 700 * NPT_NS_PER_MS);
	(void)pthread_join(thread, NULL);
	npt_http_client_free(client);
}

static bool say_yes(void *context)
{
	(void)context;
	return true;
}

static void the_owner_may_end_a_request(void)
{
	static const char *const never[] = { NULL };
	struct npt_http_request request = { .is_cancelled = say_yes };
	struct npt_http_response response;

	NPT_CHECK_INT(get(never, false, &request, &response, NULL), -ECANCELED);
}

static void a_proxy_of_the_environment_is_not_used(void)
{
	static const char *const answers[] = { OK(2) "ok", NULL };
	npt_auto(npt_http_response_done) struct npt_http_response response = { 0 };
	struct npt_http_request request = { 0 };

	(void)setenv("http_proxy", "http://127.0.0.1:1", 1);
	(void)setenv("all_proxy", "http://127.0.0.1:1", 1);
	NPT_CHECK_INT(get(answers, false, &request, &response, NULL), 0);
	(void)unsetenv("http_proxy");
	(void)unsetenv("all_proxy");
}

/* R11 */
static void everything_but_unreserved_characters_is_escaped(void)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "", "" },
		{ "Az09-._~", "Az09-._~" },
		{ "app in (a,!b)&x=1", "app%20in%20%28a%2C%21b%29%26x%3D1" },
		{ "+/%\xc3\xa9\n", "%2B%2F%25%C3%A9%0A" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto_free char *escaped = npt_http_escape(cases[i].text);

		NPT_CHECK_STR(escaped, cases[i].expected);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(a_request_is_sent_as_said_and_the_connection_kept),
	NPT_TEST(plain_http_is_for_loopback_only),
	NPT_TEST(plain_http_to_others_is_spoken_if_asked_for),
	NPT_TEST(a_user_is_sent_with_a_password),
	NPT_TEST(a_token_cannot_bring_a_header),
	NPT_TEST(an_answer_has_a_limit),
	NPT_TEST(a_stream_comes_in_pieces_and_has_limits),
	NPT_TEST(a_refusal_is_no_stream),
	NPT_TEST(retry_after_is_read_in_seconds_only),
	NPT_TEST(a_redirect_is_only_an_answer),
	NPT_TEST(refused_cut_and_silent_are_told_apart),
	NPT_TEST(a_stream_that_falls_silent_is_given_up),
	NPT_TEST(cancelling_ends_a_request_at_once_and_for_good),
	NPT_TEST(cancelling_ends_a_pause),
	NPT_TEST(the_owner_may_end_a_request),
	NPT_TEST(a_proxy_of_the_environment_is_not_used),
	NPT_TEST(everything_but_unreserved_characters_is_escaped),
};
NPT_TEST_MAIN(tests)
