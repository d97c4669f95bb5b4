/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/upload.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/net/server.h"
#include "tests/support/test.h"

#define WINDOWS_MAX 64

/* A service on loopback that fails as often as it is told to. */
static struct {
	pthread_mutex_t lock;
	unsigned int fail_next, status_of_failure;
	char bodies[WINDOWS_MAX][32];
	char tokens[WINDOWS_MAX][64];
	unsigned int count, requests;
} service = { .lock = PTHREAD_MUTEX_INITIALIZER, .status_of_failure = 503 };

static void take(void *context, struct npt_request *request)
{
	struct npt_response response = { .status = 200 };

	(void)context;
	(void)pthread_mutex_lock(&service.lock);
	service.requests++;
	if (service.fail_next > 0) {
		service.fail_next--;
		response.status = service.status_of_failure;
	} else if (service.count < WINDOWS_MAX) {
		(void)snprintf(service.bodies[service.count], sizeof(service.bodies[0]), "%.*s",
			       (int)request->body_bytes, request->body);
		(void)snprintf(service.tokens[service.count++], sizeof(service.tokens[0]), "%s",
			       npt_bearer_token(request->authorization));
	}
	(void)pthread_mutex_unlock(&service.lock);
	npt_request_respond(request, response);
}

static struct npt_server *start_service(void)
{
	static const struct npt_route routes[] = { { .method = "POST",
						     .path = "/v1/ingest",
						     .handler = take,
						     .content_type = "application/x-protobuf",
						     .max_body_bytes = 1024 } };
	struct npt_server_options options = { .listen = "127.0.0.1:0",
					      .routes = routes,
					      .routes_count = 1 };
	struct npt_server *server = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	service.count = service.requests = service.fail_next = 0;
	service.status_of_failure = 503;
	NPT_CHECK(npt_server_start(&options, &server, &err) == 0);
	return server;
}

static char *new_directory(void)
{
	char *path = npt_strdup("/tmp/npt-test-spool-XXXXXX");

	NPT_CHECK(mkdtemp(path) != NULL);
	return path;
}

static struct npt_upload *start_upload(const char *directory, uint64_t max_bytes)
{
	struct npt_upload_options options = { .directory = directory,
					      .max_bytes = max_bytes,
					      .retry_ms_first = 5,
					      .retry_ms_max = 20 };
	struct npt_upload *upload = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(npt_upload_new(&options, &upload, &err) == 0);
	return upload;
}

static void push(struct npt_upload *upload, unsigned int port, uint64_t sequence, const char *token)
{
	npt_auto_free char *url = npt_format("http://127.0.0.1:%u/v1/ingest", port);
	npt_auto_free char *body = npt_format("window %llu", (unsigned long long)sequence);
	struct npt_upload_window window = { .data = body,
					    .size_bytes = strlen(body),
					    .url = url,
					    .token = token,
					    .task_uid = "task",
					    .pod_uid = "pod",
					    .instance = "instance",
					    .sequence = sequence };
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(npt_upload_push(upload, &window, &err) == 0);
}

static struct npt_upload_stats stats_of(struct npt_upload *upload)
{
	struct npt_upload_stats stats;

	npt_upload_stats(upload, "task", "pod", &stats);
	return stats;
}

static void sends_each_window_once_in_order_through_failures(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start_service();
	npt_auto_free char *directory = new_directory();
	npt_auto(npt_upload_free) struct npt_upload *upload = start_upload(directory, 0);

	service.fail_next = 3;
	for (uint64_t i = 1; i <= 5; i++)
		push(upload, npt_server_port(server), i, "t");
	NPT_CHECK(npt_upload_drain(upload, "task", 10000));
	NPT_CHECK_INT(service.count, 5);
	NPT_CHECK_INT(service.requests, 8);
	NPT_CHECK_STR(service.bodies[0], "window 1");
	NPT_CHECK_STR(service.bodies[4], "window 5");
	NPT_CHECK_INT(stats_of(upload).stored, 5);
	NPT_CHECK_INT(stats_of(upload).pending, 0);
	NPT_CHECK(rmdir(directory) == 0);
}

static void a_new_process_sends_what_the_old_one_left(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start_service();
	npt_auto_free char *directory = new_directory();
	npt_auto(npt_upload_free) struct npt_upload *upload = start_upload(directory, 0);

	service.fail_next = 1000000;
	push(upload, npt_server_port(server), 1, "old");
	push(upload, npt_server_port(server), 2, "old");
	npt_upload_free(npt_take(upload));
	NPT_CHECK_INT(service.count, 0);
	service.fail_next = 0;
	upload = start_upload(directory, 0);
	NPT_CHECK(npt_upload_drain(upload, "task", 10000));
	NPT_CHECK_INT(service.count, 2);
	NPT_CHECK_STR(service.bodies[1], "window 2");
	NPT_CHECK(rmdir(directory) == 0);
}

static void a_newer_token_lets_older_windows_through(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start_service();
	npt_auto_free char *directory = new_directory();
	npt_auto(npt_upload_free) struct npt_upload *upload = start_upload(directory, 0);

	service.fail_next = 2;
	push(upload, npt_server_port(server), 1, "old");
	push(upload, npt_server_port(server), 2, "new");
	NPT_CHECK(npt_upload_drain(upload, "task", 10000));
	NPT_CHECK_STR(service.tokens[1], "new");
	NPT_CHECK(rmdir(directory) == 0);
}

static void drops_and_counts_what_is_refused_for_good(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start_service();
	npt_auto_free char *directory = new_directory();
	npt_auto(npt_upload_free) struct npt_upload *upload = start_upload(directory, 0);

	service.fail_next = 1;
	service.status_of_failure = 400;
	push(upload, npt_server_port(server), 1, "t");
	push(upload, npt_server_port(server), 2, "t");
	NPT_CHECK(npt_upload_drain(upload, "task", 10000));
	NPT_CHECK_INT(stats_of(upload).stored, 1);
	NPT_CHECK_INT(stats_of(upload).dropped, 1);
	NPT_CHECK_STR(service.bodies[0], "window 2");
	NPT_CHECK(rmdir(directory) == 0);
}

static void a_full_spool_drops_the_oldest_and_counts_it(void)
{
	npt_auto(npt_server_free) struct npt_server *server = start_service();
	npt_auto_free char *directory = new_directory();
	npt_auto(npt_upload_free) struct npt_upload *upload = start_upload(directory, 20);

	service.fail_next = 1000000;
	for (uint64_t i = 1; i <= 4; i++)
		push(upload, npt_server_port(server), i, "t");
	NPT_CHECK_INT(stats_of(upload).dropped, 2);
	NPT_CHECK_INT(stats_of(upload).pending, 2);
	service.fail_next = 0;
	NPT_CHECK(npt_upload_drain(upload, "task", 10000));
	/* The first may have been on its way when room was made: then it is kept, and stored. */
	NPT_CHECK_INT(service.count, 2);
	NPT_CHECK_INT(stats_of(upload).stored, 2);
	NPT_CHECK_INT(stats_of(upload).dropped, 2);
	NPT_CHECK_STR(service.bodies[1], "window 4");
	NPT_CHECK(rmdir(directory) == 0);
}

static void says_what_is_wrong_with_a_spool(void)
{
	struct npt_upload_options options = { .directory = "/proc/nowhere/spool" };
	struct npt_upload *upload = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(npt_upload_new(&options, &upload, &err) < 0);
	NPT_CHECK(strstr(err.text, "cannot make the spool /proc/nowhere/spool"));
}

static const struct npt_test tests[] = {
	NPT_TEST(sends_each_window_once_in_order_through_failures),
	NPT_TEST(a_new_process_sends_what_the_old_one_left),
	NPT_TEST(a_newer_token_lets_older_windows_through),
	NPT_TEST(drops_and_counts_what_is_refused_for_good),
	NPT_TEST(a_full_spool_drops_the_oldest_and_counts_it),
	NPT_TEST(says_what_is_wrong_with_a_spool),
};
NPT_TEST_MAIN(tests)
